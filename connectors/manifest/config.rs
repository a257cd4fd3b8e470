//! One entry of the settings: which manifest, and what of it is different here.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::jq::USUAL_MEMORY;

/// A channel described by a manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManifestSettings {
    /// The manifest: a YAML file. Relative to this settings file; paths inside the manifest are relative to the manifest.
    pub manifest: PathBuf,
    /// Address of the server, in place of `poll.base_url` of the manifest.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Keys of `poll:` that are different here; they are put over those of the manifest one by one.
    #[serde(default)]
    pub poll: Map<String, Value>,
    /// The same for `webhook:`.
    #[serde(default)]
    pub webhook: Map<String, Value>,
    /// Rows that are put over the tables of the manifest: name → code → value.
    #[serde(default)]
    pub tables: Map<String, Value>,
    /// Memory one run of a filter over one record may take, bytes (256 MiB). A record that needs more is quarantined.
    #[serde(default = "usual_memory")]
    pub max_filter_bytes: u64,
}

fn usual_memory() -> u64 {
    USUAL_MEMORY
}

impl ManifestSettings {
    /// Settings that take the manifest as it is.
    pub fn new(manifest: impl Into<PathBuf>) -> Self {
        Self {
            manifest: manifest.into(),
            base_url: None,
            poll: Map::new(),
            webhook: Map::new(),
            tables: Map::new(),
            max_filter_bytes: USUAL_MEMORY,
        }
    }

    /// Puts what is different here over a manifest. A section the manifest does not have stays absent.
    pub(super) fn put_over(&self, manifest: &mut Value) {
        let mut poll = self.poll.clone();
        if let Some(base_url) = &self.base_url {
            poll.insert("base_url".into(), base_url.as_str().into());
        }
        for (section, over, add) in [
            ("poll", &poll, false),
            ("webhook", &self.webhook, false),
            ("tables", &self.tables, true),
        ] {
            if over.is_empty() {
                continue;
            }
            let Some(fields) = manifest.as_object_mut() else { return };
            if add {
                fields.entry(section).or_insert_with(|| Value::Object(Map::new()));
            }
            if let Some(under @ Value::Object(_)) = fields.get_mut(section) {
                merge(under, &Value::Object(over.clone()));
            }
        }
    }

    /// A section that is different here and that the manifest does not have.
    pub(super) fn section_without_use(&self, manifest: &Value) -> Option<&'static str> {
        let has = |section: &str| manifest.get(section).is_some_and(Value::is_object);
        if !self.poll.is_empty() && !has("poll") {
            return Some("poll");
        }
        if self.base_url.is_some() && !has("poll") {
            return Some("base_url");
        }
        (!self.webhook.is_empty() && !has("webhook")).then_some("webhook")
    }
}

/// Objects go into each other key by key; a reference to a secret, and a choice by `kind`, replace what was there.
fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) if !is_reference(over) && !is_choice(under, over) => {
            for (key, value) in over {
                match under.get_mut(key) {
                    Some(before) => merge(before, value),
                    None => {
                        under.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (under, over) => *under = over.clone(),
    }
}

fn is_reference(over: &Map<String, Value>) -> bool {
    over.len() == 1 && ["credential", "file", "env"].iter().any(|key| over.contains_key(*key))
}

fn is_choice(under: &Map<String, Value>, over: &Map<String, Value>) -> bool {
    over.get("kind").is_some_and(|kind| under.get("kind") != Some(kind))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_different_goes_over_key_by_key() {
        let mut manifest = json!({
            "poll": {
                "base_url": "", "every": "1m",
                "auth": {"kind": "basic", "user": "u", "password": {"credential": "a"}},
                "request": {"path": "/x", "query": {"a": "1"}},
            },
        });
        let settings: ManifestSettings = serde_json::from_value(json!({
            "manifest": "x.yaml",
            "base_url": "https://host",
            "poll": {"auth": {"password": {"env": "P"}}, "request": {"query": {"b": "2"}}},
            "tables": {"status": {"NEW": "new"}},
        }))
        .expect("settings");
        settings.put_over(&mut manifest);
        assert_eq!(
            manifest,
            json!({
                "poll": {
                    "base_url": "https://host", "every": "1m",
                    "auth": {"kind": "basic", "user": "u", "password": {"env": "P"}},
                    "request": {"path": "/x", "query": {"a": "1", "b": "2"}},
                },
                "tables": {"status": {"NEW": "new"}},
            })
        );
        merge(
            &mut manifest["poll"]["auth"],
            &json!({"kind": "bearer", "token": {"env": "T"}}),
        );
        assert_eq!(
            manifest["poll"]["auth"],
            json!({"kind": "bearer", "token": {"env": "T"}})
        );
    }

    #[test]
    fn a_section_the_manifest_lacks_is_told() {
        let mut settings = ManifestSettings::new("x.yaml");
        settings.base_url = Some("https://host".into());
        assert_eq!(settings.section_without_use(&json!({"webhook": {}})), Some("base_url"));
        assert_eq!(settings.section_without_use(&json!({"poll": {}})), None);
    }
}
