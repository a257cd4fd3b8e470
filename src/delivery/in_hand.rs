//! Which item a stage has in its hands, so that one the process dies over twice is put aside at the next start.

use std::{path::Path, time::Duration};

use priem_sdk::in_hand::{Deadly, InHand};

use crate::journal::Record;

/// Name of the note in `journal.dir`.
const FILE_NAME: &str = "in-hand";
/// Why an item is in quarantine: a bounded name, and the words for people.
pub(super) const REASON: &str = "killed_process";
pub(super) const WHY: &str = "the process died twice while it had this item in its hands; put aside so that the others \
     go on. Report it with the item; `priem quarantine retry` tries once more";

/// The note of one worker.
pub(super) struct ItemInHand(InHand);

impl ItemInHand {
    /// Opens the note in the journal's folder; the lock of the journal keeps others away from it.
    pub(super) fn open(journal: &Path) -> Self {
        Self(InHand::open(&journal.join(FILE_NAME)))
    }

    /// Notes that stages look at an item from now on.
    pub(super) fn take(&self, record: &Record) -> Result<(), Deadly> {
        self.0.take(format_args!("item {}", record.seq))
    }

    /// How much longer the worker waits at a start that follows a death.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.0.patience()
    }

    /// Nothing is looked at: before the worker waits for somebody.
    pub(super) fn clear(&self) {
        self.0.clear();
    }
}
