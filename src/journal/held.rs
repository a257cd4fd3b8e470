//! Items that wait for a person, as operators see and settle them. Part of [`Store`].

use jiff::Timestamp;
use rusqlite::{OptionalExtension, TransactionBehavior, params};
use serde::Serialize;

use super::{
    JournalError,
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
        self.list(
            "SELECT h.seq, h.kind, h.reason, h.why, h.since, c.name, length(r.body) FROM held h \
             JOIN raw r ON r.seq = h.seq JOIN connector c ON c.id = r.connector ORDER BY h.seq",
            |row| {
                Ok(Held {
                    seq: row.get(0)?,
                    kind: row.get(1)?,
                    reason: row.get(2)?,
                    why: veil(&row.get::<_, String>(3)?).into_owned(),
                    since: time(row.get(4)?),
                    connector: row.get(5)?,
                    bytes: row.get(6)?,
                })
            },
        )
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
            transaction.execute("DELETE FROM decision WHERE seq = ?1", [seq])?;
            transaction.execute("INSERT INTO pending (seq) VALUES (?1)", [seq])?;
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
            transaction.execute("DELETE FROM raw WHERE seq = ?1", [seq])?;
            transaction.execute(
                "INSERT OR REPLACE INTO decision VALUES (?1, ?2, '', 'none', 'dropped', ?3, '', ?4)",
                params![
                    seq,
                    &uuid::Uuid::nil().as_bytes()[..],
                    Timestamp::now().as_microsecond(),
                    serde_json::json!({ "reason": reason }).to_string()
                ],
            )?;
        }
        transaction.commit()?;
        Ok(reason.is_some())
    }
}
