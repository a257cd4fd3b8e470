//! The table of shared strings of an XLS: one text over many records, each of which may begin in the middle of a string.

use std::path::Path;

use super::{CONTINUE, cfb::u32_at, damaged, record};
use crate::{
    fault::Fault,
    limits::{LONGEST_CELL, Measure},
    xlsx::{SharedStrings, StringsWriter},
};

/// Bytes of the table, record after record.
struct Pieces<'a> {
    stream: &'a [u8],
    rest: &'a [u8],
    next: usize,
}

impl Pieces<'_> {
    /// Whether nothing follows.
    fn are_read(&self) -> bool {
        let has_more = || record(self.stream, self.next).is_some_and(|more| more.kind == CONTINUE);
        self.rest.is_empty() && !has_more()
    }

    /// Goes on in the next record when this one is read.
    fn refill(&mut self) -> Result<bool, Fault> {
        if !self.rest.is_empty() {
            return Ok(false);
        }
        let more = record(self.stream, self.next)
            .filter(|more| more.kind == CONTINUE)
            .ok_or_else(damaged)?;
        (self.rest, self.next) = (more.data, more.next);
        Ok(true)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        while self.refill()? {}
        let (first, rest) = self.rest.split_first().ok_or_else(damaged)?;
        self.rest = rest;
        Ok(*first)
    }

    fn number(&mut self, bytes: u32) -> Result<u32, Fault> {
        let mut number = 0;
        for place in 0..bytes {
            number |= u32::from(self.byte()?) << (8 * place);
        }
        Ok(number)
    }

    fn skip(&mut self, mut bytes: usize) -> Result<(), Fault> {
        while bytes > 0 {
            self.refill()?;
            let skipped = bytes.min(self.rest.len());
            self.rest = &self.rest[skipped..];
            bytes -= skipped;
        }
        Ok(())
    }

    /// The next string.
    fn string(&mut self, units: &mut Vec<u16>) -> Result<(), Fault> {
        let length = self.number(2)? as usize;
        let flags = self.byte()?;
        let runs = if flags & 8 == 0 { 0 } else { self.number(2)? as usize };
        let extension = if flags & 4 == 0 { 0 } else { self.number(4)? as usize };
        units.clear();
        self.characters(length, flags & 1 == 1, units)?;
        if extension > LONGEST_CELL {
            return Err(Fault::over(Measure::Piece, LONGEST_CELL));
        }
        self.skip(4 * runs + extension)
    }

    /// Appends the characters of a string. Where a record begins among them, it says anew how wide they are.
    fn characters(&mut self, count: usize, mut wide: bool, units: &mut Vec<u16>) -> Result<(), Fault> {
        while units.len() < count {
            if self.refill()? {
                wide = self.byte()? & 1 == 1;
                continue;
            }
            if wide {
                let unit = self.rest.first_chunk::<2>().ok_or_else(damaged)?;
                units.push(u16::from_le_bytes(*unit));
                self.rest = &self.rest[2..];
            } else {
                units.push(self.rest[0].into());
                self.rest = &self.rest[1..];
            }
        }
        Ok(())
    }
}

/// Reads the table that starts at a position.
pub(super) fn read(stream: &[u8], at: usize, scratch: &Path) -> Result<SharedStrings, Fault> {
    let first = record(stream, at).ok_or_else(damaged)?;
    let mut pieces = Pieces {
        stream,
        // Behind two counts that not every program gets right.
        rest: first.data.get(8..).ok_or_else(damaged)?,
        next: first.next,
    };
    let mut strings = StringsWriter::new(scratch);
    let mut units = Vec::new();
    let declared = u32_at(first.data, 4).ok_or_else(damaged)?;
    let mut read = 0;
    while !pieces.are_read() {
        match pieces.string(&mut units) {
            Ok(()) => strings.push(&String::from_utf16_lossy(&units))?,
            // What follows the last string is no string.
            Err(_) if read >= declared => break,
            Err(fault) => return Err(fault),
        }
        read += 1;
    }
    strings.finish()
}
