//! Runs the fixtures inside a manifest: each sample goes the way a real body goes, and the outcome is compared with what
//! the manifest says must come of it.

use std::fmt::Write;

use bytes::Bytes;
use jiff::Timestamp;
use priem_sdk::{Item, Message, NormalizeError, RawItem, contract::ConnectorId};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    jq::Filter,
    mapping::Mapping,
    message,
    model::{Fixture, From, Manifest},
    poll::Records,
};

/// What came of all fixtures of a manifest.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Name of the manifest.
    pub manifest: String,
    /// One for each fixture, in order.
    pub fixtures: Vec<FixtureOutcome>,
}

/// What came of one fixture.
#[derive(Debug, Clone, Serialize)]
pub struct FixtureOutcome {
    /// Its name.
    pub name: String,
    /// What is not as it must be, one line each; empty when all is well.
    pub differences: Vec<Difference>,
    /// The messages that came, as `expect` would say them.
    pub messages: Vec<Value>,
}

/// One thing that is not as it must be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Where: `expect[0].body.text`.
    pub at: String,
    /// What must be there; absent when nothing must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Value>,
    /// What is there; absent when nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Value>,
}

impl Outcome {
    /// How many fixtures fail.
    pub fn failed(&self) -> usize {
        self.fixtures.iter().filter(|one| !one.differences.is_empty()).count()
    }

    /// For people: each fixture on a line, differences below.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for fixture in &self.fixtures {
            let mark = if fixture.differences.is_empty() {
                "ok    "
            } else {
                "FAILED"
            };
            let _ = writeln!(text, "{mark}  {}", fixture.name);
            for difference in &fixture.differences {
                let _ = writeln!(text, "          {}", difference.at);
                if let Some(wanted) = &difference.wanted {
                    let _ = writeln!(text, "            - {wanted}");
                }
                if let Some(found) = &difference.found {
                    let _ = writeln!(text, "            + {found}");
                }
            }
        }
        let (failed, all) = (self.failed(), self.fixtures.len());
        let _ = match (failed, all) {
            (_, 0) => write!(
                text,
                "{}: no fixtures; add `fixtures:` to prove the mapping",
                self.manifest
            ),
            (0, _) => write!(text, "{}: {all} fixtures hold", self.manifest),
            _ => write!(
                text,
                "{}: {failed} of {all} fixtures fail (- wanted, + found)",
                self.manifest
            ),
        };
        text
    }
}

/// Runs the fixtures.
pub(super) fn prove(manifest: &Manifest, mapping: &Mapping) -> Outcome {
    let fixtures = manifest.fixtures.iter();
    Outcome {
        manifest: manifest.name.clone(),
        fixtures: fixtures.map(|fixture| run(fixture, manifest, mapping)).collect(),
    }
}

fn run(fixture: &Fixture, manifest: &Manifest, mapping: &Mapping) -> FixtureOutcome {
    let mut outcome = FixtureOutcome {
        name: fixture.name.clone(),
        differences: Vec::new(),
        messages: Vec::new(),
    };
    let mut differ = |at: &str, wanted: Option<Value>, found: Option<Value>| {
        outcome.differences.push(Difference {
            at: at.to_owned(),
            wanted,
            found,
        });
    };
    if fixture.expect.is_none() && fixture.expect_error.is_none() {
        differ("expect", Some("the messages, or expect_error".into()), None);
    }
    let (items, messages) = match brought(fixture, manifest, mapping) {
        Ok(brought) => brought,
        Err(error) => {
            let found = error.to_string();
            match &fixture.expect_error {
                Some(wanted) if found.contains(wanted.as_str()) => {}
                wanted => differ("expect_error", wanted.as_deref().map(Value::from), Some(found.into())),
            }
            return outcome;
        }
    };
    if let Some(wanted) = &fixture.expect_error {
        differ("expect_error", Some(wanted.as_str().into()), None);
    }
    if let Some(wanted) = &fixture.ids {
        let found: Vec<&str> = items.iter().map(|item| item.external_id.as_str()).collect();
        if wanted.iter().map(String::as_str).ne(found.iter().copied()) {
            differ("ids", Some(wanted.clone().into()), Some(found.into()));
        }
    }
    let messages: Vec<Value> = messages.iter().map(shown).collect();
    if let Some(wanted) = &fixture.expect {
        compare_messages(wanted, &messages, fixture.exact, &mut outcome.differences);
    }
    outcome.messages = messages;
    outcome
}

type Brought = (Vec<Item>, Vec<Message>);

fn brought(fixture: &Fixture, manifest: &Manifest, mapping: &Mapping) -> Result<Brought, NormalizeError> {
    let records = match (&fixture.record, &fixture.body) {
        (Some(record), None) => vec![record.clone()],
        (None, Some(body)) => split(body, fixture.from, manifest, mapping)?,
        _ => {
            return Err(NormalizeError::new(
                "bad_fixture",
                "give `record` or `body`, one of them",
            ));
        }
    };
    let items: Vec<Item> = records.into_iter().map(|record| mapping.item(record)).collect();
    let mut messages = Vec::new();
    for item in &items {
        if let Some(problem) = &item.problem {
            return Err(problem.clone());
        }
        messages.extend(mapping.normalize(&RawItem {
            connector: ConnectorId::new(manifest.name.as_str()),
            external_id: item.external_id.clone(),
            revision: item.revision.clone().unwrap_or_else(|| "0".into()),
            ordinal: 0,
            format: item.format.to_owned(),
            body: item.body.clone(),
            received_at: Timestamp::UNIX_EPOCH,
        })?);
    }
    Ok((items, messages))
}

/// The records of a body, found as the poller or the receiver finds them.
fn split(body: &str, from: Option<From>, manifest: &Manifest, mapping: &Mapping) -> Result<Vec<Value>, NormalizeError> {
    let polled = manifest.poll.as_ref().map(|poll| poll.items.as_str());
    let sent = manifest.webhook.as_ref().map(|hook| hook.items.as_str());
    let (items, key) = match (from, polled, sent) {
        (Some(From::Poll) | None, Some(items), _) => (items, "poll.items"),
        (Some(From::Webhook) | None, _, Some(items)) => (items, "webhook.items"),
        _ => {
            return Err(NormalizeError::new(
                "bad_fixture",
                "`from` names a section that is not there",
            ));
        }
    };
    let whole = mapping.read(&Bytes::copy_from_slice(body.as_bytes()))?;
    let wrong = |error: super::jq::FilterError| NormalizeError::new("unexpected_shape", error.to_string());
    let mut found = Filter::compile(items, key).map_err(wrong)?.all(&whole).map_err(wrong)?;
    if let [Value::Array(list)] = found.as_mut_slice() {
        return Ok(std::mem::take(list));
    }
    found.retain(|record| !record.is_null());
    Ok(found)
}

/// A message as a manifest would say it: the data with `event`, without what the host fills in.
fn shown(message: &Message) -> Value {
    let mut fields = Map::new();
    fields.insert("event".into(), message::short(message.event).into());
    if let Ok(Value::Object(data)) = serde_json::to_value(&message.data) {
        fields.extend(data.into_iter().filter(|(name, _)| name != "connector"));
    }
    if let Some(Value::Object(times)) = fields.get_mut("times") {
        times.remove("received");
    }
    if let Some(Value::Object(external)) = fields.get_mut("external") {
        external.remove("revision");
    }
    Value::Object(fields)
}

fn compare_messages(wanted: &[Value], found: &[Value], exact: bool, out: &mut Vec<Difference>) {
    for number in 0..wanted.len().max(found.len()) {
        let at = format!("expect[{number}]");
        match (wanted.get(number), found.get(number)) {
            (Some(wanted), Some(found)) => compare(&at, wanted, Some(found), exact, out),
            (wanted, found) => out.push(Difference {
                at,
                wanted: wanted.cloned(),
                found: found.cloned(),
            }),
        }
    }
}

/// `null` in what is wanted means absent. Objects are compared by what is wanted, or whole when exactness is asked for.
fn compare(at: &str, wanted: &Value, found: Option<&Value>, exact: bool, out: &mut Vec<Difference>) {
    match (wanted, found) {
        (Value::Null, None | Some(Value::Null)) => {}
        (Value::Object(wanted), Some(Value::Object(found))) => {
            for (key, value) in wanted {
                compare(&format!("{at}.{key}"), value, found.get(key), exact, out);
            }
            let further = found.iter().filter(|(key, _)| exact && !wanted.contains_key(*key));
            out.extend(further.map(|(key, value)| Difference {
                at: format!("{at}.{key}"),
                wanted: None,
                found: Some(value.clone()),
            }));
        }
        (Value::Array(wanted), Some(Value::Array(found))) if wanted.len() == found.len() => {
            for (number, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                compare(&format!("{at}[{number}]"), wanted, Some(found), exact, out);
            }
        }
        (wanted, Some(found)) if same(wanted, found) => {}
        (wanted, found) => out.push(Difference {
            at: at.to_owned(),
            wanted: Some(wanted.clone()),
            found: found.cloned(),
        }),
    }
}

/// Equal, whatever way a number is written.
fn same(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Number(wanted), Value::Number(found)) => wanted.as_f64() == found.as_f64(),
        (wanted, found) => wanted == found,
    }
}
