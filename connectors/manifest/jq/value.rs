//! Between JSON and the values filters work on.

use jaq_json::{Map, Num, Val};
use serde_json::{Number, Value};

use super::{Problem, bounded::Bounded, meter};

/// Largest input of a filter: values and bytes of text together.
const LARGEST_INPUT: u64 = 64 * 1024 * 1024;
/// Steps a filter has in any case. A step takes well below a microsecond.
const FEWEST_STEPS: u64 = 200_000;
/// And for each value and each 16 bytes of its input.
const STEPS_PER_VALUE: u64 = 20;
/// Deepest nesting of a result; what JSON readers commonly take.
const DEEPEST_RESULT: usize = 100;

/// A record made ready for filters, so that several can look at it.
#[derive(Debug, Clone)]
pub struct Input {
    value: Val,
    size: u64,
}

impl Input {
    /// Makes a record ready.
    pub fn new(value: &Value) -> Self {
        let (value, size) = from_json(value);
        Self { value, size }
    }

    pub(super) fn value(&self) -> Bounded {
        Bounded(self.value.clone())
    }

    /// Steps a filter may take over this record; `None` when it is too large for any.
    pub(super) fn steps(&self) -> Option<u64> {
        (self.size <= LARGEST_INPUT).then(|| FEWEST_STEPS + self.size.saturating_mul(STEPS_PER_VALUE))
    }
}

/// The value, and its size: 1 for each value, 1 for each 16 bytes of text.
pub(super) fn from_json(value: &Value) -> (Val, u64) {
    let mut size = 0;
    (convert(value, &mut size), size)
}

fn convert(value: &Value, size: &mut u64) -> Val {
    *size += 1;
    match value {
        Value::Null => Val::Null,
        Value::Bool(bool) => Val::Bool(*bool),
        Value::Number(number) => Val::Num(convert_number(number)),
        Value::String(text) => {
            *size += text.len() as u64 / 16;
            Val::utf8_str(text.clone().into_bytes())
        }
        Value::Array(values) => values.iter().map(|value| convert(value, size)).collect(),
        Value::Object(entries) => {
            let mut map = Map::default();
            map.reserve(entries.len());
            for (key, value) in entries {
                map.insert(Val::utf8_str(key.clone().into_bytes()), convert(value, size));
            }
            Val::obj(map)
        }
    }
}

fn convert_number(number: &Number) -> Num {
    if let Some(number) = number.as_i64() {
        return Num::from_integral(number);
    }
    if let Some(number) = number.as_u64() {
        return Num::from_integral(number);
    }
    Num::Float(number.as_f64().unwrap_or(f64::NAN))
}

/// Bytes of a value of the result beside its text: its place, and the block its text or parts stand in.
const RESULT_VALUE: usize = size_of::<Value>() + 32;
/// Bytes of an entry of an object of the result beside its value and the text of its key.
const RESULT_ENTRY: usize = size_of::<String>() + 64;

/// The result as JSON, within the meter: a value that shares its parts becomes one that does not. Numbers that JSON does
/// not have become null.
pub(super) fn to_json(value: Val) -> Result<Value, Problem> {
    back(&value, 0)
}

fn back(value: &Val, depth: usize) -> Result<Value, Problem> {
    if depth > DEEPEST_RESULT {
        return Err(Problem::ResultTooDeep { limit: DEEPEST_RESULT });
    }
    let text = match value {
        Val::TStr(text) | Val::BStr(text) => text.len(),
        _ => 0,
    };
    if !meter::take(RESULT_VALUE + text) {
        return Err(Problem::over());
    }
    Ok(match value {
        Val::Null => Value::Null,
        Val::Bool(bool) => Value::Bool(*bool),
        Val::Num(number) => back_number(number),
        Val::TStr(text) | Val::BStr(text) => Value::String(String::from_utf8_lossy(text).into_owned()),
        Val::Arr(values) => {
            // The places of what is not there yet are taken too.
            if !meter::has_room(values.len().saturating_mul(size_of::<Value>())) {
                return Err(Problem::over());
            }
            let mut array = Vec::with_capacity(values.len());
            for value in values.iter() {
                array.push(back(value, depth + 1)?);
            }
            Value::Array(array)
        }
        Val::Obj(entries) => {
            let entry = RESULT_ENTRY + size_of::<Value>();
            if !meter::has_room(entries.len().saturating_mul(entry)) {
                return Err(Problem::over());
            }
            let mut map = serde_json::Map::with_capacity(entries.len());
            for (key, value) in entries.iter() {
                let Val::TStr(key) = key else {
                    return Err(Problem::KeyNoText);
                };
                if !meter::take(RESULT_ENTRY + key.len()) {
                    return Err(Problem::over());
                }
                map.insert(String::from_utf8_lossy(key).into_owned(), back(value, depth + 1)?);
            }
            Value::Object(map)
        }
    })
}

fn back_number(number: &Num) -> Value {
    match number {
        Num::Int(number) => Value::from(*number as i64),
        // A whole number stays whole: 7.0 as a part of a computation is 7 for whoever reads it.
        Num::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Value::from(*number as i64),
        Num::Float(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        Num::BigInt(_) | Num::Dec(_) => number.to_string().parse::<Number>().map_or(Value::Null, Value::Number),
    }
}
