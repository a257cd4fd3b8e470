//! Queues (routing keys) that don't take what is sent to them, as everybody has to know them: told once per episode,
//! counted by queue, shown in `/health`.
//!
//! - *Refusing*: the queue is there and does not take (a length limit with `reject-publish`, no majority of nodes, no
//!   right to write). Its messages wait, everybody else's go on. The episode ends when nothing of it waits and nothing
//!   was refused for a while.
//! - *Unroutable*: no queue is bound for the key. Its messages are parked. The episode ends when the key is taken again,
//!   or when nothing was sent to it for a while.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use parking_lot::Mutex;
use tracing::{error, info, warn};

use crate::telemetry::Metrics;

/// A queue that took everything for this long after it had refused is well again.
const CALM_AFTER_REFUSAL: Duration = Duration::from_secs(5);
/// A key nothing was returned for during this time is not talked about any more; what is parked is counted elsewhere.
const CALM_AFTER_RETURN: Duration = Duration::from_secs(600);

/// What is wrong with a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It takes nothing now.
    Refusing,
    /// There is none.
    Unroutable,
}

/// A queue in trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueTrouble {
    /// Routing key.
    pub queue: String,
    /// What is wrong.
    pub fault: Fault,
    /// When it began.
    pub since: Timestamp,
    /// Refusals or returns since then.
    pub count: u64,
    /// The broker's words.
    pub why: String,
}

/// All queues in trouble. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Queues(Arc<Shared>);

struct Shared {
    metrics: Metrics,
    /// How many episodes there are, so that a good day costs one atomic read.
    open: AtomicUsize,
    episodes: Mutex<BTreeMap<(Fault, String), Episode>>,
}

struct Episode {
    since: Timestamp,
    last: Instant,
    count: u64,
    why: String,
    /// Lanes in which messages of it wait.
    holders: usize,
    /// Whether messages of it were left in the journal.
    in_journal: bool,
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queues").field(&self.troubles()).finish()
    }
}

impl Queues {
    /// No queue is in trouble.
    pub fn new(metrics: Metrics) -> Self {
        Self(Arc::new(Shared {
            metrics,
            open: AtomicUsize::new(0),
            episodes: Mutex::default(),
        }))
    }

    /// Whether any queue refuses or is missing.
    pub fn any(&self) -> bool {
        self.0.open.load(Ordering::Acquire) > 0
    }

    /// Names of the queues that refuse.
    pub fn refusing(&self) -> Vec<String> {
        if !self.any() {
            return Vec::new();
        }
        let episodes = self.0.episodes.lock();
        let refusing = episodes.keys().filter(|(fault, _)| *fault == Fault::Refusing);
        refusing.map(|(_, queue)| queue.clone()).collect()
    }

    /// Every queue in trouble.
    pub fn troubles(&self) -> Vec<QueueTrouble> {
        let episodes = self.0.episodes.lock();
        let trouble = |((fault, queue), episode): (&(Fault, String), &Episode)| QueueTrouble {
            queue: queue.clone(),
            fault: *fault,
            since: episode.since,
            count: episode.count,
            why: episode.why.clone(),
        };
        episodes.iter().map(trouble).collect()
    }

    /// Notes that messages of a refusing queue stay in the journal, or that the last of them left it.
    pub fn in_journal(&self, queue: &str, some: bool) {
        self.change(Fault::Refusing, queue, |episode| episode.in_journal = some);
    }

    /// A queue refused messages.
    pub(super) fn refused(&self, queue: &str, count: u64, why: &str) {
        self.0.metrics.nacked.with_label_values(&[queue]).inc_by(count);
        if self.note(Fault::Refusing, queue, count, why) {
            warn!(
                queue,
                count, why, "a queue refuses messages; its own wait, all others go on"
            );
        }
    }

    /// The broker had no queue for messages, which are parked.
    pub(super) fn returned(&self, queue: &str, count: u64, why: &str) {
        self.0.metrics.returned.with_label_values(&[queue]).inc_by(count);
        if self.note(Fault::Unroutable, queue, count, why) {
            error!(
                queue,
                count,
                reason = why,
                "no queue takes this routing key, message parked; the next ones are parked in silence"
            );
        }
    }

    /// A queue took a message.
    pub(super) fn took(&self, queue: &str) {
        if self.any() {
            self.end(|fault, name, _| fault == Fault::Unroutable && name == queue);
        }
    }

    /// Messages of a refusing queue begin to wait in a lane.
    pub(super) fn hold(&self, queue: &str) {
        self.change(Fault::Refusing, queue, |episode| episode.holders += 1);
    }

    /// None waits there any more.
    pub(super) fn release(&self, queue: &str) {
        self.change(Fault::Refusing, queue, |episode| {
            episode.holders = episode.holders.saturating_sub(1);
        });
    }

    /// Ends what is over; called every second or so.
    pub(super) fn look(&self) {
        if self.any() {
            self.end(|fault, _, episode| match fault {
                Fault::Refusing => {
                    episode.holders == 0 && !episode.in_journal && episode.last.elapsed() >= CALM_AFTER_REFUSAL
                }
                Fault::Unroutable => episode.last.elapsed() >= CALM_AFTER_RETURN,
            });
        }
    }

    /// Counts; gives whether an episode begins.
    fn note(&self, fault: Fault, queue: &str, count: u64, why: &str) -> bool {
        let mut episodes = self.0.episodes.lock();
        let begins = !episodes.contains_key(&(fault, queue.to_owned()));
        let episode = episodes.entry((fault, queue.to_owned())).or_insert_with(|| Episode {
            since: Timestamp::now(),
            last: Instant::now(),
            count: 0,
            why: why.to_owned(),
            holders: 0,
            in_journal: false,
        });
        episode.last = Instant::now();
        episode.count += count;
        self.0.open.store(episodes.len(), Ordering::Release);
        begins
    }

    fn change(&self, fault: Fault, queue: &str, change: impl FnOnce(&mut Episode)) {
        if let Some(episode) = self.0.episodes.lock().get_mut(&(fault, queue.to_owned())) {
            change(episode);
        }
    }

    fn end(&self, is_over: impl Fn(Fault, &str, &Episode) -> bool) {
        let mut episodes = self.0.episodes.lock();
        episodes.retain(|(fault, queue), episode| {
            if !is_over(*fault, queue, episode) {
                return true;
            }
            let (count, since) = (episode.count, episode.since);
            match fault {
                Fault::Refusing => info!(queue, refusals = count, %since, "the queue takes messages again"),
                Fault::Unroutable => info!(
                    queue,
                    parked = count,
                    %since,
                    "the routing key is taken again, or nothing is sent to it; what is parked waits for `priem quarantine retry`"
                ),
            }
            false
        });
        self.0.open.store(episodes.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_lasts_while_anything_of_the_queue_waits() {
        let queues = Queues::new(Metrics::new());
        queues.refused("qa", 3, "full");
        queues.hold("qa");
        queues.in_journal("qa", true);
        queues.refused("qa", 2, "full");
        let trouble = &queues.troubles()[0];
        assert_eq!(
            (trouble.queue.as_str(), trouble.fault, trouble.count),
            ("qa", Fault::Refusing, 5)
        );
        let long_ago = Instant::now().checked_sub(CALM_AFTER_REFUSAL);
        queues.change(Fault::Refusing, "qa", |episode| {
            episode.last = long_ago.expect("a machine that runs for some seconds");
        });
        queues.look();
        queues.release("qa");
        queues.look();
        assert_eq!(queues.refusing(), ["qa"], "some wait in the journal");
        queues.in_journal("qa", false);
        queues.look();
        assert!(!queues.any());
    }

    #[test]
    fn a_missing_queue_is_forgotten_when_its_key_is_taken() {
        let queues = Queues::new(Metrics::new());
        queues.returned("qa", 1, "312 NO_ROUTE");
        queues.took("qb");
        assert_eq!(queues.troubles().len(), 1);
        assert_eq!(queues.refusing(), [""; 0]);
        queues.took("qa");
        assert_eq!(queues.troubles(), []);
    }
}
