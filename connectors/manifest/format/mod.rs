//! Bodies as JSON, whatever they came as.
//!
//! Bounded everywhere: size, depth, number of values. What can't be read is an error with a bounded reason that quotes
//! nothing of the body.

mod csv;
mod form;
mod xml;

use bytes::Bytes;
use priem_sdk::{NormalizeError, webhook::parse_json_bounded};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Largest body that is read, bytes. Webhooks are limited by the listener long before.
const LARGEST_BODY: usize = 32 * 1024 * 1024;

/// What bodies are written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JSON.
    #[default]
    Json,
    /// XML, SOAP envelopes too: an element becomes an object of its children by name, `@name` its attributes, `#text` its
    /// text when it has both; an element with text only becomes the text, one that comes again an array. Namespaces are
    /// dropped, `xsi:nil` becomes null. Documents with a DTD are refused.
    Xml,
    /// `application/x-www-form-urlencoded`: an object; a field that comes again becomes an array.
    Form,
    /// CSV with a header: an array of objects by column name. The delimiter (`;`, `,` or tab) is the one the header has
    /// most of. Windows-1251 is recognised.
    Csv,
}

impl Format {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is not what the format says.
    pub fn read(self, body: &Bytes) -> Result<Value, NormalizeError> {
        if body.len() > LARGEST_BODY {
            return Err(NormalizeError::new(
                "too_large",
                format!("the body has {} bytes, {LARGEST_BODY} at most are read", body.len()),
            ));
        }
        let bytes = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        match self {
            Self::Json => parse_json_bounded(bytes),
            Self::Xml => xml::read(&decoded(bytes)),
            Self::Form => form::read(bytes),
            Self::Csv => csv::read(&decoded(bytes)),
        }
    }
}

/// The text of a body: UTF-8, or else Windows-1251, in which every byte means something.
fn decoded(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => encoding_rs::WINDOWS_1251.decode_without_bom_handling(bytes).0,
    }
}

/// Adds a field; one that comes again becomes an array.
fn add(fields: &mut serde_json::Map<String, Value>, name: String, value: Value) {
    match fields.get_mut(&name) {
        None => {
            fields.insert(name, value);
        }
        Some(Value::Array(several)) => several.push(value),
        Some(first) => {
            let before = first.take();
            *first = Value::Array(vec![before, value]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(format: Format, body: impl AsRef<[u8]>) -> Result<Value, NormalizeError> {
        format.read(&Bytes::copy_from_slice(body.as_ref()))
    }

    #[test]
    fn soap_becomes_json_without_prefixes() {
        let body = r#"<?xml version="1.0" encoding="UTF-8"?>
            <soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:p="urn:x">
              <soap:Body><p:Appeals count="2">
                <p:Appeal id="7"><Text>Яма &amp; лужа &#8470;5</Text><Closed xmlns:xsi="x" xsi:nil="true"/></p:Appeal>
                <p:Appeal id="8"><Text><![CDATA[<b>Свет</b>]]></Text><Empty/></p:Appeal>
              </p:Appeals></soap:Body>
            </soap:Envelope>"#;
        assert_eq!(
            read(Format::Xml, body),
            Ok(json!({"Envelope": {"Body": {"Appeals": {"@count": "2", "Appeal": [
                {"@id": "7", "Text": "Яма & лужа №5", "Closed": null},
                {"@id": "8", "Text": "<b>Свет</b>", "Empty": ""}
            ]}}}}))
        );
        assert_eq!(
            read(Format::Xml, "<a x='1'>text<b/>more</a>"),
            Ok(json!({"a": {"@x": "1", "#text": "textmore", "b": ""}}))
        );
    }

    #[test]
    fn xml_that_is_wrong_or_a_bomb_is_refused() {
        let bomb = r#"<!DOCTYPE a [<!ENTITY x "xxxx">]><a>&x;</a>"#;
        assert_eq!(
            read(Format::Xml, bomb).map_err(|error| error.reason),
            Err("xml_with_dtd")
        );
        let deep = "<a>".repeat(100_000);
        assert_eq!(read(Format::Xml, deep).map_err(|error| error.reason), Err("too_deep"));
        for body in ["", "text", "<a>", "<a></b>", "<a/><b/>", "<a>x</a>tail"] {
            assert_eq!(
                read(Format::Xml, body).map_err(|error| error.reason),
                Err("not_xml"),
                "{body}"
            );
        }
        assert_eq!(read(Format::Xml, "<a>&unknown;</a>"), Ok(json!({"a": "&unknown;"})));
    }

    /// Small bodies that would become large values are refused, whatever the format.
    #[test]
    fn what_would_grow_is_refused() {
        let attributes: String = (0..200_000).map(|number| format!(" a{number}=''")).collect();
        let rows = format!("{};b\n{}", "n".repeat(1024 * 1024), "x;y\n".repeat(90_000));
        for (format, body) in [
            (Format::Xml, format!("<a{attributes}/>")),
            (Format::Xml, format!("<a>{}</a>", "<b/>".repeat(600_000))),
            (Format::Csv, rows),
            (Format::Form, "a&".repeat(20_000)),
            (Format::Json, format!("[{}1]", "{\"a\":1},".repeat(1_000_000))),
        ] {
            let error = read(format, body).expect_err("too large");
            assert_eq!(error.reason, "too_large", "{format:?}");
        }
    }

    #[test]
    fn half_an_emoji_and_other_encodings_are_read() {
        let half = br#"[{"text":"one"},{"text":"cut \ud83d"}]"#;
        assert_eq!(
            read(Format::Json, half),
            Ok(json!([{"text": "one"}, {"text": "cut \u{fffd}"}]))
        );
        let (old, _, _) = encoding_rs::WINDOWS_1251.encode("{\"text\": \"Яма у дома\"}");
        assert_eq!(read(Format::Json, old), Ok(json!({"text": "Яма у дома"})));
    }

    #[test]
    fn windows_1251_is_recognised() {
        let (body, _, _) = encoding_rs::WINDOWS_1251.encode("номер;текст\n1;Яма\n");
        assert_eq!(read(Format::Csv, body), Ok(json!([{"номер": "1", "текст": "Яма"}])));
        let (body, _, _) = encoding_rs::WINDOWS_1251.encode("<?xml version='1.0' encoding='windows-1251'?><a>Яма</a>");
        assert_eq!(read(Format::Xml, body), Ok(json!({"a": "Яма"})));
    }

    #[test]
    fn csv_is_read_by_its_header() {
        assert_eq!(
            read(Format::Csv, "id,text\n1,\"a, \"\"b\"\"\nc\"\n2\n3,d,e\n"),
            Ok(json!([{"id": "1", "text": "a, \"b\"\nc"}, {"id": "2"}, {"id": "3", "text": "d", "#more": ["e"]}]))
        );
        assert_eq!(read(Format::Csv, "id\ttext\n"), Ok(json!([])));
        assert_eq!(read(Format::Csv, "").map_err(|error| error.reason), Err("not_csv"));
    }

    #[test]
    fn forms_are_decoded() {
        assert_eq!(
            read(Format::Form, "text=%D0%AF%D0%BC%D0%B0+%26&tag=a&tag=b&empty=&flag"),
            Ok(json!({"text": "Яма &", "tag": ["a", "b"], "empty": "", "flag": ""}))
        );
        assert_eq!(read(Format::Form, "a=%zz%"), Ok(json!({"a": "%zz%"})));
        assert_eq!(read(Format::Form, "").map_err(|error| error.reason), Err("not_form"));
    }

    #[test]
    fn json_errors_say_where_and_not_what() {
        let error = read(Format::Json, "{\n \"имя\": Анна}").expect_err("no JSON");
        assert!(error.why.contains("line 2") && !error.why.contains("Анна"), "{error}");
        assert_eq!(
            read(Format::Json, "[".repeat(100_000)).map_err(|error| error.reason),
            Err("too_deep")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            for format in [Format::Json, Format::Xml, Format::Form, Format::Csv] {
                let _ = read(format, &body);
            }
        }

        #[test]
        fn markup_soup_is_read_or_refused(body in "[<>/a-c&;#!\\[\\]='\" ?x]{0,80}") {
            let _ = read(Format::Xml, body);
        }
    }
}
