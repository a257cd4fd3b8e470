//! What runs beside the flow: gauges and housekeeping, health conditions, the systemd watchdog.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    deadlines::Clocks,
    http::{Condition, Health},
    journal::{Journal, JournalError},
    publish::BrokerState,
    telemetry::Metrics,
};

/// Keeps gauges and health up to date and lets the journal clean up.
pub async fn housekeeping(
    journal: Journal,
    clocks: Clocks,
    metrics: Metrics,
    health: Health,
    broker: watch::Receiver<BrokerState>,
    every: Duration,
    closing: CancellationToken,
) {
    let mut ticks = tokio::time::interval(every);
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            _ = ticks.tick() => {}
        }
        health.beat();
        health.set("broker", condition_of(&broker.borrow()));
        let writable = if journal.is_writable() {
            Condition::Ready
        } else {
            Condition::NotReady {
                why: "the journal refuses new items; see the log and the metrics of the disk".into(),
            }
        };
        health.set("journal", writable);
        let _ = journal.tick().await;
        let observed = tokio::task::spawn_blocking({
            let (journal, clocks, metrics) = (journal.clone(), clocks.clone(), metrics.clone());
            move || journal.observe().and_then(|()| clocks.observe(&metrics))
        });
        if let Ok(Err(error)) = observed.await {
            warn!(%error, "reading the state of the journal failed");
        }
    }
}

fn condition_of(broker: &BrokerState) -> Condition {
    match broker {
        BrokerState::Connected => Condition::Ready,
        BrokerState::Disconnected { since, why } => Condition::Degraded {
            why: format!("not connected since {since}: {why}; messages wait in the journal"),
        },
        BrokerState::Blocked { since, why } => Condition::Degraded {
            why: format!("the broker takes nothing since {since}: {why}"),
        },
    }
}

/// Tells systemd that we live, as long as the journal's writer answers. A full disk is no reason for a restart, a
/// writer that hangs is.
pub async fn watchdog(journal: Journal, closing: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut ticks = tokio::time::interval(limit / 3);
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match tokio::time::timeout(limit / 3, journal.flush()).await {
            Ok(Ok(()) | Err(JournalError::Unavailable { .. })) => {
                let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
            }
            Ok(Err(_)) => return,
            Err(_) => warn!("the journal's writer does not answer"),
        }
    }
}
