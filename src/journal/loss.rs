//! What the journal promised and does not hold any more: found when the daemon opens it, told until a person has seen
//! it (`priem journal acknowledge`).
//!
//! Two witnesses: the write-ahead log as it lies there before SQLite touches it ([`wal`](super::wal)), and the mark
//! beside the database ([`mark`](super::mark)).

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use super::{
    mark::Promise,
    wal::{self, Log},
};
use crate::private;

const KEY: &str = "losses";
/// Losses remembered; more are the same trouble again.
const MOST: usize = 20;

/// One loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// When it was found.
    pub found_at: Timestamp,
    /// What is missing, in words.
    pub what: String,
}

/// The write-ahead log before it is opened.
#[derive(Debug, Default)]
pub(super) struct Before {
    log: Option<Log>,
    copy: Option<PathBuf>,
}

impl Before {
    /// Looks at the log beside a database. A damaged one is kept: the next commits write over it, and a person may get
    /// more out of it than SQLite does.
    pub(super) fn look(database: &Path) -> Self {
        let log = wal::look(database).unwrap_or_else(|error| {
            warn!(%error, "the write-ahead log of the journal can't be looked at");
            None
        });
        let mut before = Self { log, copy: None };
        if before.log.is_some_and(|log| log.is_damaged()) {
            let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
            let copy = private::beside(database, &format!("-wal.damaged-{time}"));
            match keep(&private::beside(database, "-wal"), &copy) {
                Ok(()) => before.copy = Some(copy),
                Err(error) => error!(%error, "the damaged write-ahead log can't be copied"),
            }
        }
        before
    }

    /// Compares what is there now with what was promised; notes and tells what is missing.
    pub(super) fn compare(
        &self,
        connection: &Connection,
        journal: &str,
        newest: i64,
        promised: Option<&Promise>,
    ) -> rusqlite::Result<()> {
        if let Some(log) = self.log.filter(|log| log.frames > 0) {
            info!(
                frames = log.frames,
                recovered = log.recovered,
                "the journal was not closed; its write-ahead log was recovered"
            );
        }
        let mut missing = missing(self.log, journal, newest, promised);
        if let (Some(copy), Some(first)) = (&self.copy, missing.first_mut()) {
            first.push_str(&format!("; the damaged log is kept in {}", copy.display()));
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut losses = list(connection)?;
        for what in missing {
            error!(what, "the journal has lost something it had acknowledged");
            losses.push(Loss {
                found_at: Timestamp::now(),
                what,
            });
        }
        losses.truncate(MOST);
        let text = serde_json::to_vec(&losses).expect("losses are plain data");
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", (KEY, text))?;
        Ok(())
    }
}

/// What is missing, in words.
pub(super) fn missing(log: Option<Log>, journal: &str, newest: i64, promised: Option<&Promise>) -> Vec<String> {
    let mut missing = Vec::new();
    if let Some(log) = log.filter(Log::is_damaged) {
        missing.push(format!(
            "the write-ahead log is damaged: {} of its {} frames could not be recovered, with the ends of {} transactions",
            log.frames - log.recovered,
            log.frames,
            log.commits_lost
        ));
    }
    match promised {
        Some(promise) if promise.journal != journal && promise.seq > 0 => missing.push(format!(
            "the journal that was here, with items up to {}, is gone; another one is in its place",
            promise.seq
        )),
        Some(promise) if promise.journal == journal && promise.seq > newest => missing.push(format!(
            "items {} to {} were acknowledged and are not here: polled sources give them again, senders of webhooks \
             do not",
            newest + 1,
            promise.seq
        )),
        _ => {}
    }
    missing
}

/// Losses nobody has acknowledged.
pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<Loss>> {
    let text: Option<Vec<u8>> = connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([KEY], |row| row.get(0))
        .optional()?;
    Ok(text
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default())
}

/// A person has seen them.
pub(super) fn acknowledge(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM meta WHERE key = ?1", [KEY]).map(drop)
}

fn keep(from: &Path, to: &Path) -> io::Result<()> {
    let mut copy = private::open(to)?;
    io::copy(&mut BufReader::new(File::open(from)?), &mut copy)?;
    copy.sync_all()
}
