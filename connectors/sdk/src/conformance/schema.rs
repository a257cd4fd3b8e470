//! A validator for the part of JSON Schema that Priem's message schema uses.
//!
//! Whatever else stands in a schema is an error and never passed over in silence, so that a schema that grows can't
//! outgrow its check.

use serde_json::{Map, Value};

/// Keywords that assert nothing.
const ANNOTATIONS: &[&str] = &[
    "$schema",
    "$id",
    "$defs",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "x-personal-data",
];

/// Checks a value against a schema document.
///
/// # Errors
/// The first thing that does not fit: where and why, without the value.
pub fn validate(schema: &Value, value: &Value) -> Result<(), String> {
    Validator { root: schema }.check(schema, value, "")
}

struct Validator<'a> {
    root: &'a Value,
}

impl Validator<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let rules = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => return Err(format!("{at:?} must not be there")),
            Value::Object(rules) => rules,
            _ => return Err(format!("the schema for {at:?} is neither an object nor a boolean")),
        };
        for (keyword, rule) in rules {
            self.keyword(rules, keyword, rule, value, at)?;
        }
        Ok(())
    }

    fn keyword(
        &self,
        rules: &Map<String, Value>,
        name: &str,
        rule: &Value,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        let fail = |why: &str| Err(format!("{at:?} {why}"));
        match name {
            "$ref" => {
                let target = rule.as_str().and_then(|reference| reference.strip_prefix('#'));
                match target.and_then(|pointer| self.root.pointer(pointer)) {
                    Some(definition) => self.check(definition, value, at),
                    None => fail("refers to a definition that is not in the schema"),
                }
            }
            "type" => {
                let allowed = |name: &Value| name.as_str().is_some_and(|name| is_of_type(value, name));
                let fits = rule
                    .as_array()
                    .map_or_else(|| allowed(rule), |names| names.iter().any(allowed));
                if fits {
                    Ok(())
                } else {
                    fail(&format!("is not of type {rule}"))
                }
            }
            "const" if value != rule => fail(&format!("is not {rule}")),
            "enum" if !list(rule).contains(value) => fail("is none of the values listed"),
            "anyOf" if !list(rule).iter().any(|branch| self.check(branch, value, at).is_ok()) => {
                fail("fits none of the alternatives")
            }
            "oneOf"
                if list(rule)
                    .iter()
                    .filter(|branch| self.check(branch, value, at).is_ok())
                    .count()
                    != 1 =>
            {
                fail("does not fit exactly one of the alternatives")
            }
            "allOf" => list(rule).iter().try_for_each(|branch| self.check(branch, value, at)),
            "required" => {
                let Some(fields) = value.as_object() else { return Ok(()) };
                let missing = list(rule)
                    .iter()
                    .filter_map(Value::as_str)
                    .find(|key| !fields.contains_key(*key));
                missing.map_or(Ok(()), |key| fail(&format!("has no {key:?}")))
            }
            "properties" => {
                let (Some(fields), Some(known)) = (value.as_object(), rule.as_object()) else {
                    return Ok(());
                };
                fields
                    .iter()
                    .filter_map(|(key, field)| Some((key, field, known.get(key)?)))
                    .try_for_each(|(key, field, schema)| self.check(schema, field, &format!("{at}/{key}")))
            }
            "additionalProperties" => {
                let Some(fields) = value.as_object() else { return Ok(()) };
                let known = rules.get("properties").and_then(Value::as_object);
                fields
                    .iter()
                    .filter(|(key, _)| !known.is_some_and(|known| known.contains_key(*key)))
                    .try_for_each(|(key, field)| self.check(rule, field, &format!("{at}/{key}")))
            }
            "items" => value
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
                .try_for_each(|(index, field)| self.check(rule, field, &format!("{at}/{index}"))),
            "minimum" if value.as_f64() < rule.as_f64() && value.is_number() => fail(&format!("is below {rule}")),
            "maximum" if value.as_f64() > rule.as_f64() && value.is_number() => fail(&format!("is above {rule}")),
            "format" => match (rule.as_str(), value.as_str()) {
                (Some("uuid"), Some(text)) if uuid::Uuid::try_parse(text).is_err() => fail("is not a UUID"),
                // The sizes of numbers; their limits stand in `minimum` and `maximum` where they matter.
                (
                    Some("uuid" | "double" | "float" | "uint8" | "uint16" | "uint32" | "uint64" | "int32" | "int64"),
                    _,
                ) => Ok(()),
                _ => fail(&format!("has the format {rule}, which this check does not know")),
            },
            "const" | "enum" | "anyOf" | "oneOf" | "minimum" | "maximum" => Ok(()),
            _ if ANNOTATIONS.contains(&name) => Ok(()),
            _ => fail(&format!("has the keyword {name:?}, which this check does not know")),
        }
    }
}

fn list(rule: &Value) -> &[Value] {
    rule.as_array().map_or(&[], Vec::as_slice)
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::{EventType, Kind, Message, MessageData, Regime, json_schema};

    fn message() -> Value {
        let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
        data.connector = "main".into();
        data.body.text = "Яма".into();
        serde_json::to_value(Message::new(EventType::Received, data)).expect("serialises")
    }

    fn problem(change: impl FnOnce(&mut Value)) -> String {
        let mut value = message();
        change(&mut value);
        validate(&json_schema(), &value).expect_err("does not fit")
    }

    #[test]
    fn a_message_fits_and_damaged_ones_do_not() {
        validate(&json_schema(), &message()).expect("fits");
        assert!(problem(|value| value["data"]["kind"] = json!("letter")).contains("/data/kind"));
        assert!(problem(|value| value["id"] = json!("7")).contains("not a UUID"));
        assert!(problem(|value| value["data"]["body"]["text"] = json!(7)).contains("/data/body/text"));
        assert!(
            problem(|value| value["data"]["flags"] = json!({"forwarded": "yes"})).contains("/data/flags/forwarded")
        );
        let without = problem(|value| {
            value["data"].as_object_mut().expect("an object").remove("author");
        });
        assert!(without.contains("has no \"author\""), "{without}");
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let error = validate(&json!({"pattern": "^a"}), &json!("b")).expect_err("unknown keyword");
        assert!(error.contains("pattern"), "{error}");
        assert!(validate(&json!({"$ref": "#/$defs/Absent"}), &json!(1)).is_err());
        assert!(
            validate(
                &json!({"type": "object", "additionalProperties": false}),
                &json!({"a": 1})
            )
            .is_err()
        );
    }
}
