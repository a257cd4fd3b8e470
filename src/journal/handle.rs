//! The daemon's handle on its journal.

use std::{
    fs::{DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use priem_sdk::{Cursor, Item, contract::ConnectorId};
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::{
    Appended, FILE_NAME, JournalError, JournalSettings, Record, Settlement,
    append::AppendState,
    debts::{self, Debts},
    job::{Asked, Hashes, Job, Look, Owed},
    limits::{self, Limits},
    read,
    retention::Retention,
    schema, store,
    sweep::Sweep,
    tail::Tail,
    writer::{self, Append, Command, Writer},
};
use crate::{rights, telemetry::Metrics};

/// Commands that may wait for the writer; more make the callers wait.
const QUEUE: usize = 4_096;
/// Pause between two foldings of the write-ahead log.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(200);
/// How long the pipeline waits before it looks for items that another process (`quarantine retry`) made pending.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A journal open for the daemon. Cheap to clone; the last clone closes it.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    commands: Option<mpsc::Sender<Command>>,
    /// Shared with reads under way, so that these don't keep the journal open.
    reader: Arc<Mutex<Connection>>,
    tail: Arc<Tail>,
    sweeps: Arc<Mutex<Vec<Box<dyn Sweep>>>>,
    hashes: Hashes,
    debts: Debts,
    metrics: Metrics,
    settings: JournalSettings,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held for the life of the journal: one daemon per folder.
    _lock: File,
}

impl Journal {
    /// Opens or creates the journal and starts its threads.
    ///
    /// # Errors
    /// When the folder or file can't be used, is in use, or is of a newer version.
    pub fn open(settings: &JournalSettings, metrics: &Metrics) -> Result<Self, JournalError> {
        let unavailable = |error: std::io::Error| JournalError::Unavailable {
            why: format!("{}: {error}", settings.dir.display()),
        };
        private_folder(&settings.dir).map_err(unavailable)?;
        let lock = lock(&settings.dir)?;
        let path = settings.dir.join(FILE_NAME);
        private_file(&path).map_err(unavailable)?;
        let mut connection = Connection::open(&path)?;
        schema::prepare(&mut connection)?;
        // A helper thread folds the log; see `writer::checkpoint`.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        let reader = store::open_reader(&path)?;
        let folder = store::open_reader(&path)?;
        let (commands, receiver) = mpsc::channel(QUEUE);
        let tail = Arc::new(Tail::default());
        let sweeps = Arc::default();
        let state = AppendState::load(&connection)?;
        let hashes = Hashes::with_key(state.hash_key);
        let writer = Writer {
            state,
            limits: Limits::new(settings),
            retention: Retention::new(settings.raw_days, settings.dedupe_days),
            tail: Arc::clone(&tail),
            metrics: metrics.clone(),
            owed: Vec::new(),
            owed_jobs: Vec::new(),
            places: Vec::new(),
            sweeps: Arc::clone(&sweeps),
            healthy: true,
        };
        metrics.journal_writable.set(1);
        metrics
            .journal_limit_bytes
            .set(i64::try_from(settings.max_bytes).unwrap_or(i64::MAX));
        let (closed, closing) = std::sync::mpsc::channel::<()>();
        let writing = spawn("journal-writer", move || {
            writer.run(&connection, receiver);
            drop(closed);
        })?;
        let folding = spawn("journal-checkpoint", move || {
            while closing.recv_timeout(CHECKPOINT_EVERY) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                if let Err(error) = writer::checkpoint(&folder) {
                    warn!(%error, "checkpoint of the journal failed");
                }
            }
        })?;
        let journal = Self {
            shared: Arc::new(Shared {
                commands: Some(commands),
                reader: Arc::new(Mutex::new(reader)),
                tail,
                sweeps,
                hashes,
                debts: Debts::new(),
                metrics: metrics.clone(),
                settings: settings.clone(),
                threads: Mutex::new(vec![writing, folding]),
                _lock: lock,
            }),
        };
        journal.observe()?;
        Ok(journal)
    }

    /// Stores items and, with them, the new cursor of the stream with this id. Returns after the commit.
    ///
    /// # Errors
    /// Nothing of the call is stored.
    pub async fn append(
        &self,
        connector: &ConnectorId,
        stream: impl Into<Arc<str>>,
        items: Vec<Item>,
        cursor: Option<Cursor>,
    ) -> Result<Appended, JournalError> {
        let (reply, outcome) = oneshot::channel();
        let append = Append {
            connector: connector.clone(),
            stream: stream.into(),
            items,
            cursor,
            reply,
        };
        self.send(Command::Append(append)).await?;
        outcome.await.map_err(|_| JournalError::Closed)?
    }

    /// Records the end of items' ways, with the next commit or the one after, until it holds. Waits only while too much
    /// is owed already, because commits fail.
    ///
    /// # Errors
    /// When the journal is closed, or was given up: the items are published again after a restart.
    pub async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), JournalError> {
        let places = self.shared.debts.places(debts::weight(&settlements)).await?;
        self.send(Command::Settle(settlements, places)).await
    }

    /// Does something inside the next commit. Returns after it, with the answer.
    ///
    /// # Errors
    /// Nothing of it is stored.
    pub(crate) async fn ask<J: Job>(&self, job: J) -> Result<J::Answer, JournalError> {
        let (asked, answer) = Asked::new(job);
        self.send(Command::Ask(asked)).await?;
        answer.await.map_err(|_| JournalError::Closed)?
    }

    /// Does something with the next commit, or the one after, until it holds. Waits only while too much is owed already.
    ///
    /// # Errors
    /// When the journal is closed, or was given up.
    pub(crate) async fn owe<J: Job<Answer = ()>>(&self, job: J) -> Result<(), JournalError> {
        let places = self.shared.debts.places(job.weight()).await?;
        self.send(Command::Owe(Box::new(Owed(job)), places)).await
    }

    /// Ends all waiting for room of [`Journal::settle`]: the daemon stops, and must not hang on a store that can't write.
    pub fn give_up(&self) {
        self.shared.debts.give_up();
    }

    /// Looks at what is stored.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub(crate) async fn look<L: Look>(&self, question: L) -> Result<L::Answer, JournalError> {
        self.read(move |reader| question.look(reader)).await
    }

    /// The same, on the caller's thread, which may block.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub(crate) fn look_now<L: Look>(&self, question: &L) -> Result<L::Answer, JournalError> {
        Ok(question.look(&self.shared.reader.lock())?)
    }

    /// Hashes that only this journal's key can make again.
    pub(crate) fn hashes(&self) -> Hashes {
        self.shared.hashes
    }

    /// From now on sweeps somebody's tables at every tick.
    pub(crate) fn keep_swept(&self, sweep: impl Sweep + 'static) {
        self.shared.sweeps.lock().push(Box::new(sweep));
    }

    /// Waits until everything handed over before is on disk.
    ///
    /// # Errors
    /// When the commit failed or the journal is closed.
    pub async fn flush(&self) -> Result<(), JournalError> {
        let (reply, done) = oneshot::channel();
        self.send(Command::Flush(reply)).await?;
        done.await.map_err(|_| JournalError::Unavailable {
            why: "the last commit failed".into(),
        })
    }

    /// Lets a slice of the housekeeping happen; call it every few seconds.
    ///
    /// # Errors
    /// Only when the journal is closed.
    pub async fn tick(&self) -> Result<(), JournalError> {
        self.send(Command::Tick).await
    }

    /// Where a stream goes on.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn cursor(&self, connector: &ConnectorId, stream: &str) -> Result<Option<Cursor>, JournalError> {
        let (connector, stream) = (connector.to_string(), stream.to_owned());
        self.read(move |reader| {
            reader
                .query_row(
                    "SELECT value FROM cursor WHERE connector = (SELECT id FROM connector WHERE name = ?1) \
                     AND stream = ?2",
                    [connector, stream],
                    |row| row.get(0).map(Cursor),
                )
                .optional()
        })
        .await
    }

    /// The next pending items after a position, in order; waits until there is one. Cancel-safe.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn pending_after(&self, position: i64, limit: usize) -> Result<Vec<Arc<Record>>, JournalError> {
        loop {
            if let Some(records) = self.shared.tail.take_after(position, limit) {
                return Ok(records);
            }
            let records = self
                .read(move |reader| read::pending_after(reader, position, limit))
                .await?;
            if !records.is_empty() {
                return Ok(records);
            }
            // Either way we look again; the pause only bounds how long a retry from outside goes unnoticed.
            let _ = tokio::time::timeout(LOOK_EVERY, self.shared.tail.grown()).await;
        }
    }

    /// Brings the gauges of the journal up to date.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn observe(&self) -> Result<(), JournalError> {
        let reader = self.shared.reader.lock();
        let snapshot = store::snapshot(&reader)?;
        let used = limits::used_bytes(&reader)?;
        drop(reader);
        let metrics = &self.shared.metrics;
        metrics.pending.set(snapshot.pending);
        metrics.parked.set(snapshot.parked);
        metrics.oldest_pending_seconds.set(snapshot.oldest_pending_seconds);
        metrics.quarantine.reset();
        for (reason, count) in &snapshot.quarantined {
            metrics.quarantine.with_label_values(&[reason]).set(*count);
        }
        metrics.journal_bytes.set(i64::try_from(used).unwrap_or(i64::MAX));
        let free = limits::free_bytes(&self.shared.settings.dir);
        metrics.journal_free_bytes.set(i64::try_from(free).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Items not yet settled.
    pub fn pending_count(&self) -> i64 {
        self.shared.metrics.pending.get()
    }

    /// Whether the journal takes new items, as far as the last commit told.
    pub fn is_writable(&self) -> bool {
        self.shared.metrics.journal_writable.get() == 1
    }

    /// Runs a read on a thread where blocking is allowed.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let reader = Arc::clone(&self.shared.reader);
        let result = tokio::task::spawn_blocking(move || work(&reader.lock())).await;
        match result {
            Ok(value) => Ok(value?),
            Err(_) => Err(JournalError::Closed),
        }
    }

    async fn send(&self, command: Command) -> Result<(), JournalError> {
        let Some(commands) = &self.shared.commands else {
            return Err(JournalError::Closed);
        };
        commands.send(command).await.map_err(|_| JournalError::Closed)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let started = Instant::now();
        self.commands = None;
        for thread in self.threads.get_mut().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the journal panicked");
            }
        }
        tracing::debug!(milliseconds = started.elapsed().as_millis(), "journal closed");
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, JournalError> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map_err(|error| JournalError::Unavailable {
            why: format!("can't start a thread: {error}"),
        })
}

/// Makes the folder when it is missing, for its owner only: the journal holds personal data. One that is there already
/// is left as it is.
/// Makes the folder when it is missing. Into one that others can write into they could put SQLite's rollback journal.
fn private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    rights::own_folder(folder)
}

/// Makes an empty file when it is missing, for its owner only. SQLite takes an empty file for a new database and gives
/// the files beside it (`-wal`, `-shm`) the same rights.
fn private_file(path: &Path) -> io::Result<()> {
    let made = File::options().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

fn lock(folder: &Path) -> Result<File, JournalError> {
    let path = folder.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path);
    let file = file.map_err(|error| JournalError::Unavailable {
        why: format!("{}: {error}", path.display()),
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(JournalError::InUse {
            folder: folder.display().to_string(),
        }),
        Err(std::fs::TryLockError::Error(error)) => Err(JournalError::Unavailable {
            why: format!("{}: {error}", path.display()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn rights(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_journal_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let settings = JournalSettings {
            dir: folder.path().join("journal"),
            ..JournalSettings::default()
        };
        let journal = Journal::open(&settings, &Metrics::new()).unwrap();
        assert_eq!(rights(&settings.dir), 0o700);
        for entry in std::fs::read_dir(&settings.dir).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(rights(&path), 0o600, "{}", path.display());
        }
        drop(journal);
    }
}
