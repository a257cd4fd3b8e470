//! What the simulated server knows about a bot: its queue, its webhook, its chats, and what the client did wrong.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore, watch};

/// An update is dropped this long after it came.
const KEPT_SECONDS: i64 = 24 * 60 * 60;

/// An update that waits.
#[derive(Debug, Clone)]
pub(super) struct Queued {
    pub update_id: i64,
    pub at: i64,
    pub lane: String,
    pub body: Bytes,
}

/// A registered webhook.
#[derive(Debug, Clone)]
pub(super) struct Webhook {
    pub url: String,
    pub secret_token: Option<String>,
    pub max_connections: usize,
}

/// One bot. Updates are kept in order of arrival under a sequence number of the server's own.
#[derive(Debug)]
pub(super) struct Bot {
    pub id: i64,
    pub username: String,
    pub revoked: bool,
    pub reads_groups: bool,
    pub queue: BTreeMap<u64, Queued>,
    pub next_seq: u64,
    pub next_update_id: i64,
    /// `None`: never set, the default applies.
    pub allowed: Option<Vec<String>>,
    pub webhook: Option<Webhook>,
    /// Grows with every change of the webhook: senders of an older one stop.
    pub webhook_generation: u64,
    pub lanes: HashMap<String, VecDeque<u64>>,
    /// What all lanes of the present webhook share.
    pub connections: Option<Arc<Semaphore>>,
    pub last_error: Option<(i64, String)>,
    /// Grows with every getUpdates and setWebhook: an older poll that still waits is ended.
    pub poll_generation: u64,
    pub poll_ended_by: &'static str,
    pub poll_running: bool,
    pub last_offset: Option<(i64, f64)>,
    pub last_conflict: f64,
    /// Methods that this server does not know, and the status it answers with.
    pub lacking: HashMap<String, u16>,
    pub chats: HashMap<i64, Value>,
    pub memberships: HashMap<i64, String>,
    pub migrated: HashMap<i64, i64>,
    pub message_ids: HashMap<i64, i64>,
    /// Contents by `file_id`.
    pub files: HashMap<String, Bytes>,
    pub calls: HashMap<String, usize>,
    pub violations: Vec<String>,
    pub delivered: u64,
    /// Updates in answers of getUpdates and in deliveries that were answered 2xx, repetitions included.
    pub handed_out: u64,
    pub expired: u64,
    pub wake: Arc<Notify>,
    pub changed: watch::Sender<u64>,
}

impl Bot {
    pub fn new(id: i64, username: String, first_update_id: i64) -> Self {
        Self {
            id,
            username,
            revoked: false,
            reads_groups: true,
            queue: BTreeMap::new(),
            next_seq: 0,
            next_update_id: first_update_id,
            allowed: None,
            webhook: None,
            webhook_generation: 0,
            lanes: HashMap::new(),
            connections: None,
            last_error: None,
            poll_generation: 0,
            poll_ended_by: "",
            poll_running: false,
            last_offset: None,
            last_conflict: f64::MIN,
            lacking: HashMap::new(),
            chats: HashMap::new(),
            memberships: HashMap::new(),
            migrated: HashMap::new(),
            message_ids: HashMap::new(),
            files: HashMap::new(),
            calls: HashMap::new(),
            violations: Vec::new(),
            delivered: 0,
            handed_out: 0,
            expired: 0,
            wake: Arc::new(Notify::new()),
            changed: watch::Sender::new(0),
        }
    }

    /// Puts an update (without its id) into the queue, unless its kind was not asked for. Returns its id and its
    /// sequence number.
    pub fn push(&mut self, mut update: Value, now: i64) -> Option<(i64, u64)> {
        let kind = update.as_object()?.keys().find(|key| *key != "update_id")?.clone();
        if !self.wants(&kind) {
            return None;
        }
        let update_id = self.next_update_id;
        self.next_update_id += 1;
        update["update_id"] = update_id.into();
        let seq = self.next_seq;
        self.next_seq += 1;
        let queued = Queued {
            update_id,
            at: now,
            lane: lane(&kind, &update[&kind]),
            body: Bytes::from(update.to_string()),
        };
        self.queue.insert(seq, queued);
        self.wake.notify_waiters();
        self.touch();
        Some((update_id, seq))
    }

    /// Puts bytes into the queue as they are: for updates no honest server would send.
    pub fn push_raw(&mut self, body: Bytes, now: i64) -> u64 {
        let update_id = self.next_update_id;
        self.next_update_id += 1;
        let seq = self.next_seq;
        self.next_seq += 1;
        let lane = "raw".to_owned();
        self.queue.insert(
            seq,
            Queued {
                update_id,
                at: now,
                lane,
                body,
            },
        );
        self.wake.notify_waiters();
        self.touch();
        seq
    }

    /// Drops what is older than 24 hours.
    pub fn expire(&mut self, now: i64) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.get().at + KEPT_SECONDS > now {
                return;
            }
            entry.remove();
            self.expired += 1;
            self.touch();
        }
    }

    /// Confirms everything below `offset`. An offset the queue does not know confirms nothing.
    pub fn confirm(&mut self, offset: i64) {
        let known = self
            .queue
            .iter()
            .find(|(_, queued)| queued.update_id == offset || queued.update_id == offset - 1)
            .map(|(seq, queued)| if queued.update_id == offset { *seq } else { *seq + 1 });
        if let Some(first_kept) = known {
            let kept = self.queue.split_off(&first_kept);
            let confirmed = std::mem::replace(&mut self.queue, kept);
            self.delivered += confirmed.len() as u64;
            self.touch();
        }
    }

    /// Forgets everything but the last `count` updates.
    pub fn keep_last(&mut self, count: usize) {
        while self.queue.len() > count {
            self.queue.pop_first();
        }
        self.touch();
    }

    pub fn violate(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
        self.touch();
    }

    /// Tells those who wait for a condition.
    pub fn touch(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    pub fn webhook_info(&self) -> Value {
        let mut info = json!({
            "url": self.webhook.as_ref().map(|webhook| webhook.url.as_str()).unwrap_or_default(),
            "has_custom_certificate": false,
            "pending_update_count": self.queue.len(),
        });
        if let Some(webhook) = &self.webhook {
            info["max_connections"] = webhook.max_connections.into();
            info["ip_address"] = "127.0.0.1".into();
        }
        if let Some((at, message)) = &self.last_error {
            info["last_error_date"] = (*at).into();
            info["last_error_message"] = message.as_str().into();
        }
        if let Some(allowed) = self.allowed.as_ref().filter(|allowed| !allowed.is_empty()) {
            info["allowed_updates"] = json!(allowed);
        }
        info
    }

    fn wants(&self, kind: &str) -> bool {
        match &self.allowed {
            Some(kinds) if !kinds.is_empty() => kinds.iter().any(|wanted| wanted == kind),
            _ => !matches!(kind, "chat_member" | "message_reaction" | "message_reaction_count"),
        }
    }
}

/// Which lane an update goes through on the webhook side: by chat, business and membership events apart.
fn lane(kind: &str, payload: &Value) -> String {
    let chat = payload["chat"]["id"].as_i64().unwrap_or_default();
    match kind {
        "business_message" | "edited_business_message" | "deleted_business_messages" => {
            format!(
                "business:{}:{chat}",
                payload["business_connection_id"].as_str().unwrap_or_default()
            )
        }
        "message" | "edited_message" | "channel_post" | "edited_channel_post" => format!("chat:{chat}"),
        _ => format!("{kind}:{chat}"),
    }
}
