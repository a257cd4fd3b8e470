//! What one file may be made of. Every limit is held by the type that reads, before the memory is taken, so that no
//! file, however it was made, costs more memory than a row does.

use std::{fmt, io};

/// Longest single text, tag or comment of a workbook, bytes: what is longer than a cell or a row may be costs its row, up to
/// this.
pub const LONGEST_CELL: usize = 4 * 1024 * 1024;
/// Longest cell, characters: what a spreadsheet holds.
pub const MOST_CHARACTERS: usize = 32_767;
/// Longest row: the texts of its cells together, bytes.
pub const LONGEST_ROW: usize = 1024 * 1024;
/// Blank rows read at once: one of so many is given out.
pub const MOST_BLANK: usize = 10_000;
/// Columns a row can have; what spreadsheets hold.
pub const MOST_COLUMNS: usize = 16_384;
/// Rows a sheet can have; what spreadsheets hold.
pub const MOST_ROWS: u64 = 1_048_576;
/// Sheets, and worksheets looked into for a header.
pub const MOST_SHEETS: usize = 256;
/// Parts of a workbook's container, relationships of a part.
pub const MOST_PARTS: usize = 10_000;
/// Bytes read to learn what parts a container has: thousands of names.
pub const LARGEST_DIRECTORY: u64 = 4 * 1024 * 1024;
/// Largest workbook list, relationship list or style table, bytes unpacked.
pub const LARGEST_SMALL_PART: u64 = 16 * 1024 * 1024;
/// Largest sheet or table of strings, bytes unpacked.
pub const LARGEST_PART: u64 = 16 * 1024 * 1024 * 1024;
/// Bytes of a part that come for nothing; beyond them each packed byte may give [`MOST_RATIO`].
pub const FREE_UNPACKED: u64 = 16 * 1024 * 1024;
/// Texts and numbers pack 5 to 40 times; what packs 200 times holds one thing over and over.
pub const MOST_RATIO: u64 = 200;
/// Largest XLS, bytes: it is read into memory.
pub const LARGEST_XLS: u64 = 16 * 1024 * 1024;
/// Shared strings of a workbook.
pub const MOST_STRINGS: usize = 8_000_000;
/// Shared strings of a workbook together, bytes; they go to a temporary file.
pub const LARGEST_STRINGS: u64 = 4 * 1024 * 1024 * 1024;
/// Cell styles; Excel itself stops at 65 490.
pub const MOST_STYLES: usize = 200_000;
/// Merged areas that are told.
pub const MOST_MERGED: usize = 100_000;
/// Deepest nesting of elements in a part; workbooks have about ten.
pub const DEEPEST: usize = 256;
/// Longest name of an element, bytes.
pub const LONGEST_NAME: usize = 1024;
/// Bytes of text that the rows of any file may give; beyond them each byte of the file may give [`MOST_RATIO`].
pub const FREE_TEXTS: u64 = 64 * 1024 * 1024;
/// Texts of a table that is read whole ([`PlainTable`](crate::PlainTable)), bytes.
pub const LARGEST_TABLE: usize = 1024 * 1024 * 1024;

/// Bytes of text that the rows of a file of this size may give together. One text may stand in every row of a workbook
/// for a few bytes each, and a header stands in every row that is stored.
pub fn most_texts(size: u64) -> u64 {
    FREE_TEXTS.max(size.saturating_mul(MOST_RATIO))
}

/// Whether a text is longer than a cell may be.
pub(crate) fn is_too_long(text: &str) -> bool {
    text.len() > MOST_CHARACTERS && text.chars().count() > MOST_CHARACTERS
}

/// What was too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// One text, tag or comment.
    Piece,
    /// One cell.
    Cell,
    /// A part, unpacked.
    Part,
    /// A part, unpacked, against what it is packed.
    Ratio,
    /// The list of parts.
    Directory,
    /// Parts or links between them.
    Parts,
    /// Sheets.
    Sheets,
    /// Rows of a sheet.
    Rows,
    /// Shared strings by number.
    Strings,
    /// Shared strings by size.
    StringBytes,
    /// Cell styles.
    Styles,
    /// Merged areas.
    Merged,
    /// Nesting of elements.
    Depth,
    /// Name of an element.
    Name,
    /// A table that is read whole.
    Table,
    /// Texts of all rows, against the size of the file.
    Texts,
}

/// A limit that a file went over, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverLimit {
    /// What was too much.
    pub what: Measure,
    /// The limit.
    pub limit: u64,
    /// Name of the sheet.
    pub sheet: Option<String>,
    /// Number of the row that was being read.
    pub row: Option<u64>,
}

impl OverLimit {
    /// A limit of the file as a whole.
    pub fn new(what: Measure, limit: u64) -> Self {
        Self {
            what,
            limit,
            sheet: None,
            row: None,
        }
    }

    /// The limit an error of a reader stands for.
    pub fn of_io(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref::<Self>().cloned()
    }

    /// As an error of a reader.
    pub fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// For the people who made the file.
    pub fn russian(&self) -> String {
        let limit = self.limit;
        let what = match self.what {
            Measure::Piece => format!("одна ячейка, тег или примечание длиннее {limit} байт"),
            Measure::Cell => format!("одна ячейка длиннее {limit} байт"),
            Measure::Part => format!("часть книги после распаковки больше {limit} байт"),
            Measure::Ratio => {
                format!("часть книги сжата больше чем в {limit} раз: так сжимается только повторение одного и того же")
            }
            Measure::Directory => format!("оглавление архива больше {limit} байт"),
            Measure::Parts => format!("в книге больше {limit} частей"),
            Measure::Sheets => format!("в книге больше {limit} листов"),
            Measure::Rows => format!("в листе больше {limit} строк"),
            Measure::Strings => format!("в книге больше {limit} разных текстов"),
            Measure::StringBytes => format!("тексты книги вместе больше {limit} байт"),
            Measure::Styles => format!("в книге больше {limit} стилей ячеек"),
            Measure::Merged => format!("объединённых ячеек больше {limit}"),
            Measure::Depth => format!("вложенность разметки глубже {limit}"),
            Measure::Name => format!("имя тега длиннее {limit} байт"),
            Measure::Table => format!("таблица, которая читается целиком, больше {limit} байт"),
            Measure::Texts => format!(
                "строки вместе дают больше {limit} байт текста, для файла такого размера это невозможно: одно и то же \
                 повторено в каждой строке"
            ),
        };
        match (&self.sheet, self.row) {
            (Some(sheet), Some(row)) => format!("лист «{sheet}», строка {row}: {what}"),
            (Some(sheet), None) => format!("лист «{sheet}»: {what}"),
            (None, Some(row)) => format!("строка {row}: {what}"),
            (None, None) => what,
        }
    }
}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(sheet) = &self.sheet {
            write!(f, "sheet `{sheet}`, ")?;
        }
        if let Some(row) = self.row {
            write!(f, "row {row}: ")?;
        }
        let limit = self.limit;
        match self.what {
            Measure::Piece => write!(f, "a cell, tag or comment is longer than {limit} bytes"),
            Measure::Cell => write!(f, "a cell is longer than {limit} bytes"),
            Measure::Part => write!(f, "a part has more than {limit} bytes unpacked"),
            Measure::Ratio => write!(f, "a part is packed more than {limit} times"),
            Measure::Directory => write!(f, "the list of parts has more than {limit} bytes"),
            Measure::Parts => write!(f, "more than {limit} parts"),
            Measure::Sheets => write!(f, "more than {limit} sheets"),
            Measure::Rows => write!(f, "more than {limit} rows"),
            Measure::Strings => write!(f, "more than {limit} shared strings"),
            Measure::StringBytes => write!(f, "the shared strings have more than {limit} bytes"),
            Measure::Styles => write!(f, "more than {limit} cell styles"),
            Measure::Merged => write!(f, "more than {limit} merged areas"),
            Measure::Depth => write!(f, "elements are nested deeper than {limit}"),
            Measure::Name => write!(f, "the name of an element is longer than {limit} bytes"),
            Measure::Table => write!(f, "a table that is read whole has more than {limit} bytes"),
            Measure::Texts => write!(
                f,
                "the rows give more than {limit} bytes of text together, far beyond the size of the file"
            ),
        }
    }
}

impl std::error::Error for OverLimit {}
