//! The message as a case: where it lives, under which law, in whose hands, by when.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the message lives at its source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct External {
    /// Id of the object, unique inside the connector.
    pub id: String,
    /// A second id the source uses (номер ЕПГУ).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt_id: Option<String>,
    /// Public address of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Thread or topic inside the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// External id of what it answers: a message, or for a comment that answers nobody its post or conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Chat, wall, dialogue; order is kept inside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// Messages sent together (an album) share this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Version of the object this event is about.
    pub revision: String,
}

impl External {
    /// In `extra`: number of a thread inside the conversation that stands for an object elsewhere, such as the copy of a
    /// post below which comments are written. [`External::thread`] names that object where it is known.
    pub const THREAD_NUMBER: &str = "thread_number";
}

/// Legal regime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Legal {
    /// Which order applies.
    pub regime: Regime,
    /// A hint for a human (`looks_like_fz59`); never decides by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Which order of consideration applies (domain reference, 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Regime {
    /// Обращение under 59-ФЗ. Never given to social networks by themselves.
    #[serde(rename = "fz59")]
    Fz59,
    /// Message of the feedback platform (ПОС).
    #[serde(rename = "pos_message")]
    PosMessage,
    /// Message from open sources: networks, messengers, «Инцидент менеджмент».
    #[serde(rename = "open_source_message")]
    OpenSourceMessage,
    /// Message of another portal.
    #[serde(rename = "portal_message")]
    PortalMessage,
}

impl Regime {
    /// Name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fz59 => "fz59",
            Self::PosMessage => "pos_message",
            Self::OpenSourceMessage => "open_source_message",
            Self::PortalMessage => "portal_message",
        }
    }
}

/// What the message is about, by the classifier of the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Topic {
    /// Which classifier (`incident`, `pos`, `rules`).
    pub classifier: String,
    /// Its version, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// From the widest to the narrowest.
    pub path: Vec<TopicNode>,
    /// The source marked the topic with a star («★ Ямы во дворах»); the meaning is unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub starred: bool,
}

/// Stands between the levels of a written topic path.
const LEVELS: &str = " / ";

impl Topic {
    /// The path as people write it: «Дороги / Ямы во дворах».
    pub fn path_text(&self) -> String {
        Self::join_levels(self.path.iter().map(|node| node.name.as_str()))
    }

    /// Names of levels as one path.
    pub fn join_levels<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
        names.into_iter().collect::<Vec<_>>().join(LEVELS)
    }

    /// A topic from the names of its levels; a star before a name is taken off and kept as the mark.
    pub fn of_levels(classifier: &str, levels: &[String]) -> Self {
        Self {
            classifier: classifier.to_owned(),
            version: None,
            path: levels
                .iter()
                .map(|level| TopicNode {
                    id: None,
                    name: Self::split_star(level).0.to_owned(),
                })
                .collect(),
            starred: levels.iter().any(|level| Self::split_star(level).1),
        }
    }

    /// A name without its star, and whether it had one. A star saved in Windows-1251 comes as `?` with a space.
    pub fn split_star(name: &str) -> (&str, bool) {
        let name = name.trim();
        let bare = name.trim_start_matches(['★', '☆', '*', ' ', '\u{a0}']);
        if bare.len() < name.len() {
            return (bare, true);
        }
        match name.strip_prefix('?') {
            Some(rest) if rest.starts_with([' ', '\u{a0}']) => (rest.trim_start(), true),
            _ => (name, false),
        }
    }
}

#[cfg(test)]
mod topic_tests {
    use super::*;

    #[test]
    fn a_star_is_split_off_even_when_its_letter_was_lost() {
        for name in ["★ Ямы", "☆Ямы", "* Ямы", "? Ямы", "?\u{a0}Ямы"] {
            assert_eq!(Topic::split_star(name), ("Ямы", true), "{name}");
        }
        for name in ["Ямы", "?Ямы", "Ямы ? во дворах", ""] {
            assert_eq!(Topic::split_star(name), (name, false));
        }
    }

    #[test]
    fn a_path_is_written_level_by_level() {
        let node = |name: &str| TopicNode {
            id: None,
            name: name.into(),
        };
        let topic = Topic {
            classifier: "incident".into(),
            version: None,
            path: vec![node("Дороги"), node("Ямы")],
            starred: false,
        };
        assert_eq!(topic.path_text(), "Дороги / Ямы");
    }
}

/// One level of a classifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopicNode {
    /// Id at the source, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name as the source writes it, the star removed.
    pub name: String,
}

/// Bodies that received the message and hold it; they differ when it was forwarded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Organisation {
    /// The body it was sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<OrganisationRef>,
    /// The body that holds it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<OrganisationRef>,
    /// Department inside the body that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
}

impl Organisation {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrganisationRef {
    /// Id at the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name as the source writes it.
    pub name: String,
}

/// A clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deadline {
    /// What must be done by then.
    pub stage: DeadlineStage,
    /// The moment, UTC.
    #[schemars(with = "String")]
    pub due_at: Timestamp,
    /// IANA zone in which it was computed.
    pub zone: String,
    /// Who says so.
    pub basis: DeadlineBasis,
    /// Id of the rule, when a rule says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// In what it was counted.
    pub unit: DeadlineUnit,
    /// The body's own earlier control date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub internal_due_at: Option<Timestamp>,
    /// Counted over a year whose production calendar was not there: weekends are left out, holidays are not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub calendar_missing: bool,
}

/// What must be done by a deadline (domain reference, 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineStage {
    /// Registration.
    Register,
    /// Forwarding to the competent body.
    Forward,
    /// First public reaction.
    FirstReaction,
    /// Answer.
    Answer,
    /// Final answer after an interim one.
    Final,
    /// The author may dispute the answer until then.
    RefuteWindow,
}

impl DeadlineStage {
    /// Name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Forward => "forward",
            Self::FirstReaction => "first_reaction",
            Self::Answer => "answer",
            Self::Final => "final",
            Self::RefuteWindow => "refute_window",
        }
    }
}

/// Who says when the deadline is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineBasis {
    /// The source gave the date.
    Source,
    /// One of our rules.
    Rule,
    /// The law.
    Law,
    /// Nobody; the default applies.
    Default,
}

/// In what a deadline is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineUnit {
    /// Days by the calendar.
    CalendarDays,
    /// Working days.
    WorkingDays,
    /// Hours by the clock.
    CalendarHours,
    /// Working hours.
    WorkingHours,
}

/// Marks of the source and of rules.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Flags {
    /// Ускоренный порядок (ПОС).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fast_track: bool,
    /// Several applicants.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub collective: bool,
    /// Повторное рассмотрение.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reconsidered: bool,
    /// A message of somebody else, passed on by the author.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// Marks set by rules or carried from the source's tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<String>,
}

impl Flags {
    /// In [`Flags::other`]: the source's name of the topic is not in the classifier. The host counts such messages.
    pub const UNKNOWN_TOPIC: &str = "unknown_topic";
    /// In [`Flags::other`]: a newer version of the message, or its removal, came before this one. What it says is older.
    pub const OUT_OF_ORDER: &str = "out_of_order";

    /// Sets a mark by its word, once.
    pub fn set(&mut self, word: &str) {
        match word {
            "fast_track" => self.fast_track = true,
            "collective" => self.collective = true,
            "reconsidered" => self.reconsidered = true,
            "forwarded" => self.forwarded = true,
            other if self.other.iter().any(|known| known == other) => {}
            other => self.other.push(other.to_owned()),
        }
    }

    /// Whether no mark is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The citizen's rating of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Satisfaction {
    /// The rating.
    pub score: f64,
    /// The best rating possible.
    pub scale: f64,
}

/// Links to other messages. Duplicates are linked, never dropped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Relation {
    /// Event id of an earlier message on the same matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_of: Option<String>,
    /// Messages on one matter share this: the event id of the first of them, which itself carries none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Event id of the message by which Priem knew that this one is on the same matter; it may itself repeat another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<String>,
    /// By what: `same_id`, `same_link`, `same_text_and_author`, `same_text_and_place`, `same_text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Channels by which the matter came before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen_in: Vec<String>,
    /// Where a forwarded message came from, as the source says (a chat title, a channel link).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded_from: Option<String>,
}

impl Relation {
    /// Whether there is no link.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A clock of an open message that runs out or has run out. The message around it is the one the clock belongs to,
/// without the citizen's words, contacts and files; `external.revision` names the clock, so that the event id stays
/// stable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reminder {
    /// Event id of the newest known version of the message.
    pub of: String,
    /// `external.revision` of that version.
    pub revision: String,
    /// What must be done.
    pub stage: DeadlineStage,
    /// By when, UTC; the same as in `deadlines`, which holds just this clock.
    #[schemars(with = "String")]
    pub due_at: Timestamp,
    /// When Priem noticed, UTC.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Seconds from `at` to `due_at`; below zero when it is overdue.
    pub left_seconds: i64,
}
