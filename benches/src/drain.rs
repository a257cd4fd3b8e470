//! Draining: a full journal, a broker that is there, and nothing coming in. Through normalising, rules and encoding.

use crate::{
    cpu,
    daemon::{Daemon, Installation},
};

/// What one drain gave.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    /// Messages confirmed in a second, from the first confirmation seen to the last.
    pub messages_per_s: f64,
    /// Processor time for a message, microseconds: the daemon's and the broker's.
    pub cpu_us: (f64, f64),
}

/// Starts the daemon on a filled journal and measures until nothing is pending.
///
/// # Errors
/// When the daemon fails or never gets through.
pub async fn measure(installation: &Installation) -> anyhow::Result<Drain> {
    let broker = cpu::of_broker();
    let daemon: Daemon<'_> = installation.start().await?;
    let seen = daemon
        .watch("priem_published_messages_total", |published, text| {
            published > 0 && crate::daemon::sum(text, "priem_pending_items") == 0
        })
        .await?;
    let (cpu, broker) = (daemon.cpu(), cpu::of_broker().saturating_sub(broker));
    // The first entry may say 0: what counts is progress between two sights of a working publisher.
    let first = seen.iter().find(|(_, count)| *count > 0).unwrap_or(&seen[0]);
    let last = seen[seen.len() - 1];
    let took = last.0.duration_since(first.0).as_secs_f64();
    Ok(Drain {
        messages_per_s: (last.1 - first.1) as f64 / took,
        cpu_us: (cpu::micros_each(cpu, last.1), cpu::micros_each(broker, last.1)),
    })
}
