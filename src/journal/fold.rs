//! Folding the write-ahead log back into the database, from a connection and thread of its own: it takes milliseconds
//! off some commits.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rusqlite::Connection;

use super::{limits::log_bytes, store, turns::Turns};

/// Pause between two foldings.
pub(super) const EVERY: Duration = Duration::from_millis(200);
/// Pages in the log at which it is made to begin anew although writers keep it going.
const MOST_PAGES: i64 = 16_384;
/// Pages that may be left to fold while the writer is kept out: some milliseconds.
const FEW_PAGES: i64 = 512;
/// Foldings in a row before a cut; each has less to do than the one before, unless the disk is too slow for the load.
const MOST_ROUNDS: usize = 8;
/// Size of a log that is cut as soon as nobody writes, in bytes.
const IDLE_BYTES: u64 = 8 << 20;
/// Looks without a new page after which nobody writes.
const IDLE_LOOKS: u32 = 5;

/// See the module.
pub(super) struct Folding {
    connection: Connection,
    folder: PathBuf,
    turns: Arc<Turns>,
    /// Pages in the log at the last look, and for how many looks.
    last: i64,
    still: u32,
}

impl Folding {
    pub(super) fn new(database: &std::path::Path, turns: Arc<Turns>) -> Result<Self, super::JournalError> {
        let connection = store::open_reader(database)?;
        // Cutting the log keeps the writer out: it may not wait for readers while it does.
        connection.busy_timeout(Duration::ZERO)?;
        Ok(Self {
            connection,
            folder: database.parent().map(PathBuf::from).unwrap_or_default(),
            turns,
            last: 0,
            still: 0,
        })
    }

    /// Folds what no reader needs; cuts a large log, when a long reader has ended or the storm is over.
    pub(super) fn fold(&mut self) -> rusqlite::Result<()> {
        let (pages, folded) = self.checkpoint("PASSIVE")?;
        self.still = if pages == self.last { self.still + 1 } else { 0 };
        self.last = pages;
        let idle = self.still >= IDLE_LOOKS && log_bytes(&self.folder) > IDLE_BYTES;
        if folded == pages && (pages > MOST_PAGES || idle) {
            self.cut(pages)?;
        }
        Ok(())
    }

    /// Makes the log begin anew. That keeps the writer out until everything is folded, so what came while the last
    /// folding ran goes first, again and again until little is left.
    fn cut(&mut self, mut seen: i64) -> rusqlite::Result<()> {
        for _ in 0..MOST_ROUNDS {
            let (pages, folded) = self.checkpoint("PASSIVE")?;
            if folded < pages {
                return Ok(());
            }
            if pages - seen <= FEW_PAGES {
                // The writer waits for its turn then; it would find the file locked else.
                let turn = self.turns.take();
                let cut = self.checkpoint("TRUNCATE");
                drop(turn);
                self.still = 0;
                return cut.map(drop);
            }
            seen = pages;
        }
        Ok(())
    }

    fn checkpoint(&self, mode: &str) -> rusqlite::Result<(i64, i64)> {
        self.connection
            .prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?
            .query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
    }
}

#[cfg(test)]
mod tests;
