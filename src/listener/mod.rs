//! What every listener of the daemon has in common: limits of time, of size and of places, and who is at the other end.

mod gate;
pub(crate) mod peer;

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use axum_server::Server;

pub(crate) use gate::{Connection, ConnectionState, Gate, Places, READ_WITHIN};

/// Largest head of a request, bytes; larger ones get 431.
const MOST_HEAD: usize = 32 * 1024;
/// Most headers of a request.
const MOST_HEADERS: usize = 100;

/// Limits of time. What was written to a sender has its own: see [`Places::read_within`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// From accepting a connection, or from the end of its TLS handshake, to the whole head of the first request.
    pub(crate) first_request: Duration,
    /// From the end of a request to the whole head of the next one.
    pub(crate) next_request: Duration,
}

impl Times {
    /// For listeners of operators and handlers: Prometheus asks every minute at most, and reconnects without a word.
    pub(crate) const INTERNAL: Self = Self {
        first_request: Duration::from_secs(10),
        next_request: Duration::from_secs(75),
    };
}

/// A server over an opened socket, with all limits in place. HTTP/1.1 only: platforms, proxies and Prometheus speak it,
/// and less is exposed.
pub(crate) fn server(listener: TcpListener, times: Times, gate: Gate) -> std::io::Result<Server<SocketAddr, Gate>> {
    let name = gate.name();
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(gate)
        .http1_only()
        .first_request_timeout(times.first_request)
        .accept_error_handler(move |sender: Option<&SocketAddr>, error| match sender {
            // Out of file descriptors, most likely: nobody gets in.
            None => tracing::warn!(listener = name, %error, "connection not accepted"),
            Some(_) => tracing::debug!(listener = name, %error, "connection ended before a request"),
        });
    server
        .http_builder()
        .http1()
        .header_read_timeout(times.next_request)
        .max_buf_size(MOST_HEAD)
        .max_headers(MOST_HEADERS);
    Ok(server)
}
