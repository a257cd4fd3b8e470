//! A row cell by cell, within the limits of a row, and what values of workbooks are as texts.

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::{
    dates,
    fault::RowFault,
    limits::{LONGEST_ROW, MOST_CHARACTERS, MOST_COLUMNS, is_too_long},
    row::{Note, Noted, RawRow},
};

/// Bytes kept of a row that is held.
const KEPT_OF_ROW: usize = 64 * 1024;
/// Days between the two epochs of spreadsheets.
const DAYS_1904: f64 = 1462.0;

/// What a cell holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Value {
    pub text: String,
    pub note: Option<Noted>,
}

/// A cell, or why its row is held.
pub(crate) type Read = Result<Value, RowFault>;

/// How a number in a cell is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberKind {
    /// A number.
    Plain,
    /// A day, a time of day or both.
    DateTime,
    /// A length of time (`[h]:mm`).
    Duration,
}

/// A row that is being read.
pub(crate) struct RowBuilder {
    row: RawRow,
    bytes: usize,
    held: Option<Held>,
}

impl RowBuilder {
    pub(crate) fn new(number: u64) -> Self {
        Self {
            row: RawRow::good(number, Vec::new()),
            bytes: 0,
            held: None,
        }
    }

    /// Whether the row is held already: of a shared text its number will do.
    pub(crate) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Takes the value of a cell; one without text is none.
    pub(crate) fn put(&mut self, column: usize, value: Read) {
        let composed = |Value { text, note }| Value {
            text: composed(text),
            note,
        };
        let value = match value.map(composed) {
            Ok(Value { text, note }) if text.is_empty() => {
                let is_told = note == Some(Noted::NoResult) && !self.is_held() && column < MOST_COLUMNS;
                self.row
                    .notes
                    .extend(note.filter(|_| is_told).map(|what| Note { column, what }));
                return;
            }
            Ok(Value { text, .. }) if self.is_held() || is_too_long(&text) => {
                Err((RowFault::CellTooLong { limit: MOST_CHARACTERS }, text))
            }
            Ok(Value { text, .. }) if column >= MOST_COLUMNS => Err((RowFault::TooWide { limit: MOST_COLUMNS }, text)),
            Ok(Value { text, .. }) if self.bytes + text.len() > LONGEST_ROW => {
                Err((RowFault::TooLong { limit: LONGEST_ROW }, text))
            }
            Ok(value) => Ok(value),
            Err(fault) => Err((fault, String::new())),
        };
        match value {
            Ok(value) => {
                self.bytes += value.text.len();
                let cells = &mut self.row.cells;
                if cells.len() <= column {
                    cells.resize(column + 1, String::new());
                }
                cells[column] = value.text;
                self.row.notes.extend(value.note.map(|what| Note { column, what }));
            }
            Err((fault, text)) => {
                let cells = &mut self.row.cells;
                let held = self.held.get_or_insert_with(|| Held::new(fault, cells.drain(..)));
                held.add(&text);
            }
        }
    }

    pub(crate) fn finish(self) -> RawRow {
        match self.held {
            None => self.row,
            Some(held) => held.finish(self.row.number),
        }
    }
}

/// What is kept of a row that is held: why, its beginning, and a hash of all of it, so that two rows are not taken for one.
struct Held {
    fault: RowFault,
    kept: Vec<u8>,
    bytes: usize,
    hasher: blake3::Hasher,
}

impl Held {
    fn new(fault: RowFault, before: impl Iterator<Item = String>) -> Self {
        let mut held = Self {
            fault,
            kept: Vec::new(),
            bytes: 0,
            hasher: blake3::Hasher::new(),
        };
        before.for_each(|cell| held.add(&cell));
        held
    }

    fn add(&mut self, cell: &str) {
        self.bytes += cell.len();
        self.hasher.update(cell.as_bytes());
        self.hasher.update(b"\x1f");
        let room = KEPT_OF_ROW.saturating_sub(self.kept.len());
        if room > 0 && !cell.is_empty() {
            self.kept.extend_from_slice(&cell.as_bytes()[..cell.len().min(room)]);
            self.kept.push(b';');
        }
    }

    fn finish(mut self, row: u64) -> RawRow {
        let (bytes, hash) = (self.bytes, self.hasher.finalize().to_hex());
        self.kept
            .extend_from_slice(format!("… ({bytes} bytes, blake3 {})", &hash[..32]).as_bytes());
        RawRow::broken(row, self.fault, &self.kept)
    }
}

/// A text with letters in one piece: some programs write `й` and `ё` as a letter and a mark above it (Unicode NFC).
pub(crate) fn composed(text: String) -> String {
    // The bytes with which the marks of U+0300 and what follows begin.
    match memchr::memchr2(0xCC, 0xCD, text.as_bytes()) {
        Some(_) => ComposingNormalizerBorrowed::new_nfc().normalize(&text).into_owned(),
        None => text,
    }
}

/// A boolean as the words people write there.
pub(crate) fn boolean(value: bool) -> String {
    if value { "да".into() } else { "нет".into() }
}

/// A number as its format shows it, and whether that is a date. `written` is how the file writes it.
pub(crate) fn number(number: f64, kind: NumberKind, from_1904: bool, written: Option<String>) -> (String, bool) {
    // A time of day has no epoch.
    let is_time = (0.0..1.0).contains(&number);
    let shown = match kind {
        NumberKind::DateTime => date_text(if from_1904 && !is_time {
            number + DAYS_1904
        } else {
            number
        }),
        NumberKind::Duration => duration_text(number),
        NumberKind::Plain => None,
    };
    match shown {
        Some(shown) => (shown, true),
        None => (plain_number(written, number), false),
    }
}

/// Whole numbers without a fraction, others as short as they can be. Digits that are written out stay as they are: a
/// number of seventeen digits is no number that can be reckoned with.
fn plain_number(written: Option<String>, number: f64) -> String {
    let is_written_out = |text: &String| text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    written.filter(is_written_out).unwrap_or_else(|| format!("{number}"))
}

/// A day when there is no time of day, ISO with seconds otherwise.
fn date_text(serial: f64) -> Option<String> {
    if (0.0..1.0).contains(&serial) {
        return duration_text(serial);
    }
    let at = dates::serial_datetime(serial)?;
    Some(if serial.fract() == 0.0 {
        at.date().to_string()
    } else {
        at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
    })
}

/// `27:05:00`
fn duration_text(days: f64) -> Option<String> {
    if !(0.0..100_000.0).contains(&days) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked above")]
    let seconds = (days * 86_400.0).round() as i64;
    Some(format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    ))
}

/// An error of a formula by its number, as spreadsheets show it.
pub(crate) fn error_name(code: u8) -> &'static str {
    match code {
        0x00 => "#NULL!",
        0x07 => "#DIV/0!",
        0x0F => "#VALUE!",
        0x17 => "#REF!",
        0x1D => "#NAME?",
        0x24 => "#NUM!",
        _ => "#N/A",
    }
}
