//! Attachments. Their structure is documented for messages only (`type`, `payload.url`), so they are read as JSON and
//! looked through for what is needed. Addresses that carry one of our credentials are not passed on.

use priem_sdk::{
    message::{Attachment, AttachmentKind, Geo, Place},
    unread,
};
use serde_json::Value;

/// Longest address passed on, bytes.
const LONGEST_URL: usize = 4096;
/// Objects inside an attachment that may hold its address or id.
const INNER: [&str; 5] = ["payload", "photo", "movie", "video", "link"];
/// Where an address may stand.
const URLS: [&str; 5] = ["url", "pic_max", "pic1024x768", "pic640x480", "src"];
/// Where an id may stand.
const IDS: [&str; 5] = ["id", "photo_id", "movie_id", "mp3_id", "ref"];
/// Parameters of an address that are credentials.
const CREDENTIALS: [&str; 8] = [
    "access_token",
    "session_key",
    "session_secret_key",
    "application_key",
    "application_secret_key",
    "refresh_token",
    "token",
    "sig",
];

/// Everything attached.
pub(super) fn attachments_of(list: &[Value]) -> Vec<Attachment> {
    list.iter().map(attachment).collect()
}

/// Whatever looks like words inside attachments, beside what becomes their names.
pub(super) fn words_of(list: &[Value]) -> Vec<String> {
    let said = list.iter().filter_map(|value| match kind_of(&type_of(value)) {
        AttachmentKind::Contact => None,
        AttachmentKind::Other => Some(unread::words_in(value, &|_| false)),
        _ => Some(unread::words_in(value, &|key| ["name", "title"].contains(&key))),
    });
    said.flatten().collect()
}

/// What a reader would recognise each attachment by. Signed parts of addresses change and don't count.
pub(super) fn identities(list: &[Value]) -> Vec<String> {
    list.iter()
        .map(|value| format!("{} {}", type_of(value), identity(value).unwrap_or_default()))
        .collect()
}

/// The place the author sent along.
pub(super) fn place_of(list: &[Value]) -> Place {
    let point = list.iter().find_map(|value| {
        let number =
            |names: [&str; 3]| places(value).find_map(|part| names.iter().find_map(|name| part.get(*name)?.as_f64()));
        Some((number(["latitude", "lat", "y"])?, number(["longitude", "lng", "lon"])?))
    });
    let geo = point.filter(|(lat, lon)| (-90.0..=90.0).contains(lat) && (-180.0..=180.0).contains(lon));
    Place {
        geo: geo.map(|(lat, lon)| Geo { lat, lon }),
        ..Place::default()
    }
    .with_precision()
}

/// One attachment of a kind with a reference of the source.
pub(super) fn referenced(kind: AttachmentKind, reference: &str) -> Attachment {
    Attachment {
        external_id: Some(reference.to_owned()),
        unique_id: Some(reference.to_owned()),
        ..Attachment::new(kind)
    }
}

/// The address, unless it carries a credential or is none.
pub(super) fn safe_url(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    if authority.is_empty() || authority.contains('@') || url.len() > LONGEST_URL || url.contains(char::is_whitespace) {
        return None;
    }
    let names = rest.split(['?', '#', '&', ';']).skip(1);
    let carries = names
        .map(|pair| pair.split('=').next().unwrap_or_default().to_ascii_lowercase())
        .any(|name| CREDENTIALS.contains(&name.as_str()));
    (!carries).then(|| url.to_owned())
}

fn attachment(value: &Value) -> Attachment {
    let kind = kind_of(&type_of(value));
    if kind == AttachmentKind::Contact {
        // A contact card is usually a third person's: only that there was one is passed on.
        return Attachment::new(kind);
    }
    let url = text_at(value, &URLS);
    let safe = url.and_then(safe_url);
    Attachment {
        external_id: text_at(value, &IDS).map(str::to_owned),
        unique_id: identity(value),
        needs_token: url.is_some() && safe.is_none(),
        url: safe,
        name: match kind {
            AttachmentKind::Other => Some(type_of(value)).filter(|name| !name.is_empty()),
            _ => text_at(value, &["name", "title"]).map(str::to_owned),
        },
        ..Attachment::new(kind)
    }
}

fn type_of(value: &Value) -> String {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    kind.to_ascii_uppercase()
}

fn kind_of(kind: &str) -> AttachmentKind {
    match kind {
        "IMAGE" | "PHOTO" | "GROUP_PHOTO" | "USER_PHOTO" => AttachmentKind::Photo,
        "VIDEO" | "MOVIE" => AttachmentKind::Video,
        "AUDIO" => AttachmentKind::Voice,
        "MUSIC" | "AUDIO_TRACK" => AttachmentKind::Audio,
        "FILE" | "DOCUMENT" => AttachmentKind::Document,
        "STICKER" => AttachmentKind::Sticker,
        "CONTACT" => AttachmentKind::Contact,
        "LOCATION" | "PLACE" => AttachmentKind::Location,
        "POLL" => AttachmentKind::Poll,
        "LINK" => AttachmentKind::Link,
        "SHARE" | "TOPIC" => AttachmentKind::Post,
        _ => AttachmentKind::Other,
    }
}

/// The id, the `id` in the address, or the address without what is signed.
fn identity(value: &Value) -> Option<String> {
    if let Some(id) = text_at(value, &IDS) {
        return Some(id.to_owned());
    }
    let url = text_at(value, &URLS)?;
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let id = query.split('&').find_map(|pair| pair.strip_prefix("id="));
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    Some(
        id.unwrap_or_else(|| path.split_once('/').map_or("", |(_, path)| path))
            .to_owned(),
    )
}

/// The attachment itself and the objects in it.
fn places(value: &Value) -> impl Iterator<Item = &Value> {
    std::iter::once(value).chain(INNER.iter().filter_map(|name| value.get(*name)))
}

fn text_at<'a>(value: &'a Value, names: &[&str]) -> Option<&'a str> {
    places(value)
        .find_map(|part| names.iter().find_map(|name| part.get(*name)?.as_str()))
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_with_credentials_stay_behind() {
        let open = "https://i.mycdn.me/image?id=877&t=3&tkn=*abc";
        assert_eq!(safe_url(open).as_deref(), Some(open));
        for closed in [
            "https://api.ok.ru/x?access_token=tkn",
            "https://api.ok.ru/x?a=1&SIG=abc",
            "https://api.ok.ru/x#session_key=abc",
            "https://user:pass@i.mycdn.me/x",
            "ftp://i.mycdn.me/x",
            "javascript:alert(1)",
            "https://",
            "https://i.mycdn.me/a b",
        ] {
            assert_eq!(safe_url(closed), None, "{closed}");
        }
        let found = attachments_of(&[json!({"type": "IMAGE", "payload": {"url": "https://x.ru/?token=t"}})]);
        assert_eq!((found[0].url.as_deref(), found[0].needs_token), (None, true));
    }

    #[test]
    fn a_new_signature_is_no_new_picture() {
        let image = |url: &str| identities(&[json!({"type": "IMAGE", "payload": {"url": url}})]);
        assert_eq!(
            image("https://i.mycdn.me/image?id=8&tkn=a"),
            image("https://i.okcdn.ru/image?id=8&tkn=b")
        );
        assert_ne!(
            image("https://i.mycdn.me/image?id=8"),
            image("https://i.mycdn.me/image?id=9")
        );
        assert_eq!(
            image("https://i.mycdn.me/u/7.jpg?x=1"),
            image("https://st.mycdn.me/u/7.jpg?x=2")
        );
    }

    #[test]
    fn kinds_places_and_strangers() {
        let list = [
            json!({"type": "LOCATION", "payload": {"latitude": 58.0, "longitude": 56.2}}),
            json!({"type": "CONTACT", "payload": {"name": "Третье Лицо", "phone": "+7"}}),
            json!({"type": "HOLOGRAM"}),
            json!(17),
        ];
        let found = attachments_of(&list);
        let kinds: Vec<&str> = found.iter().map(|attachment| attachment.kind.as_str()).collect();
        assert_eq!(kinds, ["location", "contact", "other", "other"]);
        assert_eq!(
            (found[1].name.as_deref(), found[2].name.as_deref()),
            (None, Some("HOLOGRAM"))
        );
        assert_eq!(place_of(&list).geo, Some(Geo { lat: 58.0, lon: 56.2 }));
        assert_eq!(place_of(&[json!({"lat": 158.0, "lon": 56.2})]).geo, None);
    }
}
