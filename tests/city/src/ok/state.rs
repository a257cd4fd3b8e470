//! What the simulated platform knows: groups with chats, topics and subscriptions, the application, the people; what
//! clients did wrong; and the ledger of what citizens wrote.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use super::{Fault, ledger::Word};

/// A subscription is dropped after this long without a success, ms.
const PATIENCE: i64 = 8 * 60 * 60 * 1000;

/// Simulated time: real time stretched, plus what tests add to it.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    base: i64,
    /// Real duration of one simulated second.
    pub second: Duration,
    /// Simulated milliseconds added by `advance`.
    pub skew: i64,
}

impl Clock {
    pub fn new(second: Duration) -> Self {
        Self {
            started: Instant::now(),
            base: Timestamp::now().as_millisecond(),
            second,
            skew: 0,
        }
    }

    /// Simulated Unix milliseconds.
    pub fn millis(&self) -> i64 {
        let elapsed = self.started.elapsed().as_secs_f64() / self.second.as_secs_f64();
        self.base + self.skew + (elapsed * 1000.0) as i64
    }
}

/// A moment as REST tells it: Moscow wall time without a zone.
pub(super) fn wall(millis: i64) -> String {
    let at = Timestamp::from_millisecond(millis).unwrap_or_default();
    let moscow = TimeZone::get("Europe/Moscow").unwrap_or(TimeZone::UTC);
    at.to_zoned(moscow).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A webhook.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub url: String,
    /// When it was made or refreshed, ms.
    pub time: i64,
    pub last_success: Option<i64>,
    pub failing: bool,
    /// Made by another program than the client under test.
    pub foreign: bool,
}

impl Subscription {
    fn is_dead(&self, now: i64) -> bool {
        let since = self.last_success.map_or(self.time, |success| success.max(self.time));
        self.failing && now - since >= PATIENCE
    }
}

/// A private message as the history shows it.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub at: i64,
    pub body: Value,
}

/// A conversation with one citizen.
#[derive(Debug, Clone, Default)]
pub(super) struct Chat {
    /// In the order of arrival.
    pub messages: Vec<Message>,
    pub last_event: i64,
}

/// A comment.
#[derive(Debug, Clone)]
pub(super) struct Comment {
    pub at: i64,
    /// Listed as removed to those who ask for such.
    pub removed: bool,
    /// Gone from the platform for good.
    pub vanished: bool,
    /// There, and missing in lists all the same: the API shows fewer than the site.
    pub hidden: bool,
    pub body: Value,
}

/// What people talk below.
#[derive(Debug, Clone)]
pub(super) struct Discussion {
    pub group: String,
    pub kind: String,
    pub id: String,
    pub created: i64,
    pub last_activity: i64,
    /// The whole topic, when it is one.
    pub topic: Option<Value>,
    pub comments: Vec<Comment>,
}

impl Discussion {
    pub fn living(&self) -> usize {
        self.comments
            .iter()
            .filter(|comment| !comment.removed && !comment.vanished)
            .count()
    }
}

/// A group.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub id: String,
    pub title: String,
    pub token: String,
    pub revoked: bool,
    pub chats: BTreeMap<String, Chat>,
    pub subscriptions: Vec<Subscription>,
}

/// The application and its account.
#[derive(Debug, Clone)]
pub(super) struct Application {
    pub key: String,
    pub secret: String,
    pub access_token: String,
    /// What signs: given with the token, or derived.
    pub session_secret: String,
    pub revoked: bool,
    /// Tokens of before a renewal.
    pub expired: Vec<String>,
    /// The application's number and the token that renews access tokens, when one was given.
    pub refresh: Option<(String, String)>,
    /// Rights the account lacks: methods that answer 10.
    pub forbidden: Vec<String>,
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct World {
    pub groups: BTreeMap<String, Group>,
    pub application: Option<Application>,
    pub people: HashMap<String, String>,
    pub discussions: Vec<Discussion>,
    pub faults: VecDeque<Fault>,
    pub delivery_faults: VecDeque<Fault>,
    pub outage: bool,
    pub may_take_over: bool,
    pub calls: HashMap<String, usize>,
    pub in_flight: HashMap<String, u32>,
    pub recent: HashMap<String, VecDeque<Instant>>,
    pub violations: Vec<String>,
    pub ledger: Vec<Word>,
    pub next_number: u64,
    pub delivered: u64,
    /// Deliveries under way or waiting for another attempt.
    pub open_deliveries: usize,
    pub dropped_subscriptions: usize,
}

impl World {
    pub fn violate(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    pub fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    pub fn group_by_token(&self, token: &str) -> Option<&Group> {
        self.groups.values().find(|group| group.token == token)
    }

    /// Drops subscriptions that had no success for too long.
    pub fn drop_dead(&mut self, now: i64) {
        for group in self.groups.values_mut() {
            let before = group.subscriptions.len();
            group.subscriptions.retain(|subscription| !subscription.is_dead(now));
            self.dropped_subscriptions += before - group.subscriptions.len();
        }
    }

    pub fn subscription(&mut self, group: &str, url: &str) -> Option<&mut Subscription> {
        let subscriptions = &mut self.groups.get_mut(group)?.subscriptions;
        subscriptions.iter_mut().find(|subscription| subscription.url == url)
    }

    pub fn discussion(&mut self, kind: &str, id: &str) -> Option<&mut Discussion> {
        self.discussions.iter_mut().find(|one| one.kind == kind && one.id == id)
    }

    pub fn take_fault(&mut self) -> Option<Fault> {
        take(&mut self.faults)
    }

    pub fn take_delivery_fault(&mut self) -> Option<Fault> {
        take(&mut self.delivery_faults)
    }
}

fn take(faults: &mut VecDeque<Fault>) -> Option<Fault> {
    let fault = faults.front_mut()?;
    let taken = *fault;
    fault.times -= 1;
    if fault.times == 0 {
        faults.pop_front();
    }
    Some(taken)
}

/// The platform's error object.
pub(super) fn error(code: i64, words: &str) -> Value {
    json!({"error_code": code, "error_msg": words, "error_data": null})
}
