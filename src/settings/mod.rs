//! Settings: one YAML file, overridden by the environment (`PRIEM__AMQP__URL`). Unknown keys are refused with the
//! nearest known one; every error names the file, the line and the key.
//!
//! One reading for all: the file and the environment become one tree of words (`priem-yaml`), and the setting that reads a
//! word decides what it is (`read`, `shape`).

mod load;
pub mod reference;
mod shape;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use priem_sdk::ConnectorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use load::{SettingsError, absolute, load, parse, place_of, read};

use crate::{
    attachments::AttachmentSettings,
    deadlines::DeadlineSettings,
    duplicates::DuplicateSettings,
    http::HttpSettings,
    journal::JournalSettings,
    privacy::PrivacySettings,
    publish::settings::{AmqpSettings, NdjsonSettings},
    telemetry::LogSettings,
};

/// Everything an operator can set.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Version of this file's shape.
    pub version: Version,
    /// Where everything acknowledged is kept.
    pub journal: JournalSettings,
    /// Listeners: webhooks, health and metrics.
    pub http: HttpSettings,
    /// The broker. Without it, messages go to `ndjson`.
    pub amqp: Option<AmqpSettings>,
    /// Where messages go without a broker: a file or standard output, one JSON document a line.
    pub ndjson: NdjsonSettings,
    /// Keeping copies of the files that messages name. Leave out to keep none.
    pub attachments: Option<AttachmentSettings>,
    /// Auto-rules.
    pub rules: RulesSettings,
    /// Messages on one matter that came by several ways.
    pub duplicates: DuplicateSettings,
    /// Events about deadlines of messages that their source says are open.
    pub deadlines: DeadlineSettings,
    /// What of personal data goes out.
    pub privacy: PrivacySettings,
    /// Logs.
    pub log: LogSettings,
    /// Sources, by names of your choice (`[a-z0-9-]`). The names take part in message ids: never rename one.
    #[serde(deserialize_with = "none_is_empty")]
    pub connectors: BTreeMap<String, ConnectorSettings>,
}

/// `connectors:` with every entry commented out is YAML's null.
fn none_is_empty<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, ConnectorSettings>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Version of the file's shape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32", into = "u32")]
#[schemars(with = "u32")]
pub enum Version {
    /// The only one so far.
    #[default]
    V1,
}

impl TryFrom<u32> for Version {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if number == 1 {
            Ok(Self::V1)
        } else {
            Err(format!("version {number} is not known, this Priem knows 1"))
        }
    }
}

impl From<Version> for u32 {
    fn from(_: Version) -> Self {
        1
    }
}

/// Where the auto-rules are.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RulesSettings {
    /// Folder with `*.yaml`. Without it, the built-in starter set applies.
    pub dir: Option<PathBuf>,
}

/// One source.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ConnectorSettings {
    /// Kind of connector; `priem connectors list` shows them.
    #[serde(rename = "type")]
    pub kind: String,
    /// `false` leaves the entry but does not start it.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// The connector's own settings; `priem connectors schema TYPE` shows them.
    #[serde(flatten)]
    pub settings: serde_json::Map<String, serde_json::Value>,
}

fn enabled() -> bool {
    true
}

impl Settings {
    /// Makes relative paths start from `base`, the folder of the settings file. Connectors are told it when built.
    pub fn start_paths_from(&mut self, base: &Path) {
        if let Some(amqp) = &mut self.amqp {
            amqp.start_paths_from(base);
        }
        self.privacy.start_paths_from(base);
        self.journal.dir = base.join(&self.journal.dir);
        self.rules.dir = self.rules.dir.take().map(|dir| base.join(dir));
        if self.ndjson.path != Path::new("-") {
            self.ndjson.path = base.join(&self.ndjson.path);
        }
    }
}

/// JSON Schema of the settings file, with the schemas of every connector inside.
pub fn json_schema(connectors: &[ConnectorType]) -> serde_json::Value {
    let mut schema = schemars::schema_for!(Settings).to_value();
    let own = schemars::schema_for!(ConnectorSettings).to_value();
    let alternatives: Vec<serde_json::Value> = connectors
        .iter()
        .map(|kind| {
            let mut alternative = (kind.schema)().to_value();
            if let Some(properties) = alternative
                .get_mut("properties")
                .and_then(serde_json::Value::as_object_mut)
            {
                properties.insert("type".into(), serde_json::json!({ "const": kind.name }));
                properties.insert("enabled".into(), own["properties"]["enabled"].clone());
            }
            alternative["title"] = kind.name.into();
            alternative["description"] = kind.summary.into();
            alternative
        })
        .collect();
    if let Some(definitions) = schema.get_mut("$defs").and_then(serde_json::Value::as_object_mut) {
        // References inside a connector's schema point to its own definitions: lift them.
        let mut lifted = Vec::new();
        for mut alternative in alternatives {
            if let Some(serde_json::Value::Object(inner)) =
                alternative.as_object_mut().and_then(|object| object.remove("$defs"))
            {
                definitions.extend(inner);
            }
            if let Some(object) = alternative.as_object_mut() {
                object.remove("$schema");
            }
            lifted.push(alternative);
        }
        definitions.insert("ConnectorSettings".into(), serde_json::json!({ "oneOf": lifted }));
    }
    schema["$id"] = "https://priem.ru/schema/config/v1".into();
    schema["title"] = "Priem settings, version 1".into();
    schema
}
