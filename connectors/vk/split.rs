//! From bytes to items: the key of an object, before anything in it is understood.
//!
//! Long poll, callback and polling bring the same objects, and polled ones carry no `event_id`, so the natural key is
//! the identity and all three make the same:
//! - a message is `im<group>_<peer>_<conversation_message_id>` (`id` is 0 in group chats);
//! - a post is `wall<owner>_<id>`, a comment `<place><owner>_<parent>_<id>`, where the owner is the one the events name
//!   (`post_owner_id` …) before `owner_id`;
//! - what carries no usable ids, or no citizen's words, is named by its `event_id` or the hash of its bytes.
//!
//! Versions: a new comment or message is revision `0`, so that a late redelivery changes nothing; an edit, a deletion
//! and a restoration are named by their `event_id`; polled objects and posts by their content. The fingerprint covers
//! what a reader sees: text, attached objects by their ids, the point, the kind of post. Counters and signed addresses
//! of pictures change by themselves and don't count.

use bytes::Bytes;
use priem_sdk::{
    Item,
    contract::fingerprint,
    json::{self, Sound},
    webhook::not_found,
};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{
    attachments,
    event::{self, Act, Event, Subject},
    geo, keys,
};

/// Shape of every item: the envelope of an event. Polled objects are wrapped the same way.
pub(super) const FORMAT: &str = "vk.event";

/// Ids of an object and what a reader sees of it; messages, posts, comments and deletions share the names.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Glance {
    pub id: Option<i64>,
    pub peer_id: Option<i64>,
    pub conversation_message_id: Option<i64>,
    pub owner_id: Option<i64>,
    pub post_owner_id: Option<i64>,
    pub topic_owner_id: Option<i64>,
    pub photo_owner_id: Option<i64>,
    pub video_owner_id: Option<i64>,
    pub market_owner_id: Option<i64>,
    pub post_id: Option<i64>,
    pub topic_id: Option<i64>,
    pub photo_id: Option<i64>,
    pub pid: Option<i64>,
    pub video_id: Option<i64>,
    pub item_id: Option<i64>,
    text: Option<String>,
    post_type: Option<String>,
    attachments: Option<Vec<Value>>,
    geo: Option<Value>,
    copy_history: Option<Vec<Glance>>,
    fwd_messages: Option<Vec<Value>>,
    deleted: Option<Value>,
}

/// Makes an item of one event. Never fails: what can't be understood becomes an item with a problem.
pub(super) fn item(body: Bytes) -> Item {
    Sound::item(body, read)
}

fn read(body: Bytes) -> Item {
    let members = json::Members::of(&body);
    let envelope = members.as_ref().and_then(|event| {
        let kind: String = event.read("type")?;
        Some((event, kind, event.number("group_id")?))
    });
    let Some((event, kind, group)) = envelope else {
        let problem = not_found(
            &body,
            "not an event: `type` and `group_id` are missing or of another type",
        );
        return Item::malformed(FORMAT, body, problem);
    };
    let event_id: Option<String> = event.read("event_id");
    let event_id = event_id.filter(|id| !id.is_empty() && id.len() <= 128);
    let itself = || Item {
        external_id: match &event_id {
            Some(id) => format!("event:{group}:{id}"),
            None => format!("event:{group}:{}", &blake3::hash(&body).to_hex()[..32]),
        },
        revision: Some("0".into()),
        fingerprint: None,
        conversation: None,
        format: FORMAT,
        body: body.clone(),
        problem: None,
    };
    let Event::Words(subject, act) = event::read(&kind) else {
        return itself();
    };
    // Whether the object holds something is for `normalize` to say: `{"warning": …}` has its own reason.
    let Some(glance) = event.raw("object").and_then(|raw| glance(subject, raw)) else {
        return itself();
    };
    let Some(names) = keys::names(subject, group, &glance) else {
        return itself();
    };
    let deleted = act == Act::Delete || glance.deleted.as_ref().is_some_and(super::api::is_set);
    Item {
        external_id: names.id,
        revision: match (subject, act) {
            (Subject::Post, _) | (_, Act::Seen) => None,
            (_, Act::New) => Some("0".into()),
            (_, Act::Edit | Act::Restore | Act::Delete) => event_id,
        },
        fingerprint: Some(if deleted {
            fingerprint([&b"deleted"[..]])
        } else {
            visible(&glance)
        }),
        conversation: Some(names.conversation),
        format: FORMAT,
        body,
        problem: None,
    }
}

/// Wraps a polled object as an event, so that one reader understands both. The object stays as it came, but for the ids
/// that it leaves out.
pub(super) fn seen(kind: &str, group: i64, object: &Bytes, ids: &[(&str, i64)]) -> Item {
    let mut event = format!("{{\"type\":\"{kind}\",\"group_id\":{group},\"object\":").into_bytes();
    event.extend_from_slice(object);
    if let Some(known) = json::Members::of(object) {
        event.truncate(event.trim_ascii_end().len() - 1);
        for (name, id) in ids.iter().filter(|(name, _)| !known.has(name)) {
            if !event.ends_with(b"{") {
                event.push(b',');
            }
            event.extend(format!("\"{name}\":{id}").bytes());
        }
        event.push(b'}');
    }
    event.push(b'}');
    item(event.into())
}

/// Whether VK has cut the message for bots: it has to be read again as a whole.
pub(super) fn is_cropped(body: &[u8]) -> bool {
    const KEY: &[u8] = b"\"is_cropped\"";
    let Some(at) = body.windows(KEY.len()).position(|window| window == KEY) else {
        return false;
    };
    let mut value = body[at + KEY.len()..]
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace() && **byte != b':');
    matches!(value.next(), Some(b't' | b'1'))
}

/// The object of an event of this subject: `message_new` holds its message one level deeper since 5.103.
pub(super) fn inner(subject: Subject, raw: &RawValue) -> &str {
    #[derive(Deserialize)]
    struct Nested<'a> {
        #[serde(borrow)]
        message: &'a RawValue,
    }
    if subject == Subject::Message
        && let Ok(Nested { message }) = serde_json::from_str::<Nested<'_>>(raw.get())
    {
        return message.get();
    }
    raw.get()
}

/// What can be seen of an object: at least its ids, when a field of it can't be read. The bytes of its text then tell its
/// versions apart (counters change by themselves), and `normalize` says what is wrong.
fn glance(subject: Subject, raw: &Bytes) -> Option<Glance> {
    let object = match json::Members::of(raw)?.raw("message") {
        Some(message) if subject == Subject::Message && message.starts_with(b"{") => message.clone(),
        _ => raw.clone(),
    };
    if let Ok(glance) = json::from_slice(&object) {
        return Some(glance);
    }
    let members = json::Members::of(&object)?;
    let ids = members.numbers().filter(|(name, _)| name.ends_with("id"));
    let ids: Map<String, Value> = ids.map(|(name, id)| (name.to_owned(), id.into())).collect();
    let glance: Glance = serde_json::from_value(Value::Object(ids)).ok()?;
    let telling = ["text", "edited", "deleted"].map(|name| members.raw(name).map_or(&[][..], |value| &value[..]));
    Some(Glance {
        text: Some(format!("{:x?}", fingerprint(telling))),
        ..glance
    })
}

fn visible(glance: &Glance) -> [u8; 16] {
    let text = priem_sdk::text::decode_entities(glance.text.as_deref().unwrap_or_default());
    let point = glance.geo.as_ref().and_then(geo::point);
    let point = point
        .map(|geo| format!("{:.6} {:.6}", geo.lat, geo.lon))
        .unwrap_or_default();
    let attached = attachments::references(glance.attachments.as_deref().unwrap_or_default());
    let reposted: Vec<String> = glance
        .copy_history
        .iter()
        .flatten()
        .map(|post| format!("{:?} {:?}", post.owner_id, post.id))
        .collect();
    let forwarded = glance.fwd_messages.as_ref().map_or(0, Vec::len).to_string();
    let suggested = glance.post_type.as_deref() == Some("suggest");
    fingerprint([
        text.as_bytes(),
        point.as_bytes(),
        attached.as_bytes(),
        reposted.join("\u{1f}").as_bytes(),
        forwarded.as_bytes(),
        if suggested { &b"suggest"[..] } else { b"" },
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(event: Value) -> Item {
        item(Bytes::from(event.to_string()))
    }

    #[test]
    fn every_way_gives_one_object_one_key() {
        let comment = json!({"id": 7, "from_id": 5, "date": 1, "text": "яма", "post_id": 3, "post_owner_id": -9});
        let pushed = of(json!({"type": "wall_reply_new", "group_id": 9, "event_id": "e1", "object": comment}));
        let polled =
            json!({"id": 7, "from_id": 5, "date": 1, "text": "яма", "thread": {"count": 0}, "likes": {"count": 4}});
        let polled = seen(
            "wall_reply_seen",
            9,
            &polled.to_string().into(),
            &[("owner_id", -9), ("post_id", 3)],
        );
        assert_eq!(pushed.external_id, "wall-9_3_7");
        assert_eq!(pushed.conversation.as_deref(), Some("wall-9_3"));
        assert_eq!(
            (pushed.revision.as_deref(), polled.revision.as_deref()),
            (Some("0"), None)
        );
        assert_eq!(
            (&pushed.external_id, &pushed.conversation, pushed.fingerprint),
            (&polled.external_id, &polled.conversation, polled.fingerprint)
        );
    }

    #[test]
    fn the_owner_the_event_names_wins_and_an_unsigned_one_means_the_community() {
        let key = |object: Value| of(json!({"type": "photo_comment_new", "group_id": 9, "object": object})).external_id;
        assert_eq!(
            key(json!({"id": 1, "photo_id": 2, "owner_id": 5, "photo_owner_id": -9})),
            "photo-9_2_1"
        );
        assert_eq!(key(json!({"id": 1, "pid": 2, "photo_owner_id": 9})), "photo-9_2_1");
        assert_eq!(key(json!({"id": 1, "photo_id": 2, "owner_id": 77})), "photo77_2_1");
        assert_eq!(key(json!({"id": 1, "photo_id": 2})), "photo-9_2_1");
    }

    #[test]
    fn both_shapes_of_a_new_message_are_one_message() {
        let message =
            json!({"id": 0, "conversation_message_id": 4, "peer_id": 2_000_000_001_i64, "from_id": 5, "text": "x"});
        let flat = of(json!({"type": "message_new", "group_id": 9, "object": message}));
        let nested =
            of(json!({"type": "message_new", "group_id": 9, "object": {"message": message, "client_info": {}}}));
        assert_eq!(flat.external_id, "im9_2000000001_4");
        assert_eq!(
            (&flat.external_id, flat.fingerprint),
            (&nested.external_id, nested.fingerprint)
        );
    }

    #[test]
    fn a_deletion_and_a_restoration_are_versions_of_the_comment() {
        let event = |kind: &str, id: &str, object: Value| {
            of(json!({"type": kind, "group_id": 9, "event_id": id, "object": object}))
        };
        let ids = json!({"id": 7, "post_id": 3, "post_owner_id": -9, "text": "яма"});
        let new = event("wall_reply_new", "a", ids.clone());
        let deleted = event(
            "wall_reply_delete",
            "b",
            json!({"id": 7, "owner_id": -9, "post_id": 3, "deleter_id": 1}),
        );
        let restored = event("wall_reply_restore", "c", ids);
        assert_eq!(new.external_id, deleted.external_id);
        assert_eq!(deleted.revision.as_deref(), Some("b"));
        assert_ne!(new.fingerprint, deleted.fingerprint);
        assert_eq!(new.fingerprint, restored.fingerprint);
    }

    #[test]
    fn counters_and_signed_addresses_show_nothing_new() {
        let post = |views: i64, url: &str| {
            of(
                json!({"type": "wall_post_new", "group_id": 9, "object": {"id": 1, "owner_id": -9, "text": "a",
                "views": {"count": views}, "attachments": [{"type": "photo", "photo": {"id": 3, "owner_id": -9,
                "sizes": [{"type": "x", "url": url}]}}]}}),
            )
            .fingerprint
        };
        assert_eq!(post(1, "https://a"), post(2, "https://b"));
    }

    #[test]
    fn a_damaged_event_has_the_key_of_its_sound_repetition() {
        let sound = json!({"type": "wall_reply_new", "group_id": 9, "event_id": "e",
            "object": {"id": 7, "post_id": 3, "post_owner_id": -9, "text": "яма"}});
        let text = sound.to_string();
        let sound = of(sound);
        let damages = [
            text.replace("яма", "яма\u{1}").into_bytes(),
            text.replace("\"id\":7", "\"id\":\"7\"").into_bytes(),
            text.replace("\"яма\"", "[[7]]").into_bytes(),
            [&text.as_bytes()[..text.len() - 1], b",\"x\":\"\xFF\"}"].concat(),
        ];
        for damaged in damages {
            let held = item(Bytes::from(damaged.clone()));
            assert_eq!(held.body.as_ref(), &damaged[..]);
            assert_eq!(
                (&held.external_id, &held.revision),
                (&sound.external_id, &sound.revision)
            );
        }
    }

    #[test]
    fn a_cut_message_is_seen_from_outside() {
        assert!(is_cropped(br#"{"object":{"is_cropped" : true}}"#) && is_cropped(br#"{"is_cropped":1}"#));
        assert!(!is_cropped(br#"{"is_cropped":false}"#) && !is_cropped(b"{}") && !is_cropped(br#""is_cropped""#));
    }

    #[test]
    fn what_has_no_ids_is_named_by_its_event() {
        for (event, id) in [
            (
                json!({"type": "wall_reply_new", "group_id": 9, "event_id": "e", "object": {"id": 1}}),
                "event:9:e",
            ),
            (
                json!({"type": "like_add", "group_id": 9, "event_id": "e", "object": {}}),
                "event:9:e",
            ),
            (
                json!({"type": "message_new", "group_id": 9, "event_id": "e", "object": {"warning": "old"}}),
                "event:9:e",
            ),
        ] {
            assert_eq!(of(event).external_id, id);
        }
        assert!(
            of(json!({"type": "like_add", "group_id": 9}))
                .external_id
                .starts_with("event:9:")
        );
        for (body, reason) in [
            ("<html>", "not_json"),
            ("[]", "unexpected_shape"),
            ("{}", "unexpected_shape"),
        ] {
            let item = item(Bytes::from_static(body.as_bytes()));
            assert_eq!(item.problem.map(|problem| problem.reason), Some(reason), "{body}");
        }
    }
}
