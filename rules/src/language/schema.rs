//! JSON Schema of rule files, for editors that complete and check YAML. Made from the same key lists that the reader
//! uses; what a schema can't say (references, ids used twice) `rules check` says.

use serde_json::{Map, Value, json};

use crate::engine::fields::{Field, Form, OKTMO_MAX, OKTMO_MIN};
use crate::language::include;
use crate::language::keys::{self, Key};
use crate::territory::Kind;

/// The schema of one rule file.
pub fn json_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://priem.ru/schema/rules/v1",
        "title": "Автоправила Priem, версия 1",
        "type": "object",
        "required": ["version"],
        "additionalProperties": false,
        "properties": properties(keys::FILE, |key| match key {
            "version" => json!({ "const": 1 }),
            "include" => json!({ "type": "array", "items": { "enum": include::PARTS.map(|(name, ..)| name) } }),
            "zone" => text(),
            "calendar" => list_of("calendar"),
            "work_day" => object(keys::WORK_DAY, &["from", "to"], |_| text()),
            "sectors" => json!({ "type": "object", "additionalProperties": text() }),
            "conditions" => json!({ "type": "object", "additionalProperties": definition("condition") }),
            "words" => json!({ "type": "object", "additionalProperties": definition("texts") }),
            "territories" => list_of("territory"),
            "route" => definition("route"),
            "classify" => list_of("classify"),
            "deadlines" => list_of("deadline"),
            _ => list_of("test"),
        }),
        "$defs": {
            "texts": texts(),
            "priority": { "type": "integer", "minimum": 0, "maximum": 9 },
            "id": { "type": "string", "pattern": "^[a-z0-9][a-z0-9._-]*$", "maxLength": 80 },
            "moment": { "type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2} \\d{2}:\\d{2}(:\\d{2})?$" },
            "condition": condition(),
            "classify": object(keys::CLASSIFY, &["id", "name", "set"], |key| match key {
                "id" => definition("id"),
                "when" => definition("condition"),
                "set" => definition("set"),
                _ => text(),
            }),
            "territory": territory(),
            "set": set(),
            "to": object(keys::TO, &["organisation"], |_| text()),
            "also": object(keys::ALSO, &["to", "queue"], |key| if key == "to" { definition("to") } else { text() }),
            "route": object(keys::ROUTE, &["id", "name"], route_property),
            "calendar": calendar(),
            "deadline": deadline(),
            "test": object(keys::TEST, &["name", "given", "expect"], |key| match key {
                "name" => text(),
                other => definition(other),
            }),
            "given": object(keys::GIVEN, &[], given_property),
            "expect": object(keys::EXPECT, &[], expect_property),
        },
    })
}

fn text() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

fn scalar() -> Value {
    json!({ "type": ["string", "integer", "boolean"] })
}

fn texts() -> Value {
    json!({ "oneOf": [scalar(), { "type": "array", "minItems": 1, "items": scalar() }] })
}

fn yes_no() -> Value {
    json!({ "enum": [true, false, "да", "нет"] })
}

fn definition(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn list_of(name: &str) -> Value {
    json!({ "type": "array", "items": definition(name) })
}

fn object(keys: &[Key], required: &[&str], of: impl Fn(&str) -> Value) -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties(keys, of),
    })
}

fn properties(keys: &[Key], of: impl Fn(&str) -> Value) -> Value {
    let described = keys.iter().map(|(key, description)| {
        let mut schema = of(key);
        if let Some(fields) = schema.as_object_mut() {
            fields.insert("description".into(), (*description).into());
        }
        ((*key).to_owned(), schema)
    });
    Value::Object(described.collect())
}

fn condition() -> Value {
    let mut all = Map::new();
    let mut place = Map::new();
    for &field in Field::ALL {
        let mut schema = field_schema(field);
        if let Some(fields) = schema.as_object_mut() {
            fields.insert("description".into(), field.label().into());
        }
        let under = if field.is_place() { &mut place } else { &mut all };
        under.insert(field.key().to_owned(), schema);
    }
    let combining = properties(keys::CONDITION, |key| match key {
        "text" | "context" => json!({ "oneOf": [
            definition("texts"),
            object(keys::TEXT, &[], |key| if key == "typos" { yes_no() } else { definition("texts") }),
        ] }),
        "place" => json!({
            "type": "object", "minProperties": 1, "additionalProperties": false, "properties": place.clone()
        }),
        "dates" => {
            let days = json!({ "type": "string", "pattern": DAYS });
            json!({ "oneOf": [days, { "type": "array", "minItems": 1, "items": days }] })
        }
        "not" => definition("condition"),
        "use" => definition("texts"),
        _ => json!({ "type": "array", "minItems": 1, "items": definition("condition") }),
    });
    if let Value::Object(combining) = combining {
        all.extend(combining);
    }
    json!({ "type": "object", "minProperties": 1, "additionalProperties": false, "properties": all })
}

fn field_schema(field: Field) -> Value {
    match field.form() {
        Form::Closed(words) => {
            json!({ "oneOf": [{ "enum": words }, { "type": "array", "minItems": 1, "items": { "enum": words } }] })
        }
        Form::YesNo => yes_no(),
        Form::Moment => {
            let time = json!({ "type": "string", "pattern": moment_pattern(field) });
            json!({ "oneOf": [time, { "type": "array", "minItems": 1, "items": time }] })
        }
        Form::CodePrefix => {
            let code = json!({ "type": "string", "pattern": format!("^\\d{{{OKTMO_MIN},{OKTMO_MAX}}}$") });
            json!({ "oneOf": [code, { "type": "array", "minItems": 1, "items": code }] })
        }
        Form::Identifier | Form::Name | Form::Path | Form::PlaceName => definition("texts"),
    }
}

fn moment_pattern(field: Field) -> &'static str {
    match field {
        Field::Season => r"^\d{1,2}\.\d{1,2} *[-–—] *\d{1,2}\.\d{1,2}$",
        Field::Hours => r"^\d{1,2}:\d{2} *[-–—] *\d{1,2}:\d{2}$",
        _ => r"^\d+ *(мин|час|ч|д|сут|недел)[а-я]*\.?$",
    }
}

/// `dates`, see `dates`.
const DAYS: &str = r"^(с|по|[0-9.-]+ *[-–—]) *[0-9.-]+$";

fn territory() -> Value {
    let code = json!({ "type": "string", "pattern": format!("^\\d{{{OKTMO_MIN},{OKTMO_MAX}}}$") });
    let street = object(keys::STREET, &["name"], |key| {
        if key == "houses" { definition("texts") } else { text() }
    });
    let polygons = object(keys::POLYGONS, &["file"], |key| match key {
        "where" => json!({
            "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": scalar()
        }),
        _ => text(),
    });
    object(keys::TERRITORY, &["id"], |key| match key {
        "id" | "inside" => definition("id"),
        "kind" => json!({ "enum": Kind::WORDS.map(|(word, _)| word) }),
        "name" => text(),
        "oktmo" => json!({ "oneOf": [code.clone(), { "type": "array", "minItems": 1, "items": code.clone() }] }),
        "streets" => json!({ "type": "array", "minItems": 1, "items": { "oneOf": [text(), street.clone()] } }),
        "polygons" => json!({ "oneOf": [text(), polygons.clone()] }),
        _ => definition("texts"),
    })
}

fn set() -> Value {
    let mut set = object(keys::SET, &[], |key| match key {
        "to" => definition("to"),
        "also" => list_of("also"),
        "queue" => queue(),
        "stop" => yes_no(),
        "priority" => definition("priority"),
        "review" => yes_no(),
        "topic" | "tags" | "flags" => definition("texts"),
        _ => text(),
    });
    set["minProperties"] = json!(1);
    set
}

fn queue() -> Value {
    json!({ "type": "string", "pattern": "^[^\\s*#]+$", "maxLength": 255 })
}

fn route_property(key: &str) -> Value {
    match key {
        "id" => definition("id"),
        "when" => definition("condition"),
        "to" => definition("to"),
        "priority" => definition("priority"),
        "review" => yes_no(),
        "tags" => definition("texts"),
        "also" => list_of("also"),
        "routes" => list_of("route"),
        "queue" => queue(),
        "sheet" => scalar(),
        _ => text(),
    }
}

fn deadline() -> Value {
    let mut deadline = object(keys::DEADLINE, &["id", "name", "stage"], |key| match key {
        "id" => definition("id"),
        "when" => definition("condition"),
        "stage" => json!({ "enum": keys::STAGES }),
        "basis" => json!({ "enum": keys::BASES }),
        "calendar_hours" | "calendar_days" | "working_hours" | "working_days" => length(),
        "roll" => json!({ "enum": ["next", "previous"] }),
        "margin" => {
            let mut margin = object(keys::UNITS, &[], |_| length());
            margin["minProperties"] = 1.into();
            margin["maxProperties"] = 1.into();
            margin
        }
        _ => text(),
    });
    let units = keys::UNITS.iter().map(|(unit, _)| json!({ "required": [unit] }));
    deadline["oneOf"] = units.collect();
    deadline
}

fn length() -> Value {
    json!({ "type": "integer", "minimum": 1 })
}

fn calendar() -> Value {
    object(keys::CALENDAR, &["year"], |key| match key {
        "year" => json!({ "type": "integer", "minimum": 2000, "maximum": 2100 }),
        "name" => text(),
        _ => definition("texts"),
    })
}

fn given_property(key: &str) -> Value {
    match key {
        "text" => text(),
        "topic" | "flags" => definition("texts"),
        "at" | "written" => definition("moment"),
        "source_deadlines" => stages(definition("moment")),
        "place" => {
            let fields: Map<String, Value> = keys::PLACE_GIVEN
                .iter()
                .map(|key| ((*key).to_owned(), text()))
                .collect();
            json!({ "type": "object", "additionalProperties": false, "properties": fields })
        }
        "satisfaction" => json!({ "type": "string", "pattern": r"^\d+(\.\d+)? из \d+$" }),
        key => match Field::ALL
            .iter()
            .find(|field| !field.is_place() && field.key() == key)
            .map(|field| field.form())
        {
            Some(Form::Closed(words)) if key != "attachments" => json!({ "enum": words }),
            Some(Form::Closed(words)) => {
                json!({ "oneOf": [{ "enum": words }, { "type": "array", "items": { "enum": words } }] })
            }
            _ => text(),
        },
    }
}

fn expect_property(key: &str) -> Value {
    match key {
        "priority" => json!({ "oneOf": [definition("priority"), { "const": "none" }] }),
        "review" => json!({ "type": "boolean" }),
        "tags" | "flags" | "rules" | "also" => definition("texts"),
        "deadlines" => stages(text()),
        "due" => stages(json!({ "oneOf": [definition("moment"), { "const": "none" }] })),
        _ => text(),
    }
}

fn stages(value: Value) -> Value {
    let stages: Map<String, Value> = keys::STAGES
        .iter()
        .map(|stage| ((*stage).to_owned(), value.clone()))
        .collect();
    json!({ "type": "object", "additionalProperties": false, "properties": stages })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "config/schemas/rules.schema.json";

    /// Run with `PRIEM_UPDATE=1` to write the file anew.
    #[test]
    fn the_committed_schema_is_the_one_made_here() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(FILE);
        let made = format!(
            "{}\n",
            serde_json::to_string_pretty(&json_schema()).expect("serialises")
        );
        if std::env::var_os("PRIEM_UPDATE").is_some() {
            std::fs::write(&path, &made).expect("writes");
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap_or_default(),
            made,
            "run again with PRIEM_UPDATE=1: {FILE}"
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let schema = json_schema();
        let text = schema.to_string();
        for reference in text.split("\"#/$defs/").skip(1) {
            let name = reference.split('"').next().unwrap_or_default();
            assert!(schema["$defs"].get(name).is_some(), "{name}");
        }
    }
}
