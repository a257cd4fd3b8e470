//! Simulated time, shared by the simulators: real time stretched, plus the jumps a scenario makes.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A clock that runs at its own pace and can jump ahead.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    base: f64,
    second: Duration,
    skew: f64,
}

impl Clock {
    /// Starts now. `second`: real duration of one simulated second.
    pub fn new(second: Duration) -> Self {
        Self {
            started: Instant::now(),
            base: Timestamp::now().as_second() as f64,
            second,
            skew: 0.0,
        }
    }

    /// Simulated Unix seconds, with a fraction.
    pub fn now(&self) -> f64 {
        self.base + self.skew + self.started.elapsed().as_secs_f64() / self.second.as_secs_f64()
    }

    /// Jumps ahead.
    pub fn advance(&mut self, by: Duration) {
        self.skew += by.as_secs_f64();
    }
}
