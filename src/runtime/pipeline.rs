//! Journal → process → publish → journal. Three tasks, bounded memory, nothing forgotten:
//!
//! - the feeder reads pending items in order;
//! - the worker processes them and hands messages to the publisher, waiting while it is full;
//! - the settler waits for every message of an item, then records its end.
//!
//! After a crash everything not recorded is pending still and goes out again under the same ids.

use std::{collections::HashMap, sync::Arc, time::Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{
    enrich::{Enricher, Normalized},
    process::{Processed, Processor, Publication},
};
use crate::{
    deadlines::{Clocks, Watched},
    duplicates::Linker,
    journal::{DecisionRecord, End, Journal, Record, Settlement},
    publish::{Outcome, Outgoing, Publisher, Settled},
    telemetry::Metrics,
};

/// Items read at once.
const READ: usize = 512;
/// Pause after a read of the journal failed.
const READ_AGAIN_AFTER: std::time::Duration = std::time::Duration::from_secs(1);
/// Ends of items are recorded together: this many, or what came within this time. Many small commits would write the
/// same pages again and again; large ones would make appends wait. A crash in between only means publishing again.
const SETTLE_TOGETHER: usize = 512;
const SETTLE_WITHIN: std::time::Duration = std::time::Duration::from_millis(20);
/// Messages handed to the publisher together, at least, while there are more: enough to wake its lanes rarely, few enough
/// to stay in the processor's cache.
const HAND_OVER: usize = 64;
/// Bits of a token that number the messages of one item.
const MESSAGE_BITS: u32 = 16;

/// Items handed to the publisher and not settled.
type InFlight = Arc<Mutex<HashMap<u64, Flight>>>;

struct Flight {
    position: i64,
    seq: i64,
    connector: priem_sdk::contract::ConnectorId,
    received_at: Timestamp,
    occurred: Option<Timestamp>,
    left: usize,
    decisions: Vec<DecisionRecord>,
    parked: Option<String>,
}

/// The running pipeline.
pub struct Pipeline {
    worker: tokio::task::JoinHandle<Publisher>,
    settler: tokio::task::JoinHandle<()>,
}

impl Pipeline {
    /// Starts the tasks. `settled` is the other end of what the publisher was given.
    pub fn start(
        journal: Journal,
        processor: Processor,
        linker: Option<Linker>,
        clocks: Clocks,
        publisher: Publisher,
        settled: mpsc::Receiver<Vec<Settled>>,
        shutdown: CancellationToken,
    ) -> Self {
        let in_flight = InFlight::default();
        let metrics = processor.metrics().clone();
        let (batches, feed) = mpsc::channel(2);
        tokio::spawn(feeder(journal.clone(), batches, shutdown.clone()));
        let worker = Worker {
            journal: journal.clone(),
            processor,
            linker,
            clocks,
            publisher,
            in_flight: Arc::clone(&in_flight),
        };
        let worker = tokio::spawn(worker.run(feed, shutdown));
        let settler = tokio::spawn(settler(journal, settled, in_flight, metrics));
        Self { worker, settler }
    }

    /// After shutdown was asked for: waits for outstanding confirms (bounded by the publisher) and records them.
    pub async fn stopped(self) {
        match self.worker.await {
            Ok(publisher) => publisher.stopped().await,
            Err(error) => error!(%error, "pipeline worker failed"),
        }
        if let Err(error) = self.settler.await {
            error!(%error, "pipeline settler failed");
        }
    }
}

async fn feeder(journal: Journal, batches: mpsc::Sender<Vec<Arc<Record>>>, shutdown: CancellationToken) {
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

struct Worker {
    journal: Journal,
    processor: Processor,
    /// Absent when duplicates are not looked for.
    linker: Option<Linker>,
    clocks: Clocks,
    publisher: Publisher,
    in_flight: InFlight,
}

impl Worker {
    async fn run(self, mut feed: mpsc::Receiver<Vec<Arc<Record>>>, shutdown: CancellationToken) -> Publisher {
        let mut enricher = Enricher::start(self.processor.connectors(), self.processor.metrics());
        loop {
            let goes_on = tokio::select! {
                batch = enricher.ready() => self.process(batch, &shutdown).await,
                records = feed.recv() => {
                    let Some(records) = records else { break };
                    let records = enricher.hand_over(records).await;
                    let normalized = |record: Arc<Record>| {
                        let said = self.processor.normalize(&record);
                        (record, said)
                    };
                    self.process(records.into_iter().map(normalized).collect(), &shutdown).await
                }
            };
            if !goes_on {
                break;
            }
        }
        self.publisher
    }

    /// Links, routes and passes on what is normalised; answers whether the work goes on.
    async fn process(&self, mut batch: Vec<Normalized>, shutdown: &CancellationToken) -> bool {
        if let Some(linker) = &self.linker {
            linker.link(&mut batch).await;
        }
        let now = Timestamp::now();
        let processed = batch.into_iter().map(|(record, said)| {
            let processed = self.processor.process_normalized(&record, said, now);
            (record, processed)
        });
        self.pass_on(processed, shutdown).await
    }

    /// Hands messages to the publisher and ends to the journal; answers whether the work goes on.
    async fn pass_on(
        &self,
        batch: impl Iterator<Item = (Arc<Record>, Processed)>,
        shutdown: &CancellationToken,
    ) -> bool {
        let (mut ended, mut messages, mut watched) = (Vec::new(), Vec::new(), Vec::new());
        for (record, processed) in batch {
            match processed {
                Processed::End(end) => ended.push(Settlement {
                    position: record.position,
                    seq: record.seq,
                    end,
                }),
                Processed::Publish(mut publication) => {
                    watched.append(&mut publication.watched);
                    self.launch(&record, publication, &mut messages);
                }
            }
            if messages.len() >= HAND_OVER {
                self.watch(&mut watched).await;
                self.publisher.send(std::mem::take(&mut messages)).await;
            }
            if shutdown.is_cancelled() {
                // What was not handed over stays pending in the journal.
                return false;
            }
        }
        self.watch(&mut watched).await;
        self.publisher.send(messages).await;
        ended.is_empty() || self.journal.settle(ended).await.is_ok()
    }

    /// Notes how clocks stand before the messages leave: a settlement comes after this in the journal. A journal that
    /// is closed has no settlement either, so the item is looked at again.
    async fn watch(&self, watched: &mut Vec<Watched>) {
        if !watched.is_empty() {
            let _ = self.clocks.watch(std::mem::take(watched)).await;
        }
    }

    /// Notes an item as on its way and puts its messages to the others.
    fn launch(&self, record: &Record, publication: Publication, messages: &mut Vec<Outgoing>) {
        let Publication {
            messages: own,
            decisions,
            watched: _,
            occurred,
        } = publication;
        let flight = Flight {
            position: record.position,
            seq: record.seq,
            connector: record.raw.connector.clone(),
            received_at: record.raw.received_at,
            occurred,
            left: own.len(),
            decisions,
            parked: None,
        };
        self.in_flight.lock().insert(item_of(token(record.position, 0)), flight);
        for (number, mut message) in own.into_iter().enumerate() {
            message.token = token(record.position, number);
            messages.push(message);
        }
    }
}

async fn settler(journal: Journal, mut settled: mpsc::Receiver<Vec<Settled>>, in_flight: InFlight, metrics: Metrics) {
    let mut warned: Option<Instant> = None;
    while let Some(batch) = next_settled(&mut settled).await {
        let now = Timestamp::now();
        let mut ended = Vec::with_capacity(batch.len());
        {
            let mut flights = in_flight.lock();
            for settled in batch {
                let item = item_of(settled.token);
                let Some(flight) = flights.get_mut(&item) else { continue };
                if let Outcome::Returned { reason } = settled.outcome
                    && let Some(decision) = flight.decisions.get_mut(number_of(settled.token))
                {
                    decision.outcome = "parked";
                    if warned.is_none_or(|at| at.elapsed().as_secs() >= 10) {
                        error!(
                            queue = decision.queue,
                            reason, "no queue takes this routing key, message parked"
                        );
                        warned = Some(Instant::now());
                    }
                    flight.parked = Some(format!("routing key {} ({reason})", decision.queue));
                }
                flight.left -= 1;
                if flight.left == 0
                    && let Some(flight) = flights.remove(&item)
                {
                    observe(&metrics, &flight, now);
                    ended.push(Settlement {
                        position: flight.position,
                        seq: flight.seq,
                        end: End::Delivered {
                            decisions: flight.decisions,
                            parked: flight.parked,
                        },
                    });
                }
            }
        }
        if !ended.is_empty() && journal.settle(ended).await.is_err() {
            return;
        }
    }
}

/// What is settled next, gathered for a moment; `None` at the end.
async fn next_settled(settled: &mut mpsc::Receiver<Vec<Settled>>) -> Option<Vec<Settled>> {
    let mut batch = settled.recv().await?;
    let until = tokio::time::Instant::now() + SETTLE_WITHIN;
    while batch.len() < SETTLE_TOGETHER {
        match tokio::time::timeout_at(until, settled.recv()).await {
            Ok(Some(more)) => batch.extend(more),
            Ok(None) | Err(_) => break,
        }
    }
    Some(batch)
}

fn observe(metrics: &Metrics, flight: &Flight, now: Timestamp) {
    let connector = flight.connector.as_str();
    let seconds = |since: Timestamp| now.duration_since(since).as_secs_f64().max(0.0);
    metrics
        .delivery_seconds
        .with_label_values(&[connector])
        .observe(seconds(flight.received_at));
    if let Some(occurred) = flight.occurred {
        metrics
            .source_delay_seconds
            .with_label_values(&[connector])
            .observe(seconds(occurred));
    }
}

/// A token names an item by its position and a message by its number in the item.
fn token(position: i64, number: usize) -> u64 {
    ((position as u64) << MESSAGE_BITS) | (number as u64 & ((1 << MESSAGE_BITS) - 1))
}

fn item_of(token: u64) -> u64 {
    token >> MESSAGE_BITS
}

fn number_of(token: u64) -> usize {
    (token & ((1 << MESSAGE_BITS) - 1)) as usize
}
