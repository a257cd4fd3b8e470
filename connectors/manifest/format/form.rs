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
    let spaced: Vec<u8> = part
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    let bytes: Vec<u8> = percent_encoding::percent_decode(&spaced).collect();
    super::decoded(&bytes).into_owned()
}
