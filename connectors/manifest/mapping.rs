//! Records into items and items into messages, as the filters of a manifest say.
//!
//! What is stored is the record as JSON, so `normalize` needs neither the body around it nor its first format: the same
//! stored record and the same manifest give the same messages for ever.

use std::collections::HashSet;

use bytes::Bytes;
use priem_sdk::{EventType, Item, Message, NormalizeError, RawItem, contract, json};
use serde_json::Value;

use super::{
    format::Format,
    jq::{Filter, FilterError, Input, Tables},
    message::{self, Defaults},
    model::Manifest,
    poll::Records,
};

/// [`Item::format`] of records.
pub const RECORD: &str = "manifest.record";
/// [`Item::format`] of bodies that could not be split.
pub const BODY: &str = "manifest.body";
/// Longest id a record may have; longer ones are replaced by their hash.
const LONGEST_ID: usize = 400;
/// Most messages one record may become.
const MOST_MESSAGES: usize = 100;
/// Longest reason for quarantine, characters.
const LONGEST_WHY: usize = 400;

/// The part of a manifest that understands records.
#[derive(Debug)]
pub struct Mapping {
    format: Format,
    id: Filter,
    revision: Option<Filter>,
    fingerprint: Option<Filter>,
    conversation: Option<Filter>,
    message: Filter,
    defaults: Defaults,
}

impl Mapping {
    /// Compiles the filters. Each may take so much memory over one record, bytes.
    ///
    /// # Errors
    /// The first filter that is wrong; [`FilterError::what`] is its key.
    pub fn new(manifest: &Manifest, memory: u64) -> Result<Self, FilterError> {
        let tables = manifest
            .tables
            .iter()
            .map(|(name, rows)| (name.clone(), Value::Object(rows.clone())))
            .collect();
        let tables = Tables::new(&tables).with_memory(memory);
        let filter = |source: &str, what: &str| Filter::compile_with(source, what, &tables);
        let optional =
            |source: &Option<String>, what: &str| source.as_deref().map(|source| filter(source, what)).transpose();
        Ok(Self {
            format: manifest.format,
            id: filter(&manifest.id, "id")?,
            revision: optional(&manifest.revision, "revision")?,
            fingerprint: optional(&manifest.fingerprint, "fingerprint")?,
            conversation: optional(&manifest.conversation, "conversation")?,
            message: filter(&manifest.message, "message")?,
            defaults: Defaults {
                channel: manifest.channel.clone(),
                kind: manifest.kind,
                regime: manifest.regime,
            },
        })
    }

    /// The messages of a stored record.
    ///
    /// # Errors
    /// The record goes to quarantine with this reason.
    pub fn normalize(&self, raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
        let record: Value = match raw.format.as_str() {
            RECORD => json::from_slice(&raw.body)
                .map_err(|_| NormalizeError::new("not_json", "the stored record is no JSON"))?,
            _ => return Err(NormalizeError::new("unknown_format", "this is no record of a manifest")),
        };
        let made = self.message.all(&record).map_err(|error| failed(&error))?;
        if made.len() > MOST_MESSAGES {
            return Err(NormalizeError::new(
                "bad_message",
                format!("message: more than {MOST_MESSAGES} messages from one record"),
            ));
        }
        let mut messages = Vec::with_capacity(made.len());
        let mut ids = HashSet::new();
        for made in made.into_iter().filter(|made| !made.is_null()) {
            let (event, data) = message::build(made, &self.defaults)
                .map_err(|problem| NormalizeError::new("bad_message", bounded(&format!("message: {problem}"))))?;
            let event = event.unwrap_or(if raw.ordinal == 0 {
                EventType::Received
            } else {
                EventType::Updated
            });
            let message = raw.message(event, data);
            if !ids.insert(message.id) {
                return Err(NormalizeError::new(
                    "bad_message",
                    "message: two messages of one record have the same event and external.id",
                ));
            }
            messages.push(message);
        }
        Ok(messages)
    }

    fn described(&self, record: &Value) -> Result<Item, NormalizeError> {
        let input = Input::new(record);
        let body = Bytes::from(record.to_string());
        let id = self
            .id
            .one_of(&input)
            .map_err(|error| NormalizeError::new("no_id", bounded(&error.to_string())))?;
        let external_id = word(&id).ok_or_else(|| NormalizeError::new("no_id", "id: must be a text or a number"))?;
        let text = |filter: &Option<Filter>, reason: &'static str| match filter {
            None => Ok(None),
            Some(filter) => filter
                .one_of(&input)
                .map(|value| word(&value))
                .map_err(|error| NormalizeError::new(reason, bounded(&error.to_string()))),
        };
        let revision = text(&self.revision, "no_revision")?;
        let fingerprint = match &self.fingerprint {
            Some(filter) => {
                let seen = filter
                    .all_of(&input)
                    .map_err(|error| NormalizeError::new("no_fingerprint", bounded(&error.to_string())))?;
                Some(contract::fingerprint(
                    seen.iter()
                        .map(Value::to_string)
                        .collect::<Vec<_>>()
                        .iter()
                        .map(String::as_bytes),
                ))
            }
            None if revision.is_none() => Some(contract::fingerprint([body.as_ref()])),
            None => None,
        };
        Ok(Item {
            external_id,
            revision,
            fingerprint,
            conversation: text(&self.conversation, "no_conversation")?,
            format: RECORD,
            body,
            problem: None,
        })
    }
}

impl Records for Mapping {
    fn read(&self, body: &Bytes) -> Result<Value, NormalizeError> {
        self.format.read(body)
    }

    fn item(&self, record: Value) -> Item {
        self.described(&record)
            .unwrap_or_else(|problem| Item::malformed(RECORD, Bytes::from(record.to_string()), problem))
    }
}

fn failed(error: &FilterError) -> NormalizeError {
    NormalizeError::new("mapping_failed", bounded(&error.to_string()))
}

/// A text or number as the name of something; nothing for everything else and for empty text.
fn word(value: &Value) -> Option<String> {
    let word = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    match word.len() {
        0 => None,
        1..=LONGEST_ID => Some(word),
        _ => Some(format!("blake3:{}", &blake3::hash(word.as_bytes()).to_hex()[..32])),
    }
}

fn bounded(why: &str) -> String {
    why.chars().take(LONGEST_WHY).collect()
}
