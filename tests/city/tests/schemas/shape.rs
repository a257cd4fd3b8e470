//! What all schema dialects come down to: shapes of values, some with names, and a check that finds every difference.
//!
//! Stricter than the dialects: a field the schema does not know is a difference too, for a simulator must not invent.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

/// The shape of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Anything.
    Any,
    /// One of these types: `string`, `integer`, `number`, `boolean`, `null`.
    Scalar(Vec<String>),
    /// One of these values.
    OneOfValues(Vec<Value>),
    /// A whole number or a number within limits.
    Within {
        /// Least value.
        least: Option<f64>,
        /// Greatest value.
        greatest: Option<f64>,
    },
    /// A list.
    List(Box<Shape>),
    /// An object with these fields and no others.
    Object(BTreeMap<String, Field>),
    /// An object that satisfies all of these together.
    All(Vec<Shape>),
    /// A value that satisfies one of these.
    Either(Vec<Shape>),
    /// A shape of the book.
    Named(String),
}

/// A field of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its value.
    pub shape: Shape,
    /// Whether it must be there.
    pub required: bool,
}

/// Shapes by name.
#[derive(Debug, Default)]
pub struct Book(HashMap<String, Shape>);

impl Book {
    /// Adds a shape.
    pub fn add(&mut self, name: &str, shape: Shape) {
        self.0.insert(name.to_owned(), shape);
    }

    /// Every difference between a value and the shape of this name, as `name/field: what`. Positions in lists are not
    /// told: what is wrong with one element is wrong with all.
    pub fn differences(&self, name: &str, value: &Value) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.check(&Shape::Named(name.to_owned()), value, name, &mut found);
        found
    }

    fn check(&self, shape: &Shape, value: &Value, at: &str, found: &mut BTreeSet<String>) {
        let mut wrong = |what: String| {
            found.insert(format!("{at}: {what}"));
        };
        match shape {
            Shape::Any => {}
            Shape::Scalar(types) => {
                if !types.iter().any(|name| is_of_type(value, name)) {
                    wrong(format!("is {}, not {}", type_of(value), types.join(" or ")));
                }
            }
            Shape::OneOfValues(values) => {
                if !values.contains(value) {
                    wrong(format!("{value} is not listed"));
                }
            }
            Shape::Within { least, greatest } => {
                let number = value.as_f64().unwrap_or_default();
                if least.is_some_and(|least| number < least) || greatest.is_some_and(|greatest| number > greatest) {
                    wrong("is out of limits".to_owned());
                }
            }
            Shape::List(inner) => match value.as_array() {
                Some(items) => {
                    for item in items {
                        self.check(inner, item, at, found);
                    }
                }
                None => wrong(format!("is {}, not a list", type_of(value))),
            },
            Shape::Either(shapes) => {
                let tries = shapes.iter().map(|shape| {
                    let mut differences = BTreeSet::new();
                    self.check(shape, value, at, &mut differences);
                    differences
                });
                // What is wrong is told about the alternative that comes nearest: one of another type is far.
                let is_far = |one: &BTreeSet<String>| one.iter().any(|text| text.starts_with(&format!("{at}: is ")));
                if let Some(nearest) = tries.min_by_key(|one| (is_far(one), one.len())) {
                    found.extend(nearest);
                }
            }
            Shape::Named(name) => match self.0.get(name) {
                // Named objects are told by their own name: the same difference is one, wherever it is met.
                Some(shape) if self.is_object(shape) => self.check(shape, value, name, found),
                Some(shape) => self.check(shape, value, at, found),
                None => wrong(format!("the schema refers to {name}, which it does not define")),
            },
            Shape::Object(_) => self.check_object(shape, value, at, found),
            Shape::All(_) if self.is_object(shape) => self.check_object(shape, value, at, found),
            Shape::All(parts) => {
                for part in parts {
                    self.check(part, value, at, found);
                }
            }
        }
    }

    fn check_object(&self, shape: &Shape, value: &Value, at: &str, found: &mut BTreeSet<String>) {
        let Some(fields) = value.as_object() else {
            found.insert(format!("{at}: is {}, not an object", type_of(value)));
            return;
        };
        let mut known: BTreeMap<&str, Vec<&Field>> = BTreeMap::new();
        self.collect(shape, &mut known);
        for (name, value) in fields {
            match known.get(name.as_str()) {
                None => {
                    found.insert(format!("{at}/{name}: is not in the schema"));
                }
                Some(rules) => {
                    for rule in rules {
                        self.check(&rule.shape, value, &format!("{at}/{name}"), found);
                    }
                }
            }
        }
        for (name, rules) in known {
            if rules.iter().any(|rule| rule.required) && !fields.contains_key(name) {
                found.insert(format!("{at}/{name}: is missing"));
            }
        }
    }

    /// The fields an object may have, from all its parts.
    fn collect<'a>(&'a self, shape: &'a Shape, known: &mut BTreeMap<&'a str, Vec<&'a Field>>) {
        match shape {
            Shape::Object(fields) => {
                for (name, field) in fields {
                    known.entry(name).or_default().push(field);
                }
            }
            Shape::All(parts) => parts.iter().for_each(|part| self.collect(part, known)),
            Shape::Named(name) => {
                if let Some(shape) = self.0.get(name) {
                    self.collect(shape, known);
                }
            }
            _ => {}
        }
    }

    fn is_object(&self, shape: &Shape) -> bool {
        match shape {
            Shape::Object(_) => true,
            Shape::All(parts) => parts.iter().any(|part| self.is_object(part)),
            Shape::Named(name) => self.0.get(name).is_some_and(|shape| self.is_object(shape)),
            _ => false,
        }
    }
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => type_of(value) == name,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(shape: Shape, required: bool) -> Field {
        Field { shape, required }
    }

    fn book() -> Book {
        let text = || Shape::Scalar(vec!["string".into()]);
        let base = Shape::Object([("id".to_owned(), field(Shape::Scalar(vec!["integer".into()]), true))].into());
        let more = Shape::Object(
            [
                ("name".to_owned(), field(text(), false)),
                (
                    "likes".to_owned(),
                    field(Shape::List(Box::new(Shape::Named("base".into()))), false),
                ),
                ("kind".to_owned(), field(Shape::OneOfValues(vec!["a".into()]), false)),
            ]
            .into(),
        );
        let mut book = Book::default();
        book.add("base", base);
        book.add("whole", Shape::All(vec![Shape::Named("base".into()), more]));
        book.add("either", Shape::Either(vec![text(), Shape::Named("whole".into())]));
        book
    }

    #[test]
    fn what_fits_has_no_differences() {
        let book = book();
        let value = json!({"id": 1, "name": "x", "kind": "a", "likes": [{"id": 2}]});
        assert!(book.differences("whole", &value).is_empty());
        assert!(book.differences("either", &value).is_empty());
        assert!(book.differences("either", &json!("x")).is_empty());
    }

    #[test]
    fn every_difference_is_told() {
        let value = json!({"name": 7, "kind": "b", "likes": [{"id": "x"}, {"id": 1, "more": 1}]});
        let found: Vec<String> = book().differences("either", &value).into_iter().collect();
        let expected = [
            "base/id: is string, not integer",
            "base/more: is not in the schema",
            "whole/id: is missing",
            "whole/kind: \"b\" is not listed",
            "whole/name: is number, not string",
        ];
        assert_eq!(found, expected, "an object is nearer to an object than to a string");
        assert!(!book().differences("absent", &value).is_empty());
    }
}
