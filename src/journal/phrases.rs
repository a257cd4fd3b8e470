//! Explanations, small: what decisions say again and again is stored once.
//!
//! A decision's routing is JSON of about a kilobyte whose sentences come from rules: in a day of a city a few hundred
//! different ones. They are cut where one text ends and the next begins; a piece that came before is a number, its
//! digits (a date, a house) beside it. What comes for the first time is written out: it may be the only time.
//!
//! Phrases are kept in books. A full book is closed and a new one begun; when the last decision made with a book is
//! gone, its phrases go (`forget`). Cutting, looking up and writing cost a microsecond or two.

use std::{
    collections::{HashMap, HashSet},
    hash::BuildHasher,
};

use foldhash::fast::RandomState;
use rusqlite::{Connection, OptionalExtension, params};

/// Phrases in a book, at most.
const MAX_PHRASES: usize = 8_192;
/// Bytes of their texts, at most.
const MAX_BYTES: usize = 2 << 20;
/// Pieces seen once that are remembered.
const MAX_ONCE: usize = 16_384;
/// A piece outside of these lengths is no phrase.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=4_096;
/// Stands in a phrase for digits. JSON has no such byte.
const DIGITS: u8 = 1;
/// Ends the part of a routing that is one piece.
const SENTENCES: &str = "\"explanation\":[";
/// Where one text ends and the next begins.
const CUT: &str = "\",\"";
/// Phrases removed at once.
const SLICE: i64 = 1_000;

/// The writer's side: the book that is open.
pub(super) struct Phrases {
    /// Id of its first phrase; names the book.
    book: i64,
    known: HashMap<Box<[u8]>, u32, RandomState>,
    bytes: usize,
    once: HashSet<u64, RandomState>,
    /// Phrases of this transaction.
    fresh: Vec<Box<[u8]>>,
    /// The book was opened in this transaction.
    opened: bool,
    pattern: Vec<u8>,
    digits: Vec<u8>,
}

impl Phrases {
    /// Opens the newest book of a journal.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let book: Option<i64> = connection
            .query_row(
                "SELECT first FROM book WHERE first >= 0 ORDER BY first DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .optional()?;
        let mut phrases = Self {
            book: book.unwrap_or(0),
            known: HashMap::default(),
            bytes: 0,
            once: HashSet::default(),
            fresh: Vec::new(),
            opened: false,
            pattern: Vec::new(),
            digits: Vec::new(),
        };
        if book.is_none() {
            return Ok(phrases);
        }
        let mut select = connection.prepare("SELECT id, text FROM phrase WHERE id >= ?1 ORDER BY id")?;
        let mut rows = select.query([phrases.book])?;
        while let Some(row) = rows.next()? {
            let number = u32::try_from(row.get::<_, i64>(0)? - phrases.book).unwrap_or(u32::MAX);
            let text: Vec<u8> = row.get(1)?;
            phrases.bytes += text.len();
            phrases.known.insert(text.into(), number);
        }
        Ok(phrases)
    }

    /// The book that [`Phrases::write`] refers to.
    pub(super) fn book(&self) -> i64 {
        self.book
    }

    /// Takes back what this transaction added.
    pub(super) fn after_rollback(&mut self) {
        for text in self.fresh.drain(..) {
            self.bytes -= text.len();
            self.known.remove(&text);
        }
        self.opened = false;
    }

    /// The transaction holds.
    pub(super) fn after_commit(&mut self) {
        self.fresh.clear();
        self.opened = false;
    }

    /// Sees that the open book has room; `settled` is the number that the next decision gets. Before the first
    /// [`Phrases::write`] of a decision.
    pub(super) fn make_ready(&mut self, connection: &Connection, settled: i64) -> rusqlite::Result<()> {
        let is_full = self.known.len() >= MAX_PHRASES || self.bytes >= MAX_BYTES;
        // A rollback could not bring a closed book back: it waits for a transaction that added nothing.
        if self.known.is_empty() && self.fresh.is_empty() && !self.opened {
            connection
                .prepare_cached("INSERT OR IGNORE INTO book VALUES (?1, ?2)")?
                .execute([self.book, settled])?;
            self.opened = true;
        } else if is_full && self.fresh.is_empty() {
            self.book += self.known.len() as i64;
            self.known.clear();
            self.once.clear();
            self.bytes = 0;
            connection
                .prepare_cached("INSERT OR IGNORE INTO book VALUES (?1, ?2)")?
                .execute([self.book, settled])?;
            self.opened = true;
        }
        Ok(())
    }

    /// Appends a routing to `out`.
    pub(super) fn write(&mut self, connection: &Connection, routing: &[u8], out: &mut Vec<u8>) -> rusqlite::Result<()> {
        let Ok(text) = std::str::from_utf8(routing) else {
            put(out, 1);
            plain(routing, out);
            return Ok(());
        };
        let (head, sentences) = match text.find(SENTENCES) {
            Some(at) => text.split_at(at + SENTENCES.len()),
            None => (text, ""),
        };
        put(out, 1 + sentences.split_inclusive(CUT).count() as u64);
        self.piece(connection, head.as_bytes(), false, out)?;
        for sentence in sentences.split_inclusive(CUT) {
            self.piece(connection, sentence.as_bytes(), true, out)?;
        }
        Ok(())
    }

    fn piece(
        &mut self,
        connection: &Connection,
        piece: &[u8],
        with_digits: bool,
        out: &mut Vec<u8>,
    ) -> rusqlite::Result<()> {
        if !LENGTHS.contains(&piece.len()) || !self.cut_digits(piece, with_digits) {
            plain(piece, out);
            return Ok(());
        }
        let number = match self.known.get(self.pattern.as_slice()) {
            Some(number) => *number,
            None => {
                let hash = self.once.hasher().hash_one(&self.pattern);
                let is_second = self.once.remove(&hash);
                if !is_second || self.known.len() >= 2 * MAX_PHRASES {
                    if self.once.len() >= MAX_ONCE {
                        self.once.clear();
                    }
                    self.once.insert(hash);
                    plain(piece, out);
                    return Ok(());
                }
                self.learn(connection)?
            }
        };
        put(out, u64::from(number) << 1 | 1);
        out.extend_from_slice(&self.digits);
        Ok(())
    }

    fn learn(&mut self, connection: &Connection) -> rusqlite::Result<u32> {
        let number = u32::try_from(self.known.len()).expect("a book has few phrases");
        connection
            .prepare_cached("INSERT OR REPLACE INTO phrase VALUES (?1, ?2)")?
            .execute(params![self.book + i64::from(number), self.pattern])?;
        self.bytes += self.pattern.len();
        self.known.insert(self.pattern.as_slice().into(), number);
        self.fresh.push(self.pattern.as_slice().into());
        Ok(number)
    }

    /// Parts a piece into pattern and digits. `false` when it is no phrase.
    fn cut_digits(&mut self, piece: &[u8], with_digits: bool) -> bool {
        self.pattern.clear();
        self.digits.clear();
        if !with_digits {
            self.pattern.extend_from_slice(piece);
            return !piece.contains(&DIGITS);
        }
        let mut rest = piece;
        while !rest.is_empty() {
            let text = rest.iter().position(u8::is_ascii_digit).unwrap_or(rest.len());
            let (before, after) = rest.split_at(text);
            if before.contains(&DIGITS) {
                return false;
            }
            self.pattern.extend_from_slice(before);
            let digits = after
                .iter()
                .position(|byte| !byte.is_ascii_digit())
                .unwrap_or(after.len());
            if digits > 0 {
                let Ok(length) = u8::try_from(digits) else { return false };
                self.pattern.push(DIGITS);
                self.digits.push(length);
                self.digits.extend_from_slice(&after[..digits]);
            }
            rest = &after[digits..];
        }
        true
    }
}

fn plain(piece: &[u8], out: &mut Vec<u8>) {
    put(out, (piece.len() as u64) << 1);
    out.extend_from_slice(piece);
}

/// Reads a routing from the front of `bytes`. `None` when it can't be what [`Phrases::write`] wrote.
pub(super) fn read(connection: &Connection, book: i64, bytes: &mut &[u8]) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut select = connection.prepare_cached("SELECT text FROM phrase WHERE id = ?1")?;
    let mut routing = Vec::with_capacity(1024);
    let Some(pieces) = take(bytes) else { return Ok(None) };
    for _ in 0..pieces {
        let Some(token) = take(bytes) else { return Ok(None) };
        if token & 1 == 0 {
            let Some(text) = usize::try_from(token >> 1).ok().and_then(|length| cut(bytes, length)) else {
                return Ok(None);
            };
            routing.extend_from_slice(text);
            continue;
        }
        let id = book + i64::try_from(token >> 1).unwrap_or(i64::MAX - book);
        let text: Option<Vec<u8>> = select.query_row([id], |row| row.get(0)).optional()?;
        let Some(text) = text else { return Ok(None) };
        for byte in text {
            if byte != DIGITS {
                routing.push(byte);
                continue;
            }
            let digits = cut(bytes, 1).and_then(|length| cut(bytes, usize::from(length[0])));
            let Some(digits) = digits else { return Ok(None) };
            routing.extend_from_slice(digits);
        }
    }
    Ok(Some(routing))
}

/// Removes a slice of the phrases that only decisions before `oldest` used; says whether it removed any.
pub(super) fn forget(connection: &Connection, oldest: i64) -> rusqlite::Result<bool> {
    let books: Vec<(i64, i64)> = connection
        .prepare_cached("SELECT first, settled FROM book WHERE first >= 0 ORDER BY first LIMIT 2")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let &[(first, _), (next, settled)] = books.as_slice() else {
        return Ok(false);
    };
    if settled > oldest {
        return Ok(false);
    }
    let removed = connection
        .prepare_cached(
            "DELETE FROM phrase WHERE id IN (SELECT id FROM phrase WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3)",
        )?
        .execute([first, next, SLICE])?;
    if (removed as i64) < SLICE {
        connection
            .prepare_cached("DELETE FROM book WHERE first = ?1")?
            .execute([first])?;
    }
    Ok(removed > 0)
}

/// Appends a number, seven bits a byte.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the front.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = cut(bytes, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Takes so many bytes off the front.
pub(super) fn cut<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::schema, *};

    fn journal() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::prepare(&mut connection).unwrap();
        connection
    }

    fn written(phrases: &mut Phrases, connection: &Connection, routing: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        phrases.make_ready(connection, 1).unwrap();
        phrases.write(connection, routing, &mut out).unwrap();
        out
    }

    fn routing(day: u32, house: u32) -> String {
        format!(
            "{{\"sector\":\"roads\",\"queue\":\"mcu.roads\",\"rules_version\":\"4995{{}}97287c\",\"explanation\":\
             [\"Правило «Ямы» (pits): в тексте есть «яма» → отрасль «Дороги».\",\"Территория: улица Ленина, {house}.\",\
             \"Срок «ответ»: до {day:02}.06.2026 20:39 по правилу «Ответ» (answer-24).\"]}}"
        )
    }

    #[test]
    fn a_sentence_that_came_before_is_a_number_and_its_digits() {
        let connection = journal();
        let mut phrases = Phrases::load(&connection).unwrap();
        let first = written(&mut phrases, &connection, routing(1, 5).as_bytes());
        let second = written(&mut phrases, &connection, routing(2, 7).as_bytes());
        let third = written(&mut phrases, &connection, routing(31, 1234).as_bytes());
        assert!(first.len() > 300, "{}", first.len());
        assert!(third.len() < 40, "{}", third.len());
        for (bytes, text) in [
            (first, routing(1, 5)),
            (second, routing(2, 7)),
            (third.clone(), routing(31, 1234)),
        ] {
            let back = read(&connection, phrases.book(), &mut &bytes[..]).unwrap().unwrap();
            assert_eq!(String::from_utf8(back).unwrap(), text);
        }
        let mut again = Phrases::load(&connection).unwrap();
        assert_eq!(
            written(&mut again, &connection, routing(31, 1234).as_bytes()),
            third,
            "after a restart"
        );
    }

    #[test]
    fn what_a_rollback_took_back_is_written_out_again() {
        let connection = journal();
        let mut phrases = Phrases::load(&connection).unwrap();
        connection.execute_batch("BEGIN").unwrap();
        written(&mut phrases, &connection, routing(1, 5).as_bytes());
        written(&mut phrases, &connection, routing(1, 5).as_bytes());
        connection.execute_batch("ROLLBACK").unwrap();
        phrases.after_rollback();
        for _ in 0..3 {
            let bytes = written(&mut phrases, &connection, routing(1, 5).as_bytes());
            let back = read(&connection, phrases.book(), &mut &bytes[..]).unwrap();
            assert_eq!(back.unwrap(), routing(1, 5).as_bytes());
        }
    }

    #[test]
    fn a_full_book_is_closed_and_goes_with_its_last_decision() {
        let connection = journal();
        let mut phrases = Phrases::load(&connection).unwrap();
        for number in 0..=MAX_PHRASES {
            let text = format!(
                "{{\"explanation\":[\"{}\"]}}",
                "слово ".repeat(1 + number % 300).replace('о', &name(number))
            );
            for _ in 0..2 {
                phrases.make_ready(&connection, 10).unwrap();
                phrases.write(&connection, text.as_bytes(), &mut Vec::new()).unwrap();
            }
            phrases.after_commit();
        }
        assert!(phrases.book() > 0, "a second book");
        let count = || -> i64 {
            let all = "SELECT count(*) FROM phrase WHERE id < ?1";
            connection.query_row(all, [phrases.book()], |row| row.get(0)).unwrap()
        };
        assert!(!forget(&connection, 9).unwrap(), "a decision uses it still");
        while forget(&connection, 10).unwrap() {}
        assert_eq!(count(), 0);
        assert!(!forget(&connection, i64::MAX).unwrap(), "the open book stays");
    }

    fn name(number: usize) -> String {
        number
            .to_string()
            .bytes()
            .map(|digit| char::from(b'a' + digit - b'0'))
            .collect()
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back(texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..6),
                                            head in "[ -~]{0,40}", sentences in prop::collection::vec("[а-я0-9\",\\\\\u{1}]{0,40}", 0..5)) {
            let connection = journal();
            let mut phrases = Phrases::load(&connection).unwrap();
            let sentences = format!("{head}\"explanation\":[\"{}\"]}}", sentences.join("\",\""));
            for _ in 0..3 {
                for text in texts.iter().map(Vec::as_slice).chain([sentences.as_bytes()]) {
                    let bytes = written(&mut phrases, &connection, text);
                    let mut rest = &bytes[..];
                    prop_assert_eq!(read(&connection, phrases.book(), &mut rest).unwrap().unwrap(), text);
                    prop_assert!(rest.is_empty());
                }
            }
        }
    }
}
