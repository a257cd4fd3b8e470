//! Message schema, version 1: CloudEvents 1.0 in structured JSON.
//!
//! Fields are added, never changed, inside version 1. What the fields mean and where they come from is written beside
//! them; which of them are personal data is in [`personal`].

mod author;
mod body;
mod case;
pub mod html;
mod moment;
pub mod personal;
mod place;
mod routing;
mod russian;
mod status;
pub mod text;

use std::sync::LazyLock;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use author::{Author, AuthorKind, Contacts};
pub use body::{Attachment, AttachmentKind, Body, Mention};
pub use case::{
    Deadline, DeadlineBasis, DeadlineStage, DeadlineUnit, External, Flags, Legal, Organisation, OrganisationRef,
    Regime, Relation, Reminder, Satisfaction, Topic, TopicNode,
};
pub use moment::{Moment, Precision, Times};
pub use place::{Geo, Place, PlacePrecision};
pub use routing::{Recipient, Routing, TerritoryFoundBy};
pub use status::{CommonStatus, NoStatus, Status};

/// Namespace of event ids: UUIDv5 of the DNS name `message.priem.ru`.
static NAMESPACE: LazyLock<Uuid> = LazyLock::new(|| Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"message.priem.ru"));

/// What happened to the message. `ru.priem.message.*.v1` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum EventType {
    /// A message seen for the first time.
    #[serde(rename = "ru.priem.message.received.v1")]
    Received,
    /// The author or the source changed it.
    #[serde(rename = "ru.priem.message.updated.v1")]
    Updated,
    /// It was removed at the source.
    #[serde(rename = "ru.priem.message.deleted.v1")]
    Deleted,
    /// The citizen rated the answer.
    #[serde(rename = "ru.priem.message.rated.v1")]
    Rated,
    /// Taken up again (повторное рассмотрение, опровержение).
    #[serde(rename = "ru.priem.message.reopened.v1")]
    Reopened,
    /// Only its status changed.
    #[serde(rename = "ru.priem.message.status.v1")]
    Status,
    /// Result of a vote or poll.
    #[serde(rename = "ru.priem.vote.result.v1")]
    VoteResult,
    /// A clock of an open message will soon run out. Made by Priem itself, not by a source.
    #[serde(rename = "ru.priem.deadline.approaching.v1")]
    DeadlineApproaching,
    /// A clock of an open message has run out. Made by Priem itself, not by a source.
    #[serde(rename = "ru.priem.deadline.overdue.v1")]
    DeadlineOverdue,
}

impl EventType {
    /// Every event type, for listings.
    pub const ALL: [Self; 9] = [
        Self::Received,
        Self::Updated,
        Self::Deleted,
        Self::Rated,
        Self::Reopened,
        Self::Status,
        Self::VoteResult,
        Self::DeadlineApproaching,
        Self::DeadlineOverdue,
    ];

    /// Whether Priem makes it by itself when a clock runs, and no source does.
    pub fn is_reminder(self) -> bool {
        matches!(self, Self::DeadlineApproaching | Self::DeadlineOverdue)
    }

    /// Name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "ru.priem.message.received.v1",
            Self::Updated => "ru.priem.message.updated.v1",
            Self::Deleted => "ru.priem.message.deleted.v1",
            Self::Rated => "ru.priem.message.rated.v1",
            Self::Reopened => "ru.priem.message.reopened.v1",
            Self::Status => "ru.priem.message.status.v1",
            Self::VoteResult => "ru.priem.vote.result.v1",
            Self::DeadlineApproaching => "ru.priem.deadline.approaching.v1",
            Self::DeadlineOverdue => "ru.priem.deadline.overdue.v1",
        }
    }
}

/// One event about one citizen's message: a CloudEvents 1.0 envelope with [`MessageData`] inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// Always `1.0` (CloudEvents).
    pub specversion: String,
    /// UUIDv5 of (connector, external id, revision, event type): stable for ever, the key for downstream dedupe.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub id: Uuid,
    /// `/priem/<connector>`.
    pub source: String,
    /// What happened.
    #[serde(rename = "type")]
    pub event: EventType,
    /// External id of the message at its source.
    pub subject: String,
    /// When it happened at the source, when an instant is known; otherwise when Priem took it in.
    #[schemars(with = "String")]
    pub time: Timestamp,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// The message.
    pub data: MessageData,
}

impl Message {
    /// Wraps `data` and computes the stable id from its connector, external id and revision.
    pub fn new(event: EventType, data: MessageData) -> Self {
        let id = Self::event_id(&data.connector, &data.external.id, &data.external.revision, event);
        let time = data
            .times
            .occurred
            .as_ref()
            .and_then(Moment::instant)
            .unwrap_or(data.times.received);
        Self {
            specversion: "1.0".into(),
            id,
            source: format!("/priem/{}", data.connector),
            event,
            subject: data.external.id.clone(),
            time,
            datacontenttype: "application/json".into(),
            data,
        }
    }

    /// The stable id of an event.
    pub fn event_id(connector: &str, external_id: &str, revision: &str, event: EventType) -> Uuid {
        let name = [connector, external_id, revision, event.as_str()].join("\u{1f}");
        Uuid::new_v5(&NAMESPACE, name.as_bytes())
    }
}

/// The message itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MessageData {
    /// Network or system: `telegram`, `vk`, `pos`, `incident` …; open, in lower case.
    pub channel: String,
    /// Part of the channel (`group`, `channel`, `business`, the network an incident came from).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subchannel: Option<String>,
    /// Name of the configured connector that took it in.
    pub connector: String,
    /// What sort of message it is.
    pub kind: Kind,
    /// Where it lives at the source.
    pub external: External,
    /// Legal regime: decides the clocks.
    pub legal: Legal,
    /// Who wrote it.
    pub author: Author,
    /// What was written.
    pub body: Body,
    /// What was attached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// What place it is about, as far as the source says.
    #[serde(default, skip_serializing_if = "Place::is_empty")]
    pub place: Place,
    /// What it is about, by the classifier of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Topic>,
    /// Bodies that received it and hold it.
    #[serde(default, skip_serializing_if = "Organisation::is_empty")]
    pub organisation: Organisation,
    /// State at the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// When things happened.
    pub times: Times,
    /// Clocks that run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deadlines: Vec<Deadline>,
    /// Marks of the source.
    #[serde(default, skip_serializing_if = "Flags::is_empty")]
    pub flags: Flags,
    /// The citizen's rating of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub satisfaction: Option<Satisfaction>,
    /// Links to other messages.
    #[serde(default, skip_serializing_if = "Relation::is_empty")]
    pub relation: Relation,
    /// Only in `deadline.approaching` and `deadline.overdue`: which clock, and how much of it is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminder: Option<Reminder>,
    /// Fields of the source that have no place above, by their source names. Never personal data.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub extra: serde_json::Map<String, serde_json::Value>,
    /// What the auto-rules decided. Absent before routing; the last field, so that it can be added to what is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
}

impl MessageData {
    /// An empty message of a channel; the connector fills the rest.
    pub fn new(channel: &str, kind: Kind, regime: Regime) -> Self {
        Self {
            channel: channel.to_owned(),
            subchannel: None,
            connector: String::new(),
            kind,
            external: External::default(),
            legal: Legal { regime, hint: None },
            author: Author::default(),
            body: Body::default(),
            attachments: Vec::new(),
            place: Place::default(),
            topic: None,
            organisation: Organisation::default(),
            status: None,
            times: Times::default(),
            deadlines: Vec::new(),
            flags: Flags::default(),
            satisfaction: None,
            relation: Relation::default(),
            reminder: None,
            extra: serde_json::Map::new(),
            routing: None,
        }
    }
}

/// What sort of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A private message to the body's account or bot.
    Direct,
    /// A comment, a message in a group or discussion.
    Comment,
    /// A post on a wall or in a channel.
    Post,
    /// A review with a score.
    Review,
    /// A message left on a portal.
    Portal,
    /// An incident of «Инцидент менеджмент»: one or several posts grouped by staff.
    Incident,
    /// A vote or poll.
    Vote,
}

impl Kind {
    /// Name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Comment => "comment",
            Self::Post => "post",
            Self::Review => "review",
            Self::Portal => "portal",
            Self::Incident => "incident",
            Self::Vote => "vote",
        }
    }
}

/// JSON Schema of [`Message`], with `x-personal-data` on every leaf that is personal data.
pub fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Message).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("$id".into(), "https://priem.ru/schema/message/v1".into());
        object.insert("title".into(), "Priem message, version 1".into());
    }
    personal::annotate(&mut schema);
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_for_ever() {
        let id = Message::event_id("telegram-main", "-1001:7", "0", EventType::Received);
        assert_eq!(id.to_string(), "9c131010-bd57-5707-a73b-02eaea073130");
        assert_ne!(
            id,
            Message::event_id("telegram-main", "-1001:7", "0", EventType::Updated)
        );
    }

    #[test]
    fn a_message_survives_the_round_trip() {
        let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
        data.connector = "telegram-main".into();
        data.external.id = "1:2".into();
        data.body.text = "Яма на дороге".into();
        let message = Message::new(EventType::Received, data);
        let json = serde_json::to_string(&message).expect("serialises");
        assert_eq!(serde_json::from_str::<Message>(&json).expect("parses"), message);
    }
}
