//! Opening the journal for the daemon: rights, the lock, what a crash left, and who looks after what from then on.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension};
use tracing::{info, warn};

use super::{
    FILE_NAME, JournalError, JournalSettings,
    clock::{Clock, Kept, Reading},
    contents,
    keeper::Keeper,
    loss::Before,
    mark::{Mark, Promise},
    meta,
    place::Place,
    schema, store,
};
use crate::{private, telemetry::Metrics};

/// How long the writer waits for another program's lock. Short: while it waits it answers nobody. What fails then is
/// tried again with the next request or tick.
const BUSY: Duration = Duration::from_millis(500);
/// Size the write-ahead log is cut to when it begins anew, in bytes.
const LOG_BYTES: i64 = 64 << 20;

/// A journal, open, before its threads.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    /// The writer's.
    pub(super) connection: Connection,
    pub(super) keeper: Keeper,
    pub(super) lock: File,
}

impl Opened {
    /// Opens or makes the journal; tells what was lost since it was closed. `read` tells the time.
    pub(super) fn open(
        settings: &JournalSettings,
        metrics: &Metrics,
        read: impl Fn() -> Reading + Send + Sync + 'static,
    ) -> Result<Self, JournalError> {
        let folder = &settings.dir;
        let unavailable = JournalError::of_file(folder);
        private::folder(folder).map_err(&unavailable)?;
        let lock = lock(folder)?;
        let path = folder.join(FILE_NAME);
        let is_new = !path.exists();
        private::database(&path).map_err(&unavailable)?;
        let before = Before::look(&path);
        let (mark, promised) = Mark::open(folder)?;
        let opened = connect(&path).and_then(|connection| {
            let journal = meta::name(&connection)?;
            let newest = newest_seq(&connection)?;
            before.compare(&connection, &journal, newest, promised.as_ref())?;
            let kept = promised.filter(|promise| promise.journal == journal);
            let kept = match kept {
                Some(promise) => Some(promise.clock),
                None => last_stored(&connection)?,
            };
            Ok((connection, journal, newest, kept))
        });
        let (connection, journal, newest, kept) = opened.map_err(|error| store::named(&path, error))?;
        if let Err(error) = contents::keep(folder, &connection) {
            warn!(%error, "the table of contents of the journal can't be kept beside it");
        }
        if is_new {
            info!(path = %path.display(), "a new journal was made");
        }
        let place = Place::of(&path).map_err(&unavailable)?;
        let clock = Clock::new(kept, read);
        let mut keeper = Keeper {
            place,
            displaced: None,
            promise: Promise {
                journal,
                seq: newest,
                clock: clock.kept(),
            },
            clock: Arc::new(clock),
            mark,
            metrics: metrics.clone(),
        };
        keeper.write();
        Ok(Self {
            path,
            connection,
            keeper,
            lock,
        })
    }
}

fn connect(path: &Path) -> Result<Connection, JournalError> {
    let mut connection = Connection::open(path)?;
    schema::prepare(&mut connection)?;
    // A helper thread folds the log; see `fold`.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// Number of the newest item ever stored; 0 before the first.
fn newest_seq(connection: &Connection) -> rusqlite::Result<i64> {
    let query = "SELECT seq FROM sqlite_sequence WHERE name = 'raw'";
    let newest = connection.query_row(query, [], |row| row.get(0)).optional()?;
    Ok(newest.unwrap_or(0))
}

/// The time of the newest item, for a journal without a mark.
fn last_stored(connection: &Connection) -> rusqlite::Result<Option<Kept>> {
    let query = "SELECT received_at FROM raw WHERE seq > 0 ORDER BY seq DESC LIMIT 1";
    let at = connection.query_row(query, [], |row| row.get(0)).optional()?;
    Ok(at.map(|trusted| Kept { trusted, doubted: None }))
}

/// Takes the folder for one process.
pub(super) fn lock(folder: &Path) -> Result<File, JournalError> {
    let path = folder.join("lock");
    let unavailable = JournalError::of_file(&path);
    let file = private::open(&path).map_err(&unavailable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(JournalError::InUse {
            folder: folder.display().to_string(),
        }),
        Err(std::fs::TryLockError::Error(error)) => Err(unavailable(error)),
    }
}
