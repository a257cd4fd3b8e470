//! The ceiling every figure is divided by: the fastest plain lapin publisher we know, on the broker of the run.
//!
//! One connection, four channels, persistent, mandatory, publisher confirms, a quorum queue. It knows no order of retries, no returns and no reconnects; what it reaches is what the broker and lapin give.

use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use futures::{StreamExt, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel,
    options::BasicPublishOptions,
    types::{AMQPValue, FieldTable},
};
use priem::{
    publish::{
        CHANNEL_HEADER, Outgoing, Publisher,
        settings::{AmqpSettings, BrokerUrl, PublishSettings, QueueSettings},
    },
    telemetry::Metrics,
};
use priem_city::broker::Broker;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Quorum queue of the benchmarks; declared by [`prepare`].
pub const QUEUE: &str = "bench";
const CHANNELS: usize = 4;
const EXCHANGE: &str = "bench";
const ROUTING_KEY: &str = "bench.roads";
const EVENT_TYPE: &str = "ru.priem.message.received.v1";
const TIMESTAMP: u64 = 1_760_000_000;
const HEADERS: [(&str, &str); 4] = [
    (CHANNEL_HEADER, "telegram"),
    ("sector", "дороги"),
    ("territory", "Центральный район"),
    ("rule", "roads-center"),
];

/// What the plain publisher sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The body alone, straight to the queue: the ceiling of lapin and the broker.
    Bare,
    /// Through the topic exchange with the properties and headers Priem promises: the ceiling of Priem's contract.
    Full,
}

/// Declares exchange and queue of the benchmarks.
///
/// # Errors
/// When the broker refuses.
pub async fn prepare(broker: &Broker) -> anyhow::Result<()> {
    broker
        .declare_exchange(EXCHANGE)
        .await
        .context("the exchange of the benchmarks")?;
    broker
        .declare_queue(QUEUE)
        .await
        .context("the queue of the benchmarks")?;
    broker
        .bind(QUEUE, EXCHANGE, "bench.#")
        .await
        .context("the binding of the benchmarks")
}

/// Messages per second that a plain publisher gets confirmed, `window` unconfirmed per channel, the whole window handed
/// to lapin at once (that is faster than waiting for each message to be written). Empties the queue before and after.
///
/// # Errors
/// When the broker refuses or goes away.
pub async fn plain(broker: &Broker, shape: Shape, window: usize, body: &Bytes, count: usize) -> anyhow::Result<f64> {
    broker.purge(QUEUE).await?;
    let connection = broker.connect().await?;
    let mut channels = Vec::new();
    for _ in 0..CHANNELS {
        let channel = connection.create_channel().await?;
        channel.confirm_select(Default::default()).await?;
        channels.push(channel);
    }
    let since = Instant::now();
    let mut publishing = Vec::new();
    for channel in channels {
        let body = body.clone();
        publishing.push(tokio::spawn(async move {
            publish(&channel, shape, window, &body, count / CHANNELS).await?;
            // Dropping a channel closes it, which may cross the closing of the connection.
            Ok::<_, lapin::Error>(channel)
        }));
    }
    let mut channels = Vec::new();
    for lane in publishing {
        channels.push(lane.await??);
    }
    let rate = rate(count, since.elapsed());
    connection.close(200, "OK".into()).await?;
    broker.purge(QUEUE).await?;
    Ok(rate)
}

async fn publish(
    channel: &Channel,
    shape: Shape,
    window: usize,
    body: &[u8],
    count: usize,
) -> Result<(), lapin::Error> {
    let (exchange, routing_key, properties) = match shape {
        Shape::Bare => ("", QUEUE, BasicProperties::default().with_delivery_mode(2)),
        Shape::Full => (EXCHANGE, ROUTING_KEY, full_properties()),
    };
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let mut confirms = FuturesUnordered::new();
    for _ in 0..count {
        if confirms.len() >= window {
            confirms.next().await.transpose()?;
        }
        let properties = properties.clone();
        confirms.push(async move {
            channel
                .basic_publish(exchange.into(), routing_key.into(), options, body, properties)
                .await?
                .await
        });
    }
    while confirms.next().await.transpose()?.is_some() {}
    Ok(())
}

fn full_properties() -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in HEADERS {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/cloudevents+json".into())
        .with_app_id("priem".into())
        .with_message_id(Uuid::nil().to_string().into())
        .with_type(EVENT_TYPE.into())
        .with_timestamp(TIMESTAMP)
        .with_priority(5)
        .with_headers(headers)
}

/// Messages per second that Priem's own publisher gets confirmed, headers and topic exchange included.
///
/// # Errors
/// When the broker refuses or goes away.
pub async fn publisher(broker: &Broker, channels: u16, window: u16, body: &Bytes, count: usize) -> anyhow::Result<f64> {
    broker.purge(QUEUE).await?;
    let amqp = AmqpSettings {
        url: Some(BrokerUrl::new(broker.amqp_url())),
        exchange: EXCHANGE.into(),
        queues: vec![QueueSettings {
            name: QUEUE.into(),
            bindings: vec!["bench.#".into()],
            dead_letter: false,
        }],
        channels,
        window,
        ..AmqpSettings::default()
    };
    let (sender, mut settled) = mpsc::channel(1024);
    let settings = PublishSettings {
        amqp: Some(amqp),
        ..PublishSettings::default()
    };
    let publisher = Publisher::start(settings, Metrics::new(), sender, &CancellationToken::new())?;
    publisher
        .state()
        .wait_for(|state| *state == priem::publish::BrokerState::Connected)
        .await?;
    let since = Instant::now();
    let body = body.clone();
    let handing_over = tokio::spawn(async move {
        let tokens: Vec<u64> = (0..count as u64).collect();
        // As the pipeline does it.
        for tokens in tokens.chunks(64) {
            publisher
                .send(tokens.iter().map(|token| message(*token, &body)).collect())
                .await;
        }
        publisher
    });
    let mut done = 0;
    while done < count {
        done += settled.recv().await.context("the publisher ended")?.len();
    }
    let rate = rate(count, since.elapsed());
    handing_over.await?.stopped().await;
    broker.purge(QUEUE).await?;
    Ok(rate)
}

fn message(token: u64, body: &Bytes) -> Outgoing {
    Outgoing {
        token,
        event_id: Uuid::from_u128(u128::from(token)),
        event_type: EVENT_TYPE,
        order_key: token % 1000,
        routing_key: ROUTING_KEY.into(),
        priority: 5,
        timestamp: TIMESTAMP,
        received_at: jiff::Timestamp::UNIX_EPOCH,
        headers: HEADERS
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        body: body.clone(),
    }
}

fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
