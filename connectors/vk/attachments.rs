//! Attachments: `{"type": T, T: {…}}`, where new kinds appear every year and must pass through.
//!
//! `unique_id` is `<type><owner>_<id>`, the same for ever; `external_id` adds the `access_key`, without which a private
//! object can't be asked for again. An address is given only when whoever has it needs nothing else and it opens nothing
//! but this one file: an address that carries a key or a token is left out and the file has to be asked for anew
//! (`needs_token`). Films have no address of a file at all: theirs is the page.

use priem_sdk::{
    message::{Attachment, AttachmentKind},
    unread,
};
use serde_json::Value;

/// Sizes of a photo from the largest to the smallest, for old photos without width and height. The cropped ones
/// (`r q p o`) come last.
const SIZES: [&str; 10] = ["w", "z", "y", "x", "m", "s", "r", "q", "p", "o"];
/// Query parameters that open more than one file or stand for a person's right to see it.
const SECRET_PARAMETERS: &[&str] = &[
    "access_key",
    "access_token",
    "api",
    "auth",
    "dl",
    "extra",
    "hash",
    "key",
    "secret",
    "sid",
    "token",
];
/// Names of things, which become the name of the attachment.
const NAMES: [&str; 3] = ["title", "artist", "performer"];
/// Parts of an attachment that are nobody's words: places of pictures, what the platform itself says.
const NOT_SAID: [&str; 8] = [
    "sizes",
    "preview",
    "images",
    "thumb",
    "button",
    "restriction",
    "ads",
    "copyright",
];
/// Attachments beyond this are spam.
const MOST_ATTACHMENTS: usize = 100;

/// Everything attached, in order.
pub(super) fn read(list: &[Value]) -> Vec<Attachment> {
    list.iter().take(MOST_ATTACHMENTS).filter_map(one).collect()
}

/// What a reader tells attachments apart by, for fingerprints.
pub(super) fn references(list: &[Value]) -> String {
    let names: Vec<String> = list
        .iter()
        .take(MOST_ATTACHMENTS)
        .filter_map(|entry| {
            let (kind, object) = parts(entry)?;
            Some(match (reference(kind, object), object["url"].as_str()) {
                (Some(name), _) => name,
                (None, Some(url)) if kind == "link" => url.to_owned(),
                (None, _) => kind.to_owned(),
            })
        })
        .collect();
    names.join("\u{1f}")
}

/// The author's own words inside attachments: the question of a poll, what a voice message says.
pub(super) fn own_words(list: &[Value]) -> Vec<String> {
    texts(list, |kind, object| match kind {
        "poll" => object["question"]
            .as_str()
            .map(|question| poll(question, &object["answers"])),
        "audio_message" => object["transcript"].as_str().map(str::to_owned),
        _ => None,
    })
}

/// Whether a machine has written down what somebody says.
pub(super) fn is_transcribed(list: &[Value]) -> bool {
    let mut parts = list.iter().take(MOST_ATTACHMENTS).filter_map(parts);
    parts.any(|(kind, object)| kind == "audio_message" && !object["transcript"].as_str().unwrap_or_default().is_empty())
}

/// Words that come with attachments: a post or a comment that is passed on, what stands below a picture or film, in a
/// product or link, and whatever looks like words in a kind this version does not know.
pub(super) fn shared_words(list: &[Value]) -> Vec<String> {
    texts(list, |kind, object| {
        if ["poll", "audio_message"].contains(&kind) {
            return None;
        }
        // Titles are names of attachments; only those of unknown kinds have another one.
        let is_known = kind_of(kind) != AttachmentKind::Other;
        let skip = |key: &str| NOT_SAID.contains(&key) || (is_known && NAMES.contains(&key));
        let said = unread::words_in(object, &skip);
        (!said.is_empty()).then(|| said.join("\n"))
    })
}

fn texts(list: &[Value], of: impl Fn(&str, &Value) -> Option<String>) -> Vec<String> {
    let parts = list.iter().take(MOST_ATTACHMENTS).filter_map(parts);
    let texts = parts.filter_map(|(kind, object)| of(kind, object));
    texts.filter(|text| !text.trim().is_empty()).collect()
}

fn poll(question: &str, answers: &Value) -> String {
    let answers = answers.as_array().map(Vec::as_slice).unwrap_or_default();
    let lines = answers.iter().filter_map(|answer| answer["text"].as_str());
    std::iter::once(question.to_owned())
        .chain(lines.map(|line| format!("- {line}")))
        .collect::<Vec<_>>()
        .join("\n")
}

fn parts(entry: &Value) -> Option<(&str, &Value)> {
    let kind = entry["type"].as_str().filter(|kind| !kind.is_empty())?;
    Some((kind, &entry[kind]))
}

fn kind_of(name: &str) -> AttachmentKind {
    match name {
        "photo" | "posted_photo" | "graffiti" => AttachmentKind::Photo,
        "video" | "clip" => AttachmentKind::Video,
        "audio" => AttachmentKind::Audio,
        "audio_message" => AttachmentKind::Voice,
        "doc" => AttachmentKind::Document,
        "sticker" => AttachmentKind::Sticker,
        "poll" => AttachmentKind::Poll,
        "link" => AttachmentKind::Link,
        "wall" | "wall_reply" => AttachmentKind::Post,
        _ => AttachmentKind::Other,
    }
}

fn one(entry: &Value) -> Option<Attachment> {
    let (name, object) = parts(entry)?;
    let kind = kind_of(name);
    let unique = reference(name, object);
    let text = |key: &str| object[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let mut attachment = Attachment {
        external_id: unique.as_ref().map(|unique| match object["access_key"].as_str() {
            Some(key) if is_plain(key) => format!("{unique}_{key}"),
            _ => unique.clone(),
        }),
        name: text("title"),
        ..Attachment::new(kind)
    };
    match name {
        "photo" | "posted_photo" => {
            attachment.url = largest(&object["sizes"]).and_then(public);
            attachment.needs_token = attachment.url.is_none();
        }
        "graffiti" => attachment.url = text("url").as_deref().or(object["photo_586"].as_str()).and_then(public),
        "doc" => {
            attachment.url = text("url").as_deref().and_then(public);
            attachment.needs_token = attachment.url.is_none();
            attachment.size = object["size"].as_u64();
            attachment.mime = mime(object["ext"].as_str().unwrap_or_default());
        }
        "audio_message" => {
            let link = object["link_mp3"].as_str().or(object["link_ogg"].as_str());
            attachment.url = link.and_then(public);
            attachment.needs_token = attachment.url.is_none();
            attachment.mime = Some(
                if object["link_mp3"].is_string() {
                    "audio/mpeg"
                } else {
                    "audio/ogg"
                }
                .into(),
            );
        }
        "audio" => {
            let artist = text("artist").unwrap_or_default();
            attachment.name = attachment.name.map(|title| format!("{artist} — {title}"));
        }
        "sticker" => attachment.url = largest(&object["images"]).and_then(public),
        "link" => attachment.url = text("url").filter(|url| url.starts_with("http")),
        "video" | "clip" => {
            attachment.url = page("video", unique.as_deref());
            attachment.needs_token = true;
        }
        "poll" => attachment.name = None,
        "wall" => attachment.url = page("wall", unique.as_deref()),
        "wall_reply" => {
            let post = object["post_id"].as_i64();
            let owner = object["owner_id"].as_i64().or(object["post_owner_id"].as_i64());
            if let (Some(owner), Some(post), Some(own)) = (owner, post, object["id"].as_i64()) {
                attachment.url = Some(format!("https://vk.com/wall{owner}_{post}?reply={own}"));
            }
        }
        "market" => {
            attachment.url = page(
                "product",
                unique
                    .as_deref()
                    .map(|id| id.replacen("market", "product", 1))
                    .as_deref(),
            )
        }
        _ => {}
    }
    if kind == AttachmentKind::Other {
        attachment.name = Some(name.to_owned());
    }
    attachment.unique_id = unique;
    Some(attachment)
}

/// `<type><owner>_<id>`; stickers have no owner.
fn reference(kind: &str, object: &Value) -> Option<String> {
    if kind == "sticker" {
        return object["sticker_id"].as_i64().map(|id| format!("sticker{id}"));
    }
    let id = object["id"].as_i64()?;
    // A forwarded post names its wall in `to_id` in older versions.
    let owner = object["owner_id"]
        .as_i64()
        .or(object["to_id"].as_i64())
        .or(object["from_id"].as_i64())?;
    Some(format!("{kind}{owner}_{id}"))
}

fn page(kind: &str, unique: Option<&str>) -> Option<String> {
    let ids = unique?.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '_');
    Some(format!("https://vk.com/{kind}{ids}"))
}

/// The address of the largest size: by area, or by the letter of its type where width and height are 0.
fn largest(sizes: &Value) -> Option<&str> {
    let rank = |size: &Value| {
        let area = size["width"]
            .as_u64()
            .unwrap_or(0)
            .saturating_mul(size["height"].as_u64().unwrap_or(0));
        let letter = size["type"].as_str().unwrap_or_default();
        let place = SIZES.iter().position(|known| *known == letter).unwrap_or(SIZES.len());
        (area, SIZES.len() - place)
    };
    let best = sizes.as_array()?.iter().max_by_key(|size| rank(size))?;
    best["url"].as_str().or(best["src"].as_str())
}

/// The address, when it can be passed on: https, and no key or token in it.
fn public(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let is_secret = query.split(['&', '#', ';']).any(|pair| {
        let key = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
        SECRET_PARAMETERS.contains(&key.as_str())
    });
    (!is_secret).then(|| url.to_owned())
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.len() <= 64 && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Media type of a document by its extension; unknown ones stay unknown.
fn mime(extension: &str) -> Option<String> {
    let mime = match extension.to_ascii_lowercase().as_str() {
        "pdf" => "application/pdf",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "mp4" => "video/mp4",
        "zip" => "application/zip",
        "txt" => "text/plain",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls" => "application/vnd.ms-excel",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => return None,
    };
    Some(mime.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn only(entry: Value) -> Attachment {
        read(&[entry]).pop().expect("one attachment")
    }

    #[test]
    fn the_largest_photo_wins_and_its_key_is_kept_outside_the_address() {
        let photo = only(
            json!({"type": "photo", "photo": {"id": 3, "owner_id": -9, "access_key": "ab12", "sizes": [
            {"type": "z", "url": "https://sun.userapi.com/z.jpg", "width": 1000, "height": 700},
            {"type": "r", "url": "https://sun.userapi.com/r.jpg", "width": 510, "height": 340}]}}),
        );
        assert_eq!(photo.url.as_deref(), Some("https://sun.userapi.com/z.jpg"));
        assert_eq!(photo.unique_id.as_deref(), Some("photo-9_3"));
        assert_eq!(photo.external_id.as_deref(), Some("photo-9_3_ab12"));
        let old = only(json!({"type": "photo", "photo": {"id": 3, "owner_id": 9, "sizes": [
            {"type": "o", "src": "https://a/o.jpg", "width": 0, "height": 0},
            {"type": "y", "src": "https://a/y.jpg", "width": 0, "height": 0}]}}));
        assert_eq!(old.url.as_deref(), Some("https://a/y.jpg"));
    }

    #[test]
    fn an_address_with_a_key_is_left_out() {
        let doc = only(
            json!({"type": "doc", "doc": {"id": 1, "owner_id": 2, "title": "смета.pdf", "ext": "pdf", "size": 10,
            "access_key": "k1", "url": "https://vk.com/doc2_1?hash=abc&dl=1"}}),
        );
        assert_eq!((doc.url, doc.needs_token), (None, true));
        assert_eq!(doc.external_id.as_deref(), Some("doc2_1_k1"));
        assert_eq!(doc.mime.as_deref(), Some("application/pdf"));
        for url in [
            "http://a/b",
            "https://u@a/b",
            "https://a/b?x=1&ACCESS_TOKEN=z",
            "file:///etc",
        ] {
            assert_eq!(public(url), None, "{url}");
        }
        assert!(public("https://sun.userapi.com/a.jpg?size=1x1&sign=f00").is_some());
    }

    #[test]
    fn unknown_kinds_and_odd_entries_pass_or_vanish_but_never_fail() {
        let other = only(json!({"type": "hologram", "hologram": {"id": 1, "owner_id": 2}}));
        assert_eq!(
            (other.kind, other.name.as_deref()),
            (AttachmentKind::Other, Some("hologram"))
        );
        assert_eq!(other.unique_id.as_deref(), Some("hologram2_1"));
        assert!(read(&[json!(null), json!({}), json!("x"), json!({"type": ""})]).is_empty());
        assert!(only(json!({"type": "photo"})).needs_token);
        assert_eq!(only(json!({"type": "gift", "gift": 5})).kind, AttachmentKind::Other);
    }

    #[test]
    fn films_give_their_page_and_polls_their_words() {
        let video =
            only(json!({"type": "video", "video": {"id": 8, "owner_id": -9, "title": "Двор", "access_key": "q"}}));
        assert_eq!(video.url.as_deref(), Some("https://vk.com/video-9_8"));
        let poll = json!({"type": "poll", "poll": {"id": 1, "owner_id": 2, "question": "Где лавка?",
            "answers": [{"text": "тут"}, {"text": "там"}]}});
        assert_eq!(own_words(&[poll]), ["Где лавка?\n- тут\n- там"]);
    }
}
