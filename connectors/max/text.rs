//! Words of a message body: plain text, mentions, and addresses hidden behind words.
//!
//! Markup offsets are taken as UTF-16 code units and never trusted: what does not fit the text is not sliced.

use priem_sdk::{text::PlainText, utf16};

use super::api::{Body, Markup};

/// Words of one or two bodies (a forward with words of its own has two).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// Text and mentions.
    pub plain: PlainText,
    /// Addresses hidden behind words, in order, each once.
    pub links: Vec<String>,
}

impl Words {
    /// Adds the words of a body below what is there.
    pub fn add(&mut self, body: &Body) {
        let text = body.text.as_deref().unwrap_or_default();
        for markup in body.markup.iter().flatten() {
            self.mark(text, markup);
        }
        self.push(text);
    }

    /// Adds words that stand elsewhere.
    pub fn say(&mut self, words: &[String]) {
        words.iter().for_each(|text| self.push(text));
    }

    fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if !self.plain.text.is_empty() {
            self.plain.text.push_str("\n\n");
        }
        self.plain.text.push_str(text);
    }

    fn mark(&mut self, text: &str, markup: &Markup) {
        let words = utf16::slice(text, markup.from, markup.length);
        match markup.kind.as_str() {
            "link" => {
                let Some(url) = markup.url.as_deref().filter(|url| !url.is_empty()) else {
                    return;
                };
                if words != Some(url) && !self.links.iter().any(|known| known == url) {
                    self.links.push(url.to_owned());
                }
            }
            "user_mention" => {
                let name = markup.user_link.as_deref().map(|link| link.trim_start_matches('@'));
                let id = match (name.filter(|name| !name.is_empty()), markup.user_id) {
                    (Some(name), _) => name.to_owned(),
                    (None, Some(id)) => id.to_string(),
                    (None, None) => return,
                };
                self.plain.mention(&id, words.unwrap_or_default());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(bodies: &[serde_json::Value]) -> Words {
        let mut words = Words::default();
        for body in bodies {
            words.add(&serde_json::from_value(body.clone()).expect("a body"));
        }
        words
    }

    #[test]
    fn mentions_and_hidden_links_are_found() {
        let found = words(&[json!({"text": "👍 Пётр, см. карту", "markup": [
            {"type": "user_mention", "from": 3, "length": 4, "user_id": 77},
            {"type": "link", "from": 13, "length": 5, "url": "https://example.ru/k"},
            {"type": "strong", "from": 0, "length": 2},
        ]})]);
        assert_eq!(found.plain.text, "👍 Пётр, см. карту");
        assert_eq!(
            (
                found.plain.mentions[0].external_id.as_str(),
                found.plain.mentions[0].text.as_str()
            ),
            ("77", "Пётр")
        );
        assert_eq!(found.links, ["https://example.ru/k"]);
    }

    #[test]
    fn a_written_out_link_is_no_hidden_one_and_wrong_offsets_are_harmless() {
        let found = words(&[json!({"text": "https://a.ru", "markup": [
            {"type": "link", "from": 0, "length": 12, "url": "https://a.ru"},
            {"type": "user_mention", "from": 5, "length": 900, "user_link": "@gorod"},
            {"type": "user_mention", "from": -1, "length": 2},
            {"type": "quite_new", "from": i64::MAX, "length": i64::MAX},
        ]})]);
        assert!(found.links.is_empty());
        assert_eq!(found.plain.mentions.len(), 1);
        assert_eq!(
            (
                found.plain.mentions[0].external_id.as_str(),
                found.plain.mentions[0].text.as_str()
            ),
            ("gorod", "")
        );
    }

    #[test]
    fn two_bodies_follow_each_other() {
        let found = words(&[json!({"text": "Смотрите:"}), json!({}), json!({"text": "Яма"})]);
        assert_eq!(found.plain.text, "Смотрите:\n\nЯма");
    }
}
