//! Wire types of OK, as far as a citizen's words need them.
//!
//! OK publishes no schema, so everything is optional and read with tolerance: ids come as strings or numbers, lists may
//! be missing, whole answers may be `null`. Attachments stay JSON: their structure is not documented.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// A text that may be written as a number; anything else reads as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text(Option<String>);

impl Text {
    /// The text, unless absent or empty.
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }

    /// The text itself, unless absent or empty.
    pub fn into_text(self) -> Option<String> {
        self.0.filter(|text| !text.is_empty())
    }

    /// The text as a whole number.
    pub fn number(&self) -> Option<i64> {
        self.text()?.parse().ok()
    }

    /// Whether it says yes.
    pub fn is_true(&self) -> bool {
        self.text() == Some("true")
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyText).map(Self)
    }
}

struct AnyText;

impl<'de> de::Visitor<'de> for AnyText {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Some(text))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<de::IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// A webhook delivery, and a message of the history: the same object without `webhookType`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delivery {
    #[serde(rename = "webhookType")]
    pub kind: Text,
    pub sender: Option<Party>,
    pub recipient: Option<Party>,
    pub message: Option<Message>,
    /// Milliseconds.
    pub timestamp: Text,
    pub callback_id: Text,
}

/// A side of a conversation.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Party {
    /// `user:…`, or `group:…` when a group writes.
    pub user_id: Text,
    /// `chat:…`.
    pub chat_id: Text,
    pub name: Text,
}

/// The words of a private message. `seq` is not read: it passes 2^53 and samples of the platform itself round it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    pub text: Text,
    pub mid: Text,
    pub attachments: Option<Vec<serde_json::Value>>,
    pub reply_to: Option<ReplyTo>,
}

/// The answered message: its `mid`, bare or in an object.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ReplyTo {
    Bare(String),
    Object {
        #[serde(default)]
        mid: Text,
    },
    Other(de::IgnoredAny),
}

impl ReplyTo {
    pub fn mid(&self) -> Option<&str> {
        match self {
            Self::Bare(mid) => Some(mid.as_str()).filter(|mid| !mid.is_empty()),
            Self::Object { mid } => mid.text(),
            Self::Other(_) => None,
        }
    }
}

/// A comment of a discussion.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Comment {
    pub id: Text,
    pub author_id: Text,
    /// `GROUP` when written on behalf of a group.
    pub author_type: Text,
    pub author_name: Text,
    /// `user:…`, `group:…`.
    pub author_ref: Text,
    pub text: Text,
    /// Moscow wall time without a zone.
    pub date: Text,
    pub date_ms: Text,
    #[serde(rename = "type")]
    pub kind: Text,
    pub reply_to_comment_id: Text,
    pub attachments: Option<Vec<serde_json::Value>>,
    /// Not the platform's: the connector asked for it, and this error was the answer.
    pub vanished: Option<serde_json::Value>,
}

impl Comment {
    /// Whether the platform lists it as removed or does not find it. The names of such types are not documented.
    pub fn is_removed(&self) -> bool {
        self.vanished.is_some()
            || self.kind.text().is_some_and(|kind| {
                let kind = kind.to_ascii_uppercase();
                ["REMOVED", "DELETED"].iter().any(|word| kind.contains(word))
            })
    }
}

/// A post: a media topic.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Topic {
    pub id: Text,
    pub author_ref: Text,
    pub owner_ref: Text,
    pub author_name: Text,
    pub created_ms: Text,
    pub media: Option<Vec<serde_json::Value>>,
    pub discussion_summary: Option<DiscussionSummary>,
    pub on_moderation: Text,
    pub is_text_cut: Text,
    /// The list of media was cut.
    pub has_more: Text,
}

/// The discussion below a post.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DiscussionSummary {
    pub discussion_id: Text,
    pub discussion_type: Text,
    pub comments_count: Text,
    pub last_activity_date: Text,
    pub last_activity_date_ms: Text,
}

/// A discussion of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Discussion {
    pub object_id: Text,
    pub object_type: Text,
    pub owner_uid: Text,
    pub last_activity_date: Text,
    pub last_activity_date_ms: Text,
    pub total_comments_count: Text,
    pub ref_objects: Option<Vec<RefObject>>,
}

/// What a discussion belongs to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RefObject {
    pub id: Text,
    #[serde(rename = "type")]
    pub kind: Text,
}

/// A chat of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Chat {
    pub chat_id: Text,
    #[serde(rename = "lastEventTime")]
    pub last_event: Text,
}

/// A registered webhook.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Subscription {
    pub url: Text,
    /// Milliseconds.
    pub time: Text,
}

/// The account or group behind a token; also an entry of `users.getInfo` and `group.getInfo`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    pub uid: Text,
    pub group_id: Text,
    pub name: Text,
    pub first_name: Text,
    pub last_name: Text,
}

impl Named {
    /// The name as the platform shows it.
    pub fn shown(&self) -> Option<String> {
        if let Some(name) = self.name.text() {
            return Some(name.to_owned());
        }
        let parts: Vec<&str> = [&self.first_name, &self.last_name]
            .into_iter()
            .filter_map(Text::text)
            .collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }
}

/// An id without the prefix of its kind: `group:1` → `1`.
pub(super) fn bare_id(id: &str) -> &str {
    id.split_once(':').map_or(id, |(_, bare)| bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_strings_and_nonsense_read_as_text() {
        let read = |json: &str| serde_json::from_str::<Text>(json).expect("any JSON");
        assert_eq!(read("\"57\"").number(), Some(57));
        assert_eq!(read("91563512905728042").text(), Some("91563512905728042"));
        assert!(read("true").is_true());
        for nothing in ["null", "{}", "[1]", "\"\""] {
            assert_eq!(read(nothing).text(), None, "{nothing}");
        }
    }
}
