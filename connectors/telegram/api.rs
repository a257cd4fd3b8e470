//! Wire types of the Bot API, as far as a citizen's words need them.
//!
//! Everything is optional except ids: fields that the newest version calls required are missing in older captures and
//! on third-party servers. Unknown fields are ignored, numbers are `i64` (ids use up to 52 bits, sizes pass 2^31).

use serde::Deserialize;

/// The answer to any call: `{"ok":true,"result":…}` or `{"ok":false,"error_code":…}`.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<T> {
    pub ok: bool,
    pub result: Option<T>,
    pub description: Option<String>,
    pub parameters: Option<ResponseParameters>,
}

/// Hints in a refused call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) struct ResponseParameters {
    /// Seconds to stay silent.
    pub retry_after: Option<u64>,
    /// The group lives on as this supergroup.
    pub migrate_to_chat_id: Option<i64>,
}

/// An update, with the payloads that may hold a citizen's words; boxed, because moving seven of them costs more than
/// reading one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Update {
    pub message: Option<Box<Message>>,
    pub edited_message: Option<Box<Message>>,
    pub channel_post: Option<Box<Message>>,
    pub edited_channel_post: Option<Box<Message>>,
    pub business_message: Option<Box<Message>>,
    pub edited_business_message: Option<Box<Message>>,
    pub guest_message: Option<Box<Message>>,
    pub deleted_business_messages: Option<BusinessMessagesDeleted>,
}

/// Messages removed from a business account's chat: the only deletion the Bot API reports.
#[derive(Debug, Deserialize)]
pub(super) struct BusinessMessagesDeleted {
    pub business_connection_id: String,
    pub chat: Chat,
    #[serde(default)]
    pub message_ids: Vec<i64>,
}

/// A message of any chat.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub message_id: i64,
    pub chat: Chat,
    #[serde(default)]
    pub date: i64,
    pub edit_date: Option<i64>,
    pub message_thread_id: Option<i64>,
    pub direct_messages_topic: Option<DirectMessagesTopic>,
    pub from: Option<User>,
    pub sender_chat: Option<Chat>,
    pub sender_business_bot: Option<User>,
    pub business_connection_id: Option<String>,
    pub via_bot: Option<User>,
    #[serde(default)]
    pub is_topic_message: bool,
    #[serde(default)]
    pub is_automatic_forward: bool,
    #[serde(default)]
    pub has_protected_content: bool,
    pub forward_origin: Option<MessageOrigin>,
    // Flat forms of the origin before Bot API 7.0; old captures and third-party servers still have them.
    pub forward_from_chat: Option<Chat>,
    pub forward_from_message_id: Option<i64>,
    pub forward_date: Option<i64>,
    pub reply_to_message: Option<Box<Reply>>,
    pub external_reply: Option<ExternalReply>,
    pub quote: Option<Quote>,
    pub media_group_id: Option<String>,
    pub text: Option<String>,
    #[serde(default)]
    pub entities: Vec<Entity>,
    pub caption: Option<String>,
    #[serde(default)]
    pub caption_entities: Vec<Entity>,
    pub rich_message: Option<RichMessage>,
    pub photo: Option<Vec<File>>,
    pub live_photo: Option<LivePhoto>,
    pub animation: Option<File>,
    pub video: Option<File>,
    pub video_note: Option<File>,
    pub voice: Option<File>,
    pub audio: Option<File>,
    pub document: Option<File>,
    pub sticker: Option<File>,
    pub paid_media: Option<PaidMediaInfo>,
    pub contact: Option<serde::de::IgnoredAny>,
    pub venue: Option<Venue>,
    pub location: Option<Location>,
    pub poll: Option<Poll>,
    pub checklist: Option<Checklist>,
    pub story: Option<serde::de::IgnoredAny>,
    pub dice: Option<serde::de::IgnoredAny>,
    pub game: Option<serde::de::IgnoredAny>,
}

/// A chat of any type.
#[derive(Debug, Deserialize)]
pub(super) struct Chat {
    pub id: i64,
    #[serde(default, rename = "type")]
    pub kind: String,
    pub title: Option<String>,
    pub username: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    #[serde(default)]
    pub is_direct_messages: bool,
}

/// A person or a bot.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub id: i64,
    #[serde(default)]
    pub is_bot: bool,
    #[serde(default)]
    pub first_name: String,
    pub last_name: Option<String>,
    pub username: Option<String>,
}

/// A citizen's own thread in the direct messages of a channel.
#[derive(Debug, Deserialize)]
pub(super) struct DirectMessagesTopic {
    pub topic_id: i64,
}

/// Where a forwarded message came from. Which fields are there tells its type; people's names are not read.
#[derive(Debug, Deserialize)]
pub(super) struct MessageOrigin {
    pub sender_chat: Option<Chat>,
    pub chat: Option<Chat>,
    pub message_id: Option<i64>,
}

/// The message that was answered: one level, in the same chat.
#[derive(Debug, Deserialize)]
pub(super) struct Reply {
    pub message_id: i64,
    #[serde(default)]
    pub is_automatic_forward: bool,
    pub forward_origin: Option<MessageOrigin>,
    pub from: Option<User>,
    pub sender_chat: Option<Chat>,
    pub text: Option<String>,
    pub caption: Option<String>,
    pub rich_message: Option<RichMessage>,
    pub checklist: Option<Checklist>,
    pub poll: Option<Poll>,
    /// The topic that it opened.
    pub forum_topic_created: Option<TopicName>,
}

/// A topic of a forum, as the message that opened it names it.
#[derive(Debug, Deserialize)]
pub(super) struct TopicName {
    #[serde(default)]
    pub name: String,
}

/// The answered message, when it lives in another chat.
#[derive(Debug, Deserialize)]
pub(super) struct ExternalReply {
    pub chat: Option<Chat>,
    pub message_id: Option<i64>,
}

/// Fragment of the answered message.
#[derive(Debug, Deserialize)]
pub(super) struct Quote {
    #[serde(default)]
    pub text: String,
}

/// A marked part of a text; offset and length in UTF-16 code units.
#[derive(Debug, Deserialize)]
pub(super) struct Entity {
    #[serde(default, rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub offset: i64,
    #[serde(default)]
    pub length: i64,
    pub url: Option<String>,
    pub user: Option<User>,
}

/// Text in nested blocks. Kept as JSON: blocks and texts nest in each other and get new kinds.
#[derive(Debug, Deserialize)]
pub(super) struct RichMessage {
    #[serde(default)]
    pub blocks: Vec<serde_json::Value>,
    /// What a later version of the platform puts there.
    #[serde(flatten)]
    pub others: serde_json::Map<String, serde_json::Value>,
}

/// Any file object: photo size, video, voice, audio, document, animation, round video, sticker.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct File {
    pub file_id: String,
    pub file_unique_id: Option<String>,
    #[serde(default)]
    pub width: i64,
    #[serde(default)]
    pub height: i64,
    pub file_name: Option<String>,
    /// Music only.
    pub performer: Option<String>,
    /// Music only.
    pub title: Option<String>,
    pub mime_type: Option<String>,
    pub file_size: Option<i64>,
    /// Stickers only.
    pub emoji: Option<String>,
}

/// A photo that moves: the still sizes and the film.
#[derive(Debug, Deserialize)]
pub(super) struct LivePhoto {
    pub photo: Option<Vec<File>>,
    #[serde(flatten)]
    pub film: File,
}

/// Media behind a payment.
#[derive(Debug, Deserialize)]
pub(super) struct PaidMediaInfo {
    #[serde(default)]
    pub paid_media: Vec<PaidMedia>,
}

/// One piece of paid media; a preview has no file.
#[derive(Debug, Deserialize)]
pub(super) struct PaidMedia {
    #[serde(default, rename = "type")]
    pub kind: String,
    pub photo: Option<Vec<File>>,
    pub video: Option<File>,
    pub live_photo: Option<LivePhoto>,
}

/// A point.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Location {
    pub latitude: f64,
    pub longitude: f64,
    /// Present while the location is live: every movement is then an edit.
    pub live_period: Option<i64>,
}

/// A named place.
#[derive(Debug, Deserialize)]
pub(super) struct Venue {
    pub location: Location,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub address: String,
}

/// A poll.
#[derive(Debug, Deserialize)]
pub(super) struct Poll {
    pub id: String,
    #[serde(default)]
    pub question: String,
    /// What stands below the question.
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub options: Vec<Words>,
    /// What is shown after an answer.
    #[serde(default)]
    pub explanation: String,
}

/// A list of tasks.
#[derive(Debug, Deserialize)]
pub(super) struct Checklist {
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub tasks: Vec<Words>,
}

/// An object of which only the words matter.
#[derive(Debug, Deserialize)]
pub(super) struct Words {
    #[serde(default)]
    pub text: String,
}

/// `getMe`.
#[derive(Debug, Deserialize)]
pub(super) struct Me {
    pub id: i64,
    #[serde(default)]
    pub is_bot: bool,
    pub username: Option<String>,
    pub can_join_groups: Option<bool>,
    pub can_read_all_group_messages: Option<bool>,
    pub can_connect_to_business: Option<bool>,
    pub supports_guest_queries: Option<bool>,
}

/// `getWebhookInfo`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WebhookInfo {
    pub url: String,
    pub pending_update_count: i64,
    pub last_error_date: Option<i64>,
    pub last_error_message: Option<String>,
    pub last_synchronization_error_date: Option<i64>,
    pub max_connections: Option<i64>,
    pub allowed_updates: Option<Vec<String>>,
}

/// `getChatMember`.
#[derive(Debug, Deserialize)]
pub(super) struct ChatMember {
    #[serde(default)]
    pub status: String,
}
