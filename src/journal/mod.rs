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
pub mod deadlines;
mod dedupe;
mod error;
mod handle;
pub mod held;
pub mod kin;
mod limits;
mod read;
mod retention;
mod schema;
pub mod settings;
mod settle;
pub mod store;
mod tail;
mod writer;

use std::sync::Arc;

use bytes::Bytes;
use priem_sdk::RawItem;

pub use check::check;
pub use error::JournalError;
pub use handle::Journal;
pub use settings::JournalSettings;

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
    /// Stored and held at once, by reason.
    pub quarantined: Vec<&'static str>,
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
        parked: Option<String>,
    },
    /// It can't be understood: held, with a bounded reason and a text for people.
    Quarantined {
        /// Bounded reason.
        reason: String,
        /// For people; no citizen's words.
        why: String,
    },
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
