//! From bytes to items: the keys, before anything is understood.
//!
//! Identity, the same by whatever way an object came:
//! - a private message is `<group>/<mid>`; without a `mid` (thin payloads exist) a hash of chat, author, time and text
//!   stands for it; `seq` is never used;
//! - a comment is `<group>/<type>/<discussion>/<comment>`, a topic `<group>/GROUP_TOPIC/<topic>`: what a comment
//!   without a parent answers;
//! - other deliveries are `<group>/callback:<id>` or `<group>/event:<hash of the bytes>`.
//!
//! The group stands in the key because neither a message nor a comment has to name it. OK names no revisions, so the
//! journal tells versions apart by the fingerprint: words, attachments (by what stays the same in them), removal.

use bytes::Bytes;
use priem_sdk::{
    Item, NormalizeError,
    contract::fingerprint,
    json::{self, Sound},
    webhook::parse_json_bounded,
};
use serde_json::Value;

use super::{
    api::{Comment, Delivery, Party, Text, Topic},
    attachments, topic,
};

/// A webhook delivery or a message of the history.
pub(super) const MESSAGE: &str = "ok.message";
/// A comment.
pub(super) const COMMENT: &str = "ok.comment";
/// A topic.
pub(super) const TOPIC: &str = "ok.topic";
/// Type of the discussion below a topic.
pub(super) const GROUP_TOPIC: &str = "GROUP_TOPIC";

/// Hexadecimal digits of a hash that stands for an id.
const HASH_DIGITS: usize = 32;

/// Makes an item of a delivery or a message of the history.
pub(super) fn message(group: &str, body: Bytes) -> Item {
    Sound::item(body, |body| read_message(group, body))
}

fn read_message(group: &str, body: Bytes) -> Item {
    let delivery: Delivery = match parse_json_bounded(&body) {
        Ok(delivery) => delivery,
        Err(problem) => {
            let members = json::Members::of(&body);
            let mid = members.and_then(|delivery| delivery.object("message")?.read::<Text>("mid"));
            return damaged(MESSAGE, group, mid, body, problem);
        }
    };
    let chat = delivery.recipient.as_ref().and_then(|to| to.chat_id.text());
    let user = delivery.sender.as_ref().and_then(|from| from.user_id.text());
    let Some(message) = &delivery.message else {
        let id = match delivery.callback_id.text() {
            Some(id) => format!("{group}/callback:{id}"),
            None => format!("{group}/event:{}", short_hash([&body[..]])),
        };
        return item(MESSAGE, id, None, None, body);
    };
    let text = message.text.text().unwrap_or_default();
    let key = match message.mid.text() {
        Some(mid) => format!("{group}/{mid}"),
        None => {
            let at = delivery.timestamp.text().unwrap_or_default();
            let parts = [chat.unwrap_or_default(), user.unwrap_or_default(), at, text];
            format!("{group}/hash:{}", short_hash(parts.map(str::as_bytes)))
        }
    };
    let seen = visible(text, message.attachments.as_deref(), false);
    let conversation = conversation(group, delivery.recipient.as_ref(), delivery.sender.as_ref());
    item(MESSAGE, key, Some(seen), Some(conversation), body)
}

/// Makes an item of a comment below a discussion.
pub(super) fn comment(group: &str, kind: &str, discussion: &str, body: Bytes) -> Item {
    Sound::item(body, |body| read_comment(group, kind, discussion, body))
}

fn read_comment(group: &str, kind: &str, discussion: &str, body: Bytes) -> Item {
    let place = format!("{group}/{kind}/{discussion}");
    let comment: Comment = match parse_json_bounded(&body) {
        Ok(comment) => comment,
        Err(problem) => {
            let id = json::Members::of(&body).and_then(|comment| comment.read::<Text>("id"));
            return damaged(COMMENT, &place, id, body, problem);
        }
    };
    let Some(id) = comment.id.text() else {
        let problem = NormalizeError::new("unexpected_shape", "a comment without an id");
        return Item::malformed(COMMENT, body, problem);
    };
    let text = comment.text.text().unwrap_or_default();
    let seen = visible(text, comment.attachments.as_deref(), comment.is_removed());
    item(COMMENT, format!("{place}/{id}"), Some(seen), Some(place), body)
}

/// Makes an item of a topic.
pub(super) fn topic(group: &str, body: Bytes) -> Item {
    Sound::item(body, |body| read_topic(group, body))
}

fn read_topic(group: &str, body: Bytes) -> Item {
    let topic: Topic = match parse_json_bounded(&body) {
        Ok(topic) => topic,
        Err(problem) => {
            let id = json::Members::of(&body).and_then(|topic| topic.read::<Text>("id"));
            return damaged(TOPIC, &format!("{group}/{GROUP_TOPIC}"), id, body, problem);
        }
    };
    let Some(id) = topic.id.text() else {
        let problem = NormalizeError::new("unexpected_shape", "a topic without an id");
        return Item::malformed(TOPIC, body, problem);
    };
    let content = topic::content_of(topic.media.as_deref().unwrap_or_default());
    let references = content.attachments.iter().filter_map(|attachment| {
        let reference = attachment.unique_id.as_deref().or(attachment.url.as_deref())?;
        Some(format!("{} {reference}", attachment.kind.as_str()))
    });
    let seen = prints(&content.text, references.collect(), topic.on_moderation.is_true());
    let place = format!("{group}/{GROUP_TOPIC}/{id}");
    item(TOPIC, place.clone(), Some(seen), Some(place), body)
}

/// What can't be read, under the name of its sound repetition where that can be read. The bytes of its words tell its
/// versions apart: counters change by themselves.
fn damaged(format: &'static str, place: &str, id: Option<Text>, body: Bytes, problem: NormalizeError) -> Item {
    let members = json::Members::of(&body).unwrap_or_default();
    let telling =
        ["text", "media", "message", "type"].map(|name| members.raw(name).map_or(&[][..], |value| &value[..]));
    match id.and_then(Text::into_text) {
        Some(id) => Item {
            problem: Some(problem),
            ..item(format, format!("{place}/{id}"), Some(fingerprint(telling)), None, body)
        },
        None => Item::malformed(format, body, problem),
    }
}

/// An entry of a list that names nothing below which people write: held, so that somebody looks.
pub(super) fn unknown(format: &'static str, body: Bytes) -> Item {
    let problem = NormalizeError::new("unexpected_shape", "an entry of a list that names nothing");
    Item::malformed(format, body, problem)
}

/// The conversation of a private message: its chat, else the other side.
pub(super) fn conversation(group: &str, recipient: Option<&Party>, sender: Option<&Party>) -> String {
    let id = [recipient.map(|to| &to.chat_id), sender.map(|from| &from.user_id)]
        .into_iter()
        .flatten()
        .find_map(|id| id.text());
    format!("{group}/{}", id.unwrap_or("?"))
}

fn item(
    format: &'static str,
    external_id: String,
    fingerprint: Option<[u8; 16]>,
    conversation: Option<String>,
    body: Bytes,
) -> Item {
    Item {
        external_id,
        // The journal names versions by their fingerprint; what has none has one version only.
        revision: fingerprint.is_none().then(|| "0".into()),
        fingerprint,
        conversation,
        format,
        body,
        problem: None,
    }
}

fn visible(text: &str, list: Option<&[Value]>, removed: bool) -> [u8; 16] {
    prints(text, attachments::identities(list.unwrap_or_default()), removed)
}

fn prints(text: &str, references: Vec<String>, marked: bool) -> [u8; 16] {
    let mark = if marked { "1" } else { "0" };
    let parts = [text, mark].into_iter().chain(references.iter().map(String::as_str));
    fingerprint(parts.map(str::as_bytes))
}

fn short_hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().to_hex()[..HASH_DIGITS].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(message: Value) -> Item {
        super::message("57", Bytes::from(message.to_string()))
    }

    #[test]
    fn one_message_has_one_key_by_either_way() {
        let message = json!({"text": "яма", "seq": 91563512905728042_u64, "mid": "mid:C1.0145"});
        let delivered = of(
            json!({"webhookType": "MESSAGE_CREATED", "sender": {"user_id": "user:9"},
            "recipient": {"chat_id": "chat:C1"}, "message": message, "timestamp": 1_397_147_400_000_i64}),
        );
        let read = of(
            json!({"sender": {"user_id": "user:9", "name": "Оля"}, "recipient": {"chat_id": "chat:C1"},
            "message": message, "timestamp": 1_397_147_400_000_i64}),
        );
        assert_eq!(delivered.external_id, "57/mid:C1.0145");
        assert_eq!(delivered.conversation.as_deref(), Some("57/chat:C1"));
        assert_eq!(
            (&delivered.external_id, delivered.fingerprint),
            (&read.external_id, read.fingerprint)
        );
        assert_eq!(delivered.revision, None);
    }

    #[test]
    fn without_a_mid_the_content_is_the_key() {
        let thin = |text: &str| {
            of(
                json!({"sender": {"user_id": "user:9"}, "recipient": {"chat_id": "chat:C1"},
            "message": {"text": text}, "timestamp": 5}),
            )
        };
        assert_eq!(thin("яма").external_id, thin("яма").external_id);
        assert_ne!(thin("яма").external_id, thin("ямы").external_id);
        assert!(thin("яма").external_id.starts_with("57/hash:"));
    }

    #[test]
    fn a_removal_is_a_version_of_its_comment() {
        let comment = |kind: &str| {
            let body = json!({"id": "MTM5Nz/+=", "text": "да", "type": kind});
            super::comment("57", "GROUP_TOPIC", "62", Bytes::from(body.to_string()))
        };
        let (there, gone) = (comment("ACTIVE_MESSAGE"), comment("REMOVED_MESSAGE"));
        assert_eq!(there.external_id, "57/GROUP_TOPIC/62/MTM5Nz/+=");
        assert_eq!(there.external_id, gone.external_id);
        assert_ne!(there.fingerprint, gone.fingerprint);
    }

    #[test]
    fn strange_bodies_are_kept_with_a_reason() {
        for (body, reason) in [
            (&b"<html>"[..], "not_json"),
            (b"{\"message\":17}", "unexpected_shape"),
            (b"", "not_json"),
        ] {
            let item = super::message("57", Bytes::from_static(body));
            assert_eq!(item.problem.map(|problem| problem.reason), Some(reason));
            assert_eq!(item.body, body);
        }
        let nameless = super::comment("57", "GROUP_TOPIC", "62", Bytes::from_static(b"{}"));
        assert_eq!(nameless.problem.map(|problem| problem.reason), Some("unexpected_shape"));
    }
}
