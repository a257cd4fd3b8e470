//! Titles of groups and channels, which MAX does not send with its messages: looked up once and kept for an hour.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use priem_sdk::{Message, message::AuthorKind};

use super::client::Client;

/// How long a title is believed.
const FRESH: Duration = Duration::from_secs(3600);
/// How long a chat that could not be looked up is left alone.
const FAILED: Duration = Duration::from_secs(300);
/// Chats remembered; beyond it everything is forgotten and looked up again.
const MOST_CHATS: usize = 10_000;

/// What is known of chats.
#[derive(Debug, Default)]
pub(super) struct Titles {
    known: Mutex<HashMap<i64, (Option<String>, Instant)>>,
}

impl Titles {
    /// Fills in the title of the group or channel each message stands in; a channel's post also gets its author's name.
    pub async fn fill(&self, client: &Client, messages: &mut [Message]) {
        for message in messages {
            let conversation = message.data.external.conversation.as_deref();
            let chat = conversation.and_then(|chat| chat.parse::<i64>().ok());
            let Some(chat) = chat.filter(|chat| *chat < 0) else {
                continue;
            };
            let Some(title) = self.title_of(client, chat).await else {
                continue;
            };
            let author = &mut message.data.author;
            let is_channel = author.kind == AuthorKind::Community && author.external_id.as_deref() == conversation;
            if is_channel && author.name.is_none() {
                author.name = Some(title.clone());
            }
            message.data.extra.insert("chat_title".into(), title.into());
        }
    }

    async fn title_of(&self, client: &Client, chat: i64) -> Option<String> {
        if let Some((title, at)) = self.known.lock().get(&chat) {
            let believed = if title.is_some() { FRESH } else { FAILED };
            if at.elapsed() < believed {
                return title.clone();
            }
        }
        let found = client.chat(chat).await.ok().and_then(|chat| chat.title);
        let title = found.filter(|title| !title.is_empty());
        let mut known = self.known.lock();
        if known.len() >= MOST_CHATS {
            known.clear();
        }
        known.insert(chat, (title.clone(), Instant::now()));
        title
    }
}
