//! A table while it is checked: which row is the header, and errors that name file, sheet, cell and cure.

use std::path::{Path, PathBuf};

use priem_tables::PlainTable;

use super::columns::Column;
use crate::language::error::RuleError;

/// Rows looked at to find the header: titles may stand above it.
const TITLES: usize = 10;
/// Known columns that make a row a header.
const HEADER: usize = 2;

/// A table and what was found wrong in it.
pub(super) struct Sheet<'t> {
    file: PathBuf,
    name: Option<String>,
    /// The header: number of its row and its cells.
    pub(super) header: (u64, &'t [String]),
    /// What stands below: numbers of the rows and their cells.
    pub(super) rows: &'t [(u64, Vec<String>)],
    pub(super) errors: Vec<RuleError>,
}

impl<'t> Sheet<'t> {
    /// Finds the header and reports what is wrong with the sheet as a whole.
    pub(super) fn new(file: &Path, name: Option<&str>, table: &'t PlainTable) -> Self {
        let mut sheet = Self {
            file: file.to_owned(),
            name: name.map(str::to_owned),
            header: (table.header_row, &table.header),
            rows: &table.rows,
            errors: Vec::new(),
        };
        let known = |cells: &[String]| cells.iter().filter(|cell| Column::of(cell).is_some()).count();
        if known(sheet.header.1) < HEADER {
            let lower = table.rows.iter().take(TITLES);
            if let Some(at) = lower.into_iter().position(|(_, cells)| known(cells) >= HEADER) {
                sheet.header = (table.rows[at].0, &table.rows[at].1);
                sheet.rows = &table.rows[at + 1..];
            }
        }
        for &row in &table.broken_rows {
            sheet.row_error(
                row,
                "строка не читается: незакрытая кавычка или другая кодировка",
                "исправьте строку или сохраните файл заново",
            );
        }
        for range in &table.merged {
            let (start, end) = range.split_once(':').unwrap_or((range, range));
            if row_of(end).is_none_or(|row| row >= sheet.header.0) {
                sheet.error(
                    row_of(start).unwrap_or(sheet.header.0),
                    String::new(),
                    format!("ячейки {range} объединены: значение видно только в первой из них"),
                    "снимите объединение и впишите значение в каждую строку".to_owned(),
                );
            }
        }
        sheet
    }

    /// Notes what is wrong with a cell.
    pub(super) fn cell_error(
        &mut self,
        row: u64,
        column: usize,
        quote: &str,
        problem: impl std::fmt::Display,
        cure: impl Into<String>,
    ) {
        let problem = format!("ячейка {}: {problem}", cell(row, column));
        self.error(row, quote.trim().chars().take(120).collect(), problem, cure.into());
    }

    /// Notes what is wrong with a row.
    pub(super) fn row_error(&mut self, row: u64, problem: impl std::fmt::Display, cure: impl Into<String>) {
        self.error(row, String::new(), format!("строка {row}: {problem}"), cure.into());
    }

    fn error(&mut self, row: u64, quote: String, problem: String, cure: String) {
        let problem = match &self.name {
            Some(name) => format!("лист «{name}», {problem}"),
            None => problem,
        };
        self.errors.push(RuleError {
            file: self.file.clone(),
            line: u32::try_from(row).unwrap_or(u32::MAX),
            quote,
            problem,
            cure,
            environment: false,
        });
    }
}

/// «D7».
pub(super) fn cell(row: u64, column: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        let digit = u8::try_from((rest - 1) % 26).expect("below 26");
        letters.push(char::from(b'A' + digit));
        rest = (rest - 1) / 26;
    }
    let letters: String = letters.into_iter().rev().collect();
    format!("{letters}{row}")
}

/// The row of «D7».
fn row_of(cell: &str) -> Option<u64> {
    cell.trim_start_matches(|letter: char| letter.is_ascii_alphabetic())
        .parse()
        .ok()
}

/// A text as it is compared: without case, ё, outer and double spaces.
pub(super) fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase().replace('ё', "е")
}
