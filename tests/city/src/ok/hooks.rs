//! The webhook sender: every subscription gets every delivery, order is not kept, nothing proves the sender. Anything
//! but 200 within five seconds is tried again after growing pauses, until the subscription is dropped.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{City, Trouble, habits};

/// How long the answer may take. Never less in real time, however fast the simulation runs.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// Pauses between attempts, simulated seconds: the first and the longest. The platform does not publish its own.
const PAUSES: (f64, f64) = (10.0, 600.0);

/// Sends a delivery of a group to all its subscriptions.
pub(super) fn dispatch(city: &Arc<City>, group: &str, delivery: Value) {
    let urls: Vec<String> = {
        let world = city.world.lock();
        if world.outage {
            // The platform is down: this delivery never happens.
            return;
        }
        let subscriptions = world.groups.get(group).map(|group| group.subscriptions.as_slice());
        subscriptions
            .unwrap_or_default()
            .iter()
            .map(|one| one.url.clone())
            .collect()
    };
    for url in urls {
        city.world.lock().open_deliveries += 1;
        let sender = Sender {
            city: Arc::clone(city),
            group: group.to_owned(),
            url,
            body: habits::written(city, &delivery),
        };
        city.runtime.spawn(async move {
            sender.run().await;
            sender.city.world.lock().open_deliveries -= 1;
            sender.city.touch();
        });
    }
}

struct Sender {
    city: Arc<City>,
    group: String,
    url: String,
    body: Vec<u8>,
}

impl Sender {
    async fn run(&self) {
        let fault = self.city.world.lock().take_delivery_fault();
        if let Some(Trouble::Late(seconds)) = fault.map(|fault| fault.trouble) {
            tokio::time::sleep(self.city.real(seconds.into())).await;
        }
        let mut pause = PAUSES.0;
        while self.is_wanted() {
            if self.attempt().await {
                if fault.is_some_and(|fault| fault.trouble == Trouble::Twice) {
                    self.attempt().await;
                }
                return;
            }
            tokio::time::sleep(self.city.real(pause)).await;
            pause = (pause * 2.0).min(PAUSES.1);
        }
    }

    /// Whether the subscription still stands and the platform is up.
    fn is_wanted(&self) -> bool {
        let now = self.city.millis();
        let mut world = self.city.world.lock();
        world.drop_dead(now);
        !world.outage && world.subscription(&self.group, &self.url).is_some()
    }

    async fn attempt(&self) -> bool {
        let Ok(_permit) = self.city.deliveries.acquire().await else {
            return false;
        };
        let request = self
            .city
            .http
            .post(&self.url)
            .header("content-type", "application/json;charset=utf-8")
            .timeout(self.city.real(ANSWER_TIME.as_secs_f64()).max(ANSWER_TIME))
            .body(self.body.clone());
        let accepted = request.send().await.is_ok_and(|answer| answer.status().as_u16() == 200);
        let now = self.city.millis();
        let mut world = self.city.world.lock();
        world.delivered += u64::from(accepted);
        if let Some(subscription) = world.subscription(&self.group, &self.url) {
            subscription.failing = !accepted;
            if accepted {
                subscription.last_success = Some(now);
            }
        }
        world.drop_dead(now);
        drop(world);
        self.city.touch();
        accepted
    }
}
