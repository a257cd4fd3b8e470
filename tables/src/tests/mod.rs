//! Workbooks of every kind, made in code, against calamine and against damage.

mod kinds;
mod ods;
mod xls;
mod xlsb;

use std::{collections::BTreeMap, fs, io::Write as _};

use calamine::{Data, Reader as _};
use proptest::prelude::*;

use crate::{
    book::{Visibility, Workbook},
    fault::{Fault, RowFault},
    row::{Noted, RawRow},
    source::Source,
    strangers,
};

/// What stands in a sheet: text by row and column, both from one.
pub(crate) type Cells = BTreeMap<(u64, usize), String>;

/// A file of these bytes that lives as long as the test.
fn source(bytes: &[u8]) -> Source {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    Source::from(file)
}

fn archive(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in parts {
        archive
            .start_file(*name, zip::write::SimpleFileOptions::default())
            .expect("a part");
        archive.write_all(content).expect("written");
    }
    archive.finish().expect("finished").into_inner()
}

fn rows(bytes: &[u8], sheet: &str) -> Result<Vec<RawRow>, Fault> {
    let book = Workbook::open(&source(bytes))?;
    let scratch = tempfile::tempdir().expect("scratch");
    let mut rows = book.rows(sheet, book.strings(scratch.path())?)?;
    let mut out = Vec::new();
    while let Some(row) = rows.next_row()? {
        out.push(row);
    }
    // From any row on, the rest is the same.
    for (index, row) in out.iter().enumerate().take(20) {
        let mut rest = book.rows(sheet, book.strings(scratch.path())?)?;
        rest.skip_to(row.number)?;
        assert_eq!(rest.next_row()?.as_ref(), out.get(index + 1));
    }
    Ok(out)
}

pub(crate) fn ours(bytes: &[u8], sheet: &str) -> Cells {
    let cells = |row: RawRow| {
        let number = row.number;
        assert_eq!(row.broken, None);
        row.cells
            .into_iter()
            .enumerate()
            .map(move |(column, text)| ((number, column + 1), text))
    };
    rows(bytes, sheet)
        .expect("rows")
        .into_iter()
        .flat_map(cells)
        .filter(|(_, text)| !text.is_empty())
        .collect()
}

/// Every cell as calamine reads it, in our words for booleans, days and times.
pub(crate) fn of_calamine(bytes: &[u8], name: &str, sheet: &str) -> Cells {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("written");
    let mut book = calamine::open_workbook_auto(&path).expect("calamine opens it");
    let range = book.worksheet_range(sheet).expect("the sheet");
    let (top, left) = range.start().unwrap_or_default();
    let text = |value: &Data| match value {
        Data::Empty => String::new(),
        Data::Error(error) => error.to_string(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Float(number) => number.to_string(),
        Data::Int(number) => number.to_string(),
        Data::Bool(true) => "да".into(),
        Data::Bool(false) => "нет".into(),
        Data::DateTime(at) => {
            let (year, month, day, hour, minute, second, _) = at.to_ymd_hms_milli();
            match (at.as_f64() < 1.0, hour + minute + second) {
                (true, _) => format!("{hour}:{minute:02}:{second:02}"),
                (false, 0) => format!("{year}-{month:02}-{day:02}"),
                (false, _) => format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"),
            }
        }
    };
    let cells = range.used_cells().map(|(row, column, value)| {
        let (row, column) = (row as u64 + u64::from(top) + 1, column + left as usize + 1);
        ((row, column), text(value))
    });
    cells.filter(|(_, text)| !text.is_empty()).collect()
}

fn sheets(bytes: &[u8]) -> Vec<(String, Visibility, bool)> {
    let book = Workbook::open(&source(bytes)).expect("a workbook");
    let sheets = book.sheets().iter();
    sheets
        .map(|sheet| (sheet.name.clone(), sheet.visibility, sheet.unreadable.is_some()))
        .collect()
}
