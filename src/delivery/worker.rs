//! Takes items through the stages and hands messages to the publisher, waiting while it is full.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{
    again::{self, Reading, Visiting},
    flights::{self, InFlight},
    held_back::HeldBack,
    parcel::{Batch, Parcel, Processed},
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

/// How often it is asked whether what was left in the journal can be read, besides whenever something was settled.
const LOOK_AGAIN_EVERY: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Worker {
    pub journal: Journal,
    pub clocks: Clocks,
    pub processor: Processor,
    pub looked_up: enrich::LookedUp,
    pub publisher: Publisher,
    pub in_flight: InFlight,
    pub held_back: Arc<HeldBack>,
}

impl Worker {
    /// Runs until shutdown, and then has nothing in its hands.
    pub(super) async fn run(mut self, feed: mpsc::Receiver<Vec<Arc<Record>>>, shutdown: CancellationToken) {
        self.work(feed, shutdown).await;
        self.processor.put_down();
    }

    async fn work(&mut self, mut feed: mpsc::Receiver<Vec<Arc<Record>>>, shutdown: CancellationToken) {
        if let Some(rest) = self.processor.patience() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(rest) => {}
            }
        }
        let mut look_again = tokio::time::interval(LOOK_AGAIN_EVERY);
        look_again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reading: Option<Reading> = None;
        let mut visiting: Option<Visiting> = None;
        loop {
            let goes_on = tokio::select! {
                () = shutdown.cancelled() => return,
                parcels = self.looked_up.next() => {
                    let parcels = match &mut visiting {
                        Some(visiting) => visiting.come_round(&self.processor, parcels).await,
                        None => parcels,
                    };
                    self.come_round(parcels, &shutdown).await
                }
                records = feed.recv() => {
                    let Some(records) = records else { return };
                    let last = records.last().map_or(0, |record| record.position);
                    let goes_on = self.deliver(Batch::new(records), &shutdown).await;
                    self.held_back.look(last);
                    goes_on
                }
                () = self.held_back.room_made(), if reading.is_none() && visiting.is_none() => {
                    reading = again::read(&self.journal, &self.held_back, &self.in_flight);
                    true
                }
                // Nothing in flight makes no room by being settled.
                _ = look_again.tick() => {
                    self.held_back.make_room();
                    true
                }
                read = async { reading.as_mut().expect("guarded").await }, if reading.is_some() => {
                    reading = None;
                    visiting = Visiting::begin(&self.processor, &self.held_back, read).await;
                    true
                }
            };
            self.clocks.decided(self.held_back.decided_up_to());
            let complete = visiting.take_if(|visiting| visiting.is_complete());
            let goes_on = match complete {
                Some(complete) if goes_on => self.deliver_again(complete).await,
                _ => goes_on,
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Delivers what comes back from the look-ups.
    async fn come_round(&self, parcels: Vec<Parcel>, shutdown: &CancellationToken) -> bool {
        let batch = Batch::enriched(parcels);
        let positions: Vec<i64> = batch.positions().collect();
        let goes_on = self.deliver(batch, shutdown).await;
        self.held_back.arrive(positions);
        goes_on
    }

    /// Hands over what was left in the journal for a queue that takes again.
    async fn deliver_again(&self, visiting: Visiting) -> bool {
        let mut handover = visiting.end(&self.processor, &self.held_back, &self.in_flight);
        self.hand_over(&mut handover.watched, &mut handover.messages).await;
        let goes_on = handover.ended.is_empty() || self.journal.settle(handover.ended).await.is_ok();
        // There may be more, and room for it.
        self.held_back.make_room();
        goes_on
    }

    /// Takes a batch through the stages, hands messages to the publisher and ends to the journal; answers whether the
    /// work goes on.
    async fn deliver(&self, mut batch: Batch, shutdown: &CancellationToken) -> bool {
        let all: Vec<i64> = if batch.is_enriched {
            Vec::new()
        } else {
            batch.positions().collect()
        };
        stages::gather(&self.processor, &mut batch).await;
        self.held_back.depart(all, batch.positions());
        let mut room = self.held_back.room(&self.in_flight);
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
                    flights::launch(
                        &self.in_flight,
                        &self.held_back,
                        &record,
                        publication,
                        room.as_mut(),
                        &mut messages,
                    );
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
