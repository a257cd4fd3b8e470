//! The markup of OK inside texts: `{group:123}Имя{group}` becomes its words and a mention. What is not understood
//! stays as it is: no words of a citizen are lost.

use priem_sdk::{message::Mention, text::PlainText};

/// Longest opening tag, bytes.
const LONGEST_TAG: usize = 80;
/// Longest words between two tags, bytes: keeps the cost linear in the length of the text.
const LONGEST_WORDS: usize = 2048;
/// A text with more mentions than this is spam; the words stay.
const MOST_MENTIONS: usize = 200;

/// Text without markup, and whom it names (`group:123`, `user:45`).
pub(super) fn plain(source: &str) -> PlainText {
    let mut out = PlainText::default();
    let mut rest = source;
    while let Some(at) = rest.find('{') {
        out.text.push_str(&rest[..at]);
        rest = &rest[at..];
        match tagged(rest) {
            Some((target, words, taken)) => {
                mention(&mut out, target, words);
                out.text.push_str(words);
                rest = &rest[taken..];
            }
            None => {
                out.text.push('{');
                rest = &rest[1..];
            }
        }
    }
    out.text.push_str(rest);
    out
}

/// `{kind:id}words{kind}` at the start: target, words and bytes taken.
fn tagged(text: &str) -> Option<(&str, &str, usize)> {
    let end = text.bytes().take(LONGEST_TAG).position(|byte| byte == b'}')?;
    let target = &text[1..end];
    let (kind, id) = target.split_once(':')?;
    let is_tag = !kind.is_empty()
        && kind.bytes().all(|byte| byte.is_ascii_alphabetic())
        && !id.is_empty()
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_tag {
        return None;
    }
    let after = &text[end + 1..];
    let close = format!("{{{kind}}}");
    let window = after.len().min(LONGEST_WORDS);
    let window = (0..=window).rev().find(|&at| after.is_char_boundary(at)).unwrap_or(0);
    let words = &after[..after[..window].find(&close)?];
    Some((target, words, end + 1 + words.len() + close.len()))
}

fn mention(out: &mut PlainText, target: &str, words: &str) {
    if out.mentions.len() < MOST_MENTIONS && !out.mentions.iter().any(|known| known.external_id == target) {
        out.mentions.push(Mention {
            external_id: target.to_owned(),
            text: words.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_become_words_and_mentions() {
        let found = plain("Пишет {group:57}Двор{group} и {user:9}Оля{user}, {group:57}Двор{group}!");
        assert_eq!(found.text, "Пишет Двор и Оля, Двор!");
        let ids: Vec<&str> = found.mentions.iter().map(|m| m.external_id.as_str()).collect();
        assert_eq!(ids, ["group:57", "user:9"]);
    }

    #[test]
    fn what_is_no_tag_stays() {
        for text in [
            "{",
            "{group:57}без конца",
            "{:1}x{}",
            "{a b:1}x{a b}",
            "{ключ:1}x{ключ}",
            "{{}}",
            "{group:57}x{user}",
        ] {
            assert_eq!(plain(text).text, text);
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_text(text in "[{}:a-z0-9 яё]{0,60}") {
            let _ = plain(&text);
        }
    }
}
