//! Metrics and health for operators; reloading the rules, for those on the same machine.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    AdminSettings, ListenError, RELOAD_HEADER, RELOAD_PATH, Reload,
    host::{self, HostNames},
    listen,
};
use crate::{
    health::Health,
    listener::{self, Gate, Places, READ_WITHIN, Times},
    telemetry::Metrics,
};

/// Connections: a few scrapers, balancers and people.
const PLACES: Places = Places {
    listener: "admin",
    most: 256,
    most_per_address: 128,
    proxies: Vec::new(),
    read_within: READ_WITHIN,
};

/// The listener for metrics and health.
#[derive(Debug)]
pub struct AdminServer {
    host_names: HostNames,
    listener: TcpListener,
    address: SocketAddr,
    state: Admin,
}

#[derive(Clone)]
struct Admin {
    metrics: Metrics,
    health: Health,
    reload: Option<Arc<dyn Reload>>,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin")
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

impl AdminServer {
    /// Opens the listening socket.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub fn bind(settings: &AdminSettings, metrics: Metrics, health: Health) -> Result<Self, ListenError> {
        let listener = listen("admin.listen", settings.listen)?;
        let address = listener.local_addr().unwrap_or(settings.listen);
        Ok(Self {
            host_names: HostNames::new(&settings.host_names),
            listener,
            address,
            state: Admin {
                metrics,
                health,
                reload: None,
            },
        })
    }

    /// The same, taking requests to reload the rules from this machine.
    #[must_use]
    pub fn with_reload(mut self, reload: Arc<dyn Reload>) -> Self {
        self.state.reload = Some(reload);
        self
    }

    /// The address in use, with the port the system chose when the settings say 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`.
    ///
    /// # Errors
    /// When the socket can't be served at all.
    pub async fn run(self, stop: CancellationToken) -> std::io::Result<()> {
        let gate = Gate::new(PLACES, &self.state.metrics);
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/health/live", get(live))
            .route("/health/ready", get(ready))
            .route(RELOAD_PATH, post(reload))
            .with_state(self.state)
            .layer(middleware::from_fn_with_state(self.host_names, host::require));
        let server = listener::server(self.listener, Times::INTERNAL, gate)?
            .serve(router.into_make_service_with_connect_info::<SocketAddr>());
        // Nothing here is worth waiting for at shutdown.
        stop.run_until_cancelled(server).await.unwrap_or(Ok(()))
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        admin.metrics.render(),
    )
}

async fn live(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    if admin.health.is_live(Timestamp::now()) {
        (StatusCode::OK, "live\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the core loop does not answer\n")
    }
}

async fn ready(State(admin): State<Admin>) -> Response {
    let report = admin.health.report(Timestamp::now());
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report)).into_response()
}

/// Only from this machine, and never through a proxy: whoever can do it can change files here anyway.
async fn reload(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let is_forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key(header::FORWARDED);
    if !is_own(peer) || is_forwarded || !headers.contains_key(RELOAD_HEADER) {
        return (StatusCode::FORBIDDEN, "use `priem reload` on this machine\n").into_response();
    }
    match &admin.reload {
        Some(rules) => Json(rules.reload().await).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Whether a connection comes over the loopback.
fn is_own(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}
