//! Fuzzing of `receive` and `normalize` of every connector of the registry, from random bytes and from damaged samples of
//! what its source really sends: no panic, no endless work, the same answer twice, and every refusal has a reason.
//!
//! Brief in an ordinary run; `PRIEM_FUZZ_CASES=100000 cargo test -p priem-connectors --test fuzz --release` for a night.

mod damage;
mod seeds;
#[path = "../../../fuzz/lib.rs"]
mod targets;

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use priem_connectors::CONNECTORS;
use priem_sdk::{
    HookRequest, Item, Message, NormalizeError, RawItem,
    conformance::{HookSample, Subject},
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config, TestCaseResult, TestRunner},
};

use damage::Damage;

/// Cases for each connector and property in an ordinary run.
const CASES: u32 = 256;
/// One input may not take longer, in a debug build on a busy machine.
const LONGEST: Duration = Duration::from_secs(20);

fn cases() -> u32 {
    let asked = std::env::var("PRIEM_FUZZ_CASES").ok();
    asked.map_or(CASES, |asked| {
        asked.parse().expect("PRIEM_FUZZ_CASES is a number of cases")
    })
}

/// Runs a property over every connector; the failing input, made small, names the connector.
fn over_the_registry<S: Strategy>(strategy: impl Fn() -> S, property: impl Fn(&Subject, S::Value) -> TestCaseResult) {
    // A connector may want a runtime when it is built.
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    for kind in CONNECTORS {
        let subject = (kind.conformance)();
        let config = Config {
            cases: cases(),
            failure_persistence: None,
            ..Config::default()
        };
        let outcome = TestRunner::new(config).run(&strategy(), |input| property(&subject, input));
        if let Err(error) = outcome {
            panic!("{}: {error}", kind.name);
        }
    }
}

fn raw(subject: &Subject, item: &Item, format: &str, revision: String) -> RawItem {
    RawItem {
        connector: subject.id.clone(),
        external_id: item.external_id.clone(),
        revision,
        ordinal: 0,
        format: format.to_owned(),
        body: item.body.clone(),
        received_at: Timestamp::constant(1_780_000_000, 0),
    }
}

/// Normalises twice and looks at the answer.
fn normalise(subject: &Subject, raw: &RawItem) -> TestCaseResult {
    let started = Instant::now();
    let said = subject.connector.normalize(raw);
    prop_assert!(started.elapsed() < LONGEST, "normalize takes {:?}", started.elapsed());
    prop_assert_eq!(
        &said,
        &subject.connector.normalize(raw),
        "another answer the second time"
    );
    match said {
        Ok(messages) => messages.iter().try_for_each(well_formed),
        Err(error) => has_reason(&error),
    }
}

fn well_formed(message: &Message) -> TestCaseResult {
    let text = serde_json::to_string(message).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let back: Message = serde_json::from_str(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(&back, message, "another message after a round trip through JSON");
    let external = &message.data.external;
    prop_assert!(!external.id.is_empty() && !external.revision.is_empty());
    let id = Message::event_id(&message.data.connector, &external.id, &external.revision, message.event);
    prop_assert_eq!(message.id, id);
    Ok(())
}

fn has_reason(error: &NormalizeError) -> TestCaseResult {
    let label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    prop_assert!(
        !error.reason.is_empty() && error.reason.len() <= 64 && error.reason.bytes().all(label),
        "{:?} is no reason",
        error.reason
    );
    prop_assert!(error.why.len() < 4_096, "an explanation of {} bytes", error.why.len());
    Ok(())
}

/// Whatever came of a request, its items can be normalised or have a reason to be quarantined.
fn receive(subject: &Subject, request: &HookRequest) -> TestCaseResult {
    let started = Instant::now();
    let received = subject.connector.receive(request);
    prop_assert!(started.elapsed() < LONGEST, "receive takes {:?}", started.elapsed());
    prop_assert_eq!(
        &received,
        &subject.connector.receive(request),
        "another answer the second time"
    );
    let Ok(receipt) = received else { return Ok(()) };
    prop_assert!((200..300).contains(&receipt.reply.status));
    for item in &receipt.items {
        prop_assert!(!item.external_id.is_empty());
        match &item.problem {
            Some(problem) => has_reason(problem)?,
            None => normalise(subject, &raw(subject, item, item.format, "0".into()))?,
        }
    }
    Ok(())
}

fn deliveries(subject: &Subject) -> Vec<&HookSample> {
    subject.hooks.iter().collect()
}

#[test]
fn normalize_takes_any_bytes() {
    let strategy = || (vec(any::<u8>(), 0..2_000), any::<Index>(), ".{0,20}");
    over_the_registry(strategy, |subject, (body, at, revision)| {
        let sample = at.get(&subject.items);
        let item = Item {
            body: Bytes::from(body),
            ..sample.item.clone()
        };
        let revision = if revision.is_empty() { "0".to_owned() } else { revision };
        normalise(subject, &raw(subject, &item, item.format, revision))
    });
}

#[test]
fn normalize_takes_damaged_samples() {
    let strategy = || {
        (
            any::<Index>(),
            any::<Index>(),
            any::<bool>(),
            vec(any::<Damage>(), 1..6),
        )
    };
    over_the_registry(strategy, |subject, (at, other, swapped, damages)| {
        let sample = at.get(&subject.items);
        let item = Item {
            body: damage::apply(&sample.item.body, &damages).into(),
            ..sample.item.clone()
        };
        // What one format says may be stored under another, by a mistake of an older version.
        let format = if swapped {
            other.get(&subject.items).item.format
        } else {
            item.format
        };
        normalise(subject, &raw(subject, &item, format, "0".into()))
    });
}

#[test]
fn normalize_takes_an_unknown_format() {
    over_the_registry(
        || (any::<Index>(), "[a-z.]{1,20}"),
        |subject, (at, format)| {
            let sample = at.get(&subject.items);
            normalise(subject, &raw(subject, &sample.item, &format, "0".into()))
        },
    );
}

#[test]
fn receive_takes_damaged_samples() {
    let strategy = || (any::<Index>(), vec(any::<Damage>(), 1..6));
    over_the_registry(strategy, |subject, (at, damages)| {
        let samples = deliveries(subject);
        if samples.is_empty() {
            return Ok(());
        }
        let sample = at.get(&samples);
        let body = damage::apply(&sample.body, &damages);
        receive(subject, &(sample.prove)(body.into()))
    });
}

#[test]
fn receive_takes_any_proven_bytes() {
    let strategy = || (any::<Index>(), vec(any::<u8>(), 0..2_000));
    over_the_registry(strategy, |subject, (at, body)| {
        let samples = deliveries(subject);
        if samples.is_empty() {
            return Ok(());
        }
        receive(subject, &(at.get(&samples).prove)(body.into()))
    });
}

#[test]
fn strangers_are_refused_whatever_they_send() {
    let strategy = || {
        (
            "[A-Z]{3,7}",
            "(/?[a-z0-9%._-]{0,12}){0,4}",
            "[a-z0-9=&%+]{0,40}",
            vec(any::<u8>(), 0..500),
            any::<[u8; 4]>(),
        )
    };
    over_the_registry(strategy, |subject, (method, path, query, body, peer)| {
        let request = HookRequest {
            method,
            query,
            peer: peer.into(),
            ..HookRequest::post(path, body)
        };
        prop_assert!(subject.connector.receive(&request).is_err(), "a stranger is believed");
        Ok(())
    });
}
