//! What can be wrong with a table as a whole, or with one row of it. The English texts never quote what stands in cells:
//! they go to logs and quarantine listings. What people are to do is said by whoever knows where the file came from.

use crate::{
    limits::{Measure, OverLimit},
    source::Stopped,
    strangers,
};

/// Characters of a sheet's name that are shown; spreadsheets allow 31.
const LONGEST_SHEET_SHOWN: usize = 40;

/// A file that can't be read as a table, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file can't be read at all.
    #[error("the file can't be read: {0}")]
    Unreadable(String),
    /// Not a kind of file we read.
    #[error("unsupported kind of file: {0}")]
    Unsupported(&'static str),
    /// Nothing in it.
    #[error("the file has no rows")]
    Empty,
    /// An XLSX that ends too early or is damaged.
    #[error("the workbook is damaged: {0}")]
    Damaged(String),
    /// Made of more, or of larger parts, than is read: such a file would fill the memory or the disk.
    #[error("the file goes over a limit: {0}")]
    OverLimit(OverLimit),
    /// A text in an encoding we don't read.
    #[error("unsupported encoding: {0}")]
    Encoding(&'static str),
    /// Whoever reads was told to stop: nothing is wrong with the file.
    #[error("the reading was stopped")]
    Stopped,
}

/// English details of [`Fault`] in Russian; kinds of files have their own list, others (words of the XML reader) stay as
/// they are.
const DETAILS: &[(&str, &str)] = &[
    ("a sheet is missing", "листа нет в книге"),
    ("the workbook has no sheet", "в книге нет листов"),
    ("a record of the workbook is cut", "запись книги обрывается"),
    (
        "the container of the old Office is cut",
        "файл старого Office обрывается",
    ),
    ("a sheet without data", "в листе нет таблицы"),
    ("a part ends inside a string", "часть книги обрывается внутри текста"),
    ("the content ends too early", "содержимое обрывается"),
    ("the file does not start as a workbook", "файл начинается не как книга"),
    (
        "the rows of the sheet are out of order",
        "строки листа стоят не по порядку",
    ),
    ("the sheet ends inside a cell", "лист обрывается внутри ячейки"),
    ("the sheet ends inside a row", "лист обрывается внутри строки"),
    ("the sheet ends too early", "лист обрывается"),
    ("the table of strings ends too early", "таблица текстов обрывается"),
    ("the table of strings is cut", "таблица текстов обрывается"),
    ("the workbook has no content", "в книге нет содержимого"),
    ("the workbook is missing", "в файле нет книги"),
    ("UTF-16LE", "UTF-16"),
    ("UTF-16BE", "UTF-16"),
    ("IBM866", "похоже на кодировку DOS (866)"),
    ("KOI8-R", "похоже на KOI8-R"),
    ("x-mac-cyrillic", "похоже на кириллицу старых Macintosh"),
    ("binary data", "двоичные данные, а не текст"),
];

impl Fault {
    /// What the file system says, or a reader on top of it.
    pub fn of_io(error: &std::io::Error) -> Self {
        Self::known_of_io(error).unwrap_or_else(|| Self::Unreadable(error.kind().to_string()))
    }

    /// What a reader of ours says through an error of input.
    pub(crate) fn known_of_io(error: &std::io::Error) -> Option<Self> {
        let is_stopped = error.get_ref().is_some_and(|inner| inner.is::<Stopped>());
        let over = OverLimit::of_io(error).map(Self::OverLimit);
        over.or_else(|| is_stopped.then_some(Self::Stopped))
    }

    /// A file that goes over a limit.
    pub fn over(what: Measure, limit: impl TryInto<u64>) -> Self {
        Self::OverLimit(OverLimit::new(what, limit.try_into().unwrap_or(u64::MAX)))
    }

    /// The same fault with the place where it was met, when it is one of a place.
    #[must_use]
    pub fn at(self, sheet: Option<&str>, row: u64) -> Self {
        match self {
            Self::OverLimit(over) => Self::OverLimit(OverLimit {
                sheet: sheet.map(|name| name.chars().take(LONGEST_SHEET_SHOWN).collect()),
                row: (row > 0).then_some(row),
                ..over
            }),
            other => other,
        }
    }

    /// What exactly is wrong, in Russian where it is known by heart; nothing for an empty file.
    pub fn detail_ru(&self) -> String {
        let detail = match self {
            Self::OverLimit(over) => return over.russian(),
            Self::Unreadable(detail) | Self::Damaged(detail) => detail.as_str(),
            Self::Unsupported(detail) | Self::Encoding(detail) => detail,
            Self::Empty => "",
            Self::Stopped => "чтение остановлено вместе со службой",
        };
        let known = DETAILS.iter().find(|(english, _)| *english == detail);
        let known = known.map(|(_, russian)| *russian);
        let stranger = || strangers::by_name(detail).map(|stranger| stranger.russian);
        match known.or_else(stranger) {
            Some(russian) => russian.to_owned(),
            // What a library says, as it says it.
            None if matches!(self, Self::Damaged(_)) => format!("содержимое не разбирается; для поддержки: {detail}"),
            None => detail.to_owned(),
        }
    }

    /// What people are to do with the file, in Russian, when that follows from what it is.
    pub fn cure_ru(&self) -> Option<&'static str> {
        match self {
            Self::Unsupported(what) => strangers::by_name(what).map(|stranger| stranger.cure),
            Self::Encoding("binary data") => strangers::by_name(strangers::NO_TABLE).map(|stranger| stranger.cure),
            Self::Encoding(_) => Some(strangers::ENCODING_CURE),
            _ => None,
        }
    }
}

/// Why a row can't be split into cells. It costs itself only: the rows after it are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowFault {
    /// More or fewer cells than the header has.
    CellCount {
        /// Columns of the header.
        expected: usize,
        /// Cells of the row.
        found: usize,
    },
    /// A quotation mark opens a cell and never closes it, or text follows the closing one.
    Quotes,
    /// Bytes that are no text in the encoding of the file.
    Encoding(&'static str),
    /// Zeros among its bytes: a part of the file is missing, or it is no text.
    Zeros,
    /// A cell names a text that is not in the workbook.
    NoString,
    /// A cell is longer than a spreadsheet holds.
    CellTooLong {
        /// The limit, characters.
        limit: usize,
    },
    /// Longer than a row may be.
    TooLong {
        /// The limit, bytes.
        limit: usize,
    },
    /// More cells than a spreadsheet has columns.
    TooWide {
        /// The limit, cells.
        limit: usize,
    },
}

impl RowFault {
    /// For operators.
    pub fn english(&self) -> String {
        match self {
            Self::CellCount { expected, found } => {
                let cells = if *found == 1 { "cell" } else { "cells" };
                format!("{found} {cells} instead of {expected}")
            }
            Self::Quotes => "broken quotation marks".into(),
            Self::Encoding(name) => format!("not valid {name}"),
            Self::Zeros => "zeros among its bytes".into(),
            Self::NoString => "a cell names a text that is not in the workbook".into(),
            Self::CellTooLong { limit } => format!("a cell is longer than {limit} characters"),
            Self::TooLong { limit } => format!("longer than {limit} bytes"),
            Self::TooWide { limit } => format!("more than {limit} cells"),
        }
    }

    /// For the people who made the file.
    pub fn russian(&self) -> String {
        match self {
            Self::CellCount { expected, found } => format!("ячеек {found}, а в заголовке {expected}"),
            Self::Quotes => "не закрыты или лишние кавычки".into(),
            Self::Encoding(name) => format!("строка не в кодировке {name}"),
            Self::Zeros => "в строке нулевые байты: часть файла не записана".into(),
            Self::NoString => "ячейка ссылается на текст, которого нет в книге: книга повреждена".into(),
            Self::CellTooLong { limit } => format!("ячейка длиннее {limit} знаков"),
            Self::TooLong { limit } => format!("строка длиннее {limit} байт"),
            Self::TooWide { limit } => format!("в строке больше {limit} ячеек"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// What the sources of a folder call a damage.
    fn damages(folder: &Path, into: &mut Vec<String>) {
        for entry in fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
        {
            if entry.is_dir() {
                damages(&entry, into);
                continue;
            }
            let source = fs::read_to_string(&entry).expect("a source");
            for call in source.split(concat!("amaged", "(\"")).skip(1) {
                into.extend(call.split_once('"').map(|(detail, _)| detail.to_owned()));
            }
        }
    }

    #[test]
    fn whatever_is_damaged_is_told_in_russian() {
        let mut details = Vec::new();
        damages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut details);
        assert!(details.len() > 10, "{details:?}");
        for detail in details {
            assert!(DETAILS.iter().any(|(english, _)| *english == detail), "{detail}");
        }
        let of_a_library = String::from("invalid header");
        let foreign = Fault::Damaged(of_a_library).detail_ru();
        assert!(foreign.starts_with("содержимое не разбирается"), "{foreign}");
    }
}
