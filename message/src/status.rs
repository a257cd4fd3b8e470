//! How far a message is at its source, in the few words that rules, deadlines and consumers share.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::Regime;

/// State at the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Common name.
    #[serde(deserialize_with = "of_any_version")]
    pub common: CommonStatus,
    /// As the source writes it.
    pub raw: String,
    /// Outcome as the source writes it («Решено», «Не решено»).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// How far a message is, from the first state to the last; what the source says in its own words is [`Status::raw`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommonStatus {
    /// Came in, nobody looked at it.
    New,
    /// A moderator looks at it.
    Moderation,
    /// It is being found out whose it is.
    Routing,
    /// Somebody has it who has not begun.
    Assigned,
    /// Somebody works at it.
    InWork,
    /// Answered.
    Answered,
    /// Put off to a later date.
    Postponed,
    /// Declined.
    Declined,
    /// Passed on to another body.
    Forwarded,
    /// Closed.
    Closed,
    /// A state whose meaning is unknown.
    Other,
}

impl CommonStatus {
    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::New,
        Self::Moderation,
        Self::Routing,
        Self::Assigned,
        Self::InWork,
        Self::Answered,
        Self::Postponed,
        Self::Declined,
        Self::Forwarded,
        Self::Closed,
        Self::Other,
    ];

    /// The names of all of them on the wire.
    pub const WORDS: [&str; Self::ALL.len()] = {
        let mut words = [""; Self::ALL.len()];
        let mut at = 0;
        while at < words.len() {
            words[at] = Self::ALL[at].as_str();
            at += 1;
        }
        words
    };

    /// Name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Moderation => "moderation",
            Self::Routing => "routing",
            Self::Assigned => "assigned",
            Self::InWork => "in_work",
            Self::Answered => "answered",
            Self::Postponed => "postponed",
            Self::Declined => "declined",
            Self::Forwarded => "forwarded",
            Self::Closed => "closed",
            Self::Other => "other",
        }
    }

    /// Whether nothing is owed any more; `None` when the state says nothing of it. Passed up or down inside ПОС, a message
    /// still waits for its answer there; an appeal is given away for good (59-ФЗ, 8).
    pub fn is_over(self, regime: Regime) -> Option<bool> {
        match self {
            Self::New | Self::Moderation | Self::Routing | Self::Assigned | Self::InWork | Self::Postponed => {
                Some(false)
            }
            Self::Answered | Self::Declined | Self::Closed => Some(true),
            Self::Forwarded => Some(regime != Regime::PosMessage),
            Self::Other => None,
        }
    }
}

/// The word is the name of no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoStatus;

impl FromStr for CommonStatus {
    type Err = NoStatus;

    fn from_str(word: &str) -> Result<Self, NoStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or(NoStatus)
    }
}

/// What was stored or published may name a state that only another version knows: its meaning is unknown here, and the
/// message is read all the same.
fn of_any_version<'de, D: Deserializer<'de>>(words: D) -> Result<CommonStatus, D::Error> {
    let word = String::deserialize(words)?;
    Ok(word.parse().unwrap_or(CommonStatus::Other))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_state_has_one_word_everywhere() {
        for status in CommonStatus::ALL {
            assert_eq!(json!(status), json!(status.as_str()));
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!(CommonStatus::WORDS[4], "in_work");
        assert_eq!("In_Work".parse::<CommonStatus>(), Err(NoStatus));
    }

    #[test]
    fn a_word_of_another_version_is_read_in_a_message_and_refused_elsewhere() {
        let stored = json!({"common": "archived", "raw": "В архиве"});
        let status: Status = serde_json::from_value(stored).expect("a status");
        assert_eq!((status.common, status.raw.as_str()), (CommonStatus::Other, "В архиве"));
        assert!(serde_json::from_value::<CommonStatus>(json!("archived")).is_err());
    }

    #[test]
    fn a_forwarded_message_is_over_where_it_was_given_away_for_good() {
        assert_eq!(CommonStatus::Forwarded.is_over(Regime::PosMessage), Some(false));
        assert_eq!(CommonStatus::Forwarded.is_over(Regime::Fz59), Some(true));
        assert_eq!(CommonStatus::Other.is_over(Regime::PosMessage), None);
    }
}
