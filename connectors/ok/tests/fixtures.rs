//! Fixture in, item and messages out, reviewed as golden files; and whatever bytes, no panic.

use bytes::Bytes;
use priem_sdk::{EventType, conformance::pointers};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{conformance::item_of, normalize},
    *,
};

fn fixtures() -> Vec<(String, Vec<u8>)> {
    testing::fixtures("ok")
}

fn fixture(wanted: &str) -> Vec<u8> {
    let found = fixtures().into_iter().find(|(name, _)| name == wanted);
    found.expect("a fixture").1
}

fn outcome(name: &str, body: Vec<u8>, ordinal: u32, policy: normalize::Policy) -> Value {
    let item = item_of(name, Bytes::from(body));
    let key = json!({
        "external_id": item.external_id,
        "conversation": item.conversation,
        "problem": item.problem.as_ref().map(ToString::to_string),
    });
    let stored = RawItem { ordinal, ..raw(item) };
    match normalize::normalize(&stored, policy) {
        Ok(messages) => json!({"item": key, "messages": messages}),
        Err(error) => json!({"item": key, "quarantined": error.to_string()}),
    }
}

#[test]
fn every_fixture_becomes_what_was_reviewed() {
    let all = fixtures();
    assert!(all.len() > 30, "{} fixtures", all.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../fixtures/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, body) in all {
            let seen = outcome(&name, body, 0, normalize::Policy::default());
            insta::assert_json_snapshot!(name, seen);
        }
    });
}

#[test]
fn a_later_version_is_an_update_and_a_removal_takes_back() {
    let event = |name: &str| {
        let seen = outcome(name, fixture(name), 1, normalize::Policy::default());
        seen["messages"][0]["type"].clone()
    };
    assert_eq!(event("comment_text"), EventType::Updated.as_str());
    assert_eq!(event("message_text"), EventType::Updated.as_str());
    assert_eq!(event("topic_text"), EventType::Updated.as_str());
    assert_eq!(event("comment_removed"), EventType::Deleted.as_str());
    assert_eq!(event("comment_vanished"), EventType::Deleted.as_str());
}

#[test]
fn the_groups_own_words_are_staffs_when_asked_for() {
    let policy = normalize::Policy { own_words: true };
    for name in ["message_own", "comment_own", "topic_own", "topic_of_owner"] {
        let seen = outcome(name, fixture(name), 0, policy);
        assert_eq!(seen["messages"][0]["data"]["author"]["kind"], "staff", "{name}");
    }
}

#[test]
fn third_persons_and_tokens_stay_out_of_the_queue() {
    for (name, body) in fixtures() {
        let seen = outcome(&name, body, 0, normalize::Policy::default()).to_string();
        for hidden in ["Третье Лицо", "79990000000", "leaked-token"] {
            assert!(!seen.contains(hidden), "{name} shows {hidden}");
        }
    }
}

fn never_panics_never_drops(name: &str, body: Vec<u8>) {
    let item = item_of(name, Bytes::from(body.clone()));
    assert_eq!(item.body, body, "the bytes are kept as they came");
    assert!(!item.external_id.is_empty());
    assert_eq!(
        item,
        item_of(name, Bytes::from(body)),
        "the same bytes have the same key"
    );
    let stored = raw(item);
    let first = normalize::normalize(&stored, normalize::Policy::default());
    assert_eq!(first, normalize::normalize(&stored, normalize::Policy::default()));
    for message in first.into_iter().flatten() {
        assert!(!message.data.external.id.is_empty());
    }
}

proptest! {
    #[test]
    fn any_bytes(which in any::<prop::sample::Index>(), body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let name = which.get(&["message", "comment", "topic"]);
        never_panics_never_drops(name, body);
    }

    #[test]
    fn any_change_to_a_fixture(which in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), new in testing::json_value()) {
        let all = fixtures();
        let (name, body) = which.get(all.as_slice());
        let mut object: Value = serde_json::from_slice(body).expect("fixtures are JSON");
        let places = pointers(&object);
        *object.pointer_mut(place.get::<String>(&places)).expect("a place inside") = new;
        never_panics_never_drops(name, object.to_string().into_bytes());
    }

    #[test]
    fn any_cut_of_a_fixture(which in any::<prop::sample::Index>(), length in any::<prop::sample::Index>()) {
        let all = fixtures();
        let (name, body) = which.get(all.as_slice());
        never_panics_never_drops(name, body[..length.index(body.len())].to_vec());
    }
}
