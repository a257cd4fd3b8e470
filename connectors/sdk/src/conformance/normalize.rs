//! `normalize`: pure, true to the schema, and never lost for an answer.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{
    Expected, ItemSample, Subject, mutations, mutations::Mutation, report::Recorder, schema, stored, without_panic,
};
use crate::{
    contract::RawItem,
    error::NormalizeError,
    message::{EventType, Message, json_schema},
    registry::ConnectorType,
};

/// What `normalize` said; the outer error is a panic.
type Said = Result<Result<Vec<Message>, NormalizeError>, String>;

/// Longest name of a reason: it is a metric label.
const LONGEST_REASON: usize = 64;

pub(super) fn examine(kind: &ConnectorType, subject: &Subject, recorder: &mut Recorder) {
    let first: Vec<Said> = subject
        .items
        .iter()
        .map(|sample| say(subject, &stored(subject, &sample.item)))
        .collect();
    for (sample, said) in subject.items.iter().zip(&first) {
        hear(recorder, sample.name, said);
    }
    recorder.record("normalize.samples", samples(subject, &first));
    recorder.record("normalize.schema", true_to_schema(subject, &first));
    recorder.record("normalize.ids", ids(subject, &first));
    recorder.record("normalize.reordered_keys", reordered_keys(subject, &first));
    recorder.record("normalize.unknown_values", unknown_values(subject, &first));
    recorder.record("normalize.half_an_emoji", half_an_emoji(subject));
    let hostile = hostile(subject, recorder);
    recorder.record("normalize.hostile_input", hostile);
    // Last, so that some time lies between: a clock in the messages would show.
    recorder.record("normalize.pure", pure(kind, subject, &first));
}

/// Lets the connector normalise an item, or takes the problem it found on arrival.
fn say(subject: &Subject, raw: &RawItem) -> Said {
    without_panic(|| subject.connector.normalize(raw))
}

pub(super) fn hear(recorder: &mut Recorder, place: &str, said: &Said) {
    let text = match said {
        Ok(Ok(messages)) => serde_json::to_string(messages).unwrap_or_default(),
        Ok(Err(error)) => format!("{error} {error:?}"),
        Err(panic) => panic.clone(),
    };
    recorder.hear(&format!("normalize of {place:?}"), &text);
}

fn samples(subject: &Subject, first: &[Said]) -> Result<String, String> {
    if first.is_empty() {
        return Err("the subject has no sample items".into());
    }
    let mut messages = 0;
    for (sample, said) in subject.items.iter().zip(first) {
        let failed = |why: String| Err(format!("{:?}: {why}", sample.name));
        if let Some(problem) = &sample.item.problem {
            if sample.expected != Expected::Quarantine(problem.reason) {
                return failed(format!("is quarantined on arrival: {problem}"));
            }
            continue;
        }
        match (sample.expected, said) {
            (_, Err(panic)) => return failed(panic.clone()),
            (Expected::Messages(wanted), Ok(Ok(got))) if wanted == got.len() && wanted > 0 => messages += wanted,
            (Expected::Nothing, Ok(Ok(got))) if got.is_empty() => {}
            (Expected::Quarantine(reason), Ok(Err(error))) if reason == error.reason => {}
            (wanted, Ok(Ok(got))) => return failed(format!("{} messages instead of {wanted:?}", got.len())),
            (wanted, Ok(Err(error))) => return failed(format!("`{}` instead of {wanted:?}", error.reason)),
        }
    }
    if messages == 0 {
        return Err("no sample gives a message".into());
    }
    Ok(format!("{} samples, {messages} messages", first.len()))
}

/// A platform cuts texts in the middle of an emoji: `\ud83d` alone, which no JSON reader takes as it is. It may cost that
/// sign, never the message.
fn half_an_emoji(subject: &Subject) -> Result<String, String> {
    // Stands for the half while the body is written.
    const MARK: &str = "\u{e000}";
    let mut count = 0;
    for sample in subject
        .items
        .iter()
        .filter(|sample| matches!(sample.expected, Expected::Messages(_)))
    {
        let raw = stored(subject, &sample.item);
        let Ok(root) = serde_json::from_slice::<serde_json::Value>(&raw.body) else {
            continue;
        };
        let is_text = |pointer: &String| {
            let text = root.pointer(pointer).and_then(serde_json::Value::as_str);
            text.is_some_and(|text| !text.is_ascii())
        };
        for pointer in mutations::pointers(&root).into_iter().filter(is_text) {
            let mut cut = root.clone();
            if let Some(serde_json::Value::String(text)) = cut.pointer_mut(&pointer) {
                text.push_str(MARK);
            }
            let body = cut.to_string().replace(MARK, "\\ud83d");
            let raw = RawItem {
                body: body.into(),
                ..raw.clone()
            };
            match say(subject, &raw) {
                Err(panic) => return Err(format!("{:?}: {pointer}: {panic}", sample.name)),
                Ok(Err(error)) if ["not_json", "too_deep"].contains(&error.reason) => {
                    return Err(format!("{:?}: half an emoji at {pointer}: {error}", sample.name));
                }
                Ok(_) => count += 1,
            }
        }
    }
    Ok(format!("{count} texts"))
}

/// Messages of the samples, with the sample and the stored item they came from.
fn messages<'a>(
    subject: &'a Subject,
    first: &'a [Said],
) -> impl Iterator<Item = (&'a ItemSample, RawItem, &'a Message)> {
    subject.items.iter().zip(first).flat_map(move |(sample, said)| {
        let messages = match said {
            Ok(Ok(messages)) => messages.as_slice(),
            _ => &[],
        };
        messages
            .iter()
            .map(move |message| (sample, stored(subject, &sample.item), message))
    })
}

fn true_to_schema(subject: &Subject, first: &[Said]) -> Result<String, String> {
    let schema = json_schema();
    let mut count = 0;
    for (sample, raw, message) in messages(subject, first) {
        let failed = |why: String| Err(format!("{:?}: {why}", sample.name));
        let value = serde_json::to_value(message).map_err(|error| format!("{:?}: {error}", sample.name))?;
        if let Err(problem) = schema::validate(&schema, &value) {
            return failed(problem);
        }
        match serde_json::from_value::<Message>(value) {
            Ok(back) if &back == message => {}
            Ok(_) => return failed("does not survive the round trip through JSON".into()),
            Err(error) => return failed(format!("can't be read back: {error}")),
        }
        let data = &message.data;
        if data.connector != subject.id.as_str() || data.times.received != raw.received_at {
            return failed("names another connector or moment of storing than the item".into());
        }
        if data.channel.is_empty() || data.external.id.is_empty() || data.external.revision.is_empty() {
            return failed("has no channel, external id or revision".into());
        }
        count += 1;
    }
    Ok(format!("{count} messages"))
}

fn ids(subject: &Subject, first: &[Said]) -> Result<String, String> {
    let mut seen = BTreeMap::new();
    for (sample, _, message) in messages(subject, first) {
        let external = &message.data.external;
        let event: EventType = message.event;
        if message.id != Message::event_id(&message.data.connector, &external.id, &external.revision, event) {
            return Err(format!(
                "{:?}: the id is not that of its connector, object, revision and event",
                sample.name
            ));
        }
        if let Some(other) = seen.insert(message.id, sample.name) {
            return Err(format!("{:?} and {other:?} have one id", sample.name));
        }
    }
    Ok(format!("{} different ids", seen.len()))
}

fn reordered_keys(subject: &Subject, first: &[Said]) -> Result<String, String> {
    let mut count = 0;
    for (sample, said) in subject.items.iter().zip(first) {
        let Some(body) = mutations::reordered(&sample.item.body) else {
            continue;
        };
        let mut raw = stored(subject, &sample.item);
        raw.body = body.into();
        let again = say(subject, &raw);
        // An error may name the place where it happened, which has moved.
        let same = match (said, &again) {
            (Ok(Err(one)), Ok(Err(other))) => one.reason == other.reason,
            _ => said == &again,
        };
        if !same {
            return Err(format!(
                "{:?} gives something else when its keys are reordered",
                sample.name
            ));
        }
        count += 1;
    }
    Ok(format!("{count} JSON samples"))
}

fn unknown_values(subject: &Subject, first: &[Said]) -> Result<String, String> {
    let mut count = 0;
    for (sample, said) in subject.items.iter().zip(first) {
        let Ok(Ok(known)) = said else { continue };
        for Mutation { name, body } in mutations::unknown_additions(&sample.item.body) {
            let mut raw = stored(subject, &sample.item);
            raw.body = body.into();
            match say(subject, &raw) {
                Ok(Ok(messages)) if messages.len() == known.len() => count += 1,
                // What was of no interest may become interesting by what is new in it.
                Ok(Err(_)) if known.is_empty() => count += 1,
                Ok(Ok(messages)) => {
                    let (got, wanted) = (messages.len(), known.len());
                    return Err(format!("{:?}, {name}: {got} messages instead of {wanted}", sample.name));
                }
                Ok(Err(error)) => return Err(format!("{:?}, {name}: quarantined, {}", sample.name, error.reason)),
                Err(panic) => return Err(format!("{:?}, {name}: {panic}", sample.name)),
            }
        }
    }
    Ok(format!("{count} unknown keys and kinds"))
}

/// Whatever stands in an item, the answer is messages or a reason, and the reason can be shown to anybody.
fn hostile(subject: &Subject, recorder: &mut Recorder) -> Result<String, String> {
    let mut count = 0;
    let mut reasons = BTreeSet::new();
    let mut examine = |sample: &ItemSample, mutation: Mutation, words: &[String]| -> Result<(), String> {
        let mut raw = stored(subject, &sample.item);
        raw.body = Bytes::from(mutation.body);
        let said = say(subject, &raw);
        let place = format!("{:?}, {}", sample.name, mutation.name);
        hear(recorder, &place, &said);
        count += 1;
        match said {
            Err(panic) => Err(format!("{place}: {panic}")),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                reasons.insert(error.reason);
                problem_of(&error, words).map_or(Ok(()), |problem| Err(format!("{place}: {problem}")))
            }
        }
    };
    let mut formats = BTreeSet::new();
    for sample in &subject.items {
        let words = words_of(subject, sample);
        if formats.insert(sample.item.format) {
            for mutation in mutations::garbage() {
                examine(sample, mutation, &words)?;
            }
        }
        for mutation in mutations::of(&sample.item.body) {
            examine(sample, mutation, &words)?;
        }
    }
    let reasons: Vec<&str> = reasons.into_iter().collect();
    Ok(format!("{count} inputs; reasons: {}", reasons.join(", ")))
}

/// What is wrong with a reason: it must be a bounded name, and its words must not be the citizen's.
fn problem_of(error: &NormalizeError, words: &[String]) -> Option<String> {
    let reason = error.reason;
    let well_named = !reason.is_empty()
        && reason.len() <= LONGEST_REASON
        && reason
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !well_named {
        return Some(format!(
            "the reason {reason:?} is not snake_case of at most {LONGEST_REASON} characters"
        ));
    }
    let quoted = words.iter().any(|words| error.why.contains(words.as_str()));
    quoted.then(|| format!("the explanation of `{reason}` quotes the citizen"))
}

/// Three words in a row, for every place in a sample's texts: none of them may stand in an explanation.
fn words_of(subject: &Subject, sample: &ItemSample) -> Vec<String> {
    let Ok(Ok(messages)) = say(subject, &stored(subject, &sample.item)) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for message in messages {
        let words: Vec<&str> = message.data.body.text.split_whitespace().collect();
        all.extend(words.windows(3).map(|three| three.join(" ")));
        all.extend(message.data.author.name);
    }
    all.retain(|words| words.chars().count() >= 8);
    all
}

/// Again, and by another instance: the same.
fn pure(kind: &ConnectorType, subject: &Subject, first: &[Said]) -> Result<String, String> {
    let other = (kind.conformance)();
    for (sample, said) in subject.items.iter().zip(first) {
        let raw = stored(subject, &sample.item);
        if &say(subject, &raw) != said {
            return Err(format!("{:?} gives something else the second time", sample.name));
        }
        if &say(&other, &raw) != said {
            return Err(format!("{:?} gives something else in another instance", sample.name));
        }
    }
    Ok(format!("{} samples, twice and by two instances", first.len()))
}
