//! JSON from strangers.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use crate::{error::NormalizeError, json};

/// Deepest nesting [`parse_json_bounded`] reads into values: the limit of `serde_json`, held by a test.
pub const MOST_DEPTH: usize = 127;

/// Bodies up to this many bytes are not weighed.
const SMALL: usize = 256 * 1024;

/// Reads JSON nested at most [`MOST_DEPTH`] deep and of at most [`json::MOST_MEMORY`], and [mends](json::mend) what does
/// not read as it is. Parts the target type skips may be nested deeper: they are skipped without recursion.
///
/// # Errors
/// `too_large`, `too_deep`, `not_utf8`, `not_json` or `unexpected_shape`, with the position and without a word of the body.
pub fn parse_json_bounded<T: DeserializeOwned>(body: &[u8]) -> Result<T, NormalizeError> {
    // Small bodies can't be of so many values.
    if body.len() > SMALL && json::weight(body) > json::MOST_MEMORY {
        return Err(NormalizeError::new(
            "too_large",
            format!(
                "the JSON has {} bytes, but so many values that they would take more than {} bytes of memory",
                body.len(),
                json::MOST_MEMORY
            ),
        ));
    }
    json::from_slice(body).map_err(|error| {
        if let Some(encoding) = foreign_encoding(body) {
            let why =
                format!("the body is {encoding} without a mark at its beginning; JSON is sent in UTF-8 (RFC 8259)");
            return NormalizeError::new("not_utf8", why);
        }
        let reason = match error.classify() {
            Category::Data => "unexpected_shape",
            _ if depth(body) > MOST_DEPTH => "too_deep",
            _ => "not_json",
        };
        NormalizeError::new(reason, describe(&error))
    })
}

/// Why a body has not what `wanted` says: it is no JSON, or JSON of another shape.
pub fn not_found(body: &[u8], wanted: &str) -> NormalizeError {
    let read = parse_json_bounded::<IgnoredAny>(body);
    read.err()
        .unwrap_or_else(|| NormalizeError::new("unexpected_shape", wanted))
}

/// An encoding that only its zeros tell of: JSON begins with two characters of ASCII (RFC 4627, section 3).
fn foreign_encoding(body: &[u8]) -> Option<&'static str> {
    match body {
        [0, 0, 0, first, ..] | [first, 0, 0, 0, ..] if *first != 0 => Some("UTF-32"),
        [0, first, ..] | [first, 0, ..] if *first != 0 => Some("UTF-16"),
        _ => None,
    }
}

/// What is wrong with JSON and where, without the words of `serde_json` that may quote the body.
pub fn describe(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Io => "unreadable input",
        Category::Syntax => "broken or too deeply nested JSON",
        Category::Data => "a value of another type than expected",
        Category::Eof => "the end of the body inside the JSON",
    };
    format!("{what} at line {} column {}", error.line(), error.column())
}

/// How deep brackets nest, outside strings. One pass, no recursion.
fn depth(body: &[u8]) -> usize {
    let (mut current, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                current += 1;
                deepest = deepest.max(current);
            }
            b']' | b'}' if !in_string => current = current.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, value::RawValue};

    use super::*;

    fn nested(depth: usize) -> Vec<u8> {
        [vec![b'['; depth], vec![b']'; depth]].concat()
    }

    #[derive(Debug, Deserialize)]
    struct Known {
        id: u32,
    }

    #[test]
    fn a_hundred_thousand_brackets_are_an_error_and_not_a_crash() {
        let bodies = [
            nested(100_000),
            vec![b'['; 100_000],
            b"{\"a\":".repeat(100_000),
            [b"{\"a\":\"]]]]\\\"\",\"b\":".repeat(100_000), b"1".to_vec()].concat(),
        ];
        for body in bodies {
            let error = parse_json_bounded::<Value>(&body).expect_err("too deep");
            assert_eq!(error.reason, "too_deep");
        }
        assert!(parse_json_bounded::<Value>(&nested(MOST_DEPTH)).is_ok());
        assert!(parse_json_bounded::<Value>(&nested(MOST_DEPTH + 1)).is_err());
    }

    #[test]
    fn a_body_of_countless_values_is_refused_before_it_is_built() {
        for piece in ["{\"a\":1},", "[],", "1,"] {
            let body = format!("[{}1]", piece.repeat(16 * 1024 * 1024 / piece.len()));
            let error = parse_json_bounded::<Value>(body.as_bytes()).expect_err(piece);
            assert_eq!(error.reason, "too_large", "{piece}");
        }
    }

    #[test]
    fn half_an_emoji_does_not_break_a_body() {
        let value: Value = parse_json_bounded(br#"{"id":7,"text":"cut \ud83d"}"#).expect("mended");
        assert_eq!(value["text"], "cut \u{fffd}");
    }

    #[test]
    fn another_encoding_is_named() {
        let text = r#"{"id":7}"#;
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf32: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
        for (body, said) in [(&utf16, "UTF-16"), (&utf32, "UTF-32")] {
            let error = parse_json_bounded::<Value>(body).expect_err(said);
            assert!(error.reason == "not_utf8" && error.why.contains(said), "{error}");
        }
    }

    #[test]
    fn what_is_missing_is_told_from_what_is_no_json() {
        assert_eq!(
            not_found(b"[]", "`id` is missing"),
            NormalizeError::new("unexpected_shape", "`id` is missing")
        );
        assert_eq!(not_found(b"<html>", "`id` is missing").reason, "not_json");
    }

    #[test]
    fn skipped_parts_may_be_deep() {
        let body = [b"{\"id\":7,\"unknown\":".to_vec(), nested(100_000), b"}".to_vec()].concat();
        assert_eq!(parse_json_bounded::<Known>(&body).expect("skips").id, 7);
        parse_json_bounded::<IgnoredAny>(&nested(100_000)).expect("skips");
        parse_json_bounded::<Box<RawValue>>(&nested(100_000)).expect("keeps as text");
    }

    #[test]
    fn errors_say_where_and_never_quote() {
        for (body, reason) in [
            (r#"{"id":"Иван"}"#, "unexpected_shape"),
            (r#"{"id":7"#, "not_json"),
            ("<html>Иван</html>", "not_json"),
            ("", "not_json"),
        ] {
            let error = parse_json_bounded::<Known>(body.as_bytes()).expect_err(body);
            assert_eq!(error.reason, reason, "{body}");
            assert!(error.why.contains("line 1") || body.is_empty(), "{error}");
            assert!(!error.why.contains("Иван"), "{error}");
        }
    }
}
