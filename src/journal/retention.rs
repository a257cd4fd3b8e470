//! What leaves the journal, and when.
//!
//! By age: settled items after `raw_days`; decisions, identities and the keys of both after `dedupe_days`. Who keeps
//! other tables here sweeps them (`super::sweep::Sweep`).
//!
//! To make room, when the journal comes near `max_bytes`, in this order, the oldest first:
//!
//! 1. settled items ([`Class::Items`]): they are published, only `replay` and `explain` miss them;
//! 2. decisions ([`Class::Decisions`]): `why` forgets them;
//! 3. what duplicates are recognised by ([`Class::Duplicates`]): a repetition may go out unmarked;
//! 4. identities older than `IDENTITY_DAYS` (`Class::Identities`): an old row of an export may go out again.
//!
//! Never: what waits for publication or for a person, cursors, clocks of open messages, younger identities. Only when
//! these fill the journal are new items refused.
//!
//! Everything works in small slices inside the writer's commits, so that no commit is long. `settled` is in the order of
//! time: what is oldest is found at its front, without looking at anything else.

use rusqlite::{Connection, OptionalExtension, params};
use tracing::warn;

use super::{
    append::{AppendState, item_bytes},
    keys::{self, Shelf},
    old, phrases, settled,
    sweep::{Slices, Sweep},
};

/// Settled items looked at in one slice.
const ITEMS: i64 = 500;
/// Bytes of bodies removed in one slice, at most.
const BYTES: i64 = 4 << 20;
/// Decisions removed in one slice: they are small.
const DECISIONS: i64 = 2_000;
const DAY_MICROSECONDS: i64 = 86_400_000_000;
/// Days for which an identity is never given up: longer than any platform repeats and a monthly export.
pub(super) const IDENTITY_DAYS: u32 = 35;
/// A class that gives way again after this long is said again in the log.
const EPISODE_MICROSECONDS: i64 = 3_600_000_000;
/// Days of sizes kept.
const GROWTH_DAYS: i64 = 15;

/// What gives way when there is no room, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Items that are published, as their sources gave them.
    Items,
    /// What was decided about them.
    Decisions,
    /// By what duplicates are recognised.
    Duplicates,
    /// Which versions of old objects were stored.
    Identities,
}

impl Class {
    /// All, in the order in which they give way.
    pub const ALL: [Self; 4] = [Self::Items, Self::Decisions, Self::Duplicates, Self::Identities];

    /// Its name: in `journal stats`, in metrics and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Decisions => "decisions",
            Self::Duplicates => "duplicates",
            Self::Identities => "identities",
        }
    }
}

/// Where the slow sweeps stand.
pub(super) struct Retention {
    raw_days: u32,
    dedupe_days: u32,
    seen: Slices,
    old_seen: Slices,
    /// Nothing is left to give up, until something is settled or time has passed.
    exhausted: bool,
    /// When each class was said to give way.
    said: [i64; 4],
    day: i64,
}

impl Retention {
    pub(super) fn new(raw_days: u32, dedupe_days: u32) -> Self {
        Self {
            raw_days,
            dedupe_days,
            seen: Slices::new("seen", "key", "at"),
            old_seen: Slices::new("seen", "key", "at"),
            exhausted: false,
            said: [i64::MIN; 4],
            day: 0,
        }
    }

    /// One slice of each sweep.
    pub(super) fn sweep(&mut self, connection: &Connection, state: &mut AppendState, now: i64) -> rusqlite::Result<()> {
        let raw_before = now - i64::from(self.raw_days) * DAY_MICROSECONDS;
        let before = now - i64::from(self.dedupe_days) * DAY_MICROSECONDS;
        old::move_on(connection, state)?;
        free_items(connection, state, raw_before)?;
        free_decisions(connection, state, before)?;
        forget_keys(connection)?;
        self.seen.forget(connection, before)?;
        self.note_size(connection, now)?;
        connection.execute_batch("PRAGMA incremental_vacuum(64)")?;
        self.look_again();
        Ok(())
    }

    /// Something may be left to give up again.
    pub(super) fn look_again(&mut self) {
        self.exhausted = false;
    }

    /// Gives up a slice of what gives way first. Says of what and how many; `None` when nothing is left.
    pub(super) fn make_room(
        &mut self,
        connection: &Connection,
        state: &mut AppendState,
        sweeps: &mut [Box<dyn Sweep>],
        now: i64,
    ) -> rusqlite::Result<Option<(Class, usize)>> {
        if self.exhausted {
            return Ok(None);
        }
        // What an older version decided takes ten times the room: nothing need be given up for it.
        if !old::Place::read(connection)?.settled_done && old::move_on(connection, state)? {
            return Ok(Some((Class::Decisions, 0)));
        }
        let items = free_items(connection, state, i64::MAX)?;
        if items > 0 {
            return Ok(Some(self.given(Class::Items, items, now)));
        }
        let decisions = free_decisions(connection, state, i64::MAX)?;
        forget_keys(connection)?;
        if decisions > 0 {
            return Ok(Some(self.given(Class::Decisions, decisions, now)));
        }
        for sweep in sweeps {
            if let Some(rows) = sweep.give_up(connection)? {
                return Ok(Some(self.given(Class::Duplicates, rows, now)));
            }
        }
        let before = now - i64::from(IDENTITY_DAYS) * DAY_MICROSECONDS;
        if let Some(rows) = self.old_seen.give_up(connection, before)? {
            return Ok(Some(self.given(Class::Identities, rows, now)));
        }
        self.exhausted = true;
        Ok(None)
    }

    /// Says in the log, once per episode, what gives way.
    fn given(&mut self, class: Class, rows: usize, now: i64) -> (Class, usize) {
        if rows == 0 {
            return (class, rows);
        }
        let said = &mut self.said[class as usize];
        if now.saturating_sub(*said) > EPISODE_MICROSECONDS {
            warn!(
                class = class.as_str(),
                "the journal is near its size limit: the oldest of this class is given up before its time"
            );
        }
        *said = now;
        (class, rows)
    }

    /// The first size of each day, for telling how fast the journal grows.
    fn note_size(&mut self, connection: &Connection, now: i64) -> rusqlite::Result<()> {
        let day = now.div_euclid(DAY_MICROSECONDS);
        if day == self.day {
            return Ok(());
        }
        self.day = day;
        let used = i64::try_from(super::limits::used_bytes(connection)?).unwrap_or(i64::MAX);
        connection
            .prepare_cached("INSERT OR IGNORE INTO growth VALUES (?1, ?2)")?
            .execute([day, used])?;
        connection
            .prepare_cached("DELETE FROM growth WHERE day < ?1")?
            .execute([day - GROWTH_DAYS])?;
        Ok(())
    }
}

/// Removes the oldest settled items that were settled before a moment and are not on hold. Gives how many.
fn free_items(connection: &Connection, state: &mut AppendState, before: i64) -> rusqlite::Result<usize> {
    let place = old::Place::read(connection)?;
    let mut freed_to: i64 = connection
        .prepare_cached("SELECT freed_to FROM tally")?
        .query_row([], |row| row.get(0))?;
    let from = freed_to;
    let mut select = connection.prepare_cached(
        "SELECT s.id, s.seq, s.at, length(r.body), length(CAST(r.external_id AS BLOB)), h.seq FROM settled s \
         LEFT JOIN raw r ON r.seq = s.seq LEFT JOIN held h ON h.seq = s.seq WHERE s.id > ?1 ORDER BY s.id LIMIT ?2",
    )?;
    let mut removed = 0;
    // What has no raw data any more is passed by, within the same bound.
    for _ in 0..8 {
        let mut rows = Vec::new();
        let mut found = select.query(params![freed_to, ITEMS])?;
        while let Some(row) = found.next()? {
            let (id, at): (i64, i64) = (row.get(0)?, row.get(2)?);
            // What an older version settled leaves first.
            if at >= before || (id >= 0 && !place.settled_done) {
                break;
            }
            let size: Option<i64> = row.get(3)?;
            let name: Option<u32> = row.get(4)?;
            let held: Option<i64> = row.get(5)?;
            let item = size.zip(name).filter(|_| held.is_none());
            rows.push((id, row.get::<_, i64>(1)?, item));
        }
        drop(found);
        let walked = rows.len() as i64;
        let mut bytes = 0;
        let mut delete = connection.prepare_cached("DELETE FROM raw WHERE seq = ?1")?;
        for (id, seq, item) in rows {
            freed_to = id;
            let Some((size, name)) = item else { continue };
            removed += delete.execute([seq])?;
            let all = item_bytes(name as usize, size);
            if place.knows(seq) {
                state.ledger.counts.raw -= 1;
                state.ledger.counts.raw_bytes -= all;
            }
            bytes += all;
            if bytes > BYTES {
                break;
            }
        }
        if removed > 0 || walked < ITEMS {
            break;
        }
    }
    if freed_to > from {
        connection
            .prepare_cached("UPDATE tally SET freed_to = ?1")?
            .execute([freed_to])?;
    }
    Ok(removed)
}

/// Removes the oldest decisions that were made before a moment and whose items are gone. Gives how many.
fn free_decisions(connection: &Connection, state: &mut AppendState, before: i64) -> rusqlite::Result<usize> {
    let mut select = connection.prepare_cached(
        "SELECT id, at, body FROM settled WHERE id > ?1 AND id <= (SELECT freed_to FROM tally) ORDER BY id LIMIT ?2",
    )?;
    let mut rows = select.query(params![i64::MIN, DECISIONS])?;
    let (mut last, mut removed) = (None, 0);
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(1)? >= before {
            break;
        }
        last = Some(row.get::<_, i64>(0)?);
        let body = row.get_ref(2)?.as_blob()?;
        for (_, outlet) in settled::heads(body) {
            state.ledger.outlets.add(outlet, -1);
            removed += 1;
        }
        state.ledger.counts.settled -= 1;
        state.ledger.counts.settled_bytes -= settled::ROW_BYTES + body.len() as i64;
    }
    drop(rows);
    if let Some(last) = last {
        connection
            .prepare_cached("DELETE FROM settled WHERE id > ?1 AND id <= ?2")?
            .execute([i64::MIN, last])?;
    }
    Ok(removed)
}

/// Removes keys and phrases of what is gone, a slice of each.
fn forget_keys(connection: &Connection) -> rusqlite::Result<()> {
    let first = |query: &str| -> rusqlite::Result<i64> {
        let found = connection
            .prepare_cached(query)?
            .query_row([i64::MIN], |row| row.get(0));
        Ok(found.optional()?.unwrap_or(i64::MAX))
    };
    let settled = first("SELECT id FROM settled WHERE id > ?1 ORDER BY id LIMIT 1")?;
    keys::forget(connection, Shelf::OldSettled, settled)?;
    keys::forget(connection, Shelf::Settled, settled)?;
    if settled > 0 {
        phrases::forget(connection, settled)?;
    }
    let oldest = first("SELECT seq FROM settled WHERE seq > ?1 ORDER BY seq LIMIT 1")?
        .min(first(
            "SELECT seq FROM pending WHERE position > ?1 ORDER BY position LIMIT 1",
        )?)
        .min(first("SELECT seq FROM decision WHERE seq > ?1 ORDER BY seq LIMIT 1")?);
    keys::forget(connection, Shelf::OldItems, oldest)?;
    keys::forget(connection, Shelf::Items, oldest)?;
    Ok(())
}
