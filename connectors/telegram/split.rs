//! From bytes to items: the key of an update, before anything in it is understood.
//!
//! Identity:
//! - a message is `<chat>:<message>`; business messages are prefixed with their connection, guest messages with
//!   `guest`, because both come from chats whose ids may coincide with chats the bot knows;
//! - a new message is revision `0`, an edit `<edit_date>.<update_id>`: delivered again, both keep their names;
//! - everything else is `update:<update_id>:<hash of the bytes>`: update ids restart at random after a quiet week, so
//!   an id alone says nothing.

use bytes::Bytes;
use priem_sdk::{
    Item, NormalizeError,
    json::{self, Sound},
    webhook::{describe, not_found},
};
use serde::Deserialize;

use super::glance::{ChatId, Glance};

/// Shape of every item of this connector.
pub(super) const FORMAT: &str = "telegram.update";

/// The same from a chat that lives on in the place of a listed one: it counts as listed.
pub(super) const FOLLOWED: &str = "telegram.followed";

/// An update split off a batch or a webhook body.
pub(super) struct Split {
    /// Its id, when it has one.
    pub update_id: Option<i64>,
    /// The item to store.
    pub item: Item,
}

/// Payloads with a message inside; the last one is read in a world of its own.
pub(super) const WITH_MESSAGE: [&str; 7] = [
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_message",
    "edited_business_message",
    GUEST,
];
const GUEST: &str = "guest_message";

/// Makes an item of one update. Never fails: what can't be understood becomes an item with a problem.
pub(super) fn split(body: Bytes) -> Split {
    let sound = Sound::of(body);
    let split = read(sound.body.clone());
    Split {
        item: sound.hold(split.item),
        ..split
    }
}

fn read(body: Bytes) -> Split {
    let members = json::Members::of(&body);
    let update_id = members.as_ref().and_then(|update| update.number("update_id"));
    let (Some(update), Some(update_id)) = (members, update_id) else {
        let problem = not_found(&body, "not an update: `update_id` is missing or no number");
        return Split {
            update_id: None,
            item: Item::malformed(FORMAT, body, problem),
        };
    };
    let payload = WITH_MESSAGE
        .into_iter()
        .find_map(|name| Some((update.raw(name)?, name == GUEST)));
    let itself = || format!("update:{update_id}:{}", short_hash(&body));
    let (key, problem) = match payload {
        Some((raw, guest)) => match serde_json::from_slice::<Glance<'_>>(raw) {
            Ok(glance) => (message_key(update_id, &glance, guest, itself), None),
            Err(error) => {
                let why = format!("the message of update {update_id} can't be read: {}", describe(&error));
                let key = loose_key(update_id, raw, guest).unwrap_or_else(|| update_key(itself(), None));
                (key, Some(NormalizeError::new("unexpected_shape", why)))
            }
        },
        None => {
            let conversation = update.raw("deleted_business_messages").and_then(deleted_conversation);
            (update_key(itself(), conversation), None)
        }
    };
    Split {
        update_id: Some(update_id),
        item: Item {
            external_id: key.external_id,
            revision: Some(key.revision),
            fingerprint: key.fingerprint,
            conversation: key.conversation,
            format: FORMAT,
            body,
            problem,
        },
    }
}

/// The key of a message that can't be read as one, by what can be read of it: its sound repetition has the same.
fn loose_key(update_id: i64, raw: &Bytes, guest: bool) -> Option<Key> {
    let message = json::Members::of(raw)?;
    let id = message.number("message_id").filter(|id| *id != 0)?;
    let connection: Option<String> = message.read("business_connection_id");
    let conversation = conversation(message.object("chat")?.number("id")?, connection.as_deref(), guest);
    Some(Key {
        external_id: format!("{conversation}:{id}"),
        revision: revision(message.number("edit_date"), update_id),
        conversation: Some(conversation),
        fingerprint: None,
    })
}

/// Name of a version.
fn revision(edited: Option<i64>, update_id: i64) -> String {
    edited.map_or_else(|| "0".into(), |edited| format!("{edited}.{update_id}"))
}

/// First 8 hex digits of the hash of the bytes.
fn short_hash(body: &[u8]) -> String {
    blake3::hash(body).to_hex()[..8].to_owned()
}

struct Key {
    external_id: String,
    revision: String,
    conversation: Option<String>,
    fingerprint: Option<[u8; 16]>,
}

/// Key of an update that is no version of a message.
fn update_key(itself: String, conversation: Option<String>) -> Key {
    Key {
        external_id: itself,
        revision: "0".into(),
        conversation,
        fingerprint: None,
    }
}

/// Message id 0 ("not usable yet") names nothing: there the update names itself.
fn message_key(update_id: i64, glance: &Glance<'_>, guest: bool, itself: impl FnOnce() -> String) -> Key {
    let conversation = conversation(glance.chat.id, glance.business_connection_id.as_deref(), guest);
    if glance.message_id == 0 {
        return update_key(itself(), Some(conversation));
    }
    Key {
        external_id: format!("{conversation}:{}", glance.message_id),
        revision: revision(glance.edit_date, update_id),
        conversation: Some(conversation),
        fingerprint: Some(glance.visible()),
    }
}

/// Name of a conversation: the chat, prefixed where chat ids live in a world of their own.
pub(super) fn conversation(chat: i64, business_connection: Option<&str>, guest: bool) -> String {
    match business_connection {
        Some(connection) if !connection.is_empty() => format!("{connection}:{chat}"),
        _ if guest => format!("guest:{chat}"),
        _ => chat.to_string(),
    }
}

fn deleted_conversation(raw: &Bytes) -> Option<String> {
    #[derive(Deserialize)]
    struct Deleted {
        business_connection_id: String,
        chat: ChatId,
    }
    let deleted: Deleted = json::from_slice(raw).ok()?;
    Some(conversation(
        deleted.chat.id,
        Some(&deleted.business_connection_id),
        false,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(update: &serde_json::Value) -> Item {
        split(Bytes::from(update.to_string())).item
    }

    fn message(update_id: i64, text: &str, edit_date: Option<i64>) -> serde_json::Value {
        let kind = if edit_date.is_some() {
            "edited_message"
        } else {
            "message"
        };
        let mut update = json!({"update_id": update_id});
        update[kind] = json!({"message_id": 7, "date": 1, "chat": {"id": -100123, "type": "supergroup"}, "text": text});
        if let Some(at) = edit_date {
            update[kind]["edit_date"] = at.into();
        }
        update
    }

    #[test]
    fn an_edit_is_a_revision_of_the_same_object() {
        let new = item(&message(10, "яма", None));
        let edited = item(&message(11, "ямы", Some(5)));
        assert_eq!(new.external_id, "-100123:7");
        assert_eq!(edited.external_id, new.external_id);
        assert_eq!(new.revision.as_deref(), Some("0"));
        assert_eq!(edited.revision.as_deref(), Some("5.11"));
        assert_ne!(edited.fingerprint, new.fingerprint);
    }

    #[test]
    fn an_edit_that_shows_nothing_new_has_the_same_fingerprint() {
        let new = item(&message(10, "яма", None));
        let mut touched = message(11, "яма", Some(5));
        touched["edited_message"]["link_preview_options"] = json!({"is_disabled": true});
        assert_eq!(item(&touched).fingerprint, new.fingerprint);
    }

    #[test]
    fn a_live_location_does_not_drift_but_its_last_point_counts() {
        let at = |id: i64, lat: f64, live: bool| {
            let mut location = json!({"latitude": lat, "longitude": 56.0});
            if live {
                location["live_period"] = 900.into();
            }
            item(&json!({"update_id": id, "edited_message":
                {"message_id": 1, "edit_date": id, "date": 1, "chat": {"id": 5}, "location": location}}))
            .fingerprint
        };
        assert_eq!(at(1, 58.0, true), at(2, 58.1, true));
        assert_ne!(at(2, 58.1, true), at(3, 58.1, false));
    }

    #[test]
    fn votes_and_new_file_ids_show_nothing_new() {
        let poll = |votes: i64| {
            item(
                &json!({"update_id": 1, "message": {"message_id": 1, "chat": {"id": 5}, "poll":
                {"id": "p", "question": "Где лавка?", "options": [{"text": "тут", "voter_count": votes}]}}}),
            )
            .fingerprint
        };
        assert_eq!(poll(0), poll(9));
        let photo = |file_id: &str| {
            item(
                &json!({"update_id": 1, "message": {"message_id": 1, "chat": {"id": 5}, "photo":
                [{"file_id": file_id, "file_unique_id": "u"}]}}),
            )
            .fingerprint
        };
        assert_eq!(photo("a"), photo("b"));
    }

    #[test]
    fn the_same_update_id_with_another_body_is_another_item() {
        let one = item(&json!({"update_id": 1, "my_chat_member": {"date": 1}}));
        let other = item(&json!({"update_id": 1, "my_chat_member": {"date": 2}}));
        assert_ne!(one.external_id, other.external_id);
        assert!(one.external_id.starts_with("update:1:"));
    }

    #[test]
    fn message_id_zero_names_nothing() {
        let zero = item(&json!({"update_id": 3, "message": {"message_id": 0, "chat": {"id": 5}, "text": "x"}}));
        assert!(zero.external_id.starts_with("update:3:"), "{}", zero.external_id);
        assert_eq!(zero.problem, None);
    }

    #[test]
    fn strange_updates_are_kept_with_a_reason() {
        for (body, reason, has_id) in [
            (&b"<html>"[..], "not_json", false),
            (b"[]", "unexpected_shape", false),
            (b"{\"message\":{}}", "unexpected_shape", false),
            (b"{\"update_id\":\"seven\"}", "unexpected_shape", false),
            (b"{\"update_id\":7,\"message\":{\"chat\":1}}", "unexpected_shape", true),
        ] {
            let split = split(Bytes::from_static(body));
            assert_eq!(split.item.problem.as_ref().map(|problem| problem.reason), Some(reason));
            assert_eq!(split.update_id.is_some(), has_id);
            assert_eq!(split.item.body, body);
        }
    }

    #[test]
    fn a_damaged_message_has_the_key_of_its_sound_repetition() {
        let sound = item(&message(10, "яма", None));
        let text = message(10, "яма", None).to_string();
        let damages = [
            text.replace("яма", "яма\u{1}").into_bytes(),
            text.replace("\"message_id\":7", "\"message_id\":\"7\"").into_bytes(),
            [&text.as_bytes()[..text.len() - 1], b",\"x\":\"\xFF\"}"].concat(),
        ];
        for damaged in damages {
            let held = split(Bytes::from(damaged.clone()));
            assert_eq!((held.update_id, held.item.body.as_ref()), (Some(10), &damaged[..]));
            assert!(held.item.problem.is_some());
            assert_eq!(held.item.external_id, sound.external_id);
            assert_eq!(held.item.revision, sound.revision);
        }
    }

    #[test]
    fn business_and_guest_chats_have_a_world_of_their_own() {
        let business = item(&json!({"update_id": 1, "business_message":
            {"message_id": 4, "business_connection_id": "bc1", "chat": {"id": 5}}}));
        assert_eq!(business.external_id, "bc1:5:4");
        assert_eq!(business.conversation.as_deref(), Some("bc1:5"));
        let guest = item(&json!({"update_id": 1, "guest_message": {"message_id": 4, "chat": {"id": 5}}}));
        assert_eq!(guest.external_id, "guest:5:4");
    }
}
