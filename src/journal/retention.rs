//! What leaves the journal, and when: settled raw items after `raw_days` (or earlier, to make room), decisions,
//! identities, links between messages and clocks long run out after `dedupe_days`, what messages are recognised by after its own window. Pending and held items never leave by themselves.
//!
//! Works in small slices inside the writer's commits, so that no commit is long.

use bytes::Bytes;
use rusqlite::{Connection, params};

use super::dedupe::{self, Swept};

const SLICE: i64 = 500;
const DAY_MICROSECONDS: i64 = 86_400_000_000;

/// Where the slow sweeps stand.
pub(super) struct Retention {
    raw_days: u32,
    dedupe_days: u32,
    raw_from: i64,
    seen_from: Bytes,
    likeness_from: Bytes,
    kin_from: Bytes,
    watched_from: Bytes,
}

impl Retention {
    pub(super) fn new(raw_days: u32, dedupe_days: u32) -> Self {
        Self {
            raw_days,
            dedupe_days,
            raw_from: 0,
            seen_from: Bytes::new(),
            likeness_from: Bytes::new(),
            kin_from: Bytes::new(),
            watched_from: Bytes::new(),
        }
    }

    /// One slice of each sweep.
    pub(super) fn sweep(&mut self, connection: &Connection, now: i64) -> rusqlite::Result<()> {
        let raw_before = now - i64::from(self.raw_days) * DAY_MICROSECONDS;
        let before = now - i64::from(self.dedupe_days) * DAY_MICROSECONDS;
        self.raw_from = remove_raw(connection, self.raw_from, raw_before)?.next;
        let forget = |table, from: &Bytes, before| {
            dedupe::forget(connection, table, from, before).map(Option::unwrap_or_default)
        };
        self.seen_from = forget(Swept::Seen, &self.seen_from, before)?;
        self.likeness_from = forget(Swept::Likeness, &self.likeness_from, now)?;
        self.kin_from = forget(Swept::Kin, &self.kin_from, before)?;
        self.watched_from = forget(Swept::Watched, &self.watched_from, before)?;
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
