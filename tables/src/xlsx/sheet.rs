//! Rows of one worksheet.

use std::io::BufReader;

use quick_xml::events::Event;

use super::{
    package::{Part, PartReader, Workbook, read_to_end},
    strings::SharedStrings,
    styles::NumberKind,
    xml::{self, Events, attribute, damaged},
};
use crate::{
    columns::column_index,
    dates,
    fault::{Fault, RowFault},
    limits::{LONGEST_CELL, LONGEST_ROW, MOST_COLUMNS, MOST_MERGED, Measure},
    row::RawRow,
};

/// Bytes kept of a row that is too long.
const KEPT_OF_ROW: usize = 64 * 1024;
/// Days between the two epochs of spreadsheets.
const DAYS_1904: f64 = 1462.0;

/// Rows of one worksheet, read as a stream.
pub struct SheetRows {
    events: Events<BufReader<PartReader>>,
    name: String,
    strings: SharedStrings,
    kinds: Vec<NumberKind>,
    from_1904: bool,
    packed: u64,
    /// Number of the row that is being read; 1 is the first.
    row: u64,
    /// That row was read to its end: what is wrong now is wrong with the next one.
    between: bool,
    finished: bool,
    /// Formulas that failed are told, and merged cells collected.
    strict: bool,
    merged: Vec<String>,
}

impl std::fmt::Debug for SheetRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SheetRows")
            .field("row", &self.row)
            .finish_non_exhaustive()
    }
}

/// What a cell says about its value.
struct CellHead {
    column: usize,
    kind: Option<String>,
    style: usize,
}

impl SheetRows {
    pub(super) fn new(
        book: &Workbook,
        name: &str,
        part: Part,
        source: PartReader,
        strings: SharedStrings,
    ) -> Result<Self, Fault> {
        let mut rows = Self {
            events: Events::new(BufReader::with_capacity(64 * 1024, source)),
            name: name.to_owned(),
            strings,
            kinds: book.kinds.clone(),
            from_1904: book.from_1904,
            packed: part.packed(),
            row: 0,
            between: true,
            finished: false,
            strict: false,
            merged: Vec::new(),
        };
        loop {
            match rows.events.next().map_err(|fault| fault.at(Some(name), 0))? {
                Event::Start(element) if element.local_name().as_ref() == "sheetData" => return Ok(rows),
                Event::Eof => return Err(damaged("a sheet without data")),
                _ => {}
            }
        }
    }

    /// Packed bytes read, and all of them.
    pub fn progress(&self) -> (u64, u64) {
        (self.packed - self.events.source().get_ref().left(), self.packed)
    }

    /// From now on a formula that failed reads as its error («#N/A»), and merged cells are collected.
    pub fn be_strict(&mut self) {
        self.strict = true;
    }

    /// Merged cells, «A2:B5», known after the last row; only when [strict](Self::be_strict).
    pub fn take_merged(&mut self) -> Vec<String> {
        std::mem::take(&mut self.merged)
    }

    /// Gives the strings back, to read another sheet.
    pub fn into_strings(self) -> SharedStrings {
        self.strings
    }

    /// The next row that is not blank.
    ///
    /// # Errors
    /// When the sheet is damaged from here on.
    pub fn next_row(&mut self) -> Result<Option<RawRow>, Fault> {
        self.row_after().map_err(|fault| self.here(fault))
    }

    fn row_after(&mut self) -> Result<Option<RawRow>, Fault> {
        while !self.finished {
            match self.events.next()? {
                Event::Start(element) if element.local_name().as_ref() == "row" => {
                    let number = attribute(&element, "r").and_then(|text| text.parse().ok());
                    self.row = number.unwrap_or(self.row.saturating_add(1));
                    self.between = false;
                    let row = self.cells()?;
                    self.between = true;
                    if !row.is_blank() {
                        return Ok(Some(row));
                    }
                }
                Event::End(element) if element.local_name().as_ref() == "sheetData" => self.finish()?,
                Event::Eof => return Err(damaged("the sheet ends too early")),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Skips rows up to and with a number without looking at their values.
    ///
    /// # Errors
    /// When the sheet is damaged on the way.
    pub fn skip_to(&mut self, last: u64) -> Result<(), Fault> {
        self.skip(last).map_err(|fault| self.here(fault))
    }

    /// The fault with the row it was met in. A row that breaks in its own start has not said its number.
    fn here(&self, fault: Fault) -> Fault {
        fault.at(Some(&self.name), self.row.saturating_add(u64::from(self.between)))
    }

    fn skip(&mut self, last: u64) -> Result<(), Fault> {
        while !self.finished && self.row < last {
            match self.events.next()? {
                Event::Start(element) if element.local_name().as_ref() == "row" => {
                    let number = attribute(&element, "r").and_then(|text| text.parse().ok());
                    self.row = number.unwrap_or(self.row.saturating_add(1));
                }
                Event::End(element) if element.local_name().as_ref() == "sheetData" => self.finish()?,
                Event::Eof => return Err(damaged("the sheet ends too early")),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads what follows the data, so that the checksum of the whole part is known.
    fn finish(&mut self) -> Result<(), Fault> {
        (self.finished, self.between) = (true, false);
        if self.strict {
            self.collect_merged()?;
        }
        read_to_end(self.events.source_mut())
    }

    fn collect_merged(&mut self) -> Result<(), Fault> {
        loop {
            match self.events.next()? {
                Event::Start(element) | Event::Empty(element) if element.local_name().as_ref() == "mergeCell" => {
                    let reference = attribute(&element, "ref");
                    if self.merged.len() == MOST_MERGED {
                        return Err(Fault::over(Measure::Merged, MOST_MERGED));
                    }
                    self.merged.extend(reference);
                }
                Event::Eof => return Ok(()),
                _ => {}
            }
        }
    }

    /// The row whose start was just read, up to its end.
    fn cells(&mut self) -> Result<RawRow, Fault> {
        let mut cells: Vec<String> = Vec::new();
        let mut bytes = 0_usize;
        let mut too_long: Option<TooLong> = None;
        loop {
            match self.events.next()? {
                Event::Start(element) if element.local_name().as_ref() == "c" => {
                    let head = CellHead {
                        column: attribute(&element, "r")
                            .and_then(|text| column_of(&text))
                            .unwrap_or(cells.len()),
                        kind: attribute(&element, "t"),
                        style: attribute(&element, "s").and_then(|text| text.parse().ok()).unwrap_or(0),
                    };
                    let text = self.value(&head)?;
                    if text.is_empty() || head.column >= MOST_COLUMNS {
                        continue;
                    }
                    bytes += text.len();
                    if let Some(row) = &mut too_long {
                        row.add(&text);
                        continue;
                    }
                    if bytes > LONGEST_ROW {
                        let mut row = TooLong::default();
                        cells.drain(..).for_each(|cell| row.add(&cell));
                        row.add(&text);
                        too_long = Some(row);
                        continue;
                    }
                    if cells.len() <= head.column {
                        cells.resize(head.column + 1, String::new());
                    }
                    cells[head.column] = text;
                }
                Event::End(element) if element.local_name().as_ref() == "row" => {
                    return Ok(match too_long {
                        None => RawRow::good(self.row, cells),
                        Some(row) => {
                            RawRow::broken(self.row, RowFault::TooLong { limit: LONGEST_ROW }, &row.finish(bytes))
                        }
                    });
                }
                Event::Eof => return Err(damaged("the sheet ends inside a row")),
                _ => {}
            }
        }
    }

    /// Text of the cell whose start was just read, up to its end.
    fn value(&mut self, head: &CellHead) -> Result<String, Fault> {
        let mut text = String::new();
        let mut in_value = false;
        loop {
            if text.len() > LONGEST_CELL {
                return Err(Fault::over(Measure::Cell, LONGEST_CELL));
            }
            match self.events.next()? {
                Event::Start(element) => match element.local_name().as_ref() {
                    "v" => in_value = true,
                    "is" => xml::push_string(&mut self.events, "is", &mut text)?,
                    _ => {}
                },
                Event::Text(part) if in_value => text.push_str(&part.xml10_content()),
                Event::CData(part) if in_value => text.push_str(&part.xml10_content()),
                Event::GeneralRef(entity) if in_value => xml::push_entity(&entity, &mut text),
                Event::End(element) => match element.local_name().as_ref() {
                    "v" => in_value = false,
                    "c" => break,
                    _ => {}
                },
                Event::Eof => return Err(damaged("the sheet ends inside a cell")),
                _ => {}
            }
        }
        match head.kind.as_deref() {
            Some("s") => {
                let index = text
                    .trim()
                    .parse()
                    .map_err(|_| damaged("a string number that is no number"))?;
                self.strings.get(index)
            }
            Some("str") => {
                xml::unescape_control_characters(&mut text, 0);
                Ok(text)
            }
            Some("inlineStr" | "d") => Ok(text),
            // A formula that failed: `#Н/Д` is no value of the source.
            Some("e") if self.strict => Ok(text),
            Some("e") => Ok(String::new()),
            Some("b") => Ok(if text.trim() == "1" {
                "да".into()
            } else {
                "нет".into()
            }),
            _ => Ok(self.number(&text, head.style)),
        }
    }

    fn number(&self, text: &str, style: usize) -> String {
        let Ok(number) = text.trim().parse::<f64>() else {
            return text.to_owned();
        };
        match self.kinds.get(style) {
            Some(NumberKind::DateTime) => date_text(if self.from_1904 { number + DAYS_1904 } else { number }),
            Some(NumberKind::Duration) => duration_text(number),
            _ => None,
        }
        .unwrap_or_else(|| plain_number(number))
    }
}

/// What is kept of a row that is too long: its beginning, and a hash of all of it, so that two rows are not taken for one.
#[derive(Default)]
struct TooLong {
    kept: Vec<u8>,
    hasher: blake3::Hasher,
}

impl TooLong {
    fn add(&mut self, cell: &str) {
        self.hasher.update(cell.as_bytes());
        self.hasher.update(b"\x1f");
        let room = KEPT_OF_ROW.saturating_sub(self.kept.len());
        if room > 0 && !cell.is_empty() {
            self.kept.extend_from_slice(&cell.as_bytes()[..cell.len().min(room)]);
            self.kept.push(b';');
        }
    }

    fn finish(mut self, bytes: usize) -> Vec<u8> {
        let hash = self.hasher.finalize().to_hex();
        self.kept
            .extend_from_slice(format!("… ({bytes} bytes, blake3 {})", &hash[..32]).as_bytes());
        self.kept
    }
}

/// `AI17` → 34.
fn column_of(reference: &str) -> Option<usize> {
    let letters = reference.trim_end_matches(|c: char| c.is_ascii_digit());
    column_index(letters)
}

/// Whole numbers without a fraction, others as short as they can be.
fn plain_number(number: f64) -> String {
    format!("{number}")
}

/// A day when there is no time of day, ISO with seconds otherwise.
fn date_text(serial: f64) -> Option<String> {
    if (0.0..1.0).contains(&serial) {
        return duration_text(serial);
    }
    let at = dates::serial_datetime(serial)?;
    Some(if serial.fract() == 0.0 {
        at.date().to_string()
    } else {
        at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
    })
}

/// `27:05:00`
fn duration_text(days: f64) -> Option<String> {
    if !(0.0..100_000.0).contains(&days) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked above")]
    let seconds = (days * 86_400.0).round() as i64;
    Some(format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    ))
}
