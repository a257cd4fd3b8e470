//! CSV as it comes.

use proptest::prelude::*;

use super::*;
use crate::{
    dialect::Delimiter,
    encoding::Encoding,
    sniff::{Kind, Start},
};

/// What the `csv` crate makes of a text.
fn csv_crate(text: &[u8], delimiter: u8) -> Vec<Vec<Vec<u8>>> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text);
    let records = reader.byte_records().map(|record| record.expect("a record"));
    records
        .map(|record| record.iter().map(<[u8]>::to_vec).collect())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Well-formed CSV reads as with the `csv` crate.
    #[test]
    fn well_formed_csv_is_read_as_the_csv_crate_reads_it(
        rows in prop::collection::vec(prop::collection::vec("[a-zя\";,\n ]{0,12}", 3), 1..20),
        delimiter in prop::sample::select(vec![b';', b',', b'\t']),
    ) {
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
        for row in &rows {
            writer.write_record(row).expect("written");
        }
        let text = writer.into_inner().expect("flushed");
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.csv");
        std::fs::write(&path, &text).expect("write");
        let file = Source::open(&path).expect("open");
        let dialect = Dialect { encoding: Encoding::Utf8, mark: 0, delimiter, line_end: LineEnd::Feed };
        let mut ours = CsvRows::new(file, 0, 1, dialect).expect("rows");
        ours.expect_width(3);
        let mut found = Vec::new();
        while let Some(row) = ours.next_row().expect("row") {
            prop_assert!(row.broken.is_none());
            found.push(row.cells.into_iter().map(String::into_bytes).collect::<Vec<_>>());
        }
        let mut expected = csv_crate(&text, delimiter);
        expected.retain(|row| row.iter().any(|cell| !cell.iter().all(u8::is_ascii_whitespace)));
        prop_assert_eq!(found, expected);
    }
}

/// All rows from where the reader stands.
fn rest(rows: &mut CsvRows) -> Vec<(u64, RawRow)> {
    std::iter::from_fn(|| {
        let row = rows.next_row().expect("a row")?;
        Some((rows.offset(), row))
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the bytes are: no panic, and reading that starts again behind any row gives the rows that follow.
    #[test]
    fn any_bytes_are_rows_and_from_any_row_on_the_same(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "1", "22", ";", ";", "\n", "\r\n", "\r", "\r\r\n", "\"", "\"", "яма", "😀", " ", "\0", "\u{1a}", "сутки прочь", ",",
        ]), 0..60),
        encoding in prop::sample::select(vec![
            Encoding::Utf8, Encoding::Windows1251, Encoding::Cp866, Encoding::Utf16Le, Encoding::Utf16Be,
        ]),
        line_end in prop::sample::select(vec![LineEnd::Feed, LineEnd::Return]),
        delimiter in prop::sample::select(vec![b';', b',']),
        width in 0usize..5,
    ) {
        let text = format!("1;2;3\n{}", pieces.concat());
        let bytes = match encoding {
            Encoding::Utf16Le => utf16(&text, false, u16::to_le_bytes),
            Encoding::Utf16Be => utf16(&text, false, u16::to_be_bytes),
            _ => text.into_bytes(),
        };
        let mut file = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut file, &bytes).expect("written");
        let dialect = Dialect { encoding, mark: 0, delimiter, line_end };
        let mut rows = CsvRows::new(Source::from(file), 0, 1, dialect).expect("rows");
        rows.expect_header(&vec!["а".to_owned(); width]).expect("looked at");
        let all = rest(&mut rows);
        for (index, (offset, row)) in all.iter().enumerate() {
            rows.seek(*offset, row.number + 1).expect("there");
            let again = rest(&mut rows);
            prop_assert_eq!(&again[..], &all[index + 1..]);
        }
    }
}

/// Rows of a text by its first one: their cells with bars between them, or what is wrong.
fn rows_of(bytes: &[u8]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("x.csv");
    std::fs::write(&path, bytes).expect("write");
    let source = Source::open(&path).expect("open");
    let start = Start::of(&source).expect("read");
    assert_eq!(start.kind(), Kind::Text);
    let dialect = start.dialect(None, Delimiter::OfFirstRows).expect("a dialect");
    let mut rows = CsvRows::new(source, dialect.mark, 1, dialect).expect("rows");
    let mut out = Vec::new();
    let header = rows.next_row().expect("row").expect("a header");
    rows.expect_header(&header.cells).expect("looked at");
    let mut places = vec![(rows.offset(), header.number)];
    while let Some(row) = rows.next_row().expect("row") {
        out.push(match row.broken {
            None => row.cells.join("|"),
            Some(broken) => broken.fault.english(),
        });
        places.push((rows.offset(), row.number));
    }
    // From any place on, the rest is the same.
    for (index, (offset, number)) in places.into_iter().enumerate() {
        rows.seek(offset, number + 1).expect("there");
        let mut rest = 0;
        while rows.next_row().expect("row").is_some() {
            rest += 1;
        }
        assert_eq!(rest, out.len() - index);
    }
    out
}

fn utf16(text: &str, marked: bool, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let mark = if marked { "\u{feff}" } else { "" };
    format!("{mark}{text}").encode_utf16().flat_map(bytes).collect()
}

#[test]
fn every_kind_of_line_end_ends_a_row() {
    for end in ["\n", "\r\n", "\r", "\r\r\n"] {
        for quote in ["", "\""] {
            let line = |cells: [&str; 3]| format!("{quote}{}{quote}{end}", cells.join(&format!("{quote};{quote}")));
            let text = [
                line(["Номер", "Тема", "Текст"]),
                line(["1", "Ямы", "Яма"]),
                line(["2", "Свет", ""]),
            ];
            let expected = ["1|Ямы|Яма", "2|Свет|"];
            assert_eq!(rows_of(text.concat().as_bytes()), expected, "{text:?}");
            let cut = text.concat();
            assert_eq!(
                rows_of(cut.strip_suffix(end).expect("an end").as_bytes()),
                expected,
                "{text:?}"
            );
        }
    }
}

#[test]
fn rows_may_end_with_a_delimiter_or_lack_cells_where_the_file_agrees() {
    let header = "Номер;Тема;Текст";
    for (rows, expected) in [
        ("1;Ямы;Яма;\n2;Свет;Нет;\n", vec!["1|Ямы|Яма", "2|Свет|Нет"]),
        ("1;Ямы;Яма;;\n2;Свет;Нет;;\n", vec!["1|Ямы|Яма", "2|Свет|Нет"]),
        (
            "1;Ямы;Яма;\n2;Свет;Нет;и да;\n3;Свет;Нет;\n",
            vec!["1|Ямы|Яма", "5 cells instead of 3", "3|Свет|Нет"],
        ),
        ("1;Ямы;Яма;\n2;Свет;Нет\n", vec!["4 cells instead of 3", "2|Свет|Нет"]),
        (
            "1;Ямы;Яма\n2;Свет\n3;Снег;Лёд\n",
            vec!["1|Ямы|Яма", "2|Свет|", "3|Снег|Лёд"],
        ),
        ("1;Ямы\n2;Свет\n", vec!["1|Ямы|", "2|Свет|"]),
        // A text over two lines, in the middle and at the end.
        (
            "1;Ямы;Яма\n2;Све\nт есть;Нет\n3;Снег;Лёд\n",
            vec![
                "1|Ямы|Яма",
                "2 cells instead of 3",
                "2 cells instead of 3",
                "3|Снег|Лёд",
            ],
        ),
        (
            "1;Ямы;Яма\n2;Свет;Не\n\nт\n",
            vec!["1|Ямы|Яма", "2|Свет|Не", "1 cell instead of 3"],
        ),
        // The copy ended here.
        ("1;Ямы;Яма\n2;Св", vec!["1|Ямы|Яма", "2 cells instead of 3"]),
    ] {
        assert_eq!(rows_of(format!("{header}\n{rows}").as_bytes()), expected, "{rows:?}");
    }
    assert_eq!(
        rows_of("Номер;Текст;\n1;Яма\n2;Свет\n".as_bytes()),
        ["1|Яма|", "2|Свет|"]
    );
}

#[test]
fn an_open_quotation_mark_costs_its_line_only() {
    let text = "Номер;Тема;Текст\n1;Ямы;\"Яма\n2;Свет;\"Нет\"\n3;Свет;Да\n";
    assert_eq!(
        rows_of(text.as_bytes()),
        ["broken quotation marks", "2|Свет|Нет", "3|Свет|Да"]
    );
}

#[test]
fn what_dos_leaves_behind_the_end_is_no_row() {
    let text = "Номер;Текст\r\n1;Яма\r\n2;Свет";
    for tail in ["\u{1a}", "\r\n\u{1a}", "\r\n\0\0\0", "\r\n\u{1a}\0\0"] {
        assert_eq!(
            rows_of(format!("{text}{tail}").as_bytes()),
            ["1|Яма", "2|Свет"],
            "{tail:?}"
        );
    }
    // The end of the file was never written.
    let zeros = "\0".repeat(100_000);
    for tail in ["\0\0", "\0\0\r\n", &format!("\r\n3;С{zeros}")] {
        let rows = rows_of(format!("{text}{tail}").as_bytes());
        assert_eq!(
            rows.last().map(String::as_str),
            Some("zeros among its bytes"),
            "{rows:?}"
        );
    }
}

#[test]
fn a_text_of_any_encoding_we_know_is_read() {
    let text = "Номер;Тема;Текст\n1;Ямы во дворе;Яма\n2;Свет;Не горит фонарь\n";
    let expected = ["1|Ямы во дворе|Яма", "2|Свет|Не горит фонарь"];
    for label in ["windows-1251", "ibm866", "koi8-r", "x-mac-cyrillic"] {
        let table = encoding_rs::Encoding::for_label(label.as_bytes()).expect("an encoding");
        assert_eq!(rows_of(&table.encode(text).0), expected, "{label}");
    }
    for marked in [true, false] {
        assert_eq!(rows_of(&utf16(text, marked, u16::to_le_bytes)), expected);
        assert_eq!(rows_of(&utf16(text, marked, u16::to_be_bytes)), expected);
        let said = format!("sep=,\r\n{}", text.replace(';', ","));
        assert_eq!(rows_of(&utf16(&said, marked, u16::to_le_bytes)), expected);
    }
    let mut halved = utf16(text, true, u16::to_le_bytes);
    let at = halved.len() - 6;
    halved[at..at + 2].copy_from_slice(&[0x00, 0xD8]);
    assert_eq!(rows_of(&halved), [expected[0], "not valid UTF-16LE"]);
}

#[test]
fn a_cell_longer_than_a_spreadsheet_holds_costs_its_row() {
    let long = |length: usize| format!("Номер;Текст\n1;{}\n2;Яма\n", "я".repeat(length));
    assert_eq!(rows_of(long(MOST_CHARACTERS).as_bytes()).len(), 2);
    assert_eq!(
        rows_of(long(MOST_CHARACTERS + 1).as_bytes()),
        ["a cell is longer than 32767 characters", "2|Яма"]
    );
}
