//! The daemon's listeners: opened before anything is promised, served until the end.

use std::{collections::HashMap, net::SocketAddr, path::Path, sync::Arc};

use super::supervisor::{Failure, Group, OnEnd};
use crate::{
    health::Health,
    http::{AdminServer, Hooks, HttpSettings, ListenError, Reload, WebhookServer},
    intake::{Connectors, Intake},
    telemetry::Metrics,
};
use priem_sdk::Connector;

/// Running listeners.
pub struct Listeners {
    /// Health and metrics.
    pub admin: SocketAddr,
    /// Webhooks, when they are configured.
    pub webhooks: Option<SocketAddr>,
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

    /// Serves until the group stops. A listener that fails ends the process: a port that nobody answers is worse than
    /// five seconds without one.
    pub fn serve(self, group: &Group) -> Listeners {
        let (admin, webhooks) = (self.admin.address(), self.webhooks.as_ref().map(WebhookServer::address));
        serve(group, "admin-listener", self.admin.run(group.closing().clone()));
        if let Some(server) = self.webhooks {
            serve(group, "webhook-listener", server.run(group.closing().clone()));
        }
        Listeners { admin, webhooks }
    }
}

fn serve(group: &Group, name: &'static str, served: impl Future<Output = std::io::Result<()>> + Send + 'static) {
    let work = super::once(async move {
        served.await.map_err(|error| Failure {
            task: None,
            why: error.to_string(),
        })
    });
    group.spawn_with(name, OnEnd::EndProcess, || {}, work);
}
