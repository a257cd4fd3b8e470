//! jq over answers and records, for settings that pick something out of them.
//!
//! Plain paths (`.content[]`, `.page.last`), which most settings are, are walked without jq: a whole page of a list need
//! not be turned into jq's own values for each of them.

use priem_sdk::ConfigError;
use serde_json::Value;

use crate::manifest::jq::{Filter, FilterError};

/// A compiled filter. Its errors never quote what it was applied to.
#[derive(Debug)]
pub struct Pick {
    filter: Filter,
    path: Option<PlainPath>,
}

#[derive(Debug, PartialEq, Eq)]
struct PlainPath {
    names: Vec<String>,
    each: bool,
}

impl Pick {
    /// Compiles a filter; `key` is its dotted key, for errors.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key and the place in the filter.
    pub fn compile(source: &str, key: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            filter: Filter::compile(source, key).map_err(|error| ConfigError::new(key, error.problem))?,
            path: PlainPath::read(source),
        })
    }

    /// All outputs.
    ///
    /// # Errors
    /// When the value has not the shape the filter expects.
    pub fn all(&self, value: &Value) -> Result<Vec<Value>, FilterError> {
        match self.path.as_ref().and_then(|path| path.all(value)) {
            Some(found) => Ok(found),
            None => self.filter.all(value),
        }
    }

    /// The first output, when it is not null.
    ///
    /// # Errors
    /// When the value has not the shape the filter expects.
    pub fn first(&self, value: &Value) -> Result<Option<Value>, FilterError> {
        let found = self.all(value)?.into_iter().next();
        Ok(found.filter(|value| !value.is_null()))
    }

    /// The first output as text, when it is a text that is not empty, or a number.
    pub fn text(&self, value: &Value) -> Option<String> {
        match self.first(value).ok()?? {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

impl PlainPath {
    fn read(source: &str) -> Option<Self> {
        let source = source.trim();
        let (source, each) = match source.strip_suffix("[]") {
            Some(rest) => (rest, true),
            None => (source, false),
        };
        if source == "." {
            return Some(Self {
                names: Vec::new(),
                each,
            });
        }
        let is_name = |name: &&str| {
            let mut letters = name.bytes();
            letters
                .next()
                .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
                && letters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let names: Vec<&str> = source.strip_prefix('.')?.split('.').collect();
        names.iter().all(is_name).then(|| Self {
            names: names.into_iter().map(str::to_owned).collect(),
            each,
        })
    }

    /// What jq would give; `None` where jq would fail, which must say so itself.
    fn all(&self, value: &Value) -> Option<Vec<Value>> {
        let mut at = value;
        for name in &self.names {
            at = match at {
                Value::Object(fields) => fields.get(name).unwrap_or(&Value::Null),
                Value::Null => &Value::Null,
                _ => return None,
            };
        }
        match (self.each, at) {
            (false, value) => Some(vec![value.clone()]),
            (true, Value::Array(list)) => Some(list.clone()),
            (true, Value::Object(fields)) => Some(fields.values().cloned().collect()),
            (true, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_paths_give_what_jq_gives() {
        let value = json!({"page": {"last": true}, "content": [1, null], "null": null, "text": "x"});
        for source in [
            ".",
            ".[]",
            ".page",
            ".page.last",
            ".page[]",
            ".content[]",
            ".content",
            ".null.a.b",
            ".absent",
            ".absent[]",
            ".text.a",
            ".text[]",
            ".null[]",
        ] {
            let pick = Pick::compile(source, "items").expect(source);
            assert!(pick.path.is_some(), "{source}");
            assert_eq!(pick.all(&value).ok(), pick.filter.all(&value).ok(), "{source}");
        }
        for source in [".a | .b", ".a?", ".\"a\"", ".[0]", "..", ".a[].b", "\"x\""] {
            assert_eq!(PlainPath::read(source), None, "{source}");
        }
    }

    #[test]
    fn a_wrong_filter_names_its_key() {
        let error = Pick::compile(".a |", "acknowledge.id").expect_err("wrong");
        assert_eq!(error.key, "acknowledge.id");
    }
}
