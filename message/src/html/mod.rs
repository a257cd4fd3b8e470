//! HTML as text for people and for rules: what editors of portals, office programs, exports and messengers produce.
//!
//! Total: any input gives text, in time linear in its length, and no words are lost, except what a reader of the page
//! would not see either (scripts, styles, comments).

mod entities;
mod scan;

pub use entities::decode_entities;
use scan::{Piece, Scan, begins_a_line, is_hidden};

/// Deepest list that is indented.
const DEEPEST_LIST: usize = 6;

/// The text of an HTML body.
///
/// Paragraphs, line breaks and table rows become lines, with one empty line between them at most; list items get `•` or
/// their number; links keep their words and, when the words don't show it, their address; entities are decoded; runs of
/// spaces become one. Text without tags keeps its lines. What only looks like a tag (`a < b`, `<хорошо>`) stays.
pub fn to_text(source: &str) -> String {
    let decoded;
    let mut source = source;
    if !source.contains('<') {
        let plain = decode_entities(source);
        // Markup that was escaped once too often on its way.
        if !(plain.contains("</") && has_html(&plain)) {
            return tidy(&plain);
        }
        decoded = plain.into_owned();
        source = &decoded;
    }
    // Where tags make the lines, line ends in the source mean nothing.
    let has_lines = Scan::new(source).any(|piece| matches!(piece, Piece::Tag { name, .. } if begins_a_line(&name)));
    written(source, has_lines)
}

/// The same for what people write in messengers and tables, where somebody put in a tag now and then: a line end is a
/// line end, and text without markup comes back as it is.
pub fn from_html(source: &str) -> String {
    if !source.contains(['<', '&']) {
        return source.to_owned();
    }
    written(source, false)
}

/// Whether the text holds an HTML tag, so that the original is worth keeping.
pub fn has_html(source: &str) -> bool {
    Scan::new(source).any(|piece| matches!(piece, Piece::Tag { .. }))
}

fn written(source: &str, collapse: bool) -> String {
    let mut writer = Writer::new(collapse);
    let mut scan = Scan::new(source);
    while let Some(piece) = scan.next() {
        match piece {
            Piece::Text(words) => writer.text(&decode_entities(words)),
            Piece::Tag { name, closing, .. } if is_hidden(&name) => {
                if !closing {
                    scan.skip_to_end_of(&name);
                }
            }
            Piece::Tag { name, closing, inside } => writer.tag(&name, closing, inside),
        }
    }
    tidy(&writer.out)
}

/// A list that is open: the number of its last item, when it counts.
type OpenList = Option<u32>;

struct Writer {
    out: String,
    /// Line ends to write before the next words.
    lines: usize,
    space: bool,
    collapse: bool,
    pre: usize,
    lists: Vec<OpenList>,
    /// Address of the link that is open, and where its words begin.
    link: Option<(String, usize)>,
}

impl Writer {
    fn new(collapse: bool) -> Self {
        Self {
            out: String::new(),
            lines: 0,
            space: false,
            collapse,
            pre: 0,
            lists: Vec::new(),
            link: None,
        }
    }

    fn text(&mut self, words: &str) {
        for c in words.chars() {
            match c {
                // Soft hyphens and marks without width.
                '\u{ad}' | '\u{200b}' | '\u{feff}' | '\u{2060}' | '\r' => {}
                '\n' if !self.collapse || self.pre > 0 => self.lines = (self.lines + 1).min(2),
                c if c.is_whitespace() => self.space = true,
                c => {
                    self.make_room();
                    self.out.push(c);
                }
            }
        }
    }

    /// Writes the line ends or the space that wait.
    fn make_room(&mut self) {
        if self.out.is_empty() {
        } else if self.lines > 0 {
            self.out.extend(std::iter::repeat_n('\n', self.lines));
        } else if self.space && !self.out.ends_with([' ', '\n']) {
            self.out.push(' ');
        }
        self.lines = 0;
        self.space = false;
    }

    fn new_line(&mut self) {
        self.lines = self.lines.max(1);
    }

    fn tag(&mut self, name: &str, closing: bool, inside: &str) {
        match name {
            "br" => self.lines = (self.lines + 1).min(2),
            "li" if !closing => self.item(),
            "ul" | "ol" => {
                if closing {
                    self.lists.pop();
                } else if self.lists.len() < DEEPEST_LIST {
                    self.lists.push((name == "ol").then_some(0));
                }
                self.new_line();
            }
            "pre" => {
                self.pre = if closing {
                    self.pre.saturating_sub(1)
                } else {
                    self.pre + 1
                };
                self.new_line();
            }
            "td" | "th" => self.space = true,
            "a" if closing => self.end_link(),
            "a" => self.link = attribute(inside, "href").map(|href| (href, self.out.len())),
            name if begins_a_line(name) => self.new_line(),
            _ => {}
        }
    }

    fn item(&mut self) {
        self.new_line();
        self.make_room();
        let depth = self.lists.len().saturating_sub(1);
        self.out.extend(std::iter::repeat_n("  ", depth));
        match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                self.out.push_str(&format!("{number}. "));
            }
            _ => self.out.push_str("• "),
        }
    }

    /// The address of a link whose words don't show it.
    fn end_link(&mut self) {
        let Some((href, from)) = self.link.take() else { return };
        let address = href.trim();
        let shown = self.out.get(from..).unwrap_or_default();
        let bare = address
            .split_once("://")
            .map_or(address, |(_, rest)| rest)
            .trim_end_matches('/');
        let worth = address.starts_with("http://") || address.starts_with("https://");
        if worth && !shown.contains(bare) && address.len() <= 2000 {
            let brackets = !shown.trim().is_empty();
            self.make_room();
            self.out.push_str(if brackets { " (" } else { "" });
            self.out.push_str(address);
            self.out.push_str(if brackets { ")" } else { "" });
        }
    }
}

/// Value of an attribute.
fn attribute(inside: &str, name: &str) -> Option<String> {
    let lower = inside.to_ascii_lowercase();
    let at = lower.match_indices(name).find_map(|(at, _)| {
        let before = lower[..at].chars().next_back();
        let rest = inside[at + name.len()..].trim_start();
        (before.is_none_or(char::is_whitespace) && rest.starts_with('=')).then(|| rest[1..].trim_start())
    })?;
    let value = match at.chars().next()? {
        quote @ ('"' | '\'') => at[1..].split(quote).next()?,
        _ => at.split(char::is_whitespace).next()?,
    };
    Some(decode_entities(value).into_owned())
}

/// No spaces at the ends of lines, one empty line at most, nothing around.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.lines().map(str::trim_end) {
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bodies_of_editors_become_text() {
        for (html, text) in [
            (
                "<p style=\"margin:0cm;font-family:'Times New Roman'\">Во дворе&nbsp;<b>яма</b>.</p>\n<p>&nbsp;</p><p></p>\n<p>Ждём &laquo;год&raquo;</p>",
                "Во дворе яма.\nЖдём «год»",
            ),
            (
                "<div>Просим:<ul><li>засыпать</li><li>осветить<ol><li>двор</li><li>вход</li></ol></li></ul>Спасибо</div>",
                "Просим:\n• засыпать\n• осветить\n  1. двор\n  2. вход\nСпасибо",
            ),
            ("a<br>b<br/><br /><br>c", "a\nb\n\nc"),
            ("<p>слово\n  второе</p>", "слово второе"),
            ("строка <b>раз</b>\nстрока два", "строка раз\nстрока два"),
            (
                "без тегов\nвторая &amp; &#8470;5 &#150; &nbsp",
                "без тегов\nвторая & №5 –",
            ),
            ("5 < 6 и <хорошо>, Р&Д, a<b", "5 < 6 и <хорошо>, Р&Д, a<b"),
            (
                "&lt;p&gt;Не горит&lt;/p&gt;&lt;p&gt;фонарь&lt;/p&gt;",
                "Не горит\nфонарь",
            ),
            (
                "<a href=\"https://vk.com/wall1\">тут</a>, <a href='https://gorod.ru/'>gorod.ru</a>, <a href='mailto:a@b.ru'>почта</a>",
                "тут (https://vk.com/wall1), gorod.ru, почта",
            ),
            (
                "<html><head><title>т</title><style>p{}</style></head><body><!-- нет --><script>if (a</b) {}</script><o:p>да</o:p></body>",
                "да",
            ),
            (
                "<table><tr><td>Улица</td><td>Ленина</td></tr><tr><td>Дом</td><td>5</td></tr></table>",
                "Улица Ленина\nДом 5",
            ),
            ("<span title=\"a > b\">слово</span>", "слово"),
            ("<p>пере\u{ad}нос&shy;ы</p>", "переносы"),
            ("<pre>a\n b</pre>", "a\nb"),
            ("", ""),
        ] {
            assert_eq!(to_text(html), text, "{html}");
        }
    }

    #[test]
    fn words_with_a_tag_now_and_then_keep_their_lines() {
        for (source, text) in [
            (
                "<p>Яма &laquo;у дома&raquo; &#8470;5</p><p>Уже <b>год</b><br/>ждём &lt;3</p>",
                "Яма «у дома» №5\nУже год\nждём <3",
            ),
            ("раз\nдва<br>три", "раз\nдва\nтри"),
            ("a<script>bad()</script>b<style>x</style>", "ab"),
            ("a<script>bad()</script b", "abad()</script b"),
            ("5 < 6 и Р&Д &unknown; <3", "5 < 6 и Р&Д &unknown; <3"),
            ("  как  есть\n\n\n", "  как  есть\n\n\n"),
        ] {
            assert_eq!(from_html(source), text, "{source}");
        }
    }

    #[test]
    fn html_is_recognised_by_known_tags_only() {
        assert!(has_html("a<br>b") && has_html("<a href='x'>y</a>"));
        assert!(!has_html("5 < 6 > 2") && !has_html("<хорошо>"));
    }

    proptest! {
        #[test]
        fn any_text_gives_text(source in "\\PC{0,200}") {
            let _ = (to_text(&source), from_html(&source), has_html(&source));
        }

        #[test]
        fn markup_soup_gives_text(source in "[<>/&;#!\\-a-pя \"'=\n]{0,120}") {
            let _ = to_text(&source);
        }

        #[test]
        fn words_are_not_lost(words in proptest::collection::vec("[а-я]{1,8}", 1..8)) {
            let html: String = words.iter().map(|word| format!("<p><b>{word}</b></p>")).collect();
            prop_assert_eq!(to_text(&html), words.join("\n"));
        }
    }
}
