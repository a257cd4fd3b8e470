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

use encoding_rs::{Encoding, UTF_8};

use super::{
    limits::MOST_COLUMNS,
    problem::{FileProblem, RowProblem},
    rows::RawRow,
    source::Source,
};

/// Longest row, bytes. A spreadsheet cell holds at most 32 767 characters; real rows have a few kilobytes.
pub const LONGEST_ROW: usize = 1024 * 1024;
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
    encoding: &'static Encoding,
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
    pub fn new(
        mut file: Source,
        offset: u64,
        row: u64,
        delimiter: u8,
        encoding: &'static Encoding,
    ) -> Result<Self, FileProblem> {
        file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        Ok(Self {
            file,
            buffer: Vec::with_capacity(2 * CHUNK),
            taken: 0,
            offset,
            row,
            at_end: false,
            delimiter,
            encoding,
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
    pub fn seek(&mut self, offset: u64, row: u64) -> Result<(), FileProblem> {
        self.file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
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
    pub fn next_row(&mut self) -> Result<Option<RawRow>, FileProblem> {
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
            if !line_ended
                && matches!(
                    length,
                    Err((_, RowProblem::TooLong { .. } | RowProblem::TooWide { .. }))
                )
            {
                self.skip_line()?;
            }
            if let Some(out) = out {
                return Ok(Some(out));
            }
        }
    }

    /// Length of the next row in the buffer, or of the bytes to give up with the reason. `None` at the end.
    #[expect(clippy::type_complexity, reason = "used once, just above")]
    fn find_row(
        &mut self,
        cells: &mut Vec<Vec<u8>>,
    ) -> Result<Option<Result<usize, (usize, RowProblem)>>, FileProblem> {
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
                        return Ok(Some(Err((first_line(rest), RowProblem::Quotes))));
                    }
                    return Ok(Some(Ok(length)));
                }
                Split::TooWide => {
                    let problem = RowProblem::TooWide { limit: MOST_COLUMNS };
                    return Ok(Some(Err((first_line(rest), problem))));
                }
                Split::Broken => return Ok(Some(Err((first_line(rest), RowProblem::Quotes)))),
                Split::More if rest.len() >= LONGEST_ROW => {
                    let problem = match rest.iter().position(|byte| *byte == b'\n') {
                        Some(_) => RowProblem::Quotes,
                        None => RowProblem::TooLong { limit: LONGEST_ROW },
                    };
                    return Ok(Some(Err((first_line(rest), problem))));
                }
                Split::More => self.fill()?,
            }
        }
    }

    fn finish(&self, row: u64, length: usize, cells: &[Vec<u8>], problem: Option<RowProblem>) -> Option<RawRow> {
        let line = &self.buffer[self.taken..self.taken + length];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if problem.is_none() && cells.iter().all(|cell| cell.iter().all(u8::is_ascii_whitespace)) {
            return None;
        }
        let problem = problem.or_else(|| {
            let width = self.width?;
            (!fits(cells, width)).then_some(RowProblem::CellCount {
                expected: width,
                found: cells.len(),
            })
        });
        if let Some(problem) = problem {
            return Some(RawRow::broken(row, problem, line));
        }
        let mut texts = Vec::with_capacity(cells.len());
        for cell in cells {
            match self.encoding.decode_without_bom_handling_and_without_replacement(cell) {
                Some(text) => texts.push(text.into_owned()),
                None => return Some(RawRow::broken(row, RowProblem::Encoding(self.encoding.name()), line)),
            }
        }
        Some(RawRow::good(row, texts))
    }

    /// Goes on to the start of the next line.
    fn skip_line(&mut self) -> Result<(), FileProblem> {
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

    fn fill(&mut self) -> Result<(), FileProblem> {
        let before = self.buffer.len();
        // Twice as much as is waiting, so that a long row is split a logarithmic number of times.
        let want = CHUNK.max(before - self.taken).min(LONGEST_ROW);
        let read = (&mut self.file)
            .take(want as u64)
            .read_to_end(&mut self.buffer)
            .map_err(unreadable)?;
        if read == 0 {
            self.at_end = true;
        }
        Ok(())
    }
}

fn unreadable(error: std::io::Error) -> FileProblem {
    FileProblem::Unreadable(error.kind().to_string())
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

/// What the start of a CSV file says about the rest.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// How its bytes are to be read.
    pub encoding: &'static Encoding,
    /// Bytes of the byte order mark.
    pub mark: u64,
    /// What stands between cells.
    pub delimiter: u8,
}

/// Finds encoding and delimiter from the first bytes of a file; `whole` says that these are all of it.
///
/// # Errors
/// For UTF-16 and for bytes that are no text.
pub fn sniff(
    start: &[u8],
    whole: bool,
    encoding: Option<&'static Encoding>,
    delimiter: Option<u8>,
) -> Result<Dialect, FileProblem> {
    if start.starts_with(&[0xFF, 0xFE]) || start.starts_with(&[0xFE, 0xFF]) {
        return Err(FileProblem::Encoding("UTF-16"));
    }
    if start.contains(&0) {
        return Err(FileProblem::Encoding("binary data"));
    }
    let mark: usize = if start.starts_with(&[0xEF, 0xBB, 0xBF]) { 3 } else { 0 };
    let text = &start[mark..];
    let encoding = encoding.unwrap_or_else(|| {
        if mark > 0 || mostly_utf8(text, whole) {
            UTF_8
        } else {
            encoding_rs::WINDOWS_1251
        }
    });
    Ok(Dialect {
        encoding,
        mark: mark as u64,
        delimiter: delimiter.unwrap_or_else(|| most_frequent_delimiter(text)),
    })
}

/// Whether the sample reads as UTF-8, but for single broken places: Russian text in Windows-1251 breaks at almost every
/// letter, a damaged cell in UTF-8 at a few.
fn mostly_utf8(mut sample: &[u8], whole: bool) -> bool {
    let (mut good, mut bad) = (0usize, 0usize);
    loop {
        match std::str::from_utf8(sample) {
            Ok(text) => {
                good += text.chars().filter(|c| !c.is_ascii()).count();
                break;
            }
            Err(error) => {
                let (valid, rest) = sample.split_at(error.valid_up_to());
                good += valid.iter().filter(|byte| byte.leading_ones() >= 2).count();
                match error.error_len() {
                    Some(length) => {
                        bad += 1;
                        sample = &rest[length..];
                    }
                    // The sample cuts the last character.
                    None => {
                        bad += usize::from(whole);
                        break;
                    }
                }
            }
        }
    }
    bad == 0 || good > 4 * bad
}

/// The delimiter that stands most often in one of the first lines, outside quotation marks: the header has more of
/// them than a title above it has commas.
fn most_frequent_delimiter(sample: &[u8]) -> u8 {
    const CANDIDATES: [u8; 3] = [b';', b'\t', b','];
    const LINES: usize = 20;
    let mut best = (0, CANDIDATES[0]);
    let mut counts = [0usize; 3];
    let mut quoted = false;
    let mut lines = 0;
    for &byte in sample.iter().chain(b"\n") {
        if byte == b'"' {
            quoted = !quoted;
        } else if byte == b'\n' && !quoted {
            for (count, candidate) in counts.into_iter().zip(CANDIDATES) {
                if count > best.0 {
                    best = (count, candidate);
                }
            }
            counts = [0; 3];
            lines += 1;
            if lines == LINES {
                break;
            }
        } else if !quoted && let Some(index) = CANDIDATES.iter().position(|candidate| *candidate == byte) {
            counts[index] += 1;
        }
    }
    best.1
}
