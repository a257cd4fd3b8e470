//! Messages on one matter that came by several ways: linked, never dropped.
//!
//! Invariants:
//! - the link is stored before the message is published, so what is published again after a crash has the same one;
//! - the journal keeps keyed hashes only, and for a bounded time;
//! - the first message of a matter is never changed by what comes later: later ones point to it;
//! - a message that can't be linked (the journal does not answer) goes out without;
//! - the work for a message does not depend on how often it is repeated.

mod choice;
mod clusters;
mod floods;
mod index;
mod likeness;
mod link;
mod log;
mod memory;
mod old;
mod settings;

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use priem_sdk::{EventType, Message};
use tracing::warn;

pub use choice::Choice;
pub use settings::{DuplicateRoute, DuplicateSettings};

use self::{
    floods::Floods,
    link::{Candidate, Link},
    memory::{Find, Forget, Load, Shared},
};
use crate::{
    journal::{Hashes, Journal, JournalError, Record},
    telemetry::Metrics,
};

/// Flag that rules can ask for.
pub const FLAG: &str = "duplicate";

const MICROSECONDS_A_DAY: i64 = 86_400_000_000;

/// Finds what belongs together, with the journal's memory. Cheap to clone.
#[derive(Clone)]
pub struct Linker {
    journal: Journal,
    metrics: Metrics,
    hashes: Hashes,
    memory: Shared,
    floods: Arc<Mutex<Floods>>,
    days: u32,
    window: i64,
    least_letters: usize,
}

impl Linker {
    /// A linker, unless the settings switch it off. What is remembered is forgotten in its time either way: decisions
    /// after `days`.
    pub fn new(settings: &DuplicateSettings, days: u32, journal: &Journal, metrics: &Metrics) -> Option<Self> {
        let memory = Shared::default();
        let floods = Arc::new(Mutex::new(Floods::new(metrics)));
        journal.keep_swept(Forget::after(days, Arc::clone(&memory), Arc::clone(&floods)));
        settings.enabled.then(|| Self {
            journal: journal.clone(),
            metrics: metrics.clone(),
            hashes: journal.hashes(),
            memory,
            floods,
            days,
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
        let found = match self.find(candidates.collect()).await {
            Ok(found) => found,
            Err(error) => {
                warn!(%error, "duplicates can't be looked for; messages go on without links");
                return;
            }
        };
        let now = Timestamp::now().as_microsecond();
        for ((_, message), link) in messages.iter_mut().zip(found) {
            if let Some(link) = link {
                let at = message.data.times.received.as_microsecond();
                self.floods.lock().count(link.cluster, &message.data.connector, at, now);
                self.metrics
                    .linked
                    .with_label_values(&[self.metrics.channel(&message.data.channel), link.reason.as_str()])
                    .inc();
                write(message, link);
            }
        }
    }

    async fn find(&self, candidates: Vec<Candidate>) -> Result<Vec<Option<Link>>, JournalError> {
        let is_read = (self.memory.lock().as_ref()).is_some_and(|memory| !memory.is_spent(candidates.len()));
        if !is_read {
            let now = Timestamp::now().as_microsecond();
            let memory = self.journal.look(Load { now, days: self.days }).await?;
            *self.memory.lock() = Some(memory);
        }
        let memory = Arc::clone(&self.memory);
        self.journal.ask(Find { candidates, memory }).await
    }

    fn candidate(&self, record: &Record, message: &Message) -> Candidate {
        let at = record.raw.received_at.as_microsecond();
        let has_words = matches!(message.event, EventType::Received | EventType::Updated);
        // An item may tell of other objects than itself.
        let (data, raw) = (&message.data, &record.raw);
        let came_before = match data.external.id == raw.external_id {
            true => raw.ordinal > 0,
            false => message.event != EventType::Received,
        };
        Candidate {
            object: link::object(&self.hashes, &data.connector, &data.external.id),
            seq: record.seq,
            came_before,
            event_id: message.id,
            channel: message.data.channel.clone(),
            keys: has_words.then(|| likeness::keys(message, self.least_letters, &self.hashes)),
            at,
            until: at.saturating_add(self.window),
        }
    }
}

fn write(message: &mut Message, link: Link) {
    let relation = &mut message.data.relation;
    relation.cluster = Some(link.cluster.to_string());
    relation.duplicate_of = Some(link.of.to_string());
    relation.reason = Some(link.reason.as_str().to_owned());
    relation.seen_in = link.channels;
    let flags = &mut message.data.flags.other;
    if !flags.iter().any(|flag| flag == FLAG) {
        flags.push(FLAG.to_owned());
    }
}
