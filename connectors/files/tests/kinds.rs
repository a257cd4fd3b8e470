//! ODS, XLSB and XLS in the drop folder: the same table gives the same messages, whatever kind of workbook it is.

use super::{Host, books, container::Container};

/// A cell of the table that is written in each kind.
#[derive(Clone, Copy)]
enum Cell {
    Text(&'static str),
    Number(f64),
    /// A number that is shown as a moment, and the same as ISO.
    Moment(f64, &'static str),
}

use Cell::{Moment, Number, Text};

/// A header with a column nobody knows, a good row, one without its number, a line of the program. Letters in two pieces.
const TABLE: &[&[Cell]] = &[
    &[
        Text("Номер инцидента"),
        Text("Дата создания"),
        Text("Срок ответа"),
        Text("Группа тем"),
        Text("Тема"),
        Text("Текст инцидента"),
        Text("Текущии\u{306} шаг"),
        Text("Пометка"),
    ],
    &[
        Number(770_001.0),
        Moment(46027.4375, "2026-01-05T10:30:00"),
        Moment(46030.0, "2026-01-08"),
        Text("Дороги"),
        Text("★ Ямы во дворах"),
        Text("Яма у дома & е\u{308}лки"),
        Text("В работе"),
        Text("x"),
    ],
    &[
        Text(""),
        Moment(46027.0, "2026-01-05"),
        Text(""),
        Text("Дороги"),
        Text("Ямы"),
        Text("Без номера"),
        Text(""),
        Text(""),
    ],
    &[Text("Итого: 1")],
];

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
}

fn ods() -> Vec<u8> {
    let cell = |cell: &Cell| match cell {
        Text("") => "<table:table-cell/>".to_owned(),
        Text(text) => format!(
            "<table:table-cell office:value-type=\"string\"><text:p>{}</text:p></table:table-cell>",
            escaped(text)
        ),
        Number(number) => format!(
            "<table:table-cell office:value-type=\"float\" office:value=\"{number}\"><text:p>{number}</text:p></table:table-cell>"
        ),
        Moment(_, iso) => format!(
            "<table:table-cell office:value-type=\"date\" office:date-value=\"{iso}\"><text:p>05.01.26</text:p></table:table-cell>"
        ),
    };
    let row = |cells: &&[Cell]| {
        let cells: String = cells.iter().map(cell).collect();
        format!("<table:table-row>{cells}</table:table-row>")
    };
    let rows: String = TABLE.iter().map(row).collect();
    let content = format!(
        "<office:document-content><office:body><office:spreadsheet><table:table table:name=\"Лист1\">{rows}</table:table>\
         </office:spreadsheet></office:body></office:document-content>"
    );
    Container::default()
        .text("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        .text(
            "META-INF/manifest.xml",
            "<manifest:manifest><manifest:file-entry/></manifest:manifest>",
        )
        .text("content.xml", &content)
        .finish()
}

fn units(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn xlsb() -> Vec<u8> {
    let record = |kind: u16, data: &[u8]| {
        let mut out = match u8::try_from(kind) {
            Ok(kind) if kind < 0x80 => vec![kind],
            _ => (kind & 0x7F | 0x80 | (kind >> 7) << 8).to_le_bytes().to_vec(),
        };
        let size = u16::try_from(data.len()).expect("short");
        let [low, high] = (size & 0x7F | 0x80 | size >> 7 << 8).to_le_bytes();
        out.extend([low, high]);
        out.extend(data);
        out
    };
    let wide = |text: &str| {
        let count = u32::try_from(text.encode_utf16().count()).expect("short");
        [count.to_le_bytes().to_vec(), units(text)].concat()
    };
    let mut rows = Vec::new();
    for (number, cells) in (0_u32..).zip(TABLE) {
        rows.extend(record(0, &[&number.to_le_bytes()[..], &[0; 21]].concat()));
        for (column, cell) in (0_u32..).zip(*cells) {
            let (kind, style, value) = match cell {
                Text(text) => (6, 0_u32, wide(text)),
                Number(number) => (5, 0, number.to_le_bytes().to_vec()),
                Moment(number, _) => (5, 1, number.to_le_bytes().to_vec()),
            };
            let place = [column.to_le_bytes(), style.to_le_bytes()].concat();
            rows.extend(record(kind, &[place, value].concat()));
        }
    }
    let sheet = [0_u32, 1].map(u32::to_le_bytes).concat();
    let list = [
        record(0x0083, &[]),
        record(0x0099, &[0; 12]),
        record(0x008F, &[]),
        record(0x009C, &[sheet, wide("r1"), wide("Лист1")].concat()),
        record(0x0090, &[]),
        record(0x0084, &[]),
    ];
    let format = |id: u16| record(0x002F, &[&[0; 2][..], &id.to_le_bytes()[..], &[0; 12]].concat());
    let styles = [
        record(0x0269, &2_u32.to_le_bytes()),
        format(0),
        format(22),
        record(0x026A, &[]),
    ];
    let data = [
        record(0x0081, &[]),
        record(0x0091, &[]),
        rows,
        record(0x0092, &[]),
        record(0x0082, &[]),
    ];
    let root =
        "<Relationships><Relationship Id=\"r1\" Type=\"x/officeDocument\" Target=\"xl/workbook.bin\"/></Relationships>";
    let links = "<Relationships><Relationship Id=\"r1\" Type=\"x/worksheet\" Target=\"worksheets/sheet1.bin\"/>\
                 <Relationship Id=\"r2\" Type=\"x/styles\" Target=\"styles.bin\"/></Relationships>";
    Container::default()
        .text("_rels/.rels", root)
        .text("xl/_rels/workbook.bin.rels", links)
        .bytes("xl/workbook.bin", &list.concat())
        .bytes("xl/styles.bin", &styles.concat())
        .bytes("xl/worksheets/sheet1.bin", &data.concat())
        .finish()
}

fn xls() -> Vec<u8> {
    let record = |kind: u16, data: &[u8]| {
        let length = u16::try_from(data.len()).expect("short");
        [&kind.to_le_bytes()[..], &length.to_le_bytes()[..], data].concat()
    };
    let wide = |text: &str| {
        let count = u16::try_from(text.encode_utf16().count()).expect("short");
        [count.to_le_bytes().to_vec(), vec![1], units(text)].concat()
    };
    let begin = |kind: u16| {
        let data = [&[0x00, 0x06][..], &kind.to_le_bytes()[..], &[0; 12][..]].concat();
        record(0x0809, &data)
    };
    let style = |format: u16| record(0x00E0, &[&[0; 2][..], &format.to_le_bytes()[..], &[0; 16][..]].concat());
    let mut rows = Vec::new();
    for (number, cells) in (0_u16..).zip(TABLE) {
        for (column, cell) in (0_u16..).zip(*cells) {
            let (kind, style, value) = match cell {
                Text(text) => (0x0204, 0_u16, wide(text)),
                Number(number) => (0x0203, 0, number.to_le_bytes().to_vec()),
                Moment(number, _) => (0x0203, 1, number.to_le_bytes().to_vec()),
            };
            let place = [number, column, style].map(u16::to_le_bytes).concat();
            rows.extend(record(kind, &[place, value].concat()));
        }
    }
    let mut name = wide("Лист1");
    name.remove(1);
    let sheet = |start: usize| {
        let start = u32::try_from(start).expect("small").to_le_bytes();
        record(0x0085, &[&start[..], &[0, 0], &name].concat())
    };
    let end = record(0x000A, &[]);
    let globals = [begin(5), style(0), style(22)].concat();
    let start = globals.len() + sheet(0).len() + end.len();
    let stream = [globals, sheet(start), end.clone(), begin(0x10), rows, end].concat();
    old_container("Workbook", stream)
}

/// A container of the old Office with one stream.
fn old_container(name: &str, mut stream: Vec<u8>) -> Vec<u8> {
    const SECTOR: usize = 512;
    const END: u32 = 0xFFFF_FFFE;
    // Shorter streams stand elsewhere.
    stream.resize(stream.len().max(4096).div_ceil(SECTOR) * SECTOR, 0);
    let sectors = u32::try_from(stream.len() / SECTOR).expect("few");
    let entry = |name: &str, kind: u8, start: u32, size: u32| {
        let mut entry = vec![0; 128];
        entry[..2 * name.len()].copy_from_slice(&units(name));
        entry[64] = u8::try_from(2 * name.len() + 2).expect("short");
        entry[66] = kind;
        entry[116..120].copy_from_slice(&start.to_le_bytes());
        entry[120..124].copy_from_slice(&size.to_le_bytes());
        entry
    };
    let size = u32::try_from(stream.len()).expect("small");
    let mut directory = [entry("Root Entry", 5, END, 0), entry(name, 2, 0, size)].concat();
    directory.resize(SECTOR, 0);
    // The chain of the stream, the sector of the directory, and that of this table.
    let mut table: Vec<u32> = (1..=sectors)
        .map(|next| if next == sectors { END } else { next })
        .collect();
    table.extend([END, 0xFFFF_FFFD]);
    let mut table: Vec<u8> = table.into_iter().flat_map(u32::to_le_bytes).collect();
    assert!(table.len() <= SECTOR, "one sector of the table is enough");
    table.resize(SECTOR, 0xFF);
    let mut head = vec![0xFF; SECTOR];
    head[..76].fill(0);
    head[..8].copy_from_slice(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1");
    (head[24], head[26], head[30], head[32]) = (0x3E, 3, 9, 6);
    head[28..30].copy_from_slice(&[0xFE, 0xFF]);
    for (place, number) in [
        (44, 1),
        (48, sectors),
        (56, 4096),
        (60, END),
        (68, END),
        (76, sectors + 1),
    ] {
        head[place..place + 4].copy_from_slice(&number.to_le_bytes());
    }
    [head, stream, directory, table].concat()
}

fn xlsx() -> Vec<u8> {
    let cell = |cell: &Cell| match *cell {
        Text("Яма у дома & е\u{308}лки") => books::Cell::Text("Яма у дома &amp; е\u{308}лки"),
        Text(text) => books::Cell::Text(text),
        Number(_) => books::Cell::Xml("<c r=\"{r}\"><v>770001</v></c>"),
        Moment(_, "2026-01-05T10:30:00") => books::Cell::Xml("<c r=\"{r}\" s=\"1\"><v>46027.4375</v></c>"),
        Moment(_, "2026-01-08") => books::Cell::Xml("<c r=\"{r}\" s=\"1\"><v>46030</v></c>"),
        Moment(..) => books::Cell::Xml("<c r=\"{r}\" s=\"1\"><v>46027</v></c>"),
    };
    books::book(&[books::Sheet {
        name: "Лист1",
        attributes: "",
        rows: TABLE.iter().map(|row| row.iter().map(cell).collect()).collect(),
    }])
}

#[test]
fn every_kind_of_workbook_gives_the_same_messages_and_the_same_report() {
    let mut first: Option<(String, String)> = None;
    for (name, bytes) in [
        ("a.xlsx", xlsx()),
        ("a.ods", ods()),
        ("a.xlsb", xlsb()),
        ("a.xls", xls()),
    ] {
        let mut host = Host::new(|_| {});
        host.drop_text(name, bytes);
        host.run();
        assert_eq!(
            host.done().into_iter().collect::<Vec<_>>(),
            [name],
            "{:?}",
            host.problems()
        );
        assert_eq!(host.good(), ["770001"], "{name}");
        let data = &host.messages("770001")[0].data;
        assert_eq!(data.body.text, "Яма у дома & ёлки", "{name}");
        assert_eq!(
            data.times.at_source.as_ref().expect("a moment").value,
            "2026-01-05T10:30:00+05:00",
            "{name}"
        );
        assert_eq!(data.deadlines[0].due_at.to_string(), "2026-01-08T18:59:59Z", "{name}");
        assert_eq!(host.problems().len(), 1, "{name}");
        let report = std::fs::read_to_string(host.path("done", &format!("{name}.report.txt"))).expect("a report");
        for told in [
            "Принято строк: 1, отложено в карантин: 1.",
            "Отложены строки 3:",
            "Пропущено строк: 1",
            "«Пометка»",
        ] {
            assert!(report.contains(told), "{name}: {report}");
        }
        let message = serde_json::to_string(data).expect("JSON");
        let same = (message, report.replace(name, ""));
        assert_eq!(&same, first.get_or_insert_with(|| same.clone()), "{name}");
    }
}
