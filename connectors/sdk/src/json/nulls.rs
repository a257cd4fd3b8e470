//! An explicit null says what a missing field says, whatever the field: smaller servers write all they know of.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads JSON as if no null stood in it.
pub(super) fn without<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let mut value: Value = serde_json::from_slice(body)?;
    strip(&mut value);
    // As text once more: a part may be kept as it came.
    serde_json::from_slice(&serde_json::to_vec(&value)?)
}

/// Values are nested as deep as the reader lets them.
fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(strip);
        }
        Value::Array(values) => {
            values.retain(|value| !value.is_null());
            values.iter_mut().for_each(strip);
        }
        _ => {}
    }
}
