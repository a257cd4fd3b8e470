//! Reads pending items in order and hands them to the worker.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::journal::{Journal, Record};

/// Items read at once.
const READ: usize = 512;
/// Pause after a read of the journal failed.
pub(super) const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Runs until shutdown, or until nobody takes what was read.
pub(super) async fn run(journal: Journal, batches: mpsc::Sender<Vec<Arc<Record>>>, shutdown: CancellationToken) {
    let mut position = 0;
    loop {
        let read = tokio::select! {
            () = shutdown.cancelled() => return,
            read = journal.pending_after(position, READ) => read,
        };
        match read {
            Ok(records) => {
                position = records.last().map_or(position, |record| record.position);
                if batches.send(records).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                warn!(%error, "reading the journal failed");
                tokio::time::sleep(READ_AGAIN_AFTER).await;
            }
        }
    }
}
