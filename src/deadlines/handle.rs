//! The clocks as the daemon sees them: kept in the journal, told by it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::clocks::{Count, Forget, Next, Note, Tell, Told, Wanted, Watched};
use crate::{
    journal::{Journal, JournalError},
    telemetry::Metrics,
};

/// A handle on the clocks in a journal. Cheap to clone.
#[derive(Clone)]
pub struct Clocks {
    journal: Journal,
    changed: Arc<Notify>,
    decided_up_to: Arc<AtomicI64>,
}

impl Clocks {
    /// The clocks of a journal. Objects are forgotten `days` after the last of their clocks ran out.
    pub fn new(journal: &Journal, days: u32) -> Self {
        journal.keep_swept(Forget::after(days));
        Self {
            journal: journal.clone(),
            changed: Arc::default(),
            decided_up_to: Arc::default(),
        }
    }

    /// Whether the clock of the computer has jumped, so that nothing may be told by it.
    pub fn doubted(&self) -> bool {
        self.journal.clock_doubt().is_some()
    }

    /// Notes how objects stand, with the journal's next commit.
    ///
    /// # Errors
    /// Only when the journal is closed.
    pub async fn watch(&self, watched: Vec<Watched>) -> Result<(), JournalError> {
        let changed = Arc::clone(&self.changed);
        let noted = move || changed.notify_one();
        self.journal.owe(Note { watched, noted }).await
    }

    /// Every item up to this position of the journal was decided, and what it says of its objects noted: it may wait
    /// for its queue as long as it likes without holding up reminders.
    pub fn decided(&self, position: i64) {
        self.decided_up_to.fetch_max(position, Ordering::AcqRel);
    }

    /// Stores the reminders that are due at `now`, as items that wait for publication. Returns after the commit.
    ///
    /// # Errors
    /// Nothing is told then; it stays due.
    pub async fn tell(&self, now: Timestamp, wanted: Wanted) -> Result<Told, JournalError> {
        let tell = Tell {
            at: now.as_microsecond(),
            wanted,
            decided_up_to: self.decided_up_to.load(Ordering::Acquire),
        };
        self.journal.ask(tell).await
    }

    /// When the next reminder is due.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn next(&self) -> Result<Option<Timestamp>, JournalError> {
        let next = self.journal.look(Next).await?;
        Ok(next.map(|at| Timestamp::from_microsecond(at).unwrap_or(Timestamp::MAX)))
    }

    /// Waits until [`Clocks::watch`] has changed something since the last call. For one waiter.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Brings the gauges of the clocks up to date. Blocks.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn observe(&self, metrics: &Metrics) -> Result<(), JournalError> {
        let at = Timestamp::now().as_microsecond();
        let running = self.journal.look_now(&Count { at })?;
        metrics.deadlines_open.set(running.open);
        metrics.deadlines_overdue.set(running.overdue);
        Ok(())
    }
}
