//! Turns a source's markup into plain text and mentions: VK markup and HTML.
//!
//! Total functions: any input gives text. Markup that is not understood stays as it is, so no words of a citizen
//! are lost.

use std::borrow::Cow;

use crate::message::Mention;

/// Longest piece of markup looked for, bytes: keeps the cost linear in the length of the text.
const LONGEST_MARKUP: usize = 2048;
/// Longest `<script>` or `<style>` that is taken out whole, bytes.
const LONGEST_SCRIPT: usize = 64 * 1024;

/// A text with more mentions than this is spam; the words stay.
const MOST_MENTIONS: usize = 200;

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
    let mut rest = source;
    let mut previous = None;
    while let Some(next) = rest.chars().next() {
        let taken = match next {
            '[' => bracket(rest, &mut out),
            '@' | '*' if !previous.is_some_and(is_word) => handle(rest, &mut out),
            _ => None,
        };
        let taken = taken.unwrap_or_else(|| {
            out.text.push(next);
            next.len_utf8()
        });
        previous = rest[..taken].chars().next_back();
        rest = &rest[taken..];
    }
    out
}

/// Decodes HTML entities and nothing else, for sources that escape plain text (`&amp;`, `&lt;`, `&#33;`). What is no
/// entity stays as it is.
pub fn decode_entities(source: &str) -> Cow<'_, str> {
    if !source.contains('&') {
        return Cow::Borrowed(source);
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = entity(rest, &mut out).unwrap_or_else(|| {
            out.push('&');
            1
        });
        rest = &rest[taken..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// HTML to text: `<br>` and the ends of blocks become line ends, links keep their words, `script` and `style` go,
/// entities are decoded. Text without tags and entities comes back as it is.
pub fn from_html(source: &str) -> String {
    if !source.contains('<') && !source.contains('&') {
        return source.to_owned();
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let taken = match next {
            '<' => tag(rest, &mut out),
            '&' => entity(rest, &mut out),
            _ => None,
        };
        let taken = taken.unwrap_or_else(|| {
            out.push(next);
            next.len_utf8()
        });
        rest = &rest[taken..];
    }
    out.trim().to_owned()
}

/// Whether the text holds an HTML tag, so that the original is worth keeping.
pub fn has_html(source: &str) -> bool {
    source.match_indices('<').any(|(at, _)| {
        window(&source[at..], LONGEST_MARKUP)
            .find('>')
            .is_some_and(|end| known_tag(&source[at + 1..at + end]).is_some())
    })
}

/// `[target|words]` at the start of `rest`; the number of bytes taken.
fn bracket(rest: &str, out: &mut PlainText) -> Option<usize> {
    let end = window(rest, LONGEST_MARKUP).find(']')?;
    let (target, words) = rest[1..end].split_once('|')?;
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

/// `@name` or `@name (words)` at the start of `rest`; the number of bytes taken.
fn handle(rest: &str, out: &mut PlainText) -> Option<usize> {
    let rest = window(rest, LONGEST_MARKUP);
    let length = rest[1..]
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
        .unwrap_or(rest.len() - 1);
    let name = rest[1..=length].trim_end_matches('.');
    let after = &rest[1 + name.len()..];
    let words = after
        .strip_prefix(" (")
        .and_then(|inner| inner.find(')').map(|end| &inner[..end]))
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

/// A tag at the start of `rest`; the number of bytes taken. What is no known tag (`a < b`) stays.
fn tag(rest: &str, out: &mut String) -> Option<usize> {
    if rest.starts_with("<!--") {
        return window(rest, LONGEST_SCRIPT).find("-->").map(|end| end + 3);
    }
    let end = window(rest, LONGEST_MARKUP).find('>')?;
    let (name, closing) = known_tag(&rest[1..end])?;
    match name {
        "script" | "style" if !closing => {
            let close = format!("</{name}");
            let lower = window(rest, LONGEST_SCRIPT).to_ascii_lowercase();
            let from = lower.find(&close)?;
            return lower[from..].find('>').map(|end| from + end + 1);
        }
        "br" => new_line(out),
        "p" | "div" | "li" | "tr" | "ul" | "ol" | "blockquote" | "h1" | "h2" | "h3" if !out.ends_with('\n') => {
            new_line(out);
        }
        "td" | "th" if closing => out.push(' '),
        _ => {}
    }
    Some(end + 1)
}

/// The first `limit` bytes of a text, or one or two less so as not to cut a character.
fn window(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..end]
}

fn new_line(out: &mut String) {
    let trimmed = out.trim_end_matches([' ', '\t']).len();
    out.truncate(trimmed);
    if !out.is_empty() {
        out.push('\n');
    }
}

/// Name of the tag and whether it closes, for tags seen in messages.
fn known_tag(inside: &str) -> Option<(&'static str, bool)> {
    const TAGS: &[&str] = &[
        "a",
        "b",
        "blockquote",
        "br",
        "code",
        "del",
        "div",
        "em",
        "font",
        "h1",
        "h2",
        "h3",
        "hr",
        "i",
        "img",
        "li",
        "ol",
        "p",
        "pre",
        "s",
        "script",
        "small",
        "span",
        "strike",
        "strong",
        "style",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "u",
        "ul",
    ];
    let closing = inside.starts_with('/');
    let inside = inside.trim_start_matches('/');
    let name = inside
        .split(|c: char| c.is_whitespace() || c == '/')
        .next()
        .unwrap_or_default();
    TAGS.iter()
        .find(|known| name.eq_ignore_ascii_case(known))
        .map(|known| (*known, closing))
}

/// An entity at the start of `rest`; the number of bytes taken.
fn entity(rest: &str, out: &mut String) -> Option<usize> {
    // The longest entity we know has eight characters.
    let end = rest.bytes().take(12).position(|byte| byte == b';')?;
    let name = &rest[1..end];
    let decoded = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" | "laquo" | "raquo" => match name {
            "laquo" => '«',
            "raquo" => '»',
            _ => '"',
        },
        "apos" => '\'',
        "nbsp" => ' ',
        "mdash" => '—',
        "ndash" => '–',
        "hellip" => '…',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|c| *c != '\0')?
        }
    };
    out.push(decoded);
    Some(end + 1)
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
    fn entities_are_decoded_and_tags_stay() {
        assert_eq!(
            decode_entities("Р&amp;Д &lt;b&gt; &#33; & &nope; <b>"),
            "Р&Д <b> ! & &nope; <b>"
        );
        assert!(matches!(decode_entities("без них"), Cow::Borrowed(_)));
    }

    #[test]
    fn broken_markup_stays_as_written() {
        for text in ["[id1|", "[нет|слова]", "[|]", "@", "a [b] c", "[id1|]", "@ (x)"] {
            assert_eq!(from_vk(text).text, text);
        }
    }

    #[test]
    fn html_becomes_text() {
        assert_eq!(
            from_html("<p>Яма &laquo;у дома&raquo; &#8470;5</p><p>Уже <b>год</b><br/>ждём &lt;3</p>"),
            "Яма «у дома» №5\nУже год\nждём <3"
        );
        assert_eq!(from_html("a<script>bad()</script>b<style>x</style>"), "ab");
        assert_eq!(from_html("5 < 6 и Р&Д &unknown; <3"), "5 < 6 и Р&Д &unknown; <3");
    }

    #[test]
    fn html_is_recognised_by_known_tags_only() {
        assert!(has_html("a<br>b") && has_html("<a href='x'>y</a>"));
        assert!(!has_html("5 < 6 > 2") && !has_html("<хорошо>"));
    }

    proptest! {
        #[test]
        fn any_text_gives_text(text in "\\PC*") {
            let _ = from_vk(&text);
            let _ = from_html(&text);
            let _ = has_html(&text);
        }

        #[test]
        fn markup_soup_gives_text(text in "[\\[\\]|@*<>&;#a-zid01 ()/я\n]{0,60}") {
            let _ = from_vk(&text);
            let _ = from_html(&text);
        }
    }
}
