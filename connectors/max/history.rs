//! Reading the history of known chats: for what MAX did not deliver (posts of channels, deliveries given up after
//! hours, our own outage), and for edits nobody told us about.
//!
//! The cursor holds every known chat with the time up to which it is read, so a restart goes on where it was. A chat is
//! known from the settings or because something was heard from it. Times are the platform's own; our clock only says
//! where a new chat begins and when a round is due.
//!
//! The server gives pages newest first, we publish oldest first: on the way down only the borders of full pages are
//! noted (`plan`), on the way up each stretch between two borders is read and stored. Every call is followed by a
//! commit at the latest after [`CALLS_PER_POLL`] calls.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use priem_sdk::{ConnectorError, Cursor, Item, Page, Wait, http::HttpResponse, json};
use serde::{Deserialize, Serialize};

use super::{
    api,
    client::{Client, PAGE, Trouble},
    split::{self, Heard},
};

/// Calls before what was read is stored.
const CALLS_PER_POLL: usize = 20;
/// Items after which what was read is stored.
const ITEMS_PER_POLL: usize = 200;
/// How far behind the newest message read a round begins again: edits of that time are seen.
const OVERLAP_MS: i64 = 60 * 60 * 1000;
/// The cursor takes in what was heard this often: what was heard later is forgotten by a process that dies.
const LONGEST_PAUSE_MS: i64 = 5_000;
/// Borders noted for one chat; a longer way down goes on in the next round.
const LONGEST_PLAN: usize = 10_000;

/// What is read and how far: the cursor of the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Position {
    chats: BTreeMap<i64, Chat>,
    /// Chats still to be read in this round.
    queue: Vec<i64>,
    /// When the last round began, our clock, milliseconds.
    round_at: i64,
}

/// One chat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Chat {
    /// Everything older is read, milliseconds.
    #[serde(rename = "m")]
    mark: i64,
    /// When something was heard from it last, milliseconds.
    #[serde(rename = "h", skip_serializing_if = "is_zero")]
    heard: i64,
    #[serde(rename = "d", skip_serializing_if = "std::ops::Not::not")]
    is_dialog: bool,
    /// Where the stretch being read begins; `None` between rounds.
    #[serde(rename = "l", skip_serializing_if = "Option::is_none")]
    low: Option<i64>,
    /// Borders of full pages between `low` and the newest message, newest first.
    #[serde(rename = "p", skip_serializing_if = "Vec::is_empty")]
    plan: Vec<i64>,
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// Chats heard from since the last look, by id. Bounded: the rest is noticed again with the next message.
#[derive(Debug, Default)]
pub(super) struct Notices {
    heard: HashMap<i64, Heard>,
}

impl Notices {
    /// Notes that something was heard.
    pub fn note(&mut self, heard: Heard, most: usize) {
        if self.heard.len() < most || self.heard.contains_key(&heard.chat) {
            self.heard.insert(heard.chat, heard);
        }
    }

    /// Takes back what could not be stored.
    pub fn take_back(&mut self, notices: Self, most: usize) {
        for heard in notices.heard.into_values() {
            if !self.heard.contains_key(&heard.chat) {
                self.note(heard, most);
            }
        }
    }
}

/// What a round is to do.
pub(super) struct Order<'a> {
    /// Chats of the settings.
    pub listed: &'a [i64],
    /// Chats heard from.
    pub notices: &'a Notices,
    /// Read dialogues too, and at once.
    pub everything: bool,
    /// Our clock, milliseconds.
    pub now: i64,
    /// Pause between rounds, milliseconds.
    pub every: i64,
    /// Where a new chat begins, milliseconds before now.
    pub look_back: i64,
    /// Chats to remember.
    pub most_chats: usize,
    /// Leave out what bots wrote.
    pub skip_bots: bool,
}

/// Reads on. Chats the server refuses to show are in the second part.
pub(super) async fn poll(
    client: &Client,
    cursor: &Cursor,
    order: Order<'_>,
) -> Result<(Page, Vec<(i64, String)>), ConnectorError> {
    let before = Position::read(cursor)?;
    let mut position = before.clone();
    position.take_in(&order);
    let mut page = Page::default();
    let mut refused = Vec::new();
    let pause = position.begin_round(&order);
    let mut calls = 0;
    while calls < CALLS_PER_POLL && page.items.len() < ITEMS_PER_POLL {
        let Some(&chat) = position.queue.last() else { break };
        calls += 1;
        match position.step(client, chat, order.skip_bots).await {
            Ok(items) => page.items.extend(items),
            Err(Trouble::Refused { status, message }) => {
                position.give_up(chat, order.listed);
                refused.push((chat, format!("{status}: {message}")));
            }
            Err(Trouble::Decision(error)) => return Err(error),
        }
    }
    page.wait = match position.queue.is_empty() {
        false => Wait::Now,
        true => Wait::For(std::time::Duration::from_millis(pause.unsigned_abs())),
    };
    page.next = if position == before {
        cursor.clone()
    } else {
        position.write()
    };
    Ok((page, refused))
}

impl Position {
    fn read(cursor: &Cursor) -> Result<Self, ConnectorError> {
        if cursor.is_start() {
            return Ok(Self::default());
        }
        serde_json::from_str(&cursor.0).map_err(|_| ConnectorError::Misconfigured {
            hint: "the stored cursor of the stream history is not one of this connector".into(),
        })
    }

    fn write(&self) -> Cursor {
        Cursor(serde_json::to_string(self).expect("numbers and lists can be written"))
    }

    /// Adds chats that are new, remembers when known ones were heard, forgets the quietest beyond the limit.
    fn take_in(&mut self, order: &Order<'_>) {
        for chat in order.listed {
            self.chats.entry(*chat).or_insert_with(|| Chat {
                mark: order.now - order.look_back,
                ..Chat::default()
            });
        }
        for heard in order.notices.heard.values() {
            let chat = self.chats.entry(heard.chat).or_insert_with(|| Chat {
                mark: heard.at.min(order.now) - order.look_back,
                ..Chat::default()
            });
            chat.is_dialog = heard.is_dialog;
            chat.heard = chat.heard.max(heard.at);
        }
        let surplus = self
            .chats
            .len()
            .saturating_sub(order.most_chats.max(order.listed.len()));
        if surplus > 0 {
            let mut quiet: Vec<(i64, i64)> = self
                .chats
                .iter()
                .filter(|(id, _)| !order.listed.contains(id))
                .map(|(id, chat)| (chat.heard, *id))
                .collect();
            quiet.sort_unstable();
            for (_, id) in quiet.into_iter().take(surplus) {
                self.chats.remove(&id);
                self.queue.retain(|waiting| *waiting != id);
            }
        }
    }

    /// Fills the queue when a round is due; how long to wait after it, milliseconds.
    fn begin_round(&mut self, order: &Order<'_>) -> i64 {
        let since = order.now - self.round_at;
        // A clock that was set back must not silence us.
        let is_due = since >= order.every || since < 0;
        if order.everything {
            self.queue = self.chats.keys().copied().collect();
        } else if self.queue.is_empty() && is_due {
            let open = self
                .chats
                .iter()
                .filter(|(_, chat)| !chat.is_dialog || !chat.plan.is_empty());
            self.queue = open.map(|(id, _)| *id).collect();
        } else if self.queue.is_empty() {
            return (order.every - since).clamp(1, LONGEST_PAUSE_MS);
        } else {
            return LONGEST_PAUSE_MS.min(order.every);
        }
        self.round_at = order.now;
        LONGEST_PAUSE_MS.min(order.every)
    }

    /// One call for one chat: either the page is the whole stretch and its items are handed over, oldest first, or a
    /// border is noted and the stretch below it comes first.
    async fn step(&mut self, client: &Client, id: i64, skip_bots: bool) -> Result<Vec<Item>, Trouble> {
        let Some(chat) = self.chats.get(&id) else {
            self.queue.pop();
            return Ok(Vec::new());
        };
        let since = chat.low.unwrap_or(chat.mark - OVERLAP_MS).max(0);
        let before = chat.plan.last().copied();
        let response = client.messages(id, before.map(|border| border + 1), since).await?;
        let messages = Messages::of(client, &response)?;
        let chat = self.chats.entry(id).or_default();
        if let Some(oldest) = messages.hides_older(since, before)
            && chat.plan.len() < LONGEST_PLAN
        {
            chat.low = Some(since);
            chat.plan.push(oldest);
            return Ok(Vec::new());
        }
        chat.mark = before.or(messages.newest()).unwrap_or(chat.mark).max(chat.mark);
        chat.low = match chat.plan.pop() {
            // Read up to and with the border: the stretch below was asked for a little beyond it.
            Some(border) => Some(border),
            None => {
                self.queue.pop();
                None
            }
        };
        Ok(messages.items(skip_bots))
    }

    fn give_up(&mut self, chat: i64, listed: &[i64]) {
        self.queue.pop();
        if !listed.contains(&chat) {
            self.chats.remove(&chat);
        }
    }
}

/// A page as it came, newest first.
struct Messages {
    bodies: Vec<Bytes>,
    times: Vec<i64>,
}

impl Messages {
    fn of(client: &Client, response: &HttpResponse) -> Result<Self, Trouble> {
        let (_, bodies) = client.members(response, "messages")?;
        let times = bodies
            .iter()
            .filter_map(|body| json::readable::<api::Message>(body).timestamp)
            .collect();
        Ok(Self { bodies, times })
    }

    fn newest(&self) -> Option<i64> {
        self.times.iter().copied().max()
    }

    /// The oldest time of a full page that may hide older messages of the stretch.
    fn hides_older(&self, since: i64, before: Option<i64>) -> Option<i64> {
        let oldest = self.times.iter().copied().min()?;
        let is_lower = before.is_none_or(|before| oldest < before);
        (self.bodies.len() >= PAGE && oldest > since && is_lower).then_some(oldest)
    }

    fn items(self, skip_bots: bool) -> Vec<Item> {
        let wanted = |body: &Bytes| !skip_bots || !is_by_bot(body);
        let bodies = self.bodies.into_iter().rev();
        bodies.filter(wanted).map(|body| split::message(body).item).collect()
    }
}

/// Both sides of a dialogue stand in its history.
fn is_by_bot(body: &Bytes) -> bool {
    let message: api::Message = json::readable(body);
    message.sender.is_some_and(|sender| sender.is_bot)
}

/// Chats the server refused to show, told once each.
#[derive(Debug, Default)]
pub(super) struct Told(HashSet<i64>);

impl Told {
    /// Whether this chat was not told of yet; bounded by forgetting everything now and then.
    pub fn first_time(&mut self, chat: i64) -> bool {
        if self.0.len() > 10_000 {
            self.0.clear();
        }
        self.0.insert(chat)
    }
}
