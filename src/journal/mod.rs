//! The journal: what was acknowledged is here, on disk, before the acknowledgement leaves.
//!
//! One embedded SQLite database, one writer thread. Everything that waits for the disk at one moment shares one commit
//! and one fsync (group commit). One commit holds an item's raw bytes, its dedupe key and the cursor of its stream, so
//! that no crash can part them.
//!
//! Readers: the pipeline takes stored items through [`Journal::pending_after`], from memory while they are fresh and
//! from disk otherwise; operators look through [`store::Store`], also while the daemon runs.

mod append;
mod check;
mod clock;
mod contents;
mod debts;
pub mod decided;
mod dedupe;
mod error;
mod export;
mod failing;
mod fault;
mod fold;
mod handle;
pub mod held;
mod job;
mod keeper;
mod keys;
mod ledger;
mod limits;
mod loss;
mod mark;
mod meta;
mod object;
mod old;
mod opening;
mod phrases;
mod piece;
mod place;
mod plan;
mod read;
pub mod retention;
mod schema;
pub mod settings;
mod settle;
mod settled;
pub mod stats;
pub mod store;
mod superseded;
mod sweep;
mod tail;
#[cfg(test)]
pub(crate) mod testing;
mod turns;
mod verify;
mod wal;
mod writer;
mod writer_state;
#[cfg(test)]
mod year;

use std::sync::Arc;

use bytes::Bytes;
use priem_sdk::RawItem;

pub use check::check;
pub use clock::Reading;
pub use error::JournalError;
pub use export::Exported;
pub use handle::Journal;
pub(crate) use job::{Hashes, Job, Look, Transaction};
pub use loss::Loss;
pub use mark::sweep_time;
pub(crate) use object::{Known, Lately, Newest, Object, Objects, Version};
pub use settings::JournalSettings;
pub(crate) use sweep::{Slices, Sweep};

/// Name of the database file in `journal.dir`.
pub const FILE_NAME: &str = "journal.sqlite";

/// A stored item that is not settled yet.
#[derive(Debug, Clone)]
pub struct Record {
    /// Order of publication.
    pub position: i64,
    /// Identity in the journal, for ever.
    pub seq: i64,
    /// Id of the stream it came from.
    pub stream: Arc<str>,
    /// Items with equal conversations keep their order.
    pub conversation: Option<String>,
    /// The item.
    pub raw: RawItem,
}

/// What an append did, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appended {
    /// Stored and waiting for publication.
    pub new: usize,
    /// Versions stored before.
    pub seen: usize,
    /// New versions that change nothing.
    pub unchanged: usize,
    /// Versions of an earlier time than the newest one; not stored.
    pub older: usize,
    /// Stored and held at once, by reason.
    pub quarantined: Vec<&'static str>,
    /// Quarantined items that a sound repetition has taken the place of.
    pub superseded: usize,
}

/// The end of an item's way, to be recorded.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// [`Record::position`].
    pub position: i64,
    /// [`Record::seq`].
    pub seq: i64,
    /// How it ended.
    pub end: End,
}

/// How an item's way ended.
#[derive(Debug, Clone)]
pub enum End {
    /// Every event is published or parked; an item with a parked event is held.
    Delivered {
        /// One for each event and queue.
        decisions: Vec<DecisionRecord>,
        /// Why the broker took none of a parked event, when there is one.
        parked: Option<Parked>,
    },
    /// It can't be understood: held, with a bounded reason and a text for people.
    Quarantined {
        /// Bounded reason.
        reason: String,
        /// For people; no citizen's words.
        why: String,
    },
}

/// Why the broker took none of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// `unroutable` or `refused`.
    pub reason: &'static str,
    /// For people; no citizen's words.
    pub why: String,
}

/// What was decided about one event, kept for «почему сюда?».
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRecord {
    /// Event id.
    pub event_id: uuid::Uuid,
    /// Event type on the wire, or `ignored`.
    pub event: &'static str,
    /// `published`, `parked` or `ignored`.
    pub outcome: &'static str,
    /// Channel.
    pub channel: String,
    /// Routing key.
    pub queue: String,
    /// [`priem_sdk::message::Routing`] as JSON.
    pub routing: Bytes,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Those who keep tables here know the journal; the journal knows none of them.
    #[test]
    fn imports_point_away_from_the_domain() {
        let mut files = 0;
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/journal")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                files += 1;
                let text = std::fs::read_to_string(&path).unwrap();
                for name in ["duplicates", "deadlines", "delivery", "runtime", "routing", "publish"] {
                    assert!(
                        !text.contains(&format!("crate::{name}")),
                        "{} imports {name}",
                        path.display()
                    );
                    assert!(
                        !text.contains(&format!("    {name}::")),
                        "{} imports {name}",
                        path.display()
                    );
                }
            }
        }
        assert!(files > 10, "{files} files");
    }
}
