//! Characters that are written by name or number.

use std::borrow::Cow;

/// Decodes HTML entities and nothing else, also for sources that escape plain text (`&amp;`, `&lt;`, `&#33;`). What is no
/// entity stays as it is.
pub fn decode_entities(source: &str) -> Cow<'_, str> {
    if !source.contains('&') {
        return Cow::Borrowed(source);
    }
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
    Cow::Owned(out)
}

/// The character of an entity behind `&`, and how many bytes it takes. The semicolon may be forgotten after the five
/// that people type by hand.
fn entity(rest: &str) -> Option<(char, usize)> {
    if let Some(number) = rest.strip_prefix('#') {
        let hex = number.starts_with(['x', 'X']);
        let radix = if hex { 16 } else { 10 };
        let digits = &number[usize::from(hex)..];
        let is_digit = |byte: &u8| char::from(*byte).is_digit(radix);
        let length = digits.bytes().take(8).take_while(is_digit).count();
        let code = u32::from_str_radix(&digits[..length], radix).ok()?;
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
    ("nbsp", ' '),
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
    use super::*;

    #[test]
    fn entities_are_decoded_and_tags_stay() {
        assert_eq!(
            decode_entities("Р&amp;Д &lt;b&gt; &#33;&#x41; & &nope; <b> я&nbsp;и&#160ты"),
            "Р&Д <b> !A & &nope; <b> я и\u{a0}ты"
        );
        assert!(matches!(decode_entities("без них"), Cow::Borrowed(_)));
    }
}
