//! XLSB, record by record.

use super::*;

fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if kind < 0x80 {
        out.push(u8::try_from(kind).expect("a byte"));
    } else {
        let [low, high] = (kind & 0x7F | 0x80 | (kind >> 7) << 8).to_le_bytes();
        out.extend([low, high]);
    }
    let mut size = data.len();
    loop {
        let more = if size >= 0x80 { 0x80 } else { 0 };
        out.push(u8::try_from(size & 0x7F).expect("a byte") | more);
        size >>= 7;
        if size == 0 {
            break;
        }
    }
    out.extend(data);
    out
}

fn wide(text: &str) -> Vec<u8> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut out = u32::try_from(units.len()).expect("short").to_le_bytes().to_vec();
    out.extend(units.into_iter().flat_map(u16::to_le_bytes));
    out
}

fn cell(kind: u16, column: u32, style: u32, value: &[u8]) -> Vec<u8> {
    record(
        kind,
        &[&column.to_le_bytes()[..], &style.to_le_bytes()[..], value].concat(),
    )
}

fn row(number: u32) -> Vec<u8> {
    record(0, &[&number.to_le_bytes()[..], &[0; 21]].concat())
}

const ROOT: &[u8] =
    br#"<Relationships><Relationship Id="r1" Type="x/officeDocument" Target="xl/workbook.bin"/></Relationships>"#;
const LINKS: &[u8] = br#"<Relationships><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.bin"/><Relationship Id="r2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet2.bin"/><Relationship Id="r3" Type="x/sharedStrings" Target="sharedStrings.bin"/><Relationship Id="r4" Type="x/styles" Target="styles.bin"/></Relationships>"#;

fn book(epoch: u32, rows: &[u8]) -> Vec<u8> {
    let sheet = |state: u32, id: &str, name: &str| {
        let head = [state.to_le_bytes(), 1_u32.to_le_bytes()].concat();
        record(0x009C, &[head, wide(id), wide(name)].concat())
    };
    let properties = record(0x0099, &[&epoch.to_le_bytes()[..], &[0; 8]].concat());
    let sheets = [sheet(2, "r2", "Пропал"), sheet(0, "r1", "Данные")].concat();
    let list = [
        record(0x0083, &[]),
        properties,
        record(0x008F, &[]),
        sheets,
        record(0x0090, &[]),
        record(0x0084, &[]),
    ];
    let format = |id: u16| record(0x002F, &[&[0; 2][..], &id.to_le_bytes()[..], &[0; 12]].concat());
    let own = [&165_u16.to_le_bytes()[..], &wide("dd.mm.yyyy")].concat();
    let styles = [
        record(0x0267, &1_u32.to_le_bytes()),
        record(0x002C, &own),
        record(0x0268, &[]),
        record(0x0269, &3_u32.to_le_bytes()),
        format(0),
        format(165),
        format(22),
        record(0x026A, &[]),
    ];
    let string = |text: &str| record(0x0013, &[vec![0], wide(text)].concat());
    let strings = [
        record(0x009F, &[2, 0, 0, 0, 2, 0, 0, 0]),
        string("Яма у школы"),
        string("Свет"),
        record(0x00A0, &[]),
    ];
    let area = [0_u32, 3, 0, 3].map(u32::to_le_bytes).concat();
    let data = [
        record(0x0081, &[]),
        record(0x0094, &area),
        record(0x0091, &[]),
        rows.to_vec(),
        record(0x0092, &[]),
        record(0x0082, &[]),
    ];
    archive(&[
        ("_rels/.rels", ROOT),
        ("xl/workbook.bin", &list.concat()),
        ("xl/_rels/workbook.bin.rels", LINKS),
        ("xl/styles.bin", &styles.concat()),
        ("xl/sharedStrings.bin", &strings.concat()),
        ("xl/worksheets/sheet1.bin", &data.concat()),
    ])
}

fn every_kind_of_cell() -> Vec<u8> {
    let formula = [0_u8; 10];
    [
        row(1),
        cell(7, 0, 0, &0_u32.to_le_bytes()),
        cell(6, 1, 0, &wide("сама")),
        cell(5, 2, 2, &46027.4375_f64.to_le_bytes()),
        cell(2, 3, 1, &(46_027_u32 << 2 | 2).to_le_bytes()),
        cell(2, 4, 0, &(12_345_u32 << 2 | 3).to_le_bytes()),
        cell(4, 5, 0, &[1]),
        cell(3, 6, 0, &[0x2A]),
        cell(1, 7, 0, &[]),
        cell(8, 8, 0, &[wide("из формулы"), formula.to_vec()].concat()),
        cell(9, 9, 0, &[&0.0_f64.to_le_bytes()[..], &formula].concat()),
        cell(10, 10, 0, &[&[0][..], &formula].concat()),
        row(2),
        row(6),
        cell(7, 1, 0, &1_u32.to_le_bytes()),
    ]
    .concat()
}

pub fn sample() -> Vec<u8> {
    book(0, &every_kind_of_cell())
}

#[test]
fn every_cell_is_what_calamine_reads() {
    let bytes = sample();
    let ours = ours(&bytes, "Данные");
    assert_eq!(ours, of_calamine(&bytes, "a.xlsb", "Данные"));
    assert_eq!(ours.len(), 11);
    let rows = rows(&bytes, "Данные").expect("rows");
    assert_eq!(rows.iter().map(|row| row.number).collect::<Vec<_>>(), [2, 7]);
    assert_eq!(
        rows[0].cells[..6],
        [
            "Яма у школы",
            "сама",
            "2026-01-05T10:30:00",
            "2026-01-05",
            "123.45",
            "да"
        ]
    );
    assert!(rows[0].is_noted(9, Noted::Formula) && rows[0].is_noted(3, Noted::ShownAsDate));
}

#[test]
fn the_epoch_and_lost_sheets_are_told() {
    let cells = [
        row(0),
        cell(5, 0, 1, &44_565.0_f64.to_le_bytes()),
        cell(7, 1, 0, &9_u32.to_le_bytes()),
    ]
    .concat();
    let bytes = book(1, &cells[..cells.len() - 14]);
    assert_eq!(ours(&bytes, "Данные").into_values().collect::<Vec<_>>(), ["2026-01-05"]);
    let names = [
        ("Пропал".to_owned(), Visibility::VeryHidden, true),
        ("Данные".to_owned(), Visibility::Visible, false),
    ];
    assert_eq!(sheets(&bytes), names);
    // A string that is not there.
    let held = rows(&book(0, &cells), "Данные").expect("rows");
    assert_eq!(
        held[0].broken.as_ref().map(|broken| &broken.fault),
        Some(&RowFault::NoString)
    );
}

#[test]
fn one_that_is_written_otherwise_is_called_by_its_name() {
    let parts: &[(&str, &[u8])] = &[
        ("_rels/.rels", ROOT),
        ("xl/workbook.bin", b"no records at all, but bytes"),
    ];
    let refused = Workbook::open(&source(&archive(parts)))
        .map(|_| ())
        .expect_err("refused");
    assert_eq!(refused, Fault::Unsupported(strangers::XLSB));
    assert!(
        refused.detail_ru().contains(".xlsb")
            && refused
                .cure_ru()
                .is_some_and(|cure| cure.contains("Книга Excel (.xlsx)"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damage_is_refused_without_a_panic(flips in prop::collection::vec((0usize..400, 0u8..), 1..5), cut in 0usize..300) {
        let mut cells = every_kind_of_cell();
        for (at, byte) in flips {
            let at = at % cells.len();
            cells[at] = byte;
        }
        cells.truncate(cells.len().saturating_sub(cut));
        let _ = rows(&book(0, &cells), "Данные");
    }
}
