//! Whose turn it is to lock the file: the writer's, to begin a commit, or a cut's of the log, for as long as it takes.
//! SQLite's own lock would fail the commit when a cut takes longer than the writer waits for it.

use parking_lot::{Mutex, MutexGuard};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Turns {
    turn: Mutex<()>,
    /// How many wait for theirs.
    #[cfg(test)]
    waiting: std::sync::atomic::AtomicUsize,
}

impl Turns {
    /// Waits for the turn; it lasts until what is given is dropped.
    pub(super) fn take(&self) -> MutexGuard<'_, ()> {
        #[cfg(test)]
        self.waiting.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let turn = self.turn.lock();
        #[cfg(test)]
        self.waiting.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
        turn
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(std::sync::atomic::Ordering::SeqCst)
    }
}
