//! Brings what an older version stored into today's form, a slice at a time: opening a journal of millions takes no
//! longer than opening an empty one.
//!
//! - rows of `decision` become rows of `settled`, oldest first, with ids below zero: they leave before newer ones;
//! - stored items get their keys and are counted.
//!
//! Until it is done, `why` looks into the old tables too.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{
    append::{AppendState, item_bytes},
    dedupe::{self, HashKey},
    keys::Shelf,
    ledger::Ledger,
    settled::{self, Fact},
};

/// Rows taken on at once.
const SLICE: i64 = 1_000;

/// Where the move stands. On disk, so that a rollback needs nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Id of the next old decision.
    next: i64,
    /// Old items up to here have their keys …
    items_from: i64,
    /// … and from here on never were without.
    items_to: i64,
    /// Decisions are all moved.
    pub(super) settled_done: bool,
}

impl Place {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        connection
            .prepare_cached("SELECT old_next, old_items_from, old_items_to, old_settled_done FROM tally")?
            .query_row([], |row| {
                Ok(Self {
                    next: row.get(0)?,
                    items_from: row.get(1)?,
                    items_to: row.get(2)?,
                    settled_done: row.get(3)?,
                })
            })
    }

    /// Whether an item is counted and has its keys.
    pub(super) fn knows(&self, seq: i64) -> bool {
        seq <= self.items_from || seq > self.items_to
    }

    /// Whether everything has today's form.
    pub(super) fn is_done(&self) -> bool {
        self.settled_done && self.items_from >= self.items_to
    }
}

/// Moves a slice. Gives whether there was something left to move.
pub(super) fn move_on(connection: &Connection, state: &mut AppendState) -> rusqlite::Result<bool> {
    let place = Place::read(connection)?;
    if !place.settled_done {
        move_decisions(connection, &mut state.ledger, place)?;
    } else if place.items_from < place.items_to {
        note_items(connection, &mut state.ledger, &state.hash_key, place)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

struct OldDecision {
    seq: i64,
    event_id: Uuid,
    queue: String,
    event: String,
    outcome: String,
    at: i64,
    channel: String,
    routing: Vec<u8>,
}

fn move_decisions(connection: &Connection, ledger: &mut Ledger, place: Place) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached(
        "SELECT seq, event_id, queue, event, outcome, at, channel, routing FROM decision WHERE seq > ?1 \
         ORDER BY seq, event_id, queue LIMIT ?2",
    )?;
    let mut rows: Vec<OldDecision> = select
        .query_map(params![i64::MIN, SLICE], |row| {
            Ok(OldDecision {
                seq: row.get(0)?,
                event_id: Uuid::from_slice(row.get_ref(1)?.as_blob()?).unwrap_or_default(),
                queue: row.get(2)?,
                event: row.get(3)?,
                outcome: row.get(4)?,
                at: row.get(5)?,
                channel: row.get(6)?,
                routing: row.get_ref(7)?.as_bytes()?.to_vec(),
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let is_last = (rows.len() as i64) < SLICE;
    // The decisions of an item stay together: its last ones may be in the next slice.
    if !is_last
        && let Some(last) = rows.last().map(|row| row.seq)
        && rows[0].seq != last
    {
        rows.retain(|row| row.seq != last);
    }
    let mut next = place.next;
    for item in rows.chunk_by(|one, other| one.seq == other.seq) {
        let facts: Vec<Fact<'_>> = item
            .iter()
            .map(|row| Fact {
                event_id: row.event_id,
                event: &row.event,
                outcome: &row.outcome,
                channel: &row.channel,
                queue: &row.queue,
                routing: &row.routing,
            })
            .collect();
        settled::insert(connection, ledger, Some(next), item[0].seq, item[0].at, &facts)?;
        next += 1;
    }
    if let Some(last) = rows.last() {
        connection
            .prepare_cached("DELETE FROM decision WHERE seq >= ?1 AND seq <= ?2")?
            .execute([rows[0].seq, last.seq])?;
    }
    connection
        .prepare_cached("UPDATE tally SET old_next = ?1, old_settled_done = ?2")?
        .execute(params![next, is_last])?;
    Ok(())
}

fn note_items(connection: &Connection, ledger: &mut Ledger, hash_key: &HashKey, place: Place) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached(
        "SELECT seq, external_id, length(body) FROM raw WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3",
    )?;
    let mut rows = select.query([place.items_from, place.items_to, SLICE])?;
    let (mut to, mut count) = (place.items_from, 0);
    while let Some(row) = rows.next()? {
        let external_id = row.get_ref(1)?.as_str()?;
        to = row.get(0)?;
        count += 1;
        ledger
            .keys
            .note(Shelf::OldItems, dedupe::item_key(hash_key, external_id), to);
        ledger.counts.raw += 1;
        ledger.counts.raw_bytes += item_bytes(external_id.len(), row.get::<_, i64>(2)?);
    }
    let to = if count < SLICE { place.items_to } else { to };
    connection
        .prepare_cached("UPDATE tally SET old_items_from = ?1")?
        .execute([to])?;
    Ok(())
}

#[cfg(test)]
mod tests;
