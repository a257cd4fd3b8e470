//! How an answer or a delivery is written when the platform, or something before it, is careless: with damaged texts, with
//! an explicit null for everything that is not there.

use serde_json::Value;

use super::City;

/// Fields that a careless server writes though there is nothing in them.
const OPTIONAL: [&str; 7] = [
    "attachments",
    "reply_to",
    "reply_to_comment_id",
    "marker",
    "has_more",
    "error_code",
    "callback_id",
];

/// What can be wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// A letter of two bytes was cut in two.
    NotUtf8,
    /// An emoji was cut in two.
    HalfOfAnEmoji,
    /// A line end that nobody escaped.
    ControlCharacter,
}

impl Damage {
    const ALL: [Self; 3] = [Self::NotUtf8, Self::HalfOfAnEmoji, Self::ControlCharacter];

    /// A text that ends with the damage, wherever the city writes it.
    pub fn done_to(self, text: &str) -> String {
        format!("{text}{}", self.mark())
    }

    /// Stands for the damage until a text is written: no `String` can hold it.
    fn mark(self) -> char {
        match self {
            Self::NotUtf8 => '\u{e000}',
            Self::HalfOfAnEmoji => '\u{e001}',
            Self::ControlCharacter => '\u{e002}',
        }
    }

    fn bytes(self) -> &'static [u8] {
        match self {
            Self::NotUtf8 => b"\xD0",
            Self::HalfOfAnEmoji => b"\\ud83d",
            Self::ControlCharacter => b"\n",
        }
    }
}

/// What goes over the line.
pub(super) fn written(city: &City, value: &Value) -> Vec<u8> {
    let mut text = if city.options.nulls {
        let mut value = value.clone();
        add_nulls(&mut value);
        value.to_string()
    } else {
        value.to_string()
    }
    .into_bytes();
    for damage in Damage::ALL {
        let mut buffer = [0; 4];
        let mark = damage.mark().encode_utf8(&mut buffer).as_bytes();
        while let Some(at) = text.windows(mark.len()).position(|window| window == mark) {
            text.splice(at..at + mark.len(), damage.bytes().iter().copied());
        }
    }
    text
}

fn add_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(add_nulls);
            for name in OPTIONAL {
                fields.entry(name).or_insert(Value::Null);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(add_nulls),
        _ => {}
    }
}
