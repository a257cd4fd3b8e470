//! The corridor from the journal to the publisher: what happens to a stored item, in which order, and that nothing is
//! forgotten on the way.
//!
//! - [`STAGES`](stages::STAGES) is the way of every item, in its lawful order;
//! - the feeder reads pending items in order;
//! - the worker takes them through the stages and hands messages to the publisher, waiting while it is full;
//! - the settler waits for every message of an item, then records its end.
//!
//! After a crash everything not recorded is pending still and goes out again under the same ids. An item that was in a
//! stage's hands at two crashes is quarantined at the next start (`in_hand`).
//!
//! Delivery knows the order of stages; what a stage does is known where it belongs: connectors normalise, `duplicates`
//! links, `routing` decides, `attachments`, `deadlines` and `privacy` have their say, and none of them knows delivery.

mod feeder;
mod flights;
mod in_force;
mod in_hand;
mod parcel;
mod processor;
mod settler;
mod stages;
mod worker;

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::{flights::InFlight, stages::enrich, worker::Worker};
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

/// A task of delivery, for somebody who runs and watches it. It ends by itself only after shutdown.
pub struct Part {
    /// Unique among them.
    pub name: String,
    /// What it does.
    pub work: BoxFuture<'static, ()>,
}

/// The tasks of delivery. They work together: when one ends the others must be stopped, and all made anew.
///
/// `settled` is the other end of what the publisher was given; the settler runs until the publisher is gone, so that what
/// is confirmed after shutdown is recorded.
pub fn parts(
    journal: Journal,
    clocks: Clocks,
    processor: Processor,
    publisher: Publisher,
    settled: mpsc::Receiver<Vec<Settled>>,
    shutdown: &CancellationToken,
) -> Vec<Part> {
    let in_flight = InFlight::default();
    let metrics = processor.metrics().clone();
    let (batches, feed) = mpsc::channel(2);
    let (lanes, looked_up, mut parts) = enrich::open(&processor.connectors, &metrics);
    let feeder = feeder::run(journal.clone(), batches, shutdown.clone());
    let worker = Worker {
        journal: journal.clone(),
        clocks,
        processor: processor.with_lanes(lanes),
        looked_up,
        publisher,
        in_flight: Arc::clone(&in_flight),
    };
    let worker = worker.run(feed, shutdown.clone());
    let settler = settler::run(journal, settled, in_flight, metrics);
    let mut part = |name: &str, work| {
        let name = name.to_owned();
        parts.push(Part { name, work });
    };
    part("feeder", Box::pin(feeder));
    part("worker", Box::pin(worker));
    part("settler", Box::pin(settler));
    parts
}
