//! Kinds of updates: with a citizen's words, without any, and those this version does not know.
//!
//! Unknown kinds are kept whole: the API grows several times a year (comments appeared in 0.0.33), and nobody can say
//! beforehand whether a citizen's words are in a new kind.

use priem_sdk::unread;

/// What an update does to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// A new message or comment.
    Created,
    /// The same message with a new body.
    Edited,
    /// Only its id is told.
    Removed,
}

/// Kinds with a citizen's words. A subscription that leaves one out is reported and renewed.
pub(super) const WITH_WORDS: [&str; 6] = [
    "message_created",
    "message_edited",
    "message_removed",
    "comment_created",
    "comment_edited",
    "comment_removed",
];

/// The person came to the bot.
pub(super) const STARTED: &str = "bot_started";

/// Kinds that are about no message. What looks like words in one is published.
const WORDLESS: [&str; 16] = [
    "message_callback",
    "bot_started",
    "bot_stopped",
    "bot_added",
    "bot_removed",
    "bot_admin_permissions_changed",
    "dialog_cleared",
    "dialog_muted",
    "dialog_unmuted",
    "dialog_removed",
    "user_added",
    "user_removed",
    "chat_title_changed",
    "message_chat_created",
    "message_construction_request",
    "message_constructed",
];

/// What a kind does to a message; `None` for every other kind.
pub(super) fn act_of(kind: &str) -> Option<Act> {
    Some(match kind {
        "message_created" | "comment_created" => Act::Created,
        "message_edited" | "comment_edited" => Act::Edited,
        "message_removed" | "comment_removed" => Act::Removed,
        _ => return None,
    })
}

/// Whether a kind is about a comment below a channel post.
pub(super) fn is_comment(kind: &str) -> bool {
    kind.starts_with("comment_")
}

/// Whether a kind is known and about no message.
pub(super) fn is_wordless(kind: &str) -> bool {
    WORDLESS.contains(&kind)
}

/// Kinds of these in which nobody but the bot or the chat itself says something: a pressed button, the name of a chat.
const NOBODYS_WORDS: [&str; 2] = ["message_callback", "chat_title_changed"];
/// Parts that name people and chats, or are messages of their own.
const FOREIGN: [&str; 4] = ["message", "user", "chat", "callback"];

/// Whatever looks like words in an update about no message.
pub(super) fn words_of(kind: &str, body: &[u8]) -> Vec<String> {
    if NOBODYS_WORDS.contains(&kind) {
        return Vec::new();
    }
    let update = serde_json::from_slice(body).unwrap_or_default();
    unread::words_in(&update, &|key| FOREIGN.contains(&key))
}
