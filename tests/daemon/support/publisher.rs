//! A publisher on a private broker, messages for it, and how to look at what arrived.
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use bytes::Bytes;
use priem::{
    publish::{
        BrokerState, CHANNEL_HEADER, Outcome, Outgoing, Publisher, Settled,
        settings::{AmqpSettings, BrokerUrl, PublishSettings, QueueSettings},
    },
    telemetry::Metrics,
};
use priem_city::broker::{Broker, Delivered};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Generous: the machine may be busy with other tests' brokers.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A publisher with everything a test needs to watch it.
pub struct Bench {
    pub publisher: Publisher,
    pub settled: mpsc::Receiver<Vec<Settled>>,
    pub outcomes: BTreeMap<u64, Outcome>,
    pub metrics: Metrics,
}

impl Bench {
    pub fn start(settings: PublishSettings) -> Self {
        let (sender, settled) = mpsc::channel(1024);
        let metrics = Metrics::new();
        let publisher = Publisher::start(settings, metrics.clone(), sender, &CancellationToken::new());
        Self {
            publisher: publisher.expect("a publisher"),
            settled,
            outcomes: BTreeMap::new(),
            metrics,
        }
    }

    pub fn on(broker: &Broker, change: impl FnOnce(&mut AmqpSettings)) -> Self {
        Self::start(PublishSettings {
            amqp: Some(settings(broker.amqp_url(), change)),
            ..Default::default()
        })
    }

    /// Publishes `tokens` and waits until each is settled.
    pub async fn publish(&mut self, messages: impl IntoIterator<Item = Outgoing>) {
        let mut expected = BTreeSet::new();
        for message in messages {
            expected.insert(message.token);
            self.send(message).await;
        }
        self.settle(expected.len()).await;
    }

    /// Hands over one message, taking outcomes meanwhile as the pipeline does.
    pub async fn send(&mut self, message: Outgoing) {
        let mut message = Some(message);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while let Some(outgoing) = message.take() {
            let token = outgoing.token;
            tokio::select! {
                biased;
                Some(batch) = self.settled.recv(), if !self.settled.is_empty() => {
                    note(&mut self.outcomes, batch);
                    message = Some(outgoing);
                }
                sent = tokio::time::timeout_at(deadline, self.publisher.send(vec![outgoing.clone()])) => {
                    let state = self.publisher.state();
                    sent.unwrap_or_else(|_| panic!("message {token} is not taken; {} batches settled, {} unconfirmed; {:?}", self.settled.len(), self.metrics.unconfirmed.get(), state.borrow()));
                }
            }
        }
    }

    /// Waits until `count` messages in all are settled.
    pub async fn settle(&mut self, count: usize) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.outcomes.len() < count {
            let batch = tokio::time::timeout_at(deadline, self.settled.recv()).await;
            let settled = self.outcomes.len();
            let batch =
                batch.unwrap_or_else(|_| panic!("{settled} of {count} settled; {:?}", self.publisher.state().borrow()));
            note(&mut self.outcomes, batch.expect("a running publisher"));
        }
    }

    pub async fn wait_for(&self, what: &str, reached: impl FnMut(&BrokerState) -> bool) {
        let mut state = self.publisher.state();
        let waited = tokio::time::timeout(PATIENCE, state.wait_for(reached))
            .await
            .map(|state| state.is_ok());
        assert_eq!(waited, Ok(true), "{what}; last: {:?}", self.publisher.state().borrow());
    }
}

fn note(outcomes: &mut BTreeMap<u64, Outcome>, batch: Vec<Settled>) {
    for Settled { token, outcome } in batch {
        assert_eq!(
            outcomes.insert(token, outcome),
            None,
            "message {token} is settled twice"
        );
    }
}

/// Settings of a publisher on a broker.
pub fn settings(url: String, change: impl FnOnce(&mut AmqpSettings)) -> AmqpSettings {
    let mut settings = AmqpSettings {
        url: Some(BrokerUrl::new(url)),
        queues: vec![QueueSettings {
            name: "all".into(),
            bindings: vec!["in.#".into()],
            dead_letter: false,
        }],
        ..AmqpSettings::default()
    };
    change(&mut settings);
    settings
}

/// A message to the only queue.
pub fn message(token: u64) -> Outgoing {
    Outgoing {
        token,
        event_id: Uuid::from_u128(u128::from(token) + 1),
        event_type: "ru.priem.message.received.v1",
        order_key: token % 10,
        routing_key: "in.roads".into(),
        priority: 5,
        timestamp: 1_760_000_000,
        received_at: jiff::Timestamp::UNIX_EPOCH,
        headers: vec![(CHANNEL_HEADER, "telegram".into()), ("sector", "дороги".into())],
        body: Bytes::from(format!("{{\"token\":{token}}}")),
    }
}

/// Its id.
pub fn id(token: u64) -> String {
    message(token).event_id.to_string()
}

/// Ids in a queue and how often each is there.
pub async fn counts(broker: &Broker, queue: &str) -> HashMap<String, u32> {
    let mut counts = HashMap::new();
    for delivered in broker.drain(queue).await.expect("a queue") {
        *counts.entry(delivered.message_id).or_default() += 1;
    }
    counts
}

/// A message to the queue of this name.
pub fn message_to(queue: &str, token: u64) -> Outgoing {
    Outgoing {
        routing_key: queue.into(),
        ..message(token)
    }
}

/// Settings with one queue `qb`, bound to its name.
pub fn only_qb(settings: &mut AmqpSettings) {
    settings.queues = vec![bound_to_its_name("qb")];
}

/// Settings with two queues, bound to their names.
pub fn qa_and_qb(settings: &mut AmqpSettings) {
    settings.queues = ["qa", "qb"].map(bound_to_its_name).into();
}

fn bound_to_its_name(name: &str) -> QueueSettings {
    QueueSettings {
        name: name.into(),
        bindings: vec![name.into()],
        dead_letter: false,
    }
}

/// Tokens of messages by their ids, oldest first.
pub fn tokens(delivered: &[Delivered]) -> Vec<u64> {
    let token = |id: &str| Uuid::parse_str(id).expect("an id").as_u128() as u64 - 1;
    delivered.iter().map(|one| token(&one.message_id)).collect()
}

/// Fails when a message came before an earlier one of its conversation.
pub fn assert_in_order(tokens: &[u64]) {
    let mut newest: HashMap<u64, u64> = HashMap::new();
    for token in tokens {
        let before = newest.insert(message(*token).order_key, *token);
        assert!(
            before.is_none_or(|before| before <= *token),
            "{token} came after {before:?}"
        );
    }
}

/// Every eleventh message is for `qa`.
pub fn queue_of(token: u64) -> &'static str {
    if token.is_multiple_of(11) { "qa" } else { "qb" }
}
