//! The two listeners of the daemon: webhooks for platforms, and metrics and health for operators.
//!
//! Invariants:
//! - a platform hears of success only after [`Accept::accept`] has returned `Ok`, that is after the journal commit;
//! - a sender that is not proven leaves no trace but a counter;
//! - nothing a stranger sends can stop the listener: bodies, times and concurrency are limited, panics are caught.

mod admin;
mod health;
mod peer;
pub mod settings;
mod tls;
mod webhooks;

use std::sync::Arc;

use priem_sdk::{Item, Stream, contract::ConnectorId};

pub use admin::AdminServer;
pub use health::{Condition, Health, HealthReport, Source, SourceReport, SourceState};
pub use settings::{AdminSettings, HttpSettings, TlsSettings, WebhookSettings};
pub use tls::Certificates;
pub use webhooks::{Hooks, WebhookServer};

/// Takes a proven request's items into the journal; returns only after the commit.
#[async_trait::async_trait]
pub trait Accept: Send + Sync {
    /// Stores the items of one request in one commit.
    ///
    /// # Errors
    /// [`NotAccepted`]: nothing was stored, the platform must send again.
    async fn accept(&self, connector: &ConnectorId, stream: &StreamId, items: Vec<Item>) -> Result<(), NotAccepted>;
}

/// A stream as the host names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamId {
    /// Bounded: a metric label.
    pub name: &'static str,
    /// [`Stream::id`]: names the stream in the journal. Shared, because every request carries it there.
    pub id: Arc<str>,
}

impl From<&Stream> for StreamId {
    fn from(stream: &Stream) -> Self {
        Self {
            name: stream.name,
            id: stream.id().into(),
        }
    }
}

/// Why items were not stored. The platform is asked to send again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// The journal has reached its limit of size or free space.
    #[error("the journal is full")]
    Full,
    /// The journal can't commit now.
    #[error("the journal is not available")]
    Unavailable,
}

/// A listener can't start. Names the key and the cure.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ListenError {
    /// Dotted key below `http`.
    pub key: &'static str,
    /// What is wrong and how to mend it.
    pub problem: String,
}

impl ListenError {
    fn new(key: &'static str, problem: impl Into<String>) -> Self {
        Self {
            key,
            problem: problem.into(),
        }
    }
}

/// Opens a listening socket, so that a taken port is an error at start and port 0 has a number.
fn listen(key: &'static str, address: std::net::SocketAddr) -> Result<std::net::TcpListener, ListenError> {
    std::net::TcpListener::bind(address).map_err(|error| {
        ListenError::new(
            key,
            format!("can't listen on {address}: {error}; choose a free address"),
        )
    })
}

#[cfg(test)]
mod tests;
