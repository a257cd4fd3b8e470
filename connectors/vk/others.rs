//! Events that are no message, post or comment: an answered form, an order, a film or a picture given to the community, the
//! data of a mini-app.
//!
//! Whatever looks like words in such an event becomes a message: nobody can list beforehand in which of its fields a person
//! will write. Listed are only the events in which nobody but the community itself says something.

use jiff::Timestamp;
use priem_sdk::{
    MessageData, RawItem,
    message::{Kind, Moment, Regime},
    unread,
};
use serde_json::{Value, value::RawValue};

use super::{
    attachments,
    normalize::{Policy, author, plain},
};

/// Events whose texts are the community's own: its settings, notes about people it has banned, posts to come, what stands
/// on buttons, titles of songs.
const OF_THE_COMMUNITY: [&str; 10] = [
    "audio_new",
    "confirmation",
    "group_change_photo",
    "group_change_settings",
    "group_officers_edit",
    "message_event",
    "user_block",
    "user_unblock",
    "wall_schedule_post_delete",
    "wall_schedule_post_new",
];
/// Parts in which others are named, or goods of the community.
const FOREIGN: [&str; 5] = ["recipient", "preview_order_items", "items", "sizes", "user"];

/// The message in an event without a message: none when nobody says anything.
pub(super) fn message(
    raw: &RawItem,
    policy: Policy,
    group: i64,
    kind: &str,
    object: Option<&RawValue>,
) -> Vec<priem_sdk::Message> {
    if OF_THE_COMMUNITY.contains(&kind) {
        return Vec::new();
    }
    let object: Value = object
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default();
    let said = unread::words_in(&object, &|key| FOREIGN.contains(&key));
    if said.is_empty() {
        return Vec::new();
    }
    let from = ["user_id", "from_id"].iter().find_map(|key| object[*key].as_i64());
    let owner = object["owner_id"].as_i64();
    // What lies in the community without somebody's name is its own.
    let from = from.or(owner);
    let own = matches!(from, Some(id) if id == -group || id == super::normalize::UPLOADED_BY_COMMUNITY);
    if own && !policy.own_words {
        return Vec::new();
    }
    let form = if owner.is_some() { Kind::Post } else { Kind::Direct };
    let mut data = MessageData::new("vk", form, Regime::OpenSourceMessage);
    data.subchannel = Some(kind.to_owned());
    data.body.text = said.iter().map(|text| plain(text).text).collect::<Vec<_>>().join("\n");
    data.author = author(from, own, group);
    let person = from.filter(|id| *id > 0 && owner.is_none());
    data.external.conversation = person.map(|id| format!("im{group}_{id}"));
    data.extra.insert("community".into(), group.to_string().into());
    let at = object["date"].as_i64().filter(|at| *at > 0);
    data.times.occurred = at
        .and_then(|at| Timestamp::from_second(at).ok())
        .map(Moment::from_instant);
    if let Some(media) = kind.strip_suffix("_new").filter(|_| owner.is_some()) {
        let entry = serde_json::json!({"type": media, media: object});
        data.attachments = attachments::read(std::slice::from_ref(&entry));
    }
    vec![raw.message(priem_sdk::EventType::Received, data)]
}
