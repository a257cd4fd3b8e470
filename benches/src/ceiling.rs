//! The ceiling every figure is divided by: the fastest plain lapin publisher we know, on the broker of the run.
//!
//! One connection, four channels, persistent, mandatory, publisher confirms, a quorum queue, no headers, straight to the
//! queue. It knows no order of retries, no returns and no reconnects; what it reaches is what the broker and lapin give.

use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use futures::{StreamExt, stream::FuturesUnordered};
use lapin::{BasicProperties, Channel, options::BasicPublishOptions};
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

/// How the plain publisher hands frames to lapin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handing {
    /// Waits until each message is written to the socket before the next one of its channel.
    OneByOne,
    /// Hands over the whole window at once.
    Pipelined,
}

/// Declares the queue of the benchmarks.
///
/// # Errors
/// When the broker refuses.
pub async fn prepare(broker: &Broker) -> anyhow::Result<()> {
    broker.declare_queue(QUEUE).await.context("the queue of the benchmarks")
}

/// Messages per second that a plain publisher gets confirmed, `window` unconfirmed per channel. Empties the queue
/// before and after.
///
/// # Errors
/// When the broker refuses or goes away.
pub async fn plain(
    broker: &Broker,
    handing: Handing,
    window: usize,
    body: &Bytes,
    count: usize,
) -> anyhow::Result<f64> {
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
            match handing {
                Handing::OneByOne => one_by_one(&channel, window, &body, count / CHANNELS).await?,
                Handing::Pipelined => pipelined(&channel, window, &body, count / CHANNELS).await?,
            }
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

async fn one_by_one(channel: &Channel, window: usize, body: &[u8], count: usize) -> Result<(), lapin::Error> {
    let mut confirms = FuturesUnordered::new();
    for _ in 0..count {
        if confirms.len() >= window {
            confirms.next().await.transpose()?;
        }
        let confirm = channel
            .basic_publish("".into(), QUEUE.into(), mandatory(), body, persistent())
            .await?;
        confirms.push(confirm);
    }
    while confirms.next().await.transpose()?.is_some() {}
    Ok(())
}

async fn pipelined(channel: &Channel, window: usize, body: &[u8], count: usize) -> Result<(), lapin::Error> {
    let mut confirms = FuturesUnordered::new();
    for _ in 0..count {
        if confirms.len() >= window {
            confirms.next().await.transpose()?;
        }
        confirms.push(async {
            channel
                .basic_publish("".into(), QUEUE.into(), mandatory(), body, persistent())
                .await?
                .await
        });
    }
    while confirms.next().await.transpose()?.is_some() {}
    Ok(())
}

fn mandatory() -> BasicPublishOptions {
    BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    }
}

fn persistent() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(2)
}

/// Messages per second that Priem's own publisher gets confirmed, headers and topic exchange included.
///
/// # Errors
/// When the broker refuses or goes away.
pub async fn publisher(broker: &Broker, channels: u16, window: u16, body: &Bytes, count: usize) -> anyhow::Result<f64> {
    broker.purge(QUEUE).await?;
    let amqp = AmqpSettings {
        url: Some(BrokerUrl::new(broker.amqp_url())),
        exchange: "bench".into(),
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
        for token in 0..count as u64 {
            publisher.send(message(token, &body)).await;
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
        event_type: "ru.priem.message.received.v1",
        order_key: token % 1000,
        routing_key: "bench.roads".into(),
        priority: 5,
        timestamp: 1_760_000_000,
        headers: vec![
            (CHANNEL_HEADER, "telegram".into()),
            ("sector", "дороги".into()),
            ("territory", "Центральный район".into()),
            ("rule", "roads-center".into()),
        ],
        body: body.clone(),
    }
}

fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
