//! What can be wrong with a table as a whole, or with one row of it. The English texts never quote what stands in cells:
//! they go to logs and quarantine listings. What people are to do is said by whoever knows where the file came from.

use crate::limits::{Measure, OverLimit};

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
}

/// English details of [`Fault`] in Russian; others (names of encodings, words of the XML reader) stay as they are.
const DETAILS: &[(&str, &str)] = &[
    ("neither XLSX nor CSV", "это не XLSX и не CSV"),
    (
        "an old Excel file (.xls) or one protected by a password",
        "старый файл Excel (.xls) или книга с паролем",
    ),
    ("a workbook protected by a password", "книга с паролем"),
    ("an archive without a workbook in it", "архив, в котором нет книги"),
    (
        "the file does not start as a workbook",
        "начало файла не похоже на книгу",
    ),
    ("binary data", "двоичные данные, а не текст"),
];

impl Fault {
    /// What the file system says.
    pub fn of_io(error: &std::io::Error) -> Self {
        Self::Unreadable(error.kind().to_string())
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
        };
        let known = DETAILS.iter().find(|(english, _)| *english == detail);
        known.map_or(detail, |(_, russian)| russian).to_owned()
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
            Self::TooLong { limit } => format!("строка длиннее {limit} байт"),
            Self::TooWide { limit } => format!("в строке больше {limit} ячеек"),
        }
    }
}
