//! The stages. [`STAGES`] is their lawful order and what runs; a new one is a file here and a line there.
//!
//! Most stages look at one item at a time and do no I/O. Those that ask somebody (a platform, the journal) take a whole
//! batch together, so that one question serves many. A panic in a stage costs the item in hand: it is quarantined, the
//! others go on. So does a death of the whole process, when it comes twice over one item.

mod attachments;
mod deadlines;
mod encode;
pub(super) mod enrich;
mod follow;
mod link;
pub(super) mod normalise;
mod privacy;
mod route;

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use tracing::error;

use super::{
    in_hand,
    parcel::{Batch, Parcel},
    processor::Processor,
};

/// The way of every item, in its lawful order.
///
/// - Links come before routing: rules may ask whether a message repeats another.
/// - What follows something is found after links: it is decided like what it follows, link and all.
/// - References to attachments come before clocks are noted: a reminder says what the message said.
/// - Personal data goes last before encoding: rules, links and clocks see the whole message, nobody outside does.
const STAGES: &[Stage] = &[
    Stage::each("normalise", normalise::run),
    Stage::together("enrich", |processor, batch| enrich::run(processor, batch).boxed()),
    Stage::together("link", |processor, batch| link::run(processor, batch).boxed()),
    Stage::together("follow", |processor, batch| follow::run(processor, batch).boxed()),
    Stage::each("route", route::run),
    Stage::each("attachments", attachments::run),
    Stage::each("deadlines", deadlines::run),
    Stage::each("privacy", privacy::run),
    Stage::each("encode", encode::run),
];

/// A stage of the way.
struct Stage {
    name: &'static str,
    work: Work,
}

/// What a stage does.
#[derive(Clone, Copy)]
enum Work {
    /// One item at a time.
    Each(fn(&Processor, &mut Parcel, Timestamp)),
    /// A batch at once.
    Together(for<'a> fn(&'a Processor, &'a mut Batch) -> BoxFuture<'a, ()>),
}

impl Stage {
    const fn each(name: &'static str, work: fn(&Processor, &mut Parcel, Timestamp)) -> Self {
        let work = Work::Each(work);
        Self { name, work }
    }

    const fn together(name: &'static str, work: for<'a> fn(&'a Processor, &'a mut Batch) -> BoxFuture<'a, ()>) -> Self {
        let work = Work::Together(work);
        Self { name, work }
    }

    const fn is_together(&self) -> bool {
        matches!(self.work, Work::Together(_))
    }
}

/// Names of the stages in their order.
pub fn names() -> impl Iterator<Item = &'static str> {
    STAGES.iter().map(|stage| stage.name)
}

/// Stages up to the last that takes a batch together.
fn together() -> &'static [Stage] {
    STAGES.split_at(first_of_the_rest()).0
}

/// The others: they take an item right through, while it is in the processor's cache.
fn rest() -> &'static [Stage] {
    STAGES.split_at(first_of_the_rest()).1
}

const fn first_of_the_rest() -> usize {
    let mut first = STAGES.len();
    while first > 0 && !STAGES[first - 1].is_together() {
        first -= 1;
    }
    first
}

/// Takes a batch through the first stages, as far as some stage needs it whole. Items that wait for somebody leave it.
pub(super) async fn gather(processor: &Processor, batch: &mut Batch) {
    for stage in together() {
        match stage.work {
            Work::Each(_) => {
                for parcel in &mut batch.parcels {
                    walk(slice::from_ref(stage), processor, parcel, batch.now);
                }
                // What follows waits for somebody.
                processor.put_down();
            }
            Work::Together(work) => at_once(stage.name, work, processor, batch).await,
        }
    }
}

/// Takes an item through the other stages.
pub(super) fn finish(processor: &Processor, parcel: &mut Parcel, now: Timestamp) {
    walk(rest(), processor, parcel, now);
}

/// Takes an item alone through every stage that asks nobody.
pub(super) fn alone(processor: &Processor, parcel: &mut Parcel, now: Timestamp) {
    walk(STAGES, processor, parcel, now);
}

fn walk(stages: &[Stage], processor: &Processor, parcel: &mut Parcel, now: Timestamp) {
    if let Some(in_hand) = &processor.in_hand
        && parcel.end.is_none()
        && in_hand.take(&parcel.record).is_err()
    {
        let record = &parcel.record;
        error!(connector = %record.raw.connector, seq = record.seq, "the process died over an item twice; it is quarantined");
        processor.count_quarantined(record, in_hand::REASON);
        parcel.quarantine(in_hand::REASON, in_hand::WHY);
        return;
    }
    let at = Cell::new("");
    let walked = catch_unwind(AssertUnwindSafe(|| {
        for stage in stages {
            if parcel.end.is_some() {
                return;
            }
            if let Work::Each(work) = stage.work {
                at.set(stage.name);
                work(processor, parcel, now);
            }
        }
    }));
    if walked.is_err() {
        poisonous(processor, parcel, at.get());
    }
}

/// A batch in which the stage panics is taken apart, so that only the item at fault pays.
async fn at_once(
    name: &'static str,
    work: for<'a> fn(&'a Processor, &'a mut Batch) -> BoxFuture<'a, ()>,
    processor: &Processor,
    batch: &mut Batch,
) {
    if AssertUnwindSafe(work(processor, batch)).catch_unwind().await.is_ok() {
        return;
    }
    let mut parcels = Vec::with_capacity(batch.parcels.len());
    for parcel in std::mem::take(&mut batch.parcels) {
        let mut one = Batch {
            parcels: vec![parcel],
            ..*batch
        };
        if AssertUnwindSafe(work(processor, &mut one))
            .catch_unwind()
            .await
            .is_err()
        {
            for parcel in &mut one.parcels {
                poisonous(processor, parcel, name);
            }
        }
        parcels.append(&mut one.parcels);
    }
    batch.parcels = parcels;
}

fn poisonous(processor: &Processor, parcel: &mut Parcel, stage: &str) {
    let record = &parcel.record;
    error!(connector = %record.raw.connector, seq = record.seq, stage, "a stage panicked; the item is quarantined");
    processor.count_quarantined(&parcel.record, "panic");
    parcel.quarantine("panic", format!("stage {stage} panicked; please report it as a bug"));
}

#[cfg(test)]
mod tests;
