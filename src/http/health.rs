//! Health: what keeps us from taking messages, what works worse than it should, and whether we hear the sources.
//!
//! - Not ready: a message sent now could not be stored. Balancers and people must act.
//! - Degraded: messages are stored, something behind or before that limps (the broker is down, a source is silent).
//! - For each source "nobody writes" and "we cannot hear" are different answers: see [`SourceState`].

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
use priem_sdk::StreamKind;
use serde::Serialize;

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

/// The health of one daemon. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Health {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    conditions: Mutex<BTreeMap<Cow<'static, str>, Condition>>,
    sources: Mutex<Vec<Arc<Source>>>,
    heartbeat: AtomicI64,
}

impl Health {
    /// Health with conditions that must all be set before the daemon is ready (`journal`, `connectors`).
    pub fn new(awaited: &[&'static str]) -> Self {
        let starting = || Condition::NotReady { why: "starting".into() };
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
        self.shared.conditions.lock().insert(name.into(), condition);
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
    pub fn source(&self, connector: &str, stream: &'static str, kind: StreamKind) -> Arc<Source> {
        let mut sources = self.shared.sources.lock();
        let same = |source: &&Arc<Source>| {
            (source.connector.as_str(), source.stream, source.kind) == (connector, stream, kind)
        };
        if let Some(known) = sources.iter().find(same) {
            return known.clone();
        }
        let source = Arc::new(Source {
            connector: connector.to_owned(),
            stream,
            kind,
            since: now_ms(),
            last_exchange: AtomicI64::new(NEVER),
            last_item: AtomicI64::new(NEVER),
            trouble: Mutex::default(),
        });
        sources.push(source.clone());
        source
    }

    /// Forgets the streams of a connector.
    pub fn remove_sources(&self, connector: &str) {
        self.shared
            .sources
            .lock()
            .retain(|source| source.connector != connector);
    }

    /// Everything, as `/health/ready` answers it.
    pub fn report(&self, now: Timestamp) -> HealthReport {
        let mut report = HealthReport::default();
        for (name, condition) in self.shared.conditions.lock().iter() {
            let (list, why) = match condition {
                Condition::Ready => continue,
                Condition::Degraded { why } => (&mut report.degraded, why),
                Condition::NotReady { why } => (&mut report.not_met, why),
            };
            list.push(Finding {
                condition: name.to_string(),
                why: why.clone(),
            });
        }
        report.sources = self
            .shared
            .sources
            .lock()
            .iter()
            .map(|source| source.report(now))
            .collect();
        for source in report.sources.iter().filter(|source| source.state == SourceState::Deaf) {
            report.degraded.push(Finding {
                condition: format!("source {}/{}", source.connector, source.stream),
                why: source.why.clone(),
            });
        }
        report.ready = report.not_met.is_empty();
        report
    }
}

/// One stream of a connector, as health sees it. Reporting to it takes no lock.
#[derive(Debug)]
pub struct Source {
    connector: String,
    stream: &'static str,
    kind: StreamKind,
    since: i64,
    last_exchange: AtomicI64,
    last_item: AtomicI64,
    trouble: Mutex<Option<String>>,
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
        *self.trouble.lock() = why;
    }

    fn report(&self, now: Timestamp) -> SourceReport {
        let exchange = self.last_exchange.load(Ordering::Relaxed);
        let item = self.last_item.load(Ordering::Relaxed);
        let quiet = age(item.max(self.since), now).is_none_or(|age| age > QUIET_AFTER);
        let unheard = age(exchange.max(self.since), now).is_none_or(|age| age > LONGEST_EXCHANGE_PAUSE);
        let (state, why) = match (self.trouble.lock().clone(), self.kind) {
            (Some(trouble), _) => (SourceState::Deaf, trouble),
            (None, StreamKind::Poll) if unheard => {
                (SourceState::Deaf, "no successful exchange for five minutes".to_owned())
            }
            (None, StreamKind::Poll) if quiet => (
                SourceState::Quiet,
                "the source answers, nobody has written for an hour".to_owned(),
            ),
            (None, StreamKind::Webhook) if quiet => (
                SourceState::Silent,
                "nothing came for an hour; `priem check` asks the platform whether it has something".to_owned(),
            ),
            (None, _) => (SourceState::Hearing, String::new()),
        };
        SourceReport {
            connector: self.connector.clone(),
            stream: self.stream,
            state,
            why,
            last_exchange: timestamp(exchange),
            last_item: timestamp(item),
        }
    }
}

/// The answer of `/health/ready`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HealthReport {
    /// Whether messages can be stored.
    pub ready: bool,
    /// Conditions that keep us from being ready.
    pub not_met: Vec<Finding>,
    /// Conditions that limp.
    pub degraded: Vec<Finding>,
    /// Every stream.
    pub sources: Vec<SourceReport>,
}

/// A condition that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name.
    pub condition: String,
    /// What an operator should know.
    pub why: String,
}

/// One stream in a [`HealthReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    /// Connector.
    pub connector: String,
    /// Stream.
    pub stream: &'static str,
    /// Do we hear it?
    pub state: SourceState,
    /// What an operator should know; empty when there is nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Last successful exchange.
    pub last_exchange: Option<Timestamp>,
    /// Last new item.
    pub last_item: Option<Timestamp>,
}

/// Do we hear a source?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Yes, and there is something to hear.
    Hearing,
    /// Yes, but nobody writes.
    Quiet,
    /// A platform that calls us has not called; from here the two can't be told apart.
    Silent,
    /// No.
    Deaf,
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

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;

    #[test]
    fn ready_only_when_everything_awaited_is_set() {
        let health = Health::new(&["journal", "connectors"]);
        let now = Timestamp::now();
        assert!(!health.report(now).ready);
        health.set("journal", Condition::Ready);
        let report = health.report(now);
        assert_eq!((report.ready, report.not_met.len()), (false, 1));
        assert_eq!(report.not_met[0].condition, "connectors");
        health.set("connectors", Condition::Ready);
        assert!(health.report(now).ready);
        health.set(
            "journal",
            Condition::NotReady {
                why: "disk full".into(),
            },
        );
        assert!(!health.report(now).ready);
    }

    #[test]
    fn a_broker_that_is_down_degrades_only() {
        let health = Health::new(&[]);
        health.set(
            "broker",
            Condition::Degraded {
                why: "connection refused".into(),
            },
        );
        let report = health.report(Timestamp::now());
        assert!(report.ready);
        assert_eq!(report.degraded[0].condition, "broker");
    }

    #[test]
    fn a_hung_core_loop_is_not_live() {
        let health = Health::new(&[]);
        let now = Timestamp::now();
        assert!(health.is_live(now));
        assert!(!health.is_live(now + 2.minutes()));
    }

    #[test]
    fn nobody_writes_is_not_we_cannot_hear() {
        let health = Health::new(&[]);
        let poll = health.source("telegram", "updates", StreamKind::Poll);
        let hook = health.source("vk", "callback", StreamKind::Webhook);
        let states = |now| -> Vec<SourceState> { health.report(now).sources.iter().map(|s| s.state).collect() };
        let start = Timestamp::now();
        assert_eq!(states(start), [SourceState::Hearing, SourceState::Hearing]);
        assert_eq!(states(start + 2.hours()), [SourceState::Deaf, SourceState::Silent]);

        poll.exchanged(true);
        hook.exchanged(true);
        // Two hours later the poller still exchanges, but brings nothing new.
        let later = start + 2.hours();
        poll.last_exchange.store(later.as_millisecond(), Ordering::Relaxed);
        assert_eq!(states(later), [SourceState::Quiet, SourceState::Silent]);

        poll.set_trouble(Some("credentials refused".into()));
        let report = health.report(start);
        assert_eq!(report.sources[0].state, SourceState::Deaf);
        assert_eq!(report.degraded[0].condition, "source telegram/updates");
        assert!(report.ready);
        poll.set_trouble(None);
        assert_eq!(states(start)[0], SourceState::Hearing);
    }
}
