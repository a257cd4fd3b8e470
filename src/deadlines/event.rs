//! From the stored reminder to the event.

use jiff::Timestamp;
use priem_sdk::{
    EventType, Message, NormalizeError, RawItem,
    message::{Deadline, MessageData, Reminder},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clocks::{CONNECTOR, FORMAT};

/// Body of a stored reminder.
#[derive(Deserialize)]
struct Stored {
    kind: Kind,
    /// Microseconds since 1970.
    at: i64,
    deadline: Deadline,
    subject: Subject,
}

/// What a reminder says of its message.
#[derive(Serialize, Deserialize)]
pub(super) struct Subject {
    /// Event id of the version that was newest.
    pub(super) of: Uuid,
    /// The message without what is the citizen's, and where it went.
    pub(super) data: MessageData,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Approaching,
    Overdue,
}

/// Whether the journal made the item itself, as a reminder.
pub fn is_own(raw: &RawItem) -> bool {
    raw.connector.as_str() == CONNECTOR && raw.format == FORMAT
}

/// The event of a reminder.
///
/// # Errors
/// When it was stored by a version that wrote it otherwise: it goes to quarantine.
pub fn normalize(raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
    let stored: Stored = serde_json::from_slice(&raw.body)
        .map_err(|error| NormalizeError::new("bad_reminder", format!("a stored reminder can't be read: {error}")))?;
    let Stored {
        kind,
        at,
        deadline,
        subject: Subject { of, mut data },
    } = stored;
    let at = Timestamp::from_microsecond(at).unwrap_or(raw.received_at);
    let (event, happens) = match kind {
        Kind::Approaching => (EventType::DeadlineApproaching, "скоро истекает"),
        Kind::Overdue => (EventType::DeadlineOverdue, "истёк"),
    };
    let name = format!("{}@{}", deadline.stage.as_str(), deadline.due_at);
    data.reminder = Some(Reminder {
        of: of.to_string(),
        revision: std::mem::replace(&mut data.external.revision, name),
        stage: deadline.stage,
        due_at: deadline.due_at,
        at,
        left_seconds: deadline.due_at.duration_since(at).as_secs(),
    });
    if let Some(routing) = &mut data.routing {
        let stage = deadline.stage.ru();
        routing.explanation = vec![format!(
            "Срок «{stage}» {happens}; адресат тот же, что у самого сообщения."
        )];
    }
    data.deadlines = vec![deadline];
    let mut message = Message::new(event, data);
    message.time = at;
    Ok(vec![message])
}
