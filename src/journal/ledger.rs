//! What the writer keeps beside its tables and brings to disk with each commit: keys, phrases, outlets, counts.

use rusqlite::{Connection, params};

use super::{keys::Keys, phrases::Phrases, settled::Outlets};

/// What a transaction adds to the counts of `tally`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// Items that wait for publication.
    pub(super) pending: i64,
    /// Stored items.
    pub(super) raw: i64,
    /// Bytes they take, about.
    pub(super) raw_bytes: i64,
    /// Settled items whose decisions are kept.
    pub(super) settled: i64,
    /// Bytes these take, about.
    pub(super) settled_bytes: i64,
}

/// See the module.
pub(super) struct Ledger {
    pub(super) keys: Keys,
    pub(super) phrases: Phrases,
    pub(super) outlets: Outlets,
    pub(super) counts: Counts,
    /// Newest id of `settled`, as far as known.
    pub(super) settled: i64,
}

impl Ledger {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            keys: Keys::load(connection)?,
            phrases: Phrases::load(connection)?,
            outlets: Outlets::default(),
            counts: Counts::default(),
            settled: newest_settled(connection)?,
        })
    }

    /// Writes what the transaction added, as its last step.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.keys.write(connection)?;
        self.outlets.write(connection)?;
        let counts = std::mem::take(&mut self.counts);
        if counts != Counts::default() {
            connection
                .prepare_cached(
                    "UPDATE tally SET pending = pending + ?1, raw = raw + ?2, raw_bytes = raw_bytes + ?3, \
                     settled = settled + ?4, settled_bytes = settled_bytes + ?5",
                )?
                .execute(params![
                    counts.pending,
                    counts.raw,
                    counts.raw_bytes,
                    counts.settled,
                    counts.settled_bytes
                ])?;
        }
        Ok(())
    }

    /// The transaction holds.
    pub(super) fn after_commit(&mut self) {
        self.phrases.after_commit();
    }

    /// Nothing of the transaction holds.
    pub(super) fn after_rollback(&mut self) {
        self.keys.after_rollback();
        self.phrases.after_rollback();
        self.outlets.after_rollback();
        self.counts = Counts::default();
    }
}

/// Newest id of `settled` ever given; 0 before the first.
fn newest_settled(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'settled'), 0)",
        [],
        |row| row.get(0),
    )
}
