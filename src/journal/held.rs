//! Items that wait for a person, as operators see and settle them. Part of [`Store`].

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
use crate::privacy::veil;

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

    /// Makes a held item pending again: it is normalised and routed anew, under the same ids. `false` when the item
    /// is not on hold.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn retry(&mut self, seq: i64) -> Result<bool, JournalError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let held = transaction.execute("DELETE FROM held WHERE seq = ?1", [seq])? > 0;
        if held {
            settled::remove_outside(&transaction, seq)?;
            transaction.execute("INSERT INTO pending (seq) VALUES (?1)", [seq])?;
            transaction.execute("UPDATE tally SET pending = pending + 1", [])?;
        }
        transaction.commit()?;
        Ok(held)
    }

    /// Gives up a held item: its raw data goes, a decision `dropped` stays. `false` when the item is not on hold.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn discard(&mut self, seq: i64) -> Result<bool, JournalError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let reason: Option<String> = transaction
            .query_row("SELECT reason FROM held WHERE seq = ?1", [seq], |row| row.get(0))
            .optional()?;
        if let Some(reason) = &reason {
            transaction.execute("DELETE FROM held WHERE seq = ?1", [seq])?;
            remove_item(&transaction, seq)?;
            let routing = serde_json::json!({ "reason": reason }).to_string();
            let fact = Fact {
                event_id: uuid::Uuid::nil(),
                event: "none",
                outcome: "dropped",
                channel: "",
                queue: "",
                routing: routing.as_bytes(),
            };
            settled::insert_outside(&transaction, seq, Timestamp::now().as_microsecond(), &fact)?;
        }
        transaction.commit()?;
        Ok(reason.is_some())
    }
}

const HELD: &str = "SELECT h.seq, h.kind, h.reason, h.why, h.since, c.name, length(r.body) FROM held h \
                    JOIN raw r ON r.seq = h.seq JOIN connector c ON c.id = r.connector";

fn held(row: &Row<'_>) -> rusqlite::Result<Held> {
    Ok(Held {
        seq: row.get(0)?,
        kind: row.get(1)?,
        reason: row.get(2)?,
        why: veil(&row.get::<_, String>(3)?).into_owned(),
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
