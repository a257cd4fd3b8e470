//! The reader of workbooks against calamine, and against damage.

use std::{fs, path::Path};

use calamine::{Data, Reader as _};
use priem_city::exports::{self, ExportSpec, Format, Layout, sample_voice};
use proptest::prelude::*;
use rust_xlsxwriter::{ExcelDateTime, Format as CellFormat, Formula, Workbook as Writer};

mod kinds;
mod twins;

use crate::{book::Workbook, fault::Fault, row::RawRow, source::Source};

fn read(path: &Path, sheet: &str) -> Result<Vec<RawRow>, Fault> {
    let book = Workbook::open(&Source::open(path).expect("open"))?;
    let scratch = tempfile::tempdir().expect("scratch");
    let mut rows = book.rows(sheet, book.strings(scratch.path())?)?;
    let mut out = Vec::new();
    while let Some(row) = rows.next_row()? {
        out.push(row);
    }
    Ok(out)
}

/// Every text cell as calamine reads it.
fn calamine_texts(path: &Path, sheet: &str) -> Vec<(u64, usize, String)> {
    let mut book: calamine::Xlsx<_> = calamine::open_workbook(path).expect("calamine opens it");
    let range = book.worksheet_range(sheet).expect("the sheet");
    let (top, left) = range.start().expect("cells");
    range
        .used_cells()
        .filter_map(|(row, column, value)| match value {
            Data::String(text) if !text.is_empty() => {
                Some((row as u64 + u64::from(top) + 1, column + left as usize, text.clone()))
            }
            _ => None,
        })
        .collect()
}

fn our_texts(rows: &[RawRow]) -> Vec<(u64, usize, String)> {
    rows.iter()
        .flat_map(|row| {
            row.cells
                .iter()
                .enumerate()
                .filter(|(_, text)| !text.is_empty())
                .map(|(column, text)| (row.number, column, text.clone()))
        })
        .collect()
}

#[test]
fn every_cell_is_what_calamine_reads() {
    let folder = tempfile::tempdir().expect("folder");
    for (name, shared_strings, layout) in [
        ("a.xlsx", true, Layout::Plain),
        ("b.xlsx", false, Layout::Wide),
        ("c.xlsx", true, Layout::Shifted),
    ] {
        let path = folder.path().join(name);
        let spec = ExportSpec::new(5, 300)
            .with_trouble()
            .layout(layout)
            .format(Format::Xlsx {
                shared_strings,
                dates_as_numbers: false,
            });
        exports::write(&path, &spec, &mut sample_voice).expect("written");
        let ours = read(&path, "Лист1").expect("read");
        assert_eq!(our_texts(&ours), calamine_texts(&path, "Лист1"), "{name}");
    }
}

#[test]
fn a_table_of_strings_larger_than_memory_allows_is_spilled_and_read_back() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("large.xlsx");
    let mut book = Writer::new();
    let sheet = book.add_worksheet_with_low_memory().expect("sheet");
    let long = "ж".repeat(8_000);
    let text = |row: u32| format!("{row} {long}");
    for row in 0..1_500u32 {
        sheet.write_string(row, 0, text(row)).expect("cell");
        // Named again later, out of order.
        sheet.write_string(row, 1, text(row / 2)).expect("cell");
    }
    book.save(&path).expect("saved");
    let rows = read(&path, "Sheet1").expect("read");
    assert_eq!(rows.len(), 1_500);
    for (index, row) in (0u32..).zip(&rows) {
        assert_eq!(row.cells, [text(index), text(index / 2)]);
    }
}

#[test]
fn values_of_every_kind_become_text() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("kinds.xlsx");
    let mut book = Writer::new();
    let sheet = book.add_worksheet();
    let date = CellFormat::new().set_num_format("dd.mm.yyyy");
    let duration = CellFormat::new().set_num_format("[h]:mm:ss");
    let at = ExcelDateTime::from_ymd(2026, 1, 5).expect("date");
    let moment = ExcelDateTime::parse_from_str("2026-01-05T10:30:15").expect("date");
    sheet.write_number(1, 0, 7_000_001).expect("cell");
    sheet.write_number(1, 1, 0.5).expect("cell");
    sheet.write_datetime_with_format(1, 2, &at, &date).expect("cell");
    sheet.write_datetime_with_format(1, 3, &moment, &date).expect("cell");
    sheet.write_number_with_format(1, 4, 1.5, &duration).expect("cell");
    sheet.write_boolean(1, 5, true).expect("cell");
    sheet
        .write_formula(1, 6, Formula::new("=1+1").set_result("два & три"))
        .expect("cell");
    sheet.write_string(1, 7, "a\r\n<b>&\"_x000D_\t").expect("cell");
    sheet.write_string(1, 9, "после пустой").expect("cell");
    book.save(&path).expect("saved");
    let rows = read(&path, "Sheet1").expect("read");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].number, 2);
    let expected = [
        "7000001",
        "0.5",
        "2026-01-05",
        "2026-01-05T10:30:15",
        "36:00:00",
        "да",
        "два & три",
        "a\r\n<b>&\"_x000D_\t",
        "",
        "после пустой",
    ];
    assert_eq!(rows[0].cells, expected);
}

#[test]
fn skipping_ends_where_reading_ends() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("skip.xlsx");
    exports::write(&path, &ExportSpec::new(5, 60).with_trouble(), &mut sample_voice).expect("written");
    let all = read(&path, "Лист1").expect("read");
    let book = Workbook::open(&Source::open(&path).expect("open")).expect("open");
    for row in &all {
        let mut rows = book
            .rows("Лист1", book.strings(folder.path()).expect("strings"))
            .expect("rows");
        rows.skip_to(row.number).expect("skipped");
        let next = rows.next_row().expect("read");
        assert_eq!(next.as_ref(), all.iter().find(|other| other.number > row.number));
    }
}

#[test]
fn a_changed_byte_is_noticed() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("flip.xlsx");
    exports::write(&path, &ExportSpec::new(5, 200), &mut sample_voice).expect("written");
    let bytes = fs::read(&path).expect("read");
    let good = read(&path, "Лист1").expect("read");
    let mut noticed = 0;
    for at in (60..bytes.len()).step_by(bytes.len() / 60) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x55;
        fs::write(&path, &changed).expect("write");
        match read(&path, "Лист1") {
            Ok(rows) => assert!(rows == good, "byte {at} changed a value and nobody noticed"),
            Err(_) => noticed += 1,
        }
    }
    assert!(noticed > 10, "{noticed}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_workbooks_are_refused_without_a_panic(cut in 0usize..100, flip in 0usize..10_000, mask in 1u8..) {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.xlsx");
        exports::write(&path, &ExportSpec::new(1, 20), &mut sample_voice).expect("written");
        let mut bytes = fs::read(&path).expect("read");
        let at = flip % bytes.len();
        bytes[at] ^= mask;
        bytes.truncate(bytes.len() * (100 - cut) / 100);
        fs::write(&path, &bytes).expect("write");
        let _ = read(&path, "Лист1");
    }
}
