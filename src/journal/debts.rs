//! Bound of what is handed over and not on disk yet, while nobody waits for it: ends of items, and owed jobs. While commits
//! fail these stay in memory; when there are too many, whoever brings more waits. Nothing is lost by that: what is not
//! recorded is published again after a restart.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{End, JournalError, Settlement};

/// Decisions and jobs' worth of work, at most: some 15 MB.
pub(super) const MOST: u32 = 8_192;

/// See the module.
pub(super) struct Debts {
    places: Arc<Semaphore>,
    given_up: CancellationToken,
    refused: AtomicBool,
}

/// Room for some of it, until this is dropped.
pub(super) type Places = OwnedSemaphorePermit;

impl Debts {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST as usize)),
            given_up: CancellationToken::new(),
            refused: AtomicBool::new(false),
        }
    }

    /// Waits for room for so many; more than fit at all count as all.
    ///
    /// # Errors
    /// After [`Debts::give_up`], when there is none.
    pub(super) async fn places(&self, count: usize) -> Result<Places, JournalError> {
        let count = u32::try_from(count).unwrap_or(MOST).clamp(1, MOST);
        let places = tokio::select! {
            biased;
            places = Arc::clone(&self.places).acquire_many_owned(count) => places.map_err(|_| JournalError::Closed),
            () = self.given_up.cancelled() => Err(JournalError::Closed),
        };
        // An end must not be recorded after what had to be recorded before it was refused.
        if places.is_err() || self.refused.load(Ordering::Relaxed) {
            self.refused.store(true, Ordering::Relaxed);
            return Err(JournalError::Closed);
        }
        places
    }

    /// From now on nobody waits for room.
    pub(super) fn give_up(&self) {
        self.given_up.cancel();
    }
}

/// How many places ends take.
pub(super) fn weight(settlements: &[Settlement]) -> usize {
    let weight = |settlement: &Settlement| match &settlement.end {
        End::Delivered { decisions, .. } => decisions.len().max(1),
        End::Quarantined { .. } => 1,
    };
    settlements.iter().map(weight).sum()
}
