//! What can go wrong in the journal, as decisions for the caller.

/// An error of the journal.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The limit on size or free space is reached: refuse new items until there is room.
    #[error("the journal is full: {why}")]
    Full {
        /// Which limit, with figures.
        why: String,
    },
    /// The store failed (disk full, read-only, broken): refuse new items; each new attempt tries again.
    #[error("the journal can't be written: {why}")]
    Unavailable {
        /// What SQLite said.
        why: String,
    },
    /// The file was written by a newer Priem.
    #[error("the journal has version {found}, this Priem knows up to {known}: it was written by a newer version")]
    TooNew {
        /// Version in the file.
        found: u32,
        /// Newest version known.
        known: u32,
    },
    /// Another daemon works with this journal.
    #[error("the journal in {folder} is in use by another priem")]
    InUse {
        /// Its folder.
        folder: String,
    },
    /// There is no journal there.
    #[error("no journal in {folder}: is `journal.dir` right, and did the daemon run?")]
    Missing {
        /// Its folder.
        folder: String,
    },
    /// The writer thread is gone; only at shutdown.
    #[error("the journal is closed")]
    Closed,
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unavailable { why: error.to_string() }
    }
}
