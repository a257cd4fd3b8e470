//! Messages on one matter that came by several ways: linked, never dropped.
//!
//! Invariants:
//! - the link is stored before the message is published, so what is published again after a crash has the same one;
//! - the journal keeps keyed hashes only, and for a bounded time;
//! - the first message of a matter is never changed by what comes later: later ones point to it;
//! - a message that can't be linked (the journal does not answer) goes out without.

mod choice;
mod kin;
mod likeness;
mod settings;

use priem_sdk::{EventType, Message};
use tracing::warn;

pub use choice::Choice;
pub use settings::{DuplicateRoute, DuplicateSettings};

use self::kin::{Candidate, Find, Forget, Kinship};
use crate::{
    journal::{Journal, Record},
    telemetry::Metrics,
};

/// Flag that rules can ask for.
pub const FLAG: &str = "duplicate";

const MICROSECONDS_A_DAY: i64 = 86_400_000_000;

/// Finds what belongs together, with the journal's memory.
pub struct Linker {
    journal: Journal,
    metrics: Metrics,
    window: i64,
    least_letters: usize,
}

impl Linker {
    /// A linker, unless the settings switch it off. What is remembered is forgotten in its time either way: decisions
    /// after `days`.
    pub fn new(settings: &DuplicateSettings, days: u32, journal: &Journal, metrics: &Metrics) -> Option<Self> {
        journal.keep_swept(Forget::after(days));
        settings.enabled.then(|| Self {
            journal: journal.clone(),
            metrics: metrics.clone(),
            window: i64::from(settings.window_days) * MICROSECONDS_A_DAY,
            least_letters: settings.least_letters,
        })
    }

    /// Writes into each message, beside the item it is of, what it repeats. Returns after the journal has stored it.
    pub async fn link(&self, messages: &mut [(&Record, &mut Message)]) {
        if messages.is_empty() {
            return;
        }
        let candidates = messages.iter().map(|(record, message)| self.candidate(record, message));
        let found = match self.journal.ask(Find(candidates.collect())).await {
            Ok(found) => found,
            Err(error) => {
                warn!(%error, "duplicates can't be looked for; messages go on without links");
                return;
            }
        };
        for ((_, message), kinship) in messages.iter_mut().zip(found) {
            if let Some(kinship) = kinship {
                self.metrics
                    .linked
                    .with_label_values(&[message.data.channel.as_str(), kinship.reason.as_str()])
                    .inc();
                write(message, kinship);
            }
        }
    }

    fn candidate(&self, record: &Record, message: &Message) -> Candidate {
        let at = record.raw.received_at.as_microsecond();
        let has_words = matches!(message.event, EventType::Received | EventType::Updated);
        Candidate {
            connector: message.data.connector.clone(),
            external_id: message.data.external.id.clone(),
            event_id: message.id,
            channel: message.data.channel.clone(),
            keys: has_words.then(|| likeness::keys(message, self.least_letters)),
            at,
            until: at.saturating_add(self.window),
        }
    }
}

fn write(message: &mut Message, kinship: Kinship) {
    let relation = &mut message.data.relation;
    relation.cluster = Some(kinship.cluster.to_string());
    relation.duplicate_of = Some(kinship.of.to_string());
    relation.reason = Some(kinship.reason.as_str().to_owned());
    relation.seen_in = kinship.channels;
    let flags = &mut message.data.flags.other;
    if !flags.iter().any(|flag| flag == FLAG) {
        flags.push(FLAG.to_owned());
    }
}
