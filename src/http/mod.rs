//! The two listeners of the daemon: webhooks for platforms, and metrics and health for operators.
//!
//! Invariants:
//! - a platform hears of success only after [`Accept::accept`](crate::intake::Accept::accept) has returned `Ok`, that is
//!   after the journal commit;
//! - a sender that is not proven leaves no trace but a counter;
//! - nothing a stranger sends can stop the listener: bodies, times and concurrency are limited, panics are caught;
//! - a stranger holds no place that a proven sender needs: see `listener` and `budget`.

mod admin;
mod budget;
mod host;
pub mod settings;
mod tls;
mod webhooks;

pub use admin::AdminServer;
pub use settings::{AdminSettings, HttpSettings, TlsSettings, WebhookSettings};
pub use tls::Certificates;
pub use webhooks::{Hooks, WebhookServer};

/// Path of the request that reloads the rules.
pub const RELOAD_PATH: &str = "/rules/reload";
/// Header that such a request must have: no page in a browser can send it to another origin.
pub const RELOAD_HEADER: &str = "x-priem-reload";

/// Reads the rules again when an operator asks for it.
#[async_trait::async_trait]
pub trait Reload: Send + Sync {
    /// Puts the rules of the folder into force, or says why not.
    async fn reload(&self) -> ReloadReport;
}

/// What became of a reload.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ReloadReport {
    /// What became of it.
    pub result: ReloadResult,
    /// Version of the rules in force now.
    pub version: String,
    /// Rules, routes and deadlines in force now.
    pub rules: usize,
    /// What is wrong with the refused ones, in Russian, with file and line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// What became of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadResult {
    /// The new rules are in force.
    Applied,
    /// The folder holds what is in force.
    Unchanged,
    /// The new rules are wrong; those before go on.
    Refused,
}

impl ReloadResult {
    /// The word, as in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
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
