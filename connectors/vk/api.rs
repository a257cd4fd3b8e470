//! Wire types of VK, as far as a citizen's words need them.
//!
//! Nearly everything is optional: the official schema and the live service disagree, older versions miss fields, and a
//! missing field must never cost a message. Unknown fields are ignored; what nests freely stays JSON.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// An error of a call. `request_params` is not read: it repeats what we sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct ApiError {
    #[serde(rename = "error_code")]
    pub code: i64,
    #[serde(default, rename = "error_subcode")]
    pub subcode: Option<i64>,
    #[serde(default, rename = "error_msg")]
    pub message: String,
}

/// `groups.getLongPollServer`.
#[derive(Debug, Deserialize)]
pub(super) struct LongPollServer {
    pub key: String,
    pub server: String,
    #[serde(deserialize_with = "text_or_number")]
    pub ts: String,
}

/// `groups.getLongPollSettings`.
#[derive(Debug, Deserialize)]
pub(super) struct LongPollSettings {
    #[serde(default, deserialize_with = "flag")]
    pub is_enabled: bool,
    pub api_version: Option<String>,
    #[serde(default)]
    pub events: serde_json::Map<String, Value>,
}

/// `groups.getCallbackSettings`.
#[derive(Debug, Deserialize)]
pub(super) struct CallbackEvents {
    pub api_version: Option<String>,
    #[serde(default)]
    pub events: serde_json::Map<String, Value>,
}

/// A list with its length.
#[derive(Debug, Deserialize)]
pub(super) struct Items<T> {
    #[serde(default = "Vec::new")]
    pub items: Vec<T>,
}

/// One server of `groups.getCallbackServers`. Its secret is not read.
#[derive(Debug, Deserialize)]
pub(super) struct CallbackServer {
    pub id: i64,
    #[serde(default)]
    pub url: String,
    #[serde(default)]
    pub status: String,
}

/// `groups.addCallbackServer`.
#[derive(Debug, Deserialize)]
pub(super) struct AddedServer {
    pub server_id: i64,
}

/// `groups.getCallbackConfirmationCode`.
#[derive(Debug, Deserialize)]
pub(super) struct ConfirmationCode {
    pub code: String,
}

/// `groups.getTokenPermissions`.
#[derive(Debug, Deserialize)]
pub(super) struct TokenPermissions {
    #[serde(default)]
    pub permissions: Vec<Permission>,
}

/// One right of a token.
#[derive(Debug, Deserialize)]
pub(super) struct Permission {
    #[serde(default)]
    pub name: String,
}

/// A community of `groups.getById`.
#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub id: i64,
    #[serde(default)]
    pub name: String,
    pub screen_name: Option<String>,
}

/// `groups.getById`: an object since 5.139, a list before.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Groups {
    Object { groups: Vec<Group> },
    List(Vec<Group>),
}

impl Groups {
    pub fn into_list(self) -> Vec<Group> {
        match self {
            Self::Object { groups } | Self::List(groups) => groups,
        }
    }
}

/// A person of `users.get`.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub id: i64,
    #[serde(default)]
    pub first_name: String,
    #[serde(default)]
    pub last_name: String,
    pub screen_name: Option<String>,
    /// `deleted` or `banned`: the name is a stand-in then.
    pub deactivated: Option<String>,
}

/// A private or chat message, also inside others (`fwd_messages`, `reply_message`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    pub conversation_message_id: Option<i64>,
    pub peer_id: Option<i64>,
    pub from_id: Option<i64>,
    pub date: Option<i64>,
    pub update_time: Option<i64>,
    pub text: Option<String>,
    pub out: Option<i64>,
    pub attachments: Option<Vec<Value>>,
    pub fwd_messages: Option<Vec<Message>>,
    pub reply_message: Option<Box<Message>>,
    pub geo: Option<Value>,
    pub action: Option<Value>,
    /// What the link says by which the person came.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    pub is_cropped: Option<bool>,
    pub is_unavailable: Option<bool>,
    pub is_hidden: Option<bool>,
}

/// A post on a wall.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Post {
    pub id: Option<i64>,
    pub owner_id: Option<i64>,
    pub from_id: Option<i64>,
    pub signer_id: Option<i64>,
    pub date: Option<i64>,
    pub edited: Option<i64>,
    pub text: Option<String>,
    pub post_type: Option<String>,
    pub attachments: Option<Vec<Value>>,
    pub copy_history: Option<Vec<Post>>,
    pub geo: Option<Value>,
    #[serde(deserialize_with = "flag")]
    pub marked_as_ads: bool,
    #[serde(deserialize_with = "flag")]
    pub is_deleted: bool,
}

/// A comment below a post, a photo, a video, a product or in a discussion.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Comment {
    pub from_id: Option<i64>,
    pub date: Option<i64>,
    pub text: Option<String>,
    pub attachments: Option<Vec<Value>>,
    pub parents_stack: Option<Vec<i64>>,
    pub reply_to_comment: Option<i64>,
    #[serde(deserialize_with = "flag")]
    pub deleted: bool,
}

/// A deletion: who deleted stands in `deleter_id` or, in the schema, in `user_id`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Deletion {
    pub deleter_id: Option<i64>,
    pub user_id: Option<i64>,
}

/// `ts` comes as a string or as a number.
pub(super) fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    optional_text_or_number(deserializer)?.ok_or_else(|| serde::de::Error::custom("a text or a number is missing"))
}

pub(super) fn optional_text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Option::<Value>::deserialize(deserializer)? {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    })
}

/// `true`, `1`; anything else is no.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<Value>::deserialize(deserializer)?.is_some_and(|value| is_set(&value)))
}

/// Whether a flag of VK is set, in either of its forms.
pub(super) fn is_set(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_i64() == Some(1))
}
