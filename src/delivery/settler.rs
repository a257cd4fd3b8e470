//! Waits for every message of an item, then records the item's end.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{
    flights::{self, Flight, InFlight},
    held_back::HeldBack,
};
use crate::{
    journal::{Journal, Parked},
    publish::{Outcome, Settled},
    telemetry::Metrics,
};

/// Ends of items are recorded together: this many, or what came within this time. Many small commits would write the
/// same pages again and again; large ones would make appends wait. A crash in between only means publishing again.
const SETTLE_TOGETHER: usize = 512;
const SETTLE_WITHIN: Duration = Duration::from_millis(20);

/// Runs until the publisher is gone.
pub(super) async fn run(
    journal: Journal,
    mut settled: mpsc::Receiver<Vec<Settled>>,
    in_flight: InFlight,
    held_back: Arc<HeldBack>,
    metrics: Metrics,
) {
    while let Some(batch) = next_settled(&mut settled).await {
        let now = Timestamp::now();
        let mut ended = Vec::with_capacity(batch.len());
        {
            let mut flights = in_flight.lock();
            for Settled { token, outcome } in batch {
                let parked = parked(outcome, || flights::queue_of(&flights, token).unwrap_or_default());
                let Some(flight) = flights::settle_message(&mut flights, token, parked) else {
                    continue;
                };
                if flight.aside {
                    held_back.note_partly(flight.position, &flight.decisions);
                    continue;
                }
                observe(&metrics, &flight, now);
                ended.push(flight.settlement());
            }
            held_back.begin_ending(ended.iter().map(|settlement| settlement.position));
        }
        if !ended.is_empty() && journal.settle(ended).await.is_err() {
            return;
        }
        held_back.ended();
        held_back.make_room();
    }
}

/// Why a message is parked, if it is.
fn parked<'a>(outcome: Outcome, queue: impl FnOnce() -> &'a str) -> Option<Parked> {
    let (reason, why) = match outcome {
        Outcome::Confirmed => return None,
        Outcome::Returned { reason } => ("unroutable", reason),
        Outcome::Refused { reason } => ("refused", reason),
    };
    Some(Parked {
        reason,
        why: format!("routing key {} ({why})", queue()),
    })
}

/// What is settled next, gathered for a moment; `None` at the end.
async fn next_settled(settled: &mut mpsc::Receiver<Vec<Settled>>) -> Option<Vec<Settled>> {
    let mut batch = settled.recv().await?;
    let until = tokio::time::Instant::now() + SETTLE_WITHIN;
    while batch.len() < SETTLE_TOGETHER {
        match tokio::time::timeout_at(until, settled.recv()).await {
            Ok(Some(more)) => batch.extend(more),
            Ok(None) | Err(_) => break,
        }
    }
    Some(batch)
}

fn observe(metrics: &Metrics, flight: &Flight, now: Timestamp) {
    let connector = flight.connector.as_str();
    let seconds = |since: Timestamp| now.duration_since(since).as_secs_f64().max(0.0);
    metrics
        .delivery_seconds
        .with_label_values(&[connector])
        .observe(seconds(flight.received_at));
    if let Some(occurred) = flight.occurred {
        metrics
            .source_delay_seconds
            .with_label_values(&[connector])
            .observe(seconds(occurred));
    }
}
