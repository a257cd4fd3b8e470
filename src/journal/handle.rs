//! The daemon's handle on its journal.

use std::{
    fs::File,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use parking_lot::Mutex;
use priem_sdk::{Cursor, Item, contract::ConnectorId};
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::warn;

use super::{
    Appended, JournalError, JournalSettings, Loss, Record, Settlement,
    append::AppendState,
    clock::{Clock, Reading},
    debts::{self, Debts},
    fold::{self, Folding},
    job::{Asked, Hashes, Job, Look, Owed},
    limits::{self, Gate, Limits},
    loss,
    opening::Opened,
    piece::Append,
    read,
    retention::{Class, Retention},
    standing::{SLOW, Standing},
    stats, store,
    sweep::Sweep,
    tail::Tail,
    writer::{Command, Writer},
};
use crate::telemetry::Metrics;

/// Commands that may wait for the writer; more make the callers wait.
const QUEUE: usize = 4_096;
/// A commit that runs for longer is not one that waits for a frozen disk.
const LONGEST_COMMIT: Duration = Duration::from_secs(600);
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
    gate: Arc<Gate>,
    metrics: Metrics,
    settings: JournalSettings,
    clock: Arc<Clock>,
    standing: Arc<Standing>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// The thread that has panicked.
    ended: watch::Receiver<Option<&'static str>>,
    /// Held for the life of the journal: one daemon per folder.
    _lock: File,
}

impl Journal {
    /// Opens or creates the journal and starts its threads.
    ///
    /// # Errors
    /// When the folder or file can't be used, is in use, or is of a newer version.
    pub fn open(settings: &JournalSettings, metrics: &Metrics) -> Result<Self, JournalError> {
        Self::open_at(settings, metrics, Reading::now)
    }

    /// The same, with something else that tells the time.
    ///
    /// # Errors
    /// See [`Journal::open`].
    pub fn open_at(
        settings: &JournalSettings,
        metrics: &Metrics,
        read: impl Fn() -> Reading + Send + Sync + 'static,
    ) -> Result<Self, JournalError> {
        let Opened {
            path,
            connection,
            keeper,
            lock,
        } = Opened::open(settings, metrics, read)?;
        let reader = store::open_reader(&path)?;
        let turns = Arc::<Mutex<()>>::default();
        let mut fold = Folding::new(&path, Arc::clone(&turns))?;
        let clock = Arc::clone(&keeper.clock);
        let standing = Arc::new(Standing::new());
        let (commands, receiver) = mpsc::channel(QUEUE);
        let tail = Arc::new(Tail::default());
        let sweeps = Arc::default();
        let mut state = AppendState::load(&connection)?;
        state.newest = keeper.promise.seq;
        let hashes = Hashes::with_key(state.hash_key);
        let gate = Arc::<Gate>::default();
        let writer = Writer {
            state,
            limits: Limits::new(settings),
            retention: Retention::new(settings.raw_days, settings.dedupe_days),
            tail: Arc::clone(&tail),
            metrics: metrics.clone(),
            owed: Vec::new(),
            places: Vec::new(),
            failed: 0,
            sweeps: Arc::clone(&sweeps),
            keeper,
            standing: Arc::clone(&standing),
            healthy: true,
            gate: Arc::clone(&gate),
            turns,
        };
        metrics.journal_writable.set(1);
        for class in Class::ALL {
            // From zero on, so that the first one is an increase.
            metrics.journal_evicted.with_label_values(&[class.as_str()]);
        }
        metrics
            .journal_limit_bytes
            .set(i64::try_from(settings.max_bytes).unwrap_or(i64::MAX));
        let (closed, closing) = std::sync::mpsc::channel::<()>();
        let ended = watch::Sender::new(None);
        let writing = spawn("journal-writer", &ended, move || {
            writer.run(&connection, receiver);
            drop(closed);
        })?;
        let folding = spawn("journal-checkpoint", &ended, move || {
            while closing.recv_timeout(fold::EVERY) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                if let Err(error) = fold.fold() {
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
                gate,
                metrics: metrics.clone(),
                settings: settings.clone(),
                clock,
                standing,
                threads: Mutex::new(vec![writing, folding]),
                ended: ended.subscribe(),
                _lock: lock,
            }),
        };
        journal.observe()?;
        Ok(journal)
    }

    /// Stores items and, with them, the new cursor of the stream with this id. Returns after the commit.
    ///
    /// # Errors
    /// Nothing of the call is stored; but when the disk did not answer in time it may be later, and is known then when
    /// it is given again.
    pub async fn append(
        &self,
        connector: &ConnectorId,
        stream: impl Into<Arc<str>>,
        items: Vec<Item>,
        cursor: Option<Cursor>,
    ) -> Result<Appended, JournalError> {
        self.shared.gate.pass()?;
        let (reply, outcome) = oneshot::channel();
        let append = Append {
            connector: connector.clone(),
            stream: stream.into(),
            items,
            cursor,
            reply,
        };
        self.send_in_time(Command::Append(append)).await?;
        self.answer_in_time(outcome).await
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
    /// Nothing of it is stored; but when the disk did not answer in time it may be later.
    pub(crate) async fn ask<J: Job>(&self, job: J) -> Result<J::Answer, JournalError> {
        let (asked, answer) = Asked::new(job);
        self.send_in_time(Command::Ask(asked)).await?;
        self.answer_in_time(answer).await
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

    /// Waits until everything handed over before is on disk. Answers at once when the disk does not.
    ///
    /// # Errors
    /// When the commit failed, the store is away or the journal is closed.
    pub async fn flush(&self) -> Result<(), JournalError> {
        let (reply, done) = oneshot::channel();
        self.send_in_time(Command::Flush(reply)).await?;
        self.answer_in_time(done).await
    }

    /// Lets a slice of the housekeeping happen; call it every few seconds. Waits for nobody: when too much waits for
    /// the writer, there is time at the next call.
    ///
    /// # Errors
    /// Only when the journal is closed.
    pub async fn tick(&self) -> Result<(), JournalError> {
        let commands = self.shared.commands.as_ref().ok_or(JournalError::Closed)?;
        match commands.try_send(Command::Tick) {
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(JournalError::Closed),
        }
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

    /// Pending items from a position to another, in order, as they are on disk.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn pending_between(&self, from: i64, until: i64, limit: usize) -> Result<Vec<Arc<Record>>, JournalError> {
        self.read(move |reader| read::pending_between(reader, from, until, limit))
            .await
    }

    /// Brings the gauges of the journal up to date. Gives what was found to be lost and nobody has acknowledged.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn observe(&self) -> Result<Vec<Loss>, JournalError> {
        let metrics = &self.shared.metrics;
        let folder = &self.shared.settings.dir;
        let gauge = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        metrics.journal_free_bytes.set(gauge(limits::free_bytes(folder)));
        let log = limits::log_bytes(folder);
        metrics.journal_log_bytes.set(gauge(log));
        let reader = self.shared.reader.lock();
        let snapshot = stats::snapshot(&reader)?;
        let used = limits::used_bytes(&reader)?;
        let losses = loss::list(&reader)?;
        let room = stats::room(&reader)?;
        drop(reader);
        metrics.pending.set(snapshot.pending);
        metrics.parked.set(snapshot.parked);
        metrics.oldest_pending_seconds.set(snapshot.oldest_pending_seconds);
        metrics.quarantine.reset();
        for (reason, count) in &snapshot.quarantined {
            metrics.quarantine.with_label_values(&[reason]).set(*count);
        }
        for share in &room {
            metrics
                .journal_class_bytes
                .with_label_values(&[share.class])
                .set(share.bytes);
        }
        metrics.journal_fixed_bytes.set(stats::fixed_bytes(&room));
        metrics.journal_bytes.set(gauge(used.saturating_add(log)));
        metrics.journal_losses.set(losses.len() as i64);
        Ok(losses)
    }

    /// Waits until one of the journal's threads has ended, which none does while anybody holds the journal; gives its
    /// name. Nothing can be stored or settled then before the journal is opened anew.
    pub fn thread_ended(&self) -> impl Future<Output = &'static str> + use<> {
        let mut ended = self.shared.ended.clone();
        async move {
            let name = ended.wait_for(Option::is_some).await;
            name.ok().and_then(|name| *name).unwrap_or("journal")
        }
    }

    /// Items not yet settled.
    pub fn pending_count(&self) -> i64 {
        self.shared.metrics.pending.get()
    }

    /// What keeps the journal from taking new items now: the last refusal, or a commit that does not end. Waits for
    /// nobody; brings its gauge up to date.
    pub fn trouble(&self) -> Option<JournalError> {
        let trouble = self.shared.standing.trouble();
        self.shared.metrics.journal_writable.set(i64::from(trouble.is_none()));
        trouble
    }

    /// Whether the writer is inside a commit just now.
    pub fn is_committing(&self) -> bool {
        self.shared.standing.running().is_some()
    }

    /// Whether the writer has been inside one commit for longer than any frozen or overloaded disk explains.
    pub fn is_stuck(&self) -> bool {
        let running = self.shared.standing.running();
        running.is_some_and(|running| running >= LONGEST_COMMIT)
    }

    /// Whether the journal takes new items, as far as can be told without trying.
    pub fn is_writable(&self) -> bool {
        self.trouble().is_none()
    }

    /// How far the clock of the computer is from what the journal takes for the time (negative: behind), while it is
    /// doubted.
    pub fn clock_doubt(&self) -> Option<SignedDuration> {
        let doubt = self.shared.clock.now().doubt;
        (doubt != 0).then(|| SignedDuration::from_micros(doubt))
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

    /// Hands a command over, unless the writer hangs.
    async fn send_in_time(&self, command: Command) -> Result<(), JournalError> {
        let commands = self.shared.commands.as_ref().ok_or(JournalError::Closed)?;
        loop {
            if let Some(error) = self.shared.standing.hangs() {
                return Err(error);
            }
            // The queue is as good as never full, but stays so when the disk does not answer.
            if let Ok(permit) = tokio::time::timeout(SLOW, commands.reserve()).await {
                permit.map_err(|_| JournalError::Closed)?.send(command);
                return Ok(());
            }
        }
    }

    /// Waits for an answer, unless the writer hangs.
    async fn answer_in_time<T>(
        &self,
        mut answer: oneshot::Receiver<Result<T, JournalError>>,
    ) -> Result<T, JournalError> {
        loop {
            if let Ok(answered) = tokio::time::timeout(SLOW / 2, &mut answer).await {
                return answered.map_err(|_| JournalError::Closed)?;
            }
            if let Some(error) = self.shared.standing.hangs() {
                return Err(error);
            }
        }
    }

    /// Hands over what must not be lost, however long that takes.
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

/// Tells that its thread has panicked; it ends in no other way while somebody holds the journal.
struct Tell(&'static str, watch::Sender<Option<&'static str>>);

impl Drop for Tell {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.1.send_replace(Some(self.0));
        }
    }
}

fn spawn(
    name: &'static str,
    ended: &watch::Sender<Option<&'static str>>,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, JournalError> {
    let tell = Tell(name, ended.clone());
    std::thread::Builder::new()
        .name(name.into())
        .spawn(move || {
            let _tell = tell;
            work();
        })
        .map_err(|error| JournalError::Unavailable {
            why: format!("can't start a thread: {error}"),
        })
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, path::Path};

    use super::{super::job::Transaction, *};

    /// A bug inside the writer's thread, where nothing can be taken back.
    struct Bug;

    impl Job for Bug {
        type Answer = ();

        const NAME: &'static str = "bug";

        fn run(&mut self, _: &mut Transaction<'_>) -> rusqlite::Result<()> {
            Ok(())
        }

        fn ended(&mut self, _: bool) {
            panic!("a bug")
        }
    }

    #[tokio::test]
    async fn the_end_of_the_writers_thread_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let settings = JournalSettings {
            dir: folder.path().join("journal"),
            ..JournalSettings::default()
        };
        let journal = Journal::open(&settings, &Metrics::new()).unwrap();
        let ended = journal.thread_ended();
        assert!(journal.ask(Bug).await.is_err());
        assert_eq!(ended.await, "journal-writer");
        assert!(journal.flush().await.is_err());
    }

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
