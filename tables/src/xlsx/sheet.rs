//! Rows of one worksheet.

use std::io::BufReader;

use quick_xml::events::{BytesStart, Event};

use super::{book::Book, strings::SharedStrings};
use crate::{
    cells::{self, NumberKind, Read, RowBuilder, Value},
    columns::column_index,
    container::{Part, PartReader, read_to_end},
    fault::{Fault, RowFault},
    limits::{LONGEST_CELL, MOST_BLANK, MOST_MERGED, Measure},
    row::{Noted, RawRow},
    xml::{self, Events, attribute, attributes, damaged},
};

/// Rows of one worksheet, read as a stream.
pub(crate) struct XlsxRows {
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
    /// Merged cells are collected.
    strict: bool,
    merged: Vec<String>,
}

/// What a cell says about its value.
struct CellHead {
    column: usize,
    kind: Option<&'static str>,
    style: usize,
}

/// Types of cells; all others hold a number.
const KINDS: [&str; 6] = ["s", "str", "inlineStr", "d", "e", "b"];

impl CellHead {
    /// Of a cell that stands in a column when it does not say another.
    fn of(cell: &BytesStart<'_>, column: usize) -> Self {
        let (mut reference, mut kind, mut style) = (None, None, None);
        for (name, value) in attributes(cell) {
            match name {
                "r" => reference = reference.or(Some(column_of(&value))),
                "t" => kind = kind.or(Some(KINDS.into_iter().find(|known| *known == value))),
                "s" => style = style.or(Some(value.parse().ok())),
                _ => {}
            }
        }
        Self {
            column: reference.flatten().unwrap_or(column),
            kind: kind.flatten(),
            style: style.flatten().unwrap_or(0),
        }
    }
}

impl XlsxRows {
    pub(super) fn new(
        book: &Book,
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
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.packed - self.events.source().get_ref().left(), self.packed)
    }

    /// From now on merged cells are collected.
    pub(crate) fn be_strict(&mut self) {
        self.strict = true;
    }

    /// Merged cells, «A2:B5», known after the last row; only when [strict](Self::be_strict).
    pub(crate) fn take_merged(&mut self) -> Vec<String> {
        std::mem::take(&mut self.merged)
    }

    /// Gives the strings back, to read another sheet.
    pub(crate) fn into_strings(self) -> SharedStrings {
        self.strings
    }

    /// The next row that is not blank. Of many blank ones in a row some are given out, so that whoever reads them can stop
    /// between any two rows.
    ///
    /// # Errors
    /// When the sheet is damaged from here on.
    pub(crate) fn next_row(&mut self) -> Result<Option<RawRow>, Fault> {
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
    pub(crate) fn skip_to(&mut self, last: u64) -> Result<(), Fault> {
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
        let mut row = RowBuilder::new(self.row);
        let mut next = 0;
        loop {
            match self.events.next()? {
                Event::Start(element) if element.local_name().as_ref() == "c" => {
                    let head = CellHead::of(&element, next);
                    next = head.column.saturating_add(1);
                    let value = self.value(&head, row.is_held())?;
                    row.put(head.column, value);
                }
                Event::End(element) if element.local_name().as_ref() == "row" => return Ok(row.finish()),
                Event::Eof => return Err(damaged("the sheet ends inside a row")),
                _ => {}
            }
        }
    }

    /// The cell whose start was just read, up to its end; `is_held`: the row is held anyway, of a shared text its number
    /// will do.
    fn value(&mut self, head: &CellHead, is_held: bool) -> Result<Read, Fault> {
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
        let text = match (head.kind, inline) {
            // What it holds itself is its value, whatever stands beside it.
            (Some("inlineStr"), Some(inline)) => inline,
            (_, Some(inline)) if text.is_empty() => inline,
            (Some("s"), _) if text.trim().is_empty() => String::new(),
            (Some("s"), _) if is_held => text,
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
            (Some("e"), _) => text,
            (Some("b"), _) => boolean(text),
            _ => {
                if text.is_empty() && note == Some(Noted::Formula) {
                    note = Some(Noted::NoResult);
                }
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
        let kind = self.kinds.get(style).copied().unwrap_or(NumberKind::Plain);
        cells::number(number, kind, self.from_1904, Some(text))
    }
}

/// As the words people write there.
fn boolean(text: String) -> String {
    match text.trim() {
        "1" => cells::boolean(true),
        "0" => cells::boolean(false),
        word if word.eq_ignore_ascii_case("true") => cells::boolean(true),
        word if word.eq_ignore_ascii_case("false") => cells::boolean(false),
        _ => text,
    }
}

/// `AI17` → 34.
fn column_of(reference: &str) -> Option<usize> {
    let letters = reference.trim_end_matches(|c: char| c.is_ascii_digit());
    column_index(letters)
}
