//! One lane: the messages of some conversations, in order, on one channel at a time.
//!
//! A lane outlives its channels. What was sent and not settled when a channel is lost is sent again on the next one, in
//! its original order and before anything newer. A channel is never given up while the broker still confirms on it,
//! unless the supervisor cuts the lane.

use std::{
    collections::{HashMap, VecDeque},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation, ErrorKind,
    message::BasicReturnMessage,
    options::BasicPublishOptions,
    types::{AMQPValue, FieldTable, ShortString},
};
use prometheus::IntCounter;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use super::flights::{Answer, Flights, Landing, Return};
use crate::{
    publish::{CHANNEL_HEADER, Outcome, Outgoing, Settled},
    telemetry::Metrics,
};

/// A message that closes its channel this many times while it is alone on it is given up and parked.
const CLOSURES_BEFORE_PARKING: u32 = 3;
/// AMQP limits a routing key to this many bytes.
const ROUTING_KEY_LIMIT: usize = 255;
/// Headers must fit into one frame; brokers offer 128 KiB, and other properties need room too.
const HEADERS_LIMIT: usize = 64 * 1024;

/// What all lanes share.
pub(super) struct Shared {
    pub(super) exchange: ShortString,
    pub(super) window: usize,
    /// Longest wait for a confirmation, while the broker takes messages at all.
    pub(super) confirm_within: Duration,
    pub(super) metrics: Metrics,
    pub(super) settled: mpsc::Sender<Vec<Settled>>,
}

/// Why a lane stopped using its channel.
#[derive(Debug)]
pub(super) enum End {
    /// Asked to halt or cut by the supervisor.
    Asked,
    /// The channel is lost; why, for people.
    Lost(String),
}

/// See the module.
pub(super) struct Lane {
    shared: Arc<Shared>,
    incoming: mpsc::Receiver<Vec<Outgoing>>,
    /// Sent before anything from `incoming`.
    backlog: VecDeque<Outgoing>,
    flights: Flights,
    /// One message at a time until the backlog is gone, to find the one that closes channels.
    probing: bool,
    /// Token of the message that closed channels while alone, and how often.
    suspect: Option<(u64, u32)>,
    /// When the broker was last seen blocked.
    blocked_at: Option<Instant>,
    /// Whether the broker took or returned anything since [`Lane::take_progress`].
    progress: bool,
    counted_unconfirmed: i64,
    /// Published counters by routing key, then channel.
    published: HashMap<String, Vec<(String, IntCounter)>>,
}

impl Lane {
    pub(super) fn new(shared: Arc<Shared>, incoming: mpsc::Receiver<Vec<Outgoing>>) -> Self {
        Self {
            shared,
            incoming,
            backlog: VecDeque::new(),
            flights: Flights::default(),
            probing: false,
            suspect: None,
            blocked_at: None,
            progress: false,
            counted_unconfirmed: 0,
            published: HashMap::new(),
        }
    }

    /// Whether anything was settled since the last call.
    pub(super) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.progress)
    }

    /// Publishes on `channel` until it is lost, `halt` asks to finish what is in flight, or `cut` to return at once.
    pub(super) async fn serve(&mut self, channel: &Channel, halt: &CancellationToken, cut: &CancellationToken) -> End {
        let shared = self.shared.clone();
        let mut aloft = FuturesUnordered::new();
        let mut nack_pauses = nack_pauses();
        let mut pause_until: Option<tokio::time::Instant> = None;
        let mut halting = false;
        let mut lost: Option<lapin::Error> = None;
        let end = loop {
            while !halting && pause_until.is_none() && self.flights.aloft() < self.window() {
                let Some(outgoing) = self.next_outgoing() else { break };
                if let Some(reason) = unfit(&outgoing) {
                    warn!(event_id = %outgoing.event_id, %reason, "message can't be published, parked");
                    self.settle(vec![returned(outgoing.token, reason)]).await;
                    continue;
                }
                let (routing_key, properties) =
                    (ShortString::from(outgoing.routing_key.as_str()), properties(&outgoing));
                let body = outgoing.body.clone();
                let number = self.flights.depart(outgoing, Instant::now());
                let exchange = shared.exchange.clone();
                let mut flight = Box::pin(async move {
                    let options = BasicPublishOptions {
                        mandatory: true,
                        ..BasicPublishOptions::default()
                    };
                    let sent = channel
                        .basic_publish(exchange, routing_key, options, &body, properties)
                        .await;
                    match sent {
                        Ok(confirm) => (number, confirm.await),
                        Err(error) => (number, Err(error)),
                    }
                });
                // lapin queues the frames at the first poll: polling here fixes the order on the wire.
                match futures::poll!(flight.as_mut()) {
                    std::task::Poll::Pending => aloft.push(flight),
                    std::task::Poll::Ready((number, result)) => {
                        if let Err(error) = self.answered(number, result) {
                            lost.get_or_insert(error);
                            break;
                        }
                    }
                }
            }
            if lost.is_none() {
                let may_take = !halting && pause_until.is_none() && self.flights.aloft() < self.window();
                let wake_at = [pause_until, self.overdue_at()].into_iter().flatten().min();
                let wake = pin!(async move {
                    match wake_at {
                        Some(at) => tokio::time::sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                });
                tokio::select! {
                    biased;
                    () = cut.cancelled() => {}
                    Some((number, result)) = aloft.next(), if !aloft.is_empty() => {
                        lost = self.answered(number, result).err();
                    }
                    incoming = self.incoming.recv(), if may_take && self.backlog.is_empty() => match incoming {
                        Some(share) => self.backlog.extend(share),
                        None => halting = true,
                    },
                    () = wake => {
                        if pause_until.is_some_and(|until| until <= tokio::time::Instant::now()) {
                            pause_until = None;
                        }
                    }
                    () = halt.cancelled(), if !halting => halting = true,
                }
            }
            // Everything completed by now, so that returns find their messages (see `flights`).
            while let Some(Some((number, result))) = aloft.next().now_or_never() {
                if let Err(error) = self.answered(number, result) {
                    lost.get_or_insert(error);
                }
            }
            let nacked = self.finish_pass().await;
            match nacked {
                Some(false) => nack_pauses = self::nack_pauses(),
                Some(true) => {
                    pause_until = nack_pauses.next().map(|pause| tokio::time::Instant::now() + pause);
                }
                None => {}
            }
            if let Some(error) = lost.take() {
                break End::Lost(self.suspect_message(&error).await);
            }
            if cut.is_cancelled() || (halting && self.flights.aloft() == 0) {
                break End::Asked;
            }
            if self.overdue_at().is_some_and(|at| at <= tokio::time::Instant::now()) {
                let limit = shared.confirm_within.as_secs();
                break End::Lost(format!("the broker has confirmed nothing for {limit} s"));
            }
        };
        let mut again = self.flights.abandon();
        again.append(&mut self.backlog);
        self.backlog = again;
        self.count_unconfirmed();
        end
    }

    /// When the oldest message has waited too long for its confirmation. A blocked broker says so and is waited for.
    fn overdue_at(&mut self) -> Option<tokio::time::Instant> {
        if self.shared.metrics.broker_blocked.get() == 1 {
            self.blocked_at = Some(Instant::now());
        }
        let since = Some(self.flights.oldest()?).max(self.blocked_at)?;
        Some((since + self.shared.confirm_within).into())
    }

    fn window(&self) -> usize {
        if self.probing { 1 } else { self.shared.window }
    }

    fn next_outgoing(&mut self) -> Option<Outgoing> {
        if let Some(outgoing) = self.backlog.pop_front() {
            return Some(outgoing);
        }
        if self.flights.aloft() == 0 {
            self.probing = false;
        }
        self.backlog.extend(self.incoming.try_recv().ok()?);
        self.backlog.pop_front()
    }

    /// Notes one completed flight; an error means that the channel is lost.
    fn answered(&mut self, number: u64, result: Result<Confirmation, lapin::Error>) -> Result<(), lapin::Error> {
        match result? {
            Confirmation::Ack(attached) => self.flights.answer(number, Answer::Ack, attached.map(return_of)),
            Confirmation::Nack(attached) => self.flights.answer(number, Answer::Nack, attached.map(return_of)),
            Confirmation::NotRequested => return Err(ErrorKind::FutureCompleted.into()),
        }
        Ok(())
    }

    /// Settles what is certain. `Some(true)`: the broker refused something, `Some(false)`: it took something.
    async fn finish_pass(&mut self) -> Option<bool> {
        let mut settled = Vec::new();
        let mut nacked = VecDeque::new();
        let (metrics, published, now) = (&self.shared.metrics, &mut self.published, Instant::now());
        self.flights.finish_pass(|landing, flight| {
            let outgoing = &flight.outgoing;
            match landing {
                Landing::Confirmed => {
                    metrics.confirm_seconds.observe(now.duration_since(flight.sent_at).as_secs_f64());
                    counter(published, metrics, outgoing).inc();
                    settled.push(Settled { token: outgoing.token, outcome: Outcome::Confirmed });
                }
                Landing::Returned(reason) => {
                    metrics.returned.with_label_values(&[outgoing.routing_key.as_str()]).inc();
                    warn!(event_id = %outgoing.event_id, routing_key = outgoing.routing_key, %reason, "message returned by the broker, parked");
                    settled.push(returned(outgoing.token, reason));
                }
                Landing::Nacked => {
                    metrics.nacked.inc();
                    nacked.push_back(outgoing.clone());
                }
            }
        });
        self.count_unconfirmed();
        let refused = !nacked.is_empty();
        if refused {
            nacked.append(&mut self.backlog);
            self.backlog = nacked;
        }
        let took = !settled.is_empty();
        if took {
            self.progress = true;
            self.suspect = None;
            self.settle(settled).await;
        }
        if refused { Some(true) } else { took.then_some(false) }
    }

    async fn settle(&self, settled: Vec<Settled>) {
        // Fails only when the pipeline is gone; the journal still has the messages.
        let _ = self.shared.settled.send(settled).await;
    }

    fn count_unconfirmed(&mut self) {
        let aloft = i64::try_from(self.flights.aloft()).unwrap_or(i64::MAX);
        self.shared.metrics.unconfirmed.add(aloft - self.counted_unconfirmed);
        self.counted_unconfirmed = aloft;
    }

    /// The broker closed the channel. When it blames what was published, goes on with one message at a time, and parks
    /// the one that keeps closing channels. Gives the broker's words.
    async fn suspect_message(&mut self, error: &lapin::Error) -> String {
        let said = error.to_string();
        let ErrorKind::ProtocolError(protocol) = error.kind() else {
            return said;
        };
        // 311 CONTENT_TOO_LARGE, 406 PRECONDITION_FAILED (a body above `max_message_size`). 403 and 404 are about the
        // exchange and our rights: no message is to blame, and nothing may be parked for it.
        if !matches!(protocol.get_id(), 311 | 406) {
            return said;
        }
        let mut unsettled = self.flights.abandon();
        let alone = unsettled.len() == 1;
        self.probing = true;
        if let (true, Some(outgoing)) = (alone, unsettled.front()) {
            let closures = match self.suspect {
                Some((token, closures)) if token == outgoing.token => closures + 1,
                _ => 1,
            };
            self.suspect = Some((outgoing.token, closures));
            if closures >= CLOSURES_BEFORE_PARKING {
                warn!(event_id = %outgoing.event_id, reason = %said, "message closes channels again and again, parked");
                self.shared
                    .metrics
                    .returned
                    .with_label_values(&[outgoing.routing_key.as_str()])
                    .inc();
                let parked = returned(outgoing.token, said.clone());
                unsettled.clear();
                self.suspect = None;
                self.progress = true;
                self.settle(vec![parked]).await;
            }
        }
        unsettled.append(&mut self.backlog);
        self.backlog = unsettled;
        said
    }
}

fn nack_pauses() -> backon::ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(10))
        .with_jitter()
        .without_max_times()
        .build()
}

fn returned(token: u64, reason: String) -> Settled {
    Settled {
        token,
        outcome: Outcome::Returned { reason },
    }
}

/// What AMQP can't carry; such a message would kill the connection for ever.
fn unfit(outgoing: &Outgoing) -> Option<String> {
    if outgoing.routing_key.len() > ROUTING_KEY_LIMIT {
        return Some(format!("the routing key is longer than {ROUTING_KEY_LIMIT} bytes"));
    }
    let headers: usize = outgoing
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 8)
        .sum();
    (headers > HEADERS_LIMIT).then(|| format!("the headers are longer than {HEADERS_LIMIT} bytes"))
}

fn properties(outgoing: &Outgoing) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in &outgoing.headers {
        headers.insert(ShortString::from(*name), AMQPValue::LongString(value.as_str().into()));
    }
    let mut id = Uuid::encode_buffer();
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/cloudevents+json".into())
        .with_app_id("priem".into())
        .with_message_id(ShortString::from(
            &*outgoing.event_id.hyphenated().encode_lower(&mut id),
        ))
        .with_type(outgoing.event_type.into())
        .with_timestamp(outgoing.timestamp)
        .with_priority(outgoing.priority)
        .with_headers(headers)
}

fn return_of(message: BasicReturnMessage) -> Return {
    let id = message.delivery.properties.message_id();
    Return {
        message_id: id.as_ref().and_then(|id| Uuid::try_parse(id.as_str()).ok()),
        routing_key: message.delivery.routing_key.to_string(),
        reason: format!("{} {}", message.reply_code, message.reply_text),
    }
}

fn counter<'a>(
    published: &'a mut HashMap<String, Vec<(String, IntCounter)>>,
    metrics: &Metrics,
    outgoing: &Outgoing,
) -> &'a IntCounter {
    let channel = outgoing.headers.iter().find(|(name, _)| *name == CHANNEL_HEADER);
    let channel = metrics.channel(channel.map(|(_, value)| value.as_str()).unwrap_or_default());
    if !published.contains_key(&outgoing.routing_key) {
        published.insert(outgoing.routing_key.clone(), Vec::new());
    }
    let by_channel = published.get_mut(&outgoing.routing_key).expect("inserted above");
    let index = by_channel
        .iter()
        .position(|(name, _)| name == channel)
        .unwrap_or_else(|| {
            let counter = metrics
                .published
                .with_label_values(&[channel, outgoing.routing_key.as_str()]);
            by_channel.push((channel.to_owned(), counter));
            by_channel.len() - 1
        });
    &by_channel[index].1
}
