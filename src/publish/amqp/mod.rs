//! RabbitMQ: one connection, some channels, and a supervisor that never gives up.
//!
//! The supervisor connects, prepares the topology, gives each lane a channel and waits until one of them or the
//! connection is lost; then the other lanes finish what the broker still confirms, and everything starts anew after a
//! growing pause. It speaks once per change, not once per attempt.

mod connect;
mod flights;
mod held;
mod lane;
mod refusal;
mod topology;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures::StreamExt;
use jiff::Timestamp;
use lapin::{Channel, ErrorKind, Event, options::ConfirmSelectOptions, protocol::AMQPErrorKind, types::ShortString};
use priem_sdk::CheckReport;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    BrokerState, Outgoing, PublishError, Settled,
    queues::Queues,
    settings::{AmqpSettings, Topology},
};
use crate::telemetry::Metrics;
use connect::{Link, Target};
use lane::{End, Lane, Shared};
use refusal::Refusal;
use topology::Finding;

/// How long lanes may go on after shutdown, until what they were given is confirmed, and after another lane lost its
/// channel.
const FINISH_LIMIT: Duration = Duration::from_secs(5);
/// Shares of messages that wait in front of a lane: while one lane waits for the broker, the pipeline goes on preparing
/// messages for all.
const QUEUED_SHARES: usize = 8;
/// A lane may lose this many channels one after the other, each of which lived shorter than [`SHORT_CHANNEL`]; then
/// the connection is made anew, after a pause.
const CHANNELS_IN_VAIN: u32 = 8;
const SHORT_CHANNEL: Duration = Duration::from_secs(1);
/// A session that lived this long was a success even if nothing was published.
const GOOD_SESSION: Duration = Duration::from_secs(10);

/// Ways into the lanes; a message's lane follows from its order key.
pub(super) struct Lanes(Vec<mpsc::Sender<Vec<Outgoing>>>);

impl Lanes {
    /// Gives each lane its share; waits while one is full.
    pub(super) async fn send(&self, messages: Vec<Outgoing>) {
        let mut shares: Vec<Vec<Outgoing>> = self.0.iter().map(|_| Vec::new()).collect();
        for outgoing in messages {
            shares[self.index_of(outgoing.order_key)].push(outgoing);
        }
        for (lane, share) in self.0.iter().zip(shares) {
            if !share.is_empty() {
                // Fails only when the lane is gone, which happens only after shutdown.
                let _ = lane.send(share).await;
            }
        }
    }

    fn index_of(&self, order_key: u64) -> usize {
        // Spreads keys that are small or evenly spaced numbers (Fibonacci hashing).
        let spread = order_key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let lanes = self.0.len() as u64;
        usize::try_from(spread % lanes).expect("there are few lanes")
    }
}

/// Everything the supervisor needs.
pub(super) struct Supervisor {
    settings: AmqpSettings,
    lanes: Vec<Lane>,
    metrics: Metrics,
    queues: Queues,
    state: watch::Sender<BrokerState>,
    shutdown: CancellationToken,
    /// What was last said about the trouble, until a session makes progress.
    said: Option<String>,
    /// The last session settled nothing and ended soon (the exchange is missing, say): such sessions come and go
    /// silently.
    fruitless: bool,
}

impl Supervisor {
    /// Checks the settings and makes the lanes; nothing is connected yet.
    pub(super) fn new(
        settings: AmqpSettings,
        metrics: Metrics,
        queues: Queues,
        settled: mpsc::Sender<Vec<Settled>>,
        state: watch::Sender<BrokerState>,
        shutdown: CancellationToken,
    ) -> Result<(Self, Lanes), PublishError> {
        validate(&settings)?;
        Target::read(&settings)?;
        let window = usize::from(settings.window);
        let exchange = short_name("amqp.exchange", &settings.exchange)?;
        let confirm_within = Duration::from_secs(settings.confirm_seconds.into());
        let shared = Arc::new(Shared {
            exchange,
            window,
            confirm_within,
            silent_after: lane::silent_after(confirm_within),
            queues: queues.clone(),
            park_after: settings.refused.park_after(),
            metrics: metrics.clone(),
            settled,
        });
        let (mut lanes, mut senders) = (Vec::new(), Vec::new());
        for _ in 0..settings.channels {
            let (sender, receiver) = mpsc::channel(QUEUED_SHARES);
            senders.push(sender);
            lanes.push(Lane::new(shared.clone(), receiver));
        }
        Ok((
            Self {
                settings,
                lanes,
                metrics,
                queues,
                state,
                shutdown,
                said: None,
                fruitless: false,
            },
            Lanes(senders),
        ))
    }

    /// Runs until shutdown.
    pub(super) async fn run(mut self) {
        let mut pauses = pauses();
        let shutdown = self.shutdown.clone();
        loop {
            let established = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                established = self.establish() => established,
            };
            match established {
                Ok((link, channels)) => {
                    self.connected(&link);
                    let since = Instant::now();
                    let (progress, why) = self.session(link, channels).await;
                    if shutdown.is_cancelled() {
                        break;
                    }
                    self.fruitless = !progress && since.elapsed() < GOOD_SESSION;
                    if !self.fruitless {
                        pauses = self::pauses();
                        self.said = None;
                    }
                    self.disconnected(why);
                }
                Err(refusal) => {
                    self.fruitless = false;
                    self.disconnected(refusal.to_string());
                }
            }
            let pause = pauses.next().expect("the pauses never end");
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.metrics.broker_connected.set(0);
    }

    async fn establish(&self) -> Result<(Link, Vec<Channel>), Refusal> {
        let target = Target::read(&self.settings).map_err(|error| Refusal {
            why: error.to_string(),
            cure: error.cure,
        })?;
        let link = connect::connect(&target).await?;
        topology::prepare(&link, &self.settings).await?;
        let mut channels = Vec::new();
        for _ in &self.lanes {
            channels.push(open(&link).await?);
        }
        Ok((link, channels))
    }

    /// Lets the lanes publish until something is lost. Gives whether anything was settled, and why it ended.
    async fn session(&mut self, link: Link, channels: Vec<Channel>) -> (bool, String) {
        // Not by shutdown: then lanes end by themselves, once what was handed over is out.
        let halt = CancellationToken::new();
        let cut = CancellationToken::new();
        let link = Arc::new(link);
        let mut serving = JoinSet::new();
        for (mut lane, mut channel) in self.lanes.drain(..).zip(channels) {
            let (halt, cut, link) = (halt.clone(), cut.clone(), Arc::clone(&link));
            serving.spawn(async move {
                let mut in_vain = 0;
                loop {
                    let since = Instant::now();
                    let end = lane.serve(channel, &link, &halt, &cut).await;
                    // One message or queue was to blame: the other lanes notice nothing.
                    let End::Closed(why) = end else { return (lane, end) };
                    in_vain = if since.elapsed() < SHORT_CHANNEL {
                        in_vain + 1
                    } else {
                        0
                    };
                    if in_vain > CHANNELS_IN_VAIN {
                        return (lane, End::Lost(why));
                    }
                    debug!(why, "a channel was closed, a lane goes on with another one");
                    let opened = tokio::select! {
                        () = cut.cancelled() => return (lane, End::Asked),
                        opened = open(&link) => opened,
                    };
                    match opened {
                        Ok(opened) => channel = opened,
                        Err(refusal) => return (lane, End::Lost(refusal.why)),
                    }
                }
            });
        }
        let mut events = std::pin::pin!(link.connection.events_listener());
        let mut look = tokio::time::interval(Duration::from_secs(1));
        let since = Instant::now();
        let mut finish_by: Option<tokio::time::Instant> = None;
        let (mut progress, mut why) = (false, None);
        loop {
            tokio::select! {
                ended = serving.join_next() => match ended {
                    None => break,
                    Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                    Some(Ok((mut lane, end))) => {
                        progress |= lane.take_progress();
                        self.lanes.push(lane);
                        if let End::Lost(reason) | End::Closed(reason) = end {
                            why.get_or_insert(reason);
                            halt.cancel();
                        }
                    }
                },
                Some(event) = events.next() => match event {
                    Event::ConnectionBlocked(reason) => self.blocked(&reason),
                    Event::ConnectionUnblocked => self.unblocked(),
                    // A channel's end is its lane's to judge.
                    Event::Error(error) if is_soft(&error) => {}
                    Event::Error(error) => {
                        why.get_or_insert(error.to_string());
                        cut.cancel();
                    }
                    _ => {}
                },
                _ = look.tick() => {
                    self.queues.look();
                    if self.fruitless && since.elapsed() > GOOD_SESSION {
                        self.fruitless = false;
                        self.announce(&link);
                    }
                    if !link.connection.status().connected() {
                        cut.cancel();
                    }
                    if halt.is_cancelled() || self.shutdown.is_cancelled() {
                        let now = tokio::time::Instant::now();
                        if now > *finish_by.get_or_insert(now + FINISH_LIMIT) {
                            cut.cancel();
                        }
                    }
                }
            }
        }
        link.close().await;
        let why = why.unwrap_or_else(|| "the connection was closed".into());
        (progress, Refusal::said(&why, &link.peer).to_string())
    }

    fn connected(&mut self, link: &Link) {
        self.metrics.broker_connections.inc();
        self.metrics.broker_connected.set(1);
        self.metrics.broker_blocked.set(0);
        self.state.send_replace(BrokerState::Connected);
        if !self.fruitless {
            self.announce(link);
        }
    }

    fn announce(&mut self, link: &Link) {
        self.said = None;
        let heartbeat = link.connection.configuration().heartbeat();
        info!(exchange = self.settings.exchange, heartbeat, "connected to the broker");
    }

    fn disconnected(&mut self, why: String) {
        self.metrics.broker_connected.set(0);
        self.metrics.broker_blocked.set(0);
        if self.said.as_ref() != Some(&why) {
            warn!(%why, "no connection to the broker; messages stay in the journal");
            self.said = Some(why.clone());
        }
        self.state.send_if_modified(|state| match state {
            BrokerState::Disconnected { why: known, .. } if *known == why => false,
            BrokerState::Disconnected { why: known, .. } => {
                *known = why;
                true
            }
            _ => {
                *state = BrokerState::Disconnected {
                    since: Timestamp::now(),
                    why,
                };
                true
            }
        });
    }

    fn blocked(&self, why: &str) {
        warn!(why, "the broker blocks publishers");
        self.metrics.broker_blocked.set(1);
        self.state.send_replace(BrokerState::Blocked {
            since: Timestamp::now(),
            why: why.to_owned(),
        });
    }

    fn unblocked(&self) {
        info!("the broker takes messages again");
        self.metrics.broker_blocked.set(0);
        self.state.send_replace(BrokerState::Connected);
    }
}

/// Whether an error ends a channel only.
fn is_soft(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(protocol) = error.kind() else {
        return false;
    };
    matches!(protocol.kind(), AMQPErrorKind::Soft(_))
}

/// A channel with confirms.
async fn open(link: &Link) -> Result<Channel, Refusal> {
    let refused = |error| Refusal::of(&error, &link.peer);
    let opened = link
        .answer("opening a channel", link.connection.create_channel())
        .await?;
    let channel = opened.map_err(refused)?;
    let selected = channel.confirm_select(ConfirmSelectOptions::default());
    let selected = link.answer("confirm mode of a channel", selected).await?;
    selected.map_err(refused)?;
    Ok(channel)
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(30))
        .with_jitter()
        .without_max_times()
        .build()
}

/// Looks whether the settings can work, without reading a file or asking anybody.
pub(super) fn validate(settings: &AmqpSettings) -> Result<(), PublishError> {
    connect::validate(settings)?;
    short_name("amqp.exchange", &settings.exchange)?;
    if settings.answer_seconds == 0 {
        return Err(PublishError::settings("amqp.answer_seconds", "must be at least 1"));
    }
    if settings.channels == 0 || settings.channels > 64 {
        return Err(PublishError::settings("amqp.channels", "must be 1 to 64"));
    }
    if settings.window == 0 {
        return Err(PublishError::settings("amqp.window", "must be at least 1"));
    }
    if settings.refused.park_after.is_some_and(|limit| limit.as_secs() < 1) {
        return Err(PublishError::settings(
            "amqp.refused.park_after",
            "must be at least a second; leave it out to wait for ever",
        ));
    }
    if settings.confirm_seconds == 0 {
        return Err(PublishError::settings("amqp.confirm_seconds", "must be at least 1"));
    }
    own_name("amqp.exchange", &settings.exchange, "amq.topic", settings)?;
    for queue in &settings.queues {
        short_name("amqp.queues.name", &queue.name)?;
        own_name("amqp.queues.name", &queue.name, "", settings)?;
        for pattern in &queue.bindings {
            short_name("amqp.queues.bindings", pattern)?;
        }
        if queue.dead_letter && settings.dead_letter.is_none() {
            let problem = format!(
                "queue {:?} wants dead letters, but amqp.dead_letter is not set",
                queue.name
            );
            return Err(PublishError::settings("amqp.queues.dead_letter", problem));
        }
    }
    for side in settings.alternate.iter().chain(&settings.dead_letter) {
        short_name("amqp.alternate or amqp.dead_letter", &side.exchange)?;
        short_name("amqp.alternate or amqp.dead_letter", &side.queue)?;
        own_name(
            "amqp.alternate or amqp.dead_letter",
            &side.exchange,
            "amq.fanout",
            settings,
        )?;
        own_name("amqp.alternate or amqp.dead_letter", &side.queue, "", settings)?;
    }
    Ok(())
}

/// Names that begin with `amq.` are the broker's: it refuses to make anything of that name. `made`: there is one of it.
fn own_name(key: &'static str, name: &str, made: &str, settings: &AmqpSettings) -> Result<(), PublishError> {
    if settings.topology == Topology::Declare && name.starts_with("amq.") && name != made {
        let problem = format!("{name:?}: names that begin with `amq.` belong to the broker; choose another");
        return Err(PublishError::settings(key, problem));
    }
    Ok(())
}

fn short_name(key: &'static str, name: &str) -> Result<ShortString, PublishError> {
    if name.is_empty() {
        return Err(PublishError::settings(key, "is empty"));
    }
    ShortString::try_new(name).map_err(|_| PublishError::settings(key, "is longer than 255 bytes"))
}

/// Looks at address, secrets and certificates without asking anybody.
pub(super) fn check_settings(settings: &AmqpSettings, report: &mut CheckReport) {
    match validate(settings).and_then(|()| Target::read(settings)) {
        Ok(target) => report.ok("settings", format!("{}, secrets can be read", target.place())),
        Err(error) => report.fail("settings", error.to_string(), error.cure),
    }
}

/// Looks at the broker, its exchanges and queues. Changes nothing.
pub(super) async fn check(settings: &AmqpSettings, report: &mut CheckReport) {
    let target = match validate(settings).and_then(|()| Target::read(settings)) {
        Ok(target) => target,
        Err(error) => return report.fail("settings", error.to_string(), error.cure),
    };
    let link = match connect::connect(&target).await {
        Ok(link) => link,
        Err(refusal) => return report.fail("broker", refusal.why, refusal.cure),
    };
    report.ok("broker", format!("{} answers", target.place()));
    match topology::look(&link, settings).await {
        Err(refusal) => report.fail("topology", refusal.why, refusal.cure),
        Ok(findings) if findings.is_empty() => report.ok("topology", "exchanges and queues exist"),
        Ok(findings) => {
            for finding in findings {
                match finding {
                    Finding::Missing(what) if settings.topology == Topology::Declare => report.ok(
                        "topology",
                        format!("{what} does not exist yet: the daemon declares it when it starts"),
                    ),
                    Finding::Missing(what) => report.fail(
                        "topology",
                        format!("{what} does not exist"),
                        "create it, or set amqp.topology to declare",
                    ),
                    Finding::Refused(refusal) => report.fail("topology", refusal.why, refusal.cure),
                }
            }
        }
    }
    link.close().await;
}
