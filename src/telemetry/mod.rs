//! What the daemon tells the world: metrics and logs. Neither ever holds a citizen's words, names or a secret.

mod logs;
pub mod metrics;
mod settings;
mod shown;
mod stderr;

pub use logs::{filter, logs};
pub use metrics::Metrics;
pub use settings::{LogFormat, LogSettings};

/// Seconds since 1970, for gauges that hold a time.
pub fn unix_now() -> i64 {
    jiff::Timestamp::now().as_second()
}
