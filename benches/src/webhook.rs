//! Webhook → journal → broker: how much goes through, and how long an answer takes at a steady pace, against a bare
//! group commit of the same items at the same pace.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use priem_sdk::contract::ConnectorId;
use tokio::task::JoinSet;

use crate::{
    cpu,
    daemon::{CONNECTOR, Installation},
    sender::{CONNECTIONS, Pace, Sender},
};

/// Steady pace, requests a second.
pub const STEADY: f64 = 2_000.0;
/// Requests before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);

/// What a run at full speed gave.
#[derive(Debug, Clone, Copy)]
pub struct Flood {
    /// Requests answered 200 in a second.
    pub accepted_per_s: f64,
    /// Messages the broker confirmed in a second of the same time.
    pub confirmed_per_s: f64,
    /// Requests answered otherwise.
    pub refused: u64,
    /// Processor time for an accepted request, microseconds: the daemon's, the broker's, the sender's.
    pub cpu_us: (f64, f64, f64),
}

/// 64 connections at full speed for a while.
///
/// # Errors
/// When the daemon or a connection fails.
pub async fn flood(installation: &Installation, length: Duration) -> anyhow::Result<Flood> {
    let daemon = installation.start().await?;
    let sender = Sender::new(installation.hooks(), Installation::hook_path(), 0);
    let running = sender.saturate();
    tokio::time::sleep(WARM_UP).await;
    let since = Instant::now();
    let before = (daemon.cpu(), cpu::of_broker(), cpu::of_this_process());
    let (accepted, confirmed) = (
        sender.accepted(),
        daemon.metric("priem_published_messages_total").await?,
    );
    tokio::time::sleep(length).await;
    let confirmed = daemon.metric("priem_published_messages_total").await? - confirmed;
    let (accepted, took) = (sender.accepted() - accepted, since.elapsed().as_secs_f64());
    let each = |now: Duration, before| cpu::micros_each(now.saturating_sub(before), accepted);
    let cpu_us = (
        each(daemon.cpu(), before.0),
        each(cpu::of_broker(), before.1),
        each(cpu::of_this_process(), before.2),
    );
    running.stop().await?;
    Ok(Flood {
        accepted_per_s: accepted as f64 / took,
        confirmed_per_s: confirmed as f64 / took,
        refused: sender.refused(),
        cpu_us,
    })
}

/// 99th percentiles at the steady pace.
#[derive(Debug, Clone, Copy)]
pub struct Steady {
    /// Of an answer of the daemon, with the broker taking everything meanwhile.
    pub answer_p99: Duration,
    /// Of a bare append to a journal.
    pub commit_p99: Duration,
}

/// Alternates slices of the daemon and of the bare journal; gives each pair.
///
/// # Errors
/// When the daemon or the journal fails.
pub async fn steady(
    installation: &Installation,
    bare: &Installation,
    slices: usize,
    slice: Duration,
) -> anyhow::Result<Vec<Steady>> {
    let daemon = installation.start().await?;
    let sender = Sender::new(installation.hooks(), Installation::hook_path(), 0);
    let next = std::sync::Arc::new(AtomicU64::new(0));
    sender.pace(STEADY, WARM_UP).await?;
    let mut pairs = Vec::new();
    for _ in 0..slices {
        let mut answers = sender.pace(STEADY, slice).await?;
        let mut commits = commits(bare, &next, slice).await?;
        pairs.push(Steady {
            answer_p99: p99(&mut answers),
            commit_p99: p99(&mut commits),
        });
    }
    drop(daemon);
    Ok(pairs)
}

async fn commits(
    bare: &Installation,
    next: &std::sync::Arc<AtomicU64>,
    length: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let (journal, connector) = (bare.journal()?, bare.connector()?);
    let id = ConnectorId::new(CONNECTOR);
    let mut producers = JoinSet::new();
    for number in 0..CONNECTIONS {
        let (journal, connector, id, next) = (journal.clone(), connector.clone(), id.clone(), next.clone());
        producers.spawn(async move {
            let (mut pace, mut took) = (Pace::new(number, STEADY, length), Vec::new());
            while let Some(since) = pace.next().await {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let items = crate::updates::items(connector.as_ref(), number..number + 1)?;
                journal.append(&id, "webhook", items, None).await?;
                took.push(since.elapsed());
            }
            anyhow::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(one) = producers.join_next().await {
        took.extend(one??);
    }
    Ok(took)
}

fn p99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}
