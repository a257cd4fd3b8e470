//! XML as JSON. Reads without a DTD and expands nothing but the five entities and characters by number.

use priem_sdk::NormalizeError;
use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};
use serde_json::{Map, Value};

use super::add;

/// Deepest nesting of elements. Filters and JSON readers take 100 to 128.
const DEEPEST: usize = 64;
/// Most elements and attributes in one document.
const MOST_VALUES: usize = 500_000;
/// Most attributes of one element.
const MOST_ATTRIBUTES: usize = 1_000;

fn not_xml(why: &str) -> NormalizeError {
    NormalizeError::new("not_xml", format!("the body is no XML: {why}"))
}

/// An element that is being read.
#[derive(Default)]
struct Open {
    name: String,
    fields: Map<String, Value>,
    text: String,
    nil: bool,
}

impl Open {
    fn close(self) -> (String, Value) {
        let text = self.text.trim();
        let value = match (self.nil, self.fields.is_empty(), text.is_empty()) {
            (true, ..) => Value::Null,
            (false, true, _) => Value::String(text.to_owned()),
            (false, false, true) => Value::Object(self.fields),
            (false, false, false) => {
                let mut fields = self.fields;
                fields.insert("#text".into(), Value::String(text.to_owned()));
                Value::Object(fields)
            }
        };
        (self.name, value)
    }
}

/// Reads a document: `{root: …}`.
pub(super) fn read(text: &str) -> Result<Value, NormalizeError> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Open> = Vec::new();
    let mut root = Map::new();
    let mut values = 0_usize;
    loop {
        let event = reader
            .read_event()
            .map_err(|_| not_xml(&format!("damaged at byte {}", reader.error_position())))?;
        match event {
            Event::Start(element) => {
                if open.is_empty() && !root.is_empty() {
                    return Err(not_xml("a second root element"));
                }
                if open.len() == DEEPEST {
                    return Err(NormalizeError::new(
                        "too_deep",
                        format!("the XML is nested deeper than {DEEPEST} elements"),
                    ));
                }
                let element = start(&element)?;
                values += 1 + element.fields.len();
                if values > MOST_VALUES {
                    return Err(NormalizeError::new(
                        "too_large",
                        format!("the XML has more than {MOST_VALUES} elements"),
                    ));
                }
                open.push(element);
            }
            Event::End(_) => {
                // The reader itself refuses an end without a start and one of another name.
                let Some(element) = open.pop() else {
                    return Err(not_xml("an end without a start"));
                };
                let (name, value) = element.close();
                match open.last_mut() {
                    Some(parent) => add(&mut parent.fields, name, value),
                    None => add(&mut root, name, value),
                }
            }
            Event::Text(content) => push(&mut open, &content.xml10_content())?,
            Event::CData(content) => push(&mut open, &content.xml10_content())?,
            Event::GeneralRef(entity) => {
                let name: &str = &entity;
                let decoded = match name {
                    "amp" => "&".to_owned(),
                    "lt" => "<".to_owned(),
                    "gt" => ">".to_owned(),
                    "quot" => "\"".to_owned(),
                    "apos" => "'".to_owned(),
                    _ => match entity.resolve_char_ref() {
                        Ok(Some(decoded)) => decoded.to_string(),
                        _ => format!("&{name};"),
                    },
                };
                push(&mut open, &decoded)?;
            }
            Event::DocType(_) => {
                return Err(NormalizeError::new("xml_with_dtd", "XML with a DTD is not read"));
            }
            Event::Eof => break,
            Event::Empty(_) | Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
        }
    }
    if !open.is_empty() {
        return Err(not_xml("it ends inside an element"));
    }
    if root.is_empty() {
        return Err(not_xml("there is no element"));
    }
    Ok(Value::Object(root))
}

fn start(element: &BytesStart<'_>) -> Result<Open, NormalizeError> {
    let mut opened = Open {
        name: element.local_name().as_ref().to_owned(),
        ..Open::default()
    };
    // The reader's own check for doubles compares each with all before it; here a double becomes an array.
    for (number, attribute) in element.attributes().with_checks(false).enumerate() {
        if number == MOST_ATTRIBUTES {
            return Err(NormalizeError::new(
                "too_large",
                format!("an XML element has more than {MOST_ATTRIBUTES} attributes"),
            ));
        }
        let attribute = attribute.map_err(|_| not_xml("a damaged attribute"))?;
        let whole: &str = attribute.key.as_ref();
        if whole == "xmlns" || whole.starts_with("xmlns:") {
            continue;
        }
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|_| not_xml("an attribute with an unknown entity"))?;
        let name = attribute.key.local_name();
        let name: &str = name.as_ref();
        if name == "nil" && whole != "nil" {
            opened.nil = matches!(value.as_ref(), "true" | "1");
            continue;
        }
        add(
            &mut opened.fields,
            format!("@{name}"),
            Value::String(value.into_owned()),
        );
    }
    Ok(opened)
}

fn push(open: &mut [Open], text: &str) -> Result<(), NormalizeError> {
    match open.last_mut() {
        Some(element) => {
            element.text.push_str(text);
            Ok(())
        }
        None if text.trim().is_empty() => Ok(()),
        None => Err(not_xml("text outside of the root element")),
    }
}
