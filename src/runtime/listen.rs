//! The daemon's listeners: opened before anything is promised, served until the end.

use std::{collections::HashMap, net::SocketAddr, path::Path, sync::Arc};

use priem_sdk::Connector;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    http::{AdminServer, Health, Hooks, HttpSettings, ListenError, Reload, WebhookServer},
    intake::{Connectors, Intake},
    telemetry::Metrics,
};

/// Running listeners.
pub struct Listeners {
    /// Health and metrics.
    pub admin: SocketAddr,
    /// Webhooks, when they are configured.
    pub webhooks: Option<SocketAddr>,
    tasks: Vec<JoinHandle<std::io::Result<()>>>,
}

/// Opened sockets that are not served yet.
pub struct Bound {
    admin: AdminServer,
    webhooks: Option<WebhookServer>,
}

impl Bound {
    /// Opens the sockets.
    ///
    /// # Errors
    /// When an address or certificate can't be used.
    pub fn open(
        settings: &HttpSettings,
        base_dir: &Path,
        connectors: &Connectors,
        intake: Intake,
        health: &Health,
        metrics: &Metrics,
    ) -> Result<Self, ListenError> {
        let admin = AdminServer::bind(&settings.admin, metrics.clone(), health.clone())?;
        let webhooks = match &settings.webhooks {
            Some(webhooks) => {
                let by_name: HashMap<String, Arc<dyn Connector>> = connectors
                    .iter()
                    .map(|(id, connector)| (id.to_string(), Arc::clone(connector)))
                    .collect();
                let hooks = Hooks::new(by_name, metrics.clone(), health.clone());
                Some(WebhookServer::bind(
                    webhooks.clone(),
                    base_dir,
                    hooks,
                    Arc::new(intake),
                )?)
            }
            None => None,
        };
        Ok(Self { admin, webhooks })
    }

    /// Takes requests to reload the rules, from this machine.
    #[must_use]
    pub fn with_reload(mut self, reload: Arc<dyn Reload>) -> Self {
        self.admin = self.admin.with_reload(reload);
        self
    }

    /// Serves until `closing`.
    pub fn serve(self, closing: &CancellationToken) -> Listeners {
        let (admin, webhooks) = (self.admin.address(), self.webhooks.as_ref().map(WebhookServer::address));
        let mut tasks = vec![tokio::spawn(self.admin.run(closing.clone()))];
        tasks.extend(self.webhooks.map(|server| tokio::spawn(server.run(closing.clone()))));
        Listeners { admin, webhooks, tasks }
    }
}

impl Listeners {
    /// Waits for open requests to end.
    pub async fn stopped(self) {
        for task in self.tasks {
            match task.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => error!(%error, "listener failed"),
                Err(error) => error!(%error, "listener panicked"),
            }
        }
    }
}
