//! Stage: looking up what a platform does not send with its events (names of authors).
//!
//! Invariants:
//! - records of connectors that look nothing up never wait for those that do: each of the latter has a lane of its own;
//! - a lane keeps the order of its records, so conversations keep theirs;
//! - a look-up has a time limit; after it, or after a panic, messages go on as they are, and the next look-ups are left
//!   out for a growing pause;
//! - no look-up can lose, add or rename a message: what does not stay the same message is normalised anew.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use priem_sdk::{Connector, Cx, EventType, Message, contract::ConnectorId};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tracing::{debug, warn};
use uuid::Uuid;

use super::super::{
    Part,
    parcel::{Batch, Letter, Parcel},
    processor::Processor,
};
use crate::{intake::Connectors, telemetry::Metrics};

/// Longest time for the look-ups of one batch.
const LIMIT: Duration = Duration::from_secs(2);
/// Pause without look-ups after the first failure in a row, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));
/// Batches that may wait in a lane; the worker waits for more, and never longer than [`LIMIT`].
const WAITING: usize = 8;
/// Records looked up together at most.
const TOGETHER: usize = 4_096;

/// Hands items of connectors that look something up to their lanes; they come back as a batch of their own.
pub(super) async fn run(processor: &Processor, batch: &mut Batch) {
    if let Some(lanes) = &processor.lanes
        && !batch.is_enriched
    {
        lanes.take(&mut batch.parcels).await;
    }
}

/// The ways into the lanes.
#[derive(Clone)]
pub(in super::super) struct Lanes(HashMap<ConnectorId, mpsc::Sender<Vec<Parcel>>>);

/// The way out of the lanes.
pub(in super::super) struct LookedUp {
    // Unbounded, so that a lane never waits for the worker while the worker waits for the lane; holds no more than the
    // lanes were given.
    ready: mpsc::UnboundedReceiver<Vec<Parcel>>,
    /// Kept so that `ready` waits and does not end when there are no lanes.
    _done: mpsc::UnboundedSender<Vec<Parcel>>,
}

/// Opens a lane for every connector that looks something up; gives them to somebody who runs them.
pub(in super::super) fn open(connectors: &Arc<Connectors>, metrics: &Metrics) -> (Lanes, LookedUp, Vec<Part>) {
    let mut parts = Vec::new();
    let (done, ready) = mpsc::unbounded_channel();
    let mut lanes = HashMap::new();
    for (id, connector) in connectors.iter().filter(|(_, connector)| connector.enriches()) {
        let (input, waiting) = mpsc::channel(WAITING);
        let lane = Lane {
            cx: Cx {
                id: id.clone(),
                take_over: false,
            },
            connector: Arc::clone(connector),
            metrics: metrics.clone(),
            limit: LIMIT,
            circuit: Circuit::default(),
        };
        parts.push(Part {
            name: format!("look-ups {id}"),
            work: Box::pin(lane.run(waiting, done.clone())),
        });
        lanes.insert(id.clone(), input);
    }
    (Lanes(lanes), LookedUp { ready, _done: done }, parts)
}

impl Lanes {
    /// Takes out the parcels that wait for a look-up; the others stay, in their order.
    async fn take(&self, parcels: &mut Vec<Parcel>) {
        let waits = |parcel: &mut Parcel| parcel.end.is_none() && self.0.contains_key(&parcel.record.raw.connector);
        if self.0.is_empty() {
            return;
        }
        let mut by_lane: HashMap<ConnectorId, Vec<Parcel>> = HashMap::new();
        for parcel in parcels.extract_if(.., waits) {
            by_lane
                .entry(parcel.record.raw.connector.clone())
                .or_default()
                .push(parcel);
        }
        for (id, parcels) in by_lane {
            // A lane that is gone takes all of delivery with it: the items are read from the journal again.
            let _ = self.0[&id].send(parcels).await;
        }
    }
}

impl LookedUp {
    /// What a lane is done with; waits until there is something. Cancel-safe.
    pub(in super::super) async fn next(&mut self) -> Vec<Parcel> {
        match self.ready.recv().await {
            Some(parcels) => parcels,
            // `_done` is open as long as we are.
            None => std::future::pending().await,
        }
    }
}

/// One connector's way round.
struct Lane {
    cx: Cx,
    connector: Arc<dyn Connector>,
    metrics: Metrics,
    limit: Duration,
    circuit: Circuit,
}

impl Lane {
    async fn run(mut self, mut waiting: mpsc::Receiver<Vec<Parcel>>, done: mpsc::UnboundedSender<Vec<Parcel>>) {
        while let Some(mut parcels) = waiting.recv().await {
            while parcels.len() < TOGETHER
                && let Ok(more) = waiting.try_recv()
            {
                parcels.extend(more);
            }
            self.look_up(&mut parcels).await;
            if done.send(parcels).is_err() {
                return;
            }
        }
    }

    /// One look-up for all messages; each is put back where it was. What did not stay the same message is left out:
    /// the first stage normalises its item anew.
    async fn look_up(&mut self, parcels: &mut [Parcel]) {
        let mut messages = Vec::new();
        let mut counts = Vec::with_capacity(parcels.len());
        for parcel in parcels.iter_mut() {
            counts.push(parcel.letters.len());
            messages.extend(parcel.letters.drain(..).map(|letter| letter.message));
        }
        let identities: Vec<Identity> = messages.iter().map(identity).collect();
        if !messages.is_empty() {
            self.enrich(&mut messages).await;
        }
        let mut rest = messages.into_iter().zip(identities);
        for (parcel, count) in parcels.iter_mut().zip(counts) {
            let own: Vec<_> = rest.by_ref().take(count).collect();
            let is_same = own.iter().all(|(message, before)| &identity(message) == before);
            if is_same {
                let messages = own.into_iter().map(|(message, _)| message);
                parcel.letters = messages.map(Letter::new).collect();
            } else {
                let connector = self.cx.id.as_str();
                let seq = parcel.record.seq;
                debug!(connector, seq, "a look-up left another message behind; dropped");
            }
        }
    }

    async fn enrich(&mut self, messages: &mut [Message]) {
        let connector = self.cx.id.as_str();
        let count = |result| self.metrics.enrichments.with_label_values(&[connector, result]).inc();
        if self.circuit.is_open() {
            return count("skipped");
        }
        let look_up = AssertUnwindSafe(self.connector.enrich(&self.cx, messages)).catch_unwind();
        let failure = match timeout(self.limit, look_up).await {
            Ok(Ok(())) => {
                self.circuit.close();
                return count("ok");
            }
            Ok(Err(_)) => "panic",
            Err(_) => "timeout",
        };
        count(failure);
        let pause = self.circuit.open();
        let seconds = pause.as_secs();
        warn!(
            connector,
            failure, seconds, "looking up senders failed; messages go on without for a while"
        );
    }
}

/// What a look-up must leave as it is.
type Identity = (Uuid, EventType, String, String);

fn identity(message: &Message) -> Identity {
    let external = &message.data.external;
    (
        message.id,
        message.event,
        external.id.clone(),
        external.revision.clone(),
    )
}

/// Leaves look-ups out after failures, longer and longer.
#[derive(Default)]
struct Circuit {
    failures: u32,
    open_until: Option<Instant>,
}

impl Circuit {
    fn is_open(&self) -> bool {
        self.open_until.is_some_and(|until| Instant::now() < until)
    }

    fn open(&mut self) -> Duration {
        let (shortest, longest) = PAUSES;
        let pause = shortest
            .saturating_mul(2_u32.saturating_pow(self.failures))
            .min(longest);
        self.failures = self.failures.saturating_add(1);
        self.open_until = Some(Instant::now() + pause);
        pause
    }

    fn close(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests;
