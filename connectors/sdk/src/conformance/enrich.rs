//! `enrich`: may fill fields and may fail, but never loses, renames or adds a message, and can be dropped anywhere.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;

use super::{PollSubject, Subject, host::cut_off, panic_message, report::Recorder, stored, without_panic};
use crate::{
    contract::{Connector, Cx},
    message::{EventType, Message},
};

const CHECKS: [&str; 2] = ["enrich.keeps_messages", "enrich.cancelled"];
/// What the host gives a batch.
const LIMIT: Duration = Duration::from_secs(2);
/// How far a look-up gets before it is dropped, in waits.
const CUTS: usize = 8;

type Identity = (uuid::Uuid, EventType, String, String);

pub(super) async fn examine(subject: &Subject, recorder: &mut Recorder) {
    if !subject.connector.enriches() {
        for check in CHECKS {
            recorder.not_applicable(check, "the connector looks nothing up");
        }
        return;
    }
    let messages = messages(subject);
    if messages.is_empty() {
        for check in CHECKS {
            recorder.record(check, Err("no sample gives a message to enrich".into()));
        }
        return;
    }
    let outcome = keeps_messages(subject, &messages, recorder).await;
    recorder.record(CHECKS[0], outcome);
    let outcome = cancelled(subject, &messages).await;
    recorder.record(CHECKS[1], outcome);
}

fn messages(subject: &Subject) -> Vec<Message> {
    let normalize = |item| without_panic(|| subject.connector.normalize(&stored(subject, item)));
    let samples = subject.items.iter().filter(|sample| sample.item.problem.is_none());
    samples
        .filter_map(|sample| normalize(&sample.item).ok()?.ok())
        .flatten()
        .collect()
}

/// With the source away, with the scripted source, and with one that is in trouble: the same messages each time.
async fn keeps_messages(subject: &Subject, messages: &[Message], recorder: &mut Recorder) -> Result<String, String> {
    let lent = Cx {
        id: subject.id.clone(),
        take_over: false,
    };
    let mut surroundings: Vec<(&str, Arc<dyn Connector>, Option<PollSubject>)> =
        vec![("without a source", Arc::clone(&subject.connector), None)];
    let sources = subject.poller.map(|poller| ("the source", poller)).into_iter();
    let troubles = subject.faults.iter().map(|fault| (fault.name, fault.poller));
    for (name, factory) in sources.chain(troubles) {
        let source = factory().await;
        surroundings.push((name, (source.open)(), Some(source)));
    }
    let mut filled = 0;
    for (name, connector, _source) in &surroundings {
        for batch in [messages, &messages[..1], &[]] {
            let mut copy = batch.to_vec();
            let look_up = AssertUnwindSafe(connector.enrich(&lent, &mut copy)).catch_unwind();
            // Taking too long is allowed: the host has a limit.
            if let Ok(Err(panic)) = tokio::time::timeout(LIMIT, look_up).await {
                return Err(format!("{name}: panicked: {}", panic_message(panic.as_ref())));
            }
            let text = serde_json::to_string(&copy).map_err(|error| format!("{name}: {error}"))?;
            recorder.hear(&format!("enriched messages, {name}"), &text);
            same(batch, &copy).map_err(|why| format!("{name}: {why}"))?;
            filled += batch
                .iter()
                .zip(&copy)
                .filter(|(before, after)| before != after)
                .count();
        }
    }
    Ok(format!(
        "{} messages in {} surroundings, {filled} times something was filled in",
        messages.len(),
        surroundings.len()
    ))
}

/// Dropped at every wait, then asked again: the messages are whole.
async fn cancelled(subject: &Subject, messages: &[Message]) -> Result<String, String> {
    let source = match subject.poller {
        Some(poller) => Some(poller().await),
        None => None,
    };
    let connector = source
        .as_ref()
        .map_or_else(|| Arc::clone(&subject.connector), |source| (source.open)());
    let lent = Cx {
        id: subject.id.clone(),
        take_over: false,
    };
    for waits in 0..CUTS {
        let mut copy = messages.to_vec();
        cut_off(connector.enrich(&lent, &mut copy), waits).await?;
        same(messages, &copy).map_err(|why| format!("dropped after {waits} waits: {why}"))?;
        let again = AssertUnwindSafe(connector.enrich(&lent, &mut copy)).catch_unwind();
        if let Ok(outcome) = tokio::time::timeout(LIMIT, again).await {
            outcome.map_err(|panic| format!("panicked: {}", panic_message(panic.as_ref())))?;
            same(messages, &copy).map_err(|why| format!("asked again after {waits} waits: {why}"))?;
        }
    }
    Ok(format!("dropped {CUTS} times"))
}

fn same(before: &[Message], after: &[Message]) -> Result<(), String> {
    if before.len() != after.len() {
        return Err(format!("{} messages became {}", before.len(), after.len()));
    }
    if before.iter().map(identity).ne(after.iter().map(identity)) {
        return Err("a message changed its identity or its place".into());
    }
    if before
        .iter()
        .zip(after)
        .any(|(before, after)| before.data.body.text.len() > after.data.body.text.len())
    {
        return Err("a message lost text".into());
    }
    Ok(())
}

fn identity(message: &Message) -> Identity {
    let external = &message.data.external;
    (
        message.id,
        message.event,
        external.id.clone(),
        external.revision.clone(),
    )
}
