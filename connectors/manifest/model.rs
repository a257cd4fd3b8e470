//! The manifest file: a channel described in one YAML file.

use std::collections::BTreeMap;

use priem_sdk::message::{Kind, Regime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{format::Format, hook::config::HookSettings, poll::config::PollSettings};

/// The only version there is.
pub const VERSION: u32 = 1;

/// A channel described in one file. Filters are written in jq; `docs/manifest.md` lists the helpers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Priem manifest, version 1")]
pub struct Manifest {
    /// Version of this format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// Name of the profile: `a-z`, `0-9`, `-`.
    pub name: String,
    /// Title for people.
    #[serde(default)]
    pub title: String,
    /// What is known about the source, and how surely.
    #[serde(default)]
    pub notes: String,
    /// `channel` of the messages: `a-z`, `0-9`, `_`.
    pub channel: String,
    /// `kind` of the messages, where `message` does not say another.
    #[serde(default = "portal")]
    pub kind: Kind,
    /// `legal.regime` of the messages, where `message` does not say another.
    #[serde(default = "portal_message")]
    pub regime: Regime,
    /// How the source is asked.
    #[serde(default)]
    pub poll: Option<PollSettings>,
    /// How the source calls us.
    #[serde(default)]
    pub webhook: Option<HookSettings>,
    /// What bodies are written in.
    #[serde(default)]
    pub format: Format,
    /// jq over a record: what identifies the object at the source. A text or a number.
    pub id: String,
    /// jq over a record: the name of this version of it (a version number, the time of change). Without it, versions are
    /// told apart by what is in the record.
    #[serde(default)]
    pub revision: Option<String>,
    /// jq over a record: what a reader would see. A record whose fingerprint did not change brings no message. Without it
    /// and without `revision` it is the whole record.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// jq over a record: messages with the same value keep their order.
    #[serde(default)]
    pub conversation: Option<String>,
    /// jq over a record: one object for each message, in the shape of `data` of the message schema, and `event`
    /// (`received`, `updated`, `status`, `rated`, `reopened`, `deleted`, `vote_result`). Nothing: the record brings no
    /// message. Null, and what is left out, is unknown. Without `event` the first version of a record is `received`, the
    /// later ones are `updated`.
    pub message: String,
    /// Tables for `lookup` and `status`: name → code → value.
    #[serde(default)]
    pub tables: BTreeMap<String, Map<String, Value>>,
    /// Samples with what must become of them: `priem connectors test FILE`.
    #[serde(default)]
    pub fixtures: Vec<Fixture>,
}

/// A sample and what must become of it. Invented data only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// What the sample shows.
    pub name: String,
    /// A body as it comes, in the manifest's `format`; its records are found by `items`. Give this or `record`.
    #[serde(default)]
    pub body: Option<String>,
    /// One record as JSON. Give this or `body`.
    #[serde(default)]
    pub record: Option<Value>,
    /// Whose `items` split the body, when the manifest has both `poll` and `webhook`.
    #[serde(default)]
    pub from: Option<From>,
    /// Ids of the records, in order.
    #[serde(default)]
    pub ids: Option<Vec<String>>,
    /// The messages, in order: each key named must have this value, null means that it must be absent, other keys are not
    /// looked at. `[]`: no message comes of it.
    #[serde(default)]
    pub expect: Option<Vec<Value>>,
    /// Words that must stand in the reason why the sample goes to quarantine.
    #[serde(default)]
    pub expect_error: Option<String>,
    /// Keys that `expect` does not name must be absent.
    #[serde(default)]
    pub exact: bool,
}

/// Which way a body came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// We asked for it.
    Poll,
    /// It was sent to us.
    Webhook,
}

impl Manifest {
    /// Filters outside of the mapping, by dotted key.
    pub(super) fn further_filters(&self) -> Vec<(&'static str, &str)> {
        let mut filters: Vec<(&'static str, &str)> = Vec::new();
        if let Some(hook) = &self.webhook {
            filters.push(("webhook.items", &hook.items));
            filters.extend(
                hook.reply
                    .body_jq
                    .as_deref()
                    .map(|body| ("webhook.reply.body_jq", body)),
            );
        }
        if let Some(poll) = &self.poll {
            filters.push(("poll.items", &poll.items));
            filters.extend(
                poll.incremental
                    .iter()
                    .map(|one| ("poll.incremental.mark", one.mark.as_str())),
            );
            filters.extend(poll.follow_up.iter().map(|one| ("poll.follow_up.id", one.id.as_str())));
            filters.extend(
                poll.acknowledge
                    .iter()
                    .map(|one| ("poll.acknowledge.id", one.id.as_str())),
            );
        }
        filters
    }

    /// What can be said against the manifest without compiling its filters: dotted key and problem.
    pub fn mistake(&self) -> Option<(&'static str, String)> {
        if self.version != VERSION {
            return Some(("version", format!("this build reads version {VERSION}")));
        }
        if !is_word(&self.name, b'-') {
            return Some(("name", "use a-z, 0-9 and -, 64 characters at most".into()));
        }
        if !is_word(&self.channel, b'_') {
            return Some(("channel", "use a-z, 0-9 and _, 64 characters at most".into()));
        }
        if self.poll.is_none() && self.webhook.is_none() {
            return Some((
                "",
                "needs `poll:` (we ask the source) or `webhook:` (the source calls us)".into(),
            ));
        }
        None
    }
}

fn is_word(text: &str, joint: u8) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == joint)
}

fn portal() -> Kind {
    Kind::Portal
}

fn portal_message() -> Regime {
    Regime::PortalMessage
}

/// JSON Schema of manifests, for editors.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(Manifest).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("$id".into(), "https://priem.ru/schema/manifest/v1".into());
    }
    schema
}
