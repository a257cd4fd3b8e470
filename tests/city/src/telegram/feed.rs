//! What citizens do: they write, edit, comment, post albums, send places. Each act becomes one update (an album
//! several), as Telegram would make it.

use serde_json::{Value, json};

use super::Bot;

/// An invented person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Id of the user, and of the private chat with them.
    pub id: i64,
    /// First name.
    pub first_name: String,
    /// Last name, often absent.
    pub last_name: Option<String>,
    /// Short name, often absent.
    pub username: Option<String>,
}

impl Person {
    /// A person with an id and a first name.
    pub fn new(id: i64, first_name: &str) -> Self {
        Self {
            id,
            first_name: first_name.to_owned(),
            last_name: None,
            username: None,
        }
    }

    pub(super) fn user(&self) -> Value {
        let mut user = json!({"id": self.id, "is_bot": false, "first_name": self.first_name, "language_code": "ru"});
        if let Some(last_name) = &self.last_name {
            user["last_name"] = last_name.as_str().into();
        }
        if let Some(username) = &self.username {
            user["username"] = username.as_str().into();
        }
        user
    }

    fn private_chat(&self) -> Value {
        let mut chat = self.user();
        if let Some(fields) = chat.as_object_mut() {
            fields.remove("is_bot");
            fields.remove("language_code");
        }
        chat["type"] = "private".into();
        chat
    }
}

/// What was sent: enough to edit it and to find it again.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Id of the update; `None` when nobody had asked for its kind.
    pub update_id: Option<i64>,
    /// Chat.
    pub chat_id: i64,
    /// Message inside the chat.
    pub message_id: i64,
    kind: &'static str,
    message: Value,
}

impl Bot {
    /// A private message to the bot.
    pub fn send_private(&self, author: &Person, text: &str) -> Sent {
        let message = json!({"chat": author.private_chat(), "from": author.user(), "text": text});
        self.send("message", message)
    }

    /// A message in a supergroup.
    pub fn send_group(&self, chat_id: i64, title: &str, author: &Person, text: &str) -> Sent {
        let chat = json!({"id": chat_id, "type": "supergroup", "title": title});
        self.send("message", json!({"chat": chat, "from": author.user(), "text": text}))
    }

    /// A post in a channel.
    pub fn send_channel_post(&self, chat_id: i64, title: &str, text: &str) -> Sent {
        let chat = json!({"id": chat_id, "type": "channel", "title": title});
        self.send("channel_post", json!({"chat": chat, "sender_chat": chat, "text": text}))
    }

    /// A message of a citizen to an official's business account.
    pub fn send_business(&self, connection: &str, author: &Person, text: &str) -> Sent {
        let message = json!({"business_connection_id": connection, "chat": author.private_chat(),
            "from": author.user(), "text": text});
        self.send("business_message", message)
    }

    /// A photo with a place: what a careful citizen sends.
    pub fn send_photo(&self, author: &Person, caption: &str) -> Sent {
        let message = json!({"chat": author.private_chat(), "from": author.user(), "caption": caption,
            "photo": photo_sizes(author.id, 0)});
        self.send("message", message)
    }

    /// An album: one update for each photo, the words on the first only.
    pub fn send_album(&self, author: &Person, caption: &str, photos: usize) -> Vec<Sent> {
        let group = format!("{}{}", author.id, self.next_message_id(author.id));
        (0..photos)
            .map(|index| {
                let mut message = json!({"chat": author.private_chat(), "from": author.user(),
                    "media_group_id": group, "photo": photo_sizes(author.id, index)});
                if index == 0 {
                    message["caption"] = caption.into();
                }
                self.send("message", message)
            })
            .collect()
    }

    /// A message of any content in any chat; id and date are set here.
    pub fn send(&self, kind: &'static str, mut message: Value) -> Sent {
        let chat_id = message["chat"]["id"].as_i64().unwrap_or_default();
        let message_id = self.next_message_id(chat_id);
        message["message_id"] = message_id.into();
        message["date"] = self.city.unix().into();
        Sent {
            update_id: self.push(json!({kind: message.clone()})),
            chat_id,
            message_id,
            kind,
            message,
        }
    }

    /// The author changes the text.
    pub fn edit(&self, sent: &Sent, text: &str) -> Sent {
        let mut message = sent.message.clone();
        let key = if message.get("caption").is_some() {
            "caption"
        } else {
            "text"
        };
        message[key] = text.into();
        self.edited(sent, message)
    }

    /// An edit that shows nothing new, as after a reaction.
    pub fn touch(&self, sent: &Sent) -> Sent {
        self.edited(sent, sent.message.clone())
    }

    /// A business chat's messages are deleted.
    pub fn delete_business(&self, sent: &[&Sent]) -> Option<i64> {
        let first = sent.first()?;
        let ids: Vec<i64> = sent.iter().map(|one| one.message_id).collect();
        self.push(json!({"deleted_business_messages": {
            "business_connection_id": first.message["business_connection_id"],
            "chat": first.message["chat"], "message_ids": ids}}))
    }

    fn edited(&self, sent: &Sent, mut message: Value) -> Sent {
        message["edit_date"] = self.city.unix().into();
        let kind = match sent.kind {
            "channel_post" => "edited_channel_post",
            "business_message" => "edited_business_message",
            _ => "edited_message",
        };
        Sent {
            update_id: self.push(json!({kind: message.clone()})),
            message,
            ..sent.clone()
        }
    }

    fn next_message_id(&self, chat_id: i64) -> i64 {
        let mut state = self.state.lock();
        let counter = state.message_ids.entry(chat_id).or_default();
        *counter += 1;
        *counter
    }
}

fn photo_sizes(author: i64, index: usize) -> Value {
    let size = |name: &str, side: i64| {
        json!({"file_id": format!("AgAD{author}-{index}-{name}"), "file_unique_id": format!("u{author}-{index}-{name}"),
            "width": side, "height": side * 3 / 4, "file_size": side * side / 10})
    };
    json!([size("s", 90), size("m", 320), size("x", 1280)])
}
