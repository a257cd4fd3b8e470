//! Wire types of the MAX Bot API, as far as a citizen's words need them.
//!
//! Everything is optional: fields the schema calls required (`attachments`, `username`, `sender`, `body`) are missing
//! in real traffic. Enums are open strings, unknown fields are ignored, ids and `seq` are `i64` (`seq` passes 2^53).

use serde::Deserialize;
use serde_json::Value;

/// An update, as far as its words go. `timestamp` is in milliseconds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Update {
    pub update_type: String,
    pub timestamp: Option<i64>,
    pub message: Option<Box<Message>>,
    pub message_id: Option<String>,
    pub chat_id: Option<i64>,
    /// Post a comment belongs to.
    pub post_id: Option<String>,
    /// Who did it, in updates without a message.
    pub user: Option<User>,
    /// What the link says by which a person came.
    pub payload: Option<String>,
}

/// A message of any chat.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    /// Absent for channel posts.
    pub sender: Option<User>,
    pub recipient: Recipient,
    /// Creation, milliseconds; an edit does not change it.
    pub timestamp: Option<i64>,
    pub link: Option<Link>,
    /// Null for a pure forward.
    pub body: Option<Body>,
    /// Public address; channel posts only.
    pub url: Option<String>,
    /// Post a comment belongs to, where the message itself names it.
    pub post_id: Option<String>,
}

/// Where a message went.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Recipient {
    pub chat_id: Option<i64>,
    /// `dialog`, `chat`, `channel`; open.
    pub chat_type: Option<String>,
}

/// A forwarded or answered message.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Link {
    /// `forward` or `reply`; open.
    #[serde(rename = "type")]
    pub kind: String,
    pub sender: Option<User>,
    pub chat_id: Option<i64>,
    pub message: Option<Body>,
}

/// Words and attachments.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body {
    pub mid: Option<String>,
    pub text: Option<String>,
    pub attachments: Option<Vec<Value>>,
    pub markup: Option<Vec<Markup>>,
}

/// A stretch of marked text. The unit of `from` and `length` is not documented; UTF-16 is what the predecessor used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Markup {
    #[serde(rename = "type")]
    pub kind: String,
    pub from: i64,
    pub length: i64,
    pub url: Option<String>,
    pub user_link: Option<String>,
    pub user_id: Option<i64>,
}

/// A person or a bot.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct User {
    pub user_id: Option<i64>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    /// On its way out; some payloads have nothing else.
    pub name: Option<String>,
    pub username: Option<String>,
    pub is_bot: bool,
}

/// `GET /me`.
#[derive(Debug, Deserialize)]
pub(super) struct Me {
    pub user_id: i64,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub is_bot: bool,
}

/// `GET /subscriptions`.
#[derive(Debug, Deserialize)]
pub(super) struct Subscriptions {
    pub subscriptions: Vec<Subscription>,
}

/// One registered webhook. Its secret is never told.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Subscription {
    pub url: String,
    /// `None`: everything.
    #[serde(default)]
    pub update_types: Option<Vec<String>>,
}

/// The answer to a change: a refusal also comes with HTTP 200.
#[derive(Debug, Deserialize)]
pub(super) struct Done {
    pub success: bool,
    #[serde(default)]
    pub message: Option<String>,
}

/// An error.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ApiError {
    pub code: String,
    #[serde(default)]
    pub message: String,
}

/// `GET /chats/{id}`.
#[derive(Debug, Deserialize)]
pub(super) struct Chat {
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub title: Option<String>,
}

/// `GET /chats/{id}/members/me`.
#[derive(Debug, Deserialize)]
pub(super) struct Membership {
    #[serde(default)]
    pub is_admin: bool,
    #[serde(default)]
    pub is_owner: bool,
    #[serde(default)]
    pub permissions: Option<Vec<String>>,
}

/// `GET /videos/{token}`.
#[derive(Debug, Deserialize)]
pub(super) struct Video {
    /// Null while the film is being converted.
    #[serde(default)]
    pub urls: Option<VideoUrls>,
}

/// Addresses of a film by height.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct VideoUrls {
    mp4_1080: Option<String>,
    mp4_720: Option<String>,
    mp4_480: Option<String>,
    mp4_360: Option<String>,
    mp4_240: Option<String>,
    mp4_144: Option<String>,
}

impl VideoUrls {
    /// The version with the most lines.
    pub fn best(self) -> Option<String> {
        let all = [
            self.mp4_1080,
            self.mp4_720,
            self.mp4_480,
            self.mp4_360,
            self.mp4_240,
            self.mp4_144,
        ];
        all.into_iter().flatten().find(|url| !url.is_empty())
    }
}
