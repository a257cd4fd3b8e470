//! The loop around one stream: when to ask, what to do with each decision a connector takes, and the one order that
//! matters: store, then move on, then acknowledge.
//!
//! A stream that only waits costs a task with a timer or an open request: the cursor is read from the journal once and
//! kept, and no gauge is looked up by name while it polls.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use parking_lot::Mutex;
use priem_sdk::{
    Connector, ConnectorError, Cursor, Cx, Page, StreamKind, Wait,
    contract::{LeftAlone, Progress, Stream},
    unheard::Unheard,
};
use prometheus::{IntCounter, IntGauge};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{
    streams::{GapNotice, StreamHealth, Streams},
    supervisor::{Group, OnEnd},
    trouble::Trouble,
};
use crate::{
    health::{Health, Source},
    intake::{Intake, StreamId},
    journal::Journal,
    telemetry::{Metrics, unix_now},
};

/// Pause before a connector that needs a human is tried again: recovery needs no restart.
const HUMAN_PAUSE: Duration = Duration::from_secs(60);

/// How often the registration of a webhook is renewed, at most and at least.
const REGISTRATION_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));

/// Longest pause between two polls: alarms take five minutes without an exchange for deafness.
const LONGEST_WAIT: Duration = Duration::from_secs(240);

/// Longest pause that a source may ask for: after it we ask again, whatever it said.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

/// The streams of one connector start one after the other, this far apart, and so they answer a call to catch up: a
/// thousand requests in one moment would break every limit of a platform.
const STEP: Duration = Duration::from_millis(20);

/// Such answers in a row before it is told.
const HASTY_TOLD: u32 = 5;

/// Progress of a long import is logged this often.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// What a stream's loop needs from the daemon.
#[derive(Clone)]
pub struct Host {
    /// Where items go.
    pub intake: Intake,
    /// Where cursors are.
    pub journal: Journal,
    /// What is counted.
    pub metrics: Metrics,
    /// Pauses after trouble, the shortest and the longest.
    pub pauses: (Duration, Duration),
}

/// One stream of one connector.
pub struct Poller {
    connector: Arc<dyn Connector>,
    cx: Cx,
    stream: StreamId,
    key: String,
    kind: StreamKind,
    /// Place among the streams of the connector.
    place: u32,
    /// Whether this polled stream sees to the registration: nobody else in the connector does.
    registers: bool,
    host: Host,
    streams: Arc<Streams>,
    source: Arc<Source>,
    health: Mutex<StreamHealth>,
    /// When progress of an import was last reported.
    reported: Mutex<Option<Instant>>,
    /// `priem_polls_total` with result `ok` and `priem_last_exchange_timestamp_seconds`: made at the first good
    /// exchange, because alarms take their absence for "never".
    good_polls: OnceLock<IntCounter>,
    last_exchange: OnceLock<IntGauge>,
    /// What the connector left alone, as it was last told; `None` before that.
    left_alone: Mutex<Option<Option<LeftAlone>>>,
}

/// What a loop knows from one turn to the next.
struct Turns {
    registered: bool,
    /// Where the journal stands; `None` before it was read.
    cursor: Option<Cursor>,
    /// What was asked for while the page before it was being stored: it begins at `cursor`.
    ahead: Option<Result<Page, ConnectorError>>,
    /// The source may not know that everything up to `cursor` is stored.
    owes_acknowledgement: bool,
    gaps: watch::Receiver<GapNotice>,
    /// A gap was told, and nothing sound has come since.
    gap_told: bool,
    /// Answers in a row that a platform had promised to hold and gave at once, with nothing in them.
    hasty: u32,
}

/// What a good turn leads to.
struct Turn {
    wait: Wait,
    /// It brought nothing and cost no time: the next one comes after a growing pause.
    fruitless: bool,
}

impl Turn {
    fn then(wait: Wait) -> Self {
        Self { wait, fruitless: false }
    }
}

impl Poller {
    /// The loops of all streams of a connector.
    pub fn all(connector: &Arc<dyn Connector>, cx: &Cx, host: &Host, health: &Health) -> Vec<Self> {
        let declared = connector.streams();
        let id = cx.id.as_str();
        let streams = Arc::new(Streams::new(id, &declared, &host.metrics));
        let hearing = Arc::clone(connector);
        health.ask_hearing(id, move || hearing.unheard().map(Unheard::told).unwrap_or_default());
        let has_webhook = declared.iter().any(|stream| stream.kind == StreamKind::Webhook);
        let poller = |(place, stream): (usize, &Stream)| Self {
            connector: Arc::clone(connector),
            cx: cx.clone(),
            stream: StreamId::from(stream),
            key: stream.key.clone(),
            kind: stream.kind,
            place: u32::try_from(place).unwrap_or(u32::MAX),
            registers: !has_webhook,
            host: host.clone(),
            streams: Arc::clone(&streams),
            source: health.source(id, stream),
            health: Mutex::new(StreamHealth::Starting),
            reported: Mutex::default(),
            good_polls: OnceLock::new(),
            last_exchange: OnceLock::new(),
            left_alone: Mutex::default(),
        };
        declared.iter().enumerate().map(poller).collect()
    }

    /// Keeps the loop running until the group stops: a panic in a connector stops one turn of one stream, not the daemon.
    pub fn supervise(self, group: &Group) {
        let name = format!("source {} {}", self.cx.id, self.stream.id);
        let again = OnEnd::RestartApart(self.host.pauses.1);
        let poller = Arc::new(self);
        let (panicked, closing) = (Arc::clone(&poller), group.closing().clone());
        let noticed = move || {
            panicked.set_health(StreamHealth::Human);
            let trouble = "the connector panicked; please report it as a bug";
            panicked.source.set_trouble(Some(trouble.into()));
        };
        let mut first_pause = Some(poller.turn_of_this_stream());
        let work = move || {
            let (poller, closing, pause) = (Arc::clone(&poller), closing.clone(), first_pause.take());
            async move {
                if poller.pause(pause.unwrap_or_default(), &closing).await {
                    poller.run(&closing).await;
                }
                Ok(())
            }
        };
        group.spawn_with(name, again, noticed, work);
    }

    async fn run(&self, shutdown: &CancellationToken) {
        let mut pauses = self.fresh_pauses();
        let mut turns = self.first_turns();
        loop {
            let turn = tokio::select! {
                () = shutdown.cancelled() => return,
                turn = self.turn(&mut turns) => turn,
            };
            match turn {
                Ok(turn) => {
                    let growing = if turn.fruitless {
                        pauses.next().unwrap_or(self.host.pauses.1)
                    } else {
                        pauses = self.fresh_pauses();
                        Duration::ZERO
                    };
                    let pause = match turn.wait {
                        Wait::For(pause) => pause.max(growing),
                        Wait::Now if turn.fruitless => growing,
                        Wait::Now => continue,
                    };
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = tokio::time::sleep(pause) => {}
                        () = self.called(&mut turns.gaps) => {}
                    }
                }
                Err(trouble) => {
                    turns.registered &= !matches!(trouble, Trouble::Source(ConnectorError::Misconfigured { .. }));
                    if let Trouble::Source(ConnectorError::Gap { what }) = &trouble {
                        self.tell_gap(what, &mut turns);
                    }
                    let pause = self.pause_after(&trouble, &mut pauses);
                    if !self.pause(pause, shutdown).await {
                        return;
                    }
                }
            }
        }
    }

    fn first_turns(&self) -> Turns {
        Turns {
            registered: false,
            cursor: None,
            ahead: None,
            owes_acknowledgement: false,
            gaps: self.streams.gaps(),
            gap_told: false,
            hasty: 0,
        }
    }

    /// Waits until there was a gap elsewhere in the connector and it is our turn to catch up. Siblings of the stream
    /// with the gap need not wait for a turn. Never earlier than the shortest pause after trouble: a platform that
    /// tells of a gap every time must not make everybody poll in circles.
    async fn called(&self, gaps: &mut watch::Receiver<GapNotice>) {
        if self.kind == StreamKind::Webhook || gaps.changed().await.is_err() {
            return std::future::pending().await;
        }
        let sibling = gaps.borrow_and_update().key == self.key;
        let turn = if sibling {
            Duration::ZERO
        } else {
            self.turn_of_this_stream()
        };
        tokio::time::sleep(turn.max(self.host.pauses.0)).await;
    }

    fn turn_of_this_stream(&self) -> Duration {
        let jitter = if self.place == 0 { 0.0 } else { fastrand::f64() };
        STEP * self.place + STEP.mul_f64(jitter)
    }

    /// Asks once and stores what came. Dropped at shutdown: what was handed to the journal is committed with its
    /// cursor, and acknowledged at the next start.
    async fn turn(&self, turns: &mut Turns) -> Result<Turn, Trouble> {
        if self.kind == StreamKind::Webhook {
            self.connector.subscribe_stream(&self.cx, &self.stream.id).await?;
            self.succeeded(false);
            let (shortest, longest) = REGISTRATION_PAUSES;
            let period = self.connector.subscription_period().clamp(shortest, longest);
            return Ok(Turn::then(Wait::For(period)));
        }
        if self.registers && !turns.registered {
            self.connector.subscribe_stream(&self.cx, &self.stream.id).await?;
            turns.registered = true;
        }
        let before = match &turns.cursor {
            Some(cursor) => cursor.clone(),
            None => {
                let stored = self.host.journal.cursor(&self.cx.id, &self.stream.id).await?;
                // The process may have died between a commit and its acknowledgement.
                turns.owes_acknowledgement = stored.is_some();
                turns.cursor.insert(stored.unwrap_or_default()).clone()
            }
        };
        if turns.owes_acknowledgement {
            self.connector.acknowledge(&self.cx, &self.stream.id, &before).await?;
            turns.owes_acknowledgement = false;
        }
        let page = match turns.ahead.take() {
            Some(page) => page?,
            None => self.connector.poll(&self.cx, &self.stream.id, &before).await?,
        };
        let is_hasty = page.is_hasty;
        let fruitless = page.items.is_empty() && (is_hasty || page.gap.is_some());
        self.succeeded(!page.items.is_empty());
        self.tell_left_alone();
        if let Some(what) = &page.gap {
            self.tell_gap(what, turns);
        } else {
            turns.gap_told &= fruitless;
        }
        let Page {
            items,
            next,
            wait,
            progress,
            gap: _,
            is_hasty: _,
            as_of,
            ahead,
        } = page;
        let wait = match wait {
            Wait::For(pause) => Wait::For(pause.min(LONGEST_WAIT)),
            Wait::Now => Wait::Now,
        };
        let mut turn = Turn { wait, fruitless };
        if items.is_empty() && next == before {
            self.count_hasty(is_hasty, turns);
            return Ok(turn);
        }
        self.report(progress.as_ref());
        let stored = self
            .host
            .intake
            .store(&self.cx.id, &self.stream, items, Some(next.clone()), as_of);
        let stored = if ahead {
            let next_page = self.connector.poll(&self.cx, &self.stream.id, &next);
            let (stored, next_page) = tokio::join!(stored, next_page);
            turns.ahead = stored.is_ok().then_some(next_page);
            stored?
        } else {
            stored.await?
        };
        if stored.older > 0 {
            self.connector.left_out(&self.stream.id, stored.older);
        }
        // A server that gives the same again and again, at once, gives nothing.
        let is_known = stored.new == 0 && stored.quarantined.is_empty();
        turn.fruitless |= is_hasty && is_known;
        self.count_hasty(is_hasty && is_known, turns);
        turns.cursor = Some(next.clone());
        turns.owes_acknowledgement = true;
        self.connector.acknowledge(&self.cx, &self.stream.id, &next).await?;
        turns.owes_acknowledgement = false;
        Ok(turn)
    }

    /// Tells of a source that answers at once with nothing new, once while it does.
    fn count_hasty(&self, is_hasty: bool, turns: &mut Turns) {
        turns.hasty = if is_hasty { turns.hasty.saturating_add(1) } else { 0 };
        if turns.hasty == HASTY_TOLD {
            warn!(
                connector = self.cx.id.as_str(),
                stream = &*self.stream.id,
                "the source answers at once with nothing new, in place of waiting; it is asked with growing pauses"
            );
        }
    }

    fn succeeded(&self, new_items: bool) {
        self.source.set_trouble(None);
        self.source.exchanged(new_items);
        let (before, loud) = self.set_health(StreamHealth::Heard);
        let (connector, stream) = (self.cx.id.as_str(), &*self.stream.id);
        match before {
            StreamHealth::Heard => {}
            StreamHealth::Starting if self.place > 0 => debug!(connector, stream, "source is heard"),
            _ if loud => info!(connector, stream, "source is heard"),
            _ => debug!(connector, stream, "source is heard"),
        }
        let (metrics, name) = (&self.host.metrics, self.stream.name);
        self.last_exchange
            .get_or_init(|| metrics.last_exchange.with_label_values(&[connector, name]))
            .set(unix_now());
        // Looking after a webhook's registration is no poll.
        if self.kind == StreamKind::Poll {
            self.good_polls
                .get_or_init(|| metrics.polls.with_label_values(&[connector, name, "ok"]))
                .inc();
        }
    }

    /// How the stream stood, and whether the log should tell loudly that this changed.
    fn set_health(&self, health: StreamHealth) -> (StreamHealth, bool) {
        let mut current = self.health.lock();
        let before = std::mem::replace(&mut *current, health);
        let loud = before != health && self.streams.moved(self.stream.name, before, health);
        (before, loud)
    }

    /// Tells of a gap, once until something sound comes: a platform that tells of it every time starts nothing anew.
    fn tell_gap(&self, what: &str, turns: &mut Turns) {
        let connector = self.cx.id.as_str();
        if std::mem::replace(&mut turns.gap_told, true) {
            debug!(
                connector,
                stream = &*self.stream.id,
                what,
                "source tells of a gap again"
            );
            return;
        }
        self.host.metrics.gaps.with_label_values(&[connector]).inc();
        error!(
            connector,
            stream = &*self.stream.id,
            what,
            "source lost events; other streams catch up"
        );
        self.streams.call_to_catch_up(&self.key);
        turns.gaps.mark_unchanged();
    }

    /// Shows what is never read, when it changed.
    fn tell_left_alone(&self) {
        let left = self.connector.left_alone();
        let mut told = self.left_alone.lock();
        if told.as_ref() == Some(&left) {
            return;
        }
        let count = left.as_ref().map_or(0, |left| left.count);
        let gauge = &self.host.metrics.left_alone;
        gauge
            .with_label_values(&[self.cx.id.as_str()])
            .set(i64::try_from(count).unwrap_or(i64::MAX));
        self.source.set_left_alone(left.as_ref().map(|left| left.why.clone()));
        *told = Some(left);
    }

    fn report(&self, progress: Option<&Progress>) {
        let Some(Progress {
            what,
            done,
            total,
            unit,
        }) = progress
        else {
            return;
        };
        let mut reported = self.reported.lock();
        if *total != Some(*done) && reported.is_some_and(|at| at.elapsed() < REPORT_EVERY) {
            return;
        }
        *reported = Some(Instant::now());
        info!(
            connector = self.cx.id.as_str(),
            file = what,
            done,
            total,
            unit,
            "import goes on"
        );
    }

    /// How long to wait after trouble, and who must hear of it: the log once for each trouble, the gauges always.
    fn pause_after(&self, trouble: &Trouble, pauses: &mut impl Iterator<Item = Duration>) -> Duration {
        let (connector, stream) = (self.cx.id.as_str(), &*self.stream.id);
        let metrics = &self.host.metrics;
        if self.kind == StreamKind::Poll {
            let result = trouble.kind();
            metrics
                .polls
                .with_label_values(&[connector, self.stream.name, result])
                .inc();
        }
        self.source.set_trouble(Some(trouble.to_string()));
        let health = trouble.health();
        let (before, loud) = self.set_health(health);
        if before == health || !loud {
            debug!(connector, stream, error = %trouble, "source is still in trouble");
        } else if health == StreamHealth::Human {
            error!(connector, stream, error = %trouble, "source needs a human");
        } else if let Trouble::Source(ConnectorError::RateLimited { retry_after }) = trouble {
            warn!(
                connector,
                stream,
                seconds = retry_after.as_secs(),
                waited = retry_after.min(&LONGEST_ASKED).as_secs(),
                "source asks to wait"
            );
        } else {
            warn!(connector, stream, error = %trouble, "poll failed; tried again with growing pauses");
        }
        let growing = pauses.next().unwrap_or(self.host.pauses.1);
        match trouble {
            Trouble::Source(ConnectorError::RateLimited { retry_after }) => {
                metrics.rate_limit_waits.with_label_values(&[connector]).inc();
                (*retry_after).min(LONGEST_ASKED)
            }
            _ if health == StreamHealth::Human => HUMAN_PAUSE,
            _ => growing,
        }
    }

    /// Waits; answers whether the daemon goes on.
    async fn pause(&self, pause: Duration, shutdown: &CancellationToken) -> bool {
        tokio::select! {
            () = shutdown.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    fn fresh_pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        ExponentialBuilder::default()
            .with_min_delay(self.host.pauses.0)
            .with_max_delay(self.host.pauses.1)
            .with_jitter()
            .without_max_times()
            .build()
    }
}

#[cfg(test)]
mod tests;
