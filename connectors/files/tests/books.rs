//! Small workbooks made by hand, with what real programs put into them.

use super::container::Container;

/// A cell: a text, or XML as it stands in the sheet (`{r}` is its place).
pub enum Cell {
    Text(&'static str),
    Xml(&'static str),
}

/// A sheet: its name, attributes of its entry in the book, and its rows; an empty row is left out of the file.
pub struct Sheet<'a> {
    pub name: &'a str,
    pub attributes: &'a str,
    pub rows: Vec<Vec<Cell>>,
}

/// A visible sheet of texts.
pub fn sheet<'a>(name: &'a str, rows: &[&[&'static str]]) -> Sheet<'a> {
    let row = |cells: &&[&'static str]| cells.iter().map(|text| Cell::Text(text)).collect();
    Sheet {
        name,
        attributes: "",
        rows: rows.iter().map(row).collect(),
    }
}

/// The workbook.
pub fn book(sheets: &[Sheet<'_>]) -> Vec<u8> {
    let mut list = String::new();
    let mut links = String::new();
    for (number, sheet) in (1..).zip(sheets) {
        let (name, attributes) = (sheet.name, sheet.attributes);
        list.push_str(&format!(
            "<sheet name=\"{name}\" sheetId=\"{number}\" {attributes} r:id=\"r{number}\"/>"
        ));
        links.push_str(&format!(
            "<Relationship Id=\"r{number}\" Type=\"x/worksheet\" Target=\"worksheets/sheet{number}.xml\"/>"
        ));
    }
    links.push_str("<Relationship Id=\"s\" Type=\"x/styles\" Target=\"styles.xml\"/>");
    let root =
        "<Relationships><Relationship Id=\"r1\" Type=\"x/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>";
    let mut container = Container::default()
        .text("_rels/.rels", root)
        .text(
            "xl/workbook.xml",
            &format!("<workbook xmlns:r=\"r\"><sheets>{list}</sheets></workbook>"),
        )
        .text(
            "xl/_rels/workbook.xml.rels",
            &format!("<Relationships>{links}</Relationships>"),
        )
        // Style 1 shows a day.
        .text(
            "xl/styles.xml",
            "<styleSheet><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>",
        );
    for (number, sheet) in (1..).zip(sheets) {
        container = container.text(&format!("xl/worksheets/sheet{number}.xml"), &xml(sheet));
    }
    container.finish()
}

fn xml(sheet: &Sheet<'_>) -> String {
    let mut out = String::from("<worksheet><sheetData>");
    for (number, row) in (1..).zip(&sheet.rows).filter(|(_, row)| !row.is_empty()) {
        out.push_str(&format!("<row r=\"{number}\">"));
        for (column, cell) in ('A'..='Z').zip(row) {
            let place = format!("{column}{number}");
            match cell {
                Cell::Text("") => {}
                Cell::Text(text) => {
                    out.push_str(&format!("<c r=\"{place}\" t=\"inlineStr\"><is><t>{text}</t></is></c>"));
                }
                Cell::Xml(xml) => out.push_str(&xml.replace("{r}", &place)),
            }
        }
        out.push_str("</row>");
    }
    out.push_str("</sheetData></worksheet>");
    out
}
