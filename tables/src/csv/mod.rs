//! CSV, read as a stream and strictly, with recovery.
//!
//! Why not the `csv` crate: it reads a quotation mark that is never closed as one cell up to the end of the file, so one
//! broken row would swallow all good rows after it. Here a row that breaks the quoting rules, or comes out with the
//! wrong number of cells after running over several lines, costs its first line only; reading goes on at the next one.
//! On well-formed input the result is that of the `csv` crate (a test compares them).
//!
//! Rows are split on raw bytes (delimiters, quotation marks and line ends are ASCII in every encoding but UTF-16, which is
//! turned into UTF-8 as it is read) and decoded afterwards, so the byte position of a row is exact and reading can start
//! there again.
//!
//! How wide a row is, the first rows of the file say together ([`shape`]).

mod shape;
mod split;
#[cfg(test)]
mod tests;

use std::io::{Read, Seek, SeekFrom};

use self::shape::{Fit, Shape};
pub use self::split::LineEnd;
pub(crate) use self::split::{Cells, Split, split};
use crate::{
    cells::composed,
    dialect::Dialect,
    encoding::Utf16,
    fault::{Fault, RowFault},
    limits::{LONGEST_ROW, MOST_BLANK, MOST_CHARACTERS, MOST_COLUMNS, is_too_long},
    row::RawRow,
    source::Source,
};

const CHUNK: usize = 64 * 1024;
/// Bytes that DOS programs fill the last block of a file with at most, behind its end.
const PADDING: usize = 512;
const CONTROL_Z: u8 = 0x1A;

/// Rows of one CSV file.
#[derive(Debug)]
pub struct CsvRows {
    file: Source,
    /// Bytes read from the file and not yet given out; starts at `offset`. UTF-16 is UTF-8 here.
    buffer: Vec<u8>,
    /// How much of the front of `buffer` was given out.
    taken: usize,
    /// Position of `buffer[taken]` in the file.
    offset: u64,
    /// Number of the next row; the first is 1.
    row: u64,
    at_end: bool,
    dialect: Dialect,
    utf16: Option<Utf16>,
    /// What rows are held to, once the header is known.
    shape: Option<Shape>,
    /// Cells of the row that is being read.
    cells: Cells,
}

/// A row as it was found in the buffer.
struct Found {
    /// Its bytes, or those to give up.
    length: usize,
    fault: Option<RowFault>,
}

impl CsvRows {
    /// Reads rows from a position that starts a row. `row` is the number of that row.
    ///
    /// # Errors
    /// When the position can't be reached.
    pub fn new(mut file: Source, offset: u64, row: u64, dialect: Dialect) -> Result<Self, Fault> {
        file.seek(SeekFrom::Start(offset))
            .map_err(|error| Fault::of_io(&error))?;
        Ok(Self {
            file,
            buffer: Vec::with_capacity(2 * CHUNK),
            taken: 0,
            offset,
            row,
            at_end: false,
            dialect,
            utf16: Utf16::of(dialect.encoding),
            shape: None,
            cells: Cells::default(),
        })
    }

    /// Tells how many cells a row must have: exactly so many.
    pub fn expect_width(&mut self, width: usize) {
        self.shape = Some(Shape::exactly(width));
    }

    /// Tells the cells of the header, when the next row is the first below it: the rows must have as many, but for what
    /// the first of them agree on. Rows are given out with as many cells as the header has.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn expect_header(&mut self, header: &[String]) -> Result<(), Fault> {
        let named = header
            .iter()
            .rposition(|cell| !cell.trim().is_empty())
            .map_or(0, |at| at + 1);
        let (offset, row) = (self.offset, self.row);
        let mut sample: Vec<Vec<Vec<u8>>> = Vec::new();
        self.shape = None;
        while sample.len() < shape::MOST_ROWS
            && let Some(found) = self.find_row()?
        {
            if found.fault.is_none() && !self.cells.are_blank() {
                let firsts = self.cells.iter().map(|cell| cell[..cell.len().min(PADDING)].to_vec());
                sample.push(firsts.collect());
            }
            self.give_up(&found)?;
        }
        self.shape = Some(Shape::of(&sample, header.len(), named));
        self.seek(offset, row)
    }

    /// Goes on at a position that starts a row; `row` is the number of that row.
    ///
    /// # Errors
    /// When the position can't be reached.
    pub fn seek(&mut self, offset: u64, row: u64) -> Result<(), Fault> {
        self.file
            .seek(SeekFrom::Start(offset))
            .map_err(|error| Fault::of_io(&error))?;
        self.buffer.clear();
        (self.taken, self.offset, self.row, self.at_end) = (0, offset, row, false);
        self.utf16 = Utf16::of(self.dialect.encoding);
        Ok(())
    }

    /// Where the next row starts.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next row that is not blank. Of many blank ones in a row some are given out, so that whoever reads them can stop
    /// between any two rows.
    ///
    /// # Errors
    /// Only when the file can't be read; a bad row is a row with a problem.
    pub fn next_row(&mut self) -> Result<Option<RawRow>, Fault> {
        let mut blank = 0;
        loop {
            let Some(mut found) = self.find_row()? else {
                return Ok(None);
            };
            if found.fault.is_none() && !self.cells.are_blank() {
                found.fault = self.misfit(found.length)?;
            }
            let row = self.row;
            self.row += 1;
            let out = self.finish(row, &found);
            self.give_up(&found)?;
            if let Some(out) = out {
                return Ok(Some(out));
            }
            blank += 1;
            if blank == MOST_BLANK {
                return Ok(Some(RawRow::good(row, Vec::new())));
            }
        }
    }

    /// The next row in the buffer, or the bytes to give up with the reason. `None` at the end.
    fn find_row(&mut self) -> Result<Option<Found>, Fault> {
        let Dialect {
            delimiter, line_end, ..
        } = self.dialect;
        loop {
            let rest = &self.buffer[self.taken..];
            if rest.is_empty() && self.at_end {
                return Ok(None);
            }
            let (length, fault) = match split(rest, delimiter, line_end, self.at_end, &mut self.cells) {
                Split::Row(length) => {
                    let has_lines = || {
                        line_end
                            .after_first(&rest[..length])
                            .is_some_and(|first| first < length)
                    };
                    // A row over several lines with a wrong count: an unclosed quotation mark found its end in a
                    // later row. Give up the first line only.
                    match &self.shape {
                        Some(shape) if shape.fit(&self.cells) != Fit::Whole && has_lines() => {
                            (self.first_line(), Some(RowFault::Quotes))
                        }
                        _ => (length, None),
                    }
                }
                Split::TooWide => (self.first_line(), Some(RowFault::TooWide { limit: MOST_COLUMNS })),
                // What breaks it may be what DOS leaves behind the end of the file.
                Split::Broken(at) if !self.at_end && at + PADDING >= rest.len() => {
                    self.fill()?;
                    continue;
                }
                Split::Broken(_) => (self.first_line(), Some(RowFault::Quotes)),
                Split::More if rest.len() >= LONGEST_ROW => {
                    let fault = match line_end.after_first(rest) {
                        Some(_) => RowFault::Quotes,
                        None => RowFault::TooLong { limit: LONGEST_ROW },
                    };
                    (self.first_line(), Some(fault))
                }
                Split::More => {
                    self.fill()?;
                    continue;
                }
            };
            return Ok(Some(Found { length, fault }));
        }
    }

    /// What is wrong with the width of a row of this length at the front of the buffer.
    fn misfit(&mut self, length: usize) -> Result<Option<RowFault>, Fault> {
        let Some(shape) = &self.shape else {
            return Ok(None);
        };
        let fault = RowFault::CellCount {
            expected: shape.header(),
            found: self.cells.len(),
        };
        match shape.fit(&self.cells) {
            Fit::Whole => Ok(None),
            // What follows may be the rest of this row, or the file may have been cut here.
            Fit::Short if self.is_followed_by_row(length)? => Ok(None),
            Fit::Short | Fit::No => Ok(Some(fault)),
        }
    }

    /// Whether the next line that is not blank begins as a row, or the file ends with the end of this one.
    fn is_followed_by_row(&mut self, length: usize) -> Result<bool, Fault> {
        /// The beginning of a row that is looked at.
        const LOOKED_AT: usize = 4096;
        let Dialect {
            delimiter, line_end, ..
        } = self.dialect;
        let begins = loop {
            let next = &self.buffer[self.taken + length..];
            let begins = next
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace() && **byte != delimiter)
                .count();
            let next = &next[begins..];
            let is_told = next.iter().any(|byte| *byte == delimiter || line_end.is(*byte));
            if is_told || next.len() > LOOKED_AT || self.at_end {
                break begins;
            }
            self.fill()?;
        };
        let (this, next) = self.buffer[self.taken..].split_at(length + begins);
        if next.is_empty() {
            return Ok(this.last().is_some_and(|byte| line_end.is(*byte)));
        }
        let ends = next.iter().position(|byte| *byte == delimiter || line_end.is(*byte));
        let first = line_end.strip(&next[..ends.unwrap_or(next.len())]);
        let first = first.strip_prefix(b"\"").unwrap_or(first);
        let first = first.strip_suffix(b"\"").unwrap_or(first);
        Ok(self.shape.as_ref().is_some_and(|shape| shape.is_start(first)))
    }

    fn finish(&self, row: u64, found: &Found) -> Option<RawRow> {
        let cells = &self.cells;
        let line = self
            .dialect
            .line_end
            .strip(&self.buffer[self.taken..self.taken + found.length]);
        if found.fault.is_none() && cells.are_blank() {
            return None;
        }
        let broken = |fault| Some(RawRow::broken(row, fault, line));
        if memchr::memchr(0, line).is_some() {
            return broken(RowFault::Zeros);
        }
        if let Some(fault) = &found.fault {
            return broken(fault.clone());
        }
        let encoding = self.dialect.encoding;
        if encoding.is_foreign(line) {
            return broken(RowFault::Encoding(encoding.name()));
        }
        let width = self.shape.as_ref().map_or(cells.len(), Shape::header);
        let mut texts = Vec::with_capacity(width);
        for cell in cells.iter().take(width) {
            match encoding.decode(cell) {
                Some(text) if is_too_long(&text) => {
                    return broken(RowFault::CellTooLong { limit: MOST_CHARACTERS });
                }
                Some(text) => texts.push(composed(text)),
                None => return broken(RowFault::Encoding(encoding.name())),
            }
        }
        texts.resize(width, String::new());
        Some(RawRow::good(row, texts))
    }

    /// Goes behind a row that was found.
    fn give_up(&mut self, found: &Found) -> Result<(), Fault> {
        let last = self.buffer[self.taken..self.taken + found.length].last();
        let line_ended = last.is_some_and(|byte| self.dialect.line_end.is(*byte));
        self.consume(found.length);
        if !line_ended && matches!(found.fault, Some(RowFault::TooLong { .. } | RowFault::TooWide { .. })) {
            self.skip_line()?;
        }
        Ok(())
    }

    /// Goes on to the start of the next line.
    fn skip_line(&mut self) -> Result<(), Fault> {
        loop {
            let rest = &self.buffer[self.taken..];
            if let Some(length) = self.dialect.line_end.after_first(rest) {
                self.consume(length);
                return Ok(());
            }
            let all = rest.len();
            self.consume(all);
            if self.at_end {
                return Ok(());
            }
            self.fill()?;
        }
    }

    fn consume(&mut self, length: usize) {
        let given = &self.buffer[self.taken..self.taken + length];
        self.offset += match self.utf16 {
            Some(_) => Utf16::length_of(given),
            None => length,
        } as u64;
        self.taken += length;
        if self.taken >= CHUNK {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
    }

    fn fill(&mut self) -> Result<(), Fault> {
        let before = self.buffer.len();
        // Twice as much as is waiting, so that a long row is split a logarithmic number of times.
        let want = CHUNK.max(before - self.taken).min(LONGEST_ROW) as u64;
        let mut file = (&mut self.file).take(want);
        let read = match &mut self.utf16 {
            None => file.read_to_end(&mut self.buffer),
            Some(utf16) => {
                let mut bytes = Vec::new();
                let read = file.read_to_end(&mut bytes);
                utf16.push(&bytes, &mut self.buffer);
                read
            }
        };
        if read.map_err(|error| Fault::of_io(&error))? == 0 && !self.at_end {
            self.at_end = true;
            if let Some(utf16) = &mut self.utf16 {
                utf16.finish(&mut self.buffer);
            }
            self.cut_padding();
        }
        Ok(())
    }

    /// Takes away what DOS programs leave behind the end of a text: Ctrl-Z, and zeros up to the end of the block. Zeros
    /// that cut a row, or many of them, are no such thing: there the rest of the file is missing.
    fn cut_padding(&mut self) {
        let rest = &self.buffer[self.taken..];
        let padding = rest
            .iter()
            .rev()
            .take_while(|byte| [0, CONTROL_Z].contains(*byte))
            .count();
        let (text, padding) = rest.split_at(rest.len() - padding);
        let is_after_line = text.last().is_none_or(|byte| self.dialect.line_end.is(*byte));
        let is_ended = padding.first() == Some(&CONTROL_Z) || is_after_line;
        if is_ended && padding.len() <= PADDING {
            let end = self.taken + text.len();
            self.buffer.truncate(end);
        }
    }

    /// Bytes up to and with the first line end.
    fn first_line(&self) -> usize {
        let rest = &self.buffer[self.taken..];
        let line = self.dialect.line_end.after_first(rest);
        line.unwrap_or(rest.len().min(LONGEST_ROW))
    }
}
