//! Damage to a sample: to its bytes and, when it is JSON, to its structure.

use priem_sdk::conformance::pointers;
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Value, json};

/// Stands for raw text until the document is written: JSON libraries can't hold what we want to write.
const PLACE: &str = "@@raw@@";

/// One kind of damage.
#[derive(Debug, Clone)]
pub enum Damage {
    /// The end is missing.
    Truncated(Index),
    /// A byte is another one.
    Byte(Index, u8),
    /// Bytes stand between, often no UTF-8.
    Inserted(Index, Vec<u8>),
    /// A part comes twice.
    Repeated(Index, Index),
    /// A part is missing.
    Removed(Index, Index),
    /// A JSON value is another one: another type, an unknown word, nothing.
    Value(Index, Value),
    /// A JSON value is text that is hardly JSON: huge numbers, deep nesting, broken escapes.
    Raw(Index, String),
    /// A JSON value is missing.
    Missing(Index),
    /// A JSON object has a key more.
    Added(Index, String, Value),
}

impl Arbitrary for Damage {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        let at = any::<Index>;
        prop_oneof![
            1 => at().prop_map(Self::Truncated),
            2 => (at(), any::<u8>()).prop_map(|(at, byte)| Self::Byte(at, byte)),
            1 => (at(), vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Self::Inserted(at, bytes)),
            1 => (at(), at()).prop_map(|(from, to)| Self::Repeated(from, to)),
            1 => (at(), at()).prop_map(|(from, to)| Self::Removed(from, to)),
            6 => (at(), value()).prop_map(|(at, value)| Self::Value(at, value)),
            3 => (at(), raw()).prop_map(|(at, raw)| Self::Raw(at, raw)),
            3 => at().prop_map(Self::Missing),
            2 => (at(), key(), value()).prop_map(|(at, key, value)| Self::Added(at, key, value)),
        ]
        .boxed()
    }
}

/// Keys platforms use, and others.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "id",
            "type",
            "text",
            "from",
            "message",
            "object",
            "date",
            "url",
            "attachments"
        ])
        .prop_map(str::to_owned),
        ".{0,12}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-10_i64..10).prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,40}".prop_map(Value::String),
        "[a-z_]{1,20}".prop_map(Value::String),
        "[0-9]{1,30}".prop_map(Value::String),
        // Offsets into texts go wrong where characters are long.
        "[👩‍👧я\u{301}\u{202e}\u{0}a]{0,40}".prop_map(Value::String),
        Just(json!("x".repeat(200_000))),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            vec((key(), inner), 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn raw() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "1e400",
            "-1e400",
            "123456789012345678901234567890",
            "-0",
            "0.1e-999",
            r#""\ud800""#,
            r#""\u0000""#,
            "NaN",
            "01",
            "{\"a\":1,\"a\":2}",
            "",
        ])
        .prop_map(str::to_owned),
        (1_usize..20_000, any::<bool>()).prop_map(|(depth, closed)| {
            let end = if closed { "]".repeat(depth) } else { String::new() };
            "[".repeat(depth) + &end
        }),
        (1_usize..5_000).prop_map(|depth| "{\"reply_to_message\":".repeat(depth) + "1" + &"}".repeat(depth)),
        (1_usize..2_000).prop_map(|many| format!("[{}0]", "0,".repeat(many))),
    ]
}

/// A sample with all of that done to it, one after the other.
pub fn apply(sample: &[u8], damages: &[Damage]) -> Vec<u8> {
    damages.iter().fold(sample.to_vec(), one)
}

fn one(mut body: Vec<u8>, damage: &Damage) -> Vec<u8> {
    let ordered = |from: &Index, to: &Index, length: usize| {
        let (one, other) = (from.index(length + 1), to.index(length + 1));
        one.min(other)..one.max(other)
    };
    match damage {
        Damage::Truncated(at) => body.truncate(at.index(body.len() + 1)),
        Damage::Byte(at, byte) if !body.is_empty() => {
            let at = at.index(body.len());
            body[at] = *byte;
        }
        Damage::Byte(..) => {}
        Damage::Inserted(at, bytes) => {
            let at = at.index(body.len() + 1);
            body.splice(at..at, bytes.iter().copied());
        }
        Damage::Repeated(from, to) => {
            let part = ordered(from, to, body.len());
            let copy = body[part.clone()].to_vec();
            body.splice(part.end..part.end, copy);
        }
        Damage::Removed(from, to) => {
            let part = ordered(from, to, body.len());
            body.drain(part);
        }
        Damage::Value(..) | Damage::Raw(..) | Damage::Missing(_) | Damage::Added(..) => {
            if let Ok(root) = serde_json::from_slice(&body) {
                return structure(root, damage);
            }
        }
    }
    body
}

fn structure(mut root: Value, damage: &Damage) -> Vec<u8> {
    let pointers = pointers(&root);
    let pointer_at = |at: &Index| pointers[at.index(pointers.len())].as_str();
    match damage {
        Damage::Value(at, value) => {
            if let Some(place) = root.pointer_mut(pointer_at(at)) {
                *place = value.clone();
            }
        }
        Damage::Raw(at, raw) => {
            if let Some(place) = root.pointer_mut(pointer_at(at)) {
                *place = PLACE.into();
            }
            return root.to_string().replacen(&format!("\"{PLACE}\""), raw, 1).into_bytes();
        }
        Damage::Missing(at) => {
            let pointer = pointer_at(at);
            let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
            let key = pointer.rsplit_once('/').map_or("", |(_, key)| key);
            match root.pointer_mut(parent) {
                Some(Value::Object(fields)) => {
                    fields.remove(&key.replace("~1", "/").replace("~0", "~"));
                }
                Some(Value::Array(list)) => {
                    let _ = key.parse().map(|at: usize| list.remove(at));
                }
                _ => {}
            }
        }
        Damage::Added(at, key, value) => {
            if let Some(Value::Object(fields)) = root.pointer_mut(pointer_at(at)) {
                fields.insert(key.clone(), value.clone());
            }
        }
        _ => {}
    }
    root.to_string().into_bytes()
}
