//! Takes items through the stages and hands messages to the publisher, waiting while it is full.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    flights::{self, InFlight},
    parcel::{Batch, Processed},
    processor::Processor,
    stages::{self, enrich},
};
use crate::{
    deadlines::{Clocks, Watched},
    journal::{Journal, Record, Settlement},
    publish::{Outgoing, Publisher},
};

/// Messages handed to the publisher together, at least, while there are more: enough to wake its lanes rarely, few enough
/// to stay in the processor's cache.
const HAND_OVER: usize = 64;

/// See the module.
pub(super) struct Worker {
    pub journal: Journal,
    pub clocks: Clocks,
    pub processor: Processor,
    pub looked_up: enrich::LookedUp,
    pub publisher: Publisher,
    pub in_flight: InFlight,
}

impl Worker {
    /// Runs until shutdown.
    pub(super) async fn run(mut self, mut feed: mpsc::Receiver<Vec<Arc<Record>>>, shutdown: CancellationToken) {
        loop {
            let batch = tokio::select! {
                () = shutdown.cancelled() => return,
                parcels = self.looked_up.next() => Batch::enriched(parcels),
                records = feed.recv() => {
                    let Some(records) = records else { return };
                    Batch::new(records)
                }
            };
            if !self.deliver(batch, &shutdown).await {
                return;
            }
        }
    }

    /// Takes a batch through the stages, hands messages to the publisher and ends to the journal; answers whether the
    /// work goes on.
    async fn deliver(&self, mut batch: Batch, shutdown: &CancellationToken) -> bool {
        stages::gather(&self.processor, &mut batch).await;
        let (mut ended, mut messages, mut watched) = (Vec::new(), Vec::new(), Vec::new());
        for mut parcel in batch.parcels {
            stages::finish(&self.processor, &mut parcel, batch.now);
            match parcel.done() {
                (record, Processed::End(end)) => ended.push(Settlement {
                    position: record.position,
                    seq: record.seq,
                    end,
                }),
                (record, Processed::Publish(mut publication)) => {
                    watched.append(&mut publication.watched);
                    flights::launch(&self.in_flight, &record, publication, &mut messages);
                }
            }
            if messages.len() >= HAND_OVER {
                self.hand_over(&mut watched, &mut messages).await;
            }
            if shutdown.is_cancelled() {
                // What was not handed over stays pending in the journal.
                return false;
            }
        }
        self.hand_over(&mut watched, &mut messages).await;
        ended.is_empty() || self.journal.settle(ended).await.is_ok()
    }

    /// Notes how clocks stand before the messages leave: a settlement comes after this in the journal. A journal that
    /// is closed has no settlement either, so the item is looked at again.
    async fn hand_over(&self, watched: &mut Vec<Watched>, messages: &mut Vec<Outgoing>) {
        self.processor.put_down();
        if !watched.is_empty() {
            let _ = self.clocks.watch(std::mem::take(watched)).await;
        }
        if !messages.is_empty() {
            self.publisher.send(std::mem::take(messages)).await;
        }
    }
}
