//! Which messages wait for a queue that refuses or does not answer, in memory and in the journal.
//!
//! The publisher keeps messages of such a queue apart, a bounded number of them. The rest stays where it is safe
//! already: its item is pending in the journal. For each queue we know the first position at which something was left
//! there, and read again from it when there is room. Until that has caught up, new messages for the queue are left in
//! the journal too, so that they overtake nothing.
//!
//! Lock order: what is in flight, then ours.
//!
//! Invariants: a message is handed over once while it is in memory; an item is settled when the last of its messages
//! is; the messages of other queues never wait; memory is bounded by [`IN_MEMORY`] messages a refusing queue and
//! [`MOST_PARTLY`] items of which a part is out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    journal::DecisionRecord,
    publish::queues::{QueueTrouble, Queues},
    telemetry::Metrics,
};

/// Messages of one refusing queue in memory, at most.
pub const IN_MEMORY: usize = 512;
/// Items of which we remember what is out already while the rest waits in the journal. Those beyond are sent whole
/// again, under the same ids, as after a crash.
const MOST_PARTLY: usize = 65_536;

/// Outcome of a decision whose message the broker has.
pub const PUBLISHED: &str = "published";

/// See the module.
pub struct HeldBack {
    queues: Queues,
    metrics: Metrics,
    state: Mutex<State>,
    room: Notify,
}

#[derive(Default)]
struct State {
    /// Queues with messages left in the journal.
    aside: BTreeMap<String, Aside>,
    /// Messages that are out, of items whose rest waits in the journal, by position.
    partly: BTreeMap<i64, Vec<Name>>,
    /// Items whose end is on its way to the journal.
    ending: HashSet<i64>,
    /// Items out of the journal and not looked at yet.
    under_way: BTreeSet<i64>,
    /// Everything up to here was looked at, save what is under way.
    looked_at: i64,
    /// Queues whose gauges are not 0.
    shown: BTreeSet<String>,
}

impl State {
    fn decided_up_to(&self) -> i64 {
        let first = self.under_way.first().map(|position| position - 1);
        first.map_or(self.looked_at, |first| first.min(self.looked_at))
    }
}

/// A queue with messages left in the journal.
#[derive(Debug, Clone)]
struct Aside {
    /// Position of the first item with such a message.
    from: i64,
    /// How many, about.
    count: u64,
    /// When the first of them was taken.
    oldest: Timestamp,
}

/// Names a message of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name(Uuid, String);

/// How many messages of each refusing queue may still be handed over. Queues that are not named have room for all.
#[derive(Debug, Default)]
pub struct Room(HashMap<String, usize>);

impl Room {
    /// Takes a place for a message, if there is one.
    pub fn take(&mut self, queue: &str) -> bool {
        match self.0.get_mut(queue) {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

/// What is to be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The queue that has room.
    pub queue: String,
    /// First position to look at.
    pub from: i64,
    /// Last one.
    pub until: i64,
    /// How many messages there is room for.
    pub places: usize,
}

/// A queue that refuses, with what waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What is wrong.
    pub trouble: QueueTrouble,
    /// Messages that wait for it.
    pub messages: u64,
    /// Age of the oldest of them, in seconds.
    pub oldest_seconds: i64,
}

/// The queues of the messages in flight.
pub trait QueuesInFlight {
    /// Shows the queue of each, and when its item was taken.
    fn each(&self, see: &mut dyn FnMut(&str, Timestamp));
}

impl HeldBack {
    /// Nothing is held back.
    pub fn new(queues: Queues, metrics: Metrics) -> Self {
        // Those before us may have shown something.
        metrics.held_back.reset();
        metrics.held_back_oldest.reset();
        Self {
            queues,
            metrics,
            state: Mutex::default(),
            room: Notify::new(),
        }
    }

    /// How much room there is for queues that refuse, and for those with messages left in the journal, whether they still
    /// refuse or not; `None` on a good day, when every message may go.
    pub fn room(&self, in_flight: &impl QueuesInFlight) -> Option<Room> {
        let refusing = self.queues.held();
        if refusing.is_empty() && !self.is_reading_again() {
            return None;
        }
        let mut room: HashMap<String, usize> = refusing.into_iter().map(|queue| (queue, IN_MEMORY)).collect();
        in_flight.each(&mut |queue, _| {
            if let Some(left) = room.get_mut(queue) {
                *left = left.saturating_sub(1);
            }
        });
        for queue in self.state.lock().aside.keys() {
            room.insert(queue.clone(), 0);
        }
        Some(Room(room))
    }

    /// A message stays in the journal.
    pub fn leave(&self, queue: &str, position: i64, received_at: Timestamp) {
        let mut state = self.state.lock();
        let begins = !state.aside.contains_key(queue);
        let aside = state.aside.entry(queue.to_owned()).or_insert(Aside {
            from: position,
            count: 0,
            oldest: received_at,
        });
        if position < aside.from {
            (aside.from, aside.oldest) = (position, received_at);
        }
        aside.count += 1;
        drop(state);
        if begins {
            self.queues.in_journal(queue, true);
        }
    }

    /// The queue with messages in the journal that can take the most, when it is worth reading them again. Forgets queues
    /// of which everything was read.
    pub fn visit(&self, in_flight: &impl QueuesInFlight) -> Option<Visit> {
        self.forget_read();
        let room = self.room_aside(in_flight);
        let (queue, places) = room.into_iter().max_by_key(|(_, places)| *places)?;
        if places < IN_MEMORY / 2 {
            return None;
        }
        let state = self.state.lock();
        let from = state.aside.get(&queue)?.from;
        // What goes round by a look-up is looked at when it comes back; the visit goes no further.
        let until = state.decided_up_to();
        (from <= until).then_some(Visit {
            queue,
            from,
            until,
            places,
        })
    }

    /// A queue that is to be read from behind everything looked at has nothing left there. To keep it would leave aside
    /// what comes next, for nobody to read.
    fn forget_read(&self) {
        let mut state = self.state.lock();
        if !state.under_way.is_empty() {
            return;
        }
        let looked_at = state.looked_at;
        let mut read = Vec::new();
        state.aside.retain(|queue, aside| {
            let is_read = aside.from > looked_at;
            if is_read {
                read.push(queue.clone());
            }
            !is_read
        });
        drop(state);
        for queue in read {
            self.queues.in_journal(&queue, false);
        }
    }

    /// Room for what is read again: only the visited queue has some.
    pub fn room_of(&self, visit: &Visit, in_flight: &impl QueuesInFlight) -> Room {
        let mut room = self.room_aside(in_flight);
        for (queue, places) in &mut room {
            if *queue != visit.queue {
                *places = 0;
            }
        }
        Room(room)
    }

    /// What was left of the queue before `position` is on its way again, `handed_over` messages of it.
    pub fn visited(&self, visit: &Visit, position: i64, handed_over: u64, oldest: Option<Timestamp>) {
        if let Some(aside) = self.state.lock().aside.get_mut(&visit.queue) {
            aside.count = aside.count.saturating_sub(handed_over).max(1);
            // An item that came round by a look-up meanwhile may have left something further ahead.
            if aside.from == visit.from {
                aside.from = position;
                aside.oldest = oldest.unwrap_or(aside.oldest);
            }
        }
    }

    /// Nothing was found from where the queue is read to its end.
    pub fn found_nothing(&self, visit: &Visit) {
        let mut state = self.state.lock();
        let looked_at = state.looked_at;
        let Some(aside) = state.aside.get_mut(&visit.queue) else {
            return;
        };
        if aside.from < visit.from {
            return;
        }
        if looked_at > visit.until {
            aside.from = aside.from.max(visit.until + 1);
            return;
        }
        state.aside.remove(&visit.queue);
        drop(state);
        self.queues.in_journal(&visit.queue, false);
    }

    fn room_aside(&self, in_flight: &impl QueuesInFlight) -> HashMap<String, usize> {
        let aside = self.state.lock().aside.keys().cloned().collect::<Vec<_>>();
        let mut room: HashMap<String, usize> = aside.into_iter().map(|queue| (queue, IN_MEMORY)).collect();
        if !room.is_empty() {
            in_flight.each(&mut |queue, _| {
                if let Some(left) = room.get_mut(queue) {
                    *left = left.saturating_sub(1);
                }
            });
        }
        room
    }

    /// Whether to look if there is room, which [`HeldBack::room_made`] tells.
    pub fn is_reading_again(&self) -> bool {
        !self.state.lock().aside.is_empty()
    }

    /// Waits until messages were settled while some are left in the journal. For one waiter.
    pub async fn room_made(&self) {
        self.room.notified().await;
    }

    /// Something was settled, or may have been: more often than needed does no harm.
    pub fn make_room(&self) {
        if self.is_reading_again() {
            self.room.notify_one();
        }
    }

    /// All messages of an item that were handed over are settled, and others wait in the journal. What was parked goes
    /// with these again, so that the item is parked with its reason in the end.
    pub fn note_partly(&self, position: i64, decisions: &[DecisionRecord]) {
        let mut state = self.state.lock();
        let names: Vec<Name> = decisions
            .iter()
            .filter(|decision| decision.outcome == PUBLISHED)
            .map(name)
            .collect();
        if !names.is_empty() && state.partly.len() < MOST_PARTLY {
            state.partly.insert(position, names);
        }
    }

    /// Which of an item's messages are out already; the item is forgotten here.
    pub fn out_of(&self, position: i64, decisions: &[DecisionRecord]) -> Vec<bool> {
        let known = self.state.lock().partly.remove(&position).unwrap_or_default();
        decisions
            .iter()
            .map(|decision| known.contains(&name(decision)))
            .collect()
    }

    /// The ends of these items go to the journal.
    pub fn begin_ending(&self, positions: impl Iterator<Item = i64>) {
        if self.queues.any() {
            self.state.lock().ending.extend(positions);
        }
    }

    /// The journal has them, at least in its queue.
    pub fn ended(&self) {
        self.state.lock().ending.clear();
    }

    /// Items that are not left in the journal though they are pending there: their end is on its way.
    pub fn ending(&self) -> HashSet<i64> {
        self.state.lock().ending.clone()
    }

    /// Of `all` items read, in their order, those that did not `stay` go round by a connector's look-ups.
    pub fn depart(&self, all: Vec<i64>, stay: impl Iterator<Item = i64>) {
        let mut stay = stay.peekable();
        let gone = all.into_iter().filter(|position| stay.next_if_eq(position).is_none());
        let gone: Vec<i64> = gone.collect();
        if !gone.is_empty() {
            self.state.lock().under_way.extend(gone);
        }
    }

    /// They are back and looked at.
    pub fn arrive(&self, positions: Vec<i64>) {
        let mut state = self.state.lock();
        for position in positions {
            state.under_way.remove(&position);
        }
        drop(state);
        self.make_room();
    }

    /// Everything up to `position` was looked at or is under way.
    pub fn look(&self, position: i64) {
        let mut state = self.state.lock();
        state.looked_at = state.looked_at.max(position);
    }

    /// Position up to which every item was decided, so that the clocks of deadlines know of it.
    pub fn decided_up_to(&self) -> i64 {
        self.state.lock().decided_up_to()
    }

    /// Every queue in trouble with what waits for it; brings the gauges up to date.
    pub fn observe(&self, in_flight: &impl QueuesInFlight, now: Timestamp) -> Vec<Waiting> {
        let troubles = self.queues.troubles();
        let mut waiting: BTreeMap<&str, (u64, Timestamp)> = BTreeMap::new();
        for trouble in troubles.iter().filter(|trouble| trouble.makes_wait()) {
            waiting.insert(&trouble.queue, (0, now));
        }
        if !waiting.is_empty() {
            in_flight.each(&mut |queue, received_at| {
                if let Some((messages, oldest)) = waiting.get_mut(queue) {
                    *messages += 1;
                    *oldest = received_at.min(*oldest);
                }
            });
        }
        let mut state = self.state.lock();
        for (queue, (messages, oldest)) in &mut waiting {
            if let Some(aside) = state.aside.get(*queue) {
                *messages += aside.count;
                *oldest = aside.oldest.min(*oldest);
            }
        }
        let seconds = |since: Timestamp| now.duration_since(since).as_secs().max(0);
        let gauges = |queue: &str, messages: u64, oldest: i64| {
            let messages = i64::try_from(messages).unwrap_or(i64::MAX);
            self.metrics.held_back.with_label_values(&[queue]).set(messages);
            self.metrics.held_back_oldest.with_label_values(&[queue]).set(oldest);
        };
        for queue in std::mem::take(&mut state.shown) {
            if !waiting.contains_key(queue.as_str()) {
                gauges(&queue, 0, 0);
            }
        }
        for (queue, (messages, oldest)) in &waiting {
            gauges(queue, *messages, seconds(*oldest));
            state.shown.insert((*queue).to_owned());
        }
        drop(state);
        let of = |trouble: &QueueTrouble| {
            let (messages, oldest) = waiting.get(trouble.queue.as_str()).copied().unwrap_or((0, now));
            Waiting {
                trouble: trouble.clone(),
                messages,
                oldest_seconds: seconds(oldest),
            }
        };
        troubles.iter().map(of).collect()
    }
}

fn name(decision: &DecisionRecord) -> Name {
    Name(decision.event_id, decision.queue.clone())
}

#[cfg(test)]
mod tests;
