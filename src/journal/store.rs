//! The journal as operators see it: counts, quarantine, decisions, export, verification.
//!
//! Works on a journal in use (SQLite lets a second process read and write) and on one at rest.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, config::DbConfig};

use super::{FILE_NAME, JournalError, Record, opening, plan, read, schema};

/// Opens a connection for reading.
pub(super) fn open_reader(path: &Path) -> Result<Connection, JournalError> {
    let connection = Connection::open(path)?;
    plan::watch(&connection);
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "cache_size", -4096)?;
    connection.set_prepared_statement_cache_capacity(schema::STATEMENTS);
    Ok(connection)
}

/// A journal opened by a command.
pub struct Store {
    pub(super) connection: Connection,
    pub(super) folder: PathBuf,
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
        let (mut connection, found): (_, u32) = opened.map_err(|error| named(&path, JournalError::from(error)))?;
        match schema::refuse_foreign(&connection) {
            // It can't be read; that it is ours says its version. What it holds may be read all the same.
            Err(JournalError::Unavailable { .. }) if found == schema::VERSION => {}
            looked => looked.map_err(|error| named(&path, error))?,
        }
        if found > schema::VERSION {
            return Err(JournalError::TooNew {
                found,
                known: schema::VERSION,
            });
        }
        if found < schema::VERSION {
            // Not beside a daemon that knows the older tables only.
            let _alone = opening::lock(folder).map_err(|error| match error {
                JournalError::InUse { folder } => JournalError::Unavailable {
                    why: format!("the daemon that uses {folder} is older than this program: restart it first"),
                },
                other => other,
            })?;
            schema::migrate(&mut connection)?;
        }
        plan::watch(&connection);
        Ok(Self {
            connection,
            folder: folder.to_owned(),
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
            .query_row(
                "SELECT seq FROM pending WHERE position > 0 ORDER BY position LIMIT 1",
                [],
                |row| row.get(0),
            )
            .optional()?)
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
        JournalError::Foreign { .. } => JournalError::Foreign {
            file: path.display().to_string(),
        },
        other => other,
    }
}

pub(super) fn time(microseconds: i64) -> String {
    Timestamp::from_microsecond(microseconds)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}
