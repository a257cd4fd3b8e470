//! From what a filter made to a message of schema version 1: defaults, leniency over numbers and nulls, strictness over
//! names of fields.
//!
//! A misspelt field would lose data silently, so it is an error; a number where the schema has text is just written as
//! text. Errors name fields, never values.

use std::{collections::BTreeMap, sync::LazyLock};

use priem_sdk::{
    EventType, MessageData,
    message::{Kind, Place, Regime},
    registry,
};
use priem_yaml::nearest;
use serde_json::{Map, Value, json};

/// What a manifest says for all of its messages.
#[derive(Debug, Clone)]
pub struct Defaults {
    pub channel: String,
    pub kind: Kind,
    pub regime: Regime,
}

/// Fields that the host fills: a filter must not.
const NOT_FOR_FILTERS: [&str; 2] = ["connector", "routing"];

/// The shape of a value in the message schema, as far as leniency and strictness need it.
#[derive(Debug, Clone)]
enum Shape {
    Object(BTreeMap<String, Shape>),
    List(Box<Shape>),
    Text,
    /// One of a closed list of words.
    Word(Vec<String>),
    /// Anything else: numbers, booleans, free values.
    Any,
}

static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
    let schema = schemars::schema_for!(MessageData).to_value();
    shape(&schema, &schema)
});

fn shape(schema: &Value, whole: &Value) -> Shape {
    if let Some(pointer) = schema["$ref"]
        .as_str()
        .and_then(|reference| reference.strip_prefix('#'))
    {
        return whole.pointer(pointer).map_or(Shape::Any, |target| shape(target, whole));
    }
    // An optional value: one of the alternatives is null.
    for alternatives in [&schema["anyOf"], &schema["oneOf"]] {
        let mut real = alternatives
            .as_array()
            .into_iter()
            .flatten()
            .filter(|alternative| alternative["type"] != "null");
        if let (Some(only), None) = (real.next(), real.next()) {
            return shape(only, whole);
        }
    }
    let is = |name: &str| {
        schema["type"] == name
            || schema["type"]
                .as_array()
                .is_some_and(|types| types.iter().any(|kind| kind == name))
    };
    if is("object")
        && let Some(properties) = schema["properties"].as_object()
    {
        let fields = properties
            .iter()
            .map(|(name, field)| (name.clone(), shape(field, whole)));
        return Shape::Object(fields.collect());
    }
    if is("array") {
        return Shape::List(Box::new(shape(&schema["items"], whole)));
    }
    let words = words(schema);
    if !words.is_empty() {
        return Shape::Word(words);
    }
    if is("string") {
        return Shape::Text;
    }
    Shape::Any
}

/// The words of an enumeration; none for anything else.
fn words(schema: &Value) -> Vec<String> {
    let described = schema["oneOf"].as_array().into_iter().flatten();
    let described = described.map(|one| &one["const"]);
    let plain = schema["enum"].as_array().into_iter().flatten();
    let words = described.chain(plain).filter_map(Value::as_str);
    words.map(str::to_owned).collect()
}

/// Makes the data of a message. `None` for the event: the host's own counting decides.
///
/// # Errors
/// What is wrong, by the names of fields.
pub fn build(made: Value, defaults: &Defaults) -> Result<(Option<EventType>, MessageData), String> {
    let Value::Object(mut fields) = made else {
        return Err("a message must be an object".into());
    };
    let event = event(fields.remove("event"))?;
    let mut value = Value::Object(fields);
    fit(&mut value, &SHAPE, &mut String::new())?;
    let Value::Object(mut fields) = value else {
        return Err("a message must be an object".into());
    };
    for name in NOT_FOR_FILTERS {
        if fields.contains_key(name) {
            return Err(format!("`{name}` is filled by Priem itself; leave it out"));
        }
    }
    fill(&mut fields, defaults);
    let mut data: MessageData =
        serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| wrong(&error))?;
    if data.place != Place::default() && data.place.precision == Default::default() {
        data.place = data.place.with_precision();
    }
    Ok((event, data))
}

fn event(given: Option<Value>) -> Result<Option<EventType>, String> {
    let Some(name) = given.filter(|given| !given.is_null()) else {
        return Ok(None);
    };
    let name = name.as_str().unwrap_or_default();
    let known = || EventType::ALL.into_iter().filter(|event| !event.is_reminder());
    let found = known().find(|event| event.as_str() == name || short(*event) == name);
    match found {
        Some(event) => Ok(Some(event)),
        None => {
            let known: Vec<&str> = known().map(short).collect();
            Err(format!("`event` must be one of {}", known.join(", ")))
        }
    }
}

/// Name of an event inside a manifest.
pub fn short(event: EventType) -> &'static str {
    match event {
        EventType::Received => "received",
        EventType::Updated => "updated",
        EventType::Deleted => "deleted",
        EventType::Rated => "rated",
        EventType::Reopened => "reopened",
        EventType::Status => "status",
        EventType::VoteResult => "vote_result",
        EventType::DeadlineApproaching => "deadline_approaching",
        EventType::DeadlineOverdue => "deadline_overdue",
    }
}

/// Drops nulls, writes numbers as text where text is wanted, refuses unknown fields and words.
fn fit(value: &mut Value, shape: &Shape, path: &mut String) -> Result<(), String> {
    match (shape, value) {
        (Shape::Object(known), Value::Object(fields)) => {
            fields.retain(|_, field| !field.is_null());
            for (name, field) in fields {
                let Some(inner) = known.get(name) else {
                    let names: Vec<&str> = known.keys().map(String::as_str).collect();
                    return Err(format!("{path}{}", registry::unknown(name, &names)));
                };
                let length = path.len();
                path.push_str(name);
                path.push('.');
                fit(field, inner, path)?;
                path.truncate(length);
            }
            Ok(())
        }
        (Shape::List(inner), Value::Array(values)) => {
            values.retain(|value| !value.is_null());
            values.iter_mut().try_for_each(|value| fit(value, inner, path))
        }
        (Shape::Text, value @ (Value::Number(_) | Value::Bool(_))) => {
            *value = Value::String(value.to_string());
            Ok(())
        }
        (Shape::Word(known), Value::String(word)) if !known.contains(word) => {
            let path = path.trim_end_matches('.');
            let near = nearest(word, known.iter().map(String::as_str));
            let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            Err(format!("{path}: expected one of `{}`{near}", known.join("`, `")))
        }
        _ => Ok(()),
    }
}

/// What the schema wants and a filter need not say.
fn fill(fields: &mut Map<String, Value>, defaults: &Defaults) {
    let mut default = |name: &str, value: Value| {
        fields.entry(name).or_insert(value);
    };
    default("channel", defaults.channel.as_str().into());
    default("kind", defaults.kind.as_str().into());
    for name in ["external", "legal", "author", "body", "times"] {
        default(name, json!({}));
    }
    fields.insert("connector".into(), "".into());
    let mut inner = |name: &str, key: &str, value: Value| {
        if let Some(Value::Object(object)) = fields.get_mut(name) {
            object.entry(key).or_insert(value);
        }
    };
    inner("legal", "regime", defaults.regime.as_str().into());
    inner("external", "id", "".into());
    inner("external", "revision", "".into());
    inner("author", "kind", "person".into());
    inner("body", "text", "".into());
    inner("times", "received", "1970-01-01T00:00:00Z".into());
    inner("place", "precision", "unknown".into());
    inner("topic", "classifier", defaults.channel.as_str().into());
    inner("topic", "path", json!([]));
    if fields.get("topic").is_some_and(|topic| topic["path"] == json!([])) {
        fields.remove("topic");
    }
    let attachments = fields.get_mut("attachments").and_then(Value::as_array_mut);
    for attachment in attachments.into_iter().flatten() {
        if let Value::Object(attachment) = attachment {
            attachment.entry("kind").or_insert_with(|| "document".into());
        }
    }
}

/// What serde wanted, without what it found.
fn wrong(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let path = error.path().to_string();
    let said = error.inner().to_string();
    if let Some(missing) = said
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next())
    {
        let dot = if path == "." { "" } else { "." };
        return format!("{}{dot}{missing} is missing", path.trim_start_matches('.'));
    }
    match said.rsplit_once("expected ") {
        Some((_, expected)) if !said.contains("datetime") => format!("{path}: expected {expected}"),
        _ => format!("{path} is not what the message schema wants"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Defaults {
        Defaults {
            channel: "portal_x".into(),
            kind: Kind::Portal,
            regime: Regime::PortalMessage,
        }
    }

    fn wrong(made: Value) -> String {
        build(made, &defaults()).expect_err("wrong")
    }

    #[test]
    fn what_is_left_out_is_filled() {
        let (event, data) = build(json!({}), &defaults()).expect("a message");
        assert_eq!(event, None);
        assert_eq!((data.channel.as_str(), data.kind), ("portal_x", Kind::Portal));
        assert_eq!(data.legal.regime, Regime::PortalMessage);
    }

    #[test]
    fn numbers_are_text_where_text_is_wanted() {
        let made = json!({
            "event": "status",
            "external": {"alt_id": 12},
            "topic": {"path": [{"id": 7, "name": "Дороги"}, null]},
            "place": {"oktmo": 57_701_000, "street": "Ленина", "house": 5, "geo": null},
            "satisfaction": {"score": 4, "scale": 5},
            "attachments": [{"url": "https://x.ru/1", "size": 10}],
            "extra": {"n": 5},
        });
        let (event, data) = build(made, &defaults()).expect("a message");
        assert_eq!(event, Some(EventType::Status));
        assert_eq!(data.external.alt_id.as_deref(), Some("12"));
        let topic = data.topic.expect("a topic");
        assert_eq!(
            (topic.classifier.as_str(), topic.path[0].id.as_deref()),
            ("portal_x", Some("7"))
        );
        assert_eq!(
            (data.place.oktmo.as_deref(), data.place.house.as_deref()),
            (Some("57701000"), Some("5"))
        );
        assert_eq!(data.place.precision, priem_sdk::message::PlacePrecision::House);
        assert_eq!(data.extra["n"], 5);
    }

    #[test]
    fn errors_name_fields_and_never_values() {
        assert_eq!(wrong(json!("Анна")), "a message must be an object");
        assert_eq!(
            wrong(json!({"athor": {}})),
            "unknown key `athor`, did you mean `author`?"
        );
        assert_eq!(
            wrong(json!({"author": {"nme": "Анна"}})),
            "author.unknown key `nme`, did you mean `name`?"
        );
        let kind = wrong(json!({"author": {"kind": "Анна"}}));
        assert!(
            kind.starts_with("author.kind: expected one of `person`") && !kind.contains("Анна"),
            "{kind}"
        );
        let status = wrong(json!({"status": {"common": "in_wrok", "raw": "В работе"}}));
        assert!(
            status.starts_with("status.common: expected one of `new`, ") && status.ends_with("did you mean `in_work`?"),
            "{status}"
        );
        let body = wrong(json!({"body": "Анна"}));
        assert!(body.starts_with("body") && !body.contains("Анна"), "{body}");
        let when = wrong(json!({"times": {"occurred": {"value": "Анна"}}}));
        assert!(when.contains("times.occurred") && !when.contains("Анна"), "{when}");
        let due = wrong(
            json!({"deadlines": [{"stage": "answer", "due_at": "Анна", "zone": "UTC", "basis": "source", "unit": "calendar_days"}]}),
        );
        assert!(due.contains("due_at") && !due.contains("Анна"), "{due}");
        assert!(wrong(json!({"event": "Анна"})).starts_with("`event` must be one of received"));
        assert!(wrong(json!({"routing": {}})).contains("routing"));
    }
}
