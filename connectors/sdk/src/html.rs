//! HTML bodies as text for people and for rules: what editors of portals and office programs produce.
//!
//! [`to_text`] is total: any input gives text, in time linear in its length, and no words are lost, except what a reader
//! of the page would not see either (scripts, styles, comments). [`from_html`](crate::text::from_html) is the lean
//! sibling for messengers, whose markup is a handful of inline tags.

use priem_message::text;

/// Tags that begin a new line.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "html",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tbody",
    "tfoot",
    "thead",
    "tr",
    "ul",
];
/// Tags inside a line.
const INLINE: &[&str] = &[
    "a", "abbr", "acronym", "b", "bdo", "big", "button", "cite", "code", "col", "colgroup", "del", "em", "font", "i",
    "img", "input", "ins", "kbd", "label", "link", "mark", "meta", "nobr", "q", "s", "samp", "small", "span", "strike",
    "strong", "sub", "sup", "svg", "td", "th", "time", "tt", "u", "var", "wbr",
];
/// Tags whose content nobody sees.
const HIDDEN: &[&str] = &["script", "style", "head", "title", "template", "noscript"];
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
        let plain = text::decode_entities(source);
        // Markup that was escaped once too often on its way.
        if !(plain.contains("</") && text::has_html(&plain)) {
            return tidy(&entities(source));
        }
        decoded = plain.into_owned();
        source = &decoded;
    }
    let mut writer = Writer::new(has_lines(source));
    let mut scan = Scan::new(source);
    while let Some(piece) = scan.next_piece() {
        match piece {
            Piece::Text(words) => writer.text(&entities(words)),
            Piece::Tag { name, closing, inside } => {
                if HIDDEN.contains(&name.as_str()) {
                    if !closing {
                        scan.skip_to_end_of(&name);
                    }
                } else {
                    writer.tag(&name, closing, inside);
                }
            }
        }
    }
    writer.finish()
}

/// Whether lines are made by tags, so that line ends in the source mean nothing.
fn has_lines(source: &str) -> bool {
    let mut scan = Scan::new(source);
    while let Some(piece) = scan.next_piece() {
        if let Piece::Tag { name, .. } = piece
            && (name == "br" || BLOCKS.contains(&name.as_str()))
        {
            return true;
        }
    }
    false
}

enum Piece<'s> {
    Text(&'s str),
    Tag {
        name: String,
        closing: bool,
        inside: &'s str,
    },
}

/// Splits a source into text and tags.
struct Scan<'s> {
    rest: &'s str,
    /// Bytes that may still be looked through for ends of tags: keeps the whole work linear.
    budget: usize,
}

impl<'s> Scan<'s> {
    fn new(source: &'s str) -> Self {
        Self {
            rest: source,
            budget: source.len() * 8 + 4096,
        }
    }

    fn next_piece(&mut self) -> Option<Piece<'s>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            if self.rest.starts_with('<') {
                if let Some(comment) = self.comment() {
                    self.rest = &self.rest[comment..];
                    continue;
                }
                if let Some((piece, taken)) = self.tag() {
                    self.rest = &self.rest[taken..];
                    return Some(piece);
                }
            }
            let first = self.rest.chars().next().map_or(1, char::len_utf8);
            let end = self.rest[first..].find('<').map_or(self.rest.len(), |end| end + first);
            let (words, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Some(Piece::Text(words));
        }
    }

    /// Length of a comment, declaration or processing instruction at the start.
    fn comment(&mut self) -> Option<usize> {
        let close = if self.rest.starts_with("<!--") {
            "-->"
        } else if self.rest.starts_with("<!") || self.rest.starts_with("<?") {
            ">"
        } else {
            return None;
        };
        let found = self.find(close, 2);
        // `<!--` that never ends hides nothing.
        found.map(|at| at + close.len())
    }

    fn find(&mut self, what: &str, from: usize) -> Option<usize> {
        let most = self.rest.len().min(self.budget);
        let most = (0..=most).rev().find(|at| self.rest.is_char_boundary(*at))?;
        let found = self.rest.get(from..most)?.find(what).map(|at| at + from);
        self.budget = self.budget.saturating_sub(found.unwrap_or(most));
        found
    }

    fn tag(&mut self) -> Option<(Piece<'s>, usize)> {
        let after = &self.rest[1..];
        let closing = after.starts_with('/');
        let named = if closing { &after[1..] } else { after };
        let length = named
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == ':' || c == '-'))
            .unwrap_or(named.len());
        let name = named[..length].to_ascii_lowercase();
        // Office programs write tags of their own with a colon (`<o:p>`).
        let known = name == "br"
            || BLOCKS.contains(&name.as_str())
            || INLINE.contains(&name.as_str())
            || HIDDEN.contains(&name.as_str())
            || (name.contains(':') && name.starts_with(|c: char| c.is_ascii_lowercase()));
        if !known || length > 40 {
            return None;
        }
        let from = 1 + usize::from(closing) + length;
        let end = self.end_of_tag(from)?;
        let inside = &self.rest[from..end];
        Some((Piece::Tag { name, closing, inside }, end + 1))
    }

    /// Position of the `>` that ends the tag: not one inside a quoted value, unless the quotation never ends.
    fn end_of_tag(&mut self, from: usize) -> Option<usize> {
        let mut quote = None;
        let mut first = None;
        let most = self.rest.len().min(from.saturating_add(self.budget));
        for (at, byte) in self.rest.as_bytes()[..most].iter().enumerate().skip(from) {
            match (byte, quote) {
                (b'>', None) => {
                    self.budget = self.budget.saturating_sub(at);
                    return Some(at);
                }
                (b'>', Some(_)) => {
                    first.get_or_insert(at);
                }
                (b'"' | b'\'', None) => quote = Some(*byte),
                (byte, Some(open)) if *byte == open => quote = None,
                _ => {}
            }
        }
        self.budget = self.budget.saturating_sub(most);
        first
    }

    /// Skips the content of a tag nobody sees, up to its end; nothing when it does not end.
    fn skip_to_end_of(&mut self, name: &str) {
        let close = format!("</{name}");
        let mut from = 0;
        while let Some(at) = self.find("</", from) {
            let found = self.rest.get(at..at + close.len());
            if found.is_some_and(|found| found.eq_ignore_ascii_case(&close)) {
                let rest = &self.rest[at..];
                self.rest = rest.find('>').map_or("", |end| &rest[end + 1..]);
                return;
            }
            from = at + 2;
        }
    }
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
            name if BLOCKS.contains(&name) => self.new_line(),
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

    fn finish(self) -> String {
        tidy(&self.out)
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
    Some(entities(value))
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

/// Decodes entities; what is none stays as it is.
fn entities(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match entity(rest) {
            Some((decoded, taken)) => {
                out.push(decoded);
                rest = &rest[taken..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    out
}

/// The character of an entity behind `&`, and how many bytes it takes. The semicolon may be forgotten after the five
/// that people type by hand.
fn entity(rest: &str) -> Option<(char, usize)> {
    if let Some(number) = rest.strip_prefix('#') {
        let hex = number.starts_with(['x', 'X']);
        let digits = &number[usize::from(hex)..];
        let length = digits.bytes().take(8).take_while(u8::is_ascii_hexdigit).count();
        let code = u32::from_str_radix(&digits[..length], if hex { 16 } else { 10 }).ok()?;
        let taken = 1 + usize::from(hex) + length;
        let semicolon = usize::from(rest[taken..].starts_with(';'));
        return Some((character(code)?, taken + semicolon));
    }
    let length = rest.bytes().take(10).take_while(u8::is_ascii_alphanumeric).count();
    let (name, after) = rest.split_at(length);
    let forgiven = matches!(name, "nbsp" | "amp" | "lt" | "gt" | "quot");
    let semicolon = after.starts_with(';');
    if !semicolon && !forgiven {
        return None;
    }
    let (_, decoded) = NAMED.iter().find(|(known, _)| *known == name)?;
    Some((*decoded, length + usize::from(semicolon)))
}

/// A character by number; numbers of Windows-1252, which old editors write, are taken as browsers take them.
fn character(code: u32) -> Option<char> {
    let code = match code {
        0x82 => 0x201a,
        0x84 => 0x201e,
        0x85 => 0x2026,
        0x91 => 0x2018,
        0x92 => 0x2019,
        0x93 => 0x201c,
        0x94 => 0x201d,
        0x95 => 0x2022,
        0x96 => 0x2013,
        0x97 => 0x2014,
        0x99 => 0x2122,
        code => code,
    };
    char::from_u32(code).filter(|c| *c != '\0')
}

const NAMED: &[(&str, char)] = &[
    ("amp", '&'),
    ("apos", '\''),
    ("bdquo", '„'),
    ("bull", '•'),
    ("copy", '©'),
    ("deg", '°'),
    ("divide", '÷'),
    ("emsp", ' '),
    ("ensp", ' '),
    ("euro", '€'),
    ("frac12", '½'),
    ("frac14", '¼'),
    ("gt", '>'),
    ("hellip", '…'),
    ("laquo", '«'),
    ("larr", '←'),
    ("ldquo", '“'),
    ("lsquo", '‘'),
    ("lt", '<'),
    ("mdash", '—'),
    ("middot", '·'),
    ("minus", '−'),
    ("nbsp", '\u{a0}'),
    ("ndash", '–'),
    ("numero", '№'),
    ("para", '¶'),
    ("plusmn", '±'),
    ("quot", '"'),
    ("raquo", '»'),
    ("rarr", '→'),
    ("rdquo", '”'),
    ("reg", '®'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("sect", '§'),
    ("shy", '\u{ad}'),
    ("sup2", '²'),
    ("sup3", '³'),
    ("thinsp", ' '),
    ("times", '×'),
    ("trade", '™'),
    ("zwj", '\u{200d}'),
    ("zwnj", '\u{200c}'),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::to_text;

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
    fn hostile_input_takes_linear_work() {
        for piece in [
            "<a ",
            "<a '",
            "<!--",
            "<script>",
            "&#x",
            "<ul><li>",
            "<p title=\"",
            "</",
            "<o:",
        ] {
            let source = piece.repeat(20_000);
            let _ = to_text(&source);
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_text(source in "\\PC{0,200}") {
            let _ = to_text(&source);
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
