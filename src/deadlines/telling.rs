//! The task that wakes when a clock runs out.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    clocks::{Told, Wanted},
    handle::Clocks,
};
use crate::{journal::JournalError, telemetry::Metrics};

/// Longest time without a look at the clocks: that of the machine may be set anew.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Stores every reminder when it is due, until `closing`.
pub async fn keep_telling(clocks: Clocks, wanted: Wanted, metrics: Metrics, closing: CancellationToken) {
    for kind in ["approaching", "overdue"] {
        // From zero on, so that the first one is an increase.
        metrics.deadline_events.with_label_values(&[kind]);
    }
    let mut held_back = false;
    loop {
        if clocks.doubted() {
            // By a clock that has jumped everything would be overdue, and what is told can't be taken back.
            tokio::select! {
                () = closing.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => continue,
            }
        }
        let pause = match tell_due(&clocks, Timestamp::now(), wanted, &metrics).await {
            Ok(told) => {
                if told.held_back != held_back {
                    held_back = told.held_back;
                    info!(
                        held_back,
                        "reminders of deadlines wait while old items wait to be decided"
                    );
                }
                pause(&clocks, told).await
            }
            Err(JournalError::Closed) => return,
            Err(error) => {
                warn!(%error, "reminders of deadlines can't be stored; they stay due");
                LOOK_EVERY
            }
        };
        tokio::select! {
            () = closing.cancelled() => return,
            () = clocks.changed(), if !held_back => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Stores the reminders that are due at a moment; looks first, so that nothing is written when there are none.
pub(super) async fn tell_due(
    clocks: &Clocks,
    now: Timestamp,
    wanted: Wanted,
    metrics: &Metrics,
) -> Result<Told, JournalError> {
    if clocks.next().await?.is_none_or(|next| next > now) {
        return Ok(Told::default());
    }
    let told = clocks.tell(now, wanted).await?;
    for (kind, count) in [("approaching", told.approaching), ("overdue", told.overdue)] {
        metrics.deadline_events.with_label_values(&[kind]).inc_by(count);
    }
    Ok(told)
}

/// How long to wait for the next moment.
async fn pause(clocks: &Clocks, told: Told) -> Duration {
    if told.more {
        return if told.held_back { LOOK_EVERY } else { Duration::ZERO };
    }
    match clocks.next().await {
        Ok(Some(next)) => {
            let left = next.duration_since(Timestamp::now());
            Duration::try_from(left).unwrap_or(Duration::ZERO).min(LOOK_EVERY)
        }
        Ok(None) | Err(_) => LOOK_EVERY,
    }
}
