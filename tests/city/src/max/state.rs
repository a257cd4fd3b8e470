//! What the simulated server knows about a bot: its queue, its webhooks, its chats and their history.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use axum::body::Bytes;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

use super::feed::Entry;

/// Undelivered updates are dropped this long after they came, milliseconds.
pub(super) const KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// Deliveries at the same time for one webhook.
const DELIVERIES: usize = 8;

/// An update that waits for a poll.
#[derive(Debug, Clone)]
pub(super) struct Queued {
    pub at: i64,
    pub body: Bytes,
}

/// A subscribed webhook.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub url: String,
    pub secret: Option<String>,
    pub update_types: Option<Vec<String>>,
    /// When it was made, milliseconds.
    pub at: i64,
    /// When a delivery succeeded last, or when it was made, milliseconds.
    pub good_at: i64,
    /// Deliveries of one chat go one after the other, the first attempts at least.
    pub lanes: HashMap<String, VecDeque<Bytes>>,
    pub connections: Arc<Semaphore>,
}

impl Subscription {
    pub fn new(url: &str, secret: Option<String>, update_types: Option<Vec<String>>, at: i64) -> Self {
        Self {
            url: url.to_owned(),
            secret,
            update_types,
            at,
            good_at: at,
            lanes: HashMap::new(),
            connections: Arc::new(Semaphore::new(DELIVERIES)),
        }
    }
}

/// A group or channel.
#[derive(Debug, Clone)]
pub(super) struct Chat {
    pub kind: String,
    pub title: String,
    pub status: String,
    pub is_admin: bool,
    pub permissions: Vec<String>,
}

/// One bot.
#[derive(Debug)]
pub(super) struct Bot {
    pub id: i64,
    pub revoked: bool,
    /// Updates by their place; a marker is the place of the next one expected.
    pub queue: BTreeMap<i64, Queued>,
    /// The first place is 0, so that the first marker is 0.
    pub next_place: i64,
    /// The last answer of a poll, for a server that forgets an acknowledgement.
    pub last_answer: Vec<(i64, Queued)>,
    pub subscriptions: Vec<Subscription>,
    /// Webhooks the client must not remove.
    pub foreign: HashSet<String>,
    pub dropped_subscriptions: usize,
    /// Deliveries not yet answered with 200.
    pub undelivered: usize,
    pub chats: HashMap<i64, Chat>,
    /// Chats whose updates are not sent.
    pub silent: HashSet<i64>,
    /// Messages of every chat, oldest first, as they are now.
    pub history: HashMap<i64, Vec<Value>>,
    /// What people did, in order.
    pub ledger: Vec<Entry>,
    pub last_message_at: i64,
    /// Addresses of films by their tokens; `None` while they are being converted.
    pub videos: HashMap<String, Option<String>>,
    pub calls: HashMap<String, usize>,
    pub requests: VecDeque<Instant>,
    pub polls: VecDeque<Instant>,
    pub polls_running: usize,
    pub delivered: u64,
    pub lost: u64,
    pub changed: watch::Sender<u64>,
}

impl Bot {
    pub fn new(id: i64) -> Self {
        Self {
            id,
            revoked: false,
            queue: BTreeMap::new(),
            next_place: 0,
            last_answer: Vec::new(),
            subscriptions: Vec::new(),
            foreign: HashSet::new(),
            dropped_subscriptions: 0,
            undelivered: 0,
            chats: HashMap::new(),
            silent: HashSet::new(),
            history: HashMap::new(),
            ledger: Vec::new(),
            last_message_at: 0,
            videos: HashMap::new(),
            calls: HashMap::new(),
            requests: VecDeque::new(),
            polls: VecDeque::new(),
            polls_running: 0,
            delivered: 0,
            lost: 0,
            changed: watch::Sender::new(0),
        }
    }

    /// Puts an update into the queue of long polling.
    pub fn enqueue(&mut self, body: Bytes, at: i64) {
        self.queue.insert(self.next_place, Queued { at, body });
        self.next_place += 1;
        self.touch();
    }

    /// Drops what nobody fetched for a day.
    pub fn expire(&mut self, now: i64) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.get().at + KEPT_MS > now {
                return;
            }
            entry.remove();
            self.lost += 1;
            self.touch();
        }
    }

    /// Forgets everything before a marker.
    pub fn acknowledge(&mut self, marker: i64) {
        let kept = self.queue.split_off(&marker);
        let taken = std::mem::replace(&mut self.queue, kept);
        self.delivered += taken.len() as u64;
        if !taken.is_empty() {
            self.touch();
        }
    }

    /// Ends a subscription; what waited for it is lost.
    pub fn unsubscribe(&mut self, url: &str) -> bool {
        let Some(index) = self.subscriptions.iter().position(|one| one.url == url) else {
            return false;
        };
        let ended = self.subscriptions.remove(index);
        let waiting: usize = ended.lanes.values().map(VecDeque::len).sum();
        self.undelivered -= waiting;
        self.lost += waiting as u64;
        self.touch();
        true
    }

    /// Tells those who wait for a condition.
    pub fn touch(&self) {
        self.changed.send_modify(|version| *version += 1);
    }
}

/// Notes a request and says how many there were in the last (real) second.
pub(super) fn pace(times: &mut VecDeque<Instant>) -> usize {
    let now = Instant::now();
    times.push_back(now);
    while times
        .front()
        .is_some_and(|at| now.duration_since(*at).as_secs_f64() >= 1.0)
    {
        times.pop_front();
    }
    times.len()
}
