//! What updates say of our own hearing: chats the bot was put out of or lost its rights in, business connections that
//! were switched off, groups that live on as supergroups under another number.
//!
//! A listed group that became a supergroup is followed: its messages are marked when they are split off, so that what
//! becomes of them is fixed with them. The platform tells both numbers once, with the change, and `getChat` of the old
//! number tells the new one for ever: that is asked at the start.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use priem_sdk::{contract::ConnectorId, json::Members, unheard::Unheard};
use tracing::warn;

use super::{
    client::{Client, Trouble},
    split::{self, WITH_MESSAGE},
};

/// Below this a number is a supergroup's or a channel's.
const SUPERGROUPS: i64 = -1_000_000_000_000;
/// Chats asked for before the first poll: each costs a call.
const ASKED_AT_ONCE: usize = 30;
/// And this often at most.
const ASKED_EVERY: Duration = Duration::from_secs(60);
/// Groups that are followed; more is no town.
const MOST_FOLLOWED: usize = 10_000;

/// Groups and channels of the settings that were not asked for yet, and when some last were.
struct Unasked {
    chats: Vec<i64>,
    at: Option<Instant>,
}

/// Our hearing of one bot.
pub(super) struct Hearing {
    connector: ConnectorId,
    /// Chats of the settings that are the only ones to listen to.
    listed: Option<HashSet<i64>>,
    /// New number → old number.
    followed: RwLock<HashMap<i64, i64>>,
    unasked: Mutex<Unasked>,
    pub unheard: Unheard,
}

impl Hearing {
    /// Nothing is known yet.
    pub fn new(connector: ConnectorId, listed: Option<HashSet<i64>>, chats: impl IntoIterator<Item = i64>) -> Self {
        let mut chats: Vec<i64> = chats.into_iter().filter(|chat| *chat < 0).collect();
        // Old groups first: they may have moved.
        chats.sort_unstable_by_key(|chat| *chat <= SUPERGROUPS);
        Self {
            connector,
            listed,
            followed: RwLock::default(),
            unasked: Mutex::new(Unasked { chats, at: None }),
            unheard: Unheard::default(),
        }
    }

    /// Asks what has become of the chats of the settings while we were away: some at once, the others later. A server that
    /// can't say costs one call now and then.
    pub async fn resolve(&self, client: &Client) {
        let chats: Vec<i64> = {
            let mut unasked = self.unasked.lock();
            let is_due = unasked.at.is_none_or(|at| at.elapsed() >= ASKED_EVERY);
            if unasked.chats.is_empty() {
                return self.forget_unlisted();
            }
            if !is_due {
                return;
            }
            unasked.at = Some(Instant::now());
            let some = unasked.chats.len().min(ASKED_AT_ONCE);
            unasked.chats.drain(..some).collect()
        };
        for (place, chat) in chats.iter().copied().enumerate() {
            match client.get_chat(chat).await {
                Err(Trouble::Refused {
                    migrated_to: Some(new), ..
                }) => self.follow(chat, new, ""),
                Err(Trouble::Refused { description, .. }) => {
                    let part = part(chat);
                    let why =
                        format!("{part}: Telegram does not show it to the bot ({description}); add the bot to it");
                    self.unheard.lost(&self.connector, &part, why);
                }
                Ok(_) => {}
                Err(Trouble::Decision(_)) => {
                    let mut unasked = self.unasked.lock();
                    let later = std::mem::take(&mut unasked.chats);
                    unasked.chats = chats[place..].iter().copied().chain(later).collect();
                    return;
                }
            }
        }
    }

    /// A chat that was taken out of the settings since is not missed. Which ones live on under another number is known by
    /// now.
    fn forget_unlisted(&self) {
        let Some(listed) = &self.listed else { return };
        self.unheard.retain(|part| {
            let chat = part.strip_prefix("chat ").and_then(|chat| chat.parse().ok());
            chat.is_none_or(|chat: i64| listed.contains(&chat) || self.old_number(chat).is_some())
        });
    }

    /// Makes an item of one update, after taking from it what it says of our hearing.
    pub fn split(&self, body: Bytes) -> split::Split {
        let mut split = split::split(body);
        let Some(update) = Members::of(&split.item.body) else {
            return split;
        };
        if let Some(member) = update.object("my_chat_member") {
            self.membership(&member);
        } else if let Some(connection) = update.object("business_connection") {
            self.connection(&connection);
        } else if let Some(message) = WITH_MESSAGE.into_iter().find_map(|name| update.object(name))
            && let Some(chat) = message.object("chat").and_then(|chat| chat.number("id"))
        {
            let title: String = message
                .object("chat")
                .and_then(|chat| chat.read("title"))
                .unwrap_or_default();
            match (
                message.number("migrate_to_chat_id"),
                message.number("migrate_from_chat_id"),
            ) {
                (Some(new), _) => self.follow(chat, new, &title),
                (None, Some(old)) => self.follow(old, chat, &title),
                (None, None) => self.unheard.heard(&self.connector, &part(chat)),
            }
            if let Some(connection) = message.read::<String>("business_connection_id") {
                self.unheard.heard(&self.connector, &format!("business {connection}"));
            }
            if let Some(old) = self.old_number(chat) {
                split.item.format = split::FOLLOWED;
                // One conversation: what was written before the change is published before what was written after it.
                split.item.conversation = split.item.conversation.map(|_| split::conversation(old, None, false));
            }
        }
        split
    }

    /// The listed group that lives on under this number.
    pub fn old_number(&self, chat: i64) -> Option<i64> {
        self.followed.read().get(&chat).copied()
    }

    fn follow(&self, old: i64, new: i64, title: &str) {
        // Of a group that is not listed the supergroup is not listed either; where all are heard it is heard anyway.
        let is_listed = self.listed.as_ref().is_none_or(|listed| listed.contains(&old));
        let mut followed = self.followed.write();
        if !is_listed || followed.len() >= MOST_FOLLOWED || followed.insert(new, old).is_some() {
            return;
        }
        drop(followed);
        warn!(
            connector = %self.connector,
            old, new, title,
            "a group has become a supergroup and has another number: it is followed; write the new number into `chats`"
        );
    }

    fn membership(&self, member: &Members) {
        let Some(chat) = member.object("chat") else { return };
        let (Some(id), kind) = (chat.number("id"), chat.read::<String>("type").unwrap_or_default()) else {
            return;
        };
        // A person who blocks the bot is nobody we should hear.
        let is_listed = self.listed.as_ref().is_none_or(|listed| listed.contains(&id));
        if kind == "private" || !(is_listed || self.old_number(id).is_some()) {
            return;
        }
        let standing = |key: &str| member.object(key).and_then(|now| now.read::<String>("status"));
        let status = standing("new_chat_member").unwrap_or_default();
        let is_out = member
            .object("new_chat_member")
            .and_then(|now| now.read("is_member"))
            .is_some_and(|is_member: bool| !is_member);
        let title: String = chat.read("title").unwrap_or_default();
        let what = match status.as_str() {
            "kicked" | "left" => "the bot was put out of it",
            "restricted" if is_out => "the bot was put out of it",
            "member" | "restricted" if standing("old_chat_member").as_deref() == Some("administrator") => {
                "the bot is no administrator any more and hears everything only with privacy mode off"
            }
            _ => return self.unheard.heard(&self.connector, &part(id)),
        };
        let why = format!("{} «{title}»: {what}; add it again, as an administrator", part(id));
        self.unheard.lost(&self.connector, &part(id), why);
    }

    fn connection(&self, connection: &Members) {
        let Some(id) = connection.read::<String>("id") else {
            return;
        };
        let part = format!("business {id}");
        if connection.read("is_enabled") == Some(false) {
            let why = format!(
                "{part}: the owner of the account has switched the bot off; switch it on in the account's settings \
                 (Telegram Business, chatbots)"
            );
            self.unheard.lost(&self.connector, &part, why);
        } else {
            self.unheard.heard(&self.connector, &part);
        }
    }
}

fn part(chat: i64) -> String {
    format!("chat {chat}")
}
