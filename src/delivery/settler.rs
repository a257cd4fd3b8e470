//! Waits for every message of an item, then records the item's end.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::error;

use super::flights::{Flight, InFlight, item_of, number_of};
use crate::{
    journal::{End, Journal, Settlement},
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
    metrics: Metrics,
) {
    let mut warned: Option<Instant> = None;
    while let Some(batch) = next_settled(&mut settled).await {
        let now = Timestamp::now();
        let mut ended = Vec::with_capacity(batch.len());
        {
            let mut flights = in_flight.lock();
            for settled in batch {
                let item = item_of(settled.token);
                let Some(flight) = flights.get_mut(&item) else { continue };
                if let Outcome::Returned { reason } = settled.outcome
                    && let Some(decision) = flight.decisions.get_mut(number_of(settled.token))
                {
                    decision.outcome = "parked";
                    if warned.is_none_or(|at| at.elapsed().as_secs() >= 10) {
                        error!(
                            queue = decision.queue,
                            reason, "no queue takes this routing key, message parked"
                        );
                        warned = Some(Instant::now());
                    }
                    flight.parked = Some(format!("routing key {} ({reason})", decision.queue));
                }
                flight.left -= 1;
                if flight.left == 0
                    && let Some(flight) = flights.remove(&item)
                {
                    observe(&metrics, &flight, now);
                    ended.push(Settlement {
                        position: flight.position,
                        seq: flight.seq,
                        end: End::Delivered {
                            decisions: flight.decisions,
                            parked: flight.parked,
                        },
                    });
                }
            }
        }
        if !ended.is_empty() && journal.settle(ended).await.is_err() {
            return;
        }
    }
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
