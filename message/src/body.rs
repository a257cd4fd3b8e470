//! What was written and attached.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Body {
    /// Plain text; markup of the source turned into text and `mentions`.
    pub text: String,
    /// The source's HTML, when it gave HTML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// BCP 47 tag, when the source names it or it is plain from the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// People and pages named in the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Mention>,
    /// Fragment of another message the author answers to, as quoted by the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
}

/// A person or page named in the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mention {
    /// Id at the source (`id1`, `club1`, a username, a user id).
    pub external_id: String,
    /// The words shown in the text.
    pub text: String,
}

/// A file or object attached to the message. Never holds an address with a secret in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attachment {
    /// What it is.
    pub kind: AttachmentKind,
    /// Stable reference at the source for fetching (Telegram `file_id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Stable identity of the content at the source (Telegram `file_unique_id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_id: Option<String>,
    /// Public address, when there is one that carries no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Media type as the sender or source claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// File name as the sender gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Fetching it needs the connector's credentials.
    #[serde(default)]
    pub needs_token: bool,
    /// When the address stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<jiff::Timestamp>,
    /// Where the attachment store will have the file, `<event id>/<number>`: known before the file is fetched. Absent
    /// when Priem keeps no files or does not want this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<String>,
}

impl Attachment {
    /// An attachment of a kind, with everything else unknown.
    pub fn new(kind: AttachmentKind) -> Self {
        Self {
            kind,
            external_id: None,
            unique_id: None,
            url: None,
            mime: None,
            size: None,
            name: None,
            needs_token: false,
            expires_at: None,
            stored: None,
        }
    }
}

/// What an attachment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttachmentKind {
    /// A picture.
    Photo,
    /// A film, round film or animation.
    Video,
    /// A voice message.
    Voice,
    /// Music or other sound.
    Audio,
    /// Any other file.
    Document,
    /// A sticker.
    Sticker,
    /// A contact card.
    Contact,
    /// A point on the map (the point itself is in `place`).
    Location,
    /// A poll.
    Poll,
    /// A link.
    Link,
    /// A post of somebody shown inside.
    Post,
    /// A kind this version does not know; its source name is in `name`.
    Other,
}

impl AttachmentKind {
    /// Name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Video => "video",
            Self::Voice => "voice",
            Self::Audio => "audio",
            Self::Document => "document",
            Self::Sticker => "sticker",
            Self::Contact => "contact",
            Self::Location => "location",
            Self::Poll => "poll",
            Self::Link => "link",
            Self::Post => "post",
            Self::Other => "other",
        }
    }
}
