//! ODS, as LibreOffice writes it.

use super::*;
use crate::limits::{MOST_ROWS, Measure};

const KIND: &[u8] = b"application/vnd.oasis.opendocument.spreadsheet";
const STYLES: &str = r#"<office:automatic-styles><style:style style:name="ta1" style:family="table"><style:table-properties table:display="true"/></style:style><style:style style:name="ta2" style:family="table"><style:table-properties table:display="false"/></style:style></office:automatic-styles>"#;

fn book(rows: &str) -> Vec<u8> {
    let content = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><office:document-content>{STYLES}<office:body><office:spreadsheet>\
         <table:calculation-settings/>\
         <table:table table:name=\"Скрытый\" table:style-name=\"ta2\"><table:table-row><table:table-cell office:value-type=\"string\"><text:p>нет</text:p></table:table-cell></table:table-row></table:table>\
         <table:table table:name=\"Данные\" table:style-name=\"ta1\"><table:table-column table:number-columns-repeated=\"16384\"/>{rows}</table:table>\
         <table:named-expressions/></office:spreadsheet></office:body></office:document-content>"
    );
    let manifest = b"<manifest:manifest><manifest:file-entry/></manifest:manifest>";
    archive(&[
        ("mimetype", KIND),
        ("META-INF/manifest.xml", manifest),
        ("content.xml", content.as_bytes()),
    ])
}

fn text(text: &str) -> String {
    format!("<table:table-cell office:value-type=\"string\"><text:p>{text}</text:p></table:table-cell>")
}

const EVERY_KIND: &str = r#"<table:table-row table:number-rows-repeated="3"><table:table-cell table:number-columns-repeated="16384"/></table:table-row><table:table-header-rows><table:table-row><table:table-cell/><table:table-cell office:value-type="float" office:value="770001" calcext:value-type="float"><text:p>770 001</text:p></table:table-cell><table:table-cell office:value-type="date" office:date-value="2026-01-05"><text:p>05.01.26</text:p></table:table-cell><table:table-cell office:value-type="date" office:date-value="2026-01-05T10:30:00"><text:p>05.01.26</text:p></table:table-cell><table:table-cell office:value-type="boolean" office:boolean-value="true"><text:p>ИСТИНА</text:p></table:table-cell><table:table-cell table:number-columns-repeated="2" office:value-type="percentage" office:value="0.5"><text:p>50%</text:p></table:table-cell><table:table-cell table:formula="of:=1+1" office:value-type="string"><text:p>два &amp; три</text:p></table:table-cell><table:table-cell table:number-columns-repeated="16300"/></table:table-row></table:table-header-rows>"#;

pub fn sample() -> Vec<u8> {
    book(EVERY_KIND)
}

#[test]
fn every_cell_is_what_calamine_reads() {
    let bytes = sample();
    let ours = ours(&bytes, "Данные");
    assert_eq!(ours, of_calamine(&bytes, "a.ods", "Данные"));
    let row = &rows(&bytes, "Данные").expect("rows")[0];
    assert_eq!(row.number, 4);
    assert_eq!(
        row.cells,
        [
            "",
            "770001",
            "2026-01-05",
            "2026-01-05T10:30:00",
            "да",
            "0.5",
            "0.5",
            "два & три"
        ]
    );
    assert!(row.is_noted(7, Noted::Formula) && row.is_noted(2, Noted::ShownAsDate));
    let names = [
        ("Скрытый".to_owned(), Visibility::Hidden, false),
        ("Данные".to_owned(), Visibility::Visible, false),
    ];
    assert_eq!(sheets(&bytes), names);
}

#[test]
fn a_text_is_what_is_read_in_its_cell() {
    for (inner, expected) in [
        ("<text:p>Яма</text:p><text:p>у школы</text:p>", "Яма\nу школы"),
        (
            "<text:p>два<text:s text:c=\"2\"/>пробела<text:s/>и<text:tab/>знак<text:line-break/>строка</text:p>",
            "два  пробела и\tзнак\nстрока",
        ),
        (
            "<text:p><text:span>жирно</text:span> и <text:a>ссылка</text:a></text:p>",
            "жирно и ссылка",
        ),
        (
            "<office:annotation><dc:creator>x</dc:creator><text:p>заметка</text:p></office:annotation><text:p>текст</text:p>",
            "текст",
        ),
        (
            "<text:p>до</text:p><draw:frame><draw:text-box><text:p>рисунок</text:p></draw:text-box></draw:frame>",
            "до",
        ),
    ] {
        let cell = format!(
            "<table:table-row><table:table-cell office:value-type=\"string\">{inner}</table:table-cell></table:table-row>"
        );
        assert_eq!(
            ours(&book(&cell), "Данные").into_values().collect::<Vec<_>>(),
            [expected]
        );
    }
    let values = r#"<table:table-row><table:table-cell office:value-type="time" office:time-value="PT10H30M00S"/><table:table-cell office:value-type="date" office:date-value="2026-01-05T00:00:00.000000000"/><table:table-cell table:formula="of:=X" office:value-type="string" calcext:value-type="error"><text:p>#ИМЯ?</text:p></table:table-cell><table:covered-table-cell table:number-columns-repeated="2"/><table:table-cell office:value-type="float" office:value="12345678901234567"/></table:table-row>"#;
    let row = &rows(&book(values), "Данные").expect("rows")[0];
    assert_eq!(
        row.cells,
        ["10:30:00", "2026-01-05", "#ИМЯ?", "", "", "12345678901234567"]
    );
}

#[test]
fn rows_that_are_said_to_repeat_repeat_and_cost_nothing() {
    let repeated = |times: u64, cells: &str| {
        format!("<table:table-row table:number-rows-repeated=\"{times}\">{cells}</table:table-row>")
    };
    let rows_of = format!(
        "{}{}{}",
        repeated(2, &text("а")),
        repeated(1_048_000, "<table:table-cell/>"),
        repeated(1, &text("б"))
    );
    let rows = rows(&book(&rows_of), "Данные").expect("rows");
    let found: Vec<_> = rows.iter().map(|row| (row.number, row.cells[0].as_str())).collect();
    assert_eq!(found, [(1, "а"), (2, "а"), (1_048_003, "б")]);
    let endless = book(&repeated(u64::MAX, &text("а")));
    let book = Workbook::open(&source(&endless)).expect("a workbook");
    let mut rows = book.rows("Данные", Default::default()).expect("rows");
    rows.skip_to(MOST_ROWS - 1).expect("skipped");
    assert_eq!(
        rows.next_row().map(|row| row.map(|row| row.number)),
        Ok(Some(MOST_ROWS))
    );
    assert!(matches!(rows.next_row(), Err(Fault::OverLimit(over)) if over.what == Measure::Rows));
    // A filled cell over more columns than there are.
    let wide = "<table:table-row><table:table-cell table:number-columns-repeated=\"4000000000\" office:value-type=\"string\"><text:p>а</text:p></table:table-cell></table:table-row>";
    let rows = super::rows(&super::ods::book(wide), "Данные").expect("rows");
    assert!(matches!(
        rows[0].broken.as_ref().map(|broken| &broken.fault),
        Some(RowFault::TooWide { .. })
    ));
}

#[test]
fn what_is_no_readable_workbook_is_called_by_its_name() {
    let open = |parts: &[(&str, &[u8])]| {
        Workbook::open(&source(&archive(parts)))
            .map(|_| ())
            .expect_err("refused")
    };
    // Without the part that says so first, the manifest says what it is.
    let manifest = b"<manifest:manifest><manifest:file-entry manifest:full-path=\"/\" manifest:media-type=\"application/vnd.oasis.opendocument.spreadsheet\"/></manifest:manifest>";
    let content = b"<office:body><table:table table:name=\"a\"/></office:body>";
    let parts: &[(&str, &[u8])] = &[("META-INF/manifest.xml", manifest), ("content.xml", content)];
    assert_eq!(
        Workbook::open(&source(&archive(parts))).map(|book| book.kind()),
        Ok("ods")
    );
    let encrypted = b"<manifest:manifest><manifest:file-entry><manifest:encryption-data/></manifest:file-entry></manifest:manifest>";
    let parts: &[(&str, &[u8])] = &[
        ("mimetype", KIND),
        ("META-INF/manifest.xml", encrypted),
        ("content.xml", b"x"),
    ];
    assert_eq!(open(parts), Fault::Unsupported(strangers::PROTECTED));
    assert_eq!(
        open(&[("mimetype", b"application/vnd.oasis.opendocument.text")]),
        Fault::Unsupported(strangers::WORD)
    );
    assert_eq!(
        open(&[("mimetype", b"application/vnd.oasis.opendocument.presentation")]),
        Fault::Unsupported(strangers::SLIDES)
    );
    assert_eq!(open(&[("mimetype", KIND)]), Fault::Unsupported(strangers::ODS));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damage_is_refused_without_a_panic(flips in prop::collection::vec((0usize..3000, 0u8..128), 1..5)) {
        let mut rows_of = EVERY_KIND.as_bytes().to_vec();
        for (at, byte) in flips {
            let at = at % rows_of.len();
            rows_of[at] = byte;
        }
        let _ = rows(&book(&String::from_utf8_lossy(&rows_of)), "Данные");
    }
}
