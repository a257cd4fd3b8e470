//! «Почему сюда?»: what was decided, found by event, by message at its source, or by number. Part of [`Store`].

use rusqlite::{Connection, params};
use serde::Serialize;

use super::{
    JournalError, dedupe,
    keys::{self, Shelf},
    old, settled,
    store::{Store, time},
};
use crate::personal::mask;

/// Held items looked through for one by its source's id, when no key leads to it.
const LOOKED_THROUGH: i64 = 2_000;

/// What became of one event.
#[derive(Debug, Clone, Serialize)]
pub struct Decided {
    /// Number of the item.
    pub seq: i64,
    /// Event id.
    pub event_id: String,
    /// Event type.
    pub event: String,
    /// `published`, `parked` or `ignored`.
    pub outcome: String,
    /// When.
    pub at: String,
    /// Channel.
    pub channel: String,
    /// Routing key.
    pub queue: String,
    /// What the rules decided.
    pub routing: serde_json::Value,
}

impl Store {
    /// What became of an event, or of every event of a message by its external id, or of an item by its number.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn decisions(&self, wanted: &str) -> Result<Vec<Decided>, JournalError> {
        let mut found = Vec::new();
        match (wanted.parse::<uuid::Uuid>(), wanted.parse::<i64>()) {
            (Ok(id), _) => of_event(&self.connection, id, &mut found)?,
            (_, Ok(seq)) => of_item(&self.connection, seq, &mut found)?,
            _ => {}
        }
        if found.is_empty() {
            for seq in items_named(&self.connection, wanted)? {
                of_item(&self.connection, seq, &mut found)?;
            }
        }
        found.sort_by(|one, other| {
            (one.seq, &one.event_id, &one.queue).cmp(&(other.seq, &other.event_id, &other.queue))
        });
        Ok(found)
    }

    /// What was decided at or after a moment (microseconds since 1970), oldest first.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn decided_since(&self, at: i64) -> Result<Vec<Decided>, JournalError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT seq, at, body FROM settled WHERE id < ?1 ORDER BY id DESC")?;
        let mut rows = select.query([i64::MAX])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let moment: i64 = row.get(1)?;
            if moment < at {
                break;
            }
            found.push((row.get(0)?, moment, row.get::<_, Vec<u8>>(2)?));
        }
        let mut decided = Vec::new();
        for (seq, moment, body) in found.into_iter().rev() {
            push(&self.connection, seq, moment, &body, &mut decided)?;
        }
        Ok(decided)
    }

    /// Numbers of stored items with an external id that are still pending or on hold, and what they wait for.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn unsettled(&self, wanted: &str) -> Result<Vec<(i64, Waiting)>, JournalError> {
        let mut numbers = items_named(&self.connection, wanted)?;
        numbers.extend(wanted.parse::<i64>());
        numbers.sort_unstable();
        numbers.dedup();
        let mut select = self.connection.prepare_cached(
            "SELECT r.external_id, EXISTS (SELECT 1 FROM settled s WHERE s.seq = r.seq) OR \
             EXISTS (SELECT 1 FROM decision d WHERE d.seq = r.seq), \
             h.kind, h.reason, h.why FROM raw r LEFT JOIN held h ON h.seq = r.seq WHERE r.seq = ?1",
        )?;
        let mut waiting = Vec::new();
        for seq in numbers {
            let mut rows = select.query([seq])?;
            let Some(row) = rows.next()? else { continue };
            // Another id may have the same key.
            if row.get::<_, String>(0)? != wanted && wanted.parse() != Ok(seq) {
                continue;
            }
            // Nothing is stored that does not wait and was not decided.
            match (row.get::<_, Option<String>>(2)?, row.get::<_, bool>(1)?) {
                (Some(kind), _) => {
                    let [reason, why] = [row.get::<_, String>(3)?, row.get(4)?];
                    waiting.push((seq, Waiting::held(&kind, reason, &why)));
                }
                (None, false) => waiting.push((seq, Waiting::Delivery)),
                (None, true) => {}
            }
        }
        Ok(waiting)
    }
}

/// Adds every decision about an event, whichever item it was made for.
pub(super) fn of_event(connection: &Connection, id: uuid::Uuid, found: &mut Vec<Decided>) -> rusqlite::Result<()> {
    let name = id.to_string();
    let mut select = connection.prepare_cached("SELECT seq, at, body FROM settled WHERE id = ?1")?;
    for shelf in [Shelf::OldSettled, Shelf::Settled] {
        for number in keys::find(connection, shelf, &settled::event_key(&id))? {
            collect(connection, &mut select, number, found)?;
        }
    }
    found.retain(|decided| decided.event_id == name);
    if found.is_empty() && !old::Place::read(connection)?.settled_done {
        // Only until the old decisions are moved: they have no index.
        let by_event = "event_id = ?1 /* walks: old decisions without an index */";
        old_decisions(connection, by_event, &id.as_bytes().to_vec(), found)?;
    }
    Ok(())
}

/// Adds every decision made for an item.
pub(super) fn of_item(connection: &Connection, seq: i64, found: &mut Vec<Decided>) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached("SELECT seq, at, body FROM settled WHERE seq = ?1 ORDER BY id")?;
    collect(connection, &mut select, seq, found)?;
    old_decisions(connection, "seq = ?1", &seq, found)
}

/// Numbers of the items that have an external id, as far as they are known still.
pub(super) fn items_named(connection: &Connection, external_id: &str) -> rusqlite::Result<Vec<i64>> {
    let key = dedupe::item_key(&dedupe::hash_key(connection)?, external_id);
    let mut found = Vec::new();
    for shelf in [Shelf::OldItems, Shelf::Items] {
        found.extend(keys::find(connection, shelf, &key)?);
    }
    let query = if !old::Place::read(connection)?.is_done() {
        "SELECT seq FROM raw WHERE external_id = ?1 AND ?2 > 0 /* walks: old items without an index */"
    } else if found.is_empty() {
        // Keys go after `journal.dedupe_days`, what waits for a person stays.
        "SELECT h.seq FROM held h JOIN raw r ON r.seq = h.seq WHERE h.seq IN (SELECT seq FROM held WHERE seq > 0 \
         ORDER BY seq LIMIT ?2) AND r.external_id = ?1"
    } else {
        return Ok(found);
    };
    let mut select = connection.prepare_cached(query)?;
    for seq in select.query_map(params![external_id, LOOKED_THROUGH], |row| row.get(0))? {
        found.push(seq?);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// What a stored item waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// Its turn in the delivery.
    Delivery,
    /// A queue at the broker for its routing key, or the existing one to take it.
    Queue {
        /// There is one, and it takes nothing.
        refuses: bool,
        /// What the broker said, contacts masked.
        why: String,
    },
    /// A person, in quarantine.
    Person {
        /// One word: the class of the trouble.
        reason: String,
        /// What is wrong, contacts masked.
        why: String,
    },
}

impl Waiting {
    /// Of a row of the table `held`.
    fn held(kind: &str, reason: String, why: &str) -> Self {
        let why = mask(why).into_owned();
        match kind {
            "parked" => Self::Queue {
                refuses: reason == "refused",
                why,
            },
            _ => Self::Person { reason, why },
        }
    }
}

fn collect(
    connection: &Connection,
    select: &mut rusqlite::Statement<'_>,
    number: i64,
    found: &mut Vec<Decided>,
) -> rusqlite::Result<()> {
    let rows: Vec<(i64, i64, Vec<u8>)> = select
        .query_map([number], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (seq, at, body) in rows {
        push(connection, seq, at, &body, found)?;
    }
    Ok(())
}

fn push(connection: &Connection, seq: i64, at: i64, body: &[u8], found: &mut Vec<Decided>) -> rusqlite::Result<()> {
    let stored = settled::read(connection, body)?.ok_or_else(|| {
        let why = format!("the decision about item {seq} is damaged");
        rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Blob, why.into())
    })?;
    found.extend(stored.into_iter().map(|stored| Decided {
        seq,
        event_id: stored.event_id.to_string(),
        event: stored.event,
        outcome: stored.outcome,
        at: time(at),
        channel: stored.channel,
        queue: stored.queue,
        routing: routing(stored.routing),
    }));
    Ok(())
}

fn routing(json: Vec<u8>) -> serde_json::Value {
    serde_json::from_slice(&json)
        .unwrap_or_else(|_| serde_json::Value::String(String::from_utf8_lossy(&json).into_owned()))
}

/// Decisions that an older version stored and that are not moved yet.
fn old_decisions(
    connection: &Connection,
    condition: &str,
    value: &dyn rusqlite::ToSql,
    found: &mut Vec<Decided>,
) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT seq, event_id, event, outcome, at, channel, queue, routing FROM decision WHERE {condition}"
    ))?;
    let rows = select.query_map([value], |row| {
        Ok(Decided {
            seq: row.get(0)?,
            event_id: uuid::Uuid::from_slice(row.get_ref(1)?.as_blob()?)
                .unwrap_or_default()
                .to_string(),
            event: row.get(2)?,
            outcome: row.get(3)?,
            at: time(row.get(4)?),
            channel: row.get(5)?,
            queue: row.get(6)?,
            routing: routing(row.get_ref(7)?.as_bytes()?.to_vec()),
        })
    })?;
    for decided in rows {
        found.push(decided?);
    }
    Ok(())
}
