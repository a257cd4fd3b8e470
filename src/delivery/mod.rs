//! The pipeline from the journal to the publisher: what happens to a stored item, in which order, and that nothing is
//! forgotten on the way.
//!
//! - `stages::STAGES` is the way of every item, in its lawful order;
//! - the feeder reads pending items in order;
//! - the worker takes them through the stages and hands messages to the publisher, waiting while it is full;
//! - what a refusing queue can't take stays in the journal and is read again;
//! - the settler waits for every message of an item, then records its end.
//!
//! After a crash everything not recorded is pending still and goes out again under the same ids. An item that was in a
//! stage's hands at two crashes is quarantined at the next start (`in_hand`).
//!
//! Delivery knows the order of stages; what a stage does is known where it belongs: connectors normalise, `duplicates`
//! links, `routing` decides, `attachments`, `deadlines` and `privacy` have their say, and none of them knows delivery.

mod again;
mod feeder;
mod flights;
mod follower;
mod held_back;
mod in_force;
mod in_hand;
mod lonely;
mod matter;
mod parcel;
mod processor;
mod quotes;
mod settler;
mod stages;
mod threads;
mod worker;

use std::sync::Arc;

use futures::future::BoxFuture;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::{flights::InFlight, held_back::HeldBack, stages::enrich, worker::Worker};
pub use self::{
    held_back::Waiting,
    in_force::{RuleSetInForce, RulesInForce},
    parcel::{Processed, Publication},
    processor::Processor,
    stages::{names as stage_names, normalise::messages},
};
use crate::{
    deadlines::Clocks,
    journal::Journal,
    publish::{BrokerState, Publisher, Settled},
};

/// A task of delivery, for somebody who runs and watches it. It ends by itself only after shutdown.
pub struct Part {
    /// Unique among them.
    pub name: String,
    /// What it does.
    pub work: BoxFuture<'static, ()>,
}

/// How delivery stands, for those who look from outside; the same over all its lives.
#[derive(Clone)]
pub struct Outlook {
    /// The other side of publishing.
    pub broker: watch::Receiver<BrokerState>,
    /// Of the tasks that run now.
    waiting: Arc<Mutex<Option<Held>>>,
}

/// What is held back, and what is on its way.
type Held = (Arc<HeldBack>, InFlight);

impl Outlook {
    /// Nothing is known yet but the broker.
    pub fn new(broker: watch::Receiver<BrokerState>) -> Self {
        Self {
            broker,
            waiting: Arc::default(),
        }
    }

    /// Every queue in trouble with what waits for it; brings the gauges up to date.
    pub fn queues(&self) -> Vec<Waiting> {
        let waiting = self.waiting.lock().clone();
        waiting.map_or_else(Vec::new, |(held_back, in_flight)| {
            held_back.observe(&in_flight, Timestamp::now())
        })
    }
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
    outlook: &Outlook,
    shutdown: &CancellationToken,
) -> Vec<Part> {
    let in_flight = InFlight::default();
    let metrics = processor.metrics().clone();
    let held_back = Arc::new(HeldBack::new(publisher.queues().clone(), metrics.clone()));
    *outlook.waiting.lock() = Some((Arc::clone(&held_back), Arc::clone(&in_flight)));
    let (batches, feed) = mpsc::channel(2);
    let (lanes, looked_up, mut parts) = enrich::open(&processor.connectors, &metrics);
    let feeder = feeder::run(journal.clone(), batches, shutdown.clone());
    let worker = Worker {
        journal: journal.clone(),
        clocks,
        processor: processor.with_lanes(lanes).following_what(journal.clone()),
        looked_up,
        publisher,
        in_flight: Arc::clone(&in_flight),
        held_back: Arc::clone(&held_back),
    };
    let worker = worker.run(feed, shutdown.clone());
    let settler = settler::run(journal, settled, in_flight, held_back, metrics);
    let mut part = |name: &str, work| {
        let name = name.to_owned();
        parts.push(Part { name, work });
    };
    part("feeder", Box::pin(feeder));
    part("worker", Box::pin(worker));
    part("settler", Box::pin(settler));
    parts
}
