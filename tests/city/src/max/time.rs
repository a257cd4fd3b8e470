//! Simulated time: real time stretched, plus jumps. Whoever sleeps wakes up when a jump passes the moment.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

/// The clock of a city.
pub(super) struct Clock {
    started: Instant,
    base: i64,
    second: Duration,
    /// Simulated seconds added by jumps.
    skew: watch::Sender<f64>,
}

impl Clock {
    pub fn new(second: Duration) -> Self {
        Self {
            started: Instant::now(),
            base: Timestamp::now().as_millisecond(),
            second,
            skew: watch::Sender::new(0.0),
        }
    }

    /// Simulated seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64() / self.second.as_secs_f64() + *self.skew.borrow()
    }

    /// Simulated Unix time.
    pub fn milliseconds(&self) -> i64 {
        self.base + (self.seconds() * 1000.0) as i64
    }

    pub fn advance(&self, by: Duration) {
        self.skew.send_modify(|skew| *skew += by.as_secs_f64());
    }

    /// Sleeps until a moment of [`Clock::seconds`].
    pub async fn sleep_until(&self, moment: f64) {
        let mut jumps = self.skew.subscribe();
        loop {
            let left = moment - self.seconds();
            if left <= 0.0 {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(self.second.mul_f64(left)) => {}
                _ = jumps.changed() => {}
            }
        }
    }
}
