//! One row from the front of some bytes.

use memchr::{memchr, memchr2, memchr3};

use crate::limits::MOST_COLUMNS;

/// The cells of one row, unquoted, one behind the other in one piece of memory that the next row takes over.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    bytes: Vec<u8>,
    /// Where each cell ends.
    ends: Vec<usize>,
}

impl Cells {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// From the first column on.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut begin = 0;
        self.ends
            .iter()
            .map(move |end| &self.bytes[std::mem::replace(&mut begin, *end)..*end])
    }

    /// Whether nothing stands in any of them.
    pub(crate) fn are_blank(&self) -> bool {
        self.bytes.iter().all(u8::is_ascii_whitespace)
    }
}

impl<'a> FromIterator<&'a [u8]> for Cells {
    fn from_iter<T: IntoIterator<Item = &'a [u8]>>(from: T) -> Self {
        let mut cells = Self::default();
        for cell in from {
            cells.bytes.extend_from_slice(cell);
            cells.ends.push(cells.bytes.len());
        }
        cells
    }
}

/// What ends a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// A line feed, with any number of carriage returns before it. A carriage return alone is text.
    Feed,
    /// A carriage return, as the old Macintosh writes it; a line feed too.
    Return,
}

/// How one row came out of the splitter.
pub(crate) enum Split {
    /// The row ends after this many bytes.
    Row(usize),
    /// Quoting rules broken, at this byte.
    Broken(usize),
    /// More cells than a row can have.
    TooWide,
    /// The buffer ends inside the row.
    More,
}

impl LineEnd {
    /// Whether the byte is the last of a line.
    pub(crate) fn is(self, byte: u8) -> bool {
        byte == b'\n' || (byte == b'\r' && self == Self::Return)
    }

    /// Position behind the first line end. A line feed behind the carriage return goes with it.
    pub(crate) fn after_first(self, bytes: &[u8]) -> Option<usize> {
        let at = match self {
            Self::Feed => memchr(b'\n', bytes),
            Self::Return => memchr2(b'\n', b'\r', bytes),
        }?;
        let pair = bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n');
        Some(at + 1 + usize::from(pair))
    }

    /// Where an unquoted cell ends: at a delimiter or at the end of the line.
    fn end_of_cell(self, bytes: &[u8], delimiter: u8) -> Option<usize> {
        match self {
            Self::Feed => memchr2(delimiter, b'\n', bytes),
            Self::Return => memchr3(delimiter, b'\n', b'\r', bytes),
        }
    }

    /// The line without its end.
    pub(crate) fn strip(self, line: &[u8]) -> &[u8] {
        let mut line = line.strip_suffix(b"\n").unwrap_or(line);
        while let Some(shorter) = line.strip_suffix(b"\r") {
            line = shorter;
        }
        line
    }

    /// Length of the line end that begins here; `None` when there is none, or it is not told yet.
    fn length(self, rest: &[u8], at_end: bool) -> Option<usize> {
        let returns = rest.iter().take_while(|byte| **byte == b'\r').count();
        match (self, rest.get(returns)) {
            (_, Some(b'\n')) if self == Self::Feed || returns <= 1 => Some(returns + 1),
            (Self::Return, _) if returns > 0 => (at_end || rest.len() > 1).then_some(1),
            (_, None) if at_end => Some(returns),
            _ => None,
        }
    }
}

/// Splits one row from the front of `bytes`; its cells, unquoted, go to `cells`.
pub(crate) fn split(bytes: &[u8], delimiter: u8, end: LineEnd, at_end: bool, cells: &mut Cells) -> Split {
    cells.clear();
    let mut at = 0;
    loop {
        if cells.len() == MOST_COLUMNS {
            return Split::TooWide;
        }
        if bytes.get(at) == Some(&b'"') {
            at += 1;
            loop {
                let Some(quote) = memchr(b'"', &bytes[at..]) else {
                    return if at_end { Split::Broken(at) } else { Split::More };
                };
                cells.bytes.extend_from_slice(&bytes[at..at + quote]);
                at += quote + 1;
                match bytes.get(at) {
                    Some(b'"') => {
                        cells.bytes.push(b'"');
                        at += 1;
                    }
                    Some(_) => break,
                    None if at_end => break,
                    None => return Split::More,
                }
            }
        } else {
            let Some(length) = end
                .end_of_cell(&bytes[at..], delimiter)
                .or_else(|| at_end.then_some(bytes.len() - at))
            else {
                return Split::More;
            };
            let mut text = &bytes[at..at + length];
            at += length;
            if end == LineEnd::Feed && bytes.get(at) != Some(&delimiter) {
                // The carriage returns before the line feed are its own.
                let whole = text.len();
                text = end.strip(text);
                at -= whole - text.len();
            }
            cells.bytes.extend_from_slice(text);
        }
        cells.ends.push(cells.bytes.len());
        match bytes.get(at) {
            None => return Split::Row(at),
            Some(byte) if *byte == delimiter => at += 1,
            Some(b'\n' | b'\r') => match end.length(&bytes[at..], at_end) {
                Some(length) => return Split::Row(at + length),
                None if !at_end && bytes[at..].iter().all(|byte| *byte == b'\r') => return Split::More,
                None => return Split::Broken(at),
            },
            Some(_) => return Split::Broken(at),
        }
    }
}
