//! The webhook sender: a lane for each chat, one delivery in flight per lane, up to `max_connections` in all.
//!
//! An update leaves the queue with the first 2xx. Until then it blocks its lane: retried at once, then after pauses
//! that double from 2 s to a random value between 60 and 120 s, or after what `Retry-After` says.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::{City, Fault, state};

/// How long the answer of a delivery may take, simulated seconds.
const ANSWER_SECONDS: f64 = 60.0;
/// Never less than this in real time, however fast the simulation runs.
const LEAST_ANSWER_TIME: Duration = Duration::from_secs(10);

/// Puts a fresh update into its lane when a webhook is set.
pub(super) fn dispatch(city: &Arc<City>, bot: &Arc<Mutex<state::Bot>>, seq: u64) {
    let mut state = bot.lock();
    let Some(webhook) = state.webhook.clone() else { return };
    let Some(lane) = state.queue.get(&seq).map(|queued| queued.lane.clone()) else {
        return;
    };
    let connections = state.connections(webhook.max_connections);
    let generation = state.webhook_generation;
    if let Some(waiting) = state.lanes.get_mut(&lane) {
        // Its sender is at work.
        waiting.push_back(seq);
        return;
    }
    state.lanes.insert(lane.clone(), [seq].into());
    drop(state);
    let sender = LaneSender {
        city: Arc::clone(city),
        bot: Arc::clone(bot),
        webhook,
        generation,
        lane,
        connections,
    };
    city.runtime.spawn(sender.run());
}

/// Starts over after a change of the webhook: everything that waits goes into fresh lanes.
pub(super) fn restart(city: &Arc<City>, bot: &Arc<Mutex<state::Bot>>) {
    let waiting: Vec<u64> = {
        let mut state = bot.lock();
        state.webhook_generation += 1;
        state.lanes.clear();
        state.connections = None;
        state.queue.keys().copied().collect()
    };
    for seq in waiting {
        dispatch(city, bot, seq);
    }
}

impl state::Bot {
    /// The connections all lanes of the present webhook share.
    fn connections(&mut self, most: usize) -> Arc<Semaphore> {
        Arc::clone(self.connections.get_or_insert_with(|| Arc::new(Semaphore::new(most))))
    }
}

struct LaneSender {
    city: Arc<City>,
    bot: Arc<Mutex<state::Bot>>,
    webhook: state::Webhook,
    generation: u64,
    lane: String,
    connections: Arc<Semaphore>,
}

impl LaneSender {
    async fn run(self) {
        while let Some((seq, body)) = self.next() {
            let mut failures = 0;
            loop {
                let Ok(permit) = self.connections.acquire().await else {
                    return;
                };
                if !self.still_wanted(seq) {
                    break;
                }
                let outcome = self.deliver(body.clone()).await;
                drop(permit);
                match outcome {
                    Ok(()) => {
                        self.delivered(seq).await;
                        break;
                    }
                    Err(failure) => {
                        failures += 1;
                        self.remember(&failure.why);
                        tokio::time::sleep(self.pause(failures, failure.retry_after)).await;
                    }
                }
            }
        }
    }

    /// The head of the lane; `None` ends the sender, the lane goes with it.
    fn next(&self) -> Option<(u64, axum::body::Bytes)> {
        let now = self.city.unix();
        let mut state = self.bot.lock();
        if state.webhook_generation != self.generation {
            return None;
        }
        state.expire(now);
        while let Some(seq) = state.lanes.get_mut(&self.lane).and_then(|lane| lane.pop_front()) {
            if let Some(queued) = state.queue.get(&seq) {
                return Some((seq, queued.body.clone()));
            }
        }
        state.lanes.remove(&self.lane);
        None
    }

    fn still_wanted(&self, seq: u64) -> bool {
        let now = self.city.unix();
        let mut state = self.bot.lock();
        state.expire(now);
        state.webhook_generation == self.generation && state.queue.contains_key(&seq)
    }

    async fn deliver(&self, body: axum::body::Bytes) -> Result<(), Failure> {
        let mut request = self
            .city
            .http
            .post(&self.webhook.url)
            .header("content-type", "application/json")
            .timeout(self.city.real(ANSWER_SECONDS).max(LEAST_ANSWER_TIME))
            .body(body);
        if let Some(secret) = &self.webhook.secret_token {
            request = request.header("x-telegram-bot-api-secret-token", secret);
        }
        let answer = request.send().await.map_err(|_| Failure::new("Connection failed"))?;
        let status = answer.status();
        let retry_after = answer
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
            .filter(|seconds| *seconds <= 3600);
        let text = answer.bytes().await.map_err(|_| Failure::new("Read timeout expired"))?;
        if !status.is_success() {
            return Err(Failure {
                why: format!("Wrong response from the webhook: {status}"),
                retry_after,
            });
        }
        let named = serde_json::from_slice::<serde_json::Value>(&text).ok();
        if let Some(method) = named.as_ref().and_then(|answer| answer["method"].as_str()) {
            self.bot
                .lock()
                .violate(format!("the webhook's answer names the method {method}"));
        }
        self.bot.lock().handed_out += 1;
        Ok(())
    }

    async fn delivered(&self, seq: u64) {
        let body = {
            let mut state = self.bot.lock();
            let removed = state.queue.remove(&seq);
            state.delivered += u64::from(removed.is_some());
            state.touch();
            removed.map(|queued| queued.body)
        };
        if let Some(body) = body
            && self
                .city
                .take_fault(|fault| matches!(fault, Fault::Duplicate { .. }))
                .is_some()
        {
            // What becomes of the second delivery is nobody's business: the first one counted.
            let _ = self.deliver(body).await;
        }
    }

    fn remember(&self, why: &str) {
        let now = self.city.unix();
        let mut state = self.bot.lock();
        state.last_error = Some((now, why.to_owned()));
        state.touch();
    }

    fn pause(&self, failures: u32, retry_after: Option<u64>) -> Duration {
        if let Some(seconds) = retry_after {
            return self.city.real(seconds as f64);
        }
        if failures <= 1 {
            return Duration::ZERO;
        }
        let most = 60.0 + 60.0 * fastrand::f64();
        self.city.real(2f64.powi(failures.min(10) as i32 - 1).min(most))
    }
}

struct Failure {
    why: String,
    retry_after: Option<u64>,
}

impl Failure {
    fn new(why: &str) -> Self {
        Self {
            why: why.to_owned(),
            retry_after: None,
        }
    }
}
