//! How much there is of what, without counting: what the writer and the sweeps wrote down. Part of [`Store`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::{
    JournalError, limits, old,
    retention::{Class, IDENTITY_DAYS},
    store::{Store, time},
};

/// Rows of a table that are counted one by one; of more the newest measure is told.
const COUNTED: i64 = 10_000;
const DAY_SECONDS: i64 = 86_400;

/// Counts of the moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Items not yet settled.
    pub pending: i64,
    /// Age of the oldest of them.
    pub oldest_pending_seconds: i64,
    /// Items no queue took.
    pub parked: i64,
    /// Items in quarantine, by reason.
    pub quarantined: BTreeMap<String, i64>,
}

/// What `journal stats` prints.
#[derive(Debug, Clone, Serialize)]
pub struct Stats {
    /// Raw items kept.
    pub raw_items: i64,
    /// Time of the oldest of them.
    pub oldest_raw_at: Option<String>,
    /// Identities remembered; of many, as of the last sweep over them.
    pub known_objects: i64,
    /// Counts of the moment.
    #[serde(flatten)]
    pub now: Snapshot,
    /// Decisions kept, by channel, outcome and queue.
    pub decisions: Vec<DecisionCount>,
    /// Decisions of an older version are still being brought into today's form, and not in the counts.
    pub moving_old: bool,
    /// What takes the room, in the order in which it gives way; what never does comes last.
    pub room: Vec<Share>,
    /// Bytes by which the journal grew a day, lately; `None` in its first days.
    pub grows_by_day: Option<i64>,
    /// Streams and their cursors.
    pub streams: Vec<StreamState>,
    /// Bytes in use, with the write-ahead log.
    pub bytes: u64,
    /// Bytes free on the disk.
    pub free_bytes: u64,
}

/// One line of [`Stats::room`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    /// [`Class`], or `waiting` and `deadlines`, which never give way.
    pub class: &'static str,
    /// Bytes, about.
    pub bytes: i64,
    /// Rows.
    pub items: i64,
    /// Its place in the order of giving way, from 1; `None`: never.
    pub gives_way: Option<usize>,
    /// What stays of it whatever happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
}

/// One line of [`Stats::decisions`].
#[derive(Debug, Clone, Serialize)]
pub struct DecisionCount {
    /// Channel.
    pub channel: String,
    /// `published`, `parked` or `ignored`.
    pub outcome: String,
    /// Routing key.
    pub queue: String,
    /// Events.
    pub events: i64,
}

/// One line of [`Stats::streams`].
#[derive(Debug, Clone, Serialize)]
pub struct StreamState {
    /// Connector.
    pub connector: String,
    /// Stream.
    pub stream: String,
    /// Cursor, as the connector wrote it.
    pub cursor: String,
    /// When it last moved.
    pub moved_at: String,
}

impl Store {
    /// Counts and states.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn stats(&self) -> Result<Stats, JournalError> {
        let connection = &self.connection;
        let oldest: Option<i64> = connection
            .query_row(
                "SELECT received_at FROM raw WHERE seq > 0 ORDER BY seq LIMIT 1",
                [],
                |row| row.get(0),
            )
            .optional()?;
        let tally = Tally::read(connection)?;
        Ok(Stats {
            raw_items: tally.raw,
            oldest_raw_at: oldest.map(time),
            known_objects: rows(connection, "seen", "key")?,
            now: snapshot(connection)?,
            decisions: self.list(
                "SELECT channel, outcome, queue, sum(events) FROM outlet GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
                |row| {
                    Ok(DecisionCount {
                        channel: row.get(0)?,
                        outcome: row.get(1)?,
                        queue: row.get(2)?,
                        events: row.get(3)?,
                    })
                },
            )?,
            moving_old: !old::Place::read(connection)?.is_done(),
            room: room(connection)?,
            grows_by_day: grows_by_day(connection)?,
            streams: self.list(
                "SELECT c.name, s.stream, s.value, s.at FROM cursor s JOIN connector c ON c.id = s.connector \
                 ORDER BY 1, 2",
                |row| {
                    Ok(StreamState {
                        connector: row.get(0)?,
                        stream: row.get(1)?,
                        cursor: row.get(2)?,
                        moved_at: time(row.get(3)?),
                    })
                },
            )?,
            bytes: limits::used_bytes(connection)? + limits::log_bytes(&self.folder),
            free_bytes: limits::free_bytes(&self.folder),
        })
    }
}

/// The counts that are kept with each commit.
struct Tally {
    pending: i64,
    raw: i64,
    raw_bytes: i64,
    settled: i64,
    settled_bytes: i64,
}

impl Tally {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        connection
            .prepare_cached("SELECT pending, raw, raw_bytes, settled, settled_bytes FROM tally")?
            .query_row([], |row| {
                Ok(Self {
                    pending: row.get(0)?,
                    raw: row.get(1)?,
                    raw_bytes: row.get(2)?,
                    settled: row.get(3)?,
                    settled_bytes: row.get(4)?,
                })
            })
    }
}

/// Rows of a table of hashes: counted while they are few, else as the last sweep over it found.
fn rows(connection: &Connection, table: &str, key: &str) -> rusqlite::Result<i64> {
    let few: i64 = connection
        .prepare_cached(&format!(
            "SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {key} > x'' LIMIT ?1)"
        ))?
        .query_row([COUNTED], |row| row.get(0))?;
    if few < COUNTED {
        return Ok(few);
    }
    let measured: Option<i64> = connection
        .prepare_cached("SELECT items FROM measured WHERE name = ?1")?
        .query_row([table], |row| row.get(0))
        .optional()?;
    Ok(measured.unwrap_or(few).max(few))
}

/// Numbers between the first and the last row of a table that grows at its end.
fn numbers(connection: &Connection, table: &str) -> rusqlite::Result<i64> {
    let end = |order: &str| {
        connection
            .prepare_cached(&format!(
                "SELECT first FROM {table} WHERE first > 0 ORDER BY first {order} LIMIT 1"
            ))?
            .query_row([], |row| row.get::<_, i64>(0))
            .optional()
    };
    Ok(match (end("ASC")?, end("DESC")?) {
        (Some(first), Some(last)) => last - first + 1,
        _ => 0,
    })
}

/// What takes the room. Bytes of rows are known or near enough; what pages add is spread over all.
pub(super) fn room(connection: &Connection) -> rusqlite::Result<Vec<Share>> {
    let tally = Tally::read(connection)?;
    let held: i64 = connection
        .prepare_cached("SELECT coalesce(sum(items), 0) FROM held_count")?
        .query_row([], |row| row.get(0))?;
    let waiting = (tally.pending + held).clamp(0, tally.raw.max(0));
    let waiting_bytes = if tally.raw > 0 {
        (tally.raw_bytes as f64 / tally.raw as f64 * waiting as f64) as i64
    } else {
        0
    };
    let (mut duplicates, mut identities, mut deadlines) = ((0, 0), (0, 0), (0, 0));
    let measured: Vec<(String, i64)> = connection
        .prepare_cached("SELECT name, items FROM measured")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (table, items) in measured {
        let (class, bytes) = match table.as_str() {
            "seen" => (&mut identities, 80),
            "watched" => (&mut deadlines, 900),
            _ => (&mut duplicates, 110),
        };
        class.0 += items;
        class.1 += items * bytes;
    }
    for log in ["twin", "link"] {
        let items = numbers(connection, log)?;
        duplicates = (duplicates.0 + items, duplicates.1 + items * 60);
    }
    let share = |class, gives_way, (items, bytes), stays| Share {
        class,
        bytes,
        items,
        gives_way,
        stays,
    };
    let young = format!("younger than {IDENTITY_DAYS} days");
    let items = (tally.raw - waiting, tally.raw_bytes - waiting_bytes);
    let mut shares = vec![
        share(Class::Items.as_str(), Some(1), items, None),
        share(
            Class::Decisions.as_str(),
            Some(2),
            (tally.settled, tally.settled_bytes),
            None,
        ),
        share(Class::Duplicates.as_str(), Some(3), duplicates, None),
        share(Class::Identities.as_str(), Some(4), identities, Some(young)),
        share("deadlines", None, deadlines, None),
        share("waiting", None, (waiting, waiting_bytes), None),
    ];
    let known: i64 = shares.iter().map(|share| share.bytes).sum();
    let used = i64::try_from(limits::used_bytes(connection)?).unwrap_or(i64::MAX);
    for share in &mut shares {
        let part = share.bytes as f64 / known.max(1) as f64;
        share.bytes = (used as f64 * part) as i64;
    }
    Ok(shares)
}

/// Bytes of what never gives way. Identities are among them: most of them are young.
pub(super) fn fixed_bytes(room: &[Share]) -> i64 {
    let gives_way = [Class::Items, Class::Decisions, Class::Duplicates].map(Class::as_str);
    room.iter()
        .filter(|share| !gives_way.contains(&share.class))
        .map(|share| share.bytes)
        .sum()
}

/// How fast the journal has grown over the days whose sizes are known, a week at most.
fn grows_by_day(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let today = Timestamp::now().as_second().div_euclid(DAY_SECONDS);
    let sizes: Vec<(i64, i64)> = connection
        .prepare_cached("SELECT day, bytes FROM growth WHERE day >= ?1 ORDER BY day")?
        .query_map([today - 7], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(match (sizes.first(), sizes.last()) {
        (Some((first, before)), Some((last, after))) if last > first => Some((after - before) / (last - first)),
        _ => None,
    })
}

/// Counts of the moment.
pub(super) fn snapshot(connection: &Connection) -> rusqlite::Result<Snapshot> {
    let oldest: Option<i64> = connection
        .prepare_cached(
            "SELECT r.received_at FROM pending p JOIN raw r ON r.seq = p.seq WHERE p.position > 0 \
             ORDER BY p.position LIMIT 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    let mut snapshot = Snapshot {
        pending: Tally::read(connection)?.pending,
        oldest_pending_seconds: oldest.map_or(0, |at| (Timestamp::now().as_microsecond() - at).max(0) / 1_000_000),
        ..Snapshot::default()
    };
    let mut select = connection.prepare_cached("SELECT kind, reason, items FROM held_count")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        match row.get_ref(0)?.as_str()? {
            "parked" => snapshot.parked += row.get::<_, i64>(2)?,
            _ => *snapshot.quarantined.entry(row.get(1)?).or_default() += row.get::<_, i64>(2)?,
        }
    }
    Ok(snapshot)
}
