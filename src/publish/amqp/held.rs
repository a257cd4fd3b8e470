//! What one lane holds of queues that refuse: each queue's messages wait apart, in the order they came, and never take
//! the room of others.
//!
//! While a queue refuses, one message at a time asks whether it takes again, after growing pauses; once it does, the
//! number in flight doubles with each answer. Of one conversation never more than one is in flight: otherwise a queue
//! that refuses the first and takes the second would turn them round. So a queue stays held, in every lane, until
//! nobody calls it refusing any more.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use jiff::Timestamp;

use super::flights::Letter;
use crate::publish::queues::Queues;

/// Shortest pause between two questions of which each costs a channel.
const COSTLY_PAUSE: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Default)]
pub(super) struct Held {
    queues: Vec<HeldQueue>,
    /// Whose turn it is when several queues take again.
    turn: usize,
}

struct HeldQueue {
    name: String,
    since: Instant,
    /// By order of arrival.
    waiting: BTreeMap<u64, Letter>,
    /// Conversations of what is in flight; one entry a message.
    aloft: Vec<u64>,
    /// How many may be in flight.
    window: usize,
    /// When the next one asks.
    retry_at: Option<Instant>,
    pauses: ExponentialBackoff,
    /// Whether others were told that something waits here.
    told: bool,
}

impl HeldQueue {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.aloft.is_empty()
    }

    fn may_send(&self, now: Instant) -> bool {
        let Some((_, first)) = self.waiting.first_key_value() else {
            return false;
        };
        self.aloft.len() < self.window
            && self.retry_at.is_none_or(|at| at <= now)
            && !self.aloft.contains(&first.outgoing.order_key)
    }
}

impl Held {
    /// Whether messages of this queue are held.
    pub(super) fn holds(&self, queue: &str) -> bool {
        self.queues.iter().any(|held| held.name == queue)
    }

    /// Begins to hold a queue. `aloft` are the conversations of its messages in flight.
    pub(super) fn begin(&mut self, queue: &str, aloft: Vec<u64>) {
        self.queues.push(HeldQueue {
            name: queue.to_owned(),
            since: Instant::now(),
            waiting: BTreeMap::new(),
            aloft,
            window: 1,
            retry_at: None,
            pauses: pauses(),
            told: false,
        });
    }

    /// Keeps a message of a held queue; gives back one of any other.
    pub(super) fn keep(&mut self, letter: Letter) -> Option<Letter> {
        if self.queues.is_empty() {
            return Some(letter);
        }
        match self.find(&letter.outgoing.routing_key) {
            Some(held) => {
                held.waiting.insert(letter.arrival, letter);
                None
            }
            None => Some(letter),
        }
    }

    /// The queue refused: nothing more until a pause is over.
    pub(super) fn refused(&mut self, queue: &str) {
        let Some(held) = self.find(queue) else { return };
        held.window = 1;
        let now = Instant::now();
        // Several refusals of what was sent together are one.
        if held.retry_at.is_none_or(|at| at <= now) {
            held.retry_at = held.pauses.next().map(|pause| now + pause);
        }
    }

    /// Each question costs a channel: they are asked seldom.
    pub(super) fn costs_a_channel(&mut self, queue: &str) {
        if let Some(held) = self.find(queue) {
            let now = Instant::now();
            held.retry_at = held.retry_at.max(Some(now + COSTLY_PAUSE));
        }
    }

    /// A message in flight was answered; `taken`: the queue took it (or had none), so it does not refuse.
    pub(super) fn landed(&mut self, queue: &str, order_key: u64, taken: bool, most: usize) {
        if self.queues.is_empty() {
            return;
        }
        let Some(held) = self.find(queue) else { return };
        if let Some(index) = held.aloft.iter().position(|key| *key == order_key) {
            held.aloft.swap_remove(index);
        }
        if taken {
            held.window = (held.window * 2).min(most.max(1));
            held.retry_at = None;
            held.pauses = pauses();
        }
    }

    /// The next message that may be sent, when fewer than `most` of all held queues are in flight.
    pub(super) fn next(&mut self, now: Instant, most: usize) -> Option<Letter> {
        let aloft: usize = self.queues.iter().map(|held| held.aloft.len()).sum();
        if self.queues.is_empty() || aloft >= most.max(1) {
            return None;
        }
        let count = self.queues.len();
        let index = (0..count)
            .map(|step| (self.turn + step) % count)
            .find(|index| self.queues[*index].may_send(now))?;
        self.turn = index + 1;
        let held = &mut self.queues[index];
        let (_, letter) = held.waiting.pop_first()?;
        held.aloft.push(letter.outgoing.order_key);
        Some(letter)
    }

    /// When the next pause is over.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let waiting = self.queues.iter().filter(|held| !held.waiting.is_empty());
        waiting.filter_map(|held| held.retry_at).filter(|at| *at > now).min()
    }

    /// The channel is gone: nothing is in flight any more.
    pub(super) fn grounded(&mut self) {
        for held in &mut self.queues {
            held.aloft.clear();
        }
    }

    /// Takes out what waited longer than `limit`, both since the queue began to refuse and since it was accepted.
    pub(super) fn give_up(&mut self, queue: &str, limit: Duration, now: Timestamp) -> Vec<Letter> {
        let Some(held) = self.find(queue) else {
            return Vec::new();
        };
        if held.since.elapsed() < limit {
            return Vec::new();
        }
        let is_old = |letter: &Letter| {
            Duration::try_from(now.duration_since(letter.outgoing.received_at)).is_ok_and(|age| age >= limit)
        };
        let (old, young) = std::mem::take(&mut held.waiting)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(_, letter)| is_old(letter));
        held.waiting = young;
        old.into_values().collect()
    }

    /// Forgets queues that take everything again, and tells when something begins or ceases to wait for one.
    pub(super) fn tell(&mut self, queues: &Queues) {
        if self.queues.is_empty() {
            return;
        }
        for held in &mut self.queues {
            let waits = !held.is_empty();
            if waits && !held.told {
                queues.hold(&held.name);
            } else if !waits && held.told {
                queues.release(&held.name);
            }
            held.told = waits;
        }
        let refusing = queues.refusing();
        self.queues
            .retain(|held| !held.is_empty() || refusing.contains(&held.name));
    }

    fn find(&mut self, queue: &str) -> Option<&mut HeldQueue> {
        self.queues.iter_mut().find(|held| held.name == queue)
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(10))
        .with_jitter()
        .without_max_times()
        .build()
}
