//! Items that wait for a person, as operators see and settle them. Part of [`Store`].

use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};
use serde::Serialize;

use super::{
    JournalError,
    append::item_bytes,
    old,
    settled::{self, Fact},
    store::{Store, time},
};
use crate::personal::mask;

/// Most items of one transaction beside a daemon, and the longest time it takes before its end is written.
const SLICE: usize = 64;
const SLICE_TIME: Duration = Duration::from_millis(20);

/// An item on hold.
#[derive(Debug, Clone, Serialize)]
pub struct Held {
    /// Number to name it by.
    pub seq: i64,
    /// `quarantined` or `parked`.
    pub kind: String,
    /// Bounded reason.
    pub reason: String,
    /// For people; no citizen's words, and what looks like a contact or a number of a person is masked.
    pub why: String,
    /// When it was put on hold.
    pub since: String,
    /// Connector it came from.
    pub connector: String,
    /// Bytes of the raw item.
    pub bytes: i64,
}

impl Store {
    /// Items on hold, oldest first.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn held(&self) -> Result<Vec<Held>, JournalError> {
        self.held_where("h.seq > 0 AND ?1 IS NULL ORDER BY h.seq", None)
    }

    /// Items on hold for a reason, oldest first.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn held_for(&self, reason: &str) -> Result<Vec<Held>, JournalError> {
        let mut found = self.held_where("h.reason = ?1", Some(reason))?;
        found.sort_by_key(|item| item.seq);
        Ok(found)
    }

    fn held_where(&self, condition: &str, reason: Option<&str>) -> Result<Vec<Held>, JournalError> {
        let mut select = self.connection.prepare_cached(&format!("{HELD} WHERE {condition}"))?;
        let rows = select.query_map([reason], held)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The reasons for which something is on hold.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn held_reasons(&self) -> Result<Vec<String>, JournalError> {
        self.list("SELECT DISTINCT reason FROM held_count ORDER BY reason", |row| {
            row.get(0)
        })
    }

    /// One item on hold.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn held_one(&self, seq: i64) -> Result<Option<Held>, JournalError> {
        let mut select = self.connection.prepare_cached(&format!("{HELD} WHERE h.seq = ?1"))?;
        Ok(select.query_row([seq], held).optional()?)
    }

    /// Makes held items pending again: they are normalised and routed anew, under the same ids. Does the first of `seqs`
    /// in one transaction that is short enough for a daemon beside it, and gives for each of those whether it was on
    /// hold; the rest is for the next call.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn retry(&mut self, seqs: &[i64]) -> Result<Vec<bool>, JournalError> {
        self.slice(seqs, |transaction, seq| {
            let held = transaction.execute("DELETE FROM held WHERE seq = ?1", [seq])? > 0;
            if held {
                settled::remove_outside(transaction, seq)?;
                transaction.execute("INSERT INTO pending (seq) VALUES (?1)", [seq])?;
                transaction.execute("UPDATE tally SET pending = pending + 1", [])?;
            }
            Ok(held)
        })
    }

    /// Gives up held items: their raw data goes, a decision `dropped` stays. Does as many as [`Store::retry`].
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn discard(&mut self, seqs: &[i64]) -> Result<Vec<bool>, JournalError> {
        self.slice(seqs, |transaction, seq| {
            let reason: Option<String> = transaction
                .query_row("SELECT reason FROM held WHERE seq = ?1", [seq], |row| row.get(0))
                .optional()?;
            let Some(reason) = reason else { return Ok(false) };
            transaction.execute("DELETE FROM held WHERE seq = ?1", [seq])?;
            remove_item(transaction, seq)?;
            let routing = serde_json::json!({ "reason": reason }).to_string();
            let fact = Fact {
                event_id: uuid::Uuid::nil(),
                event: "none",
                outcome: "dropped",
                channel: "",
                queue: "",
                routing: routing.as_bytes(),
            };
            settled::insert_outside(transaction, seq, Timestamp::now().as_microsecond(), &fact)?;
            Ok(true)
        })
    }

    fn slice(
        &mut self,
        seqs: &[i64],
        mut act: impl FnMut(&Connection, i64) -> Result<bool, JournalError>,
    ) -> Result<Vec<bool>, JournalError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let began = Instant::now();
        let mut outcomes = Vec::new();
        for seq in seqs.iter().take(SLICE) {
            outcomes.push(act(&transaction, *seq)?);
            if began.elapsed() >= SLICE_TIME {
                break;
            }
        }
        transaction.commit()?;
        Ok(outcomes)
    }
}

const HELD: &str = "SELECT h.seq, h.kind, h.reason, h.why, h.since, c.name, length(r.body) FROM held h \
                    JOIN raw r ON r.seq = h.seq JOIN connector c ON c.id = r.connector";

fn held(row: &Row<'_>) -> rusqlite::Result<Held> {
    Ok(Held {
        seq: row.get(0)?,
        kind: row.get(1)?,
        reason: row.get(2)?,
        why: mask(&row.get::<_, String>(3)?).into_owned(),
        since: time(row.get(4)?),
        connector: row.get(5)?,
        bytes: row.get(6)?,
    })
}

fn remove_item(connection: &Connection, seq: i64) -> rusqlite::Result<()> {
    let bytes: Option<i64> = connection
        .prepare_cached("SELECT length(CAST(external_id AS BLOB)), length(body) FROM raw WHERE seq = ?1")?
        .query_row([seq], |row| Ok(item_bytes(row.get::<_, u32>(0)? as usize, row.get(1)?)))
        .optional()?;
    let Some(bytes) = bytes else { return Ok(()) };
    connection
        .prepare_cached("DELETE FROM raw WHERE seq = ?1")?
        .execute([seq])?;
    if old::Place::read(connection)?.knows(seq) {
        connection
            .prepare_cached("UPDATE tally SET raw = raw - 1, raw_bytes = raw_bytes - ?1")?
            .execute([bytes])?;
    }
    Ok(())
}
