//! What runs beside the flow: gauges and housekeeping, health conditions, the systemd watchdog. Nothing here waits for
//! the disk: a store that does not answer is what it is there to tell.

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::{SignedDuration, SignedDurationRound, Unit};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::supervisor::Failure;
use crate::{
    deadlines::Clocks,
    delivery::{Outlook, Waiting},
    health::{Condition, Health},
    journal::{Journal, JournalError, Loss},
    publish::{
        BrokerState,
        queues::{Fault, QueueTrouble},
    },
    telemetry::Metrics,
};

/// Longest pause between two signs of life: short, so that a watchdog set to a few seconds is served too.
const PING_EVERY: Duration = Duration::from_secs(1);

/// Keeps gauges and health up to date and lets the journal clean up.
pub async fn housekeeping(
    journal: Journal,
    clocks: Clocks,
    metrics: Metrics,
    health: Health,
    delivery: Outlook,
    every: Duration,
    closing: CancellationToken,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut looking: Option<JoinHandle<()>> = None;
    // Nobody knows whether new items fit before the writer has looked.
    let _ = journal.tick().await;
    let _ = journal.flush().await;
    let trouble = journal.troubles();
    health.ask("journal", move || condition_of_journal(trouble()));
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            _ = ticks.tick() => {}
        }
        health.beat();
        health.set("broker", condition_of(&delivery.broker.borrow()));
        health.set("queues", condition_of_queues(&delivery.queues()));
        // A gauge is read without asking: a commit that does not end shows there too.
        let _ = journal.trouble();
        match journal.clock_doubt() {
            Some(doubt) => health.set("clock", Condition::Degraded { why: doubted(doubt) }),
            None => health.remove("clock"),
        }
        let _ = journal.tick().await;
        // One look at a time: behind a disk that hangs they would pile up.
        if looking.as_ref().is_none_or(JoinHandle::is_finished) {
            let (journal, clocks) = (journal.clone(), clocks.clone());
            let (metrics, health) = (metrics.clone(), health.clone());
            looking = Some(tokio::task::spawn_blocking(move || {
                observe(&journal, &health)
                    .and_then(|()| clocks.observe(&metrics))
                    .unwrap_or_else(|error| {
                        warn!(%error, "reading the state of the journal failed");
                    });
            }));
        }
    }
}

fn observe(journal: &Journal, health: &Health) -> Result<(), JournalError> {
    let losses = journal.observe()?;
    match losses.last() {
        Some(loss) => health.set("journal-losses", lost(losses.len(), loss)),
        None => health.remove("journal-losses"),
    }
    Ok(())
}

fn lost(count: usize, last: &Loss) -> Condition {
    Condition::Degraded {
        why: format!(
            "the journal lost something it had acknowledged ({count} times), the last time found {}: {}; when that was \
             looked into: priem journal acknowledge",
            last.found_at, last.what
        ),
    }
}

fn condition_of_journal(trouble: Option<JournalError>) -> Condition {
    match trouble {
        None => Condition::Ready,
        Some(error) => Condition::NotReady {
            why: format!("the journal refuses new items: {error}"),
        },
    }
}

fn doubted(doubt: SignedDuration) -> String {
    let by = doubt.abs().round(SignedDurationRound::new().smallest(Unit::Hour));
    let by = by.unwrap_or(doubt).as_hours();
    let way = if doubt.is_negative() { "behind" } else { "ahead of" };
    format!(
        "the clock of this computer is {by} hours {way} the time the journal expects: nothing is deleted by age and no \
         deadline is told; set the clock, or say that it is right: priem journal acknowledge"
    )
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

fn condition_of_queues(waiting: &[Waiting]) -> Condition {
    if waiting.is_empty() {
        return Condition::Ready;
    }
    let why: Vec<String> = waiting
        .iter()
        .map(|Waiting { trouble, messages, oldest_seconds }| {
            let QueueTrouble { queue, since, count, why, fault } = trouble;
            match fault {
                Fault::Refusing => format!(
                    "queue {queue:?} refuses messages since {since}: {messages} wait, the oldest for {oldest_seconds} s; {why}"
                ),
                Fault::Silent => format!(
                    "queue {queue:?} does not answer since {since}: {messages} wait, the oldest for {oldest_seconds} s; {why}"
                ),
                Fault::Unroutable => {
                    format!("no queue for routing key {queue:?} since {since}: {count} messages parked; {why}")
                }
            }
        })
        .collect();
    Condition::Degraded { why: why.join(". ") }
}

/// Tells systemd that we live, as long as the journal's writer does. A disk that is full, locked or does not answer is
/// no reason for a restart: it would not help, and what waits in memory would be asked for again. A writer that does not
/// answer though it is not waiting for the disk, or waits longer than any disk is worth, is one.
pub async fn watchdog(journal: Journal, closing: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return closing.cancelled().await;
    };
    let every = PING_EVERY.min(limit / 3);
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let is_alive = match tokio::time::timeout(every, journal.flush()).await {
            Ok(Err(JournalError::Closed)) => return,
            Ok(_) => !journal.is_stuck(),
            Err(_) => journal.is_committing() && !journal.is_stuck(),
        };
        if is_alive {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        } else {
            warn!("the journal's writer does not answer");
        }
    }
}

/// Waits for a thread of the journal to end, which is the end of everything.
pub async fn journal(ended: impl Future<Output = &'static str>, closing: CancellationToken) -> Result<(), Failure> {
    tokio::select! {
        () = closing.cancelled() => Ok(()),
        name = ended => Err(Failure {
            task: Some(name.to_owned()),
            why: "the thread ended; please report it as a bug".into(),
        }),
    }
}
