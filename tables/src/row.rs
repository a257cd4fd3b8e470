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
        }
    }

    /// Whether nothing stands in it.
    pub fn is_blank(&self) -> bool {
        self.broken.is_none() && self.cells.iter().all(|cell| cell.trim().is_empty())
    }
}
