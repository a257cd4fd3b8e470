//! The daemon: everything put together, started, watched and stopped in order. `run`, `demo`, tests and benches all
//! start it here.

pub mod build;
mod listen;
mod pipeline;
mod poller;
mod rules;
mod streams;
pub mod supervisor;
mod trouble;
mod watch;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use priem_sdk::{ConnectorType, Cx};
use tokio::sync::watch as channel;
use tracing::{error, info};

use self::{
    build::{BuildError, Built},
    listen::{Bound, Listeners},
    pipeline::Pipeline,
    poller::{Host, Poller},
    rules::Rules,
    supervisor::{Group, OnEnd, Restarts, Supervisor},
};
use crate::{
    attachments::AttachmentStore,
    deadlines::{self, Clocks, Watch},
    delivery::{Outlook, Processor},
    duplicates::{Choice, Linker},
    health::{Condition, Health},
    http::ReloadReport,
    intake::Intake,
    journal::Journal,
    publish::{BrokerState, settings::PublishSettings},
    telemetry::{Metrics, unix_now},
};

/// What a caller decides besides the settings.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connectors may replace somebody else's registration at their platform.
    pub take_over: bool,
    /// Pauses after trouble with a source, the shortest and the longest.
    pub pauses: (Duration, Duration),
    /// How often gauges and housekeeping are due.
    pub tick: Duration,
    /// How restarts of tasks are bounded.
    pub restarts: Restarts,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            take_over: false,
            pauses: (Duration::from_secs(1), Duration::from_secs(60)),
            tick: Duration::from_secs(5),
            restarts: Restarts::default(),
        }
    }
}

/// A running daemon.
pub struct Daemon {
    /// What it counts.
    pub metrics: Metrics,
    /// What it knows of itself.
    pub health: Health,
    rules: Arc<Rules>,
    listeners: Listeners,
    journal: Journal,
    supervisor: Supervisor,
    /// Sources, listeners and watches: they stop first.
    sources: Group,
    /// Delivery stops after the sources are quiet.
    delivery: Group,
}

impl Daemon {
    /// Builds and starts everything.
    ///
    /// # Errors
    /// See [`BuildError`]: nothing keeps running then.
    pub async fn start(built: Built, options: Options, metrics: Metrics) -> Result<Self, BuildError> {
        let Built {
            settings,
            base_dir,
            connectors,
            rules,
            privacy,
            config_hash,
        } = built;
        let health = Health::new(&["journal", "connectors"]);
        let journal = Journal::open(&settings.journal, &metrics)?;
        let supervisor = Supervisor::new(health.clone(), metrics.clone(), options.restarts);
        let (sources, delivery) = (supervisor.group(), supervisor.group());
        let closing = sources.closing().clone();

        metrics.started.set(unix_now());
        let rules = Rules::new(rules, settings.rules.dir.clone(), config_hash, metrics.clone());
        let rules = Arc::new(rules.with_privacy(Arc::clone(&privacy)));
        let connectors = Arc::new(connectors);
        let attachments = match &settings.attachments {
            Some(attachments) => Some(AttachmentStore::open(
                attachments,
                &base_dir,
                &settings.journal,
                Arc::clone(&connectors),
                &metrics,
            )?),
            None => None,
        };
        let days = settings.journal.dedupe_days;
        let processor = Processor::following(Arc::clone(&connectors), rules.in_force(), metrics.clone())
            .with_linker(Linker::new(&settings.duplicates, days, &journal, &metrics))
            .with_privacy(privacy)
            .with_duplicates(Choice::new(&settings.duplicates))
            .with_deadlines(Watch::new(&settings.deadlines))
            .with_attachments(attachments.as_ref().map(AttachmentStore::policy))
            .noting_in(&settings.journal.dir);
        let clocks = Clocks::new(&journal, days);
        let starting = BrokerState::Disconnected {
            since: Timestamp::now(),
            why: "not connected yet".into(),
        };
        let (broker_now, broker) = channel::channel(starting);
        let outlook = Outlook::new(broker);
        let pipeline = Pipeline {
            supervisor: supervisor.clone(),
            journal: journal.clone(),
            clocks: clocks.clone(),
            processor,
            publish: PublishSettings {
                amqp: settings.amqp.clone(),
                ndjson: settings.ndjson.clone(),
            },
            metrics: metrics.clone(),
            broker: broker_now,
            outlook: outlook.clone(),
            draining: delivery.closing().clone(),
        };
        let opened = pipeline.open()?;

        let intake = Intake::new(journal.clone(), metrics.clone());
        let intake = intake.hearing_by(&connectors).await?;
        let listeners = Bound::open(
            &settings.http,
            &base_dir,
            &connectors,
            intake.clone(),
            &health,
            &metrics,
        )?;
        delivery.spawn_with("delivery", OnEnd::Restart, || {}, pipeline.work(opened));
        let listeners = listeners.with_reload(Arc::clone(&rules) as Arc<_>).serve(&sources);
        let ended = journal.thread_ended();
        sources.spawn_with(
            "journal",
            OnEnd::EndProcess,
            || {},
            once(watch::journal(ended, closing.clone())),
        );

        let host = Host {
            intake,
            journal: journal.clone(),
            metrics: metrics.clone(),
            pauses: options.pauses,
        };
        for (id, connector) in connectors.iter() {
            let cx = Cx {
                id: id.clone(),
                take_over: options.take_over,
            };
            for poller in Poller::all(connector, &cx, &host, &health) {
                poller.supervise(&sources);
            }
        }
        let housekeeping = {
            let (journal, clocks, metrics, health, closing) = (
                journal.clone(),
                clocks.clone(),
                metrics.clone(),
                health.clone(),
                closing.clone(),
            );
            move || {
                watch::housekeeping(
                    journal.clone(),
                    clocks.clone(),
                    metrics.clone(),
                    health.clone(),
                    outlook.clone(),
                    options.tick,
                    closing.clone(),
                )
            }
        };
        sources.spawn("housekeeping", OnEnd::Restart, housekeeping);
        let (wanted, counted, closed) = (settings.deadlines.wanted(), metrics.clone(), closing.clone());
        let teller = move || deadlines::keep_telling(clocks.clone(), wanted, counted.clone(), closed.clone());
        sources.spawn("deadlines", OnEnd::Restart, teller);
        let (watched, closed) = (journal.clone(), closing.clone());
        let watchdog = move || watch::watchdog(watched.clone(), closed.clone());
        sources.spawn("watchdog", OnEnd::Restart, watchdog);
        if let Some(attachments) = attachments {
            for part in attachments.parts(&health, &closing) {
                let on_end = if part.can_restart {
                    OnEnd::Restart
                } else {
                    OnEnd::EndProcess
                };
                sources.spawn(part.name, on_end, part.work);
            }
        }
        health.set("connectors", Condition::Ready);
        health.set("journal", Condition::Ready);
        info!(connectors = connectors.len(), "priem is running");
        Ok(Self {
            metrics,
            health,
            rules,
            listeners,
            journal,
            supervisor,
            sources,
            delivery,
        })
    }

    /// Address of the health and metrics listener.
    pub fn admin_address(&self) -> SocketAddr {
        self.listeners.admin
    }

    /// Address of the webhook listener, when there is one.
    pub fn webhook_address(&self) -> Option<SocketAddr> {
        self.listeners.webhooks
    }

    /// Reads the rules again; a bad set is refused and the one before goes on.
    pub async fn reload_rules(&self) -> ReloadReport {
        self.rules.reload().await
    }

    /// The journal, for those who look after the daemon.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Waits until the process must end, because a task can't be mended here; gives the reason.
    pub async fn failed(&self) -> String {
        self.supervisor.failed().await
    }

    /// The owner of the tasks, for tests that end them.
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Stops in the order of the flow: sources and listeners, then what is on its way, then the journal.
    pub async fn stop(self) {
        self.sources.stop().await;
        self.delivery.stop().await;
        if let Err(error) = self.journal.flush().await {
            error!(%error, "last commit of the journal failed; what it held is published again at the next start");
        }
        info!("priem has stopped");
    }
}

/// Work that is started once, because its end ends the process.
fn once<W>(work: W) -> impl FnMut() -> W {
    let mut work = Some(work);
    move || work.take().expect("it is started once")
}

/// The registry of this build.
pub fn registry() -> &'static [ConnectorType] {
    priem_connectors::CONNECTORS
}
