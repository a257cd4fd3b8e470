//! XLS, record by record.

use super::*;

/// A container of the old Office with these streams; small ones in small sectors.
pub fn container(streams: &[(&str, &[u8])]) -> Vec<u8> {
    const SECTOR: usize = 512;
    const SMALL: usize = 64;
    const BELOW: usize = 4096;
    let padded = |bytes: &[u8], size: usize| {
        let mut bytes = bytes.to_vec();
        bytes.resize(bytes.len().div_ceil(size) * size, 0);
        bytes
    };
    let (mut small, mut small_table) = (Vec::new(), Vec::new());
    let (mut body, mut table) = (Vec::new(), Vec::new());
    let chain = |bytes: &[u8], size: usize, body: &mut Vec<u8>, table: &mut Vec<u32>| {
        let start = u32::try_from(body.len() / size).expect("few");
        let bytes = padded(bytes, size);
        let sectors = u32::try_from(bytes.len() / size).expect("few");
        table.extend((1..=sectors).map(|next| if next == sectors { 0xFFFF_FFFE } else { start + next }));
        body.extend(bytes);
        if sectors == 0 { 0xFFFF_FFFE } else { start }
    };
    let mut entries = Vec::new();
    for (name, bytes) in streams {
        let start = if bytes.len() < BELOW {
            chain(bytes, SMALL, &mut small, &mut small_table)
        } else {
            chain(bytes, SECTOR, &mut body, &mut table)
        };
        entries.push((*name, 2, start, bytes.len()));
    }
    let root = chain(&small, SECTOR, &mut body, &mut table);
    entries.insert(0, ("Root Entry", 5, root, small.len()));
    let small_table: Vec<u8> = small_table.into_iter().flat_map(u32::to_le_bytes).collect();
    let small_start = chain(&small_table, SECTOR, &mut body, &mut table);
    let entry = |(name, kind, start, size): (&str, u8, u32, usize)| {
        let mut entry = vec![0; 128];
        for (place, byte) in name.encode_utf16().flat_map(u16::to_le_bytes).enumerate() {
            entry[place] = byte;
        }
        entry[64] = u8::try_from(2 * name.len() + 2).expect("short");
        entry[66] = kind;
        entry[116..120].copy_from_slice(&start.to_le_bytes());
        entry[120..124].copy_from_slice(&u32::try_from(size).expect("small").to_le_bytes());
        entry
    };
    let directory: Vec<u8> = entries.into_iter().flat_map(entry).collect();
    let directory = chain(&directory, SECTOR, &mut body, &mut table);
    // The table of sectors names its own as well.
    let mut own = 1;
    while own * (SECTOR / 4) < table.len() + own {
        own += 1;
    }
    let first = u32::try_from(body.len() / SECTOR).expect("few");
    table.extend(std::iter::repeat_n(0xFFFF_FFFD, own));
    let table: Vec<u8> = table.into_iter().flat_map(u32::to_le_bytes).collect();
    let mut table = table;
    table.resize(own * SECTOR, 0xFF);
    body.extend(table);
    let mut head = vec![0xFF; SECTOR];
    head[..8].copy_from_slice(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1");
    head[8..76].fill(0);
    head[24] = 0x3E;
    head[26] = 3;
    head[28..30].copy_from_slice(&[0xFE, 0xFF]);
    (head[30], head[32]) = (9, 6);
    let own = u32::try_from(own).expect("few");
    for (place, number) in [
        (44, own),
        (48, directory),
        (56, 4096),
        (60, small_start),
        (64, 1),
        (68, 0xFFFF_FFFE),
    ] {
        head[place..place + 4].copy_from_slice(&number.to_le_bytes());
    }
    for sector in 0..own {
        let place = 76 + 4 * sector as usize;
        head[place..place + 4].copy_from_slice(&(first + sector).to_le_bytes());
    }
    head.extend(body);
    head
}

fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("short");
    [&kind.to_le_bytes()[..], &length.to_le_bytes()[..], data].concat()
}

fn wide(text: &str) -> Vec<u8> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let count = u16::try_from(units.len()).expect("short");
    let mut out = count.to_le_bytes().to_vec();
    out.push(1);
    out.extend(units.into_iter().flat_map(u16::to_le_bytes));
    out
}

fn cell(kind: u16, row: u16, column: u16, style: u16, value: &[u8]) -> Vec<u8> {
    let head = [row, column, style].map(u16::to_le_bytes).concat();
    record(kind, &[&head, value].concat())
}

/// Parts of a workbook of two sheets, the first of them hidden.
pub struct Made {
    pub globals: Vec<Vec<u8>>,
    pub rows: Vec<Vec<u8>>,
}

impl Made {
    pub fn new(rows: Vec<Vec<u8>>) -> Self {
        let style = |format: u16| record(0x00E0, &[&[0; 2][..], &format.to_le_bytes()[..], &[0; 16][..]].concat());
        let format = [&165_u16.to_le_bytes()[..], &wide("[h]:mm")].concat();
        Self {
            globals: vec![record(0x041E, &format), style(0), style(14), style(22), style(165)],
            rows,
        }
    }

    pub fn stream(&self) -> Vec<u8> {
        let begin = |kind: u16| {
            record(
                0x0809,
                &[&[0x00, 0x06][..], &kind.to_le_bytes()[..], &[0; 12][..]].concat(),
            )
        };
        let names = [("Скрытый", 1_u8), ("Данные", 0)];
        let bound = |start: usize, name: &str, state: u8| {
            let mut name = wide(name);
            name.remove(1);
            let start = u32::try_from(start).expect("small").to_le_bytes();
            record(0x0085, &[&start[..], &[state, 0], &name].concat())
        };
        let end = record(0x000A, &[]);
        let length: usize = names.iter().map(|(name, state)| bound(0, name, *state).len()).sum();
        let globals = [begin(5), self.globals.concat()].concat();
        let first = globals.len() + length + end.len();
        let empty = [begin(0x10), end.clone()].concat();
        let second = first + empty.len();
        let bounds = [(first, names[0]), (second, names[1])].map(|(start, (name, state))| bound(start, name, state));
        [
            globals,
            bounds.concat(),
            end.clone(),
            empty,
            begin(0x10),
            self.rows.concat(),
            end,
        ]
        .concat()
    }

    pub fn file(&self) -> Vec<u8> {
        container(&[("Workbook", &self.stream())])
    }
}

/// A table of strings cut into records of this length, in the middle of strings.
fn strings(texts: &[&str], length: usize) -> Vec<u8> {
    let count = u32::try_from(texts.len()).expect("few").to_le_bytes();
    let mut records = Vec::new();
    let mut data = [count, count].concat();
    let mut kind = 0x00FC;
    for text in texts {
        if data.len() + 3 > length {
            records.push(record(kind, &std::mem::take(&mut data)));
            kind = 0x003C;
        }
        let units: Vec<u16> = text.encode_utf16().collect();
        data.extend(u16::try_from(units.len()).expect("short").to_le_bytes());
        data.push(1);
        for unit in units {
            if data.len() + 2 > length {
                records.push(record(kind, &std::mem::take(&mut data)));
                kind = 0x003C;
                data.push(1);
            }
            data.extend(unit.to_le_bytes());
        }
    }
    records.push(record(kind, &data));
    records.concat()
}

fn packed(number: u32) -> [u8; 4] {
    number.to_le_bytes()
}

pub fn every_kind_of_cell() -> Vec<Vec<u8>> {
    let long = |number: f64| number.to_le_bytes();
    let text_of_formula = [0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0];
    let formula = |result: [u8; 8]| [&result[..], &[0; 8]].concat();
    vec![
        cell(0x00FD, 1, 0, 0, &packed(0)),
        cell(0x00FD, 1, 1, 0, &packed(1)),
        cell(0x0203, 1, 2, 2, &long(46027.4375)),
        cell(0x0203, 1, 3, 1, &long(46027.0)),
        cell(0x027E, 1, 4, 0, &packed(770_001 << 2 | 2)),
        cell(0x027E, 1, 5, 0, &packed(12_345 << 2 | 3)),
        cell(0x0205, 1, 6, 0, &[1, 0]),
        cell(0x0205, 1, 7, 0, &[0, 0]),
        cell(0x0205, 1, 8, 0, &[0x2A, 1]),
        cell(0x0006, 1, 9, 0, &text_of_formula),
        record(0x0207, &wide("из формулы")),
        cell(0x0006, 1, 10, 0, &formula(long(0.0))),
        cell(0x0006, 1, 11, 0, &formula([1, 0, 1, 0, 0, 0, 0xFF, 0xFF])),
        cell(0x0201, 1, 12, 0, &[]),
        cell(0x0204, 1, 13, 0, &wide("сама")),
        // Rows in any order, several numbers in one record.
        cell(0x0203, 9, 0, 0, &long(0.5)),
        record(
            0x00BD,
            &[
                &[4, 0, 1, 0][..],
                &[0, 0],
                &packed(1 << 2 | 2),
                &[1, 0],
                &packed(46_027 << 2 | 2),
                &[2, 0],
            ]
            .concat(),
        ),
        cell(0x0203, 4, 5, 1, &long(0.4375)),
    ]
}

fn made() -> Made {
    let mut made = Made::new(every_kind_of_cell());
    made.globals
        .push(strings(&["Яма у школы", &"длинный текст ".repeat(700)], 8224));
    made
}

#[test]
fn every_cell_is_what_calamine_reads() {
    let bytes = made().file();
    let ours = ours(&bytes, "Данные");
    assert_eq!(ours, of_calamine(&bytes, "a.xls", "Данные"));
    assert_eq!(ours.len(), 17);
    let row = &rows(&bytes, "Данные").expect("rows")[0];
    assert_eq!(
        row.cells[2..8],
        ["2026-01-05T10:30:00", "2026-01-05", "770001", "123.45", "да", "нет"]
    );
    assert!(row.is_noted(10, Noted::Formula) && row.is_noted(3, Noted::ShownAsDate));
}

#[test]
fn strings_may_be_cut_anywhere() {
    let texts = ["Яма", "", "Не горит фонарь", "x", "Мусор не вывозят"];
    for length in 12..60 {
        let cells = (0..5_u16)
            .map(|index| cell(0x00FD, index, 0, 0, &packed(index.into())))
            .collect();
        let mut made = Made::new(cells);
        made.globals.push(strings(&texts, length));
        let read = ours(&made.file(), "Данные");
        let expected = texts
            .iter()
            .filter(|text| !text.is_empty())
            .map(|text| (*text).to_owned());
        assert_eq!(
            read.into_values().collect::<Vec<_>>(),
            expected.collect::<Vec<_>>(),
            "{length}"
        );
    }
}

#[test]
fn sheets_are_told_with_their_visibility() {
    let names = [
        ("Скрытый".to_owned(), Visibility::Hidden, false),
        ("Данные".to_owned(), Visibility::Visible, false),
    ];
    assert_eq!(sheets(&made().file()), names);
}

#[test]
fn the_epoch_of_1904_is_heard() {
    let mut made = Made::new(vec![cell(0x0203, 0, 0, 1, &44_565.0_f64.to_le_bytes())]);
    made.globals.push(record(0x0022, &[1, 0]));
    assert_eq!(
        ours(&made.file(), "Данные").into_values().collect::<Vec<_>>(),
        ["2026-01-05"]
    );
}

#[test]
fn what_is_no_readable_workbook_is_called_by_its_name() {
    let open = |bytes: &[u8]| Workbook::open(&source(bytes)).map(|_| ()).expect_err("refused");
    let mut protected = made();
    protected.globals.insert(0, record(0x002F, &[1, 0]));
    assert_eq!(open(&protected.file()), Fault::Unsupported(strangers::PROTECTED));
    for (stream, what) in [
        ("EncryptedPackage", strangers::PROTECTED),
        ("Book", strangers::EXCEL_95),
        ("WordDocument", strangers::WORD),
        ("PowerPoint Document", strangers::SLIDES),
        ("Contents", strangers::OLD_OFFICE),
    ] {
        assert_eq!(
            open(&container(&[(stream, b"x")])),
            Fault::Unsupported(what),
            "{stream}"
        );
    }
    let mut large = made().file();
    large.resize(17 * 1024 * 1024, 0);
    assert_eq!(open(&large), Fault::Unsupported(strangers::XLS_TOO_LARGE));
    assert!(matches!(open(&made().file()[..900]), Fault::Damaged(_)));
}

#[test]
fn a_string_that_is_not_there_holds_its_row() {
    let made = Made::new(vec![
        cell(0x00FD, 0, 0, 0, &packed(7)),
        cell(0x0203, 1, 0, 0, &1.0_f64.to_le_bytes()),
    ]);
    let rows = rows(&made.file(), "Данные").expect("rows");
    assert_eq!(
        rows[0].broken.as_ref().map(|broken| &broken.fault),
        Some(&RowFault::NoString)
    );
    assert_eq!(rows[1].cells, ["1"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damage_is_refused_without_a_panic(cut in 0usize..100, flips in prop::collection::vec((0usize..20_000, 1u8..), 1..6)) {
        let mut bytes = made().file();
        for (at, mask) in flips {
            let at = at % bytes.len();
            bytes[at] ^= mask;
        }
        bytes.truncate(bytes.len() * (100 - cut) / 100);
        let _ = rows(&bytes, "Данные");
    }
}
