//! Forgetting in slices, so that no commit is long.

use bytes::Bytes;
use rusqlite::{Connection, params};

/// Rows looked at in one slice.
const SLICE: u32 = 5_000;

/// What an owner of tables does at every tick, inside the writer's transaction: a slice of forgetting.
pub(crate) trait Sweep: Send {
    /// Removes some of what ran out at `now`, microseconds since 1970.
    ///
    /// # Errors
    /// Of the store; they fail the whole commit.
    fn sweep(&mut self, connection: &Connection, now: i64) -> rusqlite::Result<()>;
}

/// A table whose rows are forgotten by a moment, walked slice by slice in the order of its key.
pub(crate) struct Slices {
    table: &'static str,
    key: &'static str,
    moment: &'static str,
    from: Bytes,
}

impl Slices {
    /// Walks `table` in the order of `key`, a blob; `moment` is the column that decides.
    pub(crate) fn new(table: &'static str, key: &'static str, moment: &'static str) -> Self {
        Self {
            table,
            key,
            moment,
            from: Bytes::new(),
        }
    }

    /// Removes the rows of the next slice whose moment is before `before`. Says whether the end of the table is reached;
    /// the next call begins again then.
    ///
    /// # Errors
    /// Of the store.
    pub(crate) fn forget(&mut self, connection: &Connection, before: i64) -> rusqlite::Result<bool> {
        let Self {
            table,
            key,
            moment,
            from,
        } = self;
        let last: Option<Vec<u8>> = connection
            .prepare_cached(&format!(
                "SELECT max({key}), count(*) FROM (SELECT {key} FROM {table} WHERE {key} > ?1 ORDER BY {key} LIMIT ?2)"
            ))?
            .query_row(params![&from[..], SLICE], |row| row.get(0))?;
        let Some(last) = last else {
            self.from = Bytes::new();
            return Ok(true);
        };
        connection
            .prepare_cached(&format!(
                "DELETE FROM {table} WHERE {key} > ?1 AND {key} <= ?2 AND {moment} < ?3"
            ))?
            .execute(params![&from[..], &last, before])?;
        self.from = Bytes::from(last);
        Ok(false)
    }
}
