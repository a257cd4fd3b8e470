//! What can go wrong in the journal, as decisions for the caller.

use std::{io, path::Path};

use rusqlite::ErrorCode;

/// An error of the journal.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The limit on size or free space is reached: refuse new items until there is room.
    #[error("the journal is full: {why}")]
    Full {
        /// Which limit, with figures.
        why: String,
    },
    /// The store failed (disk full, read-only, broken, locked): refuse new items; each new attempt tries again.
    #[error("the journal can't be used: {why}")]
    Unavailable {
        /// What SQLite said.
        why: String,
    },
    /// The file is not where it was opened any more: refuse new items, publish what was accepted before.
    #[error(
        "the journal's file was taken away or replaced while the daemon works with it: {why}; what was accepted goes on \
         being published and lives only in this process: no restart while items wait"
    )]
    Displaced {
        /// Which file, and what became of it.
        why: String,
    },
    /// What was asked for can't be done, for a reason of its own: everything else goes on.
    #[error("the journal can't do this: {why}")]
    NotDone {
        /// What it is, and what was said of it.
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
    /// A database that is none of ours.
    #[error(
        "{file} is a database of another program and no journal: it was left as it is; move it away, or name another \
         folder in journal.dir"
    )]
    Foreign {
        /// Which.
        file: String,
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

impl JournalError {
    /// What the system says of a file or folder.
    pub(super) fn of_file(path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| Self::Unavailable {
            why: format!("{}: {error}", path.display()),
        }
    }
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        let cure = match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => "it is no journal, or its beginning is damaged: put back a copy",
            Some(ErrorCode::DatabaseCorrupt) => {
                "the file is damaged: `priem journal verify` says how, `priem journal export` saves what can be read"
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "another program holds the file locked; `fuser -v` on it tells which"
            }
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
                "the file and its folder must be writable, also for reading: use the account of the service \
                 (sudo -u priem)"
            }
            Some(ErrorCode::SystemIoFailure) => "the disk or file system fails; the kernel's log says more (dmesg)",
            _ => return Self::Unavailable { why: error.to_string() },
        };
        Self::Unavailable {
            why: format!("{error} ({cure})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_store_comes_with_a_cure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "not a database at all, but long enough".repeat(40)).unwrap();
        let connection = rusqlite::Connection::open(&path).unwrap();
        let error = connection.query_row("SELECT * FROM a", [], |_| Ok(())).unwrap_err();
        let text = JournalError::from(error).to_string();
        assert!(text.contains("put back a copy"), "{text}");
    }
}
