//! The pipeline and its publisher as one supervised task.
//!
//! They live and die together: when one of them ends, what the broker still confirms is recorded, everybody stops, and
//! the next start reads all that is not settled from the journal again. It goes out under the same ids, and the order of
//! a conversation is kept because nobody of the former crew publishes any more.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::supervisor::{Crew, Failure, MemberEnd, Supervisor};
use crate::{
    deadlines::Clocks,
    delivery::{self, Outlook, Processor},
    journal::Journal,
    publish::{BrokerState, PublishError, Publisher, Settled, settings::PublishSettings},
    telemetry::Metrics,
};

/// Longest wait for the others after one has ended, or after shutdown: the publisher waits a few seconds for outstanding
/// confirmations.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// And after the journal was given up.
const GIVE_UP_LIMIT: Duration = Duration::from_secs(1);
/// Longest wait for settlements to reach the disk before pending items are read again. What does not only goes out twice.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// What delivery is made of, again after each end.
pub struct Pipeline {
    pub supervisor: Supervisor,
    pub journal: Journal,
    pub clocks: Clocks,
    pub processor: Processor,
    pub publish: PublishSettings,
    pub metrics: Metrics,
    /// How the broker stands, over all publishers.
    pub broker: watch::Sender<BrokerState>,
    /// And how delivery stands.
    pub outlook: Outlook,
    pub draining: CancellationToken,
}

/// A publisher that does not run yet, and the way back from it.
pub struct Opened {
    publisher: Publisher,
    publishing: BoxFuture<'static, ()>,
    settled: mpsc::Receiver<Vec<Settled>>,
    stop: CancellationToken,
}

impl Pipeline {
    /// Makes a publisher.
    ///
    /// # Errors
    /// Settings that can't work.
    pub fn open(&self) -> Result<Opened, PublishError> {
        let stop = self.draining.child_token();
        let (settled_in, settled) = mpsc::channel(64);
        let (publisher, publishing) =
            Publisher::prepare(self.publish.clone(), self.metrics.clone(), settled_in, &stop)?;
        Ok(Opened {
            publisher,
            publishing,
            settled,
            stop,
        })
    }

    /// The task: each call is a new crew; the first one takes what was opened.
    pub fn work(self, first: Opened) -> impl FnMut() -> BoxFuture<'static, Result<(), Failure>> {
        let pipeline = Arc::new(self);
        let first = Mutex::new(Some(first));
        move || {
            let (pipeline, first) = (Arc::clone(&pipeline), first.lock().take());
            Box::pin(async move { pipeline.run(first).await })
        }
    }

    /// One life of the crew.
    async fn run(&self, first: Option<Opened>) -> Result<(), Failure> {
        let opened = match first {
            Some(opened) => opened,
            None => {
                let flushed = timeout(FLUSH_LIMIT, self.journal.flush()).await;
                if !matches!(flushed, Ok(Ok(()))) {
                    warn!("the journal can't say what was settled; some messages may be published twice");
                }
                self.metrics.unconfirmed.set(0);
                self.open().map_err(|error| Failure {
                    task: None,
                    why: error.to_string(),
                })?
            }
        };
        let Opened {
            publisher,
            publishing,
            settled,
            stop,
        } = opened;
        let mut state = publisher.state();
        let mut crew = self.supervisor.crew();
        crew.spawn("publisher", publishing);
        let (journal, clocks) = (self.journal.clone(), self.clocks.clone());
        for part in delivery::parts(
            journal,
            clocks,
            self.processor.clone(),
            publisher,
            settled,
            &self.outlook,
            &stop,
        ) {
            crew.spawn(part.name, part.work);
        }
        let mut is_told = true;
        let mut at_fault = loop {
            tokio::select! {
                ended = crew.next_end() => break ended,
                changed = state.changed(), if is_told => {
                    is_told = changed.is_ok();
                    self.broker.send_replace(state.borrow_and_update().clone());
                }
            }
        };
        let asked = stop.is_cancelled();
        stop.cancel();
        if timeout(STOP_LIMIT, rest(&mut crew, &mut at_fault)).await.is_err() {
            warn!("delivery does not stop in time; what is not settled is published again");
            if self.draining.is_cancelled() {
                // Who waits for room in a journal that can't write is stopped by this; the others are with the crew.
                self.journal.give_up();
                let _ = timeout(GIVE_UP_LIMIT, rest(&mut crew, &mut at_fault)).await;
            }
        }
        match at_fault {
            Some(end) if !asked || end.broke.is_some() => Err(end.failure()),
            _ => Ok(()),
        }
    }
}

/// Waits for the others. One that broke takes others with it, which may have been heard of first.
async fn rest(crew: &mut Crew, at_fault: &mut Option<MemberEnd>) {
    while let Some(end) = crew.next_end().await {
        if end.broke.is_some() && at_fault.as_ref().is_none_or(|first| first.broke.is_none()) {
            *at_fault = Some(end);
        }
    }
}
