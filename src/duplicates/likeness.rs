//! By what two messages are known to be on one matter. Pure.
//!
//! | reason | equal |
//! |---|---|
//! | `same_id` | number of a portal's message, read by two connectors; the second number (ЕПГУ) in two systems |
//! | `same_link` | address of one single comment or message; any other address only together with the text |
//! | `same_text_and_author` | normal text and name or telephone |
//! | `same_text_and_place` | normal text and house |
//! | `same_text` | normal text of an incident and of a message in a network: exports often have neither address nor author |

use priem_sdk::{
    Message,
    message::{Contacts, Kind, Place},
};

use super::link::{Key, Reason};
use crate::journal::Hashes;

/// Keys of a message, the strongest first. Texts with fewer letters and digits are not compared.
pub fn keys(message: &Message, least_letters: usize, hashes: &Hashes) -> Vec<Key> {
    let data = &message.data;
    let mut keys = Vec::with_capacity(4);
    if matches!(data.kind, Kind::Portal | Kind::Incident) {
        keys.push(Key::same(hashes, Reason::Id, &["id", &data.channel, &data.external.id]));
    }
    if let Some(number) = data.external.alt_id.as_deref().filter(|number| number.len() >= 6) {
        keys.push(Key::same(hashes, Reason::Id, &["number", number]));
    }
    let link = data.external.url.as_deref().map(canonical);
    if let Some(link) = link.as_ref().filter(|link| is_of_one_message(link)) {
        keys.push(Key::same(hashes, Reason::Link, &["link", link]));
    }
    let text = normal(&data.body.text);
    let spaces = text.bytes().filter(|byte| *byte == b' ').count();
    if text.chars().count() - spaces < least_letters {
        return keys;
    }
    if let Some(link) = link.filter(|link| !is_of_one_message(link)) {
        keys.push(Key::same(hashes, Reason::Link, &["link and text", &link, &text]));
    }
    if let Some(name) = data.author.name.as_deref().map(person).filter(|name| !name.is_empty()) {
        keys.push(Key::same(hashes, Reason::TextAndAuthor, &["name", &name, &text]));
    }
    if let Some(phone) = telephone(&data.author.contacts) {
        keys.push(Key::same(hashes, Reason::TextAndAuthor, &["phone", &phone, &text]));
    }
    if let Some(place) = house(&data.place) {
        keys.push(Key::same(hashes, Reason::TextAndPlace, &["place", &place, &text]));
    }
    match data.kind {
        Kind::Incident => keys.push(Key::pair(
            hashes,
            Reason::Text,
            &["incident", &text],
            &["network", &text],
        )),
        Kind::Comment | Kind::Post | Kind::Review | Kind::Direct => {
            keys.push(Key::pair(
                hashes,
                Reason::Text,
                &["network", &text],
                &["incident", &text],
            ));
        }
        Kind::Portal | Kind::Vote => {}
    }
    keys
}

/// Words in lower case, `е` for `ё`, nothing but letters and digits between single spaces.
fn normal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // What nearly every text is of: asking Unicode's tables would cost more than all the rest of the linking.
            'а'..='я' | 'a'..='z' | '0'..='9' => out.push(c),
            'А'..='Я' => out.push(char::from_u32(u32::from(c) + 32).unwrap_or(c)),
            'ё' | 'Ё' => out.push('е'),
            'A'..='Z' => out.push(c.to_ascii_lowercase()),
            c if c.is_ascii() => part(&mut out),
            c => {
                for c in c.to_lowercase() {
                    if c.is_alphanumeric() {
                        out.push(c);
                    } else {
                        part(&mut out);
                    }
                }
            }
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Parts words by one space.
fn part(out: &mut String) {
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
}

/// «Петров Иван» and «Иван Петров» are one person.
fn person(name: &str) -> String {
    let name = normal(name);
    let mut words: Vec<&str> = name.split(' ').collect();
    words.sort_unstable();
    words.join(" ")
}

fn telephone(contacts: &Contacts) -> Option<String> {
    let digits: String = contacts
        .phone
        .as_deref()?
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    (digits.len() >= 10).then(|| digits[digits.len() - 10..].to_owned())
}

/// A house: its ФИАС id, or street and number.
fn house(place: &Place) -> Option<String> {
    let house = normal(place.house.as_deref()?);
    if let Some(fias) = &place.fias {
        return Some(fias.to_lowercase());
    }
    let street = normal(place.street.as_deref()?);
    let street: Vec<&str> = street
        .split(' ')
        .filter(|word| !matches!(*word, "ул" | "улица"))
        .collect();
    let house: String = house.split(' ').filter(|word| !matches!(*word, "д" | "дом")).collect();
    (!street.is_empty() && !house.is_empty()).then(|| format!("{} {house}", street.join(" ")))
}

/// An address without what differs between its spellings: scheme, `www`, `m`, other domains of VK, order of parameters
/// and those that do not choose the message.
fn canonical(url: &str) -> String {
    let rest = url.trim().split_once("://").map_or(url.trim(), |(_, rest)| rest);
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = path.split_once('/').unwrap_or((path, ""));
    let host = host.to_lowercase();
    let host = host.strip_prefix("www.").or(host.strip_prefix("m.")).unwrap_or(&host);
    let host = match host {
        "vk.ru" | "vkontakte.ru" => "vk.com",
        "telegram.me" => "t.me",
        other => other,
    };
    // `?w=wall-1_2` opens a post over somebody's page, and may carry parameters of its own after an encoded mark.
    let opened = query.split('&').find_map(|part| part.strip_prefix("w="));
    let opened = opened.map(|wall| wall.replace("%3F", "?").replace("%3D", "=").replace("%26", "&"));
    let (path, query) = match opened.as_deref().filter(|_| host == "vk.com") {
        Some(wall) => wall.split_once('?').unwrap_or((wall, "")),
        None => (path, query),
    };
    let chooses = |part: &&str| {
        ["reply=", "post=", "comment="]
            .iter()
            .any(|name| part.starts_with(name))
    };
    let mut chosen: Vec<&str> = query.split('&').filter(chooses).collect();
    chosen.sort_unstable();
    format!("{host}/{}?{}", path.trim_end_matches('/'), chosen.join("&"))
}

/// Whether an address is of one comment or message, and not of a post or topic under which many stand.
fn is_of_one_message(canonical: &str) -> bool {
    if !canonical.ends_with('?') {
        return true;
    }
    let Some(path) = canonical.strip_prefix("t.me/") else {
        return false;
    };
    path.trim_end_matches('?')
        .rsplit_once('/')
        .is_some_and(|(_, id)| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use priem_sdk::{EventType, MessageData, message::Regime};
    use proptest::prelude::*;

    use super::*;

    const WORDS: &str = "Во дворе дома 12 третий день течёт труба, вода уходит в подвал!";

    fn message(kind: Kind, change: impl FnOnce(&mut MessageData)) -> Message {
        let mut data = MessageData::new("x", kind, Regime::OpenSourceMessage);
        data.external.id = "1".into();
        data.body.text = WORDS.into();
        change(&mut data);
        Message::new(EventType::Received, data)
    }

    fn reason(one: &Message, other: &Message) -> Option<Reason> {
        let hashes = Hashes::with_key([7; 32]);
        let (one, other) = (keys(one, 30, &hashes), keys(other, 30, &hashes));
        other
            .iter()
            .find(|key| one.iter().any(|own| own.own == key.sought))
            .map(|key| key.reason)
    }

    #[test]
    fn an_incident_is_known_by_the_comment_it_is_about() {
        let comment = message(Kind::Comment, |data| {
            data.external.url = Some("https://vk.com/wall-1_2?reply=3&thread=9".into());
        });
        for url in [
            "https://vk.com/wall-1_2?reply=3",
            "http://m.vk.com/wall-1_2?thread=9&reply=3#x",
            "https://vk.ru/gorod?w=wall-1_2%3Freply%3D3",
        ] {
            let incident = message(Kind::Incident, |data| {
                data.external.url = Some(url.into());
                data.body.text = "другой пересказ".into();
            });
            assert_eq!(reason(&comment, &incident), Some(Reason::Link), "{url}");
        }
        let without = message(Kind::Incident, |data| {
            data.body.text = WORDS.to_uppercase().replace('Ё', "Е")
        });
        assert_eq!(
            reason(&comment, &without),
            Some(Reason::Text),
            "no address in the export"
        );
        assert_eq!(reason(&without, &comment), Some(Reason::Text), "whoever comes first");
    }

    #[test]
    fn messages_under_one_post_are_not_one_matter() {
        let under = |text: &str| {
            let text = text.to_owned();
            message(Kind::Comment, |data| {
                data.external.url = Some("https://ok.ru/group/1/topic/2".into());
                data.body.text = text;
            })
        };
        let other = under("Совсем другое: не ходит автобус номер семь вторую неделю");
        assert_eq!(reason(&under(WORDS), &other), None);
        assert_eq!(reason(&under(WORDS), &under(WORDS)), Some(Reason::Link));
    }

    #[test]
    fn words_alone_are_enough_for_nobody_but_incidents() {
        let (one, other) = (
            message(Kind::Portal, |_| {}),
            message(Kind::Portal, |data| data.external.id = "2".into()),
        );
        assert_eq!(reason(&one, &other), None, "a text that many copy");
        let comments = [1, 2].map(|_| message(Kind::Comment, |_| {}));
        assert_eq!(reason(&comments[0], &comments[1]), None);
        let by = |name: &str, kind| {
            let name = name.to_owned();
            message(kind, |data| data.author.name = Some(name))
        };
        let portal = by("Петров  Иван", Kind::Portal);
        assert_eq!(
            reason(&portal, &by("Иван Петров", Kind::Direct)),
            Some(Reason::TextAndAuthor)
        );
        assert_eq!(reason(&portal, &by("Иван Петренко", Kind::Direct)), None);
        let at = |street: &str, house: &str| {
            let place = Place {
                street: Some(street.into()),
                house: Some(house.into()),
                ..Place::default()
            };
            message(Kind::Portal, |data| {
                data.external.id = format!("{street} {house}");
                data.place = place;
            })
        };
        assert_eq!(
            reason(&at("ул. Мира", "д. 5 а"), &at("Мира", "5А")),
            Some(Reason::TextAndPlace)
        );
        assert_eq!(reason(&at("Мира", "5"), &at("Мира", "6")), None);
        let short = |kind| message(kind, |data| data.body.text = "Когда починят?".into());
        assert_eq!(reason(&short(Kind::Incident), &short(Kind::Comment)), None);
    }

    #[test]
    fn one_number_in_two_connectors_is_one_message_of_a_portal_only() {
        let of = |kind| message(kind, |data| data.body.text = "коротко".into());
        assert_eq!(reason(&of(Kind::Portal), &of(Kind::Portal)), Some(Reason::Id));
        assert_eq!(
            reason(&of(Kind::Direct), &of(Kind::Direct)),
            None,
            "two bots count alike"
        );
    }

    proptest! {
        /// The short ways give what Unicode's tables say.
        #[test]
        fn the_normal_text_is_of_letters_and_digits(text in "([а-яА-ЯёЁ]|[a-zA-Z0-9]|[ !.,«»—]|.){0,80}") {
            let mut slow = String::new();
            for c in text.chars().flat_map(char::to_lowercase) {
                match c {
                    'ё' => slow.push('е'),
                    c if c.is_alphanumeric() => slow.push(c),
                    _ if !slow.is_empty() && !slow.ends_with(' ') => slow.push(' '),
                    _ => {}
                }
            }
            prop_assert_eq!(normal(&text), slow.trim_end());
        }

        #[test]
        fn the_normal_text_is_its_is_its_own_normal_text(text in ".{0,80}") {
            let once = normal(&text);
            prop_assert_eq!(normal(&once), once);
        }

        #[test]
        fn any_address_is_survived(url in ".{0,60}") {
            let once = canonical(&url);
            let _ = is_of_one_message(&once);
        }
    }
}
