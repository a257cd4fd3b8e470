//! What a topic shows: its media, part by part. Parts of a kind this version does not know become attachments under
//! their own name.

use priem_sdk::{
    message::{Attachment, AttachmentKind, Mention},
    text::PlainText,
    unread,
};
use serde_json::Value;

use super::{
    attachments::{referenced, safe_url},
    text,
};

/// Words and things of a topic.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub text: String,
    pub mentions: Vec<Mention>,
    pub attachments: Vec<Attachment>,
}

/// Reads the media of a topic.
pub(super) fn content_of(media: &[Value]) -> Content {
    let mut content = Content::default();
    for part in media {
        let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
        let said = if kind.eq_ignore_ascii_case("text") {
            Vec::new()
        } else {
            unread::words_in(part, &|key| ["question", "title"].contains(&key))
        };
        match kind.to_ascii_lowercase().as_str() {
            "text" => content.say(text::plain(words(part, "text"))),
            "photo" => content.refer(AttachmentKind::Photo, part, &["photo_refs", "photos"]),
            "movie" | "video" => content.refer(AttachmentKind::Video, part, &["movie_refs", "movies"]),
            "music" => content.refer(
                AttachmentKind::Audio,
                part,
                &["track_refs", "music_track_refs", "tracks"],
            ),
            "poll" => {
                content.say(text::plain(words(part, "question")));
                content.refer(AttachmentKind::Poll, part, &["poll_refs", "polls"]);
            }
            "topic" => content.refer(AttachmentKind::Post, part, &["media_topic_refs", "topic_refs"]),
            "link" => content.attachments.push(Attachment {
                url: safe_url(words(part, "url")),
                name: Some(words(part, "title").to_owned()).filter(|title| !title.is_empty()),
                ..Attachment::new(AttachmentKind::Link)
            }),
            other => {
                content.say(text::plain(words(part, "title")));
                content.attachments.push(Attachment {
                    name: Some(other.to_owned()).filter(|name| !name.is_empty()),
                    ..Attachment::new(AttachmentKind::Other)
                });
            }
        }
        // Answers of a poll, what stands below a picture or link, and all that a new kind brings.
        said.iter().for_each(|text| content.say(text::plain(text)));
    }
    content
}

impl Content {
    fn say(&mut self, words: PlainText) {
        if words.text.is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&words.text);
        self.mentions.extend(words.mentions);
    }

    /// One attachment for each reference; one without a reference when none is listed.
    fn refer(&mut self, kind: AttachmentKind, part: &Value, lists: &[&str]) {
        let references = lists
            .iter()
            .find_map(|name| part.get(*name)?.as_array())
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.as_str().or_else(|| entry.get("id")?.as_str()));
        let before = self.attachments.len();
        self.attachments
            .extend(references.map(|reference| referenced(kind, reference)));
        if self.attachments.len() == before {
            self.attachments.push(Attachment::new(kind));
        }
    }
}

fn words<'a>(part: &'a Value, key: &str) -> &'a str {
    part.get(key).and_then(Value::as_str).unwrap_or_default()
}
