//! `streams` and `check`: names that can be labels, ids that can name cursors, and no word of a secret.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{Subject, report::Recorder};
use crate::{
    contract::{Connector, Cx, Stream},
    registry::ConnectorType,
};

/// Longest name of a stream: it is a metric label.
const LONGEST_NAME: usize = 32;
/// Longest key of a stream.
const LONGEST_KEY: usize = 128;
/// No `check` may take longer than this.
const LONGEST_CHECK: Duration = Duration::from_secs(60);

pub(super) async fn examine(kind: &ConnectorType, subject: &Subject, recorder: &mut Recorder) {
    let streams = subject.connector.streams();
    for stream in &streams {
        recorder.hear("the id of a stream", &stream.id());
    }
    recorder.record("streams.names", names(kind, &streams));
    let outcome = check(subject, recorder).await;
    recorder.record("check.answers", outcome);
}

fn names(kind: &ConnectorType, streams: &[Stream]) -> Result<String, String> {
    if streams.is_empty() {
        return Err("there is no stream".into());
    }
    if (kind.conformance)().connector.streams() != streams {
        return Err("another instance has other streams".into());
    }
    let mut ids = BTreeSet::new();
    for stream in streams {
        let label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=LONGEST_NAME).contains(&stream.name.len()) || !stream.name.bytes().all(label) {
            let name = stream.name;
            return Err(format!(
                "the name {name:?} is not snake_case of at most {LONGEST_NAME} characters"
            ));
        }
        if stream.key.len() > LONGEST_KEY || stream.key.chars().any(|char| char.is_control() || char.is_whitespace()) {
            return Err(format!("a key of {:?} is too long or holds spaces", stream.name));
        }
        if !ids.insert(stream.id()) {
            return Err(format!("two streams of the name {:?} have one id", stream.name));
        }
    }
    Ok(format!("{} streams", streams.len()))
}

/// With the source away, with the scripted source and in every trouble: an answer in time, and no secret in it.
async fn check(subject: &Subject, recorder: &mut Recorder) -> Result<String, String> {
    let lent = Cx {
        id: subject.id.clone(),
        take_over: false,
    };
    answers("without a source", &subject.connector, &lent, recorder).await?;
    let mut count = 1;
    let sources = subject.poller.map(|poller| ("the source", poller)).into_iter();
    let troubles = subject.faults.iter().map(|fault| (fault.name, fault.poller));
    for (name, factory) in sources.chain(troubles) {
        let source = factory().await;
        answers(name, &(source.open)(), &source.cx, recorder).await?;
        count += 1;
    }
    Ok(format!("{count} surroundings"))
}

async fn answers(name: &str, connector: &Arc<dyn Connector>, cx: &Cx, recorder: &mut Recorder) -> Result<(), String> {
    match tokio::time::timeout(LONGEST_CHECK, connector.check(cx)).await {
        Ok(Ok(report)) => recorder.hear(&format!("check, {name}"), &format!("{report:?}")),
        Ok(Err(error)) => recorder.hear(&format!("check, {name}"), &format!("{error} {error:?}")),
        Err(_) => return Err(format!("{name}: no answer within {LONGEST_CHECK:?}")),
    }
    Ok(())
}
