//! What is fuzzed: everything that reads what strangers send, each as a function of bytes that answers how much it made of
//! them. `scripts/fuzz.sh` runs them under libFuzzer; `connectors/tests/fuzz` compiles this file into the ordinary tests
//! and keeps it working with the samples that a fuzzer begins with.

use std::{
    fs::File,
    io::{Cursor, Write as _},
    sync::LazyLock,
};

use bytes::Bytes;
use jiff::Timestamp;
use priem_connectors::{
    CONNECTORS,
    manifest::{format::Format, jq::Filter},
};
use priem_sdk::{
    HookRequest, Item, RawItem,
    contract::{Connector, ConnectorId},
    html, text,
};
use priem_tables::{CsvRows, Fault, RawRow, Source, Workbook, dialect::Delimiter, sniff::Start};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Makes something of bytes; how much.
pub type Target = fn(&[u8]) -> usize;

/// Every target by its name.
pub const TARGETS: [(&str, Target); 10] = [
    ("workbook", workbook),
    ("parts", parts),
    ("csv", csv),
    ("xml", xml),
    ("jq", jq),
    ("html", markup),
    ("telegram", telegram),
    ("vk", vk),
    ("ok", ok),
    ("max", max),
];

/// Begins a part in the input of [`parts`]: its name follows, and after a line end its bytes.
pub const PART: &[u8] = b"\x1FPART ";

/// Rows of a workbook: XLSX, XLSB, ODS, XLS.
pub fn workbook(bytes: &[u8]) -> usize {
    sheets(&file(bytes)).unwrap_or(0)
}

/// The same of a container that is always whole: random bytes hardly ever have right checksums.
pub fn parts(bytes: &[u8]) -> usize {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for part in split(bytes, PART) {
        let end = part.iter().position(|byte| *byte == b'\n').unwrap_or(part.len());
        let (name, content) = part.split_at(end);
        // A name that comes twice is refused; the others still make a container.
        if zip.start_file(String::from_utf8_lossy(name), options).is_ok() {
            let written = zip.write_all(content.get(1..).unwrap_or_default());
            written.expect("memory takes what is written");
        }
    }
    let whole = zip.finish().expect("memory takes what is written");
    workbook(whole.get_ref())
}

/// Rows of a text file.
pub fn csv(bytes: &[u8]) -> usize {
    let source = file(bytes);
    let delimiters = [Delimiter::OfHeader, Delimiter::OfFirstRows];
    delimiters.map(|delimiter| lines(&source, delimiter).unwrap_or(0))[0]
}

/// Bodies of interfaces that a manifest describes: XML, forms, CSV, JSON.
pub fn xml(bytes: &[u8]) -> usize {
    let body = Bytes::copy_from_slice(bytes);
    let formats = [Format::Xml, Format::Form, Format::Csv, Format::Json];
    formats
        .map(|format| usize::from(format.read(&body).is_ok()))
        .iter()
        .sum()
}

/// Values that a filter of a manifest, which ends with the first line, makes of the JSON after it.
pub fn jq(bytes: &[u8]) -> usize {
    let Ok(text) = std::str::from_utf8(bytes) else { return 0 };
    let (source, input) = text.split_once('\n').unwrap_or((text, "null"));
    let Ok(filter) = Filter::compile(source, "fuzz") else {
        return 0;
    };
    let input = serde_json::from_str(input).unwrap_or_default();
    filter.all(&input).map_or(0, |values| values.len())
}

/// Letters of texts with markup: HTML of mails and cabinets, marks of VK.
pub fn markup(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let plain = [html::to_text(&text), text::from_html(&text), text::from_vk(&text).text];
    plain.map(|plain| plain.len()).iter().sum::<usize>() + usize::from(text::has_html(&text))
}

/// Messages of a delivery of Telegram.
pub fn telegram(bytes: &[u8]) -> usize {
    static PLATFORM: LazyLock<Platform> = LazyLock::new(|| Platform::new("telegram"));
    PLATFORM.hear(bytes)
}

/// Messages of a delivery of VK.
pub fn vk(bytes: &[u8]) -> usize {
    static PLATFORM: LazyLock<Platform> = LazyLock::new(|| Platform::new("vk"));
    PLATFORM.hear(bytes)
}

/// Messages of a delivery of OK.
pub fn ok(bytes: &[u8]) -> usize {
    static PLATFORM: LazyLock<Platform> = LazyLock::new(|| Platform::new("ok"));
    PLATFORM.hear(bytes)
}

/// Messages of a delivery of MAX.
pub fn max(bytes: &[u8]) -> usize {
    static PLATFORM: LazyLock<Platform> = LazyLock::new(|| Platform::new("max"));
    PLATFORM.hear(bytes)
}

/// Bytes as an open file that is nowhere on the disk.
fn file(bytes: &[u8]) -> Source {
    let name = rustix::fs::memfd_create("input", rustix::fs::MemfdFlags::CLOEXEC).expect("a file in memory");
    let mut file = File::from(name);
    file.write_all(bytes).expect("room for it");
    Source::from(file)
}

fn sheets(source: &Source) -> Result<usize, Fault> {
    let scratch = std::env::temp_dir();
    let book = Workbook::open(source)?;
    let names: Vec<String> = book.sheet_names().map(str::to_owned).collect();
    let mut count = 0;
    for name in names {
        let Ok(mut rows) = book.rows(&name, book.strings(&scratch)?) else {
            continue;
        };
        while let Ok(Some(row)) = rows.next_row() {
            count += look(&row);
        }
    }
    Ok(count)
}

fn lines(source: &Source, delimiter: Delimiter) -> Result<usize, Fault> {
    let dialect = Start::of(source)?.dialect(None, delimiter)?;
    let mut rows = CsvRows::new(source.from_start(), dialect.mark, 1, dialect)?;
    let Some(header) = rows.next_row()? else { return Ok(0) };
    rows.expect_header(&header.cells)?;
    let mut count = look(&header);
    while let Some(row) = rows.next_row()? {
        count += look(&row);
    }
    Ok(count)
}

fn look(row: &RawRow) -> usize {
    for cell in &row.cells {
        std::hint::black_box(priem_tables::dates::read(cell));
    }
    1
}

fn split<'a>(bytes: &'a [u8], mark: &[u8]) -> Vec<&'a [u8]> {
    let starts = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(mark));
    let mut pieces: Vec<&[u8]> = Vec::new();
    let mut before = None;
    for start in starts.chain([bytes.len()]) {
        pieces.extend(before.map(|before: usize| &bytes[before + mark.len()..start]));
        before = Some(start);
    }
    pieces
}

/// A connector with what its source sends.
struct Platform {
    connector: std::sync::Arc<dyn Connector>,
    /// Makes a proven request of a body.
    prove: fn(Bytes) -> HookRequest,
    /// One item of each format.
    items: Vec<Item>,
}

impl Platform {
    fn new(name: &str) -> Self {
        let kind = CONNECTORS.iter().find(|kind| kind.name == name);
        let subject = (kind.expect("a connector of this name").conformance)();
        let hook = subject.hooks.iter().find(|hook| hook.items > 0);
        let mut items: Vec<Item> = subject.items.into_iter().map(|sample| sample.item).collect();
        items.sort_by_key(|item| item.format);
        items.dedup_by_key(|item| item.format);
        Self {
            connector: subject.connector,
            prove: hook.expect("a delivery").prove,
            items,
        }
    }

    /// Receives a body as a proven delivery and makes messages of what came, and of the body itself as an item of every
    /// format.
    fn hear(&self, body: &[u8]) -> usize {
        let body = Bytes::copy_from_slice(body);
        let received = self.connector.receive(&(self.prove)(body.clone()));
        let came = received.map(|receipt| receipt.items).unwrap_or_default();
        let itself = self.items.iter().map(|item| Item {
            body: body.clone(),
            ..item.clone()
        });
        came.into_iter().chain(itself).map(|item| self.understand(item)).sum()
    }

    fn understand(&self, item: Item) -> usize {
        let raw = RawItem {
            connector: ConnectorId::new("fuzz"),
            external_id: item.external_id,
            revision: item.revision.unwrap_or_default(),
            ordinal: 0,
            format: item.format.into(),
            body: item.body,
            received_at: Timestamp::UNIX_EPOCH,
        };
        let messages = self.connector.normalize(&raw).unwrap_or_default();
        for message in &messages {
            serde_json::to_vec(message).expect("a message can be written");
        }
        messages.len()
    }
}
