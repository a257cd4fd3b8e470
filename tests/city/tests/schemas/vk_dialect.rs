//! The dialect of VK's schema: `required` stands inside a property, references go across files, every definition has a
//! name of its own.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Map, Value};

use crate::{
    read_json,
    shape::{Book, Field, Shape},
};

/// Reads all definitions of objects and of answers.
pub fn read(folder: &Path) -> Book {
    let mut book = Book::default();
    for section in std::fs::read_dir(folder)
        .expect("the folder of the VK schema")
        .flatten()
    {
        for file in ["objects.json", "responses.json"] {
            let path = section.path().join(file);
            if path.is_file() {
                add_definitions(&mut book, &read_json(&path));
            }
        }
    }
    book
}

fn add_definitions(book: &mut Book, document: &Value) {
    for (name, schema) in document["definitions"].as_object().into_iter().flatten() {
        book.add(name, shape(schema));
    }
}

/// Last part of a reference: the name of the definition.
pub fn name_of(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

fn shape(schema: &Value) -> Shape {
    if let Some(reference) = schema["$ref"].as_str() {
        return Shape::Named(name_of(reference).to_owned());
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return Shape::All(parts.iter().map(shape).collect());
    }
    if let Some(parts) = schema["oneOf"].as_array() {
        return Shape::Either(parts.iter().map(shape).collect());
    }
    if let Some(values) = schema["enum"].as_array() {
        return Shape::OneOfValues(values.clone());
    }
    if let Some(fields) = schema["properties"].as_object() {
        return object(fields);
    }
    match &schema["type"] {
        Value::String(name) if name == "array" => Shape::List(Box::new(shape(&schema["items"]))),
        Value::String(name) if name == "object" => Shape::Any,
        Value::String(name) => limited(schema, vec![name.clone()]),
        Value::Array(names) => {
            let names: Vec<String> = names.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            if names.iter().any(|name| name == "object" || name == "array") {
                Shape::Any
            } else {
                limited(schema, names)
            }
        }
        _ => Shape::Any,
    }
}

fn object(fields: &Map<String, Value>) -> Shape {
    let fields: BTreeMap<String, Field> = fields
        .iter()
        .map(|(name, schema)| {
            let field = Field {
                shape: shape(schema),
                required: schema["required"] == true,
            };
            (name.clone(), field)
        })
        .collect();
    Shape::Object(fields)
}

fn limited(schema: &Value, types: Vec<String>) -> Shape {
    let (least, greatest) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
    let is_number = types.iter().all(|name| name == "integer" || name == "number");
    if is_number && (least.is_some() || greatest.is_some()) {
        Shape::All(vec![Shape::Scalar(types), Shape::Within { least, greatest }])
    } else {
        Shape::Scalar(types)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn required_inside_a_property_and_references_across_files_are_understood() {
        let mut book = Book::default();
        add_definitions(
            &mut book,
            &json!({"definitions": {
                "base_flag": {"type": "integer", "enum": [0, 1]},
                "wall_post": {"type": "object", "properties": {
                    "id": {"type": "integer", "minimum": 1, "required": true},
                    "flag": {"$ref": "../base/objects.json#/definitions/base_flag"},
                    "names": {"type": "array", "items": {"type": ["string", "integer"]}},
                }},
            }}),
        );
        assert!(
            book.differences("wall_post", &json!({"id": 1, "flag": 0, "names": ["a", 1]}))
                .is_empty()
        );
        let found: Vec<String> = book
            .differences("wall_post", &json!({"id": 0, "flag": 2}))
            .into_iter()
            .collect();
        assert_eq!(
            found,
            ["wall_post/flag: 2 is not listed", "wall_post/id: is out of limits"]
        );
        assert_eq!(book.differences("wall_post", &json!({})).len(), 1);
    }
}
