//! Events about deadlines of messages that are known to be open.
//!
//! A message with a status tells whether somebody still waits for an answer. [`Watch`] reads that from each decided
//! message and gives it to the [`Clocks`], which are kept in the journal; [`keep_telling`] wakes at the next moment and
//! stores a reminder as an item of its own, which goes the way of every message; [`normalize`] makes the event of it.
//!
//! Invariants: a reminder carries no citizen's words, contacts, address or files; it goes where the message went by the
//! rules of that time; its id depends only on the clock and its moment.

mod clocks;
mod event;
mod handle;
mod settings;
mod telling;
mod watch;

pub use clocks::{Clock, Told, Wanted, Watched, WatchedState};
pub use event::{is_own, normalize};
pub use handle::Clocks;
pub use settings::{DeadlineEvent, DeadlineSettings};
pub use telling::keep_telling;
pub use watch::Watch;

#[cfg(test)]
mod tests;
