//! XLSB: the parts of an XLSX as binary records, read as a stream.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use crate::{
    book::{Sheet, Visibility},
    cells::{self, NumberKind, Read as Cell, RowBuilder, Value},
    columns::column_letters,
    container::{Container, PartReader, read_to_end},
    fault::{Fault, RowFault},
    limits::{LONGEST_CELL, MOST_BLANK, MOST_MERGED, MOST_SHEETS, MOST_STYLES, Measure},
    row::{Noted, RawRow},
    xls::packed_number,
    xlsx::{Links, SharedStrings, StringsWriter, formats},
};

/// Records of a part.
struct Records<R> {
    source: R,
    data: Vec<u8>,
}

impl<R: BufRead> Records<R> {
    fn new(source: R) -> Self {
        Self {
            source,
            data: Vec::new(),
        }
    }

    /// Kind of the next record; its bytes are in `data`. `None` at the end.
    fn next(&mut self) -> Result<Option<u16>, Fault> {
        if self.source.fill_buf().map_err(broken)?.is_empty() {
            return Ok(None);
        }
        let mut kind = u16::from(self.byte()?);
        if kind & 0x80 != 0 {
            kind = (kind & 0x7F) | (u16::from(self.byte()? & 0x7F) << 7);
        }
        let mut size = 0_usize;
        for place in 0..4 {
            let byte = self.byte()?;
            size |= usize::from(byte & 0x7F) << (7 * place);
            if byte & 0x80 == 0 {
                break;
            }
        }
        if size > LONGEST_CELL {
            return Err(Fault::over(Measure::Piece, LONGEST_CELL));
        }
        self.data.clear();
        let read = (&mut self.source)
            .take(size as u64)
            .read_to_end(&mut self.data)
            .map_err(broken)?;
        if read < size {
            return Err(cut());
        }
        Ok(Some(kind))
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let mut byte = [0];
        self.source.read_exact(&mut byte).map_err(broken)?;
        Ok(byte[0])
    }

    fn number(&self, at: usize) -> Result<u32, Fault> {
        let bytes = self.data.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map(|bytes| u32::from_le_bytes(*bytes)).ok_or_else(cut)
    }

    fn fraction(&self, at: usize) -> Result<f64, Fault> {
        let bytes = self.data.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map(|bytes| f64::from_le_bytes(*bytes)).ok_or_else(cut)
    }

    fn flag(&self, at: usize) -> Result<u8, Fault> {
        self.data.get(at).copied().ok_or_else(cut)
    }

    /// A text behind its length in four bytes, and the position behind it.
    fn text(&self, at: usize) -> Result<(String, usize), Fault> {
        let count = self.number(at)?;
        // A text that is not there.
        let count = if count == u32::MAX { 0 } else { count as usize };
        let end = count
            .checked_mul(2)
            .and_then(|bytes| bytes.checked_add(at + 4))
            .ok_or_else(cut)?;
        let bytes = self.data.get(at + 4..end).ok_or_else(cut)?;
        let units: Vec<u16> = bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|unit| u16::from_le_bytes(*unit))
            .collect();
        Ok((String::from_utf16_lossy(&units), end))
    }
}

/// An open XLSB.
#[derive(Debug)]
pub(crate) struct Book {
    container: Container,
    sheets: Vec<Sheet>,
    strings_part: Option<String>,
    kinds: Vec<NumberKind>,
    from_1904: bool,
}

impl Book {
    /// Opens a container whose workbook is this part.
    pub(crate) fn open(container: Container, part: &str) -> Result<Self, Fault> {
        let links = Links::of(&container, part)?;
        let mut book = Self {
            strings_part: links.by_kind("/sharedStrings"),
            container,
            sheets: Vec::new(),
            kinds: Vec::new(),
            from_1904: false,
        };
        if let Some(styles) = links.by_kind("/styles") {
            book.read_styles(&styles)?;
        }
        book.read_sheets(part, &links)?;
        Ok(book)
    }

    pub(crate) fn sheets(&self) -> &[Sheet] {
        &self.sheets
    }

    fn read_styles(&mut self, part: &str) -> Result<(), Fault> {
        let Some(part) = self.container.small_part(part)? else {
            return Ok(());
        };
        let mut records = Records::new(part);
        let mut custom = HashMap::new();
        let mut in_cells = false;
        while let Some(kind) = records.next()? {
            match kind {
                0x002C => {
                    custom.insert(records.number(0)? & 0xFFFF, formats::by_code(&records.text(2)?.0));
                }
                0x0269 => in_cells = true,
                0x026A => in_cells = false,
                0x002F if in_cells => {
                    let id = records.number(0)? >> 16;
                    self.kinds
                        .push(custom.get(&id).copied().unwrap_or_else(|| formats::built_in(id)));
                }
                _ => {}
            }
            if self.kinds.len() + custom.len() > MOST_STYLES {
                return Err(Fault::over(Measure::Styles, MOST_STYLES));
            }
        }
        Ok(())
    }

    fn read_sheets(&mut self, part: &str, links: &Links) -> Result<(), Fault> {
        let part = self.container.small_part(part)?.ok_or_else(cut)?;
        let mut records = Records::new(part);
        while let Some(kind) = records.next()? {
            match kind {
                0x0099 => self.from_1904 = records.number(0)? & 1 == 1,
                0x009C => {
                    let visibility = match records.number(0)? & 3 {
                        0 => Visibility::Visible,
                        1 => Visibility::Hidden,
                        _ => Visibility::VeryHidden,
                    };
                    let (id, end) = records.text(8)?;
                    let (name, _) = records.text(end)?;
                    if self.sheets.len() == MOST_SHEETS {
                        return Err(Fault::over(Measure::Sheets, MOST_SHEETS));
                    }
                    self.sheets
                        .extend(links.sheet(&self.container, name, visibility, Some(&id)));
                }
                _ => {}
            }
        }
        if self.sheets.is_empty() {
            return Err(Fault::Damaged("the workbook has no sheet".into()));
        }
        Ok(())
    }

    /// The table of strings; a large one goes to a temporary file in `scratch`.
    pub(crate) fn strings(&self, scratch: &Path) -> Result<SharedStrings, Fault> {
        let Some(part) = self.strings_part.as_deref().and_then(|name| self.container.part(name)) else {
            return Ok(SharedStrings::default());
        };
        let source = BufReader::with_capacity(64 * 1024, part.open(self.container.source())?);
        let mut records = Records::new(source);
        let mut strings = StringsWriter::new(scratch);
        while let Some(kind) = records.next()? {
            if kind == 0x0013 {
                strings.push(&records.text(1)?.0)?;
            }
        }
        strings.finish()
    }

    /// Rows of a sheet, from the first.
    pub(crate) fn rows(&self, sheet: &Sheet, strings: SharedStrings) -> Result<XlsbRows, Fault> {
        let part = self.container.part(&sheet.part).ok_or_else(cut)?;
        Ok(XlsbRows {
            records: Records::new(BufReader::with_capacity(64 * 1024, part.open(self.container.source())?)),
            name: sheet.name.clone(),
            strings,
            kinds: self.kinds.clone(),
            from_1904: self.from_1904,
            packed: part.packed(),
            row: 0,
            is_row_waiting: false,
            finished: false,
            strict: false,
            merged: Vec::new(),
        })
    }
}

/// Rows of one sheet.
pub(crate) struct XlsbRows {
    records: Records<BufReader<PartReader>>,
    name: String,
    strings: SharedStrings,
    kinds: Vec<NumberKind>,
    from_1904: bool,
    packed: u64,
    /// Number of the row that was read last, or whose head was.
    row: u64,
    /// Its head was read and its cells were not.
    is_row_waiting: bool,
    finished: bool,
    strict: bool,
    merged: Vec<String>,
}

impl XlsbRows {
    /// Packed bytes read, and all of them.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.packed - self.records.source.get_ref().left(), self.packed)
    }

    pub(crate) fn be_strict(&mut self) {
        self.strict = true;
    }

    pub(crate) fn take_merged(&mut self) -> Vec<String> {
        std::mem::take(&mut self.merged)
    }

    pub(crate) fn into_strings(self) -> SharedStrings {
        self.strings
    }

    pub(crate) fn skip_to(&mut self, last: u64) -> Result<(), Fault> {
        while self.row < last && self.find_row()? {
            self.is_row_waiting = false;
        }
        Ok(())
    }

    pub(crate) fn next_row(&mut self) -> Result<Option<RawRow>, Fault> {
        let read = self.row_after();
        read.map_err(|fault| fault.at(Some(&self.name), self.row))
    }

    fn row_after(&mut self) -> Result<Option<RawRow>, Fault> {
        let mut blank = 0;
        while self.is_row_waiting || self.find_row()? {
            let row = self.cells()?;
            blank += 1;
            if blank == MOST_BLANK || !row.is_blank() {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Reads up to the head of the next row; `false` at the end.
    fn find_row(&mut self) -> Result<bool, Fault> {
        while !self.finished {
            match self.records.next()? {
                Some(0x0000) => return self.begin_row(),
                Some(0x0092) => self.finish()?,
                Some(_) => {}
                None => return Err(cut()),
            }
        }
        Ok(false)
    }

    fn begin_row(&mut self) -> Result<bool, Fault> {
        let row = u64::from(self.records.number(0)?) + 1;
        // What is read again begins behind a row by its number: a row out of order would be passed over.
        if row <= self.row {
            return Err(Fault::Damaged("the rows of the sheet are out of order".into()));
        }
        (self.row, self.is_row_waiting) = (row, true);
        Ok(true)
    }

    fn finish(&mut self) -> Result<(), Fault> {
        self.finished = true;
        while self.strict
            && let Some(kind) = self.records.next()?
        {
            if kind != 0x00B0 {
                continue;
            }
            if self.merged.len() == MOST_MERGED {
                return Err(Fault::over(Measure::Merged, MOST_MERGED));
            }
            let area = [0, 4, 8, 12].map(|at| self.records.number(at).map(|number| u64::from(number) + 1));
            let [first_row, last_row, first, last] = area;
            let letters = |column: u64| column_letters(usize::try_from(column - 1).unwrap_or_default());
            let (first, last) = (letters(first?), letters(last?));
            self.merged.push(format!("{first}{}:{last}{}", first_row?, last_row?));
        }
        read_to_end(&mut self.records.source)
    }

    /// The cells behind the head of a row, up to the next head.
    fn cells(&mut self) -> Result<RawRow, Fault> {
        let mut row = RowBuilder::new(self.row);
        self.is_row_waiting = false;
        loop {
            match self.records.next()? {
                Some(0x0000) => {
                    let built = row.finish();
                    self.begin_row()?;
                    return Ok(built);
                }
                Some(0x0092) => {
                    self.finish()?;
                    return Ok(row.finish());
                }
                Some(kind @ (1..=11 | 62)) => {
                    let column = self.records.number(0)? as usize;
                    let value = self.value(kind, row.is_held())?;
                    row.put(column, value);
                }
                Some(_) => {}
                None => return Err(cut()),
            }
        }
    }

    /// The cell that was just read.
    fn value(&mut self, kind: u16, is_held: bool) -> Result<Cell, Fault> {
        const BODY: usize = 8;
        let records = &self.records;
        let style = records.number(4)? & 0x00FF_FFFF;
        let note = (8..=11).contains(&kind).then_some(Noted::Formula);
        let text = match kind {
            2 => return Ok(Ok(self.number(packed_number(records.number(BODY)?), style, note))),
            5 | 9 => return Ok(Ok(self.number(records.fraction(BODY)?, style, note))),
            3 | 11 => cells::error_name(records.flag(BODY)?).to_owned(),
            4 | 10 => cells::boolean(records.flag(BODY)? != 0),
            6 | 8 => records.text(BODY)?.0,
            62 => records.text(BODY + 1)?.0,
            7 if is_held => records.number(BODY)?.to_string(),
            7 => match self.strings.get(records.number(BODY)? as usize)? {
                Some(text) => text,
                None => return Ok(Err(RowFault::NoString)),
            },
            _ => String::new(),
        };
        Ok(Ok(Value { text, note }))
    }

    fn number(&self, number: f64, style: u32, note: Option<Noted>) -> Value {
        let kind = self.kinds.get(style as usize).copied().unwrap_or(NumberKind::Plain);
        let (text, is_date) = cells::number(number, kind, self.from_1904, None);
        Value {
            text,
            note: if is_date { Some(Noted::ShownAsDate) } else { note },
        }
    }
}

fn cut() -> Fault {
    Fault::Damaged("a record of the workbook is cut".into())
}

fn broken(error: std::io::Error) -> Fault {
    Fault::known_of_io(&error).unwrap_or_else(cut)
}
