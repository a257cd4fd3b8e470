//! JSON as platforms send it: with halves of emoji, cut characters, other encodings. One such text must not keep the
//! records beside it from being read.
//!
//! Nothing is mended that reads as it is: a body is looked through only after a reader refused it.
//!
//! What holds several records is taken apart first ([`Members`], [`elements`]), so that damage costs one record; whether
//! a record is whole is [`Sound`]'s to say.

mod mark;
mod nulls;
mod pieces;
mod sound;

use std::borrow::Cow;

use memchr::memchr;
use serde::de::DeserializeOwned;

pub use pieces::{Members, elements, readable};
pub use sound::Sound;

/// What a value costs in memory at most, bytes: an object of one field takes a whole node of a tree.
const OBJECT: usize = 640;
const VALUE: usize = 40;
/// Memory that values read from one body may take, bytes.
pub const MOST_MEMORY: usize = 256 * 1024 * 1024;

/// The body with everything mended that no reader takes; nothing when there is nothing to mend:
/// - halves of surrogate pairs (`\ud83d` alone) become U+FFFD: a platform cut a text in the middle of an emoji;
/// - broken UTF-8 becomes U+FFFD, or is read as Windows-1251 when most of it is broken;
/// - a byte order mark goes, UTF-16 with one is converted.
pub fn mend(body: &[u8]) -> Option<Vec<u8>> {
    let text = as_utf8(body);
    let halves = halves(&text);
    if halves.is_empty() {
        return match text {
            Cow::Borrowed(text) if text.len() == body.len() => None,
            text => Some(text.into_owned()),
        };
    }
    let mut mended = text.into_owned();
    for at in halves {
        mended[at..at + 6].copy_from_slice(b"\\ufffd");
    }
    Some(mended)
}

/// Reads JSON; when it does not read as it is, mended, and with every explicit null left out.
///
/// # Errors
/// Those of the reader, about the body as it came.
pub fn from_slice<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(body).or_else(|error| {
        let mended = mend(body);
        let read = match &mended {
            Some(mended) => serde_json::from_slice(mended).or_else(|_| nulls::without(mended)),
            None if error.is_data() => nulls::without(body),
            None => return Err(error),
        };
        read.map_err(|_| error)
    })
}

/// Memory that a body takes at most once it is read into values, bytes: brackets, commas and braces outside of texts are
/// counted, nothing is built.
pub fn weight(body: &[u8]) -> usize {
    let mut weight = body.len();
    let (mut in_text, mut escaped) = (false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' => weight += OBJECT,
            b',' | b'[' => weight += VALUE,
            _ => {}
        }
    }
    weight
}

fn as_utf8(body: &[u8]) -> Cow<'_, [u8]> {
    if let Some(encoding) = mark::utf16(body) {
        let (text, _) = encoding.decode_with_bom_removal(body);
        return Cow::Owned(text.into_owned().into_bytes());
    }
    let body = mark::after(body);
    if std::str::from_utf8(body).is_ok() {
        return Cow::Borrowed(body);
    }
    let (mut whole, mut broken) = (0_usize, 0_usize);
    for chunk in body.utf8_chunks() {
        whole += chunk.valid().bytes().filter(|byte| byte.leading_ones() >= 2).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    let text = if whole > broken {
        String::from_utf8_lossy(body)
    } else {
        encoding_rs::WINDOWS_1251.decode_without_bom_handling(body).0
    };
    Cow::Owned(text.into_owned().into_bytes())
}

/// Where escapes stand that are one half of a pair. Looked for in every record: what is no half costs a glance.
fn halves(text: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(step) = text.get(at..).and_then(|rest| memchr(b'\\', rest)) {
        at += step;
        match half(text, at) {
            Some(0xD800..=0xDBFF) if matches!(half(text, at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
            Some(_) => {
                found.push(at);
                at += 6;
            }
            None => at += 2,
        }
    }
    found
}

/// The code unit of an escape `\uXXXX` at a place, when it is half of a pair.
fn half(text: &[u8], at: usize) -> Option<u16> {
    let escape = text.get(at..at + 6)?;
    if !matches!(
        escape,
        [b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F', ..]
    ) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(&escape[2..]).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn halves_of_pairs_cost_one_sign_and_nothing_else() {
        for (body, expected) in [
            (r#"["cut \ud83d"]"#, json!(["cut \u{fffd}"])),
            (r#"["\ude00 cut"]"#, json!(["\u{fffd} cut"])),
            (r#"["\ud83d\ud83d\ude00"]"#, json!(["\u{fffd}😀"])),
            (r#"["\uD83D\u0041", "\ud83d\ude00"]"#, json!(["\u{fffd}A", "😀"])),
            (r#"["\\ud83d \ud83d"]"#, json!(["\\ud83d \u{fffd}"])),
            (r#"{"\ud83d": "\udfff"}"#, json!({"\u{fffd}": "\u{fffd}"})),
            ("\u{feff}[1]", json!([1])),
        ] {
            assert_eq!(from_slice::<Value>(body.as_bytes()).expect(body), expected, "{body}");
        }
    }

    #[test]
    fn broken_text_is_read_as_what_it_most_likely_is() {
        let cut = [b"[\"\xD0\xAF\xD0\xBC\xD0\xB0 \xD0".as_slice(), b"\"]"].concat();
        assert_eq!(from_slice::<Value>(&cut).expect("mended"), json!(["Яма \u{fffd}"]));
        let (old, _, _) = encoding_rs::WINDOWS_1251.encode("{\"text\": \"Яма у дома\"}");
        assert_eq!(
            from_slice::<Value>(&old).expect("mended"),
            json!({"text": "Яма у дома"})
        );
        let wide: Vec<u8> = [0xFEFF_u16]
            .into_iter()
            .chain("[\"Яма\"]".encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(from_slice::<Value>(&wide).expect("mended"), json!(["Яма"]));
    }

    #[test]
    fn what_reads_is_left_alone_and_what_can_not_be_mended_is_still_an_error() {
        for body in [r#"["Яма 😀 \ud83d\ude00 \n \\u"]"#, "[]", "{", "[NaN]", "[1,]", "text"] {
            assert_eq!(mend(body.as_bytes()), None, "{body}");
        }
        assert!(from_slice::<Value>(b"[\"a\nb\"]").is_err());
    }

    #[test]
    fn an_explicit_null_reads_as_absent() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Known {
            #[serde(default)]
            at: i64,
            list: Option<Vec<String>>,
            #[serde(default)]
            names: Vec<String>,
        }
        let expected = Known {
            at: 0,
            list: Some(vec!["\u{fffd}".into()]),
            names: Vec::new(),
        };
        for body in [
            r#"{"at":null,"list":["\ud83d"],"names":null}"#,
            r#"{"list":[null,"\ud83d"],"names":[null]}"#,
        ] {
            assert_eq!(from_slice::<Known>(body.as_bytes()).expect(body), expected);
        }
        let text: Value = from_slice(b"[null]").expect("reads as it is");
        assert_eq!(text, json!([null]));
        assert!(from_slice::<Known>(br#"{"at":"null"}"#).is_err());
    }

    #[test]
    fn a_body_is_weighed_without_being_built() {
        assert!(weight(&b"{\"a\":1},".repeat(1_000_000)) > MOST_MEMORY);
        assert!(weight(&[b'['; 8_000_000]) > MOST_MEMORY);
        let text = format!("[\"{}\"]", "{[,\\\"".repeat(100_000));
        assert!(weight(text.as_bytes()) < 2 * text.len());
    }

    proptest! {
        #[test]
        fn whatever_was_mended_reads_or_reads_no_worse(body in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(br#"{}[]",:\ud83e0 1ntfalse"#.to_vec()),
            1 => any::<u8>(),
        ], 0..80)) {
            let before = serde_json::from_slice::<Value>(&body);
            match mend(&body) {
                None => {}
                Some(mended) => {
                    prop_assert!(std::str::from_utf8(&mended).is_ok());
                    prop_assert!(mend(&mended).is_none(), "once is enough");
                    prop_assert!(before.is_err() || serde_json::from_slice::<Value>(&mended).is_ok());
                }
            }
        }

        #[test]
        fn texts_with_halves_anywhere_are_read(units in prop::collection::vec(any::<u16>(), 0..40)) {
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let read: Vec<String> = from_slice(format!("[\"{escaped}\"]").as_bytes()).expect("reads");
            prop_assert_eq!(&read[0], &String::from_utf16_lossy(&units));
        }
    }
}
