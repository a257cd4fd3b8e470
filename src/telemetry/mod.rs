//! What the daemon tells the world: metrics and logs. Neither ever holds a citizen's words, names or a secret.

pub mod metrics;

pub use metrics::Metrics;
