//! The attachment store: copies of the files that messages name, because addresses of platforms expire.
//!
//! Off unless `attachments:` stands in the settings. It follows the journal on its own (`follow`), remembers what is to
//! be fetched in a database of its own (`queue`), fetches (`work`, `fetch`) and keeps files by the hash of their content
//! (`files`). The pipeline only writes the reference `<event id>/<number>` into the message: it is known before anything
//! is fetched, so delivery waits for nothing here and fails for nothing here.
//!
//! Invariants:
//! - a message can't make us talk to an internal address: names are resolved by us, every address is checked, the
//!   checked one is connected to, and each redirect is checked again (`address`, `fetch`);
//! - size, time, types and disk space are bounded, whatever a server claims or sends;
//! - a file is either absent or complete: it gets its name after its last byte is on the disk;
//! - tokens live in [`FileRequest`](priem_sdk::FileRequest)s only: neither logs, errors, the queue nor the files' names
//!   hold one;
//! - a kill at any moment costs an attempt, never a job.

mod address;
mod certificates;
mod fetch;
mod files;
mod follow;
mod policy;
mod queue;
mod serve;
pub mod settings;
#[cfg(test)]
mod tests;
mod work;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use priem_sdk::ConfigError;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use policy::Policy;
pub use settings::AttachmentSettings;

use self::{fetch::Fetcher, files::Files, queue::Queue};
use crate::{
    health::{Condition, Health},
    intake::Connectors,
    journal::{JournalSettings, sweep_time},
    telemetry::Metrics,
};

/// How often retention and gauges are due.
const CLEAN_EVERY: Duration = Duration::from_secs(10);

/// Why the store can't start.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A setting does not fit.
    #[error("attachments.{0}")]
    Settings(#[from] ConfigError),
    /// The folder can't be used.
    #[error("attachments.dir: {folder}: {error}; give a folder the daemon may write to")]
    Folder {
        /// Which folder.
        folder: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The queue can't be opened.
    #[error("attachments.dir: the queue can't be opened: {0}")]
    Queue(#[from] rusqlite::Error),
}

/// What the parts share.
struct Shared {
    settings: AttachmentSettings,
    policy: Policy,
    queue: Queue,
    files: Files,
    fetcher: Fetcher,
    connectors: Arc<Connectors>,
    metrics: Metrics,
    /// There may be something to fetch.
    wake: Notify,
}

/// The store with everything opened, not yet working.
pub struct AttachmentStore {
    shared: Arc<Shared>,
    server: Option<serve::Server>,
    journal: JournalSettings,
}

impl AttachmentStore {
    /// Opens folder, queue and listener. Relative paths in the settings start from `base_dir`.
    ///
    /// # Errors
    /// [`StoreError`] with the key and the cure.
    pub fn open(
        settings: &AttachmentSettings,
        base_dir: &Path,
        journal: &JournalSettings,
        connectors: Arc<Connectors>,
        metrics: &Metrics,
    ) -> Result<Self, StoreError> {
        let settings = settings.starting_from(base_dir);
        settings.validate()?;
        let files = Files::open(&settings).map_err(|error| StoreError::Folder {
            folder: settings.dir.display().to_string(),
            error,
        })?;
        let server = match &settings.serve {
            Some(serve) => Some(serve::Server::bind(serve)?),
            None => None,
        };
        metrics.attachments_limit_bytes.set(as_gauge(settings.max_total_bytes));
        Ok(Self {
            shared: Arc::new(Shared {
                policy: Policy::new(&settings),
                queue: Queue::open(&settings.dir)?,
                fetcher: Fetcher::new(&settings)?,
                files,
                connectors,
                metrics: metrics.clone(),
                wake: Notify::new(),
                settings,
            }),
            server,
            journal: journal.clone(),
        })
    }

    /// Which attachments get a reference.
    pub fn policy(&self) -> Policy {
        self.shared.policy.clone()
    }

    /// The tasks that follow, fetch, serve and clean until `closing`.
    pub fn parts(self, health: &Health, closing: &CancellationToken) -> Vec<Part> {
        info!(dir = %self.shared.settings.dir.display(), "attachments are kept");
        let Self {
            shared,
            server,
            journal,
        } = self;
        let (follower, fetcher, cleaner) = (Arc::clone(&shared), Arc::clone(&shared), Arc::clone(&shared));
        let (health, closing, cleaned) = (health.clone(), closing.clone(), journal.dir.clone());
        let (follows, fetches, cleans) = (closing.clone(), closing.clone(), closing.clone());
        let mut parts = vec![
            Part::new("attachments-follower", move || {
                follow::run(Arc::clone(&follower), journal.clone(), follows.clone())
            }),
            Part::new("attachments-fetcher", move || {
                work::run(Arc::clone(&fetcher), fetches.clone())
            }),
            Part::new("attachments-cleaner", move || {
                housekeeping(Arc::clone(&cleaner), cleaned.clone(), health.clone(), cleans.clone())
            }),
        ];
        if let Some(server) = server {
            let mut server = Some(server);
            let serves = move || {
                let server = server.take().expect("a listener is started once");
                server.run(Arc::clone(&shared), closing.clone())
            };
            parts.push(Part {
                can_restart: false,
                ..Part::new("attachments-listener", serves)
            });
        }
        parts
    }
}

/// A task of the store, for somebody who runs and watches it. It ends by itself only after closing.
pub struct Part {
    /// Unique among them.
    pub name: &'static str,
    /// Whether it can be started again.
    pub can_restart: bool,
    /// Starts it.
    pub work: Box<dyn FnMut() -> BoxFuture<'static, ()> + Send>,
}

impl Part {
    fn new<W>(name: &'static str, mut work: impl FnMut() -> W + Send + 'static) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        Self {
            name,
            can_restart: true,
            work: Box::new(move || Box::pin(work())),
        }
    }
}

/// Retention, gauges and health, beside the work.
async fn housekeeping(shared: Arc<Shared>, journal: PathBuf, health: Health, closing: CancellationToken) {
    let mut ticks = tokio::time::interval(CLEAN_EVERY);
    let mut is_swept = false;
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let (worker, journal) = (Arc::clone(&shared), journal.clone());
        let sweeps = !std::mem::replace(&mut is_swept, true);
        let quiet = shared.files.quiet().await;
        let cleaned = tokio::task::spawn_blocking(move || {
            if sweeps {
                worker.sweep()?;
            }
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(worker.clean(sweep_time(&journal).as_millisecond())?)
        });
        if let Ok(Err(error)) = cleaned.await {
            warn!(%error, "cleaning the attachment store failed");
        }
        drop(quiet);
        let condition = match shared.files.room_for(0) {
            Ok(()) => Condition::Ready,
            Err(why) => Condition::Degraded {
                why: format!("attachments are not fetched: {why}"),
            },
        };
        health.set("attachments", condition);
    }
}

impl Shared {
    /// Removes contents no job names: a process died between their rename and their row.
    fn sweep(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        for hash in self.files.all()? {
            if !self.queue.names(&hash)? {
                self.files.remove(&hash);
            }
        }
        Ok(())
    }

    /// Removes what is past its time and sets the gauges. Nobody may be storing meanwhile.
    fn clean(&self, now: i64) -> rusqlite::Result<()> {
        for hash in self.queue.expire(now - self.settings.keep_ms())? {
            self.files.remove(&hash);
        }
        let counts = self.queue.counts()?;
        self.metrics.attachments_waiting.set(counts.waiting);
        self.metrics.attachments_bytes.set(as_gauge(self.files.used()));
        Ok(())
    }
}

fn as_gauge(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
