//! Health: what keeps us from taking messages, what works worse than it should, and whether we hear the sources.
//!
//! - Not ready: a message sent now could not be stored. Balancers and people must act.
//! - Degraded: messages are stored, something behind or before that limps (the broker is down, a source is silent).
//! - For each source "nobody writes" and "we cannot hear" are different answers: see [`SourceState`].

mod report;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::Mutex;
use priem_sdk::{Stream, StreamKind};

use crate::visible;

pub use report::{Finding, HealthReport, SourceReport, SourceState};

/// A core loop that has not beaten for this long hangs.
const LONGEST_HEARTBEAT_PAUSE: Duration = Duration::from_secs(30);
/// A poller without a successful exchange for this long is deaf: long polls answer within a minute, files each second.
const LONGEST_EXCHANGE_PAUSE: Duration = Duration::from_secs(300);
/// A source without a new item for this long is called quiet. Nights are longer; it is information, not an alarm.
const QUIET_AFTER: Duration = Duration::from_secs(3600);
/// Time stamp of "never".
const NEVER: i64 = i64::MIN;

/// A named condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// As it should be.
    Ready,
    /// Messages are stored, but something limps.
    Degraded {
        /// What an operator should know. No citizen's data, no secrets.
        why: String,
    },
    /// Messages can't be stored.
    NotReady {
        /// What an operator should know. No citizen's data, no secrets.
        why: String,
    },
}

/// Where a condition is known from.
enum ConditionOrigin {
    /// Somebody tells when it changes.
    Set(Condition),
    /// It is asked for whenever somebody wants to know.
    Asked(Box<dyn Fn() -> Condition + Send + Sync>),
}

impl std::fmt::Debug for ConditionOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Set(condition) => condition.fmt(f),
            Self::Asked(_) => f.write_str("Asked"),
        }
    }
}

/// The health of one daemon. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Health {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    conditions: Mutex<BTreeMap<Cow<'static, str>, ConditionOrigin>>,
    sources: Mutex<BTreeMap<SourceName, Arc<Source>>>,
    heartbeat: AtomicI64,
}

impl Health {
    /// Health with conditions that must all be set before the daemon is ready (`journal`, `connectors`).
    pub fn new(awaited: &[&'static str]) -> Self {
        let starting = || ConditionOrigin::Set(Condition::NotReady { why: "starting".into() });
        let conditions = awaited.iter().map(|name| (Cow::Borrowed(*name), starting())).collect();
        Self {
            shared: Arc::new(Shared {
                conditions: Mutex::new(conditions),
                sources: Mutex::default(),
                heartbeat: AtomicI64::new(now_ms()),
            }),
        }
    }

    /// Sets a condition, new or known.
    pub fn set(&self, name: impl Into<Cow<'static, str>>, condition: Condition) {
        self.keep(name.into(), ConditionOrigin::Set(condition));
    }

    /// Sets a condition that is asked for anew by every report: what it says is never older than the answer. `asked`
    /// waits for nobody and does not ask for health itself.
    pub fn ask(&self, name: impl Into<Cow<'static, str>>, asked: impl Fn() -> Condition + Send + Sync + 'static) {
        self.keep(name.into(), ConditionOrigin::Asked(Box::new(asked)));
    }

    fn keep(&self, name: Cow<'static, str>, origin: ConditionOrigin) {
        self.shared.conditions.lock().insert(name, origin);
    }

    /// Forgets a condition (a connector was removed from the settings).
    pub fn remove(&self, name: &str) {
        self.shared.conditions.lock().remove(name);
    }

    /// The core loop is alive. To be called at least every ten seconds.
    pub fn beat(&self) {
        self.shared.heartbeat.store(now_ms(), Ordering::Relaxed);
    }

    /// Whether the core loop has beaten lately.
    pub fn is_live(&self, now: Timestamp) -> bool {
        age(self.shared.heartbeat.load(Ordering::Relaxed), now).is_some_and(|age| age <= LONGEST_HEARTBEAT_PAUSE)
    }

    /// The handle the host reports exchanges of a stream to. The same stream keeps its handle over a reload.
    pub fn source(&self, connector: &str, stream: &Stream) -> Arc<Source> {
        let name = SourceName {
            connector: connector.to_owned(),
            stream: stream.name,
            webhook: stream.kind == StreamKind::Webhook,
            key: stream.key.clone(),
        };
        let mut sources = self.shared.sources.lock();
        let source = sources.entry(name).or_insert_with(|| {
            Arc::new(Source {
                kind: stream.kind,
                since: now_ms(),
                last_exchange: AtomicI64::new(NEVER),
                last_item: AtomicI64::new(NEVER),
                trouble: Mutex::default(),
                left_alone: Mutex::default(),
            })
        });
        Arc::clone(source)
    }

    /// Shows what a connector says it does not hear, for as long as it says so.
    pub fn ask_hearing(&self, connector: &str, asked: impl Fn() -> Vec<String> + Send + Sync + 'static) {
        self.ask(unheard(connector), move || match asked().as_slice() {
            [] => Condition::Ready,
            parts => Condition::Degraded { why: parts.join(". ") },
        });
    }

    /// Forgets the streams of a connector.
    pub fn remove_sources(&self, connector: &str) {
        self.shared.sources.lock().retain(|name, _| name.connector != connector);
        self.remove(&unheard(connector));
    }

    /// Everything, as `/health/ready` answers it.
    pub fn report(&self, now: Timestamp) -> HealthReport {
        let mut report = HealthReport::default();
        for (name, origin) in self.shared.conditions.lock().iter() {
            let condition = match origin {
                ConditionOrigin::Set(condition) => condition.clone(),
                ConditionOrigin::Asked(asked) => asked(),
            };
            let (list, why) = match &condition {
                Condition::Ready => continue,
                Condition::Degraded { why } => (&mut report.degraded, why),
                Condition::NotReady { why } => (&mut report.not_met, why),
            };
            list.push(Finding {
                condition: name.to_string(),
                why: visible::line(why).into_owned(),
            });
        }
        let sources = self.shared.sources.lock();
        report.sources = report::by_stream(&sources, now);
        report::push_left_alone(&sources, &mut report.degraded);
        drop(sources);
        for source in &report.sources {
            if let SourceState::Deaf | SourceState::PartlyDeaf = source.state {
                report.degraded.push(Finding {
                    condition: format!("source {}/{}", source.connector, source.stream),
                    why: source.why.clone(),
                });
            }
        }
        report.ready = report.not_met.is_empty();
        report
    }
}

/// Which stream a [`Source`] is. The order puts streams of one name together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct SourceName {
    connector: String,
    stream: &'static str,
    webhook: bool,
    key: String,
}

/// One stream of a connector, as health sees it. Reporting an exchange takes no lock.
#[derive(Debug)]
pub struct Source {
    kind: StreamKind,
    since: i64,
    last_exchange: AtomicI64,
    last_item: AtomicI64,
    trouble: Mutex<Option<String>>,
    left_alone: Mutex<Option<String>>,
}

impl Source {
    /// The source was asked and answered as it should, or it called us with a proof that holds.
    pub fn exchanged(&self, new_items: bool) {
        let now = now_ms();
        self.last_exchange.store(now, Ordering::Relaxed);
        if new_items {
            self.last_item.store(now, Ordering::Relaxed);
        }
    }

    /// The source can't be heard now, and why; `None` when that is over.
    pub fn set_trouble(&self, why: Option<String>) {
        // A platform's own words may be in it.
        *self.trouble.lock() = why.map(|why| visible::line(&why).into_owned());
    }

    /// Something lies at the source and is never read, and why; `None` when that is over.
    pub fn set_left_alone(&self, why: Option<String>) {
        *self.left_alone.lock() = why.map(|why| visible::line(&why).into_owned());
    }

    /// Do we hear it, and if not, why.
    fn state(&self, now: Timestamp) -> (SourceState, Option<String>) {
        let exchange = self.last_exchange.load(Ordering::Relaxed);
        let item = self.last_item.load(Ordering::Relaxed);
        let quiet = age(item.max(self.since), now).is_none_or(|age| age > QUIET_AFTER);
        let unheard = age(exchange.max(self.since), now).is_none_or(|age| age > LONGEST_EXCHANGE_PAUSE);
        match (self.trouble.lock().clone(), self.kind) {
            (Some(trouble), _) => (SourceState::Deaf, Some(trouble)),
            (None, StreamKind::Poll) if unheard => (
                SourceState::Deaf,
                Some("no successful exchange for five minutes".to_owned()),
            ),
            (None, StreamKind::Poll) if quiet => (SourceState::Quiet, None),
            (None, StreamKind::Webhook) if quiet => (SourceState::Silent, None),
            (None, _) => (SourceState::Hearing, None),
        }
    }
}

/// Name of the condition that parts of a source are not heard.
fn unheard(connector: &str) -> String {
    format!("not heard {connector}")
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Age of a time stamp; zero when it lies in the future.
fn age(stamp: i64, now: Timestamp) -> Option<Duration> {
    let age = now.as_millisecond().checked_sub(stamp)?;
    Some(Duration::from_millis(u64::try_from(age).unwrap_or(0)))
}

fn timestamp(stamp: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(stamp).ok()
}
