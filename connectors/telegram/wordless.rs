//! Updates and messages without text, caption or files: known to hold no words, service messages that may hold some, or of
//! a kind this version does not know.
//!
//! The first are confirmed and left alone. Of a service message all words are taken, wherever they stand (tasks added to a
//! checklist, the name of a new topic, the data of a mini-app); fields that hold nobody's words are listed, not those that do.
//! The last are kept whole: new kinds appear several times a year, and
//! nobody can say beforehand whether a citizen's words are in them. Errors repeat field names only, never values.

use std::collections::BTreeMap;

use priem_sdk::{Message, NormalizeError, unread};
use serde_json::{Value, value::RawValue};

/// Update kinds that hold no citizen's words: confirmed and left alone.
const KNOWN_KINDS: &[&str] = &[
    "business_connection",
    "my_chat_member",
    "chat_member",
    "chat_join_request",
    "message_reaction",
    "message_reaction_count",
    "callback_query",
    "poll",
    "poll_answer",
    "inline_query",
    "chosen_inline_result",
    "shipping_query",
    "pre_checkout_query",
    "purchased_paid_media",
    "chat_boost",
    "removed_chat_boost",
    "managed_bot",
];

/// Fields that make a message a service message.
const SERVICE_FIELDS: &[&str] = &[
    "new_chat_members",
    "new_chat_member",
    "new_chat_participant",
    "left_chat_member",
    "left_chat_participant",
    "chat_owner_left",
    "chat_owner_changed",
    "new_chat_title",
    "new_chat_photo",
    "delete_chat_photo",
    "group_chat_created",
    "supergroup_chat_created",
    "channel_chat_created",
    "message_auto_delete_timer_changed",
    "migrate_to_chat_id",
    "migrate_from_chat_id",
    "pinned_message",
    "invoice",
    "successful_payment",
    "refunded_payment",
    "users_shared",
    "user_shared",
    "chat_shared",
    "gift",
    "unique_gift",
    "gift_upgrade_sent",
    "connected_website",
    "write_access_allowed",
    "passport_data",
    "proximity_alert_triggered",
    "boost_added",
    "chat_background_set",
    "checklist_tasks_done",
    "checklist_tasks_added",
    "direct_message_price_changed",
    "forum_topic_created",
    "forum_topic_edited",
    "forum_topic_closed",
    "forum_topic_reopened",
    "general_forum_topic_hidden",
    "general_forum_topic_unhidden",
    "giveaway_created",
    "giveaway",
    "giveaway_winners",
    "giveaway_completed",
    "managed_bot_created",
    "paid_message_price_changed",
    "poll_option_added",
    "poll_option_deleted",
    "suggested_post_approved",
    "suggested_post_approval_failed",
    "suggested_post_declined",
    "suggested_post_paid",
    "suggested_post_refunded",
    "video_chat_scheduled",
    "video_chat_started",
    "video_chat_ended",
    "video_chat_participants_invited",
    "voice_chat_scheduled",
    "voice_chat_started",
    "voice_chat_ended",
    "voice_chat_participants_invited",
    "web_app_data",
];

/// Of these, the ones whose texts are not the author's words: names of chats, people, goods and places in shops, terms of
/// games, and messages that are published by themselves.
const NOBODYS_WORDS: &[&str] = &[
    "new_chat_title",
    "pinned_message",
    "invoice",
    "successful_payment",
    "refunded_payment",
    "chat_shared",
    "unique_gift",
    "connected_website",
    "write_access_allowed",
    "passport_data",
    "giveaway_created",
    "giveaway",
    "giveaway_winners",
    "giveaway_completed",
    "managed_bot_created",
];

/// Parts of a service message that are not its own words: other messages, chats, marks in a text, what the bot wrote.
fn is_foreign_part(key: &str) -> bool {
    let endings = ["message", "chat", "entities", "sticker", "button_text"];
    endings.iter().any(|ending| key.ends_with(ending))
}

/// No payload we read: known to be of no interest, or unknown.
pub(super) fn update(body: &[u8]) -> Result<Vec<Message>, NormalizeError> {
    let mut kinds = fields(body);
    kinds.remove("update_id");
    if kinds.is_empty() {
        return Err(NormalizeError::new("unknown_kind", "the update carries nothing"));
    }
    if kinds.keys().any(|kind| KNOWN_KINDS.contains(&kind.as_str())) {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = kinds.keys().map(|kind| unread::shown(kind)).collect();
    Err(NormalizeError::new(
        "unknown_kind",
        format!("not a known kind of update: {}", names.join(", ")),
    ))
}

/// The words of a message without any content we read: a service message. `None` when nobody says anything in it.
///
/// # Errors
/// It is content of a new kind.
pub(super) fn message(body: &[u8]) -> Result<Option<String>, NormalizeError> {
    let mut update = fields(body);
    update.remove("update_id");
    let message = update
        .values()
        .next()
        .map(|payload| fields(payload.get().as_bytes()))
        .unwrap_or_default();
    let is_known = |field: &&String| SERVICE_FIELDS.contains(&field.as_str());
    if message.keys().any(|field| is_known(&field)) {
        let said = message.iter().filter(|(field, _)| is_known(field));
        let said = said.filter(|(field, _)| !NOBODYS_WORDS.contains(&field.as_str()));
        let words: Vec<String> = said.flat_map(|(field, value)| words_of(field, value)).collect();
        return Ok((!words.is_empty()).then(|| words.join("\n")));
    }
    let names: Vec<&str> = message.keys().map(|field| unread::shown(field)).collect();
    Err(NormalizeError::new(
        "unknown_content",
        format!(
            "the message has no content this version knows; its fields: {}",
            names.join(", ")
        ),
    ))
}

fn words_of(field: &str, value: &RawValue) -> Vec<String> {
    let value: Value = serde_json::from_str(value.get()).unwrap_or_default();
    // What a mini-app sends is what somebody filled in, whatever it looks like.
    if let ("web_app_data", Some(data)) = (field, value["data"].as_str()) {
        return Some(unread::form(data))
            .filter(|data| !data.is_empty())
            .into_iter()
            .collect();
    }
    unread::words_in(&value, &is_foreign_part)
}

fn fields(object: &[u8]) -> BTreeMap<String, &RawValue> {
    serde_json::from_slice(object).unwrap_or_default()
}
