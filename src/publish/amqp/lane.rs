//! One lane: the messages of some conversations, in order, on one channel at a time.
//!
//! A lane outlives its channels. What was sent and not settled when a channel is lost is sent again on the next one, in
//! its original order and before anything newer. A channel is never given up while the broker still confirms on it,
//! unless the supervisor cuts the lane.
//!
//! A queue that refuses holds back its own messages only: they leave the lane's flow (see `held`) and at most half of
//! its window is theirs. So does one that does not answer at all (see `silence`). The first message of a key on a channel
//! goes alone (see `first`).

mod answers;
mod first;
mod silence;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use lapin::{
    BasicProperties, Channel, Confirmation, ErrorKind,
    message::BasicReturnMessage,
    options::BasicPublishOptions,
    types::{AMQPValue, FieldTable, ShortString},
};
use prometheus::IntCounter;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;

use answers::Answers;
use first::Firsts;
pub(super) use silence::silent_after;

use super::{
    connect::Link,
    flights::{BrokerAnswer, Confirm, Flights, Letter, Return},
    held::Held,
};
use crate::{
    publish::{CHANNEL_HEADER, Outcome, Outgoing, Settled, queues::Queues},
    telemetry::Metrics,
};

/// A message that closes its channel this many times while it is alone on it is given up and parked.
const CLOSURES_BEFORE_PARKING: u32 = 3;
/// What a negative acknowledgement says; the broker gives no words with it.
const REFUSED: &str = "the queue refuses: it is full (max-length with reject-publish), or most of its nodes are away";
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
    /// Longest wait for an answer while others get theirs; see [`silent_after`].
    pub(super) silent_after: Duration,
    pub(super) queues: Queues,
    /// How long a refusing queue may make a message wait before it is parked; absent: for ever.
    pub(super) park_after: Option<Duration>,
    pub(super) metrics: Metrics,
    pub(super) settled: mpsc::Sender<Vec<Settled>>,
}

/// Why a lane stopped using its channel.
#[derive(Debug)]
pub(super) enum End {
    /// Asked to halt or cut by the supervisor.
    Asked,
    /// The broker closed the channel because of one message or queue; another channel will do.
    Closed(String),
    /// The channel is lost; why, for people.
    Lost(String),
}

/// See the module.
pub(super) struct Lane {
    shared: Arc<Shared>,
    incoming: mpsc::Receiver<Vec<Outgoing>>,
    /// Sent before anything from `incoming`.
    backlog: VecDeque<Letter>,
    /// Messages taken in so far.
    arrived: u64,
    flights: Flights,
    /// What waits for queues that refuse.
    held: Held,
    /// What is new to the channel.
    firsts: Firsts,
    /// Whose turn it is: a held queue's or the others'.
    held_next: bool,
    /// One message at a time until the backlog is gone, to find the one that closes channels.
    probing: bool,
    /// Token of the message that closed channels while alone, and how often.
    suspect: Option<(u64, u32)>,
    /// When the broker was last seen blocked.
    blocked_at: Option<Instant>,
    /// Nothing is answered on the channel, and it is not known why: nothing new is sent on it.
    doubts_channel: bool,
    /// When it was last looked whether messages for silent queues are to be parked.
    park_looked_at: Option<Instant>,
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
            arrived: 0,
            flights: Flights::default(),
            held: Held::default(),
            firsts: Firsts::default(),
            held_next: false,
            probing: false,
            suspect: None,
            blocked_at: None,
            doubts_channel: false,
            park_looked_at: None,
            progress: false,
            counted_unconfirmed: 0,
            published: HashMap::new(),
        }
    }

    /// Whether anything was settled since the last call.
    pub(super) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.progress)
    }

    /// Publishes on `channel` (or another one of the `link`) until it is lost, `halt` asks to finish what is in flight,
    /// or `cut` to return at once.
    pub(super) async fn serve(
        &mut self,
        channel: Channel,
        link: &Link,
        halt: &CancellationToken,
        cut: &CancellationToken,
    ) -> End {
        let mut channel = Arc::new(channel);
        let shared = self.shared.clone();
        let mut answers = Answers::default();
        let mut halting = false;
        self.doubts_channel = false;
        self.firsts.begin_channel();
        self.hold_what_others_hold();
        let end = 'serving: loop {
            self.doubts_channel |= self.held.take_stale();
            let mut wants_fresh = self.wants_fresh_channel();
            if wants_fresh && !halting && self.flights.in_window() == 0 {
                match self.open_another(link, cut).await {
                    // The old one lives on in what waits for an answer on it.
                    Ok(opened) => channel = Arc::new(opened),
                    Err(end) => break end,
                }
                self.flights.retire_channel();
                self.firsts.begin_channel();
                (self.doubts_channel, wants_fresh) = (false, false);
            }
            let may_take =
                |lane: &Self, halting: bool| !halting && !wants_fresh && lane.flights.in_window() < lane.window();
            while may_take(self, halting) {
                let Some(letter) = self.next_letter() else { break };
                let outgoing = &letter.outgoing;
                if let Some(reason) = unfit(outgoing) {
                    warn!(event_id = %outgoing.event_id, %reason, "message can't be published, parked");
                    // It may have been its conversation's turn.
                    let (queue, most) = (&outgoing.routing_key, shared.window / 2);
                    self.held.answered(queue, outgoing.order_key, false, most);
                    self.firsts.forget(queue);
                    self.settle(vec![returned(outgoing.token, reason)]).await;
                    continue;
                }
                let (routing_key, properties) =
                    (ShortString::from(outgoing.routing_key.as_str()), properties(outgoing));
                let body = outgoing.body.clone();
                let exchange = shared.exchange.clone();
                let (number, channel) = if self.held.asks_apart(&letter.outgoing.routing_key) {
                    match self.open_another(link, cut).await {
                        Ok(apart) => (self.flights.depart_apart(letter, Instant::now()), Arc::new(apart)),
                        Err(end) => {
                            self.held.keep(letter);
                            break 'serving end;
                        }
                    }
                } else {
                    (self.flights.depart(letter, Instant::now()), Arc::clone(&channel))
                };
                let flight = async move {
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
                };
                answers.send(flight).await;
            }
            let mut lost: Option<lapin::Error> = None;
            let may_take = may_take(self, halting);
            let ask_at = self.held.wake_at(Instant::now()).filter(|_| may_take);
            let again_at = self.firsts.again_at().filter(|_| may_take);
            let wake_at = [ask_at, again_at, self.overdue_at(), self.silence_at()]
                .into_iter()
                .flatten()
                .min();
            let wake = pin!(async move {
                match wake_at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            });
            tokio::select! {
                biased;
                () = cut.cancelled() => {}
                (number, result) = answers.next() => lost = self.answered(number, result).err(),
                incoming = self.incoming.recv(), if may_take && self.backlog.is_empty() => match incoming {
                    Some(share) => self.take_in(share),
                    None => halting = true,
                },
                () = wake => {}
                () = halt.cancelled(), if !halting => halting = true,
            }
            // Everything completed by now, so that returns find their messages (see `flights`).
            while let Some((number, result)) = answers.next_there() {
                if let Err(error) = self.answered(number, result) {
                    blame(&mut lost, error);
                }
            }
            self.finish_pass().await;
            if let Some(error) = lost {
                break self.channel_lost(&error).await;
            }
            if self.look_for_silence() {
                // What was in flight is sent again; the old channel goes with it.
                answers.clear();
            }
            if cut.is_cancelled() || (halting && self.flights.in_window() == 0) {
                break End::Asked;
            }
            if self.overdue_at().is_some_and(|at| at <= Instant::now()) {
                break self.nothing_confirmed();
            }
        };
        self.take_back();
        self.count_unconfirmed();
        end
    }

    /// When the oldest message has waited too long for its confirmation, but for those of silent queues.
    fn overdue_at(&mut self) -> Option<Instant> {
        if self.shared.metrics.broker_blocked.get() == 1 {
            self.blocked_at = Some(Instant::now());
        }
        let oldest = [self.flights.oldest(), self.held.oldest_suspicion()];
        let since = self.counted_from(oldest.into_iter().flatten().min()?);
        Some(since + self.shared.confirm_within)
    }

    fn window(&self) -> usize {
        if self.probing { 1 } else { self.shared.window }
    }

    /// What is sent next: by turns from a held queue that may be asked and from the others.
    fn next_letter(&mut self) -> Option<Letter> {
        self.held_next = !self.held_next;
        if self.held_next {
            return self.next_held().or_else(|| self.next_of_others());
        }
        self.next_of_others().or_else(|| self.next_held())
    }

    fn next_held(&mut self) -> Option<Letter> {
        self.held.next(Instant::now(), self.shared.window / 2)
    }

    fn next_of_others(&mut self) -> Option<Letter> {
        if self.firsts.is_waiting(Instant::now) {
            return None;
        }
        loop {
            if let Some(letter) = self.backlog.pop_front() {
                self.firsts.depart(&letter.outgoing.routing_key);
                return Some(letter);
            }
            if self.flights.in_window() == 0 {
                self.probing = false;
            }
            let share = self.incoming.try_recv().ok()?;
            self.take_in(share);
        }
    }

    /// Numbers new messages; those of held queues wait apart.
    fn take_in(&mut self, share: Vec<Outgoing>) {
        self.hold_what_others_hold();
        for outgoing in share {
            let arrival = self.arrived;
            self.arrived += 1;
            if let Some(letter) = self.held.keep(Letter { arrival, outgoing }) {
                self.backlog.push_back(letter);
            }
        }
    }

    /// What refuses another lane will refuse this one.
    fn hold_what_others_hold(&mut self) {
        for queue in self.shared.queues.held_by_all() {
            self.begin_to_hold(&queue);
            if self.shared.queues.was_silent(&queue) {
                self.held.ask_apart(&queue);
            }
        }
    }

    fn begin_to_hold(&mut self, queue: &str) {
        self.firsts.forget(queue);
        if self.held.holds(queue) {
            return;
        }
        self.held.begin(queue, self.flights.conversations(queue));
        for letter in std::mem::take(&mut self.backlog) {
            if let Some(letter) = self.held.keep(letter) {
                self.backlog.push_back(letter);
            }
        }
    }

    /// Holds back what is there of a queue, and what comes. `letters` are those it refused.
    fn hold_back(&mut self, queue: &str, letters: Vec<Letter>, why: &str) {
        // None: the one that asked is back among those that wait.
        let count = letters.len().max(1) as u64;
        self.shared.queues.refused(queue, count, why);
        self.begin_to_hold(queue);
        for letter in letters {
            self.held.keep(letter);
        }
        self.held.refused(queue);
    }

    /// Notes one completed flight; an error means that the channel is lost.
    fn answered(&mut self, number: u64, result: Result<Confirmation, lapin::Error>) -> Result<(), lapin::Error> {
        match result? {
            Confirmation::Ack(attached) => self.flights.answer(number, Confirm::Ack, attached.map(return_of)),
            Confirmation::Nack(attached) => self.flights.answer(number, Confirm::Nack, attached.map(return_of)),
            Confirmation::NotRequested => return Err(ErrorKind::FutureCompleted.into()),
        }
        Ok(())
    }

    /// Settles what is certain; what a queue refused is held back.
    async fn finish_pass(&mut self) {
        let mut settled = Vec::new();
        let mut refused: BTreeMap<String, Vec<Letter>> = BTreeMap::new();
        let mut unroutable: BTreeMap<String, (u64, String)> = BTreeMap::new();
        let (shared, published, now) = (&self.shared, &mut self.published, Instant::now());
        let (held, firsts, most) = (&mut self.held, &mut self.firsts, self.shared.window / 2);
        let (in_trouble, mut again) = (shared.queues.any(), None);
        self.flights.finish_pass(now, |answer, flight| {
            let outgoing = &flight.letter.outgoing;
            let queue = outgoing.routing_key.as_str();
            if held.answered(queue, outgoing.order_key, answer != BrokerAnswer::Nacked, most) {
                shared.queues.answers(queue);
            }
            if firsts.answered(queue, &answer, now) {
                shared.metrics.nacked.with_label_values(&[queue]).inc();
                again = Some(flight.letter.clone());
                return;
            }
            match answer {
                BrokerAnswer::Confirmed => {
                    held.confirmed(queue, flight.sent_at, now);
                    let seconds = now.duration_since(flight.sent_at).as_secs_f64();
                    shared.metrics.confirm_seconds.observe(seconds);
                    counter(published, &shared.metrics, outgoing).inc();
                    if in_trouble {
                        shared.queues.took(queue);
                    }
                    settled.push(Settled {
                        token: outgoing.token,
                        outcome: Outcome::Confirmed,
                    });
                }
                BrokerAnswer::Returned(reason) => {
                    debug!(event_id = %outgoing.event_id, queue, %reason, "message returned by the broker, parked");
                    match unroutable.get_mut(queue) {
                        Some((count, _)) => *count += 1,
                        None => drop(unroutable.insert(queue.to_owned(), (1, reason.clone()))),
                    }
                    settled.push(returned(outgoing.token, reason));
                }
                BrokerAnswer::Nacked => match refused.get_mut(queue) {
                    Some(letters) => letters.push(flight.letter.clone()),
                    None => drop(refused.insert(queue.to_owned(), vec![flight.letter.clone()])),
                },
            }
        });
        self.count_unconfirmed();
        for (queue, (count, reason)) in unroutable {
            self.shared.queues.returned(&queue, count, &reason);
        }
        for (queue, letters) in refused {
            self.hold_back(&queue, letters, REFUSED);
            settled.append(&mut self.give_up(&queue, REFUSED));
        }
        settled.append(&mut self.give_up_on_silent());
        self.drop_suspicions();
        if let Some(letter) = again {
            self.backlog.push_front(letter);
        }
        self.held.tell(&self.shared.queues);
        if !settled.is_empty() {
            self.progress = true;
            self.suspect = None;
            self.settle(settled).await;
        }
    }

    /// Parks what a refusing queue has kept waiting for too long.
    fn give_up(&mut self, queue: &str, why: &str) -> Vec<Settled> {
        let Some(limit) = self.shared.park_after else {
            return Vec::new();
        };
        let letters = self.held.give_up(queue, limit, Timestamp::now());
        if !letters.is_empty() {
            let (count, hours) = (letters.len(), limit.as_secs() / 3600);
            warn!(
                queue,
                count, hours, "messages that their queue has not taken for too long are parked"
            );
        }
        let park = |letter: Letter| Settled {
            token: letter.outgoing.token,
            outcome: Outcome::Refused {
                reason: format!("not taken for longer than amqp.refused.park_after: {why}"),
            },
        };
        letters.into_iter().map(park).collect()
    }

    async fn settle(&self, settled: Vec<Settled>) {
        // Fails only when the pipeline is gone; the journal still has the messages.
        let _ = self.shared.settled.send(settled).await;
    }

    fn count_unconfirmed(&mut self) {
        let unconfirmed = self.flights.in_window() + self.flights.aside();
        let unconfirmed = i64::try_from(unconfirmed).unwrap_or(i64::MAX);
        self.shared
            .metrics
            .unconfirmed
            .add(unconfirmed - self.counted_unconfirmed);
        self.counted_unconfirmed = unconfirmed;
    }

    /// The broker closed the channel. When it blames one queue, that is held back; when it blames what was published,
    /// goes on with one message at a time, and parks the one that keeps closing channels.
    async fn channel_lost(&mut self, error: &lapin::Error) -> End {
        let said = error.to_string();
        let ErrorKind::ProtocolError(protocol) = error.kind() else {
            // The broker's words went to nobody; on the next channel somebody hears them.
            return match error.kind() {
                ErrorKind::InvalidChannelState(..) => End::Closed(said),
                _ => End::Lost(said),
            };
        };
        // 311 CONTENT_TOO_LARGE, 406 PRECONDITION_FAILED (a body above `max_message_size`). 404 and most of 403 are about
        // the exchange and our rights: no message is to blame, and nothing may be parked for it.
        match protocol.get_id() {
            403 => match topic_of(&said) {
                Some(queue) => {
                    self.no_right_to(queue, &said).await;
                    End::Closed(said)
                }
                None => End::Lost(said),
            },
            311 | 406 => {
                self.suspect_message(&said).await;
                End::Closed(said)
            }
            _ => End::Lost(said),
        }
    }

    /// Rights may be given for some routing keys only; the message that asks costs a channel, so it asks more seldom.
    async fn no_right_to(&mut self, queue: &str, said: &str) {
        self.take_back();
        let first = |letter: &Letter| letter.outgoing.routing_key == queue;
        let refused = match self.backlog.iter().position(first) {
            Some(index) => self.backlog.remove(index).into_iter().collect(),
            None => Vec::new(),
        };
        self.hold_back(queue, refused, said);
        self.held.costs_a_channel(queue);
        let parked = self.give_up(queue, said);
        if !parked.is_empty() {
            self.settle(parked).await;
        }
    }

    async fn suspect_message(&mut self, said: &str) {
        let alone = self.flights.alone().cloned();
        let mut unsettled: Vec<Letter> = self.flights.abandon().into();
        self.probing = true;
        if let Some(Letter { arrival, outgoing }) = &alone {
            let closures = match self.suspect {
                Some((token, closures)) if token == outgoing.token => closures + 1,
                _ => 1,
            };
            self.suspect = Some((outgoing.token, closures));
            if closures >= CLOSURES_BEFORE_PARKING {
                warn!(event_id = %outgoing.event_id, reason = said, "message closes channels again and again, parked");
                self.shared
                    .metrics
                    .returned
                    .with_label_values(&[outgoing.routing_key.as_str()])
                    .inc();
                let parked = returned(outgoing.token, said.to_owned());
                unsettled.retain(|letter| letter.arrival != *arrival);
                self.suspect = None;
                self.progress = true;
                self.settle(vec![parked]).await;
            }
        }
        self.put_back(unsettled);
    }
}

/// Keeps the error that says most: the broker's words reach only some of what was in flight.
fn blame(lost: &mut Option<lapin::Error>, error: lapin::Error) {
    let says_why = |error: &lapin::Error| matches!(error.kind(), ErrorKind::ProtocolError(_));
    if lost.as_ref().is_none_or(|known| !says_why(known) && says_why(&error)) {
        *lost = Some(error);
    }
}

/// The routing key in «write access to topic 'key' in exchange 'name' in vhost '/' refused for user 'name'».
fn topic_of(said: &str) -> Option<&str> {
    let (_, rest) = said.split_once("access to topic '")?;
    rest.split_once("' in exchange").map(|(topic, _)| topic)
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
