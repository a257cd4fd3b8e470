//! The corridor from the journal to the publisher: what happens to a stored item, in which order, and that nothing is
//! forgotten on the way.
//!
//! - [`STAGES`](stages::STAGES) is the way of every item, in its lawful order;
//! - the feeder reads pending items in order;
//! - the worker takes them through the stages and hands messages to the publisher, waiting while it is full;
//! - the settler waits for every message of an item, then records its end.
//!
//! After a crash everything not recorded is pending still and goes out again under the same ids.
//!
//! Delivery knows the order of stages; what a stage does is known where it belongs: connectors normalise, `duplicates`
//! links, `routing` decides, `attachments`, `deadlines` and `privacy` have their say, and none of them knows delivery.

mod feeder;
mod flights;
mod in_force;
mod parcel;
mod processor;
mod settler;
mod stages;
mod worker;

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::error;

use self::{flights::InFlight, worker::Worker};
pub use self::{
    in_force::{RuleSetInForce, RulesInForce},
    parcel::{Processed, Publication},
    processor::Processor,
    stages::{names as stage_names, normalise::messages},
};
use crate::{
    deadlines::Clocks,
    journal::Journal,
    publish::{Publisher, Settled},
};

/// How long a journal that can't record ends may keep the daemon from stopping.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// The running corridor.
pub struct Delivery {
    journal: Journal,
    worker: JoinHandle<Publisher>,
    settler: JoinHandle<()>,
}

impl Delivery {
    /// Starts the tasks. `settled` is the other end of what the publisher was given.
    pub fn start(
        journal: Journal,
        clocks: Clocks,
        processor: Processor,
        publisher: Publisher,
        settled: mpsc::Receiver<Vec<Settled>>,
        shutdown: CancellationToken,
    ) -> Self {
        let in_flight = InFlight::default();
        let metrics = processor.metrics().clone();
        let (batches, feed) = mpsc::channel(2);
        tokio::spawn(feeder::run(journal.clone(), batches, shutdown.clone()));
        let worker = Worker::new(journal.clone(), clocks, processor, publisher, Arc::clone(&in_flight));
        let worker = tokio::spawn(worker.run(feed, shutdown));
        let settler = tokio::spawn(settler::run(journal.clone(), settled, in_flight, metrics));
        Self {
            journal,
            worker,
            settler,
        }
    }

    /// After shutdown was asked for: waits for outstanding confirms (bounded by the publisher) and records them.
    pub async fn stopped(self) {
        let ended = async {
            match self.worker.await {
                Ok(publisher) => publisher.stopped().await,
                Err(error) => error!(%error, "the worker of delivery failed"),
            }
            if let Err(error) = self.settler.await {
                error!(%error, "the settler of delivery failed");
            }
        };
        tokio::pin!(ended);
        if tokio::time::timeout(STOP_WITHIN, &mut ended).await.is_err() {
            // Only who waits for room in a journal that can't write is stopped by this.
            self.journal.give_up();
            ended.await;
        }
    }
}
