//! What citizens do: they write, edit, remove, forward, answer. Each act is one update and one line of the ledger.
//!
//! Payloads are written as the real platform writes them, not as its schema asks: no `attachments` when there are none,
//! no `username` for most people, `sender` absent for channel posts, a forward without words of its own, the type of
//! the update as its last key.

use serde_json::{Value, json};

use super::Bot;
use crate::telegram::Person;

/// Where somebody writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// To the bot, privately.
    Dialog,
    /// Into a group the bot is in.
    Group(i64),
    /// A post of a channel: its author is the channel.
    Channel(i64),
    /// Below a post of a channel.
    Comment {
        /// The channel.
        channel: i64,
        /// `mid` of the post.
        post: String,
    },
}

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Wrote.
    Written,
    /// Changed.
    Edited,
    /// Removed.
    Removed,
}

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was done.
    pub act: Act,
    /// The message.
    pub mid: String,
    /// Its chat.
    pub chat: i64,
    /// When, milliseconds of simulated Unix time.
    pub at: i64,
    /// The words after it.
    pub text: String,
}

/// What was written: enough to edit it and to find it again.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Id of the message.
    pub mid: String,
    /// Id of the chat.
    pub chat: i64,
    /// When, milliseconds of simulated Unix time.
    pub at: i64,
    place: Place,
    author: i64,
    message: Value,
}

impl Bot {
    /// Somebody writes.
    pub fn write(&self, author: &Person, place: &Place, text: &str) -> Written {
        self.write_with(author, place, text, Vec::new(), None)
    }

    /// Somebody writes with a photo.
    pub fn write_photo(&self, author: &Person, place: &Place, text: &str, url: &str) -> Written {
        let photo = json!({"type": "image", "payload": {"photo_id": author.id * 100 + 7, "url": url,
            "token": format!("photo-token-{}", author.id)}});
        self.write_with(author, place, text, vec![photo], None)
    }

    /// Somebody writes with anything attached, and maybe a link to another message.
    pub fn write_with(
        &self,
        author: &Person,
        place: &Place,
        text: &str,
        attachments: Vec<Value>,
        link: Option<Value>,
    ) -> Written {
        let (chat, chat_type) = match place {
            Place::Dialog => (dialog_of(author), "dialog"),
            Place::Group(chat) => (*chat, "chat"),
            Place::Channel(chat) | Place::Comment { channel: chat, .. } => (*chat, "channel"),
        };
        let (at, seq, own_id) = {
            let mut state = self.state.lock();
            let at = self.city.clock.milliseconds().max(state.last_message_at + 1);
            state.last_message_at = at;
            (at, (at << 16) + (at & 0x7fff), state.id)
        };
        let mid = format!("mid.{:016x}{seq:016x}", chat.cast_unsigned());
        let mut body = json!({"mid": mid, "seq": seq});
        if link.is_none() || !text.is_empty() {
            body["text"] = text.into();
        }
        if !attachments.is_empty() {
            body["attachments"] = attachments.into();
        }
        let receiver = if chat_type == "dialog" {
            json!(own_id)
        } else {
            Value::Null
        };
        let mut message = json!({"recipient": {"chat_id": chat, "chat_type": chat_type, "user_id": receiver},
            "timestamp": at, "body": body});
        if !matches!(place, Place::Channel(_)) {
            message["sender"] = sender(author, at);
        } else {
            message["url"] = format!("https://max.ru/c/{chat}/{seq:x}").into();
            message["stat"] = json!({"views": 1});
        }
        if let Some(link) = link {
            message["link"] = link;
        }
        let written = Written {
            mid,
            chat,
            at,
            place: place.clone(),
            author: author.id,
            message,
        };
        if !matches!(place, Place::Comment { .. }) {
            let mut state = self.state.lock();
            state.history.entry(chat).or_default().push(written.message.clone());
        }
        self.tell(Act::Written, &written, at);
        written
    }

    /// Somebody passes a message on without words of their own.
    pub fn forward(&self, author: &Person, place: &Place, original: &Written) -> Written {
        let mut link = json!({"type": "forward", "chat_id": original.chat, "message": original.message["body"]});
        if let Some(sender) = original.message.get("sender") {
            link["sender"] = sender.clone();
        }
        self.write_with(author, place, "", Vec::new(), Some(link))
    }

    /// Somebody answers a message.
    pub fn answer(&self, author: &Person, place: &Place, original: &Written, text: &str) -> Written {
        let link = json!({"type": "reply", "message": original.message["body"]});
        self.write_with(author, place, text, Vec::new(), Some(link))
    }

    /// The author changes the words.
    pub fn edit(&self, written: &Written, text: &str) -> Written {
        let mut edited = written.clone();
        edited.message["body"]["text"] = text.into();
        let at = {
            let mut state = self.state.lock();
            let at = self.city.clock.milliseconds().max(state.last_message_at + 1);
            state.last_message_at = at;
            for message in state.history.entry(written.chat).or_default() {
                if message["body"]["mid"] == written.mid.as_str() {
                    message.clone_from(&edited.message);
                }
            }
            at
        };
        self.tell(Act::Edited, &edited, at);
        edited
    }

    /// The author removes the message.
    pub fn remove(&self, written: &Written) {
        let at = {
            let mut state = self.state.lock();
            let messages = state.history.entry(written.chat).or_default();
            messages.retain(|message| message["body"]["mid"] != written.mid.as_str());
            self.city.clock.milliseconds()
        };
        self.tell(Act::Removed, written, at);
    }

    fn tell(&self, act: Act, written: &Written, at: i64) {
        let is_silent = {
            let mut state = self.state.lock();
            let text = written.message["body"]["text"].as_str().unwrap_or_default();
            state.ledger.push(Entry {
                act,
                mid: written.mid.clone(),
                chat: written.chat,
                at,
                text: if act == Act::Removed {
                    String::new()
                } else {
                    text.to_owned()
                },
            });
            state.silent.contains(&written.chat)
        };
        if is_silent {
            return;
        }
        let (noun, post) = match &written.place {
            Place::Comment { post, .. } => ("comment", Some(post)),
            _ => ("message", None),
        };
        let mut update = match act {
            Act::Removed => json!({"message_id": written.mid, "chat_id": written.chat, "user_id": written.author}),
            Act::Written | Act::Edited => json!({"message": written.message}),
        };
        if let Some(post) = post {
            update["post_id"] = post.as_str().into();
        }
        if written.place == Place::Dialog && act == Act::Written {
            update["user_locale"] = "ru".into();
            update["user_id"] = written.author.into();
        }
        update["timestamp"] = at.into();
        let verb = match act {
            Act::Written => "created",
            Act::Edited => "edited",
            Act::Removed => "removed",
        };
        update["update_type"] = format!("{noun}_{verb}").into();
        self.push(&update);
    }
}

/// The dialogue of a person with the bot: its id is not the person's.
fn dialog_of(person: &Person) -> i64 {
    person.id + 2_000_000_000
}

fn sender(person: &Person, at: i64) -> Value {
    let mut sender = json!({"user_id": person.id, "first_name": person.first_name,
        "last_name": person.last_name.as_deref().unwrap_or_default(), "is_bot": false, "last_activity_time": at});
    if let Some(username) = &person.username {
        sender["username"] = username.as_str().into();
    }
    sender
}
