//! A message at a glance: what its key needs, and what a reader sees of it.
//!
//! The fingerprint covers what a reader sees, so that an edit that changes nothing (a reaction, a link preview, votes
//! in a poll) is dropped by the journal, while A → B → A is kept. Files count by `file_unique_id`, because `file_id`
//! changes. The points of a *live* location don't count: its start and its last point are kept, the drift is not.

use std::borrow::Cow;

use priem_sdk::contract::fingerprint;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    api::{Location, Poll, RichMessage},
    attachments, text,
};

/// What the key of a message needs. Everything visible stays raw: nothing strange in it can spoil the key.
#[derive(Deserialize)]
pub(super) struct Glance<'a> {
    pub message_id: i64,
    pub chat: ChatId,
    pub edit_date: Option<i64>,
    pub business_connection_id: Option<String>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    entities: Option<&'a RawValue>,
    caption: Option<&'a RawValue>,
    caption_entities: Option<&'a RawValue>,
    contact: Option<&'a RawValue>,
    rich_message: Option<&'a RawValue>,
    photo: Option<&'a RawValue>,
    live_photo: Option<&'a RawValue>,
    animation: Option<&'a RawValue>,
    video: Option<&'a RawValue>,
    video_note: Option<&'a RawValue>,
    voice: Option<&'a RawValue>,
    audio: Option<&'a RawValue>,
    document: Option<&'a RawValue>,
    sticker: Option<&'a RawValue>,
    paid_media: Option<&'a RawValue>,
    location: Option<&'a RawValue>,
    venue: Option<&'a RawValue>,
    poll: Option<&'a RawValue>,
    checklist: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct ChatId {
    pub id: i64,
}

#[derive(Deserialize)]
struct UniqueId {
    file_unique_id: String,
}

impl Glance<'_> {
    /// Hash of what a reader sees.
    pub fn visible(&self) -> [u8; 16] {
        let words: [Part<'_>; 5] = [
            ("text", self.text, as_is),
            ("entities", self.entities, as_is),
            ("caption", self.caption, as_is),
            ("caption_entities", self.caption_entities, as_is),
            ("contact", self.contact, as_is),
        ];
        let files: [Part<'_>; 9] = [
            ("photo", self.photo, file_id),
            ("live_photo", self.live_photo, file_id),
            ("animation", self.animation, file_id),
            ("video", self.video, file_id),
            ("video_note", self.video_note, file_id),
            ("voice", self.voice, file_id),
            ("audio", self.audio, file_id),
            ("document", self.document, file_id),
            ("sticker", self.sticker, file_id),
        ];
        let others: [Part<'_>; 6] = [
            ("rich_message", self.rich_message, visible_rich),
            ("paid_media", self.paid_media, visible_paid),
            ("location", self.location, visible_location),
            ("venue", self.venue, as_is),
            ("poll", self.poll, visible_poll),
            ("checklist", self.checklist, visible_checklist),
        ];
        let seen: Vec<(&str, Cow<'_, str>)> = words
            .into_iter()
            .chain(files)
            .chain(others)
            .filter_map(|(name, raw, see)| {
                let raw = raw?;
                Some((name, see(raw).map_or(Cow::Borrowed(raw.get()), Cow::Owned)))
            })
            .collect();
        fingerprint(seen.iter().flat_map(|(name, part)| [name.as_bytes(), part.as_bytes()]))
    }
}

/// A visible field: its name, its JSON, and what a reader sees of it (`None`: all of it).
type Part<'a> = (&'static str, Option<&'a RawValue>, fn(&RawValue) -> Option<String>);

fn as_is(_raw: &RawValue) -> Option<String> {
    None
}

/// The unique id of a file, or of the largest of its sizes.
fn file_id(raw: &RawValue) -> Option<String> {
    if let Ok(file) = serde_json::from_str::<UniqueId>(raw.get()) {
        return Some(file.file_unique_id);
    }
    let sizes: Vec<UniqueId> = serde_json::from_str(raw.get()).ok()?;
    sizes.into_iter().last().map(|size| size.file_unique_id)
}

fn visible_location(raw: &RawValue) -> Option<String> {
    let location: Location = serde_json::from_str(raw.get()).ok()?;
    Some(match location.live_period {
        Some(_) => "live".into(),
        None => format!("{} {}", location.latitude, location.longitude),
    })
}

fn visible_poll(raw: &RawValue) -> Option<String> {
    let poll: Poll = serde_json::from_str(raw.get()).ok()?;
    let options: Vec<&str> = poll.options.iter().map(|option| option.text.as_str()).collect();
    Some(format!("{}\u{1f}{}", poll.question, options.join("\u{1f}")))
}

fn visible_checklist(raw: &RawValue) -> Option<String> {
    let list: super::api::Checklist = serde_json::from_str(raw.get()).ok()?;
    let tasks: Vec<&str> = list.tasks.iter().map(|task| task.text.as_str()).collect();
    Some(format!("{}\u{1f}{}", list.title, tasks.join("\u{1f}")))
}

fn visible_rich(raw: &RawValue) -> Option<String> {
    let rich: RichMessage = serde_json::from_str(raw.get()).ok()?;
    let words = text::flatten(&rich);
    let mut seen = words.text;
    for part in words.links.iter().chain(&attachments::unique_ids(&rich.blocks)) {
        seen.push('\u{1f}');
        seen.push_str(part);
    }
    Some(seen)
}

fn visible_paid(raw: &RawValue) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(raw.get()).ok()?;
    let ids = attachments::unique_ids(std::slice::from_ref(&value));
    (!ids.is_empty()).then(|| ids.join("\u{1f}"))
}
