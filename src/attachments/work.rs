//! Takes jobs that are due and fetches their files, a few at a time; decides what a failure means.
//!
//! A connector with slow or dead files can't take all places: at most half of them are its own.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use priem_sdk::{Connector, ConnectorError, Cx, FileSource, contract::ConnectorId};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    Shared,
    fetch::{self, FetchError, Fetched},
    now_ms,
    queue::{Job, JobId},
};

/// How often due jobs are looked for when nobody calls.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);
/// Longest time a connector may take to say where a file is.
const LONGEST_QUESTION: Duration = Duration::from_secs(60);

/// Runs until `closing`; what is half done then stays waiting.
pub(super) async fn run(shared: Arc<Shared>, closing: CancellationToken) {
    let mut work = Work {
        shared,
        tasks: JoinSet::new(),
        running: HashMap::new(),
    };
    loop {
        work.fill().await;
        tokio::select! {
            () = closing.cancelled() => return,
            Some(ended) = work.tasks.join_next_with_id() => work.end(ended).await,
            () = work.shared.wake.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Bytes stored.
type Outcome = Result<u64, FetchError>;

struct Work {
    shared: Arc<Shared>,
    tasks: JoinSet<Outcome>,
    running: HashMap<Id, Job>,
}

impl Work {
    /// Starts due jobs while there are places.
    async fn fill(&mut self) {
        let places = usize::try_from(self.shared.settings.concurrency.get()).unwrap_or(1);
        if self.running.len() >= places {
            return;
        }
        let shared = Arc::clone(&self.shared);
        // Those that run are due still, until their end is recorded: twice the places show enough others.
        let due = tokio::task::spawn_blocking(move || shared.queue.due(now_ms(), 2 * places)).await;
        let due = match due {
            Ok(Ok(due)) => due,
            Ok(Err(error)) => return warn!(%error, "the queue of attachments can't be read"),
            Err(error) => return warn!(%error, "reading the queue of attachments panicked"),
        };
        let running: HashSet<JobId> = self.running.values().map(|job| job.id).collect();
        for job in due.into_iter().filter(|job| !running.contains(&job.id)) {
            if self.running.len() >= places {
                return;
            }
            let of_this = self
                .running
                .values()
                .filter(|other| other.connector == job.connector)
                .count();
            if of_this >= places.div_ceil(2) {
                continue;
            }
            let task = self.tasks.spawn(attempt(Arc::clone(&self.shared), job.clone()));
            self.running.insert(task.id(), job);
        }
    }

    /// Records how an attempt ended.
    async fn end(&mut self, ended: Result<(Id, Outcome), tokio::task::JoinError>) {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let panicked = FetchError::Again {
                    reason: "panic",
                    after: None,
                };
                (error.id(), Err(panicked))
            }
        };
        let Some(job) = self.running.remove(&id) else { return };
        let shared = Arc::clone(&self.shared);
        let recorded = tokio::task::spawn_blocking(move || record(&shared, &job, outcome)).await;
        if let Ok(Err(error)) = recorded {
            warn!(%error, "the end of an attempt can't be recorded; it is made again");
        }
    }
}

async fn attempt(shared: Arc<Shared>, job: Job) -> Outcome {
    let again = |reason| FetchError::Again { reason, after: None };
    let id = ConnectorId::new(job.connector.as_str());
    let connector: &Arc<dyn Connector> = shared.connectors.get(&id).ok_or(again("no_connector"))?;
    let cx = Cx { id, take_over: false };
    let asked = tokio::time::timeout(LONGEST_QUESTION, connector.file(&cx, &job.attachment)).await;
    let source = match asked {
        Err(_) => return Err(again("timeout")),
        Ok(Err(ConnectorError::RateLimited { retry_after })) => {
            return Err(FetchError::Again {
                reason: "busy",
                after: Some(retry_after),
            });
        }
        Ok(Err(error)) => return Err(again(error.kind())),
        Ok(Ok(source)) => source,
    };
    let request = match source {
        FileSource::Fetch(request) => request,
        FileSource::Unavailable(reason) => return Err(FetchError::Never { reason }),
    };
    let name = format!("{}-{}", job.id.event, job.id.number);
    let claimed = job.attachment.mime.as_deref();
    let Fetched { part, mime } = shared.fetcher.fetch(&request, claimed, &shared.files, &name).await?;
    let bytes = part.bytes();
    // Retention must not take a content away between its rename and its row.
    let _storing = shared.files.storing().await;
    let hash = part.keep().await.map_err(|error| fetch::disk(&error))?;
    let store = Arc::clone(&shared);
    let noted = tokio::task::spawn_blocking(move || store.queue.stored(job.id, &hash, bytes, &mime));
    match noted.await {
        Ok(Ok(())) => Ok(bytes),
        _ => Err(again("queue")),
    }
}

fn record(shared: &Shared, job: &Job, outcome: Outcome) -> rusqlite::Result<()> {
    let connector = job.connector.as_str();
    let count = |result: &str| shared.metrics.attachments.with_label_values(&[connector, result]).inc();
    let (reason, after) = match outcome {
        Ok(bytes) => {
            count("stored");
            debug!(connector, bytes, "attachment stored");
            return Ok(());
        }
        Err(FetchError::Never { reason }) => (reason, None),
        Err(FetchError::Again { reason, after }) => {
            shared
                .metrics
                .attachment_retries
                .with_label_values(&[connector, reason])
                .inc();
            let pause = after.unwrap_or_default().max(pause(shared, job.attempts));
            let due_at = now_ms() + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
            let age_limit = i64::from(shared.settings.give_up_h.get()) * 60 * 60 * 1000;
            // What stands in our own way is no reason to give a file up.
            let is_ours = matches!(reason, "disk_full" | "disk_error" | "queue");
            if is_ours || due_at < job.created_at + age_limit {
                return shared.queue.try_again(job.id, reason, due_at);
            }
            (reason, after)
        }
    };
    count(reason);
    let (event, number) = (job.id.event, job.id.number);
    warn!(connector, %event, number, reason, ?after, attempts = job.attempts + 1, "attachment given up");
    shared.queue.give_up(job.id, reason)
}

/// Doubles with each attempt, with up to a quarter more by chance.
fn pause(shared: &Shared, attempts: u32) -> Duration {
    let first = Duration::from_secs(shared.settings.first_pause_s.get().into());
    let pause = first.saturating_mul(1 << attempts.min(20)).min(LONGEST_PAUSE);
    pause.mul_f64(1.0 + fastrand::f64() / 4.0)
}
