//! Likely duplicates: messages of one or several systems about the same thing. Linked in the report, never dropped.

use std::collections::{BTreeMap, BTreeSet};

use priem_sdk::{Message, message::Moment};

/// Shorter texts («Спасибо!») say nothing about being the same, letters and digits.
const SHORTEST_TEXT: usize = 20;

/// Why messages look like one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The same post or comment of VK.
    Link(String),
    /// The same words.
    Text([u8; 16]),
    /// The same author on the same day.
    AuthorDay(String),
}

impl Key {
    /// Bounded name for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Link(_) => "same_link",
            Self::Text(_) => "same_text",
            Self::AuthorDay(_) => "same_author_and_day",
        }
    }

    /// For people.
    pub fn russian(&self) -> &'static str {
        match self {
            Self::Link(_) => "одна и та же запись ВКонтакте",
            Self::Text(_) => "тот же текст",
            Self::AuthorDay(_) => "тот же автор в тот же день",
        }
    }
}

/// Every sign by which a message can be found again elsewhere.
pub fn keys(message: &Message) -> Vec<Key> {
    let data = &message.data;
    let mut keys = Vec::new();
    let in_text = data.body.text.split_whitespace();
    let links: BTreeSet<String> = data
        .external
        .url
        .as_deref()
        .into_iter()
        .chain(in_text)
        .filter_map(vk_link)
        .collect();
    keys.extend(links.into_iter().map(Key::Link));
    keys.extend(text_key(&data.body.text).map(Key::Text));
    let day = data
        .times
        .occurred
        .as_ref()
        .or(data.times.at_source.as_ref())
        .and_then(day);
    if let (Some(author), Some(day)) = (data.author.external_id.as_deref().map(author_key), day) {
        keys.push(Key::AuthorDay(format!("{author} {day}")));
    }
    keys
}

/// Groups of messages, given by their places in a list, that share a sign. A group is told once, by its strongest sign.
pub fn groups(signs: &BTreeMap<Key, BTreeSet<usize>>) -> Vec<(&Key, &BTreeSet<usize>)> {
    let mut told: BTreeSet<&BTreeSet<usize>> = BTreeSet::new();
    signs
        .iter()
        .filter(|(_, members)| members.len() > 1)
        .filter(|(_, members)| told.insert(members))
        .collect()
}

/// `https://vk.com/wall-1_2?reply=3` → `wall-1_2_3`, whatever the host and the form of the address.
fn vk_link(word: &str) -> Option<String> {
    let lower = word.to_lowercase();
    if !lower.contains("vk.com/") && !lower.contains("vk.ru/") {
        return None;
    }
    let rest = &lower[lower.find("wall")? + "wall".len()..];
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '-' && c != '_')
        .unwrap_or(rest.len());
    let (owner, post) = rest[..end].split_once('_')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(owner.trim_start_matches('-')) || !is_number(post) {
        return None;
    }
    let reply: String = rest
        .find("reply=")
        .map(|at| {
            rest[at + "reply=".len()..]
                .chars()
                .take_while(char::is_ascii_digit)
                .collect()
        })
        .unwrap_or_default();
    Some(if reply.is_empty() {
        format!("wall{owner}_{post}")
    } else {
        format!("wall{owner}_{post}_{reply}")
    })
}

/// Hash of the letters and digits of a text, case and `ё` aside.
fn text_key(text: &str) -> Option<[u8; 16]> {
    let plain: String = text
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .map(|c| if c == 'ё' { 'е' } else { c })
        .collect();
    if plain.chars().count() < SHORTEST_TEXT {
        return None;
    }
    let mut key = [0; 16];
    key.copy_from_slice(&blake3::hash(plain.as_bytes()).as_bytes()[..16]);
    Some(key)
}

/// `https://vk.com/id1` and `id1` are one author.
fn author_key(id: &str) -> String {
    let lower = id.trim().trim_end_matches('/').to_lowercase();
    lower.rsplit('/').next().unwrap_or_default().to_owned()
}

/// The day of a moment in the zone of its source.
fn day(moment: &Moment) -> Option<&str> {
    moment.value.get(..10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_post_has_one_name_in_every_form_of_its_address() {
        for (address, name) in [
            ("https://vk.com/wall-1_2?reply=3", Some("wall-1_2_3")),
            ("https://m.vk.com/wall-1_2?reply=3&thread=4", Some("wall-1_2_3")),
            ("http://vk.ru/feed?w=wall5_6", Some("wall5_6")),
            ("vk.com/wall-1_2,", Some("wall-1_2")),
            ("https://vk.com/id1", None),
            ("https://vk.com/wallpaper", None),
            ("https://example.ru/wall-1_2", None),
        ] {
            assert_eq!(vk_link(address).as_deref(), name, "{address}");
        }
    }

    #[test]
    fn texts_are_compared_by_letters_alone() {
        let one = text_key("Ёлка упала на дорогу, уберите!");
        assert!(one.is_some());
        assert_eq!(one, text_key("елка  УПАЛА на дорогу — уберите"));
        assert_eq!(text_key("Спасибо большое!"), None);
        assert_eq!(author_key("https://vk.com/id1/"), author_key("ID1"));
    }

    #[test]
    fn a_group_is_told_once_by_its_strongest_sign() {
        let mut signs = BTreeMap::new();
        signs.insert(Key::Text([0; 16]), BTreeSet::from([1, 2]));
        signs.insert(Key::Link("wall1_1".into()), BTreeSet::from([1, 2]));
        signs.insert(Key::AuthorDay("a 2026-01-01".into()), BTreeSet::from([3]));
        let found: Vec<&str> = groups(&signs).into_iter().map(|(key, _)| key.name()).collect();
        assert_eq!(found, ["same_link"]);
    }
}
