//! The journal as operators see it: counts, quarantine, decisions, export, verification.
//!
//! Works on a journal in use (SQLite lets a second process read and write) and on one at rest.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, config::DbConfig, params};
use serde::Serialize;

use super::{FILE_NAME, JournalError, Record, read, schema};
use crate::privacy::veil;

/// Opens a connection for reading.
pub(super) fn open_reader(path: &Path) -> Result<Connection, JournalError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "cache_size", -4096)?;
    Ok(connection)
}

/// A journal opened by a command.
pub struct Store {
    pub(super) connection: Connection,
    folder: PathBuf,
}

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
    /// Identities remembered.
    pub known_objects: i64,
    /// Counts of the moment.
    #[serde(flatten)]
    pub now: Snapshot,
    /// Decisions kept, by channel, outcome and queue.
    pub decisions: Vec<DecisionCount>,
    /// Streams and their cursors.
    pub streams: Vec<StreamState>,
    /// Bytes in use, with the write-ahead log.
    pub bytes: u64,
    /// Bytes free on the disk.
    pub free_bytes: u64,
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

/// What became of one event.
#[derive(Debug, Clone, Serialize)]
pub struct Decided {
    /// Number of the item.
    pub seq: i64,
    /// Event id.
    pub event_id: String,
    /// Event type.
    pub event: String,
    /// `published`, `parked` or `ignored`.
    pub outcome: String,
    /// When.
    pub at: String,
    /// Channel.
    pub channel: String,
    /// Routing key.
    pub queue: String,
    /// What the rules decided.
    pub routing: serde_json::Value,
}

impl Store {
    /// Opens the journal in a folder.
    ///
    /// # Errors
    /// When there is none, or it is of another version.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let path = folder.join(FILE_NAME);
        if !path.exists() {
            return Err(JournalError::Missing {
                folder: folder.display().to_string(),
            });
        }
        let opened = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|connection| {
            connection.busy_timeout(Duration::from_secs(10))?;
            // A command that is the last to close the file folds no log: the daemon must find it as the crash left it.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            let found = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok((connection, found))
        });
        let (connection, found): (_, u32) = opened.map_err(|error| named(&path, JournalError::from(error)))?;
        if found > schema::VERSION {
            return Err(JournalError::TooNew {
                found,
                known: schema::VERSION,
            });
        }
        Ok(Self {
            connection,
            folder: folder.to_owned(),
        })
    }

    /// Counts and states.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn stats(&self) -> Result<Stats, JournalError> {
        let count = |table: &str| -> rusqlite::Result<i64> {
            self.connection
                .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
        };
        let oldest: Option<i64> = self
            .connection
            .query_row("SELECT min(received_at) FROM raw", [], |row| row.get(0))?;
        Ok(Stats {
            raw_items: count("raw")?,
            oldest_raw_at: oldest.map(time),
            known_objects: count("seen")?,
            now: snapshot(&self.connection)?,
            decisions: self.list(
                "SELECT channel, outcome, queue, count(*) FROM decision GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
                |row| {
                    Ok(DecisionCount {
                        channel: row.get(0)?,
                        outcome: row.get(1)?,
                        queue: row.get(2)?,
                        events: row.get(3)?,
                    })
                },
            )?,
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
            bytes: super::limits::used_bytes(&self.connection)? + super::limits::log_bytes(&self.folder),
            free_bytes: super::limits::free_bytes(&self.folder),
        })
    }

    /// A stored item by its number.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn raw(&self, seq: i64) -> Result<Option<Record>, JournalError> {
        Ok(read::raw(&self.connection, seq)?)
    }

    /// Stored items after a number, in order, at most `limit` and about 4 MB.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn raw_after(&self, seq: i64, limit: usize) -> Result<Vec<Record>, JournalError> {
        Ok(read::raw_after(&self.connection, seq, limit)?)
    }

    /// Number of the newest item ever stored; 0 before the first.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn newest_seq(&self) -> Result<i64, JournalError> {
        let query = "SELECT seq FROM sqlite_sequence WHERE name = 'raw'";
        Ok(self
            .connection
            .query_row(query, [], |row| row.get(0))
            .optional()?
            .unwrap_or(0))
    }

    /// Number of the oldest item that waits for publication.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn oldest_pending_seq(&self) -> Result<Option<i64>, JournalError> {
        Ok(self
            .connection
            .query_row("SELECT min(seq) FROM pending", [], |row| row.get(0))?)
    }

    /// What became of an event, or of every event of a message by its external id, or of an item by its number.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn decisions(&self, wanted: &str) -> Result<Vec<Decided>, JournalError> {
        let by_number = match (wanted.parse::<uuid::Uuid>(), wanted.parse::<i64>()) {
            (Ok(id), _) => self.decisions_where("d.event_id = ?1", &id.as_bytes().to_vec())?,
            (_, Ok(seq)) => self.decisions_where("d.seq = ?1", &seq)?,
            _ => Vec::new(),
        };
        if !by_number.is_empty() {
            return Ok(by_number);
        }
        self.decisions_where("d.seq IN (SELECT seq FROM raw WHERE external_id = ?1)", &wanted)
    }

    fn decisions_where(&self, condition: &str, value: &dyn rusqlite::ToSql) -> Result<Vec<Decided>, JournalError> {
        let mut select = self.connection.prepare(&format!(
            "SELECT d.seq, d.event_id, d.event, d.outcome, d.at, d.channel, d.queue, d.routing FROM decision d \
             WHERE {condition}"
        ))?;
        let rows = select.query_map([value], |row| {
            let id: Vec<u8> = row.get(1)?;
            let routing: String = row.get(7)?;
            Ok(Decided {
                seq: row.get(0)?,
                event_id: uuid::Uuid::from_slice(&id).unwrap_or_default().to_string(),
                event: row.get(2)?,
                outcome: row.get(3)?,
                at: time(row.get(4)?),
                channel: row.get(5)?,
                queue: row.get(6)?,
                routing: serde_json::from_str(&routing).unwrap_or(serde_json::Value::String(routing)),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// What was decided at or after a moment (microseconds since 1970), oldest first.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn decided_since(&self, at: i64) -> Result<Vec<Decided>, JournalError> {
        self.decisions_where("d.at >= ?1 ORDER BY d.at, d.seq", &at)
    }

    /// Numbers of stored items with an external id that are still pending or on hold.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn unsettled(&self, wanted: &str) -> Result<Vec<(i64, String)>, JournalError> {
        let mut select = self.connection.prepare(
            "SELECT r.seq, coalesce((SELECT CASE kind WHEN 'parked' THEN 'у брокера нет очереди: ' \
             ELSE 'карантин, ' || reason || ': ' END || why FROM held h WHERE h.seq = r.seq), 'очередь на отправку') FROM raw r WHERE (r.external_id = ?1 OR r.seq = ?2) AND (r.seq IN (SELECT seq FROM held) \
             OR r.seq IN (SELECT seq FROM pending))",
        )?;
        let number = wanted.parse::<i64>().unwrap_or(-1);
        let rows = select.query_map(params![wanted, number], |row| {
            Ok((row.get(0)?, veil(&row.get::<_, String>(1)?).into_owned()))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The journal's folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn list<T>(
        &self,
        query: &str,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, JournalError> {
        let mut select = self.connection.prepare(query)?;
        let rows = select.query_map([], map)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// Puts the name of the file in front.
pub(super) fn named(path: &Path, error: JournalError) -> JournalError {
    match error {
        JournalError::Unavailable { why } => JournalError::Unavailable {
            why: format!("{}: {why}", path.display()),
        },
        other => other,
    }
}

/// Counts of the moment.
pub(super) fn snapshot(connection: &Connection) -> rusqlite::Result<Snapshot> {
    let oldest: Option<i64> = connection
        .query_row(
            "SELECT r.received_at FROM pending p JOIN raw r ON r.seq = p.seq ORDER BY p.position LIMIT 1",
            [],
            |row| row.get(0),
        )
        .optional()?;
    let mut select =
        connection.prepare_cached("SELECT reason, count(*) FROM held WHERE kind = 'quarantined' GROUP BY 1")?;
    let quarantined = select
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Snapshot {
        pending: connection.query_row("SELECT count(*) FROM pending", [], |row| row.get(0))?,
        oldest_pending_seconds: oldest.map_or(0, |at| (Timestamp::now().as_microsecond() - at).max(0) / 1_000_000),
        parked: connection.query_row("SELECT count(*) FROM held WHERE kind = 'parked'", [], |row| row.get(0))?,
        quarantined,
    })
}

pub(super) fn time(microseconds: i64) -> String {
    Timestamp::from_microsecond(microseconds)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}
