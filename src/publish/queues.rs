//! Queues (routing keys) that don't take what is sent to them, as everybody has to know them: told once per episode,
//! counted by queue, shown in `/health`.
//!
//! - *Refusing*: the queue is there and does not take (a length limit with `reject-publish`, no majority of nodes, no
//!   right to write). Its messages wait, everybody else's go on. The episode ends when nothing of it waits and nothing
//!   was refused for a while.
//! - *Silent*: the queue neither takes nor refuses (its process hangs), while others take what was sent later. It waits
//!   as a refusing one does; what is in flight of it has to be answered before anything more is sent.
//! - *Unroutable*: no queue is bound for the key. Its messages are parked. The episode ends when the key is taken again,
//!   or when nothing was sent to it for a while.
//!
//! A queue is refusing or silent, never both: the last thing it did counts. A mere suspicion of silence is told to those
//! who read the journal (see [`Queues::held`]) and to nobody else.

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

/// What is said of a queue that was silent while what waited for it goes out.
const TAKES_AGAIN: &str = "it takes again, what waited goes out";
const ANSWERS_AGAIN: &str = "it answers again, what waited goes out";

/// What is wrong with a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It takes nothing now.
    Refusing,
    /// It neither takes nor refuses, while others take.
    Silent,
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
    /// Refusals, returns or messages without an answer since then.
    pub count: u64,
    /// The broker's words; ours when it says nothing.
    pub why: String,
}

impl QueueTrouble {
    /// Whether messages of the queue wait until it is over.
    pub fn makes_wait(&self) -> bool {
        self.fault != Fault::Unroutable
    }
}

/// Of one queue there may be one episode of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Its messages wait.
    Held,
    /// They are parked.
    Unroutable,
}

impl Kind {
    fn of(fault: Fault) -> Self {
        match fault {
            Fault::Refusing | Fault::Silent => Self::Held,
            Fault::Unroutable => Self::Unroutable,
        }
    }
}

/// All queues in trouble. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Queues(Arc<Shared>);

struct Shared {
    metrics: Metrics,
    /// How many episodes there are, so that a good day costs one atomic read.
    open: AtomicUsize,
    episodes: Mutex<BTreeMap<(Kind, String), Episode>>,
}

struct Episode {
    fault: Fault,
    /// It is no mere suspicion.
    is_certain: bool,
    /// Nothing was answered since it was called silent.
    is_silent: bool,
    /// It was called silent.
    was_silent: bool,
    /// It was called refusing.
    was_refusing: bool,
    since: Timestamp,
    last: Instant,
    count: u64,
    why: String,
    /// It took a message since it last refused.
    takes: bool,
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
        // Those before us may have shown something.
        metrics.queue_silent.reset();
        Self(Arc::new(Shared {
            metrics,
            open: AtomicUsize::new(0),
            episodes: Mutex::default(),
        }))
    }

    /// Whether any queue is in trouble, or under suspicion.
    pub fn any(&self) -> bool {
        self.0.open.load(Ordering::Acquire) > 0
    }

    /// Names of the queues whose messages wait, and of those under suspicion: no more of theirs than a bounded number
    /// should leave the journal.
    pub fn held(&self) -> Vec<String> {
        self.names(|_| true)
    }

    /// Names of the queues whose messages wait, in every lane.
    pub(super) fn held_by_all(&self) -> Vec<String> {
        self.names(|episode| episode.is_certain)
    }

    /// Whether a queue answered nothing at some time since it is held.
    pub(super) fn was_silent(&self, queue: &str) -> bool {
        self.any()
            && self
                .names(|episode| episode.was_silent)
                .iter()
                .any(|name| name == queue)
    }

    fn names(&self, choose: impl Fn(&Episode) -> bool) -> Vec<String> {
        if !self.any() {
            return Vec::new();
        }
        let episodes = self.0.episodes.lock();
        let chosen = episodes
            .iter()
            .filter(|((kind, _), episode)| *kind == Kind::Held && choose(episode));
        chosen.map(|((_, queue), _)| queue.clone()).collect()
    }

    /// Every queue in trouble.
    pub fn troubles(&self) -> Vec<QueueTrouble> {
        let episodes = self.0.episodes.lock();
        let trouble = |((_, queue), episode): (&(Kind, String), &Episode)| QueueTrouble {
            queue: queue.clone(),
            fault: episode.fault,
            since: episode.since,
            count: episode.count,
            why: match episode.fault {
                Fault::Refusing if episode.takes => format!("{TAKES_AGAIN}; it had said: {}", episode.why),
                _ => episode.why.clone(),
            },
        };
        let certain = episodes.iter().filter(|(_, episode)| episode.is_certain);
        certain.map(trouble).collect()
    }

    /// Notes that messages of a queue that makes them wait stay in the journal, or that the last of them left it.
    pub fn in_journal(&self, queue: &str, some: bool) {
        self.change(Kind::Held, queue, |episode| episode.in_journal = some);
    }

    /// A queue refused messages.
    pub(super) fn refused(&self, queue: &str, count: u64, why: &str) {
        self.0.metrics.nacked.with_label_values(&[queue]).inc_by(count);
        self.answers(queue);
        if self.note(Fault::Refusing, queue, count, why) {
            warn!(
                queue,
                count, why, "a queue refuses messages; its own wait, all others go on"
            );
        }
    }

    /// A queue may be silent, and many messages wait for it.
    pub(super) fn suspected(&self, queue: &str) {
        let mut episodes = self.0.episodes.lock();
        let episode = Self::open(&mut episodes, Fault::Silent, queue, false);
        episode.last = Instant::now();
        self.0.open.store(episodes.len(), Ordering::Release);
    }

    /// A queue left `count` messages without an answer, while others took what was sent later.
    pub(super) fn silent(&self, queue: &str, count: u64, why: &str) {
        let begins = self.note(Fault::Silent, queue, count, why);
        self.change(Kind::Held, queue, |episode| episode.is_silent = true);
        self.0.metrics.queue_silent.with_label_values(&[queue]).set(1);
        if begins {
            warn!(
                queue,
                unanswered = count,
                "a queue neither takes nor refuses messages, others do; nothing more is sent to it until it answers, all \
                 others go on"
            );
        }
    }

    /// A silent queue took a message.
    pub(super) fn answers(&self, queue: &str) {
        self.change(Kind::Held, queue, |episode| {
            if std::mem::take(&mut episode.is_silent) {
                ANSWERS_AGAIN.clone_into(&mut episode.why);
                self.0.metrics.queue_silent.with_label_values(&[queue]).set(0);
            }
        });
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
            self.end(|kind, name, _| kind == Kind::Unroutable && name == queue);
            self.change(Kind::Held, queue, |episode| episode.takes = true);
        }
    }

    /// Messages of such a queue begin to wait in a lane.
    pub(super) fn hold(&self, queue: &str) {
        self.change(Kind::Held, queue, |episode| episode.holders += 1);
    }

    /// None waits there any more.
    pub(super) fn release(&self, queue: &str) {
        self.change(Kind::Held, queue, |episode| {
            episode.holders = episode.holders.saturating_sub(1);
        });
    }

    /// Ends what is over; called every second or so.
    pub(super) fn look(&self) {
        if self.any() {
            self.end(|kind, _, episode| match kind {
                Kind::Held => {
                    episode.holders == 0 && !episode.in_journal && episode.last.elapsed() >= CALM_AFTER_REFUSAL
                }
                Kind::Unroutable => episode.last.elapsed() >= CALM_AFTER_RETURN,
            });
        }
    }

    /// Counts; gives whether this is news: an episode begins, or a queue does what it has not done in it.
    fn note(&self, fault: Fault, queue: &str, count: u64, why: &str) -> bool {
        let mut episodes = self.0.episodes.lock();
        let episode = Self::open(&mut episodes, fault, queue, true);
        let is_news = match fault {
            Fault::Refusing => !std::mem::replace(&mut episode.was_refusing, true),
            Fault::Silent => !std::mem::replace(&mut episode.was_silent, true),
            Fault::Unroutable => episode.count == 0,
        };
        if episode.fault != fault || is_news || fault == Fault::Silent {
            (episode.fault, episode.why) = (fault, why.to_owned());
        }
        episode.takes = false;
        episode.is_certain = true;
        episode.last = Instant::now();
        episode.count += count;
        self.0.open.store(episodes.len(), Ordering::Release);
        is_news
    }

    fn open<'a>(
        episodes: &'a mut BTreeMap<(Kind, String), Episode>,
        fault: Fault,
        queue: &str,
        is_certain: bool,
    ) -> &'a mut Episode {
        let key = (Kind::of(fault), queue.to_owned());
        episodes.entry(key).or_insert_with(|| Episode {
            fault,
            is_certain,
            is_silent: false,
            was_silent: false,
            was_refusing: false,
            since: Timestamp::now(),
            last: Instant::now(),
            count: 0,
            why: String::new(),
            takes: false,
            holders: 0,
            in_journal: false,
        })
    }

    fn change(&self, kind: Kind, queue: &str, change: impl FnOnce(&mut Episode)) {
        if let Some(episode) = self.0.episodes.lock().get_mut(&(kind, queue.to_owned())) {
            change(episode);
        }
    }

    fn end(&self, is_over: impl Fn(Kind, &str, &Episode) -> bool) {
        let mut episodes = self.0.episodes.lock();
        episodes.retain(|(kind, queue), episode| {
            if !is_over(*kind, queue, episode) {
                return true;
            }
            let (count, since) = (episode.count, episode.since);
            match episode.fault {
                _ if !episode.is_certain => {}
                Fault::Silent => {
                    self.0.metrics.queue_silent.with_label_values(&[queue]).set(0);
                    info!(queue, unanswered = count, %since, "the queue answers and takes messages again");
                }
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
        queues.change(Kind::Held, "qa", |episode| {
            episode.last = long_ago.expect("a machine that runs for some seconds");
        });
        queues.look();
        queues.release("qa");
        queues.look();
        assert_eq!(queues.held(), ["qa"], "some wait in the journal");
        queues.took("qa");
        assert!(queues.troubles()[0].why.starts_with(TAKES_AGAIN));
        queues.change(Kind::Held, "qa", |episode| {
            episode.last = long_ago.expect("a machine that runs for some seconds");
        });
        queues.in_journal("qa", false);
        queues.look();
        assert!(!queues.any());
    }

    #[test]
    fn a_suspicion_is_told_to_nobody_until_it_is_certain() {
        let queues = Queues::new(Metrics::new());
        let gauge = |queues: &Queues| queues.0.metrics.queue_silent.with_label_values(&["qa"]).get();
        queues.suspected("qa");
        assert_eq!(
            (queues.held().len(), queues.held_by_all().len(), queues.troubles().len()),
            (1, 0, 0)
        );
        queues.hold("qa");
        queues.silent("qa", 7, "no answer");
        let told = |queues: &Queues| {
            let trouble = &queues.troubles()[0];
            (trouble.fault, trouble.count, trouble.why.clone())
        };
        assert_eq!(told(&queues), (Fault::Silent, 7, "no answer".into()));
        assert!(queues.was_silent("qa") && gauge(&queues) == 1);
        queues.answers("qa");
        assert_eq!(told(&queues).2, ANSWERS_AGAIN);
        assert!(queues.was_silent("qa") && gauge(&queues) == 0);
        queues.refused("qa", 2, "full");
        assert_eq!(told(&queues), (Fault::Refusing, 9, "full".into()));
        assert_eq!(queues.held_by_all(), ["qa"]);
    }

    #[test]
    fn a_missing_queue_is_forgotten_when_its_key_is_taken() {
        let queues = Queues::new(Metrics::new());
        queues.returned("qa", 1, "312 NO_ROUTE");
        queues.took("qb");
        assert_eq!(queues.troubles().len(), 1);
        assert_eq!(queues.held(), [""; 0]);
        queues.took("qa");
        assert_eq!(queues.troubles(), []);
    }
}
