//! All kinds of workbooks behind one door.

use super::*;
use crate::sniff::{Promise, ReadAs, Start};

/// What a fuzzer begins with, besides workbooks of XLSX; see `scripts/fuzz.sh`.
#[test]
fn seeds_of_the_fuzzer() {
    let folder = std::env::var_os("PRIEM_FUZZ_SEEDS").map(|folder| std::path::PathBuf::from(folder).join("workbook"));
    for (kind, bytes) in [
        ("xls", xls::Made::new(xls::every_kind_of_cell()).file()),
        ("xlsb", xlsb::sample()),
        ("ods", ods::sample()),
    ] {
        assert_eq!(Workbook::open(&source(&bytes)).expect("a workbook").kind(), kind);
        assert!(!rows(&bytes, "Данные").expect("rows").is_empty(), "{kind}");
        if let Some(folder) = &folder {
            fs::create_dir_all(folder).expect("a folder");
            fs::write(folder.join(kind), bytes).expect("written");
        }
    }
}

#[test]
fn the_content_says_what_a_workbook_is_and_not_its_name() {
    let xls = xls::Made::new(xls::every_kind_of_cell()).file();
    let ods = archive(&[
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        ("content.xml", b"<a><table:table table:name=\"a\"/></a>"),
    ]);
    for (bytes, kind) in [(xls, "xls"), (ods, "ods")] {
        for name in ["a.xlsx", "a.xls", "a.csv", "a.ods", "a.xlsb"] {
            let start = Start::of(&source(&bytes)).expect("read");
            assert_eq!(start.kind().read_as(Some(name)), Ok(ReadAs::Workbook), "{name}");
        }
        assert_eq!(Workbook::open(&source(&bytes)).expect("a workbook").kind(), kind);
    }
    for name in ["a.xlsx", "a.XLSB", "a.ods", "a.xltx", "a.xlsm", "a.ots"] {
        assert_eq!(Promise::of(name), Promise::Workbook, "{name}");
    }
}

#[test]
fn a_stranger_is_told_what_it_is_and_what_to_do() {
    for (bytes, word) in [
        (b"%PDF-1.7 x".as_slice(), "PDF"),
        (b"<html><table>", "HTML"),
        (b"\xEF\xBB\xBF\r\n<!DOCTYPE html>", "HTML"),
        (b"MIME-Version: 1.0\r\n", "HTML"),
        (b"\xFF\xFE<\0h\0t\0m\0l\0>\0", "HTML"),
        (
            b"<?xml version=\"1.0\"?><Workbook xmlns=\"urn:schemas-microsoft-com:office:spreadsheet\">",
            "2003",
        ),
        (b"<?xml version=\"1.0\"?><office:document>", ".fods"),
        (b"<?xml version=\"1.0\"?><a/>", "XML"),
        (b"Rar!\x1a\x07\0", "RAR"),
        (b"\x1F\x8B\x08\0", "gzip"),
        (b"{\\rtf1", "RTF"),
        (b"ID;PWXL;N;E", "SYLK"),
        (b"\x89PNG\r\n\x1a\n\0", "картинка"),
    ] {
        for name in ["a.xls", "a.xlsx", "a.csv"] {
            let start = Start::of(&source(bytes)).expect("read");
            let fault = start.kind().read_as(Some(name)).expect_err("no table");
            assert!(fault.detail_ru().contains(word), "{word}: {}", fault.detail_ru());
            assert!(
                fault
                    .cure_ru()
                    .is_some_and(|cure| cure.contains("положите") || cure.contains("выгрузите")),
                "{word}"
            );
        }
    }
}
