//! Texts that are nobody's personal data by what they mean, and where people or their forms put words all the same:
//! «Итог», a department, a tag. СНИЛС and the like are looked for there too.
//!
//! Identifiers, account names and addresses are left alone, whatever they look like: answers, order and repetitions hang
//! on them, and one address of ten would hold a «number of a policy».

use priem_sdk::Message;

/// Visits every such text.
pub(super) fn walk(message: &mut Message, visit: &mut dyn FnMut(&mut String)) {
    let data = &mut message.data;
    let (place, organisation, times) = (&mut data.place, &mut data.organisation, &mut data.times);
    let perhaps = [
        &mut data.subchannel,
        &mut data.legal.hint,
        &mut place.region,
        &mut place.municipality,
        &mut place.city_district,
        &mut place.settlement,
        &mut place.street,
        &mut place.house,
        &mut organisation.department,
    ];
    perhaps.into_iter().flatten().for_each(&mut *visit);
    let moments = [&mut times.occurred, &mut times.at_source, &mut times.closed];
    let sources = moments.into_iter().flatten().flat_map(|moment| &mut moment.source_text);
    sources.for_each(&mut *visit);
    let bodies = [&mut organisation.received, &mut organisation.current];
    bodies.into_iter().flatten().for_each(|body| visit(&mut body.name));
    if let Some(status) = &mut data.status {
        visit(&mut status.raw);
        status.outcome.iter_mut().for_each(&mut *visit);
    }
    if let Some(topic) = &mut data.topic {
        topic.path.iter_mut().for_each(|level| visit(&mut level.name));
    }
    data.flags.other.iter_mut().for_each(visit);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Map, Value, json};

    use super::*;
    use crate::privacy::Policy;

    const SNILS: &str = "112-233-445 95";
    /// Where a СНИЛС may stand after the cleaning: contacts, which the policy masks; identifiers, account names, addresses,
    /// and what Priem itself writes.
    const LEFT: &[&str] = &[
        "attachments.external_id",
        "attachments.mime",
        "attachments.stored",
        "attachments.unique_id",
        "attachments.url",
        "author.contacts.email",
        "author.contacts.phone",
        "author.external_id",
        "author.username",
        "body.language",
        "body.mentions.external_id",
        "channel",
        "connector",
        "deadlines.rule",
        "deadlines.zone",
        "external.alt_id",
        "external.conversation",
        "external.group",
        "external.id",
        "external.parent",
        "external.revision",
        "external.thread",
        "external.url",
        "organisation.current.id",
        "organisation.received.id",
        "place.fias",
        "place.oktmo",
        "relation.cluster",
        "relation.duplicate_of",
        "relation.reason",
        "relation.repeat_of",
        "relation.seen_in",
        "reminder.of",
        "reminder.revision",
        "times.at_source.value",
        "times.at_source.zone",
        "times.closed.value",
        "times.closed.zone",
        "times.occurred.value",
        "times.occurred.zone",
        "topic.classifier",
        "topic.path.id",
        "topic.version",
    ];
    /// Times by their names: the schema calls them texts.
    const TIMES: &[&str] = &["time", "due_at", "internal_due_at", "received", "expires_at", "at"];

    /// A value of everything the schema knows, with a СНИЛС in every text.
    fn filled(root: &Value, schema: &Value, name: &str) -> Value {
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = root.pointer(target.trim_start_matches('#')).expect("a definition");
            return filled(root, target, name);
        }
        for several in ["oneOf", "anyOf", "allOf"] {
            if let Some(first) = schema.get(several).and_then(|several| several.get(0)) {
                return filled(root, first, name);
            }
        }
        if let Some(only) = schema
            .get("const")
            .or_else(|| schema.get("enum").map(|words| &words[0]))
        {
            return only.clone();
        }
        let kind = schema.get("type").map(|kind| kind.get(0).unwrap_or(kind).clone());
        match kind.as_ref().and_then(Value::as_str) {
            Some("object") if name == "extra" => json!({ "words": SNILS, SNILS: [{ SNILS: SNILS }] }),
            Some("object") => {
                let fields = schema
                    .get("properties")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten();
                let filled = fields.map(|(name, field)| (name.clone(), filled(root, field, name)));
                Value::Object(filled.collect::<Map<_, _>>())
            }
            Some("array") => json!([filled(root, &schema["items"], name)]),
            Some("string") if TIMES.contains(&name) => json!("2026-01-15T10:00:00Z"),
            Some("string") if name == "id" && schema.get("format").is_some() => {
                json!("00000000-0000-0000-0000-000000000000")
            }
            Some("string") => json!(SNILS),
            Some("boolean") => json!(true),
            _ => json!(1),
        }
    }

    fn texts(path: &str, value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::String(text) if text.contains("445") => drop(found.insert(path.to_owned())),
            Value::Array(list) => list.iter().for_each(|item| texts(path, item, found)),
            Value::Object(fields) => {
                for (name, field) in fields {
                    assert!(!name.contains("445"), "a key of {path}");
                    let dot = if path.is_empty() { "" } else { "." };
                    texts(&format!("{path}{dot}{name}"), field, found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn snils_leaves_in_no_text_that_people_write() {
        let schema = priem_sdk::message::json_schema();
        let mut value = filled(&schema, &schema, "");
        value["data"].as_object_mut().expect("data").remove("routing");
        let mut message: Message =
            serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"));
        Policy::default().clean(&mut message);
        let mut left = BTreeSet::new();
        texts("", &serde_json::to_value(&message.data).expect("JSON"), &mut left);
        assert_eq!(left, LEFT.iter().map(|path| (*path).to_owned()).collect());
    }
}
