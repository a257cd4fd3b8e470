//! Rows of a sheet of an XLS.

use std::sync::Arc;

use super::{
    BOF, Book, EOF,
    cfb::{f64_at, u16_at, u32_at},
    damaged, record, text_with_two,
};
use crate::{
    book::Sheet,
    cells::{self, NumberKind, Read, RowBuilder, Value},
    columns::column_letters,
    fault::{Fault, RowFault},
    limits::{MOST_MERGED, Measure},
    row::{Noted, RawRow},
    xlsx::SharedStrings,
};

const FORMULA: u16 = 0x0006;
const STRING: u16 = 0x0207;

/// Rows of one sheet, in the order of their numbers.
pub(crate) struct XlsRows {
    stream: Arc<Vec<u8>>,
    name: String,
    strings: SharedStrings,
    kinds: Vec<NumberKind>,
    from_1904: bool,
    /// Row and place of each record with cells, by rows.
    places: Vec<(u16, u32)>,
    next: usize,
    merged: Vec<String>,
}

impl XlsRows {
    pub(super) fn new(book: &Book, sheet: &Sheet, strings: SharedStrings) -> Result<Self, Fault> {
        let mut rows = Self {
            stream: Arc::clone(&book.stream),
            name: sheet.name.clone(),
            strings,
            kinds: book.kinds.clone(),
            from_1904: book.from_1904,
            places: Vec::new(),
            next: 0,
            merged: Vec::new(),
        };
        rows.find_cells(sheet.place)?;
        Ok(rows)
    }

    /// Programs write rows in any order; what is kept of a cell here are six bytes.
    fn find_cells(&mut self, start: usize) -> Result<(), Fault> {
        let stream = Arc::clone(&self.stream);
        let mut at = record(&stream, start)
            .filter(|first| first.kind == BOF)
            .ok_or_else(damaged)?
            .next;
        // Charts stand in a sheet as streams of their own.
        let mut depth = 1;
        while depth > 0 {
            let found = record(&stream, at).ok_or_else(damaged)?;
            match found.kind {
                BOF => depth += 1,
                EOF => depth -= 1,
                FORMULA | 0x0203 | 0x0204 | 0x0205 | 0x00D6 | 0x00FD | 0x027E | 0x00BD if depth == 1 => {
                    let row = u16_at(found.data, 0).ok_or_else(damaged)?;
                    self.places.push((row, u32::try_from(at).map_err(|_| damaged())?));
                }
                0x00E5 if depth == 1 => self.collect_merged(found.data)?,
                _ => {}
            }
            at = found.next;
        }
        self.places.sort_by_key(|(row, _)| *row);
        Ok(())
    }

    fn collect_merged(&mut self, data: &[u8]) -> Result<(), Fault> {
        for area in data.get(2..).unwrap_or_default().as_chunks::<8>().0 {
            let [first_row, last_row, first, last] = [0, 2, 4, 6].map(|at| usize::from(u16_at(area, at).unwrap_or(0)));
            if self.merged.len() == MOST_MERGED {
                return Err(Fault::over(Measure::Merged, MOST_MERGED));
            }
            let (first, last) = (column_letters(first), column_letters(last));
            self.merged
                .push(format!("{first}{}:{last}{}", first_row + 1, last_row + 1));
        }
        Ok(())
    }

    /// Records read, and all of them.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.next as u64, self.places.len() as u64)
    }

    pub(crate) fn take_merged(&mut self) -> Vec<String> {
        std::mem::take(&mut self.merged)
    }

    pub(crate) fn into_strings(self) -> SharedStrings {
        self.strings
    }

    pub(crate) fn skip_to(&mut self, last: u64) {
        while self
            .places
            .get(self.next)
            .is_some_and(|(row, _)| u64::from(*row) < last)
        {
            self.next += 1;
        }
    }

    pub(crate) fn next_row(&mut self) -> Result<Option<RawRow>, Fault> {
        while let Some(&(row, _)) = self.places.get(self.next) {
            let number = u64::from(row) + 1;
            let mut builder = RowBuilder::new(number);
            while let Some(&(same, at)) = self.places.get(self.next)
                && same == row
            {
                self.cells(at as usize, &mut builder)
                    .ok_or_else(damaged)
                    .and_then(|read| read)
                    .map_err(|fault| fault.at(Some(&self.name), number))?;
                self.next += 1;
            }
            let built = builder.finish();
            if !built.is_blank() {
                return Ok(Some(built));
            }
        }
        Ok(None)
    }

    /// The cells of one record. `None`: it is cut.
    fn cells(&mut self, at: usize, row: &mut RowBuilder) -> Option<Result<(), Fault>> {
        let stream = Arc::clone(&self.stream);
        let found = record(&stream, at)?;
        let data = found.data;
        let column = usize::from(u16_at(data, 2)?);
        let style = u16_at(data, 4)?;
        let text = |text: String| Ok(Value { text, note: None });
        let value: Read = match found.kind {
            0x00FD if row.is_held() => text(u32_at(data, 6)?.to_string()),
            0x00FD => match self.strings.get(u32_at(data, 6)? as usize) {
                Ok(Some(shared)) => text(shared),
                Ok(None) => Err(RowFault::NoString),
                Err(fault) => return Some(Err(fault)),
            },
            0x0204 | 0x00D6 => text(text_with_two(data.get(6..)?)?.0),
            0x0203 => Ok(self.number(f64_at(data, 6)?, style, None)),
            0x027E => Ok(self.number(packed_number(u32_at(data, 6)?), style, None)),
            0x0205 => Ok(self.boolean_or_error(*data.get(6)?, *data.get(7)? == 1, None)),
            0x00BD => {
                // The record ends with the last column.
                let cells = data.get(4..data.len() - 2)?.as_chunks::<6>().0;
                for (index, cell) in cells.iter().enumerate() {
                    let number = packed_number(u32_at(cell, 2)?);
                    let value = self.number(number, u16_at(cell, 0)?, None);
                    row.put(column + index, Ok(value));
                }
                return Some(Ok(()));
            }
            _ => Ok(self.formula(data, style, found.next)?),
        };
        row.put(column, value);
        Some(Ok(()))
    }

    /// The stored result of a formula.
    fn formula(&self, data: &[u8], style: u16, next: usize) -> Option<Value> {
        let note = Some(Noted::Formula);
        let result = data.get(6..14)?;
        if result[6..] != [0xFF, 0xFF] {
            return Some(self.number(f64_at(data, 6)?, style, note));
        }
        match result[0] {
            0 => {
                // The text stands in a record behind it, behind those about the formula itself.
                let mut at = next;
                for _ in 0..4 {
                    let found = record(&self.stream, at)?;
                    if found.kind == STRING {
                        let (text, _) = text_with_two(found.data)?;
                        return Some(Value { text, note });
                    }
                    at = found.next;
                }
                None
            }
            1 => Some(self.boolean_or_error(result[2], false, note)),
            2 => Some(self.boolean_or_error(result[2], true, note)),
            _ => Some(Value::default()),
        }
    }

    fn number(&self, number: f64, style: u16, note: Option<Noted>) -> Value {
        let kind = self.kinds.get(usize::from(style)).copied().unwrap_or(NumberKind::Plain);
        let (text, is_date) = cells::number(number, kind, self.from_1904, None);
        Value {
            text,
            note: if is_date { Some(Noted::ShownAsDate) } else { note },
        }
    }

    fn boolean_or_error(&self, value: u8, is_error: bool, note: Option<Noted>) -> Value {
        let text = match is_error {
            true => cells::error_name(value).to_owned(),
            false => cells::boolean(value != 0),
        };
        Value { text, note }
    }
}

/// A number in four bytes: whole or the front half of a fraction, perhaps a hundred times as large.
pub(crate) fn packed_number(packed: u32) -> f64 {
    let number = if packed & 2 == 0 {
        f64::from_bits(u64::from(packed & !3) << 32)
    } else {
        f64::from(packed.cast_signed() >> 2)
    };
    if packed & 1 == 0 { number } else { number / 100.0 }
}
