//! A ZIP container: its parts, and where their bytes are.

use std::{
    cell::Cell,
    collections::HashMap,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Take},
    rc::Rc,
};

use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use crate::{
    fault::Fault,
    limits::{
        FREE_UNPACKED, LARGEST_DIRECTORY, LARGEST_PART, LARGEST_SMALL_PART, MOST_PARTS, MOST_RATIO, Measure, OverLimit,
    },
    source::{Source, Stop},
    strangers,
    xml::{broken, damaged},
};

/// An open container.
#[derive(Debug)]
pub(crate) struct Container {
    source: Source,
    parts: HashMap<String, Part>,
}

/// Where the bytes of a part are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    start: u64,
    packed: u64,
    stored: bool,
    crc: u32,
}

/// The bytes of a part, unpacked as they are read, with their checksum: damaged bytes may unpack to something that
/// still is XML. The checksum is compared when the end is read. Ends with an error where a part unpacks to more than a
/// part may, or to so much more than it is packed that it must be made to.
#[derive(Debug)]
pub(crate) struct PartReader {
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
    pub(crate) fn left(&self) -> u64 {
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
pub(crate) fn read_to_end(source: &mut impl BufRead) -> Result<(), Fault> {
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
    pub(crate) fn packed(&self) -> u64 {
        self.packed
    }

    /// Opens a sheet or the table of strings.
    pub(crate) fn open(&self, source: &Source) -> Result<PartReader, Fault> {
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
impl Container {
    /// Opens a container and reads where its parts are.
    pub(crate) fn open(source: &Source) -> Result<Self, Fault> {
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
        Ok(Self {
            source: source.clone(),
            parts,
        })
    }

    /// The file it is.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// A part by its name, upper or lower case.
    pub(crate) fn part(&self, name: &str) -> Option<&Part> {
        self.parts.get(&name.to_lowercase())
    }

    /// Whether a part's name begins so.
    pub(crate) fn has(&self, beginning: &str) -> bool {
        self.parts.keys().any(|name| name.starts_with(beginning))
    }

    /// The bytes of a part that must be small.
    pub(crate) fn small_part(&self, name: &str) -> Result<Option<BufReader<PartReader>>, Fault> {
        match self.part(name) {
            Some(part) => Ok(Some(BufReader::new(part.open_up_to(&self.source, LARGEST_SMALL_PART)?))),
            None => Ok(None),
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
