//! How a text is split into rows and cells: its encoding, and what stands between its cells.

use encoding_rs::{UTF_8, WINDOWS_1251};

/// What may stand between cells.
const DELIMITERS: [u8; 3] = [b';', b'\t', b','];
/// Byte order mark of UTF-8.
const MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// How the bytes of a text are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// Windows-1251.
    Windows1251,
}

impl Encoding {
    /// As people and reports call it.
    pub fn name(self) -> &'static str {
        self.table().name()
    }

    /// A text, unless the bytes are none in this encoding.
    pub fn decode(self, bytes: &[u8]) -> Option<String> {
        let text = self
            .table()
            .decode_without_bom_handling_and_without_replacement(bytes)?;
        Some(text.into_owned())
    }

    fn table(self) -> &'static encoding_rs::Encoding {
        match self {
            Self::Utf8 => UTF_8,
            Self::Windows1251 => WINDOWS_1251,
        }
    }
}

/// How a text is split into rows and cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// How its bytes are to be read.
    pub encoding: Encoding,
    /// Bytes of the byte order mark.
    pub mark: u64,
    /// What stands between cells.
    pub delimiter: u8,
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
    /// Finds encoding and delimiter, where they are not said, in the beginning of a text; `whole` says that this is all
    /// of it.
    pub fn of(start: &[u8], whole: bool, encoding: Option<Encoding>, delimiter: Delimiter) -> Self {
        let mark = if start.starts_with(MARK) { MARK.len() } else { 0 };
        let text = &start[mark..];
        let encoding = encoding.unwrap_or_else(|| {
            if mark > 0 || mostly_utf8(text, whole) {
                Encoding::Utf8
            } else {
                Encoding::Windows1251
            }
        });
        let delimiter = match delimiter {
            Delimiter::Said(delimiter) => Some(delimiter),
            Delimiter::OfHeader => header_delimiter(text),
            Delimiter::OfFirstRows => None,
        };
        Self {
            encoding,
            mark: mark as u64,
            delimiter: delimiter.unwrap_or_else(|| most_frequent_delimiter(text)),
        }
    }
}

/// What stands between the cells of the header, when the first row that is not blank is one. Texts below it can't be
/// asked: one without quotation marks may have more semicolons than the table has columns («&nbsp;»).
pub fn header_delimiter(start: &[u8]) -> Option<u8> {
    let line = start
        .split(|byte| *byte == b'\n')
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
    let (count, delimiter) = counts.into_iter().max_by_key(|(count, _)| *count)?;
    (count > 0).then_some(delimiter)
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
    const LINES: usize = 20;
    let mut best = (0, DELIMITERS[0]);
    let mut counts = [0usize; 3];
    let mut quoted = false;
    let mut lines = 0;
    for &byte in sample.iter().chain(b"\n") {
        if byte == b'"' {
            quoted = !quoted;
        } else if byte == b'\n' && !quoted {
            for (count, candidate) in counts.into_iter().zip(DELIMITERS) {
                if count > best.0 {
                    best = (count, candidate);
                }
            }
            counts = [0; 3];
            lines += 1;
            if lines == LINES {
                break;
            }
        } else if !quoted && let Some(index) = DELIMITERS.iter().position(|candidate| *candidate == byte) {
            counts[index] += 1;
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_and_delimiter_are_told_by_the_text() {
        let text = "Отчёт, за май\nНомер;Тема;Текст\n1;Ямы;Яма на дороге\n";
        let (windows, _, _) = WINDOWS_1251.encode(text);
        for (bytes, encoding, mark) in [
            (text.as_bytes(), Encoding::Utf8, 0),
            (format!("\u{feff}{text}").as_bytes(), Encoding::Utf8, 3),
            (&windows, Encoding::Windows1251, 0),
        ] {
            let found = Dialect::of(bytes, true, None, Delimiter::OfFirstRows);
            let expected = Dialect {
                encoding,
                mark,
                delimiter: b';',
            };
            assert_eq!(found, expected);
        }
        // The first row taken for the header: the title has a comma only.
        let found = Dialect::of(text.as_bytes(), true, Some(Encoding::Windows1251), Delimiter::OfHeader);
        assert_eq!((found.encoding, found.delimiter), (Encoding::Windows1251, b','));
        let delimiter = |text, delimiter| Dialect::of(text, true, None, delimiter).delimiter;
        assert_eq!(delimiter(b"a\tb,c\td", Delimiter::OfHeader), b'\t');
        assert_eq!(delimiter(b"a;b", Delimiter::Said(b',')), b',');
    }
}
