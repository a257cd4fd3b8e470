//! How a journal in use stands: what is told of it, to people and to those who depend on it.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;

use super::{
    super::{JournalError, Loss, limits, loss, stats, writer_state::WriterState},
    Journal,
};
use crate::telemetry::Metrics;

/// A commit that runs for longer is not one that waits for a frozen disk.
const LONGEST_COMMIT: Duration = Duration::from_secs(600);

impl Journal {
    /// Brings the gauges of the journal up to date. Gives what was found to be lost and nobody has acknowledged.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn observe(&self) -> Result<Vec<Loss>, JournalError> {
        let metrics = &self.shared.metrics;
        let folder = &self.shared.settings.dir;
        let gauge = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        metrics.journal_free_bytes.set(gauge(limits::free_bytes(folder)));
        let log = limits::log_bytes(folder);
        metrics.journal_log_bytes.set(gauge(log));
        let reader = self.shared.reader.lock();
        let snapshot = stats::snapshot(&reader)?;
        let used = limits::used_bytes(&reader)?;
        let losses = loss::list(&reader)?;
        let room = stats::room(&reader)?;
        drop(reader);
        metrics.pending.set(snapshot.pending);
        metrics.parked.set(snapshot.parked);
        metrics.oldest_pending_seconds.set(snapshot.oldest_pending_seconds);
        metrics.quarantine.reset();
        for (reason, count) in &snapshot.quarantined {
            metrics.quarantine.with_label_values(&[reason]).set(*count);
        }
        for share in &room {
            metrics
                .journal_class_bytes
                .with_label_values(&[share.class])
                .set(share.bytes);
        }
        metrics.journal_fixed_bytes.set(stats::fixed_bytes(&room));
        metrics.journal_bytes.set(gauge(used.saturating_add(log)));
        metrics.journal_losses.set(losses.len() as i64);
        Ok(losses)
    }

    /// Waits until one of the journal's threads has ended, which none does while anybody holds the journal; gives its
    /// name. Nothing can be stored or settled then before the journal is opened anew.
    pub fn thread_ended(&self) -> impl Future<Output = &'static str> + use<> {
        let mut ended = self.shared.ended.clone();
        async move {
            let name = ended.wait_for(Option::is_some).await;
            name.ok().and_then(|name| *name).unwrap_or("journal")
        }
    }

    /// Items not yet settled.
    pub fn pending_count(&self) -> i64 {
        self.shared.metrics.pending.get()
    }

    /// What keeps the journal from taking new items now: the last refusal, or a commit that does not end. Waits for
    /// nobody; brings its gauge up to date.
    pub fn trouble(&self) -> Option<JournalError> {
        trouble(&self.shared.writer_state, &self.shared.metrics)
    }

    /// Asks [`Journal::trouble`] without keeping the journal open.
    pub(crate) fn troubles(&self) -> impl Fn() -> Option<JournalError> + Send + Sync + use<> {
        let (writer_state, metrics) = (Arc::clone(&self.shared.writer_state), self.shared.metrics.clone());
        move || trouble(&writer_state, &metrics)
    }

    /// Whether the writer is inside a commit just now.
    pub fn is_committing(&self) -> bool {
        self.shared.writer_state.running().is_some()
    }

    /// Whether the writer has been inside one commit for longer than any frozen or overloaded disk explains.
    pub fn is_stuck(&self) -> bool {
        let running = self.shared.writer_state.running();
        running.is_some_and(|running| running >= LONGEST_COMMIT)
    }

    /// Whether the journal takes new items, as far as can be told without trying.
    pub fn is_writable(&self) -> bool {
        self.trouble().is_none()
    }

    /// How far the clock of the computer is from what the journal takes for the time (negative: behind), while it is
    /// doubted.
    pub fn clock_doubt(&self) -> Option<SignedDuration> {
        let doubt = self.shared.clock.now().doubt;
        (doubt != 0).then(|| SignedDuration::from_micros(doubt))
    }

    /// Whose turn it is to lock the file.
    #[cfg(test)]
    pub(in super::super) fn turns(&self) -> Arc<super::super::turns::Turns> {
        Arc::clone(&self.shared.turns)
    }
}

fn trouble(writer_state: &WriterState, metrics: &Metrics) -> Option<JournalError> {
    let trouble = writer_state.trouble();
    metrics.journal_writable.set(i64::from(trouble.is_none()));
    trouble
}
