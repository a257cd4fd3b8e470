//! Why a transaction of the writer does not hold: the store's fault, or that of one piece of it.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
};

use rusqlite::ErrorCode;

use super::{JournalError, piece::Piece};

/// The panic's own text could quote a citizen; the panic hook logs the place.
const PANICKED: &str = "it panicked; please report it as a bug";

/// Where a transaction came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Before the first piece, or in the commit itself.
    Store,
    /// While room was made for this piece.
    Room(usize),
    /// In this piece.
    Piece(usize),
    /// While the counts and keys of all of them were written.
    Ledger,
}

/// Why a transaction does not hold.
pub(super) struct Fault {
    pub(super) place: Place,
    why: Why,
}

enum Why {
    Sqlite(rusqlite::Error),
    Panic,
}

impl Fault {
    /// Whether the store is at fault and not what was asked of it: everything else fails too, and all of it may be done
    /// later. An error of a piece is its own unless it is known to be of the store.
    pub(super) fn is_of_the_store(&self) -> bool {
        let Why::Sqlite(error) = &self.why else { return false };
        let is_known = matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::SystemIoFailure
                    | ErrorCode::DiskFull
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::ReadOnly
                    | ErrorCode::CannotOpen
                    | ErrorCode::PermissionDenied
                    | ErrorCode::OutOfMemory
                    | ErrorCode::OperationInterrupted
                    | ErrorCode::OperationAborted
                    | ErrorCode::FileLockingProtocolFailed
                    | ErrorCode::NoLargeFileSupport
                    | ErrorCode::NotADatabase
                    | ErrorCode::SchemaChanged
            )
        );
        is_known || self.place == Place::Store
    }

    /// For callers.
    pub(super) fn error(self) -> JournalError {
        match self.why {
            Why::Sqlite(error) => error.into(),
            Why::Panic => JournalError::Unavailable { why: PANICKED.into() },
        }
    }

    /// For people.
    pub(super) fn why(&self) -> String {
        match &self.why {
            Why::Sqlite(error) => error.to_string(),
            Why::Panic => PANICKED.into(),
        }
    }
}

/// Takes a group apart whose transaction ended at a place.
pub(super) fn part(mut group: Vec<Piece>, place: Place, groups: &mut VecDeque<Vec<Piece>>) {
    let (alone, behind) = match place {
        Place::Room(number) | Place::Piece(number) => (number, number + 1),
        // Each may be at fault.
        Place::Ledger | Place::Store => (group.len() / 2, group.len() / 2),
    };
    let behind = group.split_off(behind);
    let alone = group.split_off(alone);
    for part in [behind, alone, group] {
        if !part.is_empty() {
            groups.push_front(part);
        }
    }
}

/// Does a part of a transaction; a panic fails it like an error.
pub(super) fn at<T>(place: Place, work: impl FnOnce() -> rusqlite::Result<T>) -> Result<T, Fault> {
    let why = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => Why::Sqlite(error),
        Err(_) => Why::Panic,
    };
    Err(Fault { place, why })
}
