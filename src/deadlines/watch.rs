//! What a decided message says about its clocks.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp, civil};
use priem_sdk::{
    EventType, Message,
    message::{Author, Body, CommonStatus, Deadline, DeadlineStage, MessageData, Moment, Place, Routing},
};

use super::{
    clocks::{Clock, Watched, WatchedState},
    event::Subject,
    settings::DeadlineSettings,
};
use crate::journal::Record;

/// Which clocks are watched, and when each is told.
#[derive(Debug, Clone)]
pub struct Watch {
    approaching: SignedDuration,
    overdue_within: SignedDuration,
}

impl Default for Watch {
    fn default() -> Self {
        Self::new(&DeadlineSettings::default())
    }
}

impl Watch {
    /// A watch by the settings.
    pub fn new(settings: &DeadlineSettings) -> Self {
        Self {
            approaching: SignedDuration::from_hours(i64::from(settings.approaching_hours)),
            overdue_within: SignedDuration::from_hours(24 * i64::from(settings.overdue_within_days)),
        }
    }

    /// What a message says of its object; `None` when it says nothing (no status, or one whose meaning is unknown).
    ///
    /// `message` has what the rules added; `main` is where it goes.
    pub fn look(&self, record: &Record, message: &Message, main: &Routing, now: Timestamp) -> Option<Watched> {
        let came_before = record.raw.ordinal > 0 || message.event != EventType::Received;
        let state = match phase(message)? {
            Phase::Ended => WatchedState::Ended,
            Phase::Open(met) => {
                let clocks = message.data.deadlines.iter();
                let clocks = clocks.filter(|deadline| !met.contains(&deadline.stage));
                // An outage of ours makes nothing old: what counts is when it came.
                let seen_first = (!came_before).then_some(record.raw.received_at);
                let mut clocks: Vec<Clock> = clocks
                    .filter_map(|deadline| self.clock(deadline, &message.data, seen_first, now))
                    .collect();
                // One clock a stage: the earliest counts.
                clocks.sort_by_key(|clock| (clock.stage, clock.due_at));
                clocks.dedup_by_key(|clock| clock.stage);
                WatchedState::Open {
                    subject: subject(message, main)?,
                    clocks,
                }
            }
        };
        Some(Watched {
            connector: message.data.connector.clone(),
            external_id: message.data.external.id.clone(),
            seq: record.seq,
            came_before,
            state,
        })
    }

    /// `seen_first`: when the object came for the first time, if it came now.
    fn clock(
        &self,
        deadline: &Deadline,
        data: &MessageData,
        seen_first: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Clock> {
        let due_at = deadline.due_at;
        let approach_at = deadline.internal_due_at.unwrap_or_else(|| {
            let term = due_at.duration_since(start(data));
            let lead = self.approaching.min((term / 4).max(SignedDuration::ZERO));
            due_at.saturating_sub(lead).unwrap_or(Timestamp::MIN)
        });
        let approach_at = approach_at.min(due_at);
        let is_old = seen_first.is_some_and(|seen| seen.duration_since(due_at) > self.overdue_within);
        let first = if due_at <= now { due_at } else { approach_at };
        Some(Clock {
            stage: deadline.stage.as_str(),
            due_at: due_at.as_microsecond(),
            approach_at: approach_at.as_microsecond(),
            first: (!is_old).then(|| first.as_microsecond()),
            deadline: serde_json::to_vec(deadline).ok()?.into(),
        })
    }
}

/// When the clocks of a message began, as far as it tells; a bare date counts from its beginning.
fn start(data: &MessageData) -> Timestamp {
    let beginning = |moment: &Moment| {
        moment.instant().or_else(|| {
            let day: civil::Date = moment.value.parse().ok()?;
            Some(day.in_tz(&moment.zone).ok()?.timestamp())
        })
    };
    let moments = [&data.times.at_source, &data.times.occurred];
    let known = moments.into_iter().flatten().find_map(beginning);
    known.unwrap_or(data.times.received)
}

enum Phase {
    /// Waits for an answer; these stages are past.
    Open(&'static [DeadlineStage]),
    Ended,
}

/// How far a message is, as its source says. A word whose meaning is unknown changes nothing: it neither starts clocks
/// nor hides an answer that is owed.
fn phase(message: &Message) -> Option<Phase> {
    use DeadlineStage::{FirstReaction, Forward, RefuteWindow, Register};
    if message.event == EventType::Deleted {
        return Some(Phase::Ended);
    }
    let status = message.data.status.as_ref()?;
    if message.data.times.closed.is_some() && message.event != EventType::Reopened {
        return Some(Phase::Ended);
    }
    if status.common.is_over(message.data.legal.regime)? {
        return Some(Phase::Ended);
    }
    // The window to dispute an answer is the citizen's, not the body's.
    Some(Phase::Open(match status.common {
        CommonStatus::New | CommonStatus::Moderation | CommonStatus::Routing => &[RefuteWindow],
        CommonStatus::Postponed => &[RefuteWindow, Register, Forward, FirstReaction],
        _ => &[RefuteWindow, Register, Forward],
    }))
}

/// What a reminder says of the message: all that is not the citizen's.
fn subject(message: &Message, main: &Routing) -> Option<Bytes> {
    let mut data = message.data.clone();
    data.author = Author {
        kind: data.author.kind,
        ..Author::default()
    };
    data.body = Body::default();
    data.attachments = Vec::new();
    data.place = Place::default();
    data.satisfaction = None;
    data.extra = serde_json::Map::new();
    data.deadlines = Vec::new();
    data.relation.forwarded_from = None;
    data.external.url = None;
    data.external.alt_id = None;
    data.routing = Some(Routing {
        // What rules saw is in words of the message; the reminder points to the message instead.
        explanation: Vec::new(),
        copy: false,
        ..main.clone()
    });
    let subject = Subject { of: message.id, data };
    serde_json::to_vec(&subject).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use priem_sdk::message::{Kind, Regime, Status};

    use super::*;

    /// The stages that a message in this state still waits for; nothing when it says nothing of them.
    fn waits_for(regime: Regime, common: CommonStatus) -> Option<Vec<DeadlineStage>> {
        use DeadlineStage::{Answer, FirstReaction, Register};
        let mut data = MessageData::new("pos", Kind::Portal, regime);
        data.status = Some(Status {
            common,
            raw: "как в источнике".into(),
            outcome: None,
        });
        Some(match phase(&Message::new(EventType::Received, data))? {
            Phase::Open(met) => {
                let stages = [Register, FirstReaction, Answer].into_iter();
                stages.filter(|stage| !met.contains(stage)).collect()
            }
            Phase::Ended => Vec::new(),
        })
    }

    #[test]
    fn every_state_is_open_or_ended_or_means_nothing() {
        use DeadlineStage::{Answer, FirstReaction, Register};
        for common in CommonStatus::ALL {
            let expected: Option<&[DeadlineStage]> = match common {
                CommonStatus::New | CommonStatus::Moderation | CommonStatus::Routing => {
                    Some(&[Register, FirstReaction, Answer])
                }
                CommonStatus::Assigned | CommonStatus::InWork => Some(&[FirstReaction, Answer]),
                // The answer is owed still.
                CommonStatus::Forwarded => Some(&[FirstReaction, Answer]),
                CommonStatus::Postponed => Some(&[Answer]),
                CommonStatus::Answered | CommonStatus::Declined | CommonStatus::Closed => Some(&[]),
                CommonStatus::Other => None,
            };
            assert_eq!(waits_for(Regime::PosMessage, common).as_deref(), expected, "{common:?}");
        }
        // It is somebody else's now.
        assert_eq!(waits_for(Regime::Fz59, CommonStatus::Forwarded), Some(Vec::new()));
    }
}
