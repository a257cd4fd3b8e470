//! From the start of the process to readiness, and what an idle daemon holds.

use std::time::Duration;

use crate::daemon::Installation;

/// How long the daemon is left alone before its memory counts: connections are made, first housekeeping is done.
const SETTLE: Duration = Duration::from_secs(7);

/// Start to readiness, milliseconds, several times. The daemon is killed in between, as after a power cut.
///
/// # Errors
/// When the daemon does not start.
pub async fn starts(installation: &Installation, times: usize) -> anyhow::Result<Vec<f64>> {
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        took.push(installation.start().await?.start.as_secs_f64() * 1000.0);
    }
    Ok(took)
}

/// Resident memory of a daemon that has nothing to do, megabytes.
///
/// # Errors
/// When the daemon does not start.
pub async fn idle(installation: &Installation) -> anyhow::Result<f64> {
    let daemon = installation.start().await?;
    tokio::time::sleep(SETTLE).await;
    Ok(daemon.memory_mb()?.0)
}
