//! OpenAPI 3: `components.schemas` with references, `allOf`, `nullable` and discriminators.
//!
//! A discriminator alone says which shape is meant: documents in the wild leave out the `oneOf` beside it. Its mapping
//! gives references as text; some documents wrap them in objects, which is read too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::shape::{Book, Field, Shape};

/// Reads all schemas of a document.
#[cfg_attr(not(test), expect(dead_code, reason = "for channels that publish OpenAPI"))]
pub fn read(document: &Value) -> Book {
    let mut book = Book::default();
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        book.add(name, shape(schema));
    }
    book
}

/// The shape a value of a polymorphic schema has, by its discriminator. None for values the mapping does not know.
pub fn meant(document: &Value, schema: &str, value: &Value) -> Option<String> {
    let discriminator = &document["components"]["schemas"][schema]["discriminator"];
    let property = discriminator["propertyName"].as_str()?;
    let target = &discriminator["mapping"][value[property].as_str()?];
    let reference = target.as_str().or(target["$ref"].as_str())?;
    Some(name_of(reference).to_owned())
}

fn name_of(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

fn shape(schema: &Value) -> Shape {
    let inner = not_null(schema);
    if schema["nullable"] == true {
        Shape::Either(vec![inner, Shape::Scalar(vec!["null".into()])])
    } else {
        inner
    }
}

fn not_null(schema: &Value) -> Shape {
    if let Some(reference) = schema["$ref"].as_str() {
        return Shape::Named(name_of(reference).to_owned());
    }
    let parts = |name: &str| -> Option<Vec<Shape>> { Some(schema[name].as_array()?.iter().map(shape).collect()) };
    if let Some(mut parts) = parts("allOf") {
        if schema["properties"].is_object() {
            parts.push(object(schema));
        }
        return Shape::All(parts);
    }
    if let Some(parts) = parts("oneOf").or_else(|| parts("anyOf")) {
        return Shape::Either(parts);
    }
    if let Some(values) = schema["enum"].as_array() {
        return Shape::OneOfValues(values.clone());
    }
    if schema["properties"].is_object() {
        return object(schema);
    }
    match schema["type"].as_str() {
        Some("array") => Shape::List(Box::new(shape(&schema["items"]))),
        Some(name @ ("string" | "integer" | "number" | "boolean")) => Shape::Scalar(vec![name.to_owned()]),
        _ => Shape::Any,
    }
}

fn object(schema: &Value) -> Shape {
    let required: BTreeSet<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let fields: BTreeMap<String, Field> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            let field = Field {
                shape: shape(schema),
                required: required.contains(name.as_str()),
            };
            (name.clone(), field)
        })
        .collect();
    Shape::Object(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_nulls_and_discriminators_are_understood() {
        let document = json!({"components": {"schemas": {
            "Update": {"type": "object", "required": ["type"], "properties": {"type": {"type": "string"}},
                "discriminator": {"propertyName": "type", "mapping": {
                    "created": {"$ref": "#/components/schemas/Created"}, "removed": "#/components/schemas/Removed"}}},
            "Created": {"allOf": [{"$ref": "#/components/schemas/Update"},
                {"properties": {"text": {"type": "string", "nullable": true}}, "required": ["text"]}]},
        }}});
        let book = read(&document);
        let value = json!({"type": "created", "text": null});
        assert_eq!(meant(&document, "Update", &value).as_deref(), Some("Created"));
        assert_eq!(
            meant(&document, "Update", &json!({"type": "removed"})).as_deref(),
            Some("Removed")
        );
        assert_eq!(meant(&document, "Update", &json!({"type": "other"})), None);
        assert!(book.differences("Created", &value).is_empty());
        let found: Vec<String> = book
            .differences("Created", &json!({"type": 1, "more": 1}))
            .into_iter()
            .collect();
        let expected = [
            "Created/more: is not in the schema",
            "Created/text: is missing",
            "Created/type: is number, not string",
        ];
        assert_eq!(found, expected);
    }
}
