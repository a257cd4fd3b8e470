//! From bytes to items: the key of an update, before anything in it is understood. Updates have no ids of their own.
//!
//! Identity:
//! - a message or comment is its `mid`, an opaque string unique in MAX; one without a body (a pure forward may have
//!   none) is named by chat, time, author and the forwarded message;
//! - a new message is revision `0`, an edit `<time of the edit>.<what it shows>`, a removal `removed`: delivered
//!   again, all keep their names;
//! - a message read from the history has no revision: the journal compares it with the newest version it holds, so
//!   that only a change nobody told us about becomes a new one;
//! - everything else is the hash of its bytes: a repeated delivery repeats them.
//!
//! The fingerprint covers what a reader sees. Addresses and tokens of files don't count: they change from one delivery
//! to the next.

use bytes::Bytes;
use data_encoding::HEXLOWER;
use priem_sdk::{
    Item, NormalizeError,
    contract::fingerprint,
    json::{self, Sound},
    webhook::{not_found, parse_json_bounded},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    attachments,
    kinds::{self, Act},
};

/// Shape of an update, by webhook or long poll.
pub(super) const UPDATE: &str = "max.update";
/// Shape of a message read from the history.
pub(super) const MESSAGE: &str = "max.message";

/// A chat something was heard from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heard {
    /// Id of the chat.
    pub chat: i64,
    /// A private dialogue.
    pub is_dialog: bool,
    /// When, milliseconds.
    pub at: i64,
}

/// An update split off a batch or a webhook body.
pub(super) struct Split {
    /// The item to store.
    pub item: Item,
    /// The chat it is about, when it is a message.
    pub heard: Option<Heard>,
}

/// What the key of a message needs. Everything visible stays loose: nothing strange in it can spoil the key.
#[derive(Deserialize)]
struct Glance {
    recipient: Recipient,
    #[serde(default)]
    sender: Value,
    #[serde(default)]
    timestamp: Option<i64>,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    link: Value,
}

#[derive(Deserialize)]
struct Recipient {
    #[serde(default)]
    chat_id: Option<i64>,
    #[serde(default)]
    chat_type: Value,
}

/// Makes an item of one update. Never fails: what can't be understood becomes an item with a problem.
pub(super) fn update(body: Bytes) -> Split {
    whole(body, read_update)
}

/// Makes an item of one message of a chat's history.
pub(super) fn message(body: Bytes) -> Split {
    whole(body, read_message)
}

fn whole(body: Bytes, read: fn(Bytes) -> Split) -> Split {
    let sound = Sound::of(body);
    let split = read(sound.body.clone());
    Split {
        item: sound.hold(split.item),
        ..split
    }
}

fn read_update(body: Bytes) -> Split {
    let nothing_heard = |item| Split { item, heard: None };
    let members = json::Members::of(&body);
    let kind = members.as_ref().and_then(|update| update.read::<String>("update_type"));
    let (Some(update), Some(kind)) = (&members, kind) else {
        let problem = not_found(&body, "not an update of MAX: `update_type` is missing or no text");
        return nothing_heard(Item::malformed(UPDATE, body, problem));
    };
    let Some(act) = kinds::act_of(&kind) else {
        let conversation = update.number("chat_id").map(|chat| chat.to_string());
        return nothing_heard(itself(&body, conversation, None));
    };
    let at = update.number("timestamp");
    if act == Act::Removed {
        return nothing_heard(removal(&kind, update, &body));
    }
    let Some(message) = update.raw("message") else {
        let problem = NormalizeError::new("unexpected_shape", format!("{kind} without a message"));
        return nothing_heard(itself(&body, None, Some(problem)));
    };
    let revision = |print: &[u8; 16]| match (act, at) {
        (Act::Edited, Some(at)) => Some(format!("{at}.{}", short(print))),
        (Act::Edited, None) => None,
        _ => Some("0".into()),
    };
    match parse_json_bounded::<Glance>(message) {
        Ok(glance) => {
            let print = visible(&glance);
            Split {
                heard: heard(&glance),
                item: item(UPDATE, body.clone(), &glance, revision(&print), print),
            }
        }
        Err(problem) => {
            let item = damaged(message, &body, UPDATE, &problem, revision);
            nothing_heard(item.unwrap_or_else(|| itself(&body, None, Some(problem))))
        }
    }
}

fn read_message(body: Bytes) -> Split {
    match parse_json_bounded::<Glance>(&body) {
        Ok(glance) => Split {
            heard: heard(&glance),
            item: item(MESSAGE, body, &glance, None, visible(&glance)),
        },
        Err(problem) => {
            let item = damaged(&body, &body, MESSAGE, &problem, |_| None);
            Split {
                item: item.unwrap_or_else(|| Item::malformed(MESSAGE, body, problem)),
                heard: None,
            }
        }
    }
}

/// A message that can't be read as one, under the name of its sound repetition where that can be read.
fn damaged(
    message: &Bytes,
    body: &Bytes,
    format: &'static str,
    problem: &NormalizeError,
    revision: impl Fn(&[u8; 16]) -> Option<String>,
) -> Option<Item> {
    let mid: String = json::Members::of(message)?.object("body")?.read("mid")?;
    let print = fingerprint([&body[..]]);
    (!mid.is_empty()).then(|| Item {
        external_id: mid,
        revision: revision(&print),
        fingerprint: Some(print),
        ..Item::malformed(format, body.clone(), problem.clone())
    })
}

fn removal(kind: &str, update: &json::Members, body: &Bytes) -> Item {
    let id = update.read::<String>("message_id").filter(|id| !id.is_empty());
    let conversation = update.number("chat_id").map(|chat| chat.to_string());
    let Some(id) = id else {
        let problem = NormalizeError::new("unexpected_shape", format!("{kind} without message_id"));
        return itself(body, conversation, Some(problem));
    };
    Item {
        external_id: id,
        revision: Some("removed".into()),
        fingerprint: None,
        conversation,
        format: UPDATE,
        body: body.clone(),
        problem: None,
    }
}

fn item(format: &'static str, body: Bytes, glance: &Glance, revision: Option<String>, fingerprint: [u8; 16]) -> Item {
    let conversation = conversation(glance.recipient.chat_id, glance.sender["user_id"].as_i64());
    let external_id = match glance.body["mid"].as_str() {
        Some(mid) if !mid.is_empty() => mid.to_owned(),
        _ => format!(
            "forward:{}:{}:{}:{}",
            conversation.as_deref().unwrap_or_default(),
            glance.timestamp.unwrap_or_default(),
            glance.sender["user_id"].as_i64().unwrap_or_default(),
            glance.link["message"]["mid"].as_str().unwrap_or_default()
        ),
    };
    Item {
        external_id,
        revision,
        fingerprint: Some(fingerprint),
        conversation,
        format,
        body,
        problem: None,
    }
}

/// Name of a conversation: the chat, else the person a dialogue is with.
pub(super) fn conversation(chat: Option<i64>, sender: Option<i64>) -> Option<String> {
    match (chat, sender) {
        (Some(chat), _) => Some(chat.to_string()),
        (None, Some(user)) => Some(format!("user:{user}")),
        (None, None) => None,
    }
}

/// An item that is named by its own bytes.
fn itself(body: &Bytes, conversation: Option<String>, problem: Option<NormalizeError>) -> Item {
    Item {
        external_id: format!("update:{}", &blake3::hash(body).to_hex()[..32]),
        revision: Some("0".into()),
        fingerprint: None,
        conversation,
        format: UPDATE,
        body: body.clone(),
        problem,
    }
}

fn heard(glance: &Glance) -> Option<Heard> {
    Some(Heard {
        chat: glance.recipient.chat_id?,
        is_dialog: glance.recipient.chat_type == "dialog",
        at: glance.timestamp?,
    })
}

fn short(print: &[u8; 16]) -> String {
    HEXLOWER.encode(&print[..4])
}

/// What a reader sees: words, markup, attachments, and what is forwarded or answered.
fn visible(glance: &Glance) -> [u8; 16] {
    let mut seen = visible_body(&glance.body);
    if glance.link.is_object() {
        seen.push(glance.link["type"].to_string());
        seen.push(glance.link["message"]["mid"].to_string());
        // The words of an answered message are not this message's.
        if glance.link["type"] == "forward" {
            seen.extend(visible_body(&glance.link["message"]));
        }
    }
    fingerprint(seen.iter().map(String::as_bytes))
}

fn visible_body(body: &Value) -> Vec<String> {
    // Absent, null and empty are the same to a reader, and the server varies between them.
    let text = body["text"].as_str().unwrap_or_default().to_owned();
    let list = |key: &str| body[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut seen = vec![text];
    seen.extend(list("markup").iter().map(Value::to_string));
    seen.push("attachments".into());
    seen.extend(list("attachments").iter().map(attachments::visible));
    seen
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: &Value) -> Item {
        update(Bytes::from(value.to_string())).item
    }

    fn written(kind: &str, at: i64, text: &str) -> Value {
        json!({"message": {"recipient": {"chat_id": -70, "chat_type": "chat"}, "timestamp": 1_760_000_000_000_i64,
            "body": {"mid": "mid.a1", "seq": 116_327_994_376_978_687_i64, "text": text}}, "timestamp": at, "update_type": kind})
    }

    #[test]
    fn an_edit_is_a_revision_of_the_same_object() {
        let new = of(&written("message_created", 5, "яма"));
        let edited = of(&written("message_edited", 9, "ямы"));
        assert_eq!(
            (new.external_id.as_str(), new.revision.as_deref()),
            ("mid.a1", Some("0"))
        );
        assert_eq!(new.conversation.as_deref(), Some("-70"));
        assert_eq!(edited.external_id, new.external_id);
        assert!(
            edited.revision.as_deref().is_some_and(|name| name.starts_with("9.")),
            "{edited:?}"
        );
        assert_ne!(edited.fingerprint, new.fingerprint);
        let twin = of(&written("message_edited", 9, "ямища"));
        assert_ne!(twin.revision, edited.revision, "two edits within one tick of the clock");
    }

    #[test]
    fn the_history_knows_a_message_by_its_content() {
        let mut update = written("message_created", 5, "яма");
        let of_history = |update: &Value| message(Bytes::from(update["message"].to_string())).item;
        let read = of_history(&update);
        assert_eq!((read.revision.as_deref(), read.format), (None, MESSAGE));
        assert_eq!(read.fingerprint, of(&update).fingerprint);
        update["message"]["body"]["attachments"] = json!([]);
        update["message"]["body"]["markup"] = Value::Null;
        update["message"]["stat"] = json!({"views": 7});
        assert_eq!(
            of_history(&update).fingerprint,
            read.fingerprint,
            "nothing a reader would see"
        );
    }

    #[test]
    fn new_addresses_of_a_file_show_nothing_new() {
        let photo = |id: i64, url: &str| {
            let mut update = written("message_created", 5, "");
            update["message"]["body"]["attachments"] =
                json!([{"type": "image", "payload": {"photo_id": id, "url": url, "token": url}}]);
            of(&update).fingerprint
        };
        assert_eq!(photo(1, "a"), photo(1, "b"));
        assert_ne!(photo(1, "a"), photo(2, "a"));
    }

    #[test]
    fn a_forward_without_a_body_has_a_name_of_its_own() {
        let forward = |mid: &str| {
            of(
                &json!({"update_type": "message_created", "timestamp": 1, "message": {"timestamp": 3,
                "sender": {"user_id": 8}, "recipient": {"chat_id": 4, "chat_type": "dialog"}, "body": null,
                "link": {"type": "forward", "message": {"mid": mid, "text": "x"}}}}),
            )
        };
        assert_eq!(forward("m1").external_id, "forward:4:3:8:m1");
        assert_ne!(forward("m1").external_id, forward("m2").external_id);
        assert_eq!(forward("m1").problem, None);
    }

    #[test]
    fn a_removal_belongs_to_its_message() {
        let removed = of(
            &json!({"message_id": "mid.a1", "chat_id": -70, "user_id": 1, "timestamp": 3, "update_type": "message_removed"}),
        );
        assert_eq!(
            (removed.external_id.as_str(), removed.revision.as_deref()),
            ("mid.a1", Some("removed"))
        );
    }

    #[test]
    fn a_damaged_message_has_the_key_of_its_sound_repetition() {
        let sound = written("message_created", 5, "яма");
        let text = sound.to_string();
        let sound = of(&sound);
        let damages = [
            text.replace("яма", "яма\u{1}").into_bytes(),
            text.replace("-70", "[-70]").into_bytes(),
            text.replace("\"яма\"", &format!("{}{}", "[".repeat(400), "]".repeat(400)))
                .into_bytes(),
            [&text.as_bytes()[..text.len() - 1], b",\"x\":\"\xFF\"}"].concat(),
        ];
        for damaged in damages {
            let held = update(Bytes::from(damaged.clone())).item;
            assert_eq!(held.body.as_ref(), &damaged[..]);
            assert!(held.problem.is_some());
            assert_eq!(
                (&held.external_id, &held.revision),
                (&sound.external_id, &sound.revision)
            );
        }
    }

    #[test]
    fn strange_updates_are_kept_with_a_reason() {
        for (body, reason) in [
            (&b"<html>"[..], Some("not_json")),
            (b"[]", Some("unexpected_shape")),
            (b"{\"message\":{}}", Some("unexpected_shape")),
            (b"{\"update_type\":\"message_created\"}", Some("unexpected_shape")),
            (
                b"{\"update_type\":\"message_created\",\"message\":{\"recipient\":5}}",
                Some("unexpected_shape"),
            ),
            (
                b"{\"update_type\":\"message_removed\",\"message_id\":7}",
                Some("unexpected_shape"),
            ),
            (b"{\"update_type\":\"quite_new\",\"chat_id\":\"x\",\"message\":7}", None),
        ] {
            let split = update(Bytes::from_static(body));
            assert_eq!(split.item.problem.as_ref().map(|problem| problem.reason), reason);
            assert_eq!(split.item.body, body);
            assert!(!split.item.external_id.is_empty());
        }
    }
}
