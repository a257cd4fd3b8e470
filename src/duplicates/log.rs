//! What is remembered of messages, on disk, in the order in which they came.
//!
//! Two tables of one shape: `twin` (messages with their keys, until their window ends) and `link` (what was decided about
//! those that repeat another). A row holds what one commit brought, packed; so a message costs a part of a row at the end
//! of a table, and no page in its middle.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::link::{Link, Reason};

/// Entries of a row, at most: one that is looked for is found in a page or two.
const TOGETHER: usize = 64;
/// Rows forgotten at once, at most.
const SLICE: i64 = 64;

/// A table of packed entries.
pub(super) struct Log {
    pub(super) append: &'static str,
    pub(super) find: &'static str,
    pub(super) all: &'static str,
    pub(super) first: &'static str,
    pub(super) last: &'static str,
    pub(super) forget: &'static str,
}

macro_rules! log {
    ($table:literal) => {
        Log {
            append: concat!("INSERT INTO ", $table, " VALUES (?1, ?2, ?3)"),
            find: concat!(
                "SELECT first, entries FROM ",
                $table,
                " WHERE first <= ?1 ORDER BY first DESC LIMIT 1"
            ),
            all: concat!(
                "SELECT first, entries FROM ",
                $table,
                " WHERE first > ?1 ORDER BY first"
            ),
            first: concat!("SELECT min(first) FROM ", $table, " WHERE first > 0"),
            last: concat!(
                "SELECT first, entries FROM ",
                $table,
                " WHERE first > 0 ORDER BY first DESC LIMIT 1"
            ),
            forget: concat!(
                "DELETE FROM ",
                $table,
                " WHERE first IN (SELECT first FROM ",
                $table,
                " WHERE until < ?1 ORDER BY until LIMIT ?2)"
            ),
        }
    };
}

/// Messages with their keys.
pub(super) static TWINS: Log = log!("twin");
/// What was decided about messages that repeat another.
pub(super) static LINKS: Log = log!("link");

/// A packed entry under its number.
pub(super) struct Packed {
    pub(super) number: i64,
    /// Until when it is kept, microseconds since 1970.
    pub(super) until: i64,
    pub(super) bytes: Vec<u8>,
}

impl Log {
    /// Stores entries, whose numbers grow and are higher than all before.
    pub(super) fn append(&self, connection: &Connection, entries: &[Packed]) -> rusqlite::Result<()> {
        let mut rest = entries;
        while let Some(head) = rest.first() {
            let fits = |entry: &&Packed| entry.number - head.number <= i64::from(u16::MAX);
            let count = rest.iter().take(TOGETHER).take_while(fits).count();
            let (row, others) = rest.split_at(count);
            let mut packed = Vec::with_capacity(row.iter().map(|entry| entry.bytes.len() + 4).sum());
            for entry in row {
                packed.extend_from_slice(&((entry.number - head.number) as u16).to_le_bytes());
                packed.extend_from_slice(&(entry.bytes.len() as u16).to_le_bytes());
                packed.extend_from_slice(&entry.bytes);
            }
            let until = row.iter().map(|entry| entry.until).max().unwrap_or(0);
            connection
                .prepare_cached(self.append)?
                .execute(params![head.number, until, packed])?;
            rest = others;
        }
        Ok(())
    }

    /// The entry with a number, while it is kept.
    pub(super) fn find(&self, connection: &Connection, number: i64) -> rusqlite::Result<Option<Vec<u8>>> {
        let row: Option<(i64, Vec<u8>)> = connection
            .prepare_cached(self.find)?
            .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(row.and_then(|(first, packed)| {
            let mut entries = Entries { first, packed: &packed };
            entries
                .find(|(found, _)| *found == number)
                .map(|(_, bytes)| bytes.to_vec())
        }))
    }

    /// Calls `each` with every entry, in order.
    pub(super) fn each(&self, connection: &Connection, mut each: impl FnMut(i64, &[u8])) -> rusqlite::Result<()> {
        let mut select = connection.prepare_cached(self.all)?;
        let mut rows = select.query([0])?;
        while let Some(row) = rows.next()? {
            let first = row.get(0)?;
            let packed = row.get_ref(1)?.as_blob().unwrap_or_default();
            for (number, bytes) in (Entries { first, packed }) {
                each(number, bytes);
            }
        }
        Ok(())
    }

    /// Lowest number that is kept.
    pub(super) fn first(&self, connection: &Connection) -> rusqlite::Result<Option<i64>> {
        connection.prepare_cached(self.first)?.query_row([], |row| row.get(0))
    }

    /// Highest number that is kept.
    pub(super) fn last(&self, connection: &Connection) -> rusqlite::Result<Option<i64>> {
        let row: Option<(i64, Vec<u8>)> = connection
            .prepare_cached(self.last)?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(row.map(|(first, packed)| {
            let entries = Entries { first, packed: &packed };
            entries.last().map_or(first, |(number, _)| number)
        }))
    }

    /// Forgets some rows whose time is over; gives how many.
    pub(super) fn forget(&self, connection: &Connection, now: i64) -> rusqlite::Result<usize> {
        connection.prepare_cached(self.forget)?.execute([now, SLICE])
    }
}

/// Entries of a row. What is damaged ends them.
struct Entries<'a> {
    first: i64,
    packed: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = (i64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.first + i64::from(u16::from_le_bytes(take(&mut self.packed)?));
        let length = usize::from(u16::from_le_bytes(take(&mut self.packed)?));
        let (bytes, rest) = self.packed.split_at_checked(length)?;
        self.packed = rest;
        Some((number, bytes))
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

/// A message that others may repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Twin {
    /// Hash of its object; 0 for one that repeats another itself: that is told by its link.
    pub(super) object: u64,
    /// Event id.
    pub(super) event: Uuid,
    /// What it belongs to: itself, or that which it repeats.
    pub(super) cluster: Uuid,
    /// Its keys are nobody's after this, microseconds since 1970.
    pub(super) until: i64,
    pub(super) channel: String,
    /// Hashes that were nobody's before.
    pub(super) keys: Vec<u64>,
}

impl Twin {
    pub(super) fn pack(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.channel.len() + 8 * self.keys.len());
        out.extend_from_slice(&self.object.to_le_bytes());
        out.extend_from_slice(&self.until.to_le_bytes());
        out.extend_from_slice(self.event.as_bytes());
        let leads = self.cluster == self.event;
        out.push(u8::from(!leads));
        if !leads {
            out.extend_from_slice(self.cluster.as_bytes());
        }
        put(&mut out, &self.channel);
        for key in &self.keys {
            out.extend_from_slice(&key.to_le_bytes());
        }
        out
    }

    pub(super) fn unpack(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let object = u64::from_le_bytes(take(from)?);
        let until = i64::from_le_bytes(take(from)?);
        let event = Uuid::from_bytes(take(from)?);
        let [follows] = take(from)?;
        let cluster = if follows == 0 {
            event
        } else {
            Uuid::from_bytes(take(from)?)
        };
        let channel = text(from)?;
        let mut keys = Vec::with_capacity(bytes.len() / 8);
        while let Some(key) = take(&mut bytes) {
            keys.push(u64::from_le_bytes(key));
        }
        Some(Self {
            object,
            event,
            cluster,
            until,
            channel,
            keys,
        })
    }
}

/// What was decided about an object that repeats another.
pub(super) fn pack_link(object: u64, link: &Link) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    out.extend_from_slice(&object.to_le_bytes());
    out.extend_from_slice(link.cluster.as_bytes());
    out.extend_from_slice(link.of.as_bytes());
    out.push(link.reason.number());
    for channel in &link.channels {
        put(&mut out, channel);
    }
    out
}

/// The object and what was decided.
pub(super) fn unpack_link(mut bytes: &[u8]) -> Option<(u64, Link)> {
    let from = &mut bytes;
    let object = u64::from_le_bytes(take(from)?);
    let cluster = Uuid::from_bytes(take(from)?);
    let of = Uuid::from_bytes(take(from)?);
    let [reason] = take(from)?;
    let reason = Reason::numbered(reason)?;
    let mut channels = Vec::new();
    while let Some(channel) = text(from) {
        channels.push(channel);
    }
    let link = Link {
        cluster,
        of,
        reason,
        channels,
    };
    Some((object, link))
}

/// Names of channels are short; a longer one is cut, so that the length fits.
fn put(out: &mut Vec<u8>, text: &str) {
    let most = (0..=usize::from(u8::MAX)).rev().find(|end| text.is_char_boundary(*end));
    let text = &text[..most.unwrap_or(0)];
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

fn text(bytes: &mut &[u8]) -> Option<String> {
    let [length] = take(bytes)?;
    let (text, rest) = bytes.split_at_checked(length.into())?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::journal::testing::Tables;

    fn packed(number: i64, length: usize) -> Packed {
        Packed {
            number,
            until: number,
            bytes: vec![number as u8; length],
        }
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out(
            object: u64, until: i64, event: u128, cluster: u128, channel in "[a-z]{0,12}",
            keys in proptest::collection::vec(any::<u64>(), 0..6), reason in 0_usize..5,
        ) {
            let (event, cluster) = (Uuid::from_u128(event), Uuid::from_u128(cluster));
            for cluster in [event, cluster] {
                let twin = Twin { object, event, cluster, until, channel: channel.clone(), keys: keys.clone() };
                prop_assert_eq!(Twin::unpack(&twin.pack()), Some(twin));
            }
            let link = Link {
                cluster, of: event, reason: Reason::ALL[reason], channels: vec![channel.clone(), "vk".into()],
            };
            prop_assert_eq!(unpack_link(&pack_link(object, &link)), Some((object, link)));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Twin::unpack(&bytes), unpack_link(&bytes));
            let _ = Entries { first: 1, packed: &bytes }.count();
        }

        #[test]
        fn every_entry_is_found(gaps in proptest::collection::vec(1_i64..40_000, 1..200)) {
            let tables = Tables::new();
            let mut number = 0;
            let entries: Vec<Packed> = gaps.iter().map(|gap| { number += gap; packed(number, 7) }).collect();
            TWINS.append(&tables.connection, &entries).unwrap();
            for entry in &entries {
                let found = TWINS.find(&tables.connection, entry.number).unwrap();
                prop_assert_eq!(found.as_ref(), Some(&entry.bytes));
            }
            prop_assert_eq!(TWINS.find(&tables.connection, number + 1).unwrap(), None);
            prop_assert_eq!(TWINS.last(&tables.connection).unwrap(), Some(number));
            let mut seen = Vec::new();
            TWINS.each(&tables.connection, |number, _| seen.push(number)).unwrap();
            prop_assert!(seen.iter().eq(entries.iter().map(|entry| &entry.number)));
        }
    }

    #[test]
    fn rows_go_after_their_time() {
        let tables = Tables::new();
        for number in 1..=100 {
            LINKS.append(&tables.connection, &[packed(number, 3)]).unwrap();
        }
        LINKS.forget(&tables.connection, 51).unwrap();
        assert_eq!(LINKS.first(&tables.connection).unwrap(), Some(51));
        LINKS.forget(&tables.connection, 51).unwrap();
        assert_eq!(LINKS.first(&tables.connection).unwrap(), Some(51));
        LINKS.forget(&tables.connection, 500).unwrap();
        assert_eq!(LINKS.first(&tables.connection).unwrap(), None);
    }
}
