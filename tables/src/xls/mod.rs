//! XLS, the workbook of Excel 97 to 2003: records in one stream of a container of the old Office.
//!
//! Its whole file is read into memory, so it is read up to [`LARGEST_XLS`] only; a sheet of that time has 65 536 rows. The
//! strings go where those of an XLSX go. Why not calamine: it makes a dense table of each sheet before the first row, and a
//! copy of each shared string for each cell, so a file of kilobytes may cost gigabytes.

mod cfb;
mod rows;
mod sst;

use std::{io::Read as _, path::Path, sync::Arc};

use self::cfb::{Container, u16_at, u32_at};
pub(crate) use self::rows::{XlsRows, packed_number};
use crate::{
    book::{Sheet, Visibility, otherwise},
    cells::NumberKind,
    fault::Fault,
    limits::{LARGEST_XLS, MOST_SHEETS, MOST_STYLES, Measure},
    source::Source,
    strangers,
    xlsx::{SharedStrings, formats},
};

const BOF: u16 = 0x0809;
const EOF: u16 = 0x000A;
const CONTINUE: u16 = 0x003C;
const BIFF8: u16 = 0x0600;

/// An open XLS.
#[derive(Debug)]
pub(crate) struct Book {
    stream: Arc<Vec<u8>>,
    sheets: Vec<Sheet>,
    kinds: Vec<NumberKind>,
    from_1904: bool,
    /// Where the table of strings starts.
    strings: Option<usize>,
}

/// One record of the stream.
#[derive(Clone, Copy)]
struct Record<'a> {
    kind: u16,
    data: &'a [u8],
    /// Position behind it.
    next: usize,
}

/// The record at a position; `None` at the end, or where it is cut.
fn record(stream: &[u8], at: usize) -> Option<Record<'_>> {
    let kind = u16_at(stream, at)?;
    let next = at + 4 + usize::from(u16_at(stream, at + 2)?);
    let data = stream.get(at + 4..next)?;
    Some(Record { kind, data, next })
}

impl Book {
    /// Opens a file that starts as the containers of the old Office do.
    pub(crate) fn open(source: &Source) -> Result<Self, Fault> {
        let mut bytes = Vec::new();
        let mut file = source.from_start().take(LARGEST_XLS + 1);
        file.read_to_end(&mut bytes).map_err(|error| Fault::of_io(&error))?;
        if bytes.len() as u64 > LARGEST_XLS {
            return Err(Fault::Unsupported(strangers::XLS_TOO_LARGE));
        }
        let container = Container::open(&bytes)?;
        if container.has("EncryptedPackage") {
            return Err(Fault::Unsupported(strangers::PROTECTED));
        }
        let Some(stream) = container.stream("Workbook")? else {
            let has = |name| container.has(name);
            return Err(Fault::Unsupported(match () {
                () if has("Book") => strangers::EXCEL_95,
                () if has("WordDocument") => strangers::WORD,
                () if has("PowerPoint Document") => strangers::SLIDES,
                () => strangers::OLD_OFFICE,
            }));
        };
        let mut book = Self {
            stream: Arc::new(stream),
            sheets: Vec::new(),
            kinds: Vec::new(),
            from_1904: false,
            strings: None,
        };
        book.read_globals().map_err(|fault| otherwise(fault, strangers::XLS))?;
        Ok(book)
    }

    pub(crate) fn sheets(&self) -> &[Sheet] {
        &self.sheets
    }

    /// The table of strings; a large one goes to a temporary file in `scratch`.
    pub(crate) fn strings(&self, scratch: &Path) -> Result<SharedStrings, Fault> {
        match self.strings {
            Some(at) => sst::read(&self.stream, at, scratch),
            None => Ok(SharedStrings::default()),
        }
    }

    /// Rows of a sheet, from the first.
    pub(crate) fn rows(&self, sheet: &Sheet, strings: SharedStrings) -> Result<XlsRows, Fault> {
        XlsRows::new(self, sheet, strings)
    }

    fn read_globals(&mut self) -> Result<(), Fault> {
        let stream = Arc::clone(&self.stream);
        let first = record(&stream, 0)
            .filter(|first| first.kind == BOF)
            .ok_or_else(damaged)?;
        if u16_at(first.data, 0) != Some(BIFF8) {
            return Err(Fault::Unsupported(strangers::EXCEL_95));
        }
        let mut formats = std::collections::HashMap::new();
        let mut at = first.next;
        loop {
            let Record { kind, data, next } = record(&stream, at).ok_or_else(damaged)?;
            match kind {
                EOF => break,
                0x002F => return Err(Fault::Unsupported(strangers::PROTECTED)),
                0x0022 => self.from_1904 = u16_at(data, 0) == Some(1),
                0x041E => {
                    if let (Some(id), Some((code, _))) = (u16_at(data, 0), data.get(2..).and_then(text_with_two)) {
                        formats.insert(u32::from(id), formats::by_code(&code));
                    }
                }
                0x00E0 => {
                    let id = u32::from(u16_at(data, 2).ok_or_else(damaged)?);
                    self.kinds
                        .push(formats.get(&id).copied().unwrap_or_else(|| formats::built_in(id)));
                }
                0x0085 => self.sheets.extend(sheet(data)),
                0x00FC => self.strings = Some(at),
                _ => {}
            }
            if self.sheets.len() > MOST_SHEETS {
                return Err(Fault::over(Measure::Sheets, MOST_SHEETS));
            }
            if self.kinds.len() + formats.len() > MOST_STYLES {
                return Err(Fault::over(Measure::Styles, MOST_STYLES));
            }
            at = next;
        }
        if self.sheets.is_empty() {
            return Err(Fault::Damaged("the workbook has no sheet".into()));
        }
        for sheet in &mut self.sheets {
            let start = record(&stream, sheet.place).filter(|start| start.kind == BOF);
            sheet.unreadable = start.is_none().then(|| Fault::Damaged("a sheet is missing".into()));
        }
        Ok(())
    }
}

/// A sheet of the list, unless it is one of charts or macros.
fn sheet(data: &[u8]) -> Option<Sheet> {
    let visibility = match data.get(4)? & 3 {
        0 => Visibility::Visible,
        1 => Visibility::Hidden,
        _ => Visibility::VeryHidden,
    };
    if *data.get(5)? != 0 {
        return None;
    }
    let count = usize::from(*data.get(6)?);
    let (name, _) = text(data.get(7..)?, count)?;
    let mut sheet = Sheet::new(name, visibility);
    sheet.place = u32_at(data, 0)? as usize;
    Some(sheet)
}

/// A text behind its length in two bytes, and what follows it.
fn text_with_two(data: &[u8]) -> Option<(String, &[u8])> {
    let count = usize::from(u16_at(data, 0)?);
    text(data.get(2..)?, count)
}

/// A text of so many characters behind the byte that says how wide they are.
fn text(data: &[u8], count: usize) -> Option<(String, &[u8])> {
    let (flags, rest) = data.split_first()?;
    let units: Vec<u16>;
    let length = if flags & 1 == 0 {
        units = rest.get(..count)?.iter().map(|byte| u16::from(*byte)).collect();
        count
    } else {
        units = rest
            .get(..2 * count)?
            .as_chunks::<2>()
            .0
            .iter()
            .map(|unit| u16::from_le_bytes(*unit))
            .collect();
        2 * count
    };
    Some((String::from_utf16_lossy(&units), &rest[length..]))
}

fn damaged() -> Fault {
    Fault::Damaged("a record of the workbook is cut".into())
}
