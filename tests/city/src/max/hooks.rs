//! Webhooks: every subscription gets its own copy of every update. Deliveries of one chat start one after the other; a
//! failed one comes again later, without holding up the others.

use std::{sync::Arc, time::Duration};

use axum::body::Bytes;
use serde_json::Value;

use super::{City, Fault, SharedBot, state};

/// How long the answer of a delivery may take, simulated seconds.
const ANSWER_SECONDS: f64 = 30.0;
/// Never less than this in real time, however fast the simulation runs.
const LEAST_ANSWER_TIME: Duration = Duration::from_secs(10);
/// Attempts after the first.
const RETRIES: u32 = 10;
/// Pause before the first retry, simulated seconds.
const FIRST_PAUSE: f64 = 60.0;
/// How much longer each further pause is.
const GROWTH: f64 = 2.5;
/// A subscription without a success for this long ends, milliseconds.
const DROPPED_AFTER_MS: i64 = 8 * 60 * 60 * 1000;

/// Hands an update to every webhook that wants its kind, or to the queue of long polling when there is none.
pub(super) fn hand_over(city: &Arc<City>, bot: &SharedBot, body: Bytes) {
    let update: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let kind = update["update_type"].as_str().unwrap_or_default().to_owned();
    let lane = lane(&update);
    let mut state = bot.lock();
    if state.subscriptions.is_empty() {
        let at = city.clock.milliseconds();
        state.enqueue(body, at);
        return;
    }
    let mut to_start = Vec::new();
    let mut copies = 0;
    for subscription in &mut state.subscriptions {
        let wants = subscription
            .update_types
            .as_ref()
            .is_none_or(|kinds| kinds.contains(&kind));
        if !wants {
            continue;
        }
        copies += 1;
        match subscription.lanes.get_mut(&lane) {
            Some(waiting) => {
                waiting.push_back(body.clone());
                let last = waiting.len() - 1;
                if last > 0
                    && city
                        .take_fault(|fault| matches!(fault, Fault::Disorder { .. }))
                        .is_some()
                {
                    waiting.swap(last - 1, last);
                }
            }
            None => {
                subscription.lanes.insert(lane.clone(), [body.clone()].into());
                to_start.push((subscription.url.clone(), subscription.at));
            }
        }
    }
    state.undelivered += copies;
    state.touch();
    drop(state);
    for (url, made_at) in to_start {
        let sender = Sender {
            city: Arc::clone(city),
            bot: Arc::clone(bot),
            url,
            made_at,
        };
        city.runtime.spawn(sender.run_lane(lane.clone()));
    }
}

fn lane(update: &Value) -> String {
    let chat = &update["message"]["recipient"]["chat_id"];
    let chat = if chat.is_null() { &update["chat_id"] } else { chat };
    chat.to_string()
}

/// Deliveries to one subscription.
#[derive(Clone)]
struct Sender {
    city: Arc<City>,
    bot: SharedBot,
    url: String,
    /// Tells a subscription from a later one with the same address.
    made_at: i64,
}

impl Sender {
    async fn run_lane(self, lane: String) {
        while let Some(body) = self.next(&lane) {
            if self.attempt(body.clone()).await {
                self.succeeded(&body).await;
            } else {
                self.city.runtime.spawn(self.clone().retry(body));
            }
        }
    }

    /// The head of the lane; `None` ends it.
    fn next(&self, lane: &str) -> Option<Bytes> {
        let mut state = self.bot.lock();
        let subscription = state.subscriptions.iter_mut().find(|one| self.is_this(one))?;
        let body = subscription.lanes.get_mut(lane).and_then(|waiting| waiting.pop_front());
        if body.is_none() {
            subscription.lanes.remove(lane);
        }
        body
    }

    async fn retry(self, body: Bytes) {
        let mut pause = FIRST_PAUSE;
        for _ in 0..RETRIES {
            let moment = self.city.clock.seconds() + pause;
            pause *= GROWTH;
            if !self.wait_subscribed(moment).await {
                break;
            }
            if self.attempt(body.clone()).await {
                return self.succeeded(&body).await;
            }
        }
        let mut state = self.bot.lock();
        state.undelivered -= 1;
        state.lost += 1;
        state.touch();
    }

    /// Waits for a moment; false when the subscription ends before.
    async fn wait_subscribed(&self, moment: f64) -> bool {
        loop {
            self.end_when_due();
            let now = self.city.clock.milliseconds();
            let good_at = {
                let state = self.bot.lock();
                let found = state.subscriptions.iter().find(|one| self.is_this(one));
                found.map(|subscription| subscription.good_at)
            };
            let Some(good_at) = good_at else { return false };
            let seconds = self.city.clock.seconds();
            if seconds >= moment {
                return true;
            }
            let end = seconds + (good_at + DROPPED_AFTER_MS - now) as f64 / 1000.0;
            self.city.clock.sleep_until(moment.min(end)).await;
        }
    }

    fn is_this(&self, subscription: &state::Subscription) -> bool {
        subscription.url == self.url && subscription.at == self.made_at
    }

    /// Ends the subscription when it had no success for too long.
    fn end_when_due(&self) {
        let now = self.city.clock.milliseconds();
        let mut state = self.bot.lock();
        let is_due = |one: &state::Subscription| self.is_this(one) && now - one.good_at >= DROPPED_AFTER_MS;
        if state.subscriptions.iter().any(is_due) {
            state.unsubscribe(&self.url);
            state.dropped_subscriptions += 1;
        }
        state.touch();
    }

    /// One delivery; whether it was answered with 200.
    async fn attempt(&self, body: Bytes) -> bool {
        let (secret, connections) = {
            let state = self.bot.lock();
            let found = state.subscriptions.iter().find(|one| one.url == self.url);
            let Some(subscription) = found else { return false };
            (subscription.secret.clone(), Arc::clone(&subscription.connections))
        };
        let Ok(_permit) = connections.acquire().await else {
            return false;
        };
        let mut down = self.city.down.subscribe();
        if down.wait_for(|down| !down).await.is_err() {
            return false;
        }
        let limit = self.city.options.second.mul_f64(ANSWER_SECONDS).max(LEAST_ANSWER_TIME);
        let mut request = self
            .city
            .http
            .post(&self.url)
            .header("content-type", "application/json")
            .timeout(limit)
            .body(body);
        if let Some(secret) = secret {
            request = request.header("X-Max-Bot-Api-Secret", secret);
        }
        let is_taken = matches!(request.send().await, Ok(answer) if answer.status().as_u16() == 200);
        if !is_taken {
            self.end_when_due();
        }
        is_taken
    }

    async fn succeeded(&self, body: &Bytes) {
        {
            let now = self.city.clock.milliseconds();
            let mut state = self.bot.lock();
            let found = state.subscriptions.iter_mut().find(|one| one.url == self.url);
            if let Some(subscription) = found {
                subscription.good_at = now;
            }
            state.undelivered -= 1;
            state.delivered += 1;
            state.touch();
        }
        if self
            .city
            .take_fault(|fault| matches!(fault, Fault::Duplicate { .. }))
            .is_some()
        {
            // What becomes of the second delivery is nobody's business: the first one counted.
            self.attempt(body.clone()).await;
        }
    }
}
