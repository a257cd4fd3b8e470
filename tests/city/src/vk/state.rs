//! What the simulated network knows about one community: its settings, its long poll history, everything written there.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use super::{
    comments::Comments,
    events::{Event, Settings},
    ledger::Place,
};

/// Keys of the long poll server that are remembered.
const MOST_KEYS: usize = 16;

/// A post on the wall, or one somebody proposed.
#[derive(Debug)]
pub(super) struct Post {
    pub id: i64,
    pub from_id: i64,
    pub date: i64,
    pub text: String,
    pub suggested: bool,
    pub pinned: bool,
    pub deleted: bool,
    pub edited: Option<i64>,
    pub extra: Map<String, Value>,
    pub comments: Comments,
}

/// A discussion, a photo, a video or a product: what it is called and what is said under it.
#[derive(Debug)]
pub(super) struct Thing {
    pub id: i64,
    pub by: i64,
    pub date: i64,
    pub title: String,
    pub deleted: bool,
    pub comments: Comments,
}

/// A key of the long poll server.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub text: String,
    /// Grows when the server forgets everything.
    pub epoch: u32,
    pub made_at: f64,
    pub expired: bool,
    /// Answers `failed` in a row to polls with this key.
    pub refusals: u32,
}

/// A registered callback server.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub id: i64,
    pub title: String,
    pub url: String,
    pub secret: String,
    /// `unconfigured`, `wait`, `failed`, `ok`.
    pub status: &'static str,
    pub settings: Settings,
    /// Events given up in a row.
    pub lost_in_a_row: u32,
    pub delivered: u64,
    pub lost: u64,
    /// Deliveries that wait for their next attempt.
    pub waiting: i64,
}

/// One community.
#[derive(Debug)]
pub(super) struct Community {
    pub id: i64,
    pub name: String,
    pub long_poll_enabled: bool,
    pub settings: Settings,
    /// `ts` of the last event, and the events that are still kept, oldest first.
    pub ts: u64,
    pub history: VecDeque<(u64, Event)>,
    /// Events up to this `ts` are no longer kept.
    pub forgotten: u64,
    pub numeric_ts: bool,
    pub keys: VecDeque<Key>,
    pub epoch: u32,
    next_key: u64,
    next_event: u64,
    pub wake: Arc<Notify>,
    pub polls_running: u32,
    pub polls: u64,
    pub handed_out: u64,
    /// Highest `ts` that was given out with an answer.
    pub heard: u64,
    pub servers: Vec<Server>,
    next_server: i64,
    pub confirmation: String,
    pub posts: Vec<Post>,
    pub topics: Vec<Thing>,
    pub photos: Vec<Thing>,
    pub videos: Vec<Thing>,
    pub products: Vec<Thing>,
    /// Messages by peer, oldest first.
    pub dialogs: BTreeMap<i64, Vec<Value>>,
    next_id: i64,
}

impl Community {
    pub fn new(id: i64, muted: bool) -> Self {
        // A history that does not begin at zero, and differs between communities.
        let ts = 1 + id.unsigned_abs() % 97;
        Self {
            id,
            name: format!("Госпаблик № {id}"),
            long_poll_enabled: !muted,
            settings: if muted { Settings::all_off() } else { Settings::all_on() },
            ts,
            history: VecDeque::new(),
            forgotten: 0,
            numeric_ts: false,
            keys: VecDeque::new(),
            epoch: 0,
            next_key: 0,
            next_event: 0,
            wake: Arc::new(Notify::new()),
            polls_running: 0,
            polls: 0,
            handed_out: 0,
            heard: ts,
            servers: Vec::new(),
            next_server: 1,
            confirmation: format!("c0{:06x}", id & 0xff_ffff),
            posts: Vec::new(),
            topics: Vec::new(),
            photos: Vec::new(),
            videos: Vec::new(),
            products: Vec::new(),
            dialogs: BTreeMap::new(),
            next_id: 1,
        }
    }

    /// The next number for anything but private messages. One row of numbers for the whole community: on the real wall
    /// posts and comments share theirs too.
    pub fn take_id(&mut self) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    pub fn take_server_id(&mut self) -> i64 {
        let id = self.next_server;
        self.next_server += 1;
        id
    }

    pub fn take_event_id(&mut self) -> String {
        self.next_event += 1;
        let number = self.next_event;
        // Forty hexadecimal digits, never the same twice.
        format!(
            "{:016x}{number:016x}{:08x}",
            self.id,
            number.wrapping_mul(0x9e37_79b9) as u32
        )
    }

    /// A fresh key; it holds characters that must be encoded in an address.
    pub fn take_key(&mut self, now: f64) -> String {
        self.next_key += 1;
        let text = format!("k{}+{:x}/{:06x}=", self.epoch, self.next_key, self.id & 0xff_ffff);
        self.keys.push_back(Key {
            text: text.clone(),
            epoch: self.epoch,
            made_at: now,
            expired: false,
            refusals: 0,
        });
        while self.keys.len() > MOST_KEYS {
            self.keys.pop_front();
        }
        text
    }

    /// Puts an event into the history. A kind that is off passes unseen, yet moves `ts`: clients must follow it on
    /// empty answers too.
    pub fn remember(&mut self, event: Event, most: usize) -> bool {
        self.ts += 1;
        if !self.long_poll_enabled || !self.settings.sends(&event.kind) {
            return false;
        }
        self.history.push_back((self.ts, event));
        while self.history.len() > most {
            self.forget_oldest();
        }
        self.wake.notify_waiters();
        true
    }

    fn forget_oldest(&mut self) {
        if let Some((ts, _)) = self.history.pop_front() {
            self.forgotten = ts;
        }
    }

    /// Drops events from before this moment.
    pub fn forget_before(&mut self, at: i64) {
        while self.history.front().is_some_and(|(_, event)| event.at < at) {
            self.forget_oldest();
        }
    }

    /// Drops all events: a client that is behind has lost them.
    pub fn forget_all(&mut self) {
        while !self.history.is_empty() {
            self.forget_oldest();
        }
        self.wake.notify_waiters();
    }

    /// `groups.getById`.
    pub fn group_object(&self) -> Value {
        json!({"id": self.id, "name": self.name, "screen_name": format!("club{}", self.id), "is_closed": 0,
            "type": "page", "photo_50": "https://example.userapi.com/50.jpg",
            "photo_100": "https://example.userapi.com/100.jpg", "photo_200": "https://example.userapi.com/200.jpg"})
    }

    pub fn post(&self, id: i64) -> Option<&Post> {
        self.posts.iter().find(|post| post.id == id && !post.deleted)
    }

    pub fn server_mut(&mut self, id: i64) -> Option<&mut Server> {
        self.servers.iter_mut().find(|server| server.id == id)
    }
}

impl Post {
    /// A post as `wall.get` and the events show it. Counters of comments come with the methods only.
    pub fn object(&self, owner: i64) -> Value {
        let kind = if self.suggested { "suggest" } else { "post" };
        let mut object = json!({"inner_type": "wall_wallpost", "id": self.id, "owner_id": owner, "from_id": self.from_id, "date": self.date,
            "text": self.text, "post_type": kind, "attachments": []});
        if let Some(edited) = self.edited {
            object["edited"] = edited.into();
        }
        if let Some(fields) = object.as_object_mut() {
            fields.extend(self.extra.clone());
        }
        object
    }
}

/// The comments of a place.
pub(super) fn comments_of(state: &mut Community, place: Place) -> Option<&mut Comments> {
    fn of(things: &mut [Thing], id: i64) -> Option<&mut Comments> {
        let thing = things.iter_mut().find(|thing| thing.id == id)?;
        Some(&mut thing.comments)
    }
    match place {
        Place::WallComment { post, .. } => {
            let post = state.posts.iter_mut().find(|one| one.id == post)?;
            Some(&mut post.comments)
        }
        Place::Board { topic } => of(&mut state.topics, topic),
        Place::PhotoComment { photo } => of(&mut state.photos, photo),
        Place::VideoComment { video } => of(&mut state.videos, video),
        Place::MarketComment { item } => of(&mut state.products, item),
        _ => None,
    }
}
