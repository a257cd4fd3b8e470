//! What can be wrong with a file as a whole or with one row: a bounded reason for metrics, English for operators,
//! Russian with the cure for the people who put files into the folder. Never quotes a citizen's words in English texts:
//! those go to logs and quarantine listings.

use priem_sdk::NormalizeError;
use priem_tables::{Fault, RowFault};

use super::{folder::Refusal, keys::Bent, mapping};

/// [`FileProblem::reason`] of a file without a known header: its report quotes the file.
pub const UNKNOWN_LAYOUT: &str = "file_unknown_layout";

/// A file that can't be imported, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// No table, or not to its end.
    #[error(transparent)]
    Table(#[from] Fault),
    /// Larger than the setting allows.
    #[error("the file has {bytes} bytes, max_file_bytes is {limit}")]
    TooLarge {
        /// Size of the file.
        bytes: u64,
        /// The setting.
        limit: u64,
    },
    /// The daemon died twice while it read this file at this place.
    #[error("the daemon was killed twice while it read this file after row {row}")]
    KilledProcess {
        /// Number of the last row that was stored.
        row: u64,
    },
    /// No row looks like the header of the mapping.
    #[error("no header row of the mapping `{mapping}` in the first rows")]
    NoHeader {
        /// Name of the mapping.
        mapping: &'static str,
        /// What the first rows hold, for the report beside the file; may quote them.
        seen: Vec<String>,
        /// A guess at `columns:`, when the content of the columns allows one.
        suggestion: Option<String>,
    },
    /// The header was understood but has neither the key nor the text.
    #[error("the header has neither the key nor the text of the mapping `{mapping}`")]
    NothingToIdentify {
        /// Name of the mapping.
        mapping: &'static str,
        /// There is a column that counts the rows, and it is no key.
        counted: bool,
    },
    /// A header and nothing below it.
    #[error("the file has a header and no row of data")]
    NoRows,
    /// The file went away or was changed before it was read to its end.
    #[error("the file was removed from the folder, or changed, before it was read to its end")]
    Vanished,
    /// Not a file of the folder: it may lead to what whoever put it there must not read.
    #[error("refused: {} is not read", .0.as_str())]
    Refused(Refusal),
}

impl FileProblem {
    /// The same problem without what it quotes from the file: what may be stored in a cursor.
    #[must_use]
    pub fn without_quotes(&self) -> Self {
        match self {
            Self::NoHeader { mapping, .. } => Self::NoHeader {
                mapping,
                seen: Vec::new(),
                suggestion: None,
            },
            other => other.clone(),
        }
    }

    /// Whether nothing is wrong with the file: its reading was stopped with the service.
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Table(Fault::Stopped))
    }

    /// Bounded name, a metric label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Table(Fault::Unreadable(_)) => "file_unreadable",
            Self::Table(Fault::Unsupported(_)) => "file_unsupported",
            Self::TooLarge { .. } => "file_too_large",
            Self::Table(Fault::Empty) => "file_empty",
            Self::Table(Fault::Damaged(_)) => "file_damaged",
            Self::Table(Fault::OverLimit(_)) => "file_over_limit",
            Self::KilledProcess { .. } => "file_killed_process",
            Self::NoHeader { .. } | Self::NothingToIdentify { .. } => UNKNOWN_LAYOUT,
            Self::Table(Fault::Encoding(_)) => "file_encoding",
            Self::Table(Fault::Stopped) => "file_not_finished",
            Self::NoRows => "file_no_rows",
            Self::Vanished => "file_vanished",
            Self::Refused(_) => "file_refused",
        }
    }

    /// Every reason, to get a stored one back as a bounded name.
    pub fn known_reason(text: &str) -> &'static str {
        const REASONS: &[&str] = &[
            "file_unreadable",
            "file_unsupported",
            "file_too_large",
            "file_empty",
            "file_over_limit",
            "file_killed_process",
            UNKNOWN_LAYOUT,
            "file_encoding",
            "file_no_rows",
            "file_vanished",
            "file_refused",
        ];
        REASONS
            .iter()
            .find(|known| **known == text)
            .copied()
            .unwrap_or("file_damaged")
    }

    /// For the people who put files into the folder: what happened and what to do.
    pub fn russian(&self) -> String {
        match self {
            Self::Table(fault) => table_ru(fault),
            Self::TooLarge { bytes, limit } => format!(
                "Файл слишком большой: {bytes} байт при пределе {limit}.\n\
                 Что сделать: разделите выгрузку по датам или увеличьте настройку max_file_bytes."
            ),
            Self::KilledProcess { row } => format!(
                "Пока читался этот файл (после строки {row}), служба дважды аварийно завершилась, поэтому файл отложен, \
                 чтобы остальные файлы и обращения шли дальше.\n\
                 Что сделать: передайте файл вместе с этим отчётом разработчикам; сам файл не потерян. Если службу \
                 завершали вручную, положите файл в inbox/ снова: уже принятые строки не удвоятся."
            ),
            Self::NoHeader {
                mapping,
                seen,
                suggestion,
            } => {
                let mut text = String::from(
                    "Не найдена строка заголовков: ни в одной из первых строк нет знакомых названий колонок.\n\
                     Программа не угадывает колонки по месту, чтобы не перепутать данные.\n",
                );
                for line in seen {
                    text.push_str("Видно: ");
                    text.push_str(line);
                    text.push('\n');
                }
                text.push_str(&format!(
                    "Что сделать: выгрузите файл с заголовками (нужны хотя бы три знакомые колонки, среди них {})",
                    wanted(mapping)
                ));
                match suggestion {
                    Some(columns) => {
                        text.push_str(", либо проверьте и впишите в настройки колонки, угаданные по содержимому:\n");
                        text.push_str(columns);
                    }
                    None => {
                        text.push_str(", либо впишите колонки в настройки, например  columns: { A: number, AI: text }.")
                    }
                }
                text
            }
            Self::NothingToIdentify { mapping, counted } => format!(
                "В заголовке нет ни номера, ни текста сообщения.{}\nЧто сделать: выгрузите файл с колонкой {}.",
                match counted {
                    true =>
                        " Колонка, которая только считает строки (1, 2, 3 …), номером не служит: в следующей выгрузке \
                             под тем же числом стоит другое сообщение.",
                    false => "",
                },
                wanted(mapping)
            ),
            Self::NoRows => "В файле есть заголовок и нет ни одной строки с сообщением: ничего не принято.\n\
                 Что сделать: если за этот период сообщений не было, ничего. Иначе проверьте отбор при выгрузке и \
                 положите новый файл."
                .into(),
            Self::Vanished => "Файл убрали из папки или изменили до конца загрузки.\n\
                 Что сделать: положите его снова, если его нет в inbox/; уже принятые строки не удвоятся."
                .into(),
            Self::Refused(refusal) => format!(
                "{} Программа читает только обычные файлы, лежащие в самой папке.\n\
                 Что сделать: положите в inbox/ сам файл (копию).",
                match refusal {
                    Refusal::Link => "Это ссылка, а не файл: то, на что она указывает, не читается.",
                    Refusal::SecondName => "У файла есть второе имя в другом месте (жёсткая ссылка), он не прочитан.",
                    Refusal::NoFile => "Это канал, сокет или устройство, а не файл; он убран из папки.",
                }
            ),
        }
    }
}

/// Headers that would identify the rows of a mapping.
fn wanted(name: &str) -> String {
    match mapping::by_name(name) {
        Some(mapping) => mapping.wanted(),
        None => {
            let mut kinds = mapping::MAPPINGS.iter().filter(|mapping| !mapping.signature.is_empty());
            let first = kinds.next().map(|mapping| mapping.wanted()).unwrap_or_default();
            kinds.fold(first, |list, mapping| format!("{list}; {}", mapping.wanted()))
        }
    }
}

/// What people are to do about a file of the drop folder that is no table.
fn table_ru(fault: &Fault) -> String {
    let detail = fault.detail_ru();
    if let Some(cure) = fault.cure_ru() {
        let what = match fault {
            Fault::Encoding(_) => "Кодировка файла",
            _ => "Этот вид файла",
        };
        return format!("{what} не поддерживается: {detail}.\nЧто сделать: {cure}.");
    }
    match fault {
        Fault::Unreadable(_) => {
            format!("Файл не удалось прочитать: {detail}.\nЧто сделать: проверьте права на файл и положите его снова.")
        }
        Fault::Unsupported(_) => format!(
            "Этот вид файла не поддерживается: {detail}.\n\
             Что сделать: сохраните выгрузку как «Книга Excel (.xlsx)» без пароля или как CSV и положите снова."
        ),
        Fault::Empty => "В файле нет ни одной строки.\nЧто сделать: проверьте выгрузку и положите файл снова.".into(),
        Fault::Damaged(_) => format!(
            "Книга повреждена или скопирована не до конца ({detail}).\n\
             Что сделать: скопируйте или выгрузите файл заново. Строки, прочитанные до повреждения, уже приняты; \
             повторная загрузка их не удвоит."
        ),
        Fault::OverLimit(_) => format!(
            "Файл выходит за пределы того, что читает программа: {detail}.\n\
             Что сделать: так выглядит испорченный или нарочно сделанный файл. Выгрузите его заново из системы, \
             где он был сделан; если и новый такой же, сохраните нужные строки как CSV. Строки до этого места уже \
             приняты; повторная загрузка их не удвоит."
        ),
        Fault::Stopped => format!("Файл не дочитан: {detail}.\nЧто сделать: ничего, он будет прочитан после запуска."),
        Fault::Encoding(_) => {
            format!("Кодировка файла не поддерживается: {detail}.\nЧто сделать: сохраните CSV в кодировке UTF-8.")
        }
    }
}

/// A row that can't be a message. The row goes to quarantine, the rest of the file goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowProblem {
    /// The key column exists and is empty.
    NoKey,
    /// The key column holds a text that can't be a number: the columns are shifted in this row.
    StrangeKey {
        /// Characters in the cell.
        characters: usize,
    },
    /// The key is not what the source wrote.
    BentKey(Bent),
    /// A formula that failed or has no result stands for the number or the text.
    ErrorCell,
    /// A text is the nonsense of another encoding, or question marks in place of its letters.
    Garbled,
    /// Of all known columns only that of the number is filled: a footer, a phone, a date of signing.
    OnlyNumber,
    /// A title, a signature or a row of another table: there is something in it, but no message.
    NoMessage,
    /// A layout without a key, and no text either.
    NoText,
    /// It can't be split into cells.
    Unread(RowFault),
}

impl RowProblem {
    /// What the journal keeps.
    pub fn error(&self, row: u64) -> NormalizeError {
        NormalizeError::new("bad_row", format!("row {row}: {}", self.english()))
    }

    /// For operators.
    pub fn english(&self) -> String {
        match self {
            Self::NoKey => "the key column is empty: no number".into(),
            Self::StrangeKey { characters } => {
                format!("the number cell holds {characters} characters that are no number: shifted columns?")
            }
            Self::BentKey(bent) => bent.english().into(),
            Self::ErrorCell => "a formula that failed or has no result stands for the number or the text".into(),
            Self::Garbled => "a text was bent by another encoding before it was written".into(),
            Self::OnlyNumber => "nothing but a number in the row: no message".into(),
            Self::NoMessage => "no message: a title, a signature or a row of another table".into(),
            Self::NoText => "no text and no number".into(),
            Self::Unread(fault) => fault.english(),
        }
    }

    /// For МЦУ staff.
    pub fn russian(&self) -> String {
        match self {
            Self::NoKey => "нет номера".into(),
            Self::StrangeKey { characters } => {
                format!("в колонке номера стоит не номер ({characters} знаков): строка сдвинута?")
            }
            Self::BentKey(bent) => bent.russian().into(),
            Self::ErrorCell => {
                "в ячейке ошибка Excel: вместо номера или текста стоит «#Н/Д» и подобное или формула без результата. \
                 Исправьте ячейку, сохраните значения вместо формул и положите файл снова"
                    .into()
            }
            Self::Garbled => {
                "буквы испорчены до выгрузки: вместо «Яма» стоит «РЇРјР°» или «???». Выгрузите файл заново и положите его, не \
                 пересохраняя в другой программе"
                    .into()
            }
            Self::OnlyNumber => {
                "в строке только номер: все другие знакомые колонки пусты. Если это сообщение, заполните их и положите файл \
                 снова"
                    .into()
            }
            Self::NoMessage => {
                "похоже на заголовок, подпись или строку другой таблицы, а не на сообщение. Если это сообщение, исправьте номер \
                 и положите файл снова"
                    .into()
            }
            Self::NoText => "нет ни номера, ни текста".into(),
            Self::Unread(fault) => fault.russian(),
        }
    }
}
