//! The listener for platforms: prove, store, answer, in that order.
//!
//! One handler without middleware: the path is split by hand, headers and body are moved and not copied, connectors
//! are looked up without a lock, and the counter of a good answer is resolved beforehand.

mod answer;
mod body;
mod refusals;

use std::{
    collections::HashMap,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::{Arc, OnceLock},
    time::Instant,
};

use arc_swap::ArcSwap;
use axum::Router;
use axum_server::{Handle, tls_rustls::RustlsAcceptor};
use priem_sdk::{Connector, StreamKind, contract::ConnectorId};
use prometheus::{IntCounter, IntGauge};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use refusals::Refusals;

use super::{Certificates, ListenError, WebhookSettings, budget::Budget, listen};
use crate::{
    health::{Health, Source},
    intake::{Accept, StreamId},
    listener::{self, Gate, Places, READ_WITHIN, Times},
    telemetry::{Metrics, unix_now},
};

/// A connector that takes webhooks, with everything the handler needs at hand.
struct Hook {
    id: ConnectorId,
    stream: StreamId,
    connector: Arc<dyn Connector>,
    source: Arc<Source>,
    /// `priem_webhook_answers_total` with status 200: the hot one.
    answered_ok: IntCounter,
    /// `priem_last_exchange_timestamp_seconds` and `priem_webhook_last_call_timestamp_seconds` of the stream: made at the
    /// first call, because alarms take their absence for "never".
    called: OnceLock<[IntGauge; 2]>,
    refusals: Arc<Refusals>,
}

impl Hook {
    /// The platform has called us, with a proof that holds.
    fn was_called(&self, metrics: &Metrics, new_items: bool) {
        self.source.exchanged(new_items);
        self.refusals.proven();
        let labels = [self.id.as_str(), self.stream.name];
        let gauges = self.called.get_or_init(|| {
            [&metrics.last_exchange, &metrics.last_call].map(|gauges| gauges.with_label_values(&labels))
        });
        let now = unix_now();
        gauges.iter().for_each(|gauge| gauge.set(now));
    }
}

type HookTable = HashMap<String, Hook>;

/// The connectors behind `/hooks/…`. Cheap to clone; clones share the table, which a reload replaces whole.
#[derive(Clone)]
pub struct Hooks {
    table: Arc<ArcSwap<HookTable>>,
    metrics: Metrics,
    health: Health,
}

impl Hooks {
    /// A table of connectors by name. Those without a webhook stream are left out: their paths answer 404.
    pub fn new(connectors: HashMap<String, Arc<dyn Connector>>, metrics: Metrics, health: Health) -> Self {
        let hooks = Self {
            table: Arc::default(),
            metrics,
            health,
        };
        hooks.replace(connectors);
        hooks
    }

    /// Puts other connectors in place. Requests under way end with the ones they began with.
    pub fn replace(&self, connectors: HashMap<String, Arc<dyn Connector>>) {
        let table: HookTable = connectors
            .into_iter()
            .filter_map(|(name, connector)| Some((name.clone(), self.hook(name, connector)?)))
            .collect();
        let before = self.table.swap(Arc::new(table));
        let table = self.table.load();
        for gone in before.keys().filter(|name| !table.contains_key(*name)) {
            self.health.remove(&refused(gone));
        }
    }

    fn hook(&self, name: String, connector: Arc<dyn Connector>) -> Option<Hook> {
        let streams = connector.streams();
        let mut webhooks = streams.iter().filter(|stream| stream.kind == StreamKind::Webhook);
        let stream = webhooks.next()?;
        let mut stream_id = StreamId::from(stream);
        if webhooks.next().is_some() {
            // A request does not say which of several registrations it came by.
            stream_id.id = stream.name.into();
        }
        let refusals = Arc::<Refusals>::default();
        let asked = Arc::clone(&refusals);
        self.health.ask(refused(&name), move || asked.condition(Instant::now()));
        Some(Hook {
            refusals,
            stream: stream_id,
            connector,
            source: self.health.source(&name, stream),
            answered_ok: self.metrics.webhook_answers.with_label_values(&[name.as_str(), "200"]),
            called: OnceLock::new(),
            id: ConnectorId::new(name),
        })
    }
}

/// Name of the condition that a connector's platform is refused.
fn refused(connector: &str) -> String {
    format!("refused {connector}")
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.table.load().keys()).finish()
    }
}

/// The listener for platforms.
pub struct WebhookServer {
    listener: TcpListener,
    address: SocketAddr,
    settings: WebhookSettings,
    certificates: Option<Certificates>,
    state: Arc<Shared>,
}

struct Shared {
    hooks: Hooks,
    intake: Arc<dyn Accept>,
    settings: WebhookSettings,
    /// One permit for each request whose body has come and that is worked on.
    places: Semaphore,
    budget: Budget,
    gate: Gate,
}

impl WebhookServer {
    /// Reads the certificate and opens the listening socket. Relative paths start from `base_dir`.
    ///
    /// # Errors
    /// [`ListenError`] when the address or the certificate can't be used.
    pub fn bind(
        settings: WebhookSettings,
        base_dir: &Path,
        hooks: Hooks,
        intake: Arc<dyn Accept>,
    ) -> Result<Self, ListenError> {
        let certificates = match &settings.tls {
            Some(tls) => Some(Certificates::load(tls, base_dir)?),
            None => None,
        };
        let listener = listen("webhooks.listen", settings.listen)?;
        let address = listener.local_addr().unwrap_or(settings.listen);
        let places = usize::try_from(settings.max_concurrent_requests.get()).unwrap_or(Semaphore::MAX_PERMITS);
        let gate = Places {
            listener: "webhooks",
            most: settings.max_connections.get() as usize,
            most_per_address: settings.max_connections_per_address.get() as usize,
            proxies: settings.trusted_proxies.clone(),
            read_within: READ_WITHIN,
        };
        let gate = Gate::new(gate, &hooks.metrics);
        let budget = Budget::new(&settings, &hooks.metrics);
        let state = Shared {
            hooks,
            intake,
            settings: settings.clone(),
            places: Semaphore::new(places),
            budget,
            gate,
        };
        Ok(Self {
            listener,
            address,
            settings,
            certificates,
            state: Arc::new(state),
        })
    }

    /// The address in use, with the port the system chose when the settings say 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate in use, for reloading it on demand.
    pub fn certificates(&self) -> Option<Certificates> {
        self.certificates.clone()
    }

    /// Serves until `stop`, then lets open requests end within the grace time.
    ///
    /// # Errors
    /// When the socket can't be served at all.
    pub async fn run(self, stop: CancellationToken) -> std::io::Result<()> {
        let handle = Handle::new();
        let stopper = {
            let (handle, stop, grace) = (handle.clone(), stop.clone(), self.settings.shutdown_grace());
            tokio::spawn(async move {
                stop.cancelled().await;
                handle.graceful_shutdown(Some(grace));
            })
        };
        let request_timeout = self.settings.request_timeout();
        let times = Times {
            first_request: request_timeout,
            next_request: self.settings.idle_timeout(),
        };
        let server = listener::server(self.listener, times, self.state.gate.clone())?.handle(handle);
        let service = Router::new()
            .fallback(answer::handle)
            .with_state(self.state)
            .into_make_service_with_connect_info::<SocketAddr>();
        let outcome = match self.certificates {
            None => server.serve(service).await,
            Some(certificates) => {
                let config = certificates.rustls_config();
                let watcher = tokio::spawn(certificates.watch(stop));
                let outcome = server
                    .map(|tcp| {
                        RustlsAcceptor::new(config)
                            .handshake_timeout(request_timeout)
                            .acceptor(tcp)
                    })
                    .serve(service)
                    .await;
                watcher.abort();
                outcome
            }
        };
        stopper.abort();
        outcome
    }
}
