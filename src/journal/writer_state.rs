//! How the writer stands, for those who may not wait for it: a disk that does not answer holds the writer inside a
//! commit, where nobody can ask it anything.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::JournalError;

/// A commit that runs for longer says that the disk does not answer; a healthy one takes milliseconds.
pub(super) const SLOW: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(super) struct WriterState {
    start: Instant,
    /// Milliseconds from `start` to the beginning of the commit that runs, plus one; 0 between commits.
    running: AtomicU64,
    /// Why the last commit failed, or why it took no new items.
    refusal: Mutex<Option<JournalError>>,
}

impl WriterState {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            running: AtomicU64::new(0),
            refusal: Mutex::default(),
        }
    }

    /// A commit begins.
    pub(super) fn begin(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.running.store(now + 1, Ordering::Relaxed);
    }

    /// It has ended, well or not.
    pub(super) fn end(&self) {
        self.running.store(0, Ordering::Relaxed);
    }

    /// How long the commit that runs has been running.
    pub(super) fn running(&self) -> Option<Duration> {
        let since = self.running.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.start.elapsed().saturating_sub(Duration::from_millis(since)))
    }

    /// Whether new items are taken, as the last commit told.
    pub(super) fn set_refusal(&self, error: Option<&JournalError>) {
        *self.refusal.lock() = error.cloned();
    }

    /// What keeps the journal from taking new items now.
    pub(super) fn trouble(&self) -> Option<JournalError> {
        self.hangs().or_else(|| self.refusal.lock().clone())
    }

    /// Whether a commit takes so long that the disk can't be well.
    pub(super) fn hangs(&self) -> Option<JournalError> {
        let running = self.running()?;
        (running > SLOW).then(|| JournalError::Unavailable {
            why: format!(
                "a commit has been running for {} s: the disk or file system does not answer",
                running.as_secs()
            ),
        })
    }
}
