//! One row of a file, whatever the file is.

use crate::fault::RowFault;

/// A row as the file gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRow {
    /// Number of the row as a spreadsheet shows it; the first is 1. In CSV a record is a row.
    pub number: u64,
    /// Texts of the cells from the first column on; missing cells are empty.
    pub cells: Vec<String>,
    /// Why the row can't be read.
    pub broken: Option<Broken>,
    /// What is to be known of single cells beside their texts.
    pub notes: Vec<Note>,
}

/// Something to be known of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// Position of its column.
    pub column: usize,
    /// What it is.
    pub what: Noted,
}

/// What is to be known of a cell beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// It holds a number that its format shows as a date or a time: it reads as ISO. Where no date belongs, Excel made it
    /// of something else: of the house «5/1».
    ShownAsDate,
    /// Its text is the stored result of a formula. Programs that do not reckon leave a zero.
    Formula,
    /// It is empty, and holds a formula whose result nobody has stored.
    NoResult,
}

/// A row that could not be split or decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// What is wrong.
    pub fault: RowFault,
    /// Its bytes.
    pub line: Vec<u8>,
}

impl RawRow {
    /// A row that could be split.
    pub fn good(number: u64, cells: Vec<String>) -> Self {
        Self {
            number,
            cells,
            broken: None,
            notes: Vec::new(),
        }
    }

    /// A row that could not.
    pub fn broken(number: u64, fault: RowFault, line: &[u8]) -> Self {
        Self {
            number,
            cells: Vec::new(),
            broken: Some(Broken {
                fault,
                line: line.to_vec(),
            }),
            notes: Vec::new(),
        }
    }

    /// Whether something is to be known of a cell.
    pub fn is_noted(&self, column: usize, what: Noted) -> bool {
        self.notes.contains(&Note { column, what })
    }

    /// Whether nothing stands in it.
    pub fn is_blank(&self) -> bool {
        self.broken.is_none() && self.cells.iter().all(|cell| cell.trim().is_empty())
    }
}
