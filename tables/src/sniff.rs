//! What the beginning of a text file says about the rest: its encoding, and what stands between its cells.

use encoding_rs::{UTF_8, WINDOWS_1251};

use crate::fault::Fault;

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

/// What the start of a CSV file says about the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// How its bytes are to be read.
    pub encoding: Encoding,
    /// Bytes of the byte order mark.
    pub mark: u64,
    /// What stands between cells.
    pub delimiter: u8,
}

/// Finds encoding and delimiter from the first bytes of a file; `whole` says that these are all of it.
///
/// # Errors
/// For UTF-16 and for bytes that are no text.
pub fn dialect(start: &[u8], whole: bool, encoding: Option<Encoding>, delimiter: Option<u8>) -> Result<Dialect, Fault> {
    if start.starts_with(&[0xFF, 0xFE]) || start.starts_with(&[0xFE, 0xFF]) {
        return Err(Fault::Encoding("UTF-16"));
    }
    if start.contains(&0) {
        return Err(Fault::Encoding("binary data"));
    }
    let mark: usize = if start.starts_with(&[0xEF, 0xBB, 0xBF]) { 3 } else { 0 };
    let text = &start[mark..];
    let encoding = encoding.unwrap_or_else(|| {
        if mark > 0 || mostly_utf8(text, whole) {
            Encoding::Utf8
        } else {
            Encoding::Windows1251
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
