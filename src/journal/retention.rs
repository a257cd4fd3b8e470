//! What leaves the journal, and when: settled raw items after `raw_days` (or earlier, to make room), decisions and
//! identities after `dedupe_days`. Pending and held items never leave by themselves. Who keeps other tables here sweeps
//! them ([`super::sweep::Sweep`]).
//!
//! Works in small slices inside the writer's commits, so that no commit is long.

use rusqlite::{Connection, params};

use super::sweep::Slices;

const SLICE: i64 = 500;
const DAY_MICROSECONDS: i64 = 86_400_000_000;

/// Where the slow sweeps stand.
pub(super) struct Retention {
    raw_days: u32,
    dedupe_days: u32,
    raw_from: i64,
    seen: Slices,
}

impl Retention {
    pub(super) fn new(raw_days: u32, dedupe_days: u32) -> Self {
        Self {
            raw_days,
            dedupe_days,
            raw_from: 0,
            seen: Slices::new("seen", "key", "at"),
        }
    }

    /// One slice of each sweep.
    pub(super) fn sweep(&mut self, connection: &Connection, now: i64) -> rusqlite::Result<()> {
        let raw_before = now - i64::from(self.raw_days) * DAY_MICROSECONDS;
        let before = now - i64::from(self.dedupe_days) * DAY_MICROSECONDS;
        self.raw_from = remove_raw(connection, self.raw_from, raw_before)?.next;
        self.seen.forget(connection, before)?;
        connection
            .prepare_cached(
                "DELETE FROM decision WHERE seq IN (SELECT seq FROM decision d WHERE at < ?1 \
                 AND NOT EXISTS (SELECT 1 FROM raw WHERE raw.seq = d.seq) ORDER BY seq LIMIT ?2)",
            )?
            .execute(params![before, SLICE])?;
        connection.execute_batch("PRAGMA incremental_vacuum(64)")?;
        Ok(())
    }

    /// Removes the oldest settled raw items before their time. Gives how many; 0 when nothing settled is left.
    pub(super) fn make_room(&mut self, connection: &Connection) -> rusqlite::Result<usize> {
        let mut from = 0;
        loop {
            let slice = remove_raw(connection, from, i64::MAX)?;
            if slice.removed > 0 || slice.next == 0 {
                return Ok(slice.removed);
            }
            from = slice.next;
        }
    }
}

struct Slice {
    removed: usize,
    /// Where to go on; 0 at the end of the table or where only younger items follow.
    next: i64,
}

fn remove_raw(connection: &Connection, from: i64, settled_before: i64) -> rusqlite::Result<Slice> {
    let mut select = connection.prepare_cached(
        "SELECT r.seq, (SELECT max(at) FROM decision d WHERE d.seq = r.seq), \
         EXISTS (SELECT 1 FROM held h WHERE h.seq = r.seq) FROM raw r WHERE r.seq > ?1 ORDER BY r.seq LIMIT ?2",
    )?;
    let rows: Vec<(i64, Option<i64>, bool)> = select
        .query_map(params![from, SLICE], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut delete = connection.prepare_cached("DELETE FROM raw WHERE seq = ?1")?;
    let mut slice = Slice {
        removed: 0,
        next: rows.last().map_or(0, |row| row.0),
    };
    for (seq, settled_at, held) in &rows {
        match settled_at {
            Some(at) if *at >= settled_before => {
                slice.next = 0;
                break;
            }
            Some(_) if !held => slice.removed += delete.execute([seq])?,
            _ => {}
        }
    }
    if (rows.len() as i64) < SLICE {
        slice.next = 0;
    }
    Ok(slice)
}
