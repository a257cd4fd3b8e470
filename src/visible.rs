//! Text of others (file names, ids, addresses, errors of platforms) as it may reach a terminal or a log.
//!
//! A control character in such a text moves the cursor, colours or hides lines; a mark of writing direction turns
//! `gpj.exe` into `exe.jpg`. They are shown by their number, never sent raw. Letters, emoji and their joiners pass.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write},
};

/// Whether a character does something to what is around it instead of being seen.
fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' // direction
            | '\u{2028}' | '\u{2029}' // ends of lines
        )
}

/// One value on one line: every control character is written as its number, line breaks too.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden, |out, char| match char {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        char => number(out, char),
    })
}

/// A text of many lines: line breaks and tabs stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |char| is_hidden(char) && !matches!(char, '\n' | '\t'), number)
}

/// A JSON document: what is written raw in its strings becomes `\u....`, which reads back as the same.
pub fn json(document: &str) -> Cow<'_, str> {
    escaped(
        document,
        // Outside of strings there are only line breaks and spaces.
        |char| is_hidden(char) && char != '\n',
        number,
    )
}

/// A whole line of the log. Escape characters stay: those in values were escaped before, these are the colours of a
/// terminal.
pub fn log(line: &[u8]) -> Cow<'_, [u8]> {
    let escape = '\u{1b}';
    match String::from_utf8_lossy(line) {
        Cow::Borrowed(text) => match escaped(text, |char| is_hidden(char) && char != '\n' && char != escape, number) {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        },
        Cow::Owned(text) => Cow::Owned(log(text.as_bytes()).into_owned()),
    }
}

/// As JSON writes it, so that a document shown as text is a document still. All hidden ones fit four digits.
fn number(out: &mut String, char: char) {
    // Writing into a string can't fail.
    let _ = write!(out, "\\u{:04x}", u32::from(char));
}

fn escaped(text: &str, is_hidden: impl Fn(char) -> bool, write: impl Fn(&mut String, char)) -> Cow<'_, str> {
    // Nearly every text has nothing to hide: then it is only looked through.
    let Some(first) = text.find(&is_hidden) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for char in text[first..].chars() {
        match is_hidden(char) {
            true => write(&mut out, char),
            false => out.push(char),
        }
    }
    Cow::Owned(out)
}

/// A writer of JSON documents, one `write` call or many, that lets nothing hidden through.
pub struct JsonWriter<W>(pub W);

impl<W: Write> JsonWriter<W> {
    /// Writes one value as compact JSON and a line break.
    ///
    /// # Errors
    /// When the output can't be written.
    pub fn line(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let mut text = serde_json::to_string(value)?;
        text.push('\n');
        self.0.write_all(json(&text).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str = "а\u{1b}[2Kb\rc\u{9b}31m\u{202e}gpj.exe\u{2066}\u{7f}\u{2028}👩\u{200d}👧 ё";

    #[test]
    fn nothing_hidden_is_left_and_everything_seen_stays() {
        for text in [line(NASTY), lines(NASTY), json(NASTY)] {
            assert!(!text.chars().any(is_hidden), "{text:?}");
            assert!(text.contains("👩\u{200d}👧 ё") && text.contains("gpj.exe"), "{text}");
        }
        assert_eq!(line("a\nb\t\u{1b}"), "a\\nb\\t\\u001b");
        assert_eq!(lines("a\nb\tc\r"), "a\nb\tc\\u000d");
        assert!(matches!(line("обычный текст — «с кавычками»"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_line_of_the_log_keeps_its_colour_only() {
        assert_eq!(
            log("\u{1b}[2mя\u{202e}\u{9b}\r\n".as_bytes()),
            "\u{1b}[2mя\\u202e\\u009b\\u000d\n".as_bytes()
        );
        assert_eq!(log(b"\xff\x07"), "\u{fffd}\\u0007".as_bytes());
    }

    #[test]
    fn a_document_reads_back_as_the_same() {
        let value = serde_json::json!({ "name": NASTY });
        let shown = json(&serde_json::to_string_pretty(&value).unwrap()).into_owned();
        assert!(!shown.chars().any(|char| is_hidden(char) && char != '\n'));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
