//! The owner of every task of the daemon: an end that nobody asked for is noticed, told and mended.
//!
//! Invariants:
//! - a task that ended is started again after a pause, or the process ends when its state can't be built anew;
//! - a crash loop is not hidden: after so many restarts within so long the process ends, and systemd starts it afresh;
//! - meanwhile the daemon is not ready, the log says which task, and `priem_task_restarts_total` counts it.
//!
//! A panic's own text could quote a citizen, so only the name of the task is told here; the panic hook logs the place.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    future::Future,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::watch,
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info};

use crate::{
    health::{Condition, Health},
    telemetry::Metrics,
};

/// Said of a task that ended by itself.
const UNASKED: &str = "it ended without being asked to";

/// How restarts are bounded.
#[derive(Debug, Clone, Copy)]
pub struct Restarts {
    /// Pause before a restart, after the first end and the longest; doubles in between.
    pub pauses: (Duration, Duration),
    /// Restarts of one task within [`Restarts::within`]; one more ends the process.
    pub most: usize,
    /// See [`Restarts::most`].
    pub within: Duration,
}

impl Default for Restarts {
    fn default() -> Self {
        Self {
            pauses: (Duration::from_millis(500), Duration::from_secs(10)),
            most: 5,
            within: Duration::from_secs(600),
        }
    }
}

/// What an end that nobody asked for leads to.
#[derive(Debug, Clone, Copy)]
pub enum OnEnd {
    /// The task is started again. Not ready until it runs.
    Restart,
    /// The task is started again for ever, after this pause: one source at fault stops no other. Degraded until it runs.
    RestartApart(Duration),
    /// The process ends: what the task held can't be built anew beside the rest.
    EndProcess,
}

/// Why a task ended.
#[derive(Debug)]
pub struct Failure {
    /// The task at fault, when it is a part of the one that ended.
    pub task: Option<String>,
    /// For people.
    pub why: String,
}

/// See the module. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Supervisor(Arc<Shared>);

struct Shared {
    health: Health,
    metrics: Metrics,
    restarts: Restarts,
    running: Mutex<BTreeMap<String, AbortHandle>>,
    /// Why the process must end.
    fatal: watch::Sender<Option<String>>,
}

impl Supervisor {
    /// A supervisor of nothing yet.
    pub fn new(health: Health, metrics: Metrics, restarts: Restarts) -> Self {
        Self(Arc::new(Shared {
            health,
            metrics,
            restarts,
            running: Mutex::default(),
            fatal: watch::Sender::new(None),
        }))
    }

    /// Tasks that stop together.
    pub fn group(&self) -> Group {
        Group {
            supervisor: self.clone(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Waits until the process must end; gives the reason.
    pub async fn failed(&self) -> String {
        let mut fatal = self.0.fatal.subscribe();
        let why = fatal.wait_for(Option::is_some).await;
        // The sender lives as long as we do.
        why.ok().and_then(|why| why.clone()).unwrap_or_default()
    }

    /// Names of the tasks that run now.
    pub fn tasks(&self) -> Vec<String> {
        self.0.running.lock().keys().cloned().collect()
    }

    /// Ends a task as a fault would, for tests of the recovery. Answers whether there was one.
    pub fn kill(&self, name: &str) -> bool {
        let task = self.0.running.lock().remove(name);
        task.inspect(AbortHandle::abort).is_some()
    }

    fn runs(&self, name: &str, task: AbortHandle) {
        // From zero on, so that the first restart is an increase.
        self.0.metrics.task_restarts.with_label_values(&[name]);
        self.0.running.lock().insert(name.to_owned(), task);
    }

    fn ended(&self, name: &str) {
        self.0.running.lock().remove(name);
    }

    fn end_process(&self, why: String) {
        error!(
            why,
            "the process ends, so that it is started afresh; nothing acknowledged is lost"
        );
        self.0.fatal.send_replace(Some(why));
    }
}

/// Tasks that stop together.
pub struct Group {
    supervisor: Supervisor,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Group {
    /// Cancelled when the tasks shall stop.
    pub fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Runs a task until the group stops. `work` starts it, again after each end; its end without an error is asked for
    /// only after [`Group::closing`].
    pub fn spawn<W>(&self, name: impl Into<String>, on_end: OnEnd, mut work: impl FnMut() -> W + Send + 'static)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let work = move || {
            let work = work();
            async move {
                work.await;
                Ok(())
            }
        };
        self.spawn_with(name, on_end, || {}, work);
    }

    /// The same for work that says why it failed; `noticed` is called at each end that nobody asked for.
    pub fn spawn_with<W>(
        &self,
        name: impl Into<String>,
        on_end: OnEnd,
        noticed: impl Fn() + Send + 'static,
        work: impl FnMut() -> W + Send + 'static,
    ) where
        W: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let watched = Watched {
            name: name.into(),
            on_end,
            closing: self.closing.clone(),
            supervisor: self.supervisor.clone(),
        };
        self.tasks.spawn(watched.run(noticed, work));
    }

    /// Asks the tasks to stop and waits for it.
    pub async fn stop(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// One task under watch.
struct Watched {
    name: String,
    on_end: OnEnd,
    closing: CancellationToken,
    supervisor: Supervisor,
}

impl Watched {
    async fn run<W>(self, noticed: impl Fn() + Send, mut work: impl FnMut() -> W + Send)
    where
        W: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let Shared {
            health,
            metrics,
            restarts,
            ..
        } = &*self.supervisor.0;
        let condition = format!("task {}", self.name);
        let mut ends: VecDeque<Instant> = VecDeque::new();
        let mut pause = Duration::ZERO;
        loop {
            let mut task = tokio::spawn(work());
            self.supervisor.runs(&self.name, task.abort_handle());
            // It is mended when it has lived as long as the pause before it.
            let ended = match ends.is_empty() {
                true => task.await,
                false => match tokio::time::timeout(pause, &mut task).await {
                    Ok(ended) => ended,
                    Err(_) => {
                        health.remove(&condition);
                        info!(task = self.name, "the task runs again");
                        task.await
                    }
                },
            };
            self.supervisor.ended(&self.name);
            let failure = match (ended, self.closing.is_cancelled()) {
                (Ok(Ok(())), true) => return health.remove(&condition),
                (Ok(Ok(())), false) => Failure {
                    task: None,
                    why: UNASKED.into(),
                },
                (Ok(Err(failure)), _) => failure,
                (Err(error), _) => Failure {
                    task: None,
                    why: why_of(&error),
                },
            };
            let task = failure.task.as_deref().unwrap_or(&self.name);
            let why = format!("task {task}: {}", failure.why);
            metrics.task_restarts.with_label_values(&[task]).inc();
            noticed();
            let now = Instant::now();
            ends.push_back(now);
            ends.retain(|end| now.duration_since(*end) <= restarts.within);
            let (shortest, longest) = restarts.pauses;
            let doubled = u32::try_from(ends.len() - 1).unwrap_or(u32::MAX);
            pause = shortest.saturating_mul(2_u32.saturating_pow(doubled)).min(longest);
            if let OnEnd::RestartApart(after) = self.on_end {
                pause = after;
                health.set(condition.clone(), Condition::Degraded { why: why.clone() });
            } else {
                health.set(condition.clone(), Condition::NotReady { why: why.clone() });
            }
            if self.closing.is_cancelled() {
                error!(task, why = failure.why, "a task failed while it was to stop");
                return;
            }
            let milliseconds = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            match self.on_end {
                OnEnd::EndProcess => return self.supervisor.end_process(why),
                OnEnd::Restart if ends.len() > restarts.most => {
                    let (most, minutes) = (restarts.most, restarts.within.as_secs() / 60);
                    return self
                        .supervisor
                        .end_process(format!("{why} (more than {most} restarts in {minutes} minutes)"));
                }
                OnEnd::Restart | OnEnd::RestartApart(_) => error!(
                    task,
                    why = failure.why,
                    milliseconds,
                    "a task ended that nobody asked to; it is started again"
                ),
            }
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

fn why_of(error: &JoinError) -> String {
    let how = if error.is_panic() {
        "it panicked; please report it as a bug"
    } else {
        "it was ended"
    };
    how.into()
}

/// Parts of one task that live and die together.
pub struct Crew {
    supervisor: Supervisor,
    tasks: JoinSet<()>,
    names: HashMap<Id, String>,
}

impl Supervisor {
    /// A crew without members.
    pub fn crew(&self) -> Crew {
        Crew {
            supervisor: self.clone(),
            tasks: JoinSet::new(),
            names: HashMap::new(),
        }
    }
}

impl Crew {
    /// Starts a member.
    pub fn spawn(&mut self, name: impl Into<String>, work: impl Future<Output = ()> + Send + 'static) {
        let name = name.into();
        let task = self.tasks.spawn(work);
        self.names.insert(task.id(), name.clone());
        self.supervisor.runs(&name, task);
    }

    /// The next member that ends; `None` when none is left. Cancel-safe.
    pub async fn next_end(&mut self) -> Option<MemberEnd> {
        let (id, broke) = match self.tasks.join_next_with_id().await? {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), Some(why_of(&error))),
        };
        let task = self.names.remove(&id).unwrap_or_default();
        self.supervisor.ended(&task);
        Some(MemberEnd { task, broke })
    }
}

/// The end of a member of a crew.
#[derive(Debug)]
pub struct MemberEnd {
    /// Its name.
    pub task: String,
    /// Why, when it did not end by itself.
    pub broke: Option<String>,
}

impl MemberEnd {
    /// What it means for the crew when nobody asked for it.
    pub fn failure(self) -> Failure {
        Failure {
            task: Some(self.task),
            why: self.broke.unwrap_or_else(|| UNASKED.into()),
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for name in self.names.values() {
            self.supervisor.ended(name);
        }
    }
}

#[cfg(test)]
mod tests;
