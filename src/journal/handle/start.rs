//! Starting the journal: who works in which thread, with what.

use std::{
    sync::{Arc, mpsc::RecvTimeoutError},
    thread::JoinHandle,
    time::Instant,
};

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::{
    super::{
        JournalError, JournalSettings,
        append::AppendState,
        clock::Reading,
        debts::Debts,
        failing::{Failing, Told},
        fold::{self, Folding},
        job::Hashes,
        limits::{FullFlag, Limits},
        opening::Opened,
        retention::{Class, Retention},
        store,
        tail::Tail,
        turns::Turns,
        writer::Writer,
        writer_state::WriterState,
    },
    Journal, Shared,
};
use crate::telemetry::Metrics;

/// Commands that may wait for the writer; more make the callers wait.
const QUEUE: usize = 4_096;

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
        let turns = Arc::<Turns>::default();
        let mut fold = Folding::new(&path, Arc::clone(&turns))?;
        let clock = Arc::clone(&keeper.clock);
        let writer_state = Arc::new(WriterState::new());
        let (commands, receiver) = mpsc::channel(QUEUE);
        let tail = Arc::new(Tail::default());
        let sweeps = Arc::default();
        let mut state = AppendState::load(&connection)?;
        state.newest = keeper.promise.seq;
        let hashes = Hashes::with_key(state.hash_key);
        let full = Arc::<FullFlag>::default();
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
            writer_state: Arc::clone(&writer_state),
            healthy: true,
            full: Arc::clone(&full),
            turns: Arc::clone(&turns),
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
        let mut failing = Failing::default();
        let folding = spawn("journal-checkpoint", &ended, move || {
            while closing.recv_timeout(fold::EVERY) == Err(RecvTimeoutError::Timeout) {
                match failing.after(fold.fold().err(), Instant::now()) {
                    Some(Told::Fails { error, times }) => {
                        warn!(%error, times, "checkpoint of the journal failed");
                    }
                    Some(Told::Works { times }) => info!(times, "checkpoints of the journal work again"),
                    None => {}
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
                full,
                metrics: metrics.clone(),
                settings: settings.clone(),
                clock,
                writer_state,
                #[cfg(test)]
                turns,
                threads: Mutex::new(vec![writing, folding]),
                ended: ended.subscribe(),
                _lock: lock,
            }),
        };
        journal.observe()?;
        Ok(journal)
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

    use super::{
        super::super::job::{Job, Transaction},
        *,
    };

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
