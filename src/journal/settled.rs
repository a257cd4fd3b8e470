//! What became of items, small: one row of `settled` per settled item, in the order of settlement.
//!
//! `id` grows with time, so that what is oldest is what comes first: no index over moments. Items that an older version
//! settled have ids below zero (`old.rs`). The body holds, for each decision, the event id and the number of its
//! `outlet` (channel, event type, outcome and queue, with how many events went there), then the routings
//! (`phrases.rs`).

use std::collections::HashMap;

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{
    DecisionRecord,
    keys::{Key, Shelf},
    ledger::Ledger,
    phrases::{self, cut, put, take},
};

/// Form of a body.
const FORM: u8 = 1;
/// Bytes a row takes beside its body, about: numbers, moment, its entry in the index, its keys.
pub(super) const ROW_BYTES: i64 = 60;
/// What a book that has no phrases is named.
const NO_BOOK: i64 = 0;

/// One decision, of this version or an older one.
pub(super) struct Fact<'a> {
    pub(super) event_id: Uuid,
    pub(super) event: &'a str,
    pub(super) outcome: &'a str,
    pub(super) channel: &'a str,
    pub(super) queue: &'a str,
    pub(super) routing: &'a [u8],
}

impl<'a> From<&'a DecisionRecord> for Fact<'a> {
    fn from(decision: &'a DecisionRecord) -> Self {
        Self {
            event_id: decision.event_id,
            event: decision.event,
            outcome: decision.outcome,
            channel: &decision.channel,
            queue: &decision.queue,
            routing: &decision.routing,
        }
    }
}

/// Where events went, and how many: the numbers of `outlet`, and what this transaction adds.
#[derive(Default)]
pub(super) struct Outlets {
    numbers: HashMap<String, i64>,
    added: HashMap<i64, i64>,
    name: String,
}

impl Outlets {
    /// The number of the outlet of a decision, which is made when there is none.
    pub(super) fn number(&mut self, connection: &Connection, fact: &Fact<'_>) -> rusqlite::Result<i64> {
        self.name.clear();
        for part in [fact.channel, fact.event, fact.outcome, fact.queue] {
            self.name.push_str(part);
            self.name.push('\u{1f}');
        }
        if let Some(number) = self.numbers.get(&self.name) {
            return Ok(*number);
        }
        let parts = params![fact.channel, fact.event, fact.outcome, fact.queue];
        connection
            .prepare_cached("INSERT INTO outlet (channel, event, outcome, queue, events) VALUES (?1, ?2, ?3, ?4, 0) ON CONFLICT DO NOTHING")?
            .execute(parts)?;
        let number = connection
            .prepare_cached("SELECT id FROM outlet WHERE channel = ?1 AND event = ?2 AND outcome = ?3 AND queue = ?4")?
            .query_row(parts, |row| row.get(0))?;
        self.numbers.insert(self.name.clone(), number);
        Ok(number)
    }

    /// Counts events of an outlet, or takes them off.
    pub(super) fn add(&mut self, number: i64, events: i64) {
        *self.added.entry(number).or_default() += events;
    }

    /// Writes the counts, inside the transaction. Outlets without events go.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut fewer = false;
        for (number, events) in self.added.drain().filter(|(_, events)| *events != 0) {
            connection
                .prepare_cached("UPDATE outlet SET events = events + ?2 WHERE id = ?1")?
                .execute([number, events])?;
            fewer |= events < 0;
        }
        if fewer
            && connection
                .prepare_cached("DELETE FROM outlet WHERE events <= 0")?
                .execute([])?
                > 0
        {
            self.numbers.clear();
        }
        Ok(())
    }

    pub(super) fn after_rollback(&mut self) {
        self.numbers.clear();
        self.added.clear();
    }
}

/// Stores what became of an item. `id` is given only to what an older version settled.
pub(super) fn insert(
    connection: &Connection,
    ledger: &mut Ledger,
    id: Option<i64>,
    seq: i64,
    at: i64,
    facts: &[Fact<'_>],
) -> rusqlite::Result<i64> {
    ledger.phrases.make_ready(connection, ledger.settled + 1)?;
    let mut body = Vec::with_capacity(256);
    body.push(FORM);
    put(&mut body, ledger.phrases.book() as u64);
    put(&mut body, facts.len() as u64);
    for fact in facts {
        let outlet = ledger.outlets.number(connection, fact)?;
        ledger.outlets.add(outlet, 1);
        body.extend_from_slice(fact.event_id.as_bytes());
        put(&mut body, outlet as u64);
    }
    for fact in facts {
        ledger.phrases.write(connection, fact.routing, &mut body)?;
    }
    let given = id.is_some();
    connection
        .prepare_cached("INSERT INTO settled (id, seq, at, body) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id, seq, at, body])?;
    let id = connection.last_insert_rowid();
    let shelf = if given {
        Shelf::OldSettled
    } else {
        ledger.settled = id;
        Shelf::Settled
    };
    let mut before = Uuid::nil();
    for fact in facts.iter().filter(|fact| !fact.event_id.is_nil()) {
        if fact.event_id != before {
            ledger.keys.note(shelf, event_key(&fact.event_id), id);
            before = fact.event_id;
        }
    }
    ledger.counts.settled += 1;
    ledger.counts.settled_bytes += ROW_BYTES + body.len() as i64;
    Ok(id)
}

/// Stores one decision from outside of the daemon's writer.
pub(super) fn insert_outside(connection: &Connection, seq: i64, at: i64, fact: &Fact<'_>) -> rusqlite::Result<()> {
    let mut outlets = Outlets::default();
    let outlet = outlets.number(connection, fact)?;
    outlets.add(outlet, 1);
    outlets.write(connection)?;
    let mut body = vec![FORM];
    put(&mut body, NO_BOOK as u64);
    put(&mut body, 1);
    body.extend_from_slice(fact.event_id.as_bytes());
    put(&mut body, outlet as u64);
    put(&mut body, 1);
    put(&mut body, (fact.routing.len() as u64) << 1);
    body.extend_from_slice(fact.routing);
    connection.execute(
        "INSERT INTO settled (seq, at, body) VALUES (?1, ?2, ?3)",
        params![seq, at, body],
    )?;
    connection.execute(
        "UPDATE tally SET settled = settled + 1, settled_bytes = settled_bytes + ?1",
        [ROW_BYTES + body.len() as i64],
    )?;
    Ok(())
}

/// Takes what is known of an item off, from outside of the daemon's writer.
pub(super) fn remove_outside(connection: &Connection, seq: i64) -> rusqlite::Result<()> {
    let bodies: Vec<Vec<u8>> = connection
        .prepare_cached("SELECT body FROM settled WHERE seq = ?1")?
        .query_map([seq], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut outlets = Outlets::default();
    for body in &bodies {
        heads(body).for_each(|(_, outlet)| outlets.add(outlet, -1));
        connection.execute(
            "UPDATE tally SET settled = settled - 1, settled_bytes = settled_bytes - ?1",
            [ROW_BYTES + body.len() as i64],
        )?;
    }
    outlets.write(connection)?;
    connection.execute("DELETE FROM settled WHERE seq = ?1", [seq])?;
    connection.execute("DELETE FROM decision WHERE seq = ?1", [seq])?;
    Ok(())
}

/// The key by which an event is found: event ids are hashes.
pub(super) fn event_key(event_id: &Uuid) -> Key {
    event_id.as_bytes()[..6].try_into().expect("a UUID has 16 bytes")
}

/// Event id and outlet of each decision of a body.
pub(super) fn heads(body: &[u8]) -> impl Iterator<Item = (Uuid, i64)> {
    let (_, heads, _) = open(body).unwrap_or_default();
    heads.into_iter()
}

type Opened<'a> = (i64, Vec<(Uuid, i64)>, &'a [u8]);

/// Book, heads, and what follows them.
fn open(mut body: &[u8]) -> Option<Opened<'_>> {
    if cut(&mut body, 1)? != [FORM] {
        return None;
    }
    let book = i64::try_from(take(&mut body)?).ok()?;
    let count = take(&mut body)?;
    let mut heads = Vec::new();
    for _ in 0..count {
        let event_id = Uuid::from_slice(cut(&mut body, 16)?).ok()?;
        heads.push((event_id, i64::try_from(take(&mut body)?).ok()?));
    }
    Some((book, heads, body))
}

/// A decision as it is stored.
pub(super) struct Stored {
    pub(super) event_id: Uuid,
    pub(super) event: String,
    pub(super) outcome: String,
    pub(super) channel: String,
    pub(super) queue: String,
    pub(super) routing: Vec<u8>,
}

/// Reads the decisions of a body; `None` when it is damaged.
pub(super) fn read(connection: &Connection, body: &[u8]) -> rusqlite::Result<Option<Vec<Stored>>> {
    let Some((book, heads, mut rest)) = open(body) else {
        return Ok(None);
    };
    let mut outlet = connection.prepare_cached("SELECT event, outcome, channel, queue FROM outlet WHERE id = ?1")?;
    let mut all = Vec::with_capacity(heads.len());
    for (event_id, number) in heads {
        let Some(routing) = phrases::read(connection, book, &mut rest)? else {
            return Ok(None);
        };
        all.push(outlet.query_row([number], |row| {
            Ok(Stored {
                event_id,
                event: row.get(0)?,
                outcome: row.get(1)?,
                channel: row.get(2)?,
                queue: row.get(3)?,
                routing,
            })
        })?);
    }
    Ok(Some(all))
}
