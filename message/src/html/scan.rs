//! Splits HTML into text and tags.

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

/// Whether a tag makes the lines of a text.
pub(super) fn begins_a_line(name: &str) -> bool {
    name == "br" || BLOCKS.contains(&name)
}

/// Whether nobody sees the content of a tag.
pub(super) fn is_hidden(name: &str) -> bool {
    HIDDEN.contains(&name)
}

/// A part of a source.
pub(super) enum Piece<'s> {
    Text(&'s str),
    Tag {
        name: String,
        closing: bool,
        inside: &'s str,
    },
}

/// Splits a source into text and tags.
pub(super) struct Scan<'s> {
    rest: &'s str,
    /// Bytes that may still be looked through for ends of tags: keeps the whole work linear.
    budget: usize,
}

impl<'s> Iterator for Scan<'s> {
    type Item = Piece<'s>;

    fn next(&mut self) -> Option<Piece<'s>> {
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
}

impl<'s> Scan<'s> {
    pub fn new(source: &'s str) -> Self {
        Self {
            rest: source,
            budget: source.len() * 8 + 4096,
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
        let known = begins_a_line(&name)
            || INLINE.contains(&name.as_str())
            || is_hidden(&name)
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
    pub fn skip_to_end_of(&mut self, name: &str) {
        let close = format!("</{name}");
        let mut from = 0;
        while let Some(at) = self.find("</", from) {
            let found = self.rest.get(at..at + close.len());
            if found.is_some_and(|found| found.eq_ignore_ascii_case(&close)) {
                if let Some(end) = self.find(">", at) {
                    self.rest = &self.rest[end + 1..];
                }
                return;
            }
            from = at + 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECES: usize = 20_000;

    /// Twice the text is twice the work, whatever stands in it.
    #[test]
    fn hostile_input_takes_linear_work() {
        for piece in [
            "<",
            "<a ",
            "<a '",
            "<p",
            "<b>",
            "<p title=\"",
            "<o:",
            "</",
            "<!--",
            "<!-- -->",
            "<!-->",
            "<script>",
            "<script></script ",
            "<script>x</scrip",
            "<style>",
            "<ul><li>",
            "&#x",
        ] {
            let source = piece.repeat(PIECES);
            let mut scan = Scan::new(&source);
            let mut pieces = 0;
            while let Some(part) = scan.next() {
                pieces += 1;
                if let Piece::Tag {
                    name, closing: false, ..
                } = part
                    && is_hidden(&name)
                {
                    scan.skip_to_end_of(&name);
                }
            }
            assert!(pieces <= 2 * PIECES + 8, "{piece}: {pieces}");
        }
    }
}
