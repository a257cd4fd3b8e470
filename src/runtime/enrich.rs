//! Looking up what a platform does not send with its events (names of authors), between the journal and routing.
//!
//! Invariants:
//! - records of connectors that look nothing up never wait for those that do: each of the latter has a lane of its own;
//! - a lane keeps the order of its records, so conversations keep theirs;
//! - a look-up has a time limit; after it, or after a panic, messages go on as they are, and the next look-ups are left
//!   out for a growing pause;
//! - no look-up can lose, add or rename a message: what does not stay the same message is normalised anew.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use priem_sdk::{Connector, Cx, EventType, Message, NormalizeError, contract::ConnectorId};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tracing::{debug, error, warn};
use uuid::Uuid;

use super::process::{Connectors, normalize};
use crate::{journal::Record, telemetry::Metrics};

/// Longest time for the look-ups of one batch.
const LIMIT: Duration = Duration::from_secs(2);
/// Pause without look-ups after the first failure in a row, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));
/// Batches that may wait in a lane; the worker waits for more, and never longer than [`LIMIT`].
const WAITING: usize = 8;
/// Records looked up together at most.
const TOGETHER: usize = 4_096;

/// A stored item and what was made of it.
pub type Normalized = (Arc<Record>, Result<Vec<Message>, NormalizeError>);

/// The lanes.
pub struct Enricher {
    lanes: HashMap<ConnectorId, mpsc::Sender<Vec<Arc<Record>>>>,
    // Unbounded, so that a lane never waits for the worker while the worker waits for the lane; holds no more than the
    // lanes were given.
    ready: mpsc::UnboundedReceiver<Vec<Normalized>>,
    /// Kept so that `ready` waits and does not end when there are no lanes.
    _done: mpsc::UnboundedSender<Vec<Normalized>>,
}

impl Enricher {
    /// Opens a lane for every connector that looks something up.
    pub fn start(connectors: &Arc<Connectors>, metrics: &Metrics) -> Self {
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
                connectors: Arc::clone(connectors),
                metrics: metrics.clone(),
                limit: LIMIT,
                circuit: Circuit::default(),
            };
            tokio::spawn(lane.run(waiting, done.clone()));
            lanes.insert(id.clone(), input);
        }
        Self {
            lanes,
            ready,
            _done: done,
        }
    }

    /// Hands records over to their lanes; gives back those that need none.
    pub async fn hand_over(&self, records: Vec<Arc<Record>>) -> Vec<Arc<Record>> {
        if self.lanes.is_empty() {
            return records;
        }
        let mut by_lane: HashMap<ConnectorId, Vec<Arc<Record>>> = HashMap::new();
        let mut others = Vec::new();
        for record in records {
            if self.lanes.contains_key(&record.raw.connector) {
                by_lane.entry(record.raw.connector.clone()).or_default().push(record);
            } else {
                others.push(record);
            }
        }
        for (id, records) in by_lane {
            // A lane that is gone has panicked outside of the connector; its records stay pending in the journal.
            if self.lanes[&id].send(records).await.is_err() {
                error!(connector = %id, "the lane of a connector is gone; its messages wait for a restart");
            }
        }
        others
    }

    /// What a lane is done with; waits until there is something. Cancel-safe.
    pub async fn ready(&mut self) -> Vec<Normalized> {
        match self.ready.recv().await {
            Some(batch) => batch,
            // `_done` is open as long as we are.
            None => std::future::pending().await,
        }
    }
}

/// One connector's way round.
struct Lane {
    cx: Cx,
    connector: Arc<dyn Connector>,
    connectors: Arc<Connectors>,
    metrics: Metrics,
    limit: Duration,
    circuit: Circuit,
}

impl Lane {
    async fn run(
        mut self,
        mut waiting: mpsc::Receiver<Vec<Arc<Record>>>,
        done: mpsc::UnboundedSender<Vec<Normalized>>,
    ) {
        while let Some(mut records) = waiting.recv().await {
            while records.len() < TOGETHER
                && let Ok(more) = waiting.try_recv()
            {
                records.extend(more);
            }
            if done.send(self.look_up(records).await).is_err() {
                return;
            }
        }
    }

    async fn look_up(&mut self, records: Vec<Arc<Record>>) -> Vec<Normalized> {
        let mut messages = Vec::new();
        let mut shapes = Vec::with_capacity(records.len());
        for record in records {
            let shape = normalize(&self.connectors, &record).map(|said| {
                messages.extend(said);
                messages.len()
            });
            shapes.push((record, shape));
        }
        let identities: Vec<Identity> = messages.iter().map(identity).collect();
        if !messages.is_empty() {
            self.enrich(&mut messages).await;
        }
        let mut rest = messages.into_iter().zip(identities);
        let mut taken = 0;
        shapes
            .into_iter()
            .map(|(record, shape)| {
                let said = shape.and_then(|end| {
                    let own: Vec<_> = rest.by_ref().take(end - taken).collect();
                    taken = end;
                    if own
                        .iter()
                        .all(|(message, identity)| &self::identity(message) == identity)
                    {
                        return Ok(own.into_iter().map(|(message, _)| message).collect());
                    }
                    let connector = self.cx.id.as_str();
                    debug!(
                        connector,
                        seq = record.seq,
                        "a look-up left another message behind; dropped"
                    );
                    normalize(&self.connectors, &record)
                });
                (record, said)
            })
            .collect()
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
