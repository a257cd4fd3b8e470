//! Workbooks as programs other than Excel write them, made part by part.

use std::io::Write as _;

use super::*;
use crate::{
    book::Visibility,
    fault::RowFault,
    limits::{LONGEST_ROW, MOST_BLANK, MOST_CHARACTERS},
    row::Noted,
    source::Stop,
    strangers,
};

const ROOT: &str =
    r#"<Relationships><Relationship Id="r1" Type="x/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
const LINKS: &str =
    r#"<Relationships><Relationship Id="r1" Type="x/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#;
const BOOK: &str = r#"<workbook xmlns:r="r"><sheets><sheet name="Данные" r:id="r1"/></sheets></workbook>"#;
const STYLES: &str =
    r#"<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/></cellXfs></styleSheet>"#;

/// A workbook of one sheet; each part may be replaced.
pub(super) struct Made(Vec<(&'static str, Vec<u8>)>);

impl Made {
    pub(super) fn sheet(rows: &str) -> Self {
        let sheet = format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
        Self(Vec::new())
            .part("_rels/.rels", ROOT)
            .part("xl/workbook.xml", BOOK)
            .part("xl/_rels/workbook.xml.rels", LINKS)
            .part("xl/styles.xml", STYLES)
            .part("xl/worksheets/sheet1.xml", sheet)
    }

    pub(super) fn part(mut self, name: &'static str, content: impl Into<Vec<u8>>) -> Self {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, content.into()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| *known != name);
        self
    }

    pub(super) fn strings(self, strings: &str) -> Self {
        self.part("xl/sharedStrings.xml", format!("<sst>{strings}</sst>"))
    }

    /// Made of what stands in one part written as UTF-16.
    fn utf16(mut self, name: &str, marked: bool, bytes: fn(u16) -> [u8; 2]) -> Self {
        for (known, content) in &mut self.0 {
            if *known == name {
                let text = String::from_utf8(content.clone()).expect("UTF-8");
                let mark = if marked { "\u{feff}" } else { "" };
                let text = format!("{mark}<?xml version=\"1.0\" encoding=\"UTF-16\"?>{text}");
                *content = text.encode_utf16().flat_map(bytes).collect();
            }
        }
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, content) in &self.0 {
            archive
                .start_file(*name, zip::write::SimpleFileOptions::default())
                .expect("a part");
            archive.write_all(content).expect("written");
        }
        archive.finish().expect("finished").into_inner()
    }

    fn source(&self) -> Source {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&self.bytes()).expect("written");
        Source::from(file)
    }

    fn open(&self) -> Workbook {
        Workbook::open(&self.source()).expect("a workbook")
    }

    fn rows(&self) -> Vec<RawRow> {
        let book = self.open();
        let scratch = tempfile::tempdir().expect("scratch");
        let mut rows = book
            .rows("Данные", book.strings(scratch.path()).expect("strings"))
            .expect("rows");
        std::iter::from_fn(|| rows.next_row().expect("a row")).collect()
    }

    /// Cells of each row with bars between them, or what is wrong.
    fn read(&self) -> Vec<String> {
        let text = |row: RawRow| match row.broken {
            None => format!("{}: {}", row.number, row.cells.join("|")),
            Some(broken) => format!("{}: {}", row.number, broken.fault.english()),
        };
        self.rows().into_iter().map(text).collect()
    }
}

fn inline(text: &str) -> String {
    format!("<c t=\"inlineStr\"><is><t>{text}</t></is></c>")
}

#[test]
fn cells_and_rows_without_references_stand_behind_those_before_them() {
    let rows = format!(
        "<row>{a}<c/>{b}</row><row/><row><c r=\"B1\"/>{a}{b}</row><row r=\"9\"><c r=\"C9\"><v>1</v></c>{a}</row><row>{b}</row>",
        a = inline("а"),
        b = inline("б")
    );
    assert_eq!(Made::sheet(&rows).read(), ["1: а||б", "3: ||а|б", "9: ||1|а", "10: б"]);
}

#[test]
fn a_shared_string_without_a_number_is_empty_and_one_that_is_not_there_holds_its_row() {
    let cell = |inner: &str| format!("<c t=\"s\">{inner}</c>");
    let row = |inner: &str| format!("<row>{}{}{}</row>", cell("<v>0</v>"), cell(inner), cell("<v>1</v>"));
    let rows = [
        row(""),
        row("<v/>"),
        row("<v></v>"),
        row("<v>7</v>"),
        row("<v>x</v>"),
        row("<v> 1 </v>"),
    ]
    .concat();
    let read = Made::sheet(&rows)
        .strings("<si><t>а</t></si><si><r><t>б</t></r><rPh><t>z</t></rPh></si>")
        .read();
    let held = RowFault::NoString.english();
    let expected = ["а||б", "а||б", "а||б", &held, &held, "а|б|б"];
    let numbered = (1..).zip(expected).map(|(number, text)| format!("{number}: {text}"));
    assert_eq!(read, numbered.collect::<Vec<_>>());
}

#[test]
fn what_an_inline_string_holds_is_its_value() {
    let is = "<is><t>770001</t></is>";
    for (cell, value) in [
        (format!("<c t=\"inlineStr\">{is}<v>770001</v></c>"), "770001"),
        (format!("<c t=\"inlineStr\"><v>5</v>{is}</c>"), "770001"),
        ("<c t=\"inlineStr\"><v>5</v></c>".into(), "5"),
        (
            "<c t=\"inlineStr\"><is><t>_xD83D__xDE00_ _xD83D_</t></is></c>".into(),
            "😀 _xD83D_",
        ),
        (format!("<c>{is}</c>"), "770001"),
        (format!("<c t=\"str\">{is}<v>9</v></c>"), "9"),
        (
            "<c t=\"inlineStr\"><is><t>a_x000D_b_x005F_x000D__x00zz__x+00D_</t></is></c>".into(),
            "a\rb_x000D__x00zz__x+00D_",
        ),
    ] {
        let rows = Made::sheet(&format!("<row>{cell}</row>")).rows();
        assert_eq!(rows[0].cells, [value], "{cell}");
    }
}

#[test]
fn booleans_are_words_however_they_are_written() {
    let cells = ["1", "0", "true", "false", "TRUE", "FALSE"].map(|value| format!("<c t=\"b\"><v>{value}</v></c>"));
    let read = Made::sheet(&format!("<row>{}</row>", cells.concat())).read();
    assert_eq!(read, ["1: да|нет|да|нет|да|нет"]);
}

#[test]
fn the_epoch_is_what_the_book_itself_says() {
    let rows = "<row><c s=\"2\"><v>44565.4375</v></c><c s=\"1\"><v>44568</v></c><c s=\"1\"><v>0.5</v></c></row>";
    let ext = r#"<extLst><ext><x15:workbookPr chartTrackingRefBase="1"/></ext></extLst>"#;
    let book = |own: &str| {
        BOOK.replace("<sheets>", &format!("{own}<sheets>"))
            .replace("</workbook>", &format!("{ext}</workbook>"))
    };
    let early = Made::sheet(rows).part("xl/workbook.xml", book("<workbookPr date1904=\"1\"/>"));
    assert_eq!(early.read(), ["1: 2026-01-05T10:30:00|2026-01-08|12:00:00"]);
    let late = Made::sheet(rows).part("xl/workbook.xml", book(""));
    assert_eq!(late.read(), ["1: 2022-01-04T10:30:00|2022-01-07|12:00:00"]);
}

#[test]
fn every_part_may_be_in_utf16() {
    let made = || {
        Made::sheet(&format!("<row>{}<c t=\"s\"><v>0</v></c></row>", inline("яма 😀"))).strings("<si><t>текст</t></si>")
    };
    for name in [
        "_rels/.rels",
        "xl/workbook.xml",
        "xl/_rels/workbook.xml.rels",
        "xl/styles.xml",
        "xl/worksheets/sheet1.xml",
        "xl/sharedStrings.xml",
    ] {
        for marked in [true, false] {
            assert_eq!(
                made().utf16(name, marked, u16::to_le_bytes).read(),
                ["1: яма 😀|текст"],
                "{name}"
            );
            assert_eq!(
                made().utf16(name, marked, u16::to_be_bytes).read(),
                ["1: яма 😀|текст"],
                "{name}"
            );
        }
    }
}

#[test]
fn parts_are_found_however_their_targets_are_written() {
    for target in [
        "worksheets\\sheet1.xml",
        "/xl/worksheets/sheet1.xml",
        "\\xl\\worksheets\\sheet1.xml",
        "./Worksheets/SHEET1.xml",
        "../xl/worksheets/sheet1.xml",
    ] {
        let made = Made::sheet(&format!("<row>{}</row>", inline("а")));
        let made = made.part(
            "xl/_rels/workbook.xml.rels",
            LINKS.replace("worksheets/sheet1.xml", target),
        );
        assert_eq!(made.read(), ["1: а"], "{target}");
    }
    // Nothing leads to the strings and styles, but they are where they always are.
    let made =
        Made::sheet("<row><c t=\"s\"><v>0</v></c><c s=\"1\"><v>46027</v></c></row>").strings("<si><t>а</t></si>");
    assert_eq!(made.read(), ["1: а|2026-01-05"]);
}

#[test]
fn a_sheet_that_leads_nowhere_is_told_and_the_others_are_read() {
    let sheets = r#"<workbook xmlns:r="r"><sheets><sheet name="Нет" r:id="r9"/><sheet name="Пропал" state="hidden" r:id="r2"/><sheet name="Диаграмма" r:id="r3"/><sheet name="Данные" state="veryHidden" r:id="r1"/></sheets></workbook>"#;
    let more = r#"<Relationship Id="r2" Type="x/worksheet" Target="worksheets/sheet2.xml"/><Relationship Id="r3" Type="x/chartsheet" Target="c.xml"/></Relationships>"#;
    let made = Made::sheet(&format!("<row>{}</row>", inline("а")))
        .part("xl/workbook.xml", sheets)
        .part("xl/_rels/workbook.xml.rels", LINKS.replace("</Relationships>", more));
    let book = made.open();
    let told = book
        .sheets()
        .iter()
        .map(|sheet| (sheet.name.as_str(), sheet.visibility, sheet.unreadable.is_some()));
    let expected = [
        ("Нет", Visibility::Visible, true),
        ("Пропал", Visibility::Hidden, true),
        ("Данные", Visibility::VeryHidden, false),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert_eq!(
        book.sheets()[0].unreadable.as_ref().map(Fault::detail_ru).as_deref(),
        Some("листа нет в книге")
    );
    assert_eq!(book.sheet_names().collect::<Vec<_>>(), ["Данные"]);
    assert_eq!(made.read(), ["1: а"]);
}

#[test]
fn a_sheet_nobody_wrote_to_is_empty() {
    for sheet in [
        "<worksheet/>",
        "<worksheet><sheetData/></worksheet>",
        "<x:worksheet xmlns:x=\"x\"><x:sheetFormatPr/></x:worksheet>",
    ] {
        assert_eq!(
            Made::sheet("").part("xl/worksheets/sheet1.xml", sheet).rows(),
            [],
            "{sheet}"
        );
    }
}

#[test]
fn what_a_number_was_made_from_is_noted() {
    let rows = "<row><c s=\"1\"><v>46143</v></c><c><f>A1*0</f><v>0</v></c><c><v>46143</v></c><c><v>12345678901234567</v></c><c><v>770001.0</v></c><c><v>1E3</v></c><c><v>nan</v></c></row>";
    let row = &Made::sheet(rows).rows()[0];
    assert_eq!(
        row.cells,
        ["2026-05-01", "0", "46143", "12345678901234567", "770001", "1000", "nan"]
    );
    let noted = |what| {
        (0..row.cells.len())
            .filter(|column| row.is_noted(*column, what))
            .collect::<Vec<_>>()
    };
    assert_eq!(noted(Noted::ShownAsDate), [0]);
    assert_eq!(noted(Noted::Formula), [1]);
}

#[test]
fn a_row_of_more_than_a_row_may_be_costs_itself() {
    let strings = |length: usize| format!("<si><t>{}</t></si><si><t>яма</t></si>", "a".repeat(length));
    let rows = |many: usize| {
        format!(
            "<row>{}</row><row><c t=\"s\"><v>1</v></c></row>",
            "<c t=\"s\"><v>0</v></c>".repeat(many)
        )
    };
    let read = |length, many| Made::sheet(&rows(many)).strings(&strings(length)).read();
    let expected = |fault: RowFault| [format!("1: {}", fault.english()), "2: яма".to_owned()];
    assert_eq!(
        read(MOST_CHARACTERS + 1, 1),
        expected(RowFault::CellTooLong { limit: MOST_CHARACTERS })
    );
    assert_eq!(
        read(1024 * 1024, 2000),
        expected(RowFault::CellTooLong { limit: MOST_CHARACTERS })
    );
    assert_eq!(read(MOST_CHARACTERS, 32).len(), 2);
    assert_eq!(
        read(MOST_CHARACTERS, 33),
        expected(RowFault::TooLong { limit: LONGEST_ROW })
    );
    // Two rows that differ beyond what is kept of them are two rows.
    let long = |last: u8| {
        let cells = "<c t=\"s\"><v>0</v></c>".repeat(2000);
        let made = Made::sheet(&format!("<row>{cells}<c t=\"s\"><v>{last}</v></c></row>"));
        made.strings(&strings(MOST_CHARACTERS))
            .rows()
            .remove(0)
            .broken
            .expect("held")
            .line
    };
    assert_ne!(long(0), long(1));
}

#[test]
fn reading_stops_between_any_two_rows() {
    let rows = format!(
        "<row>{}</row>{}<row>{}</row>",
        inline("а"),
        "<row/>".repeat(3 * MOST_BLANK),
        inline("б")
    );
    let made = Made::sheet(&rows);
    // Blank rows are given out from time to time.
    assert!(made.rows().iter().filter(|row| row.is_blank()).count() >= 3);
    let stop = Stop::default();
    let book = Workbook::open(&made.source().stopped_by(&stop)).expect("a workbook");
    let scratch = tempfile::tempdir().expect("scratch");
    let mut sheet = book
        .rows("Данные", book.strings(scratch.path()).expect("strings"))
        .expect("rows");
    assert_eq!(sheet.next_row().expect("a row").map(|row| row.number), Some(1));
    stop.stop();
    let mut last = sheet.next_row();
    while let Ok(Some(_)) = last {
        last = sheet.next_row();
    }
    assert_eq!(last, Err(Fault::Stopped));
    assert_eq!(
        Workbook::open(&made.source().stopped_by(&stop)).map(|_| ()),
        Err(Fault::Stopped)
    );
}

#[test]
fn an_archive_is_called_by_what_is_in_it() {
    for (part, what) in [
        ("Index/Document.iwa", strangers::NUMBERS),
        ("word/document.xml", strangers::WORD),
        ("ppt/presentation.xml", strangers::SLIDES),
        ("registry.csv", strangers::NO_WORKBOOK),
    ] {
        let made = Made::sheet("").without("xl/workbook.xml").part(part, "x");
        assert_eq!(
            Workbook::open(&made.source()).map(|_| ()),
            Err(Fault::Unsupported(what)),
            "{part}"
        );
    }
}
