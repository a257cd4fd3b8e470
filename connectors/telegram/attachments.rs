//! Attachments and places of a message.
//!
//! Compatibility doubles count once: an animation also comes as a document, a venue as a location, a live photo as a
//! photo. Addresses of files hold the bot's token, so none is ever made here: `external_id` is the `file_id` a media
//! fetcher resolves, `unique_id` the `file_unique_id` that stays the same across time and bots.
//!
//! A contact card is usually a third person's: only that there was one is passed on, neither number nor name.

use priem_sdk::message::{Attachment, AttachmentKind, Geo, Place};
use serde_json::Value;

use super::api::{File, LivePhoto, Message};

/// Everything attached to the message, each thing once.
pub(super) fn attachments_of(message: &Message) -> Vec<Attachment> {
    let mut found = Vec::new();
    if let Some(live) = &message.live_photo {
        let still = live.photo.as_deref().or(message.photo.as_deref()).and_then(largest);
        found.push(live_photo(live, still));
    } else if let Some(size) = message.photo.as_deref().and_then(largest) {
        found.push(file(AttachmentKind::Photo, size));
    }
    if let Some(animation) = &message.animation {
        found.push(file(AttachmentKind::Video, animation));
    } else if let Some(document) = &message.document {
        found.push(file(AttachmentKind::Document, document));
    }
    let singles = [
        (AttachmentKind::Video, &message.video),
        (AttachmentKind::Video, &message.video_note),
        (AttachmentKind::Voice, &message.voice),
        (AttachmentKind::Audio, &message.audio),
    ];
    for (kind, single) in singles {
        found.extend(single.as_ref().map(|single| file(kind, single)));
    }
    if let Some(sticker) = &message.sticker {
        let mut attachment = file(AttachmentKind::Sticker, sticker);
        attachment.name.clone_from(&sticker.emoji);
        found.push(attachment);
    }
    for paid in message.paid_media.iter().flat_map(|info| &info.paid_media) {
        if let Some(size) = paid.photo.as_deref().and_then(largest) {
            found.push(file(AttachmentKind::Photo, size));
        } else if let Some(video) = &paid.video {
            found.push(file(AttachmentKind::Video, video));
        } else if let Some(live) = &paid.live_photo {
            found.push(live_photo(live, live.photo.as_deref().and_then(largest)));
        } else {
            found.push(other(&format!("paid_media:{}", paid.kind)));
        }
    }
    if let Some(rich) = &message.rich_message {
        for block in &rich.blocks {
            files_in_blocks(block, &mut found, 0);
        }
    }
    if message.contact.is_some() {
        found.push(Attachment::new(AttachmentKind::Contact));
    }
    if message.venue.is_some() || message.location.is_some() {
        found.push(Attachment::new(AttachmentKind::Location));
    }
    if let Some(poll) = &message.poll {
        let mut attachment = Attachment::new(AttachmentKind::Poll);
        attachment.external_id = Some(poll.id.clone());
        found.push(attachment);
    }
    if message.story.is_some() {
        found.push(Attachment::new(AttachmentKind::Post));
    }
    for (present, name) in [
        (message.dice.is_some(), "dice"),
        (message.game.is_some(), "game"),
        (message.checklist.is_some(), "checklist"),
    ] {
        if present {
            found.push(other(name));
        }
    }
    found
}

/// The place the author sent along. A venue also has a name and an address.
pub(super) fn place_of(message: &Message) -> Place {
    let (location, text) = match (&message.venue, &message.location) {
        (Some(venue), _) => {
            let words: Vec<&str> = [venue.title.as_str(), venue.address.as_str()]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect();
            (venue.location, (!words.is_empty()).then(|| words.join(", ")))
        }
        (None, Some(location)) => (*location, None),
        (None, None) => return Place::default(),
    };
    let inside = (-90.0..=90.0).contains(&location.latitude) && (-180.0..=180.0).contains(&location.longitude);
    Place {
        text,
        geo: inside.then_some(Geo {
            lat: location.latitude,
            lon: location.longitude,
        }),
        ..Place::default()
    }
    .with_precision()
}

/// Unique ids of all files anywhere below these values, in order.
pub(super) fn unique_ids(values: &[Value]) -> Vec<String> {
    let mut ids = Vec::new();
    let mut waiting: Vec<&Value> = values.iter().rev().collect();
    while let Some(value) = waiting.pop() {
        match value {
            Value::Array(list) => waiting.extend(list.iter().rev()),
            Value::Object(fields) => {
                if let Some(id) = fields.get("file_unique_id").and_then(Value::as_str) {
                    ids.push(id.to_owned());
                } else {
                    waiting.extend(fields.values().rev());
                }
            }
            _ => {}
        }
    }
    ids
}

fn files_in_blocks(block: &Value, found: &mut Vec<Attachment>, depth: usize) {
    if depth > 100 {
        return;
    }
    let sizes = block
        .get("photo")
        .and_then(|sizes| serde_json::from_value::<Vec<File>>(sizes.clone()).ok());
    found.extend(
        sizes
            .as_deref()
            .and_then(largest)
            .map(|size| file(AttachmentKind::Photo, size)),
    );
    for (key, kind) in [
        ("animation", AttachmentKind::Video),
        ("video", AttachmentKind::Video),
        ("audio", AttachmentKind::Audio),
        ("voice_note", AttachmentKind::Voice),
    ] {
        let single = block
            .get(key)
            .and_then(|single| serde_json::from_value::<File>(single.clone()).ok());
        found.extend(single.map(|single| file(kind, &single)));
    }
    for key in ["blocks", "items"] {
        for nested in block.get(key).and_then(Value::as_array).into_iter().flatten() {
            files_in_blocks(nested, found, depth + 1);
        }
    }
}

fn largest(sizes: &[File]) -> Option<&File> {
    sizes.iter().max_by_key(|size| size.width.saturating_mul(size.height))
}

/// The still picture; the film only when no still came along.
fn live_photo(live: &LivePhoto, still: Option<&File>) -> Attachment {
    match still {
        Some(size) => file(AttachmentKind::Photo, size),
        None => file(AttachmentKind::Video, &live.film),
    }
}

fn file(kind: AttachmentKind, file: &File) -> Attachment {
    Attachment {
        external_id: Some(file.file_id.clone()),
        unique_id: file.file_unique_id.clone(),
        mime: file.mime_type.clone(),
        size: file.file_size.and_then(|size| u64::try_from(size).ok()),
        name: file.file_name.clone().or_else(|| music(file)),
        needs_token: true,
        ..Attachment::new(kind)
    }
}

/// What a piece of music without a file name is called.
fn music(file: &File) -> Option<String> {
    let parts: Vec<&str> = [file.performer.as_deref(), file.title.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    (!parts.is_empty()).then(|| parts.join(" — "))
}

fn other(name: &str) -> Attachment {
    Attachment {
        name: Some(name.to_owned()),
        ..Attachment::new(AttachmentKind::Other)
    }
}
