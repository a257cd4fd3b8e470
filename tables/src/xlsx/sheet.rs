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
    limits::{LONGEST_CELL, LONGEST_ROW, MOST_BLANK, MOST_CHARACTERS, MOST_COLUMNS, MOST_MERGED, Measure, is_too_long},
    row::{Note, Noted, RawRow},
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

/// What a cell holds.
struct Value {
    text: String,
    note: Option<Noted>,
}

/// A cell, or why its row is held.
type Read = Result<Value, RowFault>;

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
        let mut is_sheet = false;
        loop {
            match rows.events.next().map_err(|fault| fault.at(Some(name), 0))? {
                Event::Start(element) => match element.local_name().as_ref() {
                    "sheetData" => return Ok(rows),
                    "worksheet" => is_sheet = true,
                    _ => {}
                },
                // Nothing was ever written there.
                Event::Eof if is_sheet => {
                    rows.finished = true;
                    return Ok(rows);
                }
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

    /// The next row that is not blank. Of many blank ones in a row some are given out, so that whoever reads them can stop
    /// between any two rows.
    ///
    /// # Errors
    /// When the sheet is damaged from here on.
    pub fn next_row(&mut self) -> Result<Option<RawRow>, Fault> {
        self.row_after().map_err(|fault| self.here(fault))
    }

    fn row_after(&mut self) -> Result<Option<RawRow>, Fault> {
        let mut blank = 0;
        while !self.finished {
            match self.events.next()? {
                Event::Start(element) if element.local_name().as_ref() == "row" => {
                    let number = attribute(&element, "r").and_then(|text| text.parse().ok());
                    self.row = number.unwrap_or(self.row.saturating_add(1));
                    self.between = false;
                    let row = self.cells()?;
                    self.between = true;
                    blank += 1;
                    if blank == MOST_BLANK || !row.is_blank() {
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
        let mut row = RawRow::good(self.row, Vec::new());
        let mut bytes = 0_usize;
        let mut held: Option<Held> = None;
        let mut next = 0;
        loop {
            match self.events.next()? {
                Event::Start(element) if element.local_name().as_ref() == "c" => {
                    let head = CellHead {
                        column: attribute(&element, "r")
                            .and_then(|text| column_of(&text))
                            .unwrap_or(next),
                        kind: attribute(&element, "t"),
                        style: attribute(&element, "s").and_then(|text| text.parse().ok()).unwrap_or(0),
                    };
                    next = head.column.saturating_add(1);
                    let value = self.value(&head, held.is_some())?;
                    let value = match value {
                        Ok(Value { text, .. }) if text.is_empty() => continue,
                        Ok(Value { text, .. }) if held.is_some() || is_too_long(&text) => {
                            Err((RowFault::CellTooLong { limit: MOST_CHARACTERS }, text))
                        }
                        Ok(Value { text, .. }) if head.column >= MOST_COLUMNS => {
                            Err((RowFault::TooWide { limit: MOST_COLUMNS }, text))
                        }
                        Ok(Value { text, .. }) if bytes + text.len() > LONGEST_ROW => {
                            Err((RowFault::TooLong { limit: LONGEST_ROW }, text))
                        }
                        Ok(value) => Ok(value),
                        Err(fault) => Err((fault, String::new())),
                    };
                    match value {
                        Ok(value) => {
                            bytes += value.text.len();
                            if row.cells.len() <= head.column {
                                row.cells.resize(head.column + 1, String::new());
                            }
                            row.notes.extend(value.note.map(|what| Note {
                                column: head.column,
                                what,
                            }));
                            row.cells[head.column] = value.text;
                        }
                        Err((fault, text)) => {
                            let held = held.get_or_insert_with(|| Held::new(fault, row.cells.drain(..)));
                            held.add(&text);
                        }
                    }
                }
                Event::End(element) if element.local_name().as_ref() == "row" => {
                    return Ok(match held {
                        None => row,
                        Some(held) => held.finish(self.row),
                    });
                }
                Event::Eof => return Err(damaged("the sheet ends inside a row")),
                _ => {}
            }
        }
    }

    /// The cell whose start was just read, up to its end; `in_short`: the row is held anyway, of a shared text its number
    /// will do.
    fn value(&mut self, head: &CellHead, in_short: bool) -> Result<Read, Fault> {
        let mut text = String::new();
        let mut inline: Option<String> = None;
        let mut in_value = false;
        let mut note = None;
        loop {
            if text.len() > LONGEST_CELL {
                return Err(Fault::over(Measure::Cell, LONGEST_CELL));
            }
            match self.events.next()? {
                Event::Start(element) => match element.local_name().as_ref() {
                    "v" => in_value = true,
                    "f" => note = Some(Noted::Formula),
                    "is" => xml::push_string(&mut self.events, "is", inline.get_or_insert_default())?,
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
        let kind = head.kind.as_deref();
        let text = match (kind, inline) {
            // What it holds itself is its value, whatever stands beside it.
            (Some("inlineStr"), Some(inline)) => inline,
            (_, Some(inline)) if text.is_empty() => inline,
            (Some("s"), _) if text.trim().is_empty() => String::new(),
            (Some("s"), _) if in_short => text,
            (Some("s"), _) => match text.trim().parse().map(|index| self.strings.get(index)) {
                Ok(found) => match found? {
                    Some(text) => text,
                    None => return Ok(Err(RowFault::NoString)),
                },
                Err(_) => return Ok(Err(RowFault::NoString)),
            },
            (Some("str"), _) => {
                xml::unescape_control_characters(&mut text, 0);
                text
            }
            (Some("inlineStr" | "d"), _) => text,
            // A formula that failed: `#Н/Д` is no value of the source.
            (Some("e"), _) if self.strict => text,
            (Some("e"), _) => String::new(),
            (Some("b"), _) => boolean(text),
            _ => {
                let (text, is_date) = self.number(text, head.style);
                note = if is_date { Some(Noted::ShownAsDate) } else { note };
                text
            }
        };
        Ok(Ok(Value { text, note }))
    }

    /// A number as a text, and whether it is shown as a date.
    fn number(&self, text: String, style: usize) -> (String, bool) {
        let Some(number) = text.trim().parse::<f64>().ok().filter(|number| number.is_finite()) else {
            return (text, false);
        };
        // A time of day has no epoch.
        let is_time = (0.0..1.0).contains(&number);
        let shown = match self.kinds.get(style) {
            Some(NumberKind::DateTime) => date_text(if self.from_1904 && !is_time {
                number + DAYS_1904
            } else {
                number
            }),
            Some(NumberKind::Duration) => duration_text(number),
            _ => return (plain_number(text, number), false),
        };
        match shown {
            Some(shown) => (shown, true),
            None => (plain_number(text, number), false),
        }
    }
}

/// What is kept of a row that is held: why, its beginning, and a hash of all of it, so that two rows are not taken for one.
struct Held {
    fault: RowFault,
    kept: Vec<u8>,
    bytes: usize,
    hasher: blake3::Hasher,
}

impl Held {
    fn new(fault: RowFault, before: impl Iterator<Item = String>) -> Self {
        let mut held = Self {
            fault,
            kept: Vec::new(),
            bytes: 0,
            hasher: blake3::Hasher::new(),
        };
        before.for_each(|cell| held.add(&cell));
        held
    }

    fn add(&mut self, cell: &str) {
        self.bytes += cell.len();
        self.hasher.update(cell.as_bytes());
        self.hasher.update(b"\x1f");
        let room = KEPT_OF_ROW.saturating_sub(self.kept.len());
        if room > 0 && !cell.is_empty() {
            self.kept.extend_from_slice(&cell.as_bytes()[..cell.len().min(room)]);
            self.kept.push(b';');
        }
    }

    fn finish(mut self, row: u64) -> RawRow {
        let (bytes, hash) = (self.bytes, self.hasher.finalize().to_hex());
        self.kept
            .extend_from_slice(format!("… ({bytes} bytes, blake3 {})", &hash[..32]).as_bytes());
        RawRow::broken(row, self.fault, &self.kept)
    }
}

/// As the words people write there.
fn boolean(text: String) -> String {
    match text.trim() {
        "1" => "да".into(),
        "0" => "нет".into(),
        word if word.eq_ignore_ascii_case("true") => "да".into(),
        word if word.eq_ignore_ascii_case("false") => "нет".into(),
        _ => text,
    }
}

/// `AI17` → 34.
fn column_of(reference: &str) -> Option<usize> {
    let letters = reference.trim_end_matches(|c: char| c.is_ascii_digit());
    column_index(letters)
}

/// Whole numbers without a fraction, others as short as they can be. Digits that are written out stay as they are: a
/// number of seventeen digits is no number that can be reckoned with.
fn plain_number(text: String, number: f64) -> String {
    let is_written_out = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if is_written_out { text } else { format!("{number}") }
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
