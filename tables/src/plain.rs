//! Any table by its header, without a mapping: for tools that look at history, not for intake.
//!
//! The first row that is not blank is the header. Encoding and delimiter of a CSV are found as for an export; of a
//! workbook the first sheet with something in it is read.

use std::path::Path;

use crate::{
    book::Workbook,
    csv::CsvRows,
    dialect::Delimiter,
    fault::Fault,
    limits::{LARGEST_TABLE, Measure},
    row::RawRow,
    sniff::{Kind, ReadAs, Start},
    source::Source,
};

/// A whole table in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlainTable {
    /// Texts of the header, trimmed.
    pub header: Vec<String>,
    /// Number of the row as a spreadsheet shows it, and its cells; missing cells are empty or absent.
    pub rows: Vec<(u64, Vec<String>)>,
    /// Rows that could not be split or decoded and are left out.
    pub broken: usize,
    /// Number of the row of the header.
    pub header_row: u64,
    /// Numbers of the broken rows.
    pub broken_rows: Vec<u64>,
    /// Merged cells of the sheet, «A2:B5»; only of a table read [strictly](Self::read_strictly).
    pub merged: Vec<String>,
}

impl PlainTable {
    /// Reads an XLSX or CSV file. Large tables of strings of a workbook go to `scratch`.
    ///
    /// # Errors
    /// What is wrong with the file as a whole, in English.
    pub fn read(path: &Path, scratch: &Path) -> Result<Self, String> {
        read(path, scratch, None, false).map_err(|fault| fault.to_string())
    }

    /// Reads a table that people keep as a setting: one sheet when it is named, formulas that failed as their error
    /// («#N/A») rather than as nothing, and the merged cells are told.
    ///
    /// # Errors
    /// What is wrong with the file as a whole, in English.
    pub fn read_strictly(path: &Path, scratch: &Path, sheet: Option<&str>) -> Result<Self, String> {
        read(path, scratch, sheet, true).map_err(|fault| fault.to_string())
    }

    /// Names of the sheets of a workbook; none for a text file.
    ///
    /// # Errors
    /// What is wrong with the file as a whole, in English.
    pub fn sheet_names(path: &Path) -> Result<Vec<String>, String> {
        let Ok(source) = Source::open(path) else {
            return Ok(Vec::new());
        };
        if Start::of(&source).is_ok_and(|start| !matches!(start.kind(), Kind::Container | Kind::OldOffice)) {
            return Ok(Vec::new());
        }
        let book = Workbook::open(&source).map_err(|fault| fault.to_string())?;
        Ok(book.sheet_names().map(str::to_owned).collect())
    }

    /// Position of a column, by its header without regard to case and outer spaces.
    pub fn column(&self, name: &str) -> Option<usize> {
        let wanted = name.trim().to_lowercase();
        self.header.iter().position(|title| title.to_lowercase() == wanted)
    }
}

fn read(path: &Path, scratch: &Path, wanted: Option<&str>, strict: bool) -> Result<PlainTable, Fault> {
    let source = Source::open(path).map_err(|error| Fault::of_io(&error))?;
    let start = Start::of(&source)?;
    if start.kind().read_as(None)? == ReadAs::Workbook {
        let book = Workbook::open(&source)?;
        let mut strings = book.strings(scratch)?;
        for sheet in book
            .sheet_names()
            .filter(|name| wanted.is_none_or(|wanted| wanted == *name))
        {
            let mut rows = book.rows(sheet, strings)?;
            if strict {
                rows.be_strict();
            }
            let mut table = collect(|| rows.next_row())?;
            if !table.header.is_empty() {
                table.merged = rows.take_merged();
                return Ok(table);
            }
            strings = rows.into_strings();
        }
        return Err(Fault::Empty);
    }
    let dialect = start.dialect(None, Delimiter::OfHeader)?;
    let mut rows = CsvRows::new(source, dialect.mark, 1, dialect)?;
    let table = collect(|| rows.next_row())?;
    if table.header.is_empty() {
        return Err(Fault::Empty);
    }
    Ok(table)
}

fn collect(mut next: impl FnMut() -> Result<Option<RawRow>, Fault>) -> Result<PlainTable, Fault> {
    let mut table = PlainTable::default();
    let mut bytes = 0_usize;
    while let Some(row) = next()? {
        // A cell costs its text and its place.
        bytes += row
            .cells
            .iter()
            .map(|cell| cell.len() + size_of::<String>())
            .sum::<usize>();
        if bytes > LARGEST_TABLE {
            return Err(Fault::over(Measure::Table, LARGEST_TABLE));
        }
        if row.broken.is_some() {
            table.broken += 1;
            table.broken_rows.push(row.number);
        } else if row.is_blank() {
        } else if table.header.is_empty() {
            table.header_row = row.number;
            table.header = row.cells.iter().map(|cell| cell.trim().to_owned()).collect();
        } else {
            table.rows.push((row.number, row.cells));
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_is_read_by_its_header() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.csv");
        std::fs::write(&file, "\u{feff}Текст;Отрасль\n\n\"две\nстроки\";roads\n").expect("written");
        let table = PlainTable::read(&file, dir.path()).expect("a table");
        assert_eq!(table.column(" текст "), Some(0));
        assert_eq!(table.column("нет"), None);
        assert_eq!(table.rows.len(), 1);
        assert_eq!(table.rows[0].1, ["две\nстроки", "roads"]);
    }

    #[test]
    fn semicolons_in_a_text_are_no_delimiters() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.csv");
        std::fs::write(&file, "text,code\nЯма&nbsp;на&nbsp;дороге&nbsp;давно,roads\n").expect("written");
        let table = PlainTable::read(&file, dir.path()).expect("a table");
        assert_eq!(table.header, ["text", "code"]);
        assert_eq!(table.rows[0].1[1], "roads");
    }

    #[test]
    fn an_old_workbook_is_called_by_its_name() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.csv");
        std::fs::write(&file, b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\0\0").expect("written");
        let problem = PlainTable::read(&file, dir.path()).expect_err("no table");
        assert!(problem.contains("old Office"), "{problem}");
        assert!(PlainTable::sheet_names(&file).is_err());
    }

    #[test]
    fn an_empty_file_is_a_problem() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.csv");
        std::fs::write(&file, "").expect("written");
        assert!(PlainTable::read(&file, dir.path()).is_err());
        assert!(PlainTable::read(&dir.path().join("none.csv"), dir.path()).is_err());
    }
}
