//! Form bodies: `a=1&b=2`.

use priem_sdk::NormalizeError;
use serde_json::{Map, Value};

use super::add;

/// Most fields in one body.
const MOST_FIELDS: usize = 10_000;

/// Reads a form.
pub(super) fn read(body: &[u8]) -> Result<Value, NormalizeError> {
    let mut fields = Map::new();
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    for (number, pair) in pairs.enumerate() {
        if number == MOST_FIELDS {
            return Err(NormalizeError::new(
                "too_large",
                format!("the form has more than {MOST_FIELDS} fields"),
            ));
        }
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = decoded(halves.next().unwrap_or_default());
        let value = decoded(halves.next().unwrap_or_default());
        add(&mut fields, name, Value::String(value));
    }
    if fields.is_empty() {
        return Err(NormalizeError::new("not_form", "the body has no fields of a form"));
    }
    Ok(Value::Object(fields))
}

/// Takes off percent signs and pluses; a percent sign that leads nowhere stays.
fn decoded(part: &[u8]) -> String {
    let mut out = Vec::with_capacity(part.len());
    let mut rest = part;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, tail @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high * 16 + low);
                    rest = tail;
                }
                _ => out.push(b'%'),
            },
            (byte, _) => out.push(*byte),
        }
    }
    super::decoded(&out).into_owned()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
