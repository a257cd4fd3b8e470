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

    /// Gives up a slice of what only recognises repetitions, because the journal has no room. Gives how many rows went,
    /// which may be none while there is something left; `None` says that nothing is. Asked only after settled items and
    /// decisions are gone.
    ///
    /// # Errors
    /// Of the store; they fail the whole commit.
    fn give_up(&mut self, connection: &Connection) -> rusqlite::Result<Option<usize>> {
        let _ = connection;
        Ok(None)
    }
}

/// A table whose rows are forgotten by a moment, walked slice by slice in the order of its key.
pub(crate) struct Slices {
    table: &'static str,
    key: &'static str,
    moment: &'static str,
    from: Bytes,
    /// Rows that this pass has left; or, of one that makes room, has removed.
    left: i64,
    /// What the last pass left, as it was written down.
    measured: Option<i64>,
}

impl Slices {
    /// Walks `table` in the order of `key`, a blob; `moment` is the column that decides.
    pub(crate) fn new(table: &'static str, key: &'static str, moment: &'static str) -> Self {
        Self {
            table,
            key,
            moment,
            from: Bytes::new(),
            left: 0,
            measured: None,
        }
    }

    /// Removes the rows of the next slice whose moment is before `before`. Says whether the end of the table is reached;
    /// the next call begins again then. How many rows a whole pass leaves is written down: nobody has to count them.
    ///
    /// # Errors
    /// Of the store.
    pub(crate) fn forget(&mut self, connection: &Connection, before: i64) -> rusqlite::Result<bool> {
        if let Some((looked, removed)) = self.slice(connection, before)? {
            self.left += looked - removed as i64;
            return Ok(false);
        }
        let left = std::mem::take(&mut self.left);
        if self.measured != Some(left) {
            connection
                .prepare_cached("INSERT OR REPLACE INTO measured VALUES (?1, ?2)")?
                .execute(params![self.table, left])?;
            self.measured = Some(left);
        }
        Ok(true)
    }

    /// Removes the rows of the next slice whose moment is before `before`, to make room. Gives how many, which may be
    /// none while the pass goes on; `None` when a whole pass has found none.
    ///
    /// # Errors
    /// Of the store.
    pub(crate) fn give_up(&mut self, connection: &Connection, before: i64) -> rusqlite::Result<Option<usize>> {
        match self.slice(connection, before)? {
            Some((_, removed)) => {
                self.left += removed as i64;
                Ok(Some(removed))
            }
            None if std::mem::take(&mut self.left) == 0 => Ok(None),
            None => Ok(Some(0)),
        }
    }

    /// A slice: how many rows were looked at and how many removed; `None` at the end.
    fn slice(&mut self, connection: &Connection, before: i64) -> rusqlite::Result<Option<(i64, usize)>> {
        let Self {
            table,
            key,
            moment,
            from,
            ..
        } = self;
        let (last, looked): (Option<Vec<u8>>, i64) = connection
            .prepare_cached(&format!(
                "SELECT max({key}), count(*) FROM (SELECT {key} FROM {table} WHERE {key} > ?1 ORDER BY {key} LIMIT ?2)"
            ))?
            .query_row(params![&from[..], SLICE], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let Some(last) = last else {
            self.from = Bytes::new();
            return Ok(None);
        };
        let removed = connection
            .prepare_cached(&format!(
                "DELETE FROM {table} WHERE {key} > ?1 AND {key} <= ?2 AND {moment} < ?3"
            ))?
            .execute(params![&from[..], &last, before])?;
        self.from = Bytes::from(last);
        Ok(Some((looked, removed)))
    }
}
