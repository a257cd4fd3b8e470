//! The words of the matter: keys, messages that may be linked, and what is found.

use uuid::Uuid;

use crate::journal::Hashes;

/// By what two messages are known to be on one matter; the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The same number.
    Id,
    /// The same address.
    Link,
    /// The same text by the same author.
    TextAndAuthor,
    /// The same text about the same house.
    TextAndPlace,
    /// The same text, in an incident and in a network.
    Text,
}

impl Reason {
    /// All of them. Their places are stored: new ones go to the end.
    pub(super) const ALL: [Self; 5] = [
        Self::Id,
        Self::Link,
        Self::TextAndAuthor,
        Self::TextAndPlace,
        Self::Text,
    ];

    /// Name in `relation.reason`, and metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Id => "same_id",
            Self::Link => "same_link",
            Self::TextAndAuthor => "same_text_and_author",
            Self::TextAndPlace => "same_text_and_place",
            Self::Text => "same_text",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    pub(super) fn number(self) -> u8 {
        self as u8
    }

    pub(super) fn numbered(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// Something two messages may share; a keyed hash of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// What sharing it means.
    pub reason: Reason,
    /// What is remembered of this message.
    pub own: u64,
    /// What must be remembered of an earlier one.
    pub sought: u64,
}

impl Key {
    /// A key that both have alike.
    pub fn same(hashes: &Hashes, reason: Reason, parts: &[&str]) -> Self {
        let own = hashed(hashes, parts);
        Self {
            reason,
            own,
            sought: own,
        }
    }

    /// A key whose counterpart differs.
    pub fn pair(hashes: &Hashes, reason: Reason, own: &[&str], sought: &[&str]) -> Self {
        Self {
            reason,
            own: hashed(hashes, own),
            sought: hashed(hashes, sought),
        }
    }
}

/// The first half of what older versions stored whole.
fn hashed(hashes: &Hashes, parts: &[&str]) -> u64 {
    start_of(&hashes.of(&[b"likeness", parts.join("\u{1f}").as_bytes()]))
}

/// The first eight bytes of a hash.
pub(super) fn start_of(hash: &[u8; 16]) -> u64 {
    u64::from_be_bytes(*hash.first_chunk().expect("sixteen bytes have eight"))
}

/// A message that may be linked to an earlier one.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Hash of connector and external id: the object.
    pub object: [u8; 16],
    /// Number of the stored item.
    pub seq: i64,
    /// Whether a version of the object came before this one: it was judged then.
    pub came_before: bool,
    /// Id of the event.
    pub event_id: Uuid,
    /// Channel.
    pub channel: String,
    /// The strongest first; `None` for events that say nothing new (a rating, a removal): they are not judged.
    pub keys: Option<Vec<Key>>,
    /// When it was taken in, microseconds since 1970.
    pub at: i64,
    /// Until when its keys are remembered.
    pub until: i64,
}

/// Names an object.
pub(super) fn object(hashes: &Hashes, connector: &str, external_id: &str) -> [u8; 16] {
    hashes.of(&[b"object", connector.as_bytes(), external_id.as_bytes()])
}

/// To which earlier message a message is linked, and with which it belongs together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Event id of the first message of the matter.
    pub cluster: Uuid,
    /// Event id of the message it was recognised by.
    pub of: Uuid,
    /// By what.
    pub reason: Reason,
    /// Channels by which the matter came before, in the order of their names.
    pub channels: Vec<String>,
}
