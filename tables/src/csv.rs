//! CSV, read as a stream and strictly, with recovery.
//!
//! Why not the `csv` crate: it reads a quotation mark that is never closed as one cell up to the end of the file, so one
//! broken row would swallow all good rows after it. Here a row that breaks the quoting rules, or comes out with the
//! wrong number of cells after running over several lines, costs its first line only; reading goes on at the next one.
//! On well-formed input the result is that of the `csv` crate (a test compares them).
//!
//! Rows are split on raw bytes (delimiters, quotation marks and line ends are ASCII in UTF-8 and in Windows-1251) and
//! decoded afterwards, so the byte position of a row is exact and reading can start there again.

use std::io::{Read, Seek, SeekFrom};

use crate::{
    dialect::{Dialect, Encoding},
    fault::{Fault, RowFault},
    limits::MOST_COLUMNS,
    row::RawRow,
    source::Source,
};

/// Longest row, bytes. A spreadsheet cell holds at most 32 767 characters; real rows have a few kilobytes.
const LONGEST_ROW: usize = 1024 * 1024;
const CHUNK: usize = 64 * 1024;

/// Rows of one CSV file.
#[derive(Debug)]
pub struct CsvRows {
    file: Source,
    /// Bytes read from the file and not yet given out; starts at `offset`.
    buffer: Vec<u8>,
    /// How much of the front of `buffer` was given out.
    taken: usize,
    /// Position of `buffer[taken]` in the file.
    offset: u64,
    /// Number of the next row; the first is 1.
    row: u64,
    at_end: bool,
    delimiter: u8,
    encoding: Encoding,
    /// Cells a row must have, once the header is known.
    width: Option<usize>,
}

/// How one row came out of the splitter.
enum Split {
    /// The row ends after this many bytes.
    Row(usize),
    /// Quoting rules broken.
    Broken,
    /// More cells than a row can have.
    TooWide,
    /// The buffer ends inside the row.
    More,
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
            delimiter: dialect.delimiter,
            encoding: dialect.encoding,
            width: None,
        })
    }

    /// Tells how many cells a row must have.
    pub fn expect_width(&mut self, width: usize) {
        self.width = Some(width);
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
        Ok(())
    }

    /// Where the next row starts.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next row that is not blank.
    ///
    /// # Errors
    /// Only when the file can't be read; a bad row is a row with a problem.
    pub fn next_row(&mut self) -> Result<Option<RawRow>, Fault> {
        let mut cells = Vec::new();
        loop {
            let Some(length) = self.find_row(&mut cells)? else {
                return Ok(None);
            };
            let (line, problem) = match length.clone() {
                Ok(length) => (length, None),
                Err((length, problem)) => (length, Some(problem)),
            };
            let row = self.row;
            self.row += 1;
            let out = self.finish(row, line, &cells, problem);
            let line_ended = self.buffer[self.taken..self.taken + line].ends_with(b"\n");
            self.consume(line);
            if !line_ended && matches!(length, Err((_, RowFault::TooLong { .. } | RowFault::TooWide { .. }))) {
                self.skip_line()?;
            }
            if let Some(out) = out {
                return Ok(Some(out));
            }
        }
    }

    /// Length of the next row in the buffer, or of the bytes to give up with the reason. `None` at the end.
    #[expect(clippy::type_complexity, reason = "used once, just above")]
    fn find_row(&mut self, cells: &mut Vec<Vec<u8>>) -> Result<Option<Result<usize, (usize, RowFault)>>, Fault> {
        loop {
            let rest = &self.buffer[self.taken..];
            if rest.is_empty() && self.at_end {
                return Ok(None);
            }
            match split(rest, self.delimiter, self.at_end, cells) {
                Split::Row(length) => {
                    let lines = rest[..length].iter().filter(|byte| **byte == b'\n').count();
                    // A row over several lines with a wrong count: an unclosed quotation mark found its end in a
                    // later row. Give up the first line only.
                    if lines > 1 && self.width.is_some_and(|width| !fits(cells, width)) {
                        return Ok(Some(Err((first_line(rest), RowFault::Quotes))));
                    }
                    return Ok(Some(Ok(length)));
                }
                Split::TooWide => {
                    let problem = RowFault::TooWide { limit: MOST_COLUMNS };
                    return Ok(Some(Err((first_line(rest), problem))));
                }
                Split::Broken => return Ok(Some(Err((first_line(rest), RowFault::Quotes)))),
                Split::More if rest.len() >= LONGEST_ROW => {
                    let problem = match rest.iter().position(|byte| *byte == b'\n') {
                        Some(_) => RowFault::Quotes,
                        None => RowFault::TooLong { limit: LONGEST_ROW },
                    };
                    return Ok(Some(Err((first_line(rest), problem))));
                }
                Split::More => self.fill()?,
            }
        }
    }

    fn finish(&self, row: u64, length: usize, cells: &[Vec<u8>], problem: Option<RowFault>) -> Option<RawRow> {
        let line = &self.buffer[self.taken..self.taken + length];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if problem.is_none() && cells.iter().all(|cell| cell.iter().all(u8::is_ascii_whitespace)) {
            return None;
        }
        let problem = problem.or_else(|| {
            let width = self.width?;
            (!fits(cells, width)).then_some(RowFault::CellCount {
                expected: width,
                found: cells.len(),
            })
        });
        if let Some(problem) = problem {
            return Some(RawRow::broken(row, problem, line));
        }
        let mut texts = Vec::with_capacity(cells.len());
        for cell in cells {
            match self.encoding.decode(cell) {
                Some(text) => texts.push(text),
                None => return Some(RawRow::broken(row, RowFault::Encoding(self.encoding.name()), line)),
            }
        }
        Some(RawRow::good(row, texts))
    }

    /// Goes on to the start of the next line.
    fn skip_line(&mut self) -> Result<(), Fault> {
        loop {
            let rest = &self.buffer[self.taken..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                self.consume(end + 1);
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
        self.taken += length;
        self.offset += length as u64;
        if self.taken >= CHUNK {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
    }

    fn fill(&mut self) -> Result<(), Fault> {
        let before = self.buffer.len();
        // Twice as much as is waiting, so that a long row is split a logarithmic number of times.
        let want = CHUNK.max(before - self.taken).min(LONGEST_ROW);
        let read = (&mut self.file)
            .take(want as u64)
            .read_to_end(&mut self.buffer)
            .map_err(|error| Fault::of_io(&error))?;
        if read == 0 {
            self.at_end = true;
        }
        Ok(())
    }
}

/// Exactly the header's cells. An extra empty one at the end looks harmless, but it is also what a stray delimiter inside
/// a text leaves when the last column is empty: such a row would be read with shifted columns.
fn fits(cells: &[Vec<u8>], width: usize) -> bool {
    cells.len() == width
}

/// Bytes up to and with the first line end.
fn first_line(rest: &[u8]) -> usize {
    rest.iter()
        .position(|byte| *byte == b'\n')
        .map_or(rest.len().min(LONGEST_ROW), |at| at + 1)
}

/// Splits one row from the front of `bytes`; its cells, unquoted, go to `cells`.
fn split(bytes: &[u8], delimiter: u8, at_end: bool, cells: &mut Vec<Vec<u8>>) -> Split {
    cells.clear();
    let mut at = 0;
    loop {
        if cells.len() == MOST_COLUMNS {
            return Split::TooWide;
        }
        let mut cell = Vec::new();
        if bytes.get(at) == Some(&b'"') {
            at += 1;
            loop {
                let Some(quote) = bytes[at..].iter().position(|byte| *byte == b'"') else {
                    return if at_end { Split::Broken } else { Split::More };
                };
                cell.extend_from_slice(&bytes[at..at + quote]);
                at += quote + 1;
                match bytes.get(at) {
                    Some(b'"') => {
                        cell.push(b'"');
                        at += 1;
                    }
                    Some(_) => break,
                    None if at_end => break,
                    None => return Split::More,
                }
            }
        } else {
            let Some(end) = bytes[at..]
                .iter()
                .position(|byte| *byte == delimiter || *byte == b'\n')
                .or_else(|| at_end.then_some(bytes.len() - at))
            else {
                return Split::More;
            };
            let text = &bytes[at..at + end];
            let last_in_line = bytes.get(at + end) != Some(&delimiter);
            let text = if last_in_line {
                text.strip_suffix(b"\r").unwrap_or(text)
            } else {
                text
            };
            cell.extend_from_slice(text);
            at += end;
        }
        cells.push(cell);
        match bytes.get(at) {
            None => return Split::Row(at),
            Some(b'\n') => return Split::Row(at + 1),
            Some(b'\r') => match bytes.get(at + 1) {
                Some(b'\n') => return Split::Row(at + 2),
                None if at_end => return Split::Row(at + 1),
                None => return Split::More,
                Some(_) => return Split::Broken,
            },
            Some(byte) if *byte == delimiter => at += 1,
            Some(_) => return Split::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the `csv` crate makes of a text.
    fn csv_crate(text: &[u8], delimiter: u8) -> Vec<Vec<Vec<u8>>> {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(text);
        let records = reader.byte_records().map(|record| record.expect("a record"));
        records
            .map(|record| record.iter().map(<[u8]>::to_vec).collect())
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        /// Well-formed CSV reads as with the `csv` crate.
        #[test]
        fn well_formed_csv_is_read_as_the_csv_crate_reads_it(
            rows in prop::collection::vec(prop::collection::vec("[a-zя\";,\n ]{0,12}", 3), 1..20),
            delimiter in prop::sample::select(vec![b';', b',', b'\t']),
        ) {
            let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).expect("written");
            }
            let text = writer.into_inner().expect("flushed");
            let folder = tempfile::tempdir().expect("folder");
            let path = folder.path().join("x.csv");
            std::fs::write(&path, &text).expect("write");
            let file = Source::open(&path).expect("open");
            let dialect = Dialect { encoding: Encoding::Utf8, mark: 0, delimiter };
            let mut ours = CsvRows::new(file, 0, 1, dialect).expect("rows");
            ours.expect_width(3);
            let mut found = Vec::new();
            while let Some(row) = ours.next_row().expect("row") {
                prop_assert!(row.broken.is_none());
                found.push(row.cells.into_iter().map(String::into_bytes).collect::<Vec<_>>());
            }
            let mut expected = csv_crate(&text, delimiter);
            expected.retain(|row| row.iter().any(|cell| !cell.iter().all(u8::is_ascii_whitespace)));
            prop_assert_eq!(found, expected);
        }
    }
}
