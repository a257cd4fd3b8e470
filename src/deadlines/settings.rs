//! What an operator can set about reminders of deadlines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clocks::Wanted;

/// Longest time before a deadline to tell of it, hours: 90 days.
const LONGEST_APPROACH: u32 = 90 * 24;
/// Longest time after which a deadline found overdue is still told, days.
const LONGEST_OVERDUE: u32 = 3_650;

/// Events about deadlines of messages that their source says are open (a status from `new` to `postponed`: ПОС,
/// «Инцидент менеджмент», УВ, 59-ФЗ). A message without a status has clocks, but nobody tells Priem when it is
/// answered: there are no events about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeadlineSettings {
    /// Which events are made. An empty list switches them off; clocks are kept and counted all the same.
    pub events: Vec<DeadlineEvent>,
    /// Hours before a deadline to tell that it approaches, for clocks without a control date of their own (`margin` in
    /// the rules). Never earlier than in the last quarter of the term.
    pub approaching_hours: u32,
    /// A message that is already overdue when Priem first sees it is told of only when its deadline was at most this
    /// many days ago: the first import of a registry brings thousands of old rows. 0: none of them.
    pub overdue_within_days: u32,
}

impl Default for DeadlineSettings {
    fn default() -> Self {
        Self {
            events: vec![DeadlineEvent::Approaching, DeadlineEvent::Overdue],
            approaching_hours: 72,
            overdue_within_days: 3,
        }
    }
}

/// A kind of event about a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineEvent {
    /// `ru.priem.deadline.approaching.v1`
    Approaching,
    /// `ru.priem.deadline.overdue.v1`
    Overdue,
}

impl DeadlineSettings {
    /// Checks the figures.
    ///
    /// # Errors
    /// Key below `deadlines`, and what is wrong with its cure.
    pub fn validate(&self) -> Result<(), (&'static str, &'static str)> {
        if !(1..=LONGEST_APPROACH).contains(&self.approaching_hours) {
            return Err((
                "approaching_hours",
                "give 1 to 2160 hours; to have no such events, leave `approaching` out of `deadlines.events`",
            ));
        }
        if self.overdue_within_days > LONGEST_OVERDUE {
            return Err(("overdue_within_days", "give at most 3650 days"));
        }
        Ok(())
    }

    /// Which reminders are wanted.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            approaching: self.events.contains(&DeadlineEvent::Approaching),
            overdue: self.events.contains(&DeadlineEvent::Overdue),
        }
    }
}
