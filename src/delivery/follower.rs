//! What the stage that follows works with.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{lonely::Lonely, quotes::Quotes, threads::Threads};
use crate::journal::Journal;

/// A handle on what went before. Cheap to clone.
#[derive(Clone)]
pub(super) struct Follower {
    pub journal: Journal,
    pub lonely: Arc<Mutex<Lonely>>,
    pub threads: Arc<Threads>,
    pub quotes: Arc<Quotes>,
}

impl Follower {
    /// Knows what the journal knows.
    pub fn new(journal: Journal) -> Self {
        Self {
            journal,
            lonely: Arc::default(),
            threads: Arc::default(),
            quotes: Arc::default(),
        }
    }
}
