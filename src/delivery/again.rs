//! Reading again what was left in the journal for a queue that refused, when the queue has room.
//!
//! One visit at a time: read, take through the stages (some items go round by the look-ups), hand over.

use std::collections::HashSet;

use futures::future::BoxFuture;
use tracing::warn;

use super::{
    feeder::READ_AGAIN_AFTER,
    flights::{self, Again, InFlight},
    held_back::{HeldBack, Visit},
    parcel::{Batch, Parcel, Processed},
    processor::Processor,
    stages,
};
use crate::{
    deadlines::Watched,
    journal::{Journal, JournalError, Settlement},
    publish::Outgoing,
};

/// Items that are read again.
pub(super) struct Visiting {
    visit: Visit,
    /// Last position that was read.
    read_until: i64,
    /// Those that go round by the look-ups.
    awaited: HashSet<i64>,
    parcels: Vec<Parcel>,
}

/// What is to be done with items that were read again.
#[derive(Default)]
pub(super) struct Handover {
    pub messages: Vec<Outgoing>,
    pub watched: Vec<Watched>,
    pub ended: Vec<Settlement>,
}

/// A visit with the last position that was read, if any, and what was read.
type Read = (Visit, Result<(Option<i64>, Batch), JournalError>);
pub(super) type Reading = BoxFuture<'static, Read>;

/// Begins to read what was left for a queue that has room, if there is one.
pub(super) fn read(journal: &Journal, held_back: &HeldBack, in_flight: &InFlight) -> Option<Reading> {
    let visit = held_back.visit(in_flight)?;
    let mut busy = held_back.ending();
    let flights = in_flight.lock();
    let whole = flights.values().filter(|flight| !flight.aside);
    busy.extend(whole.map(|flight| flight.position));
    drop(flights);
    let journal = journal.clone();
    Some(Box::pin(async move {
        let read = async {
            // Ends that are recorded from now on are of `busy` items, those before are on disk after this.
            journal.flush().await?;
            let mut records = journal.pending_between(visit.from, visit.until, visit.places).await?;
            let read_until = records.last().map(|record| record.position);
            records.retain(|record| !busy.contains(&record.position));
            Ok((read_until, Batch::new(records)))
        };
        let read = read.await;
        if let Err(error) = &read {
            warn!(%error, queue = visit.queue, "reading again what waits for a queue failed");
            tokio::time::sleep(READ_AGAIN_AFTER).await;
        }
        (visit, read)
    }))
}

impl Visiting {
    /// Takes what was read through the first stages; nothing when there is nothing to visit.
    pub(super) async fn begin(processor: &Processor, held_back: &HeldBack, (visit, read): Read) -> Option<Self> {
        let (read_until, mut batch) = match read {
            Ok((Some(read_until), batch)) => (read_until, batch),
            Ok((None, _)) => {
                held_back.found_nothing(&visit);
                held_back.make_room();
                return None;
            }
            Err(_) => {
                held_back.make_room();
                return None;
            }
        };
        let mut awaited: HashSet<i64> = batch.positions().collect();
        stages::gather(processor, &mut batch).await;
        for position in batch.positions() {
            awaited.remove(&position);
        }
        Some(Self {
            visit,
            read_until,
            awaited,
            parcels: batch.parcels,
        })
    }

    /// Keeps those of the parcels that come back from the look-ups and belong here; gives the others back.
    pub(super) async fn come_round(&mut self, processor: &Processor, parcels: Vec<Parcel>) -> Vec<Parcel> {
        let is_ours = |parcel: &Parcel| self.awaited.contains(&parcel.record.position);
        let (ours, others): (Vec<_>, Vec<_>) = parcels.into_iter().partition(is_ours);
        if !ours.is_empty() {
            let mut batch = Batch::enriched(ours);
            stages::gather(processor, &mut batch).await;
            for position in batch.positions() {
                self.awaited.remove(&position);
            }
            self.parcels.append(&mut batch.parcels);
        }
        others
    }

    /// Whether everything is here.
    pub(super) fn is_complete(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Decides what is to be done, as far as there is room.
    pub(super) fn end(self, processor: &Processor, held_back: &HeldBack, in_flight: &InFlight) -> Handover {
        let Self {
            visit,
            read_until,
            mut parcels,
            ..
        } = self;
        parcels.sort_by_key(|parcel| parcel.record.position);
        let mut room = held_back.room_of(&visit, in_flight);
        let mut handover = Handover::default();
        let (mut next, mut oldest) = (read_until + 1, None);
        let now = jiff::Timestamp::now();
        for mut parcel in parcels {
            stages::finish(processor, &mut parcel, now);
            let (record, processed) = parcel.done();
            let again = match processed {
                Processed::End(end) => {
                    let ended = flights::end_again(in_flight, &record, end);
                    ended.map_or(Again::Launched, Again::Ended)
                }
                Processed::Publish(mut publication) => {
                    handover.watched.append(&mut publication.watched);
                    let there = (&visit, &mut room);
                    flights::launch_again(
                        in_flight,
                        held_back,
                        &record,
                        publication,
                        there,
                        &mut handover.messages,
                    )
                }
            };
            match again {
                Again::Launched => {}
                Again::Ended(settlement) => handover.ended.push(settlement),
                Again::NoRoom => {
                    (next, oldest) = (record.position, Some(record.raw.received_at));
                    break;
                }
            }
        }
        held_back.visited(&visit, next, handover.messages.len() as u64, oldest);
        handover
    }
}
