//! How a text is split into rows and cells: its encoding, what ends its lines, and what stands between its cells.

use std::borrow::Cow;

pub use crate::{
    csv::LineEnd,
    encoding::{Encoding, Guess},
};
use crate::{
    csv::{Cells, Split, split},
    encoding::{Utf16, guess},
};

/// What may stand between cells.
const DELIMITERS: [u8; 4] = [b';', b'\t', b',', b'|'];

/// How a text is split into rows and cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// How its bytes are to be read.
    pub encoding: Encoding,
    /// Bytes before the first row: the byte order mark, and the line that only says the delimiter.
    pub mark: u64,
    /// What stands between cells.
    pub delimiter: u8,
    /// What ends a row.
    pub line_end: LineEnd,
}

/// Where the delimiter is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delimiter {
    /// Somebody said it.
    Said(u8),
    /// The first row is the header.
    OfHeader,
    /// The header is somewhere among the first rows, perhaps below a title.
    OfFirstRows,
}

impl Dialect {
    /// Finds what is not said in the beginning of a text; `whole` says that this is all of it.
    ///
    /// # Errors
    /// The encoding it most likely has, when that is not certain.
    pub fn of(start: &[u8], whole: bool, encoding: Option<Encoding>, delimiter: Delimiter) -> Result<Self, Encoding> {
        let (encoding, mark) = match (encoding, guess(start, whole)) {
            (Some(said), Guess::Is(found, mark)) if said == found => (said, mark),
            // A mark says more than a setting.
            (Some(_), Guess::Is(found, mark)) if mark > 0 => (found, mark),
            (Some(said), _) => (said, said.mark(start)),
            (None, Guess::Is(found, mark)) => (found, mark),
            (None, Guess::Perhaps(likely)) => return Err(likely),
        };
        let text = match Utf16::of(encoding) {
            None => Cow::Borrowed(&start[mark..]),
            Some(mut utf16) => {
                let mut out = Vec::new();
                utf16.push(&start[mark..], &mut out);
                Cow::Owned(out)
            }
        };
        let line_end = line_end(&text);
        let (said_by_line, length) = said_delimiter(&text, line_end).unzip();
        let (line, rest) = text.split_at(length.unwrap_or(0));
        let found = match delimiter {
            Delimiter::Said(delimiter) => Some(delimiter),
            Delimiter::OfHeader | Delimiter::OfFirstRows if said_by_line.is_some() => said_by_line,
            Delimiter::OfHeader => header_delimiter(rest),
            Delimiter::OfFirstRows => delimiter_of_rows(rest, line_end, whole),
        };
        let line = if encoding.is_ascii_compatible() {
            line.len()
        } else {
            Utf16::length_of(line)
        };
        Ok(Self {
            encoding,
            mark: (mark + line) as u64,
            delimiter: found.unwrap_or(DELIMITERS[0]),
            line_end,
        })
    }
}

/// The old Macintosh ends lines with a carriage return; elsewhere one may stand in a text. What ends the first line ends
/// most lines.
fn line_end(text: &[u8]) -> LineEnd {
    let mut quoted = false;
    let (mut returns, mut feeds) = (0_usize, 0_usize);
    let mut first = None;
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => {
                feeds += 1;
                first.get_or_insert(LineEnd::Feed);
            }
            b'\r' if !quoted => {
                // Any number of them may stand before a line feed.
                while bytes.next_if_eq(&b'\r').is_some() {
                    returns += 1;
                }
                if bytes.peek().is_some_and(|next| *next != b'\n') {
                    returns += 1;
                    first.get_or_insert(LineEnd::Return);
                }
            }
            _ => {}
        }
    }
    match first {
        Some(LineEnd::Return) if returns > feeds => LineEnd::Return,
        _ => LineEnd::Feed,
    }
}

/// A first line `sep=;`, by which Excel is told the delimiter, and its length.
fn said_delimiter(text: &[u8], line_end: LineEnd) -> Option<(u8, usize)> {
    let length = line_end.after_first(text)?;
    let line = line_end.strip(&text[..length]);
    let line = line
        .strip_prefix(b"\"")
        .and_then(|line| line.strip_suffix(b"\""))
        .unwrap_or(line);
    let (word, said) = line.split_at_checked(4)?;
    let &[delimiter] = said else {
        return None;
    };
    let is_said = word.eq_ignore_ascii_case(b"sep=") && delimiter.is_ascii() && delimiter != b'"';
    is_said.then_some((delimiter, length))
}

/// What stands between the cells of the header, when the first row that is not blank is one. Texts below it can't be
/// asked: one without quotation marks may have more semicolons than the table has columns («&nbsp;»).
pub fn header_delimiter(start: &[u8]) -> Option<u8> {
    let line = start
        .split(|byte| *byte == b'\n' || *byte == b'\r')
        .find(|line| !line.trim_ascii().is_empty())?;
    let mut quoted = false;
    let mut counts = DELIMITERS.map(|delimiter| (0usize, delimiter));
    for &byte in line {
        quoted ^= byte == b'"';
        let counted = counts.iter_mut().find(|(_, candidate)| *candidate == byte && !quoted);
        if let Some((count, _)) = counted {
            *count += 1;
        }
    }
    let (count, delimiter) = counts.into_iter().rev().max_by_key(|(count, _)| *count)?;
    (count > 0).then_some(delimiter)
}

/// The delimiter by which a row among the first is split like those below it. Commas in texts are many, but no two texts
/// have as many.
fn delimiter_of_rows(text: &[u8], line_end: LineEnd, whole: bool) -> Option<u8> {
    /// The header is one of so many rows.
    const HEADERS: usize = 20;
    let scored = DELIMITERS.iter().rev().map(|delimiter| {
        let widths = widths(text, *delimiter, line_end, whole);
        let likeness = |(at, width): (usize, &usize)| {
            let alike = widths[at + 1..].iter().filter(|other| *other == width).count();
            (alike * (width - 1), *width)
        };
        let headers = widths.iter().take(HEADERS).enumerate().filter(|(_, width)| **width > 1);
        (headers.map(likeness).max().unwrap_or((0, 0)), *delimiter)
    });
    let ((_, width), delimiter) = scored.max_by_key(|(score, _)| *score)?;
    (width > 1).then_some(delimiter)
}

/// Cells of the first rows by a delimiter; empty ones at the end are not counted.
fn widths(text: &[u8], delimiter: u8, line_end: LineEnd, whole: bool) -> Vec<usize> {
    const ROWS: usize = 60;
    let mut widths = Vec::new();
    let mut cells = Cells::default();
    let mut rest = text;
    while widths.len() < ROWS && !rest.is_empty() {
        let line = line_end.after_first(rest).unwrap_or(rest.len());
        let length = match split(rest, delimiter, line_end, whole, &mut cells) {
            Split::Row(length) => length,
            Split::More if !rest.contains(&b'"') => break,
            _ => {
                cells = rest[..line].split(|byte| *byte == delimiter).collect();
                line
            }
        };
        let filled = cells
            .iter()
            .enumerate()
            .filter(|(_, cell)| !cell.trim_ascii().is_empty());
        widths.extend(filled.last().map(|(last, _)| last + 1));
        rest = &rest[length..];
    }
    widths
}

#[cfg(test)]
mod tests {
    use encoding_rs::WINDOWS_1251;

    use super::*;

    fn of(text: &[u8], delimiter: Delimiter) -> Dialect {
        Dialect::of(text, true, None, delimiter).expect("a dialect")
    }

    #[test]
    fn encoding_and_delimiter_are_told_by_the_text() {
        let text = "Отчёт, за май\nНомер;Тема;Текст\n1;Ямы;Яма на дороге\n";
        let (windows, _, _) = WINDOWS_1251.encode(text);
        for (bytes, encoding, mark) in [
            (text.as_bytes(), Encoding::Utf8, 0),
            (format!("\u{feff}{text}").as_bytes(), Encoding::Utf8, 3),
            (&windows, Encoding::Windows1251, 0),
        ] {
            let expected = Dialect {
                encoding,
                mark,
                delimiter: b';',
                line_end: LineEnd::Feed,
            };
            assert_eq!(of(bytes, Delimiter::OfFirstRows), expected);
        }
        // The first row taken for the header: the title has a comma only.
        let said = Some(Encoding::Windows1251);
        let found = Dialect::of(text.as_bytes(), true, said, Delimiter::OfHeader).expect("a dialect");
        assert_eq!((found.encoding, found.delimiter), (Encoding::Windows1251, b','));
        assert_eq!(of(b"a\tb,c\td", Delimiter::OfHeader).delimiter, b'\t');
        assert_eq!(of(b"a;b", Delimiter::Said(b',')).delimiter, b',');
    }

    #[test]
    fn commas_in_texts_are_no_delimiters() {
        for text in [
            "a;b;c;d\nx;y;pit, by house 5, bus, ambulance, nobody;z\nx;y;no light;z\n",
            "a;b\nx;one, two, three, four, five\n",
            "Report, May, all, of, it\n\na;b;c\n1;x, y;z\n2;x, y;z\n",
            "a;b;c\n1;x;s, 5\n2;y;s, 5\n3;z;s, 5\nbroken, s\n",
            "a;b;c\n",
        ] {
            assert_eq!(of(text.as_bytes(), Delimiter::OfFirstRows).delimiter, b';', "{text}");
        }
        assert_eq!(of(b"a,b,c\n1,\"x;y;z;u\",2\n", Delimiter::OfFirstRows).delimiter, b',');
        assert_eq!(of(b"a|b|c\n1|x, y|2\n", Delimiter::OfFirstRows).delimiter, b'|');
    }

    #[test]
    fn a_first_line_may_say_the_delimiter() {
        for (text, delimiter, mark) in [
            ("sep=,\r\na;1,b\r\n", b',', 7),
            ("\u{feff}SEP=#\na;1#b\n", b'#', 9),
            ("\"sep=\t\"\na;1\tb\n", b'\t', 8),
            ("sep=ab\na;b\n", b';', 0),
            ("sep=;", b';', 0),
        ] {
            for first in [Delimiter::OfHeader, Delimiter::OfFirstRows] {
                let found = of(text.as_bytes(), first);
                assert_eq!((found.delimiter, found.mark), (delimiter, mark), "{text:?}");
            }
        }
    }

    #[test]
    fn what_ends_the_first_line_and_most_others_ends_a_row() {
        for (text, end) in [
            ("a;b\r1;2\r", LineEnd::Return),
            ("\"a\n\";b\r\"1\";2", LineEnd::Return),
            ("a;b\r\n1;2\r\n", LineEnd::Feed),
            ("a;b\r\r\n1;2\r\r\n", LineEnd::Feed),
            ("a;b\n1;x\ry\r\n", LineEnd::Feed),
            ("a\rb;c\n1;2\n3;4\n", LineEnd::Feed),
            ("a;b", LineEnd::Feed),
        ] {
            assert_eq!(line_end(text.as_bytes()), end, "{text:?}");
        }
    }
}
