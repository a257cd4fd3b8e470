//! Attachments and places of a message body.
//!
//! `payload.url` needs no authorisation; it is passed on only when no token stands in it. `external_id` is what an API
//! call fetches the object by: the attachment's token for films, sounds and files (worth nothing without the bot's own
//! token), the photo's id for pictures.
//!
//! A contact card is usually a third person's: only that there was one is passed on, neither number nor name.

use priem_sdk::{
    message::{Attachment, AttachmentKind, Geo, Place},
    unread,
};
use serde_json::Value;

use super::api::Body;

/// Most attachments of one message that are looked at; the platform allows far fewer.
const MOST_ATTACHMENTS: usize = 100;

/// Everything attached to a body. Buttons are no attachments.
pub(super) fn attachments_of(body: &Body) -> impl Iterator<Item = Attachment> {
    body.attachments
        .iter()
        .flatten()
        .take(MOST_ATTACHMENTS)
        .filter_map(attachment)
}

/// The place sent along, when there is one.
pub(super) fn place_of(body: &Body) -> Option<Place> {
    let location = body
        .attachments
        .iter()
        .flatten()
        .find(|attachment| attachment["type"] == "location")?;
    let number = |key: &str| location[key].as_f64().or_else(|| location["payload"][key].as_f64());
    let geo = number("latitude").zip(number("longitude"))?;
    let inside = (-90.0..=90.0).contains(&geo.0) && (-180.0..=180.0).contains(&geo.1);
    let place = Place {
        geo: inside.then_some(Geo { lat: geo.0, lon: geo.1 }),
        ..Place::default()
    };
    Some(place.with_precision())
}

/// What a machine of the platform heard in a voice message.
pub(super) fn transcription_of(body: &Body) -> Option<&str> {
    let heard = |attachment: &&Value| attachment["type"] == "audio" && transcription(attachment).is_some();
    transcription(body.attachments.iter().flatten().find(heard)?)
}

/// Words inside attachments: the person's own (the data of a mini-app, whatever looks like words in a kind this version does
/// not know), and those of others that come along with a link.
pub(super) fn words_of(body: &Body) -> (Vec<String>, Vec<String>) {
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for source in body.attachments.iter().flatten().take(MOST_ATTACHMENTS) {
        match source["type"].as_str().unwrap_or_default() {
            // Files say nothing beside what becomes their name; buttons are the bot's; a card is a third person's.
            "image" | "video" | "audio" | "file" | "sticker" | "location" | "contact" | "inline_keyboard"
            | "reply_keyboard" => {}
            "data" => own.extend(source["data"].as_str().map(unread::form)),
            "share" => others.extend(unread::words_in(source, &|key| key == "title")),
            _ => own.extend(unread::words_in(source, &|_| false)),
        }
    }
    own.retain(|text| !text.is_empty());
    (own, others)
}

fn transcription(attachment: &Value) -> Option<&str> {
    attachment["transcription"].as_str().filter(|text| !text.is_empty())
}

/// What a reader sees of an attachment, for the fingerprint: addresses and tokens change from delivery to delivery.
pub(super) fn visible(attachment: &Value) -> String {
    let kind = attachment["type"].as_str().unwrap_or_default();
    let payload = &attachment["payload"];
    let seen: Vec<String> = match kind {
        "image" => vec![payload["photo_id"].to_string()],
        "file" => vec![attachment["filename"].to_string(), attachment["size"].to_string()],
        "sticker" => vec![payload["code"].to_string()],
        "share" => vec![payload["url"].to_string(), attachment["title"].to_string()],
        "location" => vec![attachment["latitude"].to_string(), attachment["longitude"].to_string()],
        "video" => vec![attachment["duration"].to_string(), payload["id"].to_string()],
        "contact" => vec![
            payload["vcf_info"].to_string(),
            payload["max_info"]["user_id"].to_string(),
        ],
        _ => Vec::new(),
    };
    [kind.to_owned()]
        .into_iter()
        .chain(seen)
        .collect::<Vec<_>>()
        .join("\u{1f}")
}

fn attachment(source: &Value) -> Option<Attachment> {
    let payload = &source["payload"];
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let token = text(&payload["token"]);
    let url = text(&payload["url"]).filter(|url| is_public(url, token.as_deref()));
    let file = |kind| Attachment {
        needs_token: url.is_none(),
        external_id: token.clone(),
        url: url.clone(),
        ..Attachment::new(kind)
    };
    let kind = source["type"].as_str().unwrap_or_default();
    Some(match kind {
        "image" => {
            let photo = payload["photo_id"].as_i64().map(|id| id.to_string());
            Attachment {
                external_id: photo.clone(),
                unique_id: photo,
                ..file(AttachmentKind::Photo)
            }
        }
        "video" => file(AttachmentKind::Video),
        "audio" if transcription(source).is_some() => file(AttachmentKind::Voice),
        "audio" => file(AttachmentKind::Audio),
        "file" => Attachment {
            name: text(&source["filename"]),
            size: source["size"].as_u64(),
            ..file(AttachmentKind::Document)
        },
        "sticker" => Attachment {
            unique_id: text(&payload["code"]),
            needs_token: false,
            ..file(AttachmentKind::Sticker)
        },
        "contact" => Attachment::new(AttachmentKind::Contact),
        "share" => Attachment {
            url,
            name: text(&source["title"]),
            ..Attachment::new(AttachmentKind::Link)
        },
        "location" => Attachment::new(AttachmentKind::Location),
        "inline_keyboard" | "reply_keyboard" | "data" => return None,
        _ => Attachment {
            name: Some(unread::shown(kind).to_owned()),
            ..Attachment::new(AttachmentKind::Other)
        },
    })
}

/// Whether an address can be passed on: of the web, and without a token in it.
fn is_public(url: &str, token: Option<&str>) -> bool {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    let names_token = url.split_once('?').is_some_and(|(_, query)| {
        query
            .split('&')
            .filter_map(|pair| pair.split('=').next())
            .any(|name| name.to_ascii_lowercase().contains("token"))
    });
    let holds_userinfo = url
        .split("://")
        .nth(1)
        .and_then(|rest| rest.split(['/', '?', '#']).next())
        .is_some_and(|authority| authority.contains('@'));
    is_web && !names_token && !holds_userinfo && !token.is_some_and(|token| url.contains(token))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_with_a_token_in_it_is_not_passed_on() {
        for (url, passes) in [
            ("https://i.oneme.ru/i?r=BTGBPUwtwgYUeoFhO7rESmr8", true),
            ("https://fd.oneme.ru/getfile?sig=abc&expires=1", true),
            ("https://fd.oneme.ru/getfile?access_token=abc", false),
            ("https://fd.oneme.ru/f9LHod", false),
            ("https://user:pass@fd.oneme.ru/x", false),
            ("file:///etc/passwd", false),
            ("data:text/plain,x", false),
        ] {
            assert_eq!(is_public(url, Some("f9LHod")), passes, "{url}");
        }
        let found =
            attachment(&json!({"type": "file", "payload": {"url": "https://fd.oneme.ru/f9LHod", "token": "f9LHod"}}));
        let found = found.expect("a file");
        assert_eq!(
            (found.url, found.needs_token, found.external_id.as_deref()),
            (None, true, Some("f9LHod"))
        );
    }

    #[test]
    fn a_contact_card_says_only_that_there_was_one() {
        let card = json!({"type": "contact", "payload": {"vcf_info": "BEGIN:VCARD TEL:79990000000", "max_info": {"user_id": 5}}});
        assert_eq!(attachment(&card), Some(Attachment::new(AttachmentKind::Contact)));
    }
}
