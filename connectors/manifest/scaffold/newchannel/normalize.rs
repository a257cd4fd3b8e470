//! From what the platform gives to a message. Pure: the same bytes give the same message for ever.

use priem_sdk::{
    EventType, Message, MessageData, NormalizeError, RawItem, html,
    message::{AuthorKind, Kind, Moment, Regime},
    webhook::parse_json_bounded,
};
use serde::Deserialize;

/// A message as the platform writes it. Everything may be absent: platforms change.
#[derive(Deserialize)]
struct Wire {
    text: Option<String>,
    author: Option<WireAuthor>,
    created: Option<jiff::Timestamp>,
}

#[derive(Deserialize)]
struct WireAuthor {
    id: Option<u64>,
    name: Option<String>,
}

/// The message of an item.
pub fn message(raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
    let wire: Wire = parse_json_bounded(&raw.body)?;
    let mut data = MessageData::new("newchannel", Kind::Direct, Regime::OpenSourceMessage);
    data.body.text = wire.text.as_deref().map(html::to_text).unwrap_or_default();
    if let Some(author) = wire.author {
        data.author.kind = AuthorKind::Person;
        data.author.external_id = author.id.map(|id| id.to_string());
        data.author.name = author.name;
    }
    data.times.occurred = wire.created.map(Moment::from_instant);
    let event = if raw.ordinal == 0 {
        EventType::Received
    } else {
        EventType::Updated
    };
    Ok(vec![raw.message(event, data)])
}
