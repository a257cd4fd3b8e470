//! What one look at a source brought.

use std::time::Duration;

use jiff::civil::DateTime;

use super::{Cursor, Item};

/// What one `poll` brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// New items, oldest first.
    pub items: Vec<Item>,
    /// Where to go on once the items are stored.
    pub next: Cursor,
    /// When to ask again.
    pub wait: Wait,
    /// Work that stands around this page, for progress on long imports.
    pub progress: Option<Progress>,
    /// The platform says that events before [`Page::next`] were lost: what is known about the loss. The host alarms and
    /// counts it, stores page and cursor as usual, and at once wakes the other polled streams of the connector, those
    /// with the same key first, to catch up. Told again and again without a sound answer in between, it is one gap.
    pub gap: Option<String>,
    /// The platform was asked to hold the call while it has nothing to tell (a long poll), and answered at once
    /// ([`HttpResponse::is_hasty`](crate::http::HttpResponse::is_hasty)). When it does so with nothing new, again and again,
    /// the host asks with growing pauses.
    pub is_hasty: bool,
    /// As of when the items speak, by the source's own clock, when it says so (the newest day in an export). What is of an
    /// earlier moment than the newest stored version of its object is not stored, nor what is of the same moment and was
    /// so before; see [`Connector::left_out`](super::Connector::left_out).
    pub as_of: Option<DateTime>,
    /// The page behind [`Page::next`] may be asked for while this one is being stored: asking acknowledges nothing and
    /// changes nothing at the source. It is asked for again when this one could not be stored.
    pub ahead: bool,
}

/// What lies at a source and is never read, however long one waits: somebody must act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAlone {
    /// How many there are.
    pub count: u64,
    /// What they are, why they are not read, and the cure. Holds no citizen's data.
    pub why: String,
}

/// When the host should poll again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wait {
    /// At once: there is more, or the call itself waits (long poll).
    #[default]
    Now,
    /// After this pause. The host makes it four minutes at most: a longer silence counts as deafness.
    For(Duration),
}

/// Progress of a long import. Holds no citizen's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is being read (a file name).
    pub what: String,
    /// Rows or bytes done.
    pub done: u64,
    /// Rows or bytes in all, when known.
    pub total: Option<u64>,
    /// `rows` or `bytes`.
    pub unit: &'static str,
}
