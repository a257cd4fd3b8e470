//! What one lane holds of queues that refuse or do not answer: each queue's messages wait apart, in the order they came,
//! and never take the room of others.
//!
//! While a queue refuses, one message at a time asks whether it takes again, after growing pauses; once it does, the
//! number in flight doubles with each answer. Of one conversation never more than one is in flight: otherwise a queue
//! that refuses the first and takes the second would turn them round. So a queue stays held, in every lane, until
//! nobody calls it refusing any more. After some refusals the questions go by channels of their own, and when one is
//! taken, the lane leaves the channel on which it was refused.
//!
//! While a queue does not answer, nothing of it is sent: what is in flight has to be answered first (see
//! `lane/silence.rs`).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use jiff::Timestamp;

use super::flights::Letter;
use crate::publish::queues::Queues;

/// A queue that refused so many questions one after the other is asked on a channel of its own from then on. RabbitMQ may
/// go on refusing on a channel what it takes on any other: a full quorum queue whose limit was taken off.
const REFUSALS_ON_ONE_CHANNEL: u32 = 5;
/// Shortest pause between two questions of which each costs a channel.
const COSTLY_PAUSE: Duration = Duration::from_secs(5);

/// Messages of queues under suspicion that a lane keeps before it tells who reads the journal.
const CROWD: usize = 256;

/// A queue answers nothing.
pub(super) struct Silence {
    /// When the oldest of its messages in flight was sent.
    oldest: Instant,
    /// When a message of another queue, sent later, was first seen confirmed: the channel works.
    others_since: Option<Instant>,
    /// Whether everybody knows; before that it is only a suspicion.
    is_certain: bool,
}

impl Silence {
    fn certain_at(&self, limit: Duration, blocked_at: Option<Instant>) -> Option<Instant> {
        // Time for an answer that was on its way together with that of the other queue.
        let proven = self.others_since? + limit / 2;
        Some(proven.max(self.oldest.max(blocked_at.unwrap_or(self.oldest)) + limit))
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Held {
    queues: Vec<HeldQueue>,
    /// Whose turn it is when several queues take again.
    turn: usize,
    /// A queue took on a channel of its own what it refused on the lane's.
    channel_is_stale: bool,
}

struct HeldQueue {
    name: String,
    since: Instant,
    /// By order of arrival.
    waiting: BTreeMap<u64, Letter>,
    /// Conversations of what is in flight; one entry a message.
    in_flight: Vec<u64>,
    /// How many may be in flight.
    window: usize,
    /// When the next one asks.
    retry_at: Option<Instant>,
    /// Questions refused one after the other.
    refusals: u32,
    pauses: ExponentialBackoff,
    /// Whether others were told that something waits here.
    told: bool,
    /// What was in flight for too long, until it is answered.
    silence: Option<Silence>,
    /// It was under suspicion, and answered.
    answered_in_time: bool,
    /// It did not answer: who asks goes by a channel of its own, for the broker's end of the channel may hang with it.
    apart: bool,
}

impl HeldQueue {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty()
    }

    fn may_send(&self, now: Instant) -> bool {
        let Some((_, first)) = self.waiting.first_key_value() else {
            return false;
        };
        self.silence.is_none()
            && self.in_flight.len() < self.window
            && self.retry_at.is_none_or(|at| at <= now)
            && !self.in_flight.contains(&first.outgoing.order_key)
    }
}

impl Held {
    /// Whether messages of this queue are held.
    pub(super) fn holds(&self, queue: &str) -> bool {
        self.queues.iter().any(|held| held.name == queue)
    }

    /// Begins to hold a queue. `in_flight` are the conversations of its messages in flight.
    pub(super) fn begin(&mut self, queue: &str, in_flight: Vec<u64>) {
        self.queues.push(HeldQueue {
            name: queue.to_owned(),
            since: Instant::now(),
            waiting: BTreeMap::new(),
            in_flight,
            window: 1,
            retry_at: None,
            refusals: 0,
            pauses: pauses(),
            told: false,
            silence: None,
            answered_in_time: false,
            apart: false,
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
        (held.window, held.answered_in_time) = (1, false);
        let now = Instant::now();
        // Several refusals of what was sent together are one.
        if held.retry_at.is_none_or(|at| at <= now) {
            held.retry_at = held.pauses.next().map(|pause| now + pause);
            held.refusals += 1;
            held.apart |= held.refusals >= REFUSALS_ON_ONE_CHANNEL;
        }
    }

    /// Each question costs a channel: they are asked seldom.
    pub(super) fn costs_a_channel(&mut self, queue: &str) {
        if let Some(held) = self.find(queue) {
            let now = Instant::now();
            held.retry_at = held.retry_at.max(Some(now + COSTLY_PAUSE));
        }
    }

    /// A message in flight was answered; `taken`: the queue took it (or had none), so it does not refuse. Gives whether
    /// the queue is silent no more.
    pub(super) fn answered(&mut self, queue: &str, order_key: u64, taken: bool, most: usize) -> bool {
        if self.queues.is_empty() {
            return false;
        }
        let Some(held) = self.find(queue) else { return false };
        if let Some(index) = held.in_flight.iter().position(|key| *key == order_key) {
            held.in_flight.swap_remove(index);
        }
        if let Some(silence) = &held.silence {
            let was_certain = silence.is_certain;
            if held.in_flight.is_empty() {
                // One message asks whether it goes on.
                (held.silence, held.window, held.retry_at) = (None, 1, None);
                held.answered_in_time = !was_certain && taken;
            }
            return was_certain && taken;
        }
        if taken {
            held.window = (held.window * 2).min(most.max(1));
            held.retry_at = None;
            held.pauses = pauses();
            let was_apart = std::mem::take(&mut held.apart);
            self.channel_is_stale |= std::mem::take(&mut held.refusals) >= REFUSALS_ON_ONE_CHANNEL;
            return was_apart;
        }
        false
    }

    /// Whether the lane's channel should be left: see [`REFUSALS_ON_ONE_CHANNEL`]. Says so once.
    pub(super) fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.channel_is_stale)
    }

    /// The next message that asks whether the queue takes goes by a channel of its own.
    pub(super) fn ask_apart(&mut self, queue: &str) {
        if let Some(held) = self.find(queue) {
            held.apart = true;
        }
    }

    /// Whether messages of a queue that may be sent now go by a channel of their own.
    pub(super) fn asks_apart(&self, queue: &str) -> bool {
        let mut apart = self.queues.iter().filter(|held| held.apart);
        apart.any(|held| held.name == queue)
    }

    /// The next message that may be sent, when fewer than `most` of all held queues are in flight.
    pub(super) fn next(&mut self, now: Instant, most: usize) -> Option<Letter> {
        let asking = self.queues.iter().filter(|held| held.silence.is_none());
        let in_flight: usize = asking.map(|held| held.in_flight.len()).sum();
        if self.queues.is_empty() || in_flight >= most.max(1) {
            return None;
        }
        let count = self.queues.len();
        let index = (0..count)
            .map(|step| (self.turn + step) % count)
            .find(|index| self.queues[*index].may_send(now))?;
        self.turn = index + 1;
        let held = &mut self.queues[index];
        let (_, letter) = held.waiting.pop_first()?;
        held.in_flight.push(letter.outgoing.order_key);
        Some(letter)
    }

    /// When the next pause is over.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let is_to_ask = |held: &&HeldQueue| held.silence.is_none() && !held.waiting.is_empty();
        let waiting = self.queues.iter().filter(is_to_ask);
        waiting.filter_map(|held| held.retry_at).filter(|at| *at > now).min()
    }

    /// The channel is gone: nothing is in flight any more. Gives what waits for queues that are only under suspicion,
    /// but for those that all lanes hold (`for_all`).
    pub(super) fn grounded(&mut self, for_all: impl Fn(&str) -> bool) -> Vec<Letter> {
        let mut letters = Vec::new();
        for held in &mut self.queues {
            held.in_flight.clear();
            let Some(silence) = held.silence.take() else { continue };
            (held.window, held.retry_at) = (1, None);
            if !silence.is_certain && !for_all(&held.name) {
                letters.extend(std::mem::take(&mut held.waiting).into_values());
            }
        }
        letters
    }

    /// What is in flight of a held queue since `oldest` has not been answered for too long.
    pub(super) fn unanswered(&mut self, queue: &str, oldest: Instant) {
        if let Some(held) = self.find(queue) {
            held.apart = true;
            held.silence.get_or_insert(Silence {
                oldest,
                others_since: None,
                is_certain: false,
            });
        }
    }

    /// A message of a queue, sent at `sent_at`, was confirmed: the channel works, whoever is silent on it.
    pub(super) fn confirmed(&mut self, queue: &str, sent_at: Instant, now: Instant) {
        for held in self.queues.iter_mut().filter(|held| held.name != queue) {
            if let Some(silence) = &mut held.silence
                && silence.oldest < sent_at
            {
                silence.others_since.get_or_insert(now);
            }
        }
    }

    /// Whether a queue answers nothing while others that were asked later do.
    pub(super) fn others_are_confirmed(&self) -> bool {
        let mut silences = self.queues.iter().filter_map(|held| held.silence.as_ref());
        silences.any(|silence| silence.others_since.is_some())
    }

    /// The queues whose silence is certain now, with how many messages they did not answer. `known`: another lane is
    /// certain already.
    pub(super) fn certain(
        &mut self,
        limit: Duration,
        blocked_at: Option<Instant>,
        now: Instant,
        known: impl Fn(&str) -> bool,
    ) -> Vec<(String, usize)> {
        let mut certain = Vec::new();
        for held in &mut self.queues {
            let Some(silence) = &mut held.silence else { continue };
            let is_due = silence.certain_at(limit, blocked_at).is_some_and(|at| at <= now);
            let is_late = silence.oldest.max(blocked_at.unwrap_or(silence.oldest)) + limit <= now;
            if !silence.is_certain && (is_due || (is_late && known(&held.name))) {
                silence.is_certain = true;
                certain.push((held.name.clone(), held.in_flight.len()));
            }
        }
        certain
    }

    /// When the next silence will be certain.
    pub(super) fn certain_at(&self, limit: Duration, blocked_at: Option<Instant>) -> Option<Instant> {
        let silences = self.queues.iter().filter_map(|held| held.silence.as_ref());
        let suspicions = silences.filter(|silence| !silence.is_certain);
        suspicions
            .filter_map(|silence| silence.certain_at(limit, blocked_at))
            .min()
    }

    /// When the oldest message was sent that is not answered, and nobody knows whose fault it is.
    pub(super) fn oldest_suspicion(&self) -> Option<Instant> {
        let silences = self.queues.iter().filter_map(|held| held.silence.as_ref());
        silences
            .filter(|silence| !silence.is_certain)
            .map(|silence| silence.oldest)
            .min()
    }

    /// Queues under suspicion, when so many of their messages wait here that no more should come.
    pub(super) fn crowd(&self) -> Vec<String> {
        let is_suspect = |held: &&HeldQueue| held.silence.as_ref().is_some_and(|silence| !silence.is_certain);
        let crowds = self
            .queues
            .iter()
            .filter(is_suspect)
            .filter(|held| held.waiting.len() >= CROWD);
        crowds.map(|held| held.name.clone()).collect()
    }

    /// Queues that are certainly silent and for which something waits.
    pub(super) fn waited_for(&self) -> Vec<String> {
        let is_certain = |held: &&HeldQueue| held.silence.as_ref().is_some_and(|silence| silence.is_certain);
        let silent = self
            .queues
            .iter()
            .filter(is_certain)
            .filter(|held| !held.waiting.is_empty());
        silent.map(|held| held.name.clone()).collect()
    }

    /// What waits for queues whose suspicion did not come true, but for those that all lanes hold (`for_all`).
    pub(super) fn acquitted(&mut self, for_all: impl Fn(&str) -> bool) -> Vec<Letter> {
        let mut letters = Vec::new();
        for held in &mut self.queues {
            if std::mem::take(&mut held.answered_in_time) && !for_all(&held.name) {
                letters.extend(std::mem::take(&mut held.waiting).into_values());
            }
        }
        letters
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
        let (in_trouble, for_all) = (queues.held(), queues.held_by_all());
        for held in &mut self.queues {
            // A mere suspicion is told to nobody.
            let waits = !held.is_empty() && in_trouble.contains(&held.name);
            if waits && !held.told {
                queues.hold(&held.name);
            } else if !waits && held.told {
                queues.release(&held.name);
            }
            held.told = waits;
        }
        self.queues
            .retain(|held| !held.is_empty() || for_all.contains(&held.name));
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
