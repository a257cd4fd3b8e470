//! The container of a workbook: its parts, its sheets, and where their bytes are.

use std::{
    cell::Cell,
    collections::HashMap,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Take},
    path::Path,
    rc::Rc,
};

use flate2::read::DeflateDecoder;
use quick_xml::events::{BytesStart, Event};
use zip::{CompressionMethod, ZipArchive};

use super::{
    sheet::SheetRows,
    strings::SharedStrings,
    styles::{self, NumberKind},
    xml::{Events, attribute, broken, damaged},
};
use crate::{
    fault::Fault,
    limits::{
        FREE_UNPACKED, LARGEST_DIRECTORY, LARGEST_PART, LARGEST_SMALL_PART, MOST_PARTS, MOST_RATIO, MOST_SHEETS,
        Measure, OverLimit,
    },
    source::{Source, Stop},
    strangers,
};

/// A sheet that leads nowhere.
const MISSING: &str = "a sheet is missing";

/// An open workbook.
#[derive(Debug)]
pub struct Workbook {
    source: Source,
    parts: HashMap<String, Part>,
    /// The worksheets, in the order of the book.
    sheets: Vec<Sheet>,
    strings_part: Option<String>,
    pub(super) kinds: Vec<NumberKind>,
    pub(super) from_1904: bool,
}

/// A worksheet of a workbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// Its name.
    pub name: String,
    /// Whether people see it.
    pub visibility: Visibility,
    /// Why it can't be read, when that is known without reading it.
    pub unreadable: Option<Fault>,
    pub(super) part: String,
}

/// Whether people see a worksheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Visibility {
    /// They do.
    #[default]
    Visible,
    /// They can bring it back.
    Hidden,
    /// Only programs can.
    VeryHidden,
}

impl Sheet {
    /// A worksheet that people see.
    pub(crate) fn new(name: String, visibility: Visibility) -> Self {
        Self {
            name,
            visibility,
            unreadable: None,
            part: String::new(),
        }
    }
}

/// Where the bytes of a part are.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    start: u64,
    packed: u64,
    stored: bool,
    crc: u32,
}

/// The bytes of a part, unpacked as they are read, with their checksum: damaged bytes may unpack to something that
/// still is XML. The checksum is compared when the end is read. Ends with an error where a part unpacks to more than a
/// part may, or to so much more than it is packed that it must be made to.
#[derive(Debug)]
pub struct PartReader {
    bytes: Bytes,
    stop: Stop,
    packed: u64,
    unpacked: u64,
    largest: u64,
    sum: flate2::Crc,
    expected: u32,
}

#[derive(Debug)]
enum Bytes {
    Stored(Take<Source>),
    Deflated(Box<DeflateDecoder<Take<Source>>>),
}

impl PartReader {
    /// Packed bytes not read yet: the measure of progress.
    pub fn left(&self) -> u64 {
        match &self.bytes {
            Bytes::Stored(source) => source.limit(),
            Bytes::Deflated(source) => source.get_ref().limit(),
        }
    }
}

impl Read for PartReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stop.check()?;
        let read = match &mut self.bytes {
            Bytes::Stored(source) => source.read(buffer)?,
            Bytes::Deflated(source) => source.read(buffer)?,
        };
        self.unpacked += read as u64;
        if self.unpacked > self.largest {
            return Err(OverLimit::new(Measure::Part, self.largest).into_io());
        }
        if self.unpacked > FREE_UNPACKED + MOST_RATIO * (self.packed - self.left()) {
            return Err(OverLimit::new(Measure::Ratio, MOST_RATIO).into_io());
        }
        self.sum.update(&buffer[..read]);
        if read == 0 && !buffer.is_empty() && self.sum.sum() != self.expected {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "checksum mismatch"));
        }
        Ok(read)
    }
}

/// Reads a part to its end, so that its checksum is compared.
pub fn read_to_end(source: &mut impl BufRead) -> Result<(), Fault> {
    loop {
        let length = source.fill_buf().map_err(broken)?.len();
        if length == 0 {
            return Ok(());
        }
        source.consume(length);
    }
}

impl Part {
    /// Bytes in the container.
    pub fn packed(&self) -> u64 {
        self.packed
    }

    /// Opens a sheet or the table of strings.
    pub fn open(&self, source: &Source) -> Result<PartReader, Fault> {
        self.open_up_to(source, LARGEST_PART)
    }

    fn open_up_to(&self, source: &Source, largest: u64) -> Result<PartReader, Fault> {
        let mut file = source.from_start();
        file.seek(SeekFrom::Start(self.start)).map_err(damaged)?;
        let packed = file.take(self.packed);
        Ok(PartReader {
            bytes: if self.stored {
                Bytes::Stored(packed)
            } else {
                Bytes::Deflated(Box::new(DeflateDecoder::new(packed)))
            },
            stop: source.stop().clone(),
            packed: self.packed,
            unpacked: 0,
            largest,
            sum: flate2::Crc::new(),
            expected: self.crc,
        })
    }
}

impl Workbook {
    /// Opens a workbook and reads everything but its strings and sheets.
    ///
    /// # Errors
    /// When it is no workbook, is damaged or protected by a password.
    pub fn open(source: &Source) -> Result<Self, Fault> {
        let left = Rc::new(Cell::new(LARGEST_DIRECTORY));
        let directory = Allowance {
            source: source.from_start(),
            left: Rc::clone(&left),
        };
        let mut archive = ZipArchive::new(BufReader::new(directory)).map_err(|error| match error {
            zip::result::ZipError::Io(error) => broken(error),
            other => damaged(other),
        })?;
        if archive.len() > MOST_PARTS {
            return Err(Fault::over(Measure::Parts, MOST_PARTS));
        }
        // The list is known; what is read from here on are the heads of the parts, a block for each.
        left.set(u64::MAX);
        let mut parts = HashMap::with_capacity(archive.len());
        for index in 0..archive.len() {
            let entry = archive.by_index_raw(index).map_err(damaged)?;
            if entry.encrypted() {
                return Err(Fault::Unsupported(strangers::PROTECTED));
            }
            let stored = match entry.compression() {
                CompressionMethod::Stored => true,
                CompressionMethod::Deflated => false,
                _ => continue,
            };
            let Some(start) = entry.data_start() else {
                continue;
            };
            let part = Part {
                start,
                packed: entry.compressed_size(),
                stored,
                crc: entry.crc32(),
            };
            let name = String::from_utf8_lossy(entry.name_raw()).replace('\\', "/");
            parts.insert(name.trim_start_matches('/').to_lowercase(), part);
        }
        let mut book = Self {
            source: source.clone(),
            parts,
            sheets: Vec::new(),
            strings_part: None,
            kinds: Vec::new(),
            from_1904: false,
        };
        book.read_book()?;
        Ok(book)
    }

    /// The worksheets, in the order of the book; also those that can't be read.
    pub fn sheets(&self) -> &[Sheet] {
        &self.sheets
    }

    /// Names of the worksheets that can be read.
    pub fn sheet_names(&self) -> impl Iterator<Item = &str> {
        let readable = self.sheets.iter().filter(|sheet| sheet.unreadable.is_none());
        readable.map(|sheet| sheet.name.as_str())
    }

    /// The table of strings. A large one goes to a temporary file in `scratch`.
    pub fn strings(&self, scratch: &Path) -> Result<SharedStrings, Fault> {
        match self.strings_part.as_deref().and_then(|name| self.parts.get(name)) {
            Some(part) => SharedStrings::read(BufReader::with_capacity(64 * 1024, part.open(&self.source)?), scratch),
            None => Ok(SharedStrings::default()),
        }
    }

    /// Rows of a sheet, from the first.
    pub fn rows(&self, sheet: &str, strings: SharedStrings) -> Result<SheetRows, Fault> {
        let part = self
            .sheets
            .iter()
            .find(|known| known.name == sheet)
            .and_then(|known| self.parts.get(&known.part))
            .ok_or_else(|| damaged(MISSING))?;
        SheetRows::new(self, sheet, *part, part.open(&self.source)?, strings)
    }

    fn small_part(&self, name: &str) -> Result<Option<BufReader<PartReader>>, Fault> {
        match self.parts.get(&name.to_lowercase()) {
            Some(part) => Ok(Some(BufReader::new(part.open_up_to(&self.source, LARGEST_SMALL_PART)?))),
            None => Ok(None),
        }
    }

    fn read_book(&mut self) -> Result<(), Fault> {
        let root = self.relationships("_rels/.rels", "")?;
        let book = root
            .values()
            .find(|(kind, _)| kind.ends_with("/officeDocument"))
            .map_or_else(|| "xl/workbook.xml".to_owned(), |(_, target)| target.clone());
        let Some(source) = self.small_part(&book)? else {
            return Err(Fault::Unsupported(self.without_workbook()));
        };
        let (folder, file) = book.rsplit_once('/').unwrap_or(("", book.as_str()));
        let links = self.relationships(&format!("{folder}/_rels/{file}.rels"), folder)?;
        let by_kind = |kind: &str| {
            links
                .values()
                .find(|(k, _)| k.ends_with(kind))
                .map(|(_, target)| target.clone())
        };
        // Where every program puts them, when nothing leads there.
        let usual = |name: &str| Some(format!("{folder}/{name}")).filter(|name| self.parts.contains_key(name));
        let strings = by_kind("/sharedStrings").or_else(|| usual("sharedstrings.xml"));
        self.strings_part = strings.map(|name| name.to_lowercase());
        if let Some(name) = by_kind("/styles").or_else(|| usual("styles.xml"))
            && let Some(styles) = self.small_part(&name)?
        {
            self.kinds = styles::read(styles)?;
        }
        self.read_sheets(source, &links)
    }

    fn read_sheets(
        &mut self,
        source: BufReader<PartReader>,
        links: &HashMap<String, (String, String)>,
    ) -> Result<(), Fault> {
        /// `workbook` itself, and what stands right in it: extensions use the same names deeper.
        const IN_BOOK: usize = 2;
        const IN_SHEETS: usize = 3;
        let mut events = Events::new(source);
        loop {
            let depth = events.depth() + 1;
            match events.next()? {
                Event::Start(element) => match element.local_name().as_ref() {
                    "workbookPr" if depth == IN_BOOK => {
                        self.from_1904 = matches!(attribute(&element, "date1904").as_deref(), Some("1" | "true"));
                    }
                    "sheet" if depth == IN_SHEETS => {
                        if self.sheets.len() == MOST_SHEETS {
                            return Err(Fault::over(Measure::Sheets, MOST_SHEETS));
                        }
                        let link = attribute(&element, "id").and_then(|id| links.get(&id));
                        self.sheets.extend(self.sheet(&element, link));
                    }
                    _ => {}
                },
                Event::Eof => break,
                _ => {}
            }
        }
        if self.sheets.is_empty() {
            return Err(damaged("the workbook has no sheet"));
        }
        Ok(())
    }

    /// A sheet of the list, unless it is one of charts or dialogues.
    fn sheet(&self, element: &BytesStart<'_>, link: Option<&(String, String)>) -> Option<Sheet> {
        let name = attribute(element, "name")?;
        let visibility = match attribute(element, "state").as_deref() {
            Some("hidden") => Visibility::Hidden,
            Some("veryHidden") => Visibility::VeryHidden,
            _ => Visibility::Visible,
        };
        let mut sheet = Sheet::new(name, visibility);
        match link {
            Some((kind, _)) if !kind.ends_with("/worksheet") => return None,
            Some((_, target)) => sheet.part = target.to_lowercase(),
            None => {}
        }
        if !self.parts.contains_key(&sheet.part) {
            sheet.unreadable = Some(damaged(MISSING));
        }
        Some(sheet)
    }

    /// What an archive is in which no workbook was found.
    fn without_workbook(&self) -> &'static str {
        let has = |part: &str| self.parts.keys().any(|name| name.starts_with(part));
        if has("index/document.iwa") || has("index.zip") {
            strangers::NUMBERS
        } else if has("word/") {
            strangers::WORD
        } else if has("ppt/") || has("visio/") {
            strangers::SLIDES
        } else {
            strangers::NO_WORKBOOK
        }
    }

    /// Kind and target by id.
    fn relationships(&self, name: &str, folder: &str) -> Result<HashMap<String, (String, String)>, Fault> {
        let mut links = HashMap::new();
        let Some(source) = self.small_part(name.trim_start_matches('/'))? else {
            return Ok(links);
        };
        let mut events = Events::new(source);
        loop {
            match events.next()? {
                Event::Start(element) if element.local_name().as_ref() == "Relationship" => {
                    if let (Some(id), Some(kind), Some(target)) = (
                        attribute(&element, "Id"),
                        attribute(&element, "Type"),
                        attribute(&element, "Target"),
                    ) {
                        if links.len() == MOST_PARTS {
                            return Err(Fault::over(Measure::Parts, MOST_PARTS));
                        }
                        links.insert(id, (kind, resolve(folder, &target)));
                    }
                }
                Event::Eof => return Ok(links),
                _ => {}
            }
        }
    }
}

/// A file of which so many bytes may be read.
struct Allowance {
    source: Source,
    left: Rc<Cell<u64>>,
}

impl Read for Allowance {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        let left = self.left.get().checked_sub(read as u64);
        self.left
            .set(left.ok_or_else(|| OverLimit::new(Measure::Directory, LARGEST_DIRECTORY).into_io())?);
        Ok(read)
    }
}

impl Seek for Allowance {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.source.seek(to)
    }
}

/// A target relative to a folder of the container.
fn resolve(folder: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut path: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path.join("/")
}

/// Whether a ZIP container has its end: a copy that is still going on has not.
///
/// # Errors
/// When the file can't be read.
pub fn has_end(source: &Source) -> io::Result<bool> {
    const RECORD: u64 = 22;
    const LONGEST_COMMENT: u64 = 65_535;
    let mut file = source.from_start();
    let size = file.seek(SeekFrom::End(0))?;
    let tail = size.min(RECORD + LONGEST_COMMENT);
    file.seek(SeekFrom::Start(size - tail))?;
    let mut bytes = Vec::with_capacity(usize::try_from(tail).unwrap_or_default());
    file.take(tail).read_to_end(&mut bytes)?;
    let record = usize::try_from(RECORD).unwrap_or(22);
    Ok(bytes.windows(record).any(|window| {
        let number = |at: usize| {
            u64::from(u32::from_le_bytes([
                window[at],
                window[at + 1],
                window[at + 2],
                window[at + 3],
            ]))
        };
        // The central directory it names must lie inside the file (all ones: a ZIP64 record says more).
        window.starts_with(b"PK\x05\x06") && (number(16) == u64::from(u32::MAX) || number(16) + number(12) <= size)
    }))
}
