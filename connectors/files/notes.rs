//! What was guessed about a file and what in it is not read: told by `probe`, in the report beside the file and in the log.

/// One thing that whoever made the file should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A sheet that is not read.
    SheetNotRead {
        /// Its name.
        sheet: String,
        /// Why.
        why: NotRead,
    },
    /// Only a hidden sheet has the table.
    HiddenSheet {
        /// Its name.
        sheet: String,
    },
    /// Several sheets are read, one after the other.
    ManySheets {
        /// Their names.
        sheets: Vec<String>,
    },
    /// Another column that could be the number.
    OtherNumber {
        /// Header of the column that is taken.
        chosen: String,
        /// Header of the one that is not.
        header: String,
    },
    /// A column that could be the number only counts the rows.
    CountsRows {
        /// Its header.
        header: String,
    },
    /// The number stands under a header that only says so much.
    NumberGuessed {
        /// It.
        header: String,
    },
    /// Two columns mean the same field: of each row the first filled one is read.
    SameField {
        /// Header of the first column.
        first: String,
        /// Header of another.
        other: String,
    },
    /// The numbers are 1, 2, 3 …, or under «№» small and in order: they may count the rows.
    MayCountRows {
        /// Header of the column.
        header: String,
    },
    /// No column is the number, so the content of a row stands for it.
    NoNumber {
        /// Headers of unknown columns that may be the number.
        maybe: Vec<String>,
    },
    /// The header was put together from two rows.
    TwoHeaderRows {
        /// Number of the upper row.
        first: u64,
        /// Number of the lower row.
        second: u64,
    },
    /// Dates with slashes are written as American programs write them.
    MonthFirst,
    /// The row below the header looks like its lower half and means nothing.
    MaybeTwoHeaderRows {
        /// Its number.
        second: u64,
    },
}

/// Why a sheet is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRead {
    /// Its columns are others than those of the sheet that is read.
    OtherColumns,
    /// No row of it looks like a header.
    NoHeader,
    /// It is hidden, and a visible one has the table.
    Hidden,
    /// It can't be read.
    Damaged,
}

impl NotRead {
    fn russian(self) -> &'static str {
        match self {
            Self::OtherColumns => "у него другие колонки, чем у прочитанного",
            Self::NoHeader => "на нём нет строки со знакомыми заголовками",
            Self::Hidden => "он скрыт, а таблица есть на видимом листе",
            Self::Damaged => "он повреждён или его нет в книге",
        }
    }
}

impl Note {
    /// In Russian, with what to do.
    pub fn russian(&self) -> String {
        match self {
            Self::SheetNotRead { sheet, why } => format!(
                "Лист «{sheet}» не прочитан: {}. Если на нём есть сообщения, сохраните его отдельной книгой.",
                why.russian()
            ),
            Self::HiddenSheet { sheet } => {
                format!("Прочитан скрытый лист «{sheet}»: на видимых листах таблицы нет. Проверьте, тот ли это лист.")
            }
            Self::ManySheets { sheets } => {
                format!("Прочитаны листы с одинаковыми колонками: «{}».", sheets.join("», «"))
            }
            Self::OtherNumber { chosen, header } => {
                format!("Номером взята колонка «{chosen}»; колонка «{header}» номером не считается.")
            }
            Self::CountsRows { header } => {
                format!("Колонка «{header}» считает строки (1, 2, 3 …) и номером сообщения не взята.")
            }
            Self::NumberGuessed { header } => {
                format!("Номером взята колонка «{header}»: другой колонки номера в файле нет.")
            }
            Self::SameField { first, other } => format!(
                "Колонки «{first}» и «{other}» значат одно и то же. Из каждой строки взята первая заполненная из них, другая \
                 остаётся только в исходной строке. Если нужна другая, удалите или переименуйте лишнюю."
            ),
            Self::MayCountRows { header } => format!(
                "Номера в колонке «{header}» похожи на счёт строк: они малы и идут по порядку. Если это он, а не номера системы, \
                 выгрузите файл с колонкой номера: иначе завтра под тем же номером придёт другое сообщение."
            ),
            Self::NoNumber { maybe } if maybe.is_empty() => {
                "Колонки с номером нет: сообщение узнаётся по содержимому строки, изменённая строка станет новым."
                    .into()
            }
            Self::NoNumber { maybe } => format!(
                "Колонки с номером нет: сообщение узнаётся по содержимому строки, изменённая строка станет новым. Не номер ли \
                 это: «{}»? Тогда назовите колонку в настройке headers.",
                maybe.join("», «")
            ),
            Self::TwoHeaderRows { first, second } => {
                format!("Заголовок занимает две строки ({first} и {second}): названия колонок сложены из обеих.")
            }
            Self::MonthFirst => {
                "Даты с косой чертой прочитаны как в США, сначала месяц, потом день (1/5/2026 — это 5 января): \
                                 в файле есть дата, которую иначе прочитать нельзя. Проверьте, так ли это."
                    .into()
            }
            Self::MaybeTwoHeaderRows { second } => format!(
                "Строка {second} похожа на вторую строку заголовка, но таких названий программа не знает. Проверьте \
                 колонки; их можно назвать в настройке headers."
            ),
        }
    }

    /// Whether a report beside the file tells it. An export that is known not to have a number is as it should be.
    pub fn is_told(&self) -> bool {
        !matches!(self, Self::NoNumber { maybe } if maybe.is_empty())
    }

    /// Whether something of the file was left out or doubtful, and not only done in another way than usual.
    pub fn is_loud(&self) -> bool {
        !matches!(
            self,
            Self::ManySheets { .. } | Self::OtherNumber { .. } | Self::TwoHeaderRows { .. }
        )
    }
}
