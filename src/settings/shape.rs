//! What the schema of a connector says about scalars, for settings that are read without their types.
//!
//! A connector gets its settings as JSON, in which text and numbers are different things: `sheet: 2024` would be a number
//! where the connector wants text, and `register: no` text where it wants a switch. The schema knows better.

use priem_yaml::{Node, Scalar, Value};
use serde_json::Value as Json;

/// Makes each scalar what the schema wants at its place, where that is one thing.
pub(super) fn shape(node: &mut Node, schema: &Json) {
    Shaper { root: schema }.node(node, &[schema]);
}

struct Shaper<'s> {
    root: &'s Json,
}

impl<'s> Shaper<'s> {
    /// `schemas` are alternatives for one place.
    fn node(&self, node: &mut Node, schemas: &[&'s Json]) {
        let mut flat = Vec::new();
        schemas.iter().for_each(|schema| self.flatten(schema, &mut flat));
        match &mut node.value {
            Value::Scalar(scalar) => as_wanted(scalar, &flat),
            Value::List(list) => {
                let items: Vec<&Json> = flat.iter().filter_map(|schema| schema.get("items")).collect();
                list.iter_mut().for_each(|item| self.node(item, &items));
            }
            Value::Map(entries) => {
                for entry in entries {
                    let named = flat
                        .iter()
                        .filter_map(|schema| schema.get("properties")?.get(entry.key.as_str()));
                    let mut below: Vec<&Json> = named.collect();
                    if below.is_empty() {
                        let others = flat.iter().filter_map(|schema| schema.get("additionalProperties"));
                        below = others.filter(|schema| schema.is_object()).collect();
                    }
                    self.node(&mut entry.node, &below);
                }
            }
        }
    }

    /// The schema without references and alternatives around it.
    fn flatten(&self, schema: &'s Json, flat: &mut Vec<&'s Json>) {
        if let Some(target) = self.target(schema) {
            self.flatten(target, flat);
        }
        for several in ["anyOf", "oneOf", "allOf"] {
            let alternatives = schema.get(several).and_then(Json::as_array).into_iter().flatten();
            alternatives.for_each(|alternative| self.flatten(alternative, flat));
        }
        flat.push(schema);
    }

    fn target(&self, schema: &Json) -> Option<&'s Json> {
        let reference = schema.get("$ref")?.as_str()?;
        self.root.pointer(reference.strip_prefix('#')?)
    }
}

fn as_wanted(scalar: &mut Scalar, schemas: &[&Json]) {
    let wants = |kind: &str| {
        schemas.iter().any(|schema| match schema.get("type") {
            Some(Json::String(only)) => only == kind,
            Some(Json::Array(several)) => several.iter().any(|one| one == kind),
            _ => false,
        })
    };
    let switch = scalar.switch();
    if wants("boolean") {
        if let (Some(value), false) = (switch, wants("string")) {
            *scalar = Scalar::plain(value.to_string());
        }
    } else if wants("string") && !wants("integer") && !wants("number") && scalar.is_no_text() {
        *scalar = scalar.to_quoted();
    }
}
