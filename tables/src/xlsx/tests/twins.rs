//! Twins of the kinds of workbooks in the test suites of other readers, made here: each read as calamine reads it.

use super::kinds::Made;
use crate::tests::{of_calamine, ours};

const TYPES: &str = r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>"#;
const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const STRICT: &str = "http://purl.oclc.org/ooxml/officeDocument/relationships";
const LOOSE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const STRINGS: &str = r#"<si><t>а</t></si><si><r><rPr><b/></rPr><t>жирно</t></r><r><t xml:space="preserve"> и нет</t></r></si><si><t/></si><si/><si><t>東京</t><rPh sb="0" eb="2"><t>トウキョウ</t></rPh><phoneticPr fontId="1"/></si><si><t>&lt;a&gt; &amp; &quot;b&quot; &#1071;&#x42F;</t></si><si><t><![CDATA[<c> & d]]></t></si><si><t>x_x000D_
y_x005F_z</t></si>"#;

fn cell(reference: &str, kind: &str, inner: &str) -> String {
    format!("<c r=\"{reference}\" {kind}>{inner}</c>")
}

fn shared(reference: &str, index: u32) -> String {
    cell(reference, "t=\"s\"", &format!("<v>{index}</v>"))
}

/// A workbook with the links and types that calamine asks for.
fn made(rows: &str, relationships: &str) -> Made {
    let link = |id: u32, kind: &str, target: &str| {
        format!("<Relationship Id=\"r{id}\" Type=\"{relationships}/{kind}\" Target=\"{target}\"/>")
    };
    let root = format!(
        "<Relationships>{}</Relationships>",
        link(1, "officeDocument", "xl/workbook.xml")
    );
    let links = [
        link(1, "worksheet", "worksheets/sheet1.xml"),
        link(2, "sharedStrings", "sharedStrings.xml"),
        link(3, "styles", "styles.xml"),
    ];
    let book = format!(
        "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{relationships}\"><sheets><sheet name=\"Данные\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
    );
    Made::sheet(rows)
        .part("[Content_Types].xml", TYPES)
        .part("_rels/.rels", root)
        .part("xl/workbook.xml", book)
        .part(
            "xl/_rels/workbook.xml.rels",
            format!("<Relationships>{}</Relationships>", links.concat()),
        )
        .strings(STRINGS)
}

#[track_caller]
fn is_read_as_calamine_reads_it(what: &str, made: &Made, cells: usize) {
    let bytes = made.bytes();
    let ours = ours(&bytes, "Данные");
    assert_eq!(ours, of_calamine(&bytes, "a.xlsx", "Данные"), "{what}");
    assert_eq!(ours.len(), cells, "{what}: {ours:?}");
}

#[test]
fn strings_of_every_shape_are_read() {
    let all: String = ('A'..='H')
        .zip(0..)
        .map(|(column, index)| shared(&format!("{column}1"), index))
        .collect();
    let again = format!("<row r=\"2\">{}{}</row>", shared("A2", 7), shared("B2", 0));
    let rows = format!("<row r=\"1\">{all}</row>{again}");
    is_read_as_calamine_reads_it("shared", &made(&rows, LOOSE), 8);
    let inline = |reference: &str, inner: &str| cell(reference, "t=\"inlineStr\"", &format!("<is>{inner}</is>"));
    let rows = [
        inline("A1", "<t>а</t>"),
        inline("B1", "<r><t>жирно</t></r><r><t xml:space=\"preserve\"> и нет</t></r>"),
        inline("C1", "<t><![CDATA[<c> & d]]></t>"),
        inline("D1", "<t>東京</t><rPh sb=\"0\" eb=\"2\"><t>トウキョウ</t></rPh>"),
        inline("E1", ""),
        cell("F1", "t=\"str\"", "<f>A1</f><v>из формулы</v>"),
    ];
    is_read_as_calamine_reads_it(
        "inline",
        &made(&format!("<row r=\"1\">{}</row>", rows.concat()), LOOSE),
        5,
    );
}

#[test]
fn numbers_and_what_they_are_shown_as_are_read() {
    let formats = [
        (14, ""),
        (164, "dd\\.mm\\.yyyy\\ hh:mm"),
        (165, "yyyy&quot;-&quot;mm&quot;-&quot;dd"),
        (166, "0.00&quot; дн.&quot;"),
        (167, "[$-419]d\\ mmmm\\ yyyy&quot; г.&quot;;@"),
        (168, "#,##0_);[Red]\\(#,##0\\)"),
        (169, "General"),
        (170, "@"),
        (171, "0.00E+00"),
    ];
    let own: String = formats
        .iter()
        .filter(|(id, _)| *id > 163)
        .map(|(id, code)| format!("<numFmt numFmtId=\"{id}\" formatCode=\"{code}\"/>"))
        .collect();
    let styles: String = formats
        .iter()
        .map(|(id, _)| format!("<xf numFmtId=\"{id}\" applyNumberFormat=\"1\"/>"))
        .collect();
    let styles = format!(
        "<styleSheet xmlns=\"{MAIN}\"><numFmts>{own}</numFmts><cellStyleXfs><xf numFmtId=\"14\"/></cellStyleXfs><cellXfs>{styles}</cellXfs></styleSheet>"
    );
    let mut rows = String::new();
    for (row, value) in (1..).zip(["46027.4375", "46027", "0", "-5", "1E3", "0.1", "770001"]) {
        let cells: String = ('A'..)
            .zip(0..formats.len())
            .map(|(column, style)| {
                cell(
                    &format!("{column}{row}"),
                    &format!("s=\"{style}\""),
                    &format!("<v>{value}</v>"),
                )
            })
            .collect();
        rows.push_str(&format!("<row r=\"{row}\">{cells}</row>"));
    }
    // Zero and less are no dates; what calamine makes of them is none either.
    let dates_of_none = ["0", "-5", "0.1", "1E3"];
    let made = made(&rows, LOOSE).part("xl/styles.xml", styles);
    let bytes = made.bytes();
    let (ours, theirs) = (ours(&bytes, "Данные"), of_calamine(&bytes, "a.xlsx", "Данные"));
    for ((row, column), text) in &ours {
        let value =
            ["46027.4375", "46027", "0", "-5", "1E3", "0.1", "770001"][usize::try_from(row - 1).expect("small")];
        let is_plain = ![1, 2, 3, 5].contains(column);
        if is_plain || !dates_of_none.contains(&value) {
            assert_eq!(
                Some(text),
                theirs.get(&(*row, *column)),
                "{value}, {}",
                formats[column - 1].1
            );
        }
    }
    assert_eq!(ours.len(), 63);
}

#[test]
fn cells_of_every_type_are_read() {
    let cells = [
        cell("A1", "t=\"b\"", "<v>1</v>"),
        cell("B1", "t=\"b\"", "<v>0</v>"),
        cell("C1", "t=\"e\"", "<v>#N/A</v>"),
        cell("D1", "t=\"n\"", "<v>5</v>"),
        cell("E1", "t=\"d\"", "<v>2026-01-05T10:30:15</v>"),
        cell("F1", "", "<f>1+1</f><v>2</v>"),
        cell("G1", "", "<f>1+1</f>"),
        cell("H1", "", ""),
        cell("AB1", "", "<v>28</v>"),
    ];
    is_read_as_calamine_reads_it(
        "types",
        &made(&format!("<row r=\"1\">{}</row>", cells.concat()), LOOSE),
        7,
    );
}

#[test]
fn packages_of_every_layout_are_read() {
    let rows = format!(
        "<row r=\"3\">{}{}</row><row r=\"7\">{}</row>",
        shared("B3", 0),
        shared("D3", 1),
        shared("A7", 4)
    );
    is_read_as_calamine_reads_it("strict", &made(&rows, STRICT), 3);
    let prefixed = rows
        .replace("<row", "<x:row")
        .replace("</row", "</x:row")
        .replace("<c ", "<x:c ")
        .replace("</c", "</x:c")
        .replace("<v", "<x:v")
        .replace("</v", "</x:v");
    let sheet = format!(
        "<?xml version=\"1.0\"?><x:worksheet xmlns:x=\"{MAIN}\"><x:dimension ref=\"A1\"/><x:sheetData>{prefixed}</x:sheetData><x:autoFilter ref=\"A1:D3\"/></x:worksheet>"
    );
    is_read_as_calamine_reads_it(
        "prefixed",
        &made(&rows, LOOSE).part("xl/worksheets/sheet1.xml", sheet),
        3,
    );
    let links = format!(
        "<Relationships><Relationship Id=\"r1\" Type=\"{LOOSE}/worksheet\" Target=\"/xl/worksheets/sheet1.xml\"/><Relationship Id=\"r2\" Type=\"{LOOSE}/sharedStrings\" Target=\"/xl/sharedStrings.xml\"/></Relationships>"
    );
    is_read_as_calamine_reads_it(
        "absolute",
        &made(&rows, LOOSE).part("xl/_rels/workbook.xml.rels", links),
        3,
    );
    let marked = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- made -->\n<worksheet><sheetData>{rows}</sheetData></worksheet>"
    );
    is_read_as_calamine_reads_it(
        "marked",
        &made(&rows, LOOSE).part("xl/worksheets/sheet1.xml", marked),
        3,
    );
    let spaced = rows.replace("><", ">\n  <");
    is_read_as_calamine_reads_it("spaced", &made(&spaced, LOOSE), 3);
    is_read_as_calamine_reads_it("empty", &made("", LOOSE), 0);
}
