//! The daemon: everything put together, started, watched and stopped in order. `run`, `demo`, tests and benches all
//! start it here.

pub mod build;
mod family;
mod listen;
mod poller;
mod rules;
mod trouble;
mod watch;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use priem_sdk::{ConnectorType, Cx};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info};

use self::{
    build::{BuildError, Built},
    listen::{Bound, Listeners},
    poller::{Host, Poller},
    rules::Rules,
};
use crate::{
    attachments::AttachmentStore,
    deadlines::{self, Clocks, Watch},
    delivery::{Delivery, Processor},
    duplicates::{Choice, Linker},
    http::{Condition, Health, ReloadReport},
    intake::Intake,
    journal::Journal,
    publish::{Publisher, settings::PublishSettings},
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
}

impl Default for Options {
    fn default() -> Self {
        Self {
            take_over: false,
            pauses: (Duration::from_secs(1), Duration::from_secs(60)),
            tick: Duration::from_secs(5),
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
    delivery: Delivery,
    sources: TaskTracker,
    /// Stops sources, listeners and watches.
    closing: CancellationToken,
    /// Stops delivery, after the sources are quiet.
    draining: CancellationToken,
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
        let (closing, draining) = (CancellationToken::new(), CancellationToken::new());

        let (settled_in, settled) = mpsc::channel(64);
        let publish = PublishSettings {
            amqp: settings.amqp.clone(),
            ndjson: settings.ndjson.clone(),
        };
        let publisher = Publisher::start(publish, metrics.clone(), settled_in, &draining)?;
        let broker = publisher.state();

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
            .with_attachments(attachments.as_ref().map(AttachmentStore::policy));
        let clocks = Clocks::new(&journal, days);
        let delivery = Delivery::start(
            journal.clone(),
            clocks.clone(),
            processor,
            publisher,
            settled,
            draining.clone(),
        );

        let intake = Intake::new(journal.clone(), metrics.clone());
        let listeners = Bound::open(
            &settings.http,
            &base_dir,
            &connectors,
            intake.clone(),
            &health,
            &metrics,
        )?;
        let listeners = listeners.with_reload(Arc::clone(&rules) as Arc<_>).serve(&closing);

        let sources = TaskTracker::new();
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
                sources.spawn(poller.supervise(closing.clone()));
            }
        }
        sources.spawn(watch::housekeeping(
            journal.clone(),
            clocks.clone(),
            metrics.clone(),
            health.clone(),
            broker,
            options.tick,
            closing.clone(),
        ));
        sources.spawn(deadlines::keep_telling(
            clocks,
            settings.deadlines.wanted(),
            metrics.clone(),
            closing.clone(),
        ));
        sources.spawn(watch::watchdog(journal.clone(), closing.clone()));
        if let Some(attachments) = attachments {
            attachments.start(&sources, &health, &closing);
        }
        sources.close();
        health.set("connectors", Condition::Ready);
        health.set("journal", Condition::Ready);
        info!(connectors = connectors.len(), "priem is running");
        Ok(Self {
            metrics,
            health,
            rules,
            listeners,
            journal,
            delivery,
            sources,
            closing,
            draining,
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

    /// Stops in the order of the flow: sources and listeners, then what is on its way, then the journal.
    pub async fn stop(self) {
        self.closing.cancel();
        self.sources.wait().await;
        self.listeners.stopped().await;
        self.draining.cancel();
        self.delivery.stopped().await;
        if let Err(error) = self.journal.flush().await {
            error!(%error, "last commit of the journal failed; what it held is published again at the next start");
        }
        info!("priem has stopped");
    }
}

/// The registry of this build.
pub fn registry() -> &'static [ConnectorType] {
    priem_connectors::CONNECTORS
}
