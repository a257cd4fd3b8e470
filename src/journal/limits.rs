//! How much the journal may hold. Looked at before every commit, cheaply.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use rusqlite::Connection;

use super::{FILE_NAME, JournalError, JournalSettings};
use crate::private;

/// Sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// Pages in use.
    pub(super) used: u64,
    /// Free space on the disk.
    pub(super) free: u64,
}

/// The limits.
pub(super) struct Limits {
    folder: PathBuf,
    max_bytes: u64,
    min_free_bytes: u64,
}

impl Limits {
    pub(super) fn new(settings: &JournalSettings) -> Self {
        Self {
            folder: settings.dir.clone(),
            max_bytes: settings.max_bytes,
            min_free_bytes: settings.min_free_bytes,
        }
    }

    /// What is used and free now. Asking the file system costs a microsecond, a commit hundreds: no need to remember.
    pub(super) fn usage(&self, connection: &Connection) -> rusqlite::Result<Usage> {
        Ok(Usage {
            used: used_bytes(connection)?,
            free: free_bytes(&self.folder),
        })
    }

    /// Whether so much more must go before new items fit.
    pub(super) fn over_size(&self, usage: Usage) -> bool {
        usage.used >= self.max_bytes
    }

    /// Whether the limit is so near that room is made before it is reached: accepting need not wait for it then.
    pub(super) fn is_tight(&self, usage: Usage) -> bool {
        let margin = (self.max_bytes / 64).min(64 << 20);
        usage.used.saturating_add(margin) >= self.max_bytes
    }

    /// Refuses when there is no room for new items.
    pub(super) fn check(&self, usage: Usage) -> Result<(), JournalError> {
        if self.over_size(usage) {
            return Err(JournalError::Full {
                why: format!("{} bytes used, journal.max_bytes is {}", usage.used, self.max_bytes),
            });
        }
        if usage.free < self.min_free_bytes {
            return Err(JournalError::Full {
                why: format!(
                    "{} bytes free on the disk, journal.min_free_bytes is {}",
                    usage.free, self.min_free_bytes
                ),
            });
        }
        Ok(())
    }
}

/// What those who have new items look at before they wait for the writer: a full journal refuses at once, and the writer
/// has time to drain it.
#[derive(Debug, Default)]
pub(super) struct FullFlag {
    is_set: AtomicBool,
    why: Mutex<Option<JournalError>>,
}

impl FullFlag {
    /// Sets it when the journal is full, clears it else: a store that failed is tried again by each new item.
    pub(super) fn set(&self, trouble: Option<&JournalError>) {
        let full = trouble.filter(|error| matches!(error, JournalError::Full { .. }));
        if full.is_some() || self.is_set.load(Ordering::Relaxed) {
            *self.why.lock() = full.cloned();
            self.is_set.store(full.is_some(), Ordering::Release);
        }
    }

    /// Refuses while it is set.
    ///
    /// # Errors
    /// The journal is full.
    pub(super) fn check(&self) -> Result<(), JournalError> {
        if self.is_set.load(Ordering::Acquire)
            && let Some(error) = &*self.why.lock()
        {
            return Err(error.clone());
        }
        Ok(())
    }
}

/// Bytes of the pages that hold something.
pub(super) fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name: &str| -> rusqlite::Result<i64> {
        connection
            .prepare_cached(&format!("PRAGMA {name}"))?
            .query_row([], |row| row.get(0))
    };
    let used = (pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?;
    Ok(u64::try_from(used).unwrap_or(0))
}

/// Size of the write-ahead log beside the database in a folder.
pub(super) fn log_bytes(folder: &Path) -> u64 {
    let log = private::beside(&folder.join(FILE_NAME), "-wal");
    std::fs::metadata(log).map_or(0, |metadata| metadata.len())
}

/// Free space on the disk of a folder, for unprivileged users; 0 when it can't be told.
pub(super) fn free_bytes(folder: &Path) -> u64 {
    rustix::fs::statvfs(folder).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}
