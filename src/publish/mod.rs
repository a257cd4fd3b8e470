//! Publishing: confirmed, in the order of each conversation, never lost.
//!
//! The pipeline hands over [`Outgoing`] messages and learns of each exactly one [`Settled`], after the broker (or the
//! NDJSON file) has taken it for good. Until then the journal keeps the item, so a crash only means sending it again
//! under the same id.

mod amqp;
mod error;
mod ndjson;
pub mod queues;
pub mod settings;

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;
use priem_sdk::CheckReport;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

pub use error::PublishError;

use crate::telemetry::Metrics;
use queues::Queues;
use settings::PublishSettings;

/// Header that names the channel; also the label of `priem_published_messages_total`.
pub const CHANNEL_HEADER: &str = "channel";

/// Log directives that every subscriber must add last, after the operator's own: lapin logs returned messages with
/// their bodies, and each failed attempt to connect, which the supervisor reports once.
pub const LOG_DIRECTIVES: [&str; 2] = ["lapin=off", "lapin::returned_messages=off"];

/// Limit of [`Publisher::stopped`]: lanes finish within five seconds, closing the connection takes two at most.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// One encoded event on its way out.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Names the delivery back to the pipeline; opaque here.
    pub token: u64,
    /// Event id: AMQP `message_id`.
    pub event_id: Uuid,
    /// Event type on the wire: AMQP `type`.
    pub event_type: &'static str,
    /// Messages with equal values are published in the order they were handed over.
    pub order_key: u64,
    /// Routing key.
    pub routing_key: String,
    /// 0 to 9.
    pub priority: u8,
    /// Unix seconds: AMQP `timestamp`.
    pub timestamp: u64,
    /// When we took it; what a refusing queue makes wait too long is parked by this.
    pub received_at: Timestamp,
    /// AMQP headers: channel, sector, territory, rule …
    pub headers: Vec<(&'static str, String)>,
    /// CloudEvents JSON, one line.
    pub body: Bytes,
}

/// What became of an [`Outgoing`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// [`Outgoing::token`].
    pub token: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a publication ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The broker has it for good.
    Confirmed,
    /// The broker has no queue for it (`mandatory`): park and alarm.
    Returned {
        /// AMQP reply code and text (`312 NO_ROUTE`).
        reason: String,
    },
    /// Its queue has refused it, or not answered, for longer than `amqp.refused.park_after`: park and alarm.
    Refused {
        /// The broker's words, or ours.
        reason: String,
    },
}

/// What the other side of publishing looks like right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrokerState {
    /// Messages flow. For NDJSON: the last write succeeded.
    Connected,
    /// Nothing can be published; messages stay in the journal.
    Disconnected {
        /// When it began.
        since: Timestamp,
        /// The reason, for people.
        why: String,
    },
    /// The broker is there and takes nothing (its memory or disk alarm).
    Blocked {
        /// When it began.
        since: Timestamp,
        /// The broker's reason.
        why: String,
    },
}

/// Handle on the running publisher. Dropping it stops publishing; what is not settled stays in the journal.
#[derive(Debug)]
pub struct Publisher {
    entrance: Entrance,
    state: watch::Receiver<BrokerState>,
    queues: Queues,
    /// Cancels when the publisher is dropped.
    shutdown: DropGuard,
    running: Option<JoinHandle<()>>,
}

enum Entrance {
    Amqp(amqp::Lanes),
    Ndjson(mpsc::Sender<Vec<Outgoing>>),
}

impl std::fmt::Debug for Entrance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Amqp(_) => "Amqp",
            Self::Ndjson(_) => "Ndjson",
        })
    }
}

impl Publisher {
    /// Starts publishing in a task of its own; see [`Publisher::prepare`].
    ///
    /// # Errors
    /// Settings that can't work: no address, an unreadable secret or certificate.
    pub fn start(
        settings: PublishSettings,
        metrics: Metrics,
        settled: mpsc::Sender<Vec<Settled>>,
        shutdown: &CancellationToken,
    ) -> Result<Self, PublishError> {
        let (mut publisher, work) = Self::prepare(settings, metrics, settled, shutdown)?;
        publisher.running = Some(tokio::spawn(work));
        Ok(publisher)
    }

    /// A publisher and its work, for somebody who runs and watches it: it ends after shutdown only. An absent broker is no
    /// error, the publisher waits for it.
    ///
    /// Outcomes arrive on `settled` in batches, once per [`Outgoing::token`]; it must be read, or publishing waits.
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// Settings that can't work: no address, an unreadable secret or certificate.
    pub fn prepare(
        settings: PublishSettings,
        metrics: Metrics,
        settled: mpsc::Sender<Vec<Settled>>,
        shutdown: &CancellationToken,
    ) -> Result<(Self, BoxFuture<'static, ()>), PublishError> {
        let shutdown = shutdown.child_token();
        let waiting = BrokerState::Disconnected {
            since: Timestamp::now(),
            why: "not connected yet".into(),
        };
        let (state_sender, state) = watch::channel(waiting);
        let queues = Queues::new(metrics.clone());
        let (entrance, work): (_, BoxFuture<'static, ()>) = match settings.amqp {
            Some(amqp) => {
                let (supervisor, lanes) =
                    amqp::Supervisor::new(amqp, metrics, queues.clone(), settled, state_sender, shutdown.clone())?;
                (Entrance::Amqp(lanes), Box::pin(supervisor.run()))
            }
            None => {
                let (sender, receiver) = mpsc::channel(ndjson::BATCHES);
                let writer = ndjson::Writer::new(settings.ndjson, metrics, settled, state_sender, shutdown.clone());
                (Entrance::Ndjson(sender), Box::pin(writer.run(receiver)))
            }
        };
        let publisher = Self {
            entrance,
            state,
            queues,
            shutdown: shutdown.drop_guard(),
            running: None,
        };
        Ok((publisher, work))
    }

    /// Hands over messages, in their order; waits while a lane is full. Many at once cost much less than one by one: a lane
    /// is woken once for its share. What was handed over together before shutdown is still published, as far as the broker
    /// takes it within some seconds: an item of several messages is not torn by an orderly stop.
    pub async fn send(&self, messages: Vec<Outgoing>) {
        // Either is gone only after shutdown; the rest stays in the journal.
        match &self.entrance {
            Entrance::Amqp(lanes) => lanes.send(messages).await,
            Entrance::Ndjson(sender) => drop(sender.send(messages).await),
        }
    }

    /// The state of the broker, now and as it changes.
    pub fn state(&self) -> watch::Receiver<BrokerState> {
        self.state.clone()
    }

    /// The queues that refuse or do not answer, and those that are missing. NDJSON has none.
    pub fn queues(&self) -> &Queues {
        &self.queues
    }

    /// Stops: takes nothing new, waits a few seconds until what was handed over is confirmed, then returns. Outcomes that
    /// arrive meanwhile still come through `settled`.
    ///
    /// # Panics
    /// When publishing itself panicked.
    pub async fn stopped(self) {
        let Self {
            entrance,
            shutdown,
            running,
            ..
        } = self;
        drop((entrance, shutdown));
        let Some(mut running) = running else { return };
        match tokio::time::timeout(STOP_LIMIT, &mut running).await {
            Ok(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Ok(_) => {}
            // Somebody does not read `settled`; the journal has what is not settled.
            Err(_) => running.abort(),
        }
    }
}

/// Looks whether settings can work, without reading a file or asking anybody.
///
/// # Errors
/// What is wrong with them.
pub fn validate(amqp: &settings::AmqpSettings) -> Result<(), PublishError> {
    amqp::validate(amqp)
}

/// Refuses to write messages into the log of systemd, where everybody in `adm` may read them. `journal_stream` is the
/// environment variable of that name.
///
/// # Errors
/// When there is no broker and standard output is that log.
pub fn refuse_system_journal(settings: &PublishSettings, journal_stream: Option<&str>) -> Result<(), PublishError> {
    if settings.amqp.is_none() && ndjson::is_system_journal(&settings.ndjson, journal_stream) {
        return Err(PublishError::settings(
            "ndjson.path",
            "messages with personal data would go to the system journal: set amqp, or ndjson.path to a file",
        ));
    }
    Ok(())
}

/// What is wrong with where messages go, as far as it shows without asking anybody: addresses, secrets, certificates.
pub fn check_offline(settings: &PublishSettings) -> CheckReport {
    let mut report = CheckReport::default();
    match &settings.amqp {
        Some(amqp) => amqp::check_settings(amqp, &mut report),
        None => ndjson::check(&settings.ndjson, &mut report),
    }
    report
}

/// Looks at where messages go, for `priem check`. Changes nothing.
pub async fn check(settings: &PublishSettings) -> CheckReport {
    let mut report = CheckReport::default();
    match &settings.amqp {
        Some(amqp) => amqp::check(amqp, &mut report).await,
        None => ndjson::check(&settings.ndjson, &mut report),
    }
    report
}
