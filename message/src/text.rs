//! Turns a source's markup into plain text and mentions: VK markup here, HTML in [`html`](crate::html).
//!
//! Total functions: any input gives text, in time linear in its length (`Ahead` looks at no byte twice). Markup that is
//! not understood stays as it is, so no words of a citizen are lost.

use crate::Mention;
pub use crate::html::{decode_entities, from_html, has_html};

/// Longest piece of markup looked for, bytes: keeps the cost linear in the length of the text.
const LONGEST_MARKUP: usize = 2048;
/// Longest name behind an `@`, bytes; what is longer is a long word.
const LONGEST_HANDLE: usize = 128;
/// A text with more mentions than this is spam; the words stay.
const MOST_MENTIONS: usize = 200;

/// Looks for one end of markup in a text that is read from its beginning to its end. What was found stays found until it
/// is passed, and what is not there is looked for once, so all looks together cost one pass.
struct Ahead<'s> {
    source: &'s str,
    needle: &'static str,
    /// Place of the next one at or after the last place asked for; `None` before the first look.
    next: Option<usize>,
    /// Bytes looked at.
    work: usize,
}

impl<'s> Ahead<'s> {
    fn new(source: &'s str, needle: &'static str) -> Self {
        Self {
            source,
            needle,
            next: None,
            work: 0,
        }
    }

    /// Place of the next one at or after `from` that begins within `limit` bytes. Places asked for never go back.
    fn find(&mut self, from: usize, limit: usize) -> Option<usize> {
        let next = match self.next {
            Some(next) if next >= from => next,
            _ => {
                let rest = self.source.get(from..).unwrap_or_default();
                let found = rest.find(self.needle);
                self.work += found.unwrap_or(rest.len());
                found.map_or(usize::MAX, |at| from + at)
            }
        };
        self.next = Some(next);
        (next < from.saturating_add(limit)).then_some(next)
    }
}

/// Text without markup, and whom it names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlainText {
    /// The words.
    pub text: String,
    /// People and pages named in the text, in order, without repetitions.
    pub mentions: Vec<Mention>,
}

impl PlainText {
    /// Notes that somebody is named, once for each id and within a bound.
    pub fn mention(&mut self, external_id: &str, text: &str) {
        if self.mentions.len() < MOST_MENTIONS && !self.mentions.iter().any(|known| known.external_id == external_id) {
            self.mentions.push(Mention {
                external_id: external_id.to_owned(),
                text: text.to_owned(),
            });
        }
    }
}

/// VK markup: `[id1|Имя]` and `[club1|текст]` become their words and a mention (also `[id1:bp-2_3|Имя]`, which answers
/// comment 3 of a discussion), `[post3|Имя]`, which answers too but names nobody, becomes its words, `[https://…|текст]` becomes the words
/// with the address, `@id1 (Имя)` and `*id1 (Имя)` become the name, `@user` stays as written and is a mention.
pub fn from_vk(source: &str) -> PlainText {
    let mut out = PlainText {
        text: String::with_capacity(source.len()),
        mentions: Vec::new(),
    };
    vk(source, &mut out);
    out
}

/// Appends a text with VK markup; how many bytes were looked at for ends of markup.
fn vk(source: &str, out: &mut PlainText) -> usize {
    let (mut square, mut round) = (Ahead::new(source, "]"), Ahead::new(source, ")"));
    let mut rest = source;
    let mut previous = None;
    while let Some(next) = rest.chars().next() {
        let at = source.len() - rest.len();
        let taken = match next {
            '[' => square
                .find(at, LONGEST_MARKUP)
                .and_then(|end| bracket(&rest[..end - at], out)),
            '@' | '*' if !previous.is_some_and(is_word) => handle(rest, at, &mut round, out),
            _ => None,
        };
        let taken = taken.unwrap_or_else(|| {
            out.text.push(next);
            next.len_utf8()
        });
        previous = rest[..taken].chars().next_back();
        rest = &rest[taken..];
    }
    square.work + round.work
}

/// `[target|words` whose `]` follows; the number of bytes taken, with it.
fn bracket(markup: &str, out: &mut PlainText) -> Option<usize> {
    let end = markup.len();
    let (target, words) = markup[1..].split_once('|')?;
    let (target, words) = (target.trim(), words.trim());
    if words.is_empty() || target.contains(['[', '\n']) {
        return None;
    }
    let page = target.split_once(":bp").map_or(target, |(page, _)| page);
    if is_page(page) {
        out.mention(page, words);
        out.text.push_str(words);
    } else if vk_answered_comment(target).is_some() {
        out.text.push_str(words);
    } else if target.starts_with("http://") || target.starts_with("https://") {
        out.text.push_str(words);
        if words != target {
            out.text.push_str(" (");
            out.text.push_str(target);
            out.text.push(')');
        }
    } else {
        return None;
    }
    Some(end + 1)
}

/// The comment a target of VK's answer markup names: `post3`, `id1:bp-2_3`.
fn vk_answered_comment(target: &str) -> Option<i64> {
    let number = match target.strip_prefix("post") {
        Some(number) => number,
        None => target.split_once(":bp")?.1.rsplit_once('_')?.1,
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| number.parse().ok()).flatten()
}

/// Which comment of a VK discussion a text answers: `[post3|Имя], …` and `[id1:bp-2_3|Имя], …` at its beginning.
pub fn vk_answer_target(source: &str) -> Option<i64> {
    let inside = window(source.trim_start(), LONGEST_MARKUP).strip_prefix('[')?;
    let (target, _) = inside.split_once('|')?;
    vk_answered_comment(target.trim())
}

/// `@name` or `@name (words)` at the start of `rest`, which stands `at` a place of the source; the number of bytes taken.
fn handle(rest: &str, at: usize, ends: &mut Ahead<'_>, out: &mut PlainText) -> Option<usize> {
    let length = rest[1..]
        .bytes()
        .take(LONGEST_HANDLE)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
        .count();
    let name = rest[1..=length].trim_end_matches('.');
    let opened = 1 + name.len() + 2;
    let words = rest[1 + name.len()..]
        .starts_with(" (")
        .then(|| ends.find(at + opened, LONGEST_MARKUP))
        .flatten()
        .map(|end| &rest[opened..end - at])
        .filter(|words| !words.trim().is_empty() && !words.contains('\n'));
    if let Some(words) = words
        && is_page(name)
    {
        out.mention(name, words.trim());
        out.text.push_str(words.trim());
        return Some(1 + name.len() + 2 + words.len() + 1);
    }
    // A bare star is emphasis or a footnote, not a name.
    if rest.starts_with('*') || name.len() < 2 || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    out.mention(name, &rest[..=name.len()]);
    out.text.push_str(&rest[..=name.len()]);
    Some(1 + name.len())
}

/// `id1`, `club1`, `public1`, `event1`.
fn is_page(target: &str) -> bool {
    ["id", "club", "public", "event"].iter().any(|prefix| {
        target
            .strip_prefix(prefix)
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.'
}

/// The first `limit` bytes of a text, or one or two less so as not to cut a character.
fn window(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(plain: &PlainText) -> Vec<&str> {
        plain.mentions.iter().map(|m| m.external_id.as_str()).collect()
    }

    #[test]
    fn vk_pages_become_words_and_mentions() {
        let plain = from_vk("[id1|Анна], а [club22|группа двора] молчит. [id1|Анна]!");
        assert_eq!(plain.text, "Анна, а группа двора молчит. Анна!");
        assert_eq!(ids(&plain), ["id1", "club22"]);
    }

    #[test]
    fn vk_links_keep_the_address() {
        assert_eq!(
            from_vk("смотрите [https://vk.com/wall-1_2|пост]").text,
            "смотрите пост (https://vk.com/wall-1_2)"
        );
    }

    #[test]
    fn vk_handles_are_mentions_but_mail_addresses_are_not() {
        let plain = from_vk("@id5 (Пётр) и @gorod_perm. Пишите dom@mail.ru, *id7 (Оля), 5 * 3");
        assert_eq!(plain.text, "Пётр и @gorod_perm. Пишите dom@mail.ru, Оля, 5 * 3");
        assert_eq!(ids(&plain), ["id5", "gorod_perm", "id7"]);
    }

    #[test]
    fn vk_answers_in_discussions_name_the_comment() {
        let plain = from_vk("[id1:bp-2_34|Анна], а [post35|Олег] прав");
        assert_eq!(plain.text, "Анна, а Олег прав");
        assert_eq!(ids(&plain), ["id1"]);
        assert_eq!(vk_answer_target("[id1:bp-2_34|Анна], да"), Some(34));
        assert_eq!(vk_answer_target("[club5:bp-2_36|Двор], да"), Some(36));
        assert_eq!(vk_answer_target(" [post35|Олег], да"), Some(35));
        for text in ["[id1|Анна]", "да [post35|Олег]", "[postx|Олег]", "[post35", "", "["] {
            assert_eq!(vk_answer_target(text), None, "{text}");
        }
    }

    #[test]
    fn broken_markup_stays_as_written() {
        for text in ["[id1|", "[нет|слова]", "[|]", "@", "a [b] c", "[id1|]", "@ (x)"] {
            assert_eq!(from_vk(text).text, text);
        }
    }

    /// Twice the text is twice the work, whatever stands in it.
    #[test]
    fn hostile_markup_takes_linear_work() {
        for piece in ["[", "[id1|", "@", "@a (", "*id1 (", "@a.", "][", "a<b>[c|d]("] {
            let source = piece.repeat(100_000);
            let work = vk(&source, &mut PlainText::default());
            assert!(work <= 2 * source.len() + 2, "{piece}: {work} for {}", source.len());
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_text(text in "\\PC*") {
            let _ = from_vk(&text);
        }

        #[test]
        fn markup_soup_gives_text(text in "[\\[\\]|@*<>&;#a-zid01 ()/я\n]{0,60}") {
            let _ = from_vk(&text);
        }
    }
}
