//! Metrics and health for operators.

use std::net::{SocketAddr, TcpListener};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{AdminSettings, Health, ListenError, listen};
use crate::telemetry::Metrics;

/// The listener for metrics and health.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
    state: Admin,
}

#[derive(Debug, Clone)]
struct Admin {
    metrics: Metrics,
    health: Health,
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
            listener,
            address,
            state: Admin { metrics, health },
        })
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
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/health/live", get(live))
            .route("/health/ready", get(ready))
            .with_state(self.state);
        let server = axum_server::from_tcp(self.listener)?.serve(router.into_make_service());
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
