//! What the writer is asked for, in pieces: each may fail for itself without costing the others anything.

use std::sync::Arc;

use priem_sdk::{Cursor, Item, contract::ConnectorId};
use tokio::sync::oneshot;
use tracing::error;

use super::{Appended, End, JournalError, Settlement, append::Incoming, job::Work};

/// Why an item is in quarantine whose end could not be recorded.
pub(super) const UNRECORDED: &str = "unrecorded";

pub(super) type Outcome = Result<Appended, JournalError>;

/// Items of one stream, to be stored together.
pub(super) struct Append {
    pub(super) connector: ConnectorId,
    pub(super) stream: Arc<str>,
    pub(super) items: Vec<Item>,
    pub(super) as_of: Option<i64>,
    pub(super) cursor: Option<Cursor>,
    pub(super) reply: oneshot::Sender<Outcome>,
}

impl Append {
    pub(super) fn incoming(&self) -> Incoming<'_> {
        Incoming {
            connector: &self.connector,
            stream: &self.stream,
            items: &self.items,
            as_of: self.as_of,
            cursor: self.cursor.as_ref(),
        }
    }
}

/// See the module. In the order of a transaction: what had to be noted before an item's end comes before it, and what
/// comes new is stored last, when it is known how much room there is.
pub(super) enum Piece {
    /// A job somebody waits for.
    Asked(Box<dyn Work>),
    /// A job that is done again until a commit holds.
    Owed(Box<dyn Work>),
    /// The end of an item's way, which is owed too.
    End(Settlement),
    /// The same that could not be recorded as it is: the item goes into quarantine.
    Unrecorded(Settlement),
    /// Time for housekeeping.
    Tick,
    /// Housekeeping in tables of others, by number.
    Sweep(usize),
    /// A job that stores items, with why it may not.
    Storing(Box<dyn Work>, Result<(), JournalError>),
    /// New items, with what came of them.
    Append(Append, Option<Outcome>),
    /// A look whether new items would fit, without any.
    Probe,
}

impl Piece {
    /// Its place in a transaction.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Asked(_) => 0,
            Self::Owed(_) => 1,
            Self::End(_) | Self::Unrecorded(_) => 2,
            Self::Tick => 3,
            Self::Sweep(_) => 4,
            Self::Storing(..) => 5,
            Self::Append(..) => 6,
            Self::Probe => 7,
        }
    }

    /// Whether it is done again until a commit holds.
    pub(super) fn is_owed(&self) -> bool {
        matches!(self, Self::Owed(_) | Self::End(_) | Self::Unrecorded(_))
    }

    /// Whether it wants to know how much room there is.
    pub(super) fn needs_room(&self) -> bool {
        matches!(self, Self::Storing(..) | Self::Append(..) | Self::Probe)
    }

    /// New items it brings.
    pub(super) fn coming(&self) -> usize {
        match self {
            Self::Append(append, _) => append.items.len(),
            _ => 0,
        }
    }

    /// It holds.
    pub(super) fn done(self) {
        match self {
            Self::Asked(mut job) | Self::Owed(mut job) => job.end(Ok(())),
            Self::Storing(mut job, allowed) => job.end(allowed.as_ref().copied()),
            Self::Append(append, outcome) => {
                let _ = append.reply.send(outcome.unwrap_or(Err(JournalError::Closed)));
            }
            Self::End(_) | Self::Unrecorded(_) | Self::Tick | Self::Sweep(_) | Self::Probe => {}
        }
    }

    /// Nothing of its last run holds; it may be run again.
    pub(super) fn taken_back(&mut self) {
        match self {
            Self::Asked(job) | Self::Owed(job) | Self::Storing(job, Ok(())) => job.taken_back(),
            Self::Append(_, outcome) => *outcome = None,
            _ => {}
        }
    }

    /// Nothing of it holds: whoever waits hears it; what is owed is given back.
    pub(super) fn refused(self, error: &JournalError) -> Option<Self> {
        match self {
            Self::Asked(mut job) | Self::Storing(mut job, _) => job.end(Err(error)),
            Self::Append(append, _) => {
                let _ = append.reply.send(Err(error.clone()));
            }
            Self::Owed(_) | Self::End(_) | Self::Unrecorded(_) => return Some(self),
            Self::Tick | Self::Sweep(_) | Self::Probe => {}
        }
        None
    }

    /// It can't be done, for a reason of its own: whoever waits hears it, and it is told. Gives what is to be done
    /// instead: the halves of a job, or quarantine for an item whose end can't be recorded.
    pub(super) fn failed(self, why: &str) -> Vec<Self> {
        match self {
            Self::Owed(mut job) => {
                if let Some(half) = job.halve() {
                    return vec![Self::Owed(job), Self::Owed(half)];
                }
                error!(
                    job = job.name(),
                    items = ?job.items(),
                    why,
                    "the journal can't do an owed job; it is given up, everything else goes on"
                );
            }
            Self::End(settlement) => {
                let seq = settlement.seq;
                error!(
                    seq,
                    why, "the end of an item can't be recorded; the item goes into quarantine, everything else goes on"
                );
                let end = End::Quarantined {
                    reason: UNRECORDED.to_owned(),
                    why: format!(
                        "what became of it can't be recorded: {why}. It may have been published; `priem quarantine \
                         retry` publishes it again under the same id"
                    ),
                };
                return vec![Self::Unrecorded(Settlement { end, ..settlement })];
            }
            Self::Unrecorded(settlement) => error!(
                seq = settlement.seq,
                why,
                "nor can the item be put into quarantine: it stays pending and is published again at the next start"
            ),
            piece => {
                let what = piece.name();
                error!(
                    what,
                    why, "the journal can't do this, for a reason of its own; everything else goes on"
                );
                piece.refused(&JournalError::NotDone {
                    why: format!("{what}: {why}"),
                });
            }
        }
        Vec::new()
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Asked(job) | Self::Owed(job) | Self::Storing(job, _) => job.name(),
            Self::End(_) | Self::Unrecorded(_) => "record the end of an item",
            Self::Tick => "housekeeping",
            Self::Sweep(_) => "housekeeping of duplicates and deadlines",
            Self::Append(..) => "store new items",
            Self::Probe => "look for room",
        }
    }
}
