//! Rows of a sheet of an ODS, their cells and the texts in them.

use std::io::BufReader;

use quick_xml::events::{BytesStart, Event};

use super::skip_element;
use crate::{
    cells::{self, RowBuilder, Value},
    columns::column_letters,
    container::{PartReader, read_to_end},
    fault::Fault,
    limits::{LONGEST_CELL, MOST_BLANK, MOST_COLUMNS, MOST_MERGED, MOST_ROWS, Measure},
    row::{Noted, RawRow},
    xml::{Events, attribute, damaged, push_entity},
};

/// Rows of one sheet.
pub(crate) struct OdsRows {
    events: Events<BufReader<PartReader>>,
    name: String,
    packed: u64,
    /// Number of the row that was given last.
    row: u64,
    /// How often the last row comes again.
    again: u64,
    last: Option<RawRow>,
    finished: bool,
    strict: bool,
    merged: Vec<String>,
}

/// A cell as it stands in the file.
struct Found {
    value: Value,
    repeated: usize,
    columns: usize,
    rows: u64,
}

impl OdsRows {
    /// Rows behind the start of a sheet, which was just read.
    pub(super) fn new(events: Events<BufReader<PartReader>>, name: &str, packed: u64) -> Self {
        Self {
            events,
            name: name.to_owned(),
            packed,
            row: 0,
            again: 0,
            last: None,
            finished: false,
            strict: false,
            merged: Vec::new(),
        }
    }

    /// Packed bytes read, and all of them.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.packed - self.events.source().get_ref().left(), self.packed)
    }

    pub(crate) fn be_strict(&mut self) {
        self.strict = true;
    }

    pub(crate) fn take_merged(&mut self) -> Vec<String> {
        std::mem::take(&mut self.merged)
    }

    pub(crate) fn skip_to(&mut self, last: u64) -> Result<(), Fault> {
        while self.row < last {
            let jump = self.again.min(last - self.row);
            self.row += jump;
            self.again -= jump;
            if self.row < last && !self.read_row()? {
                return Ok(());
            }
        }
        Ok(())
    }

    pub(crate) fn next_row(&mut self) -> Result<Option<RawRow>, Fault> {
        let read = self.row_after();
        read.map_err(|fault| fault.at(Some(&self.name), self.row.saturating_add(1)))
    }

    fn row_after(&mut self) -> Result<Option<RawRow>, Fault> {
        let mut blank = 0;
        loop {
            if self.again > 0 {
                match &self.last {
                    // A row may be said to come again without end.
                    Some(_) if self.row >= MOST_ROWS => return Err(Fault::over(Measure::Rows, MOST_ROWS)),
                    Some(last) => {
                        self.again -= 1;
                        self.row += 1;
                        let mut row = last.clone();
                        row.number = self.row;
                        return Ok(Some(row));
                    }
                    // Blank rows: a million of them end a sheet.
                    None => self.row = self.row.saturating_add(std::mem::take(&mut self.again)),
                }
                blank += 1;
                if blank == MOST_BLANK {
                    return Ok(Some(RawRow::good(self.row, Vec::new())));
                }
            }
            if !self.read_row()? {
                return Ok(None);
            }
        }
    }

    /// Reads the next row and how often it comes; `false` at the end.
    fn read_row(&mut self) -> Result<bool, Fault> {
        while !self.finished {
            match self.events.next()? {
                Event::Start(element) if element.local_name().as_ref() == "table-row" => {
                    self.again = repeated(&element, "number-rows-repeated");
                    let row = self.cells()?;
                    self.last = (!row.is_blank()).then_some(row);
                    return Ok(true);
                }
                Event::Start(element) if is_aside(element.local_name().as_ref()) => skip_element(&mut self.events)?,
                Event::End(element) if element.local_name().as_ref() == "table" => {
                    self.finished = true;
                    // The checksum of the whole part.
                    read_to_end(self.events.source_mut())?;
                }
                Event::Eof => return Err(damaged("the sheet ends too early")),
                _ => {}
            }
        }
        Ok(false)
    }

    /// The row whose start was just read, up to its end.
    fn cells(&mut self) -> Result<RawRow, Fault> {
        let mut row = RowBuilder::new(self.row + 1);
        let mut column = 0_usize;
        loop {
            match self.events.next()? {
                Event::Start(element) => match element.local_name().as_ref() {
                    "table-cell" | "covered-table-cell" => {
                        let element = element.into_owned();
                        let found = self.cell(&element)?;
                        self.collect_merged(column, &found)?;
                        if !found.value.text.is_empty() {
                            for place in column..column.saturating_add(found.repeated).min(MOST_COLUMNS + 1) {
                                row.put(place, Ok(found.value.clone()));
                            }
                        }
                        column = column.saturating_add(found.repeated);
                    }
                    _ => {}
                },
                Event::End(element) if element.local_name().as_ref() == "table-row" => return Ok(row.finish()),
                Event::Eof => return Err(damaged("the sheet ends inside a row")),
                _ => {}
            }
        }
    }

    /// The cell whose start was just read, up to its end.
    fn cell(&mut self, element: &BytesStart<'_>) -> Result<Found, Fault> {
        let value = |name| attribute(element, name);
        let has_error = element
            .attributes()
            .with_checks(false)
            .flatten()
            .any(|attribute| attribute.key.as_ref() == "calcext:value-type" && attribute.value.as_ref() == "error");
        let formula = value("formula").map(|_| Noted::Formula);
        let kind = value("value-type");
        let shown = self.paragraphs()?;
        let (text, note) = match kind.as_deref() {
            _ if has_error => (shown, formula),
            Some("float" | "percentage" | "currency") => {
                let written = value("value").unwrap_or(shown);
                (number(written), formula)
            }
            Some("date") => (date(value("date-value").unwrap_or(shown)), Some(Noted::ShownAsDate)),
            Some("time") => {
                let written = value("time-value").unwrap_or_default();
                (time(&written).unwrap_or(shown), Some(Noted::ShownAsDate))
            }
            Some("boolean") => (
                cells::boolean(value("boolean-value").as_deref() == Some("true")),
                formula,
            ),
            Some("string") if shown.is_empty() => (value("string-value").unwrap_or_default(), formula),
            _ => (shown, formula),
        };
        let count = |name| repeated(element, name);
        Ok(Found {
            value: Value { text, note },
            repeated: usize::try_from(count("number-columns-repeated")).unwrap_or(MOST_COLUMNS),
            columns: usize::try_from(count("number-columns-spanned")).unwrap_or(1),
            rows: count("number-rows-spanned"),
        })
    }

    /// The paragraphs of the cell whose start was just read, up to its end, a line each. Notes and drawings are no part of
    /// its value.
    fn paragraphs(&mut self) -> Result<String, Fault> {
        let mut text = String::new();
        let (mut paragraphs, mut open, mut inside) = (0, 0_usize, 0_usize);
        loop {
            if text.len() > LONGEST_CELL {
                return Err(Fault::over(Measure::Cell, LONGEST_CELL));
            }
            match self.events.next()? {
                Event::Start(element) if is_aside(element.local_name().as_ref()) => skip_element(&mut self.events)?,
                Event::Start(element) => {
                    inside += 1;
                    match element.local_name().as_ref() {
                        "p" | "h" => {
                            if paragraphs > 0 {
                                text.push('\n');
                            }
                            paragraphs += 1;
                            open += 1;
                        }
                        "s" => {
                            let many = usize::try_from(repeated(&element, "c")).unwrap_or(1);
                            text.extend(std::iter::repeat_n(' ', many.min(LONGEST_CELL)));
                        }
                        "tab" => text.push('\t'),
                        "line-break" => text.push('\n'),
                        _ => {}
                    }
                }
                Event::End(_) if inside == 0 => return Ok(text),
                Event::End(element) => {
                    inside = inside.saturating_sub(1);
                    open = open.saturating_sub(usize::from(matches!(element.local_name().as_ref(), "p" | "h")));
                }
                Event::Text(part) if open > 0 => text.push_str(&part.xml10_content()),
                Event::CData(part) if open > 0 => text.push_str(&part.xml10_content()),
                Event::GeneralRef(entity) if open > 0 => push_entity(&entity, &mut text),
                Event::Eof => return Err(damaged("the sheet ends inside a cell")),
                _ => {}
            }
        }
    }

    fn collect_merged(&mut self, column: usize, found: &Found) -> Result<(), Fault> {
        if !self.strict || (found.columns <= 1 && found.rows <= 1) {
            return Ok(());
        }
        if self.merged.len() == MOST_MERGED {
            return Err(Fault::over(Measure::Merged, MOST_MERGED));
        }
        let (first, last) = (
            column_letters(column),
            column_letters(column + found.columns.max(1) - 1),
        );
        let row = self.row + 1;
        self.merged
            .push(format!("{first}{row}:{last}{}", row + found.rows.max(1) - 1));
        Ok(())
    }
}

/// Elements whose texts are no value of a cell.
fn is_aside(name: &str) -> bool {
    matches!(
        name,
        "annotation" | "shapes" | "frame" | "custom-shape" | "ruby-text" | "forms" | "detective" | "note"
    )
}

/// A count that is one when it is not said.
fn repeated(element: &BytesStart<'_>, name: &str) -> u64 {
    attribute(element, name)
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1)
}

fn number(written: String) -> String {
    match written.trim().parse::<f64>().ok().filter(|number| number.is_finite()) {
        Some(number) => cells::number(number, cells::NumberKind::Plain, false, Some(written)).0,
        None => written,
    }
}

/// A day without a time of day, as everywhere.
fn date(written: String) -> String {
    let written = written.split_once('.').map_or(written.as_str(), |(whole, _)| whole);
    written.strip_suffix("T00:00:00").unwrap_or(written).to_owned()
}

/// `PT10H30M00S` → `10:30:00`
fn time(written: &str) -> Option<String> {
    let (hours, rest) = written.strip_prefix("PT")?.split_once('H')?;
    let (minutes, rest) = rest.split_once('M')?;
    let seconds = rest.strip_suffix('S')?;
    let seconds = seconds.split(['.', ',']).next()?;
    let number = |text: &str| text.parse::<u32>().ok();
    Some(format!(
        "{}:{:02}:{:02}",
        number(hours)?,
        number(minutes)?,
        number(seconds)?
    ))
}
