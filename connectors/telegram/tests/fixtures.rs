//! Fixture in, item and messages out, reviewed as golden files; and whatever bytes, no panic.

use bytes::Bytes;
use priem_sdk::conformance::pointers;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{normalize, split},
    *,
};

fn fixtures() -> Vec<(String, Vec<u8>)> {
    testing::fixtures("telegram")
}

fn outcome(body: Vec<u8>, policy: &normalize::Policy) -> Value {
    let item = split::split(Bytes::from(body)).item;
    let key = json!({
        "external_id": item.external_id,
        "revision": item.revision,
        "conversation": item.conversation,
        "problem": item.problem.as_ref().map(ToString::to_string),
    });
    match normalize::normalize(&raw(item), policy) {
        Ok(messages) => json!({"item": key, "messages": messages}),
        Err(error) => json!({"item": key, "quarantined": error.to_string()}),
    }
}

#[test]
fn every_fixture_becomes_what_was_reviewed() {
    let all = fixtures();
    assert!(all.len() > 60, "{} fixtures", all.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../fixtures/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, body) in all {
            insta::assert_json_snapshot!(name, outcome(body, &normalize::Policy::default()));
        }
    });
}

#[test]
fn a_business_owners_words_are_published_as_staff_when_asked_for() {
    let body = include_bytes!("../fixtures/business_outgoing.json").to_vec();
    let policy = normalize::Policy {
        business_outgoing: true,
        ..normalize::Policy::default()
    };
    let seen = outcome(body, &policy);
    assert_eq!(seen["messages"][0]["data"]["author"]["kind"], "staff");
}

#[test]
fn only_listed_groups_are_heard_but_private_messages_always() {
    let policy = normalize::Policy {
        only_chats: Some([-1_001_900_000_002].into()),
        ..normalize::Policy::default()
    };
    let count = |name: &str| {
        let (_, body) = fixtures()
            .into_iter()
            .find(|(known, _)| known == name)
            .expect("fixture");
        outcome(body, &policy)["messages"].as_array().expect("messages").len()
    };
    assert_eq!(count("group_closed_reply"), 1);
    assert_eq!(count("group_text"), 0);
    assert_eq!(count("private_text"), 1);
    assert_eq!(count("business_incoming"), 1);
}

#[test]
fn third_persons_and_secrets_stay_out_of_the_queue() {
    for (name, body) in fixtures() {
        let seen = outcome(body, &normalize::Policy::default()).to_string();
        for hidden in [
            "79990000000",
            "Третьелицев",
            "BEGIN:VCARD",
            "Кто-то",
            "Пётр Смирнов",
            "api.telegram.org",
        ] {
            assert!(!seen.contains(hidden), "{name} shows {hidden}");
        }
    }
    let forwarded = include_bytes!("../fixtures/forward_from_user.json").to_vec();
    let seen = outcome(forwarded, &normalize::Policy::default()).to_string();
    assert!(!seen.contains("Олег"), "{seen}");
}

#[test]
fn an_edit_is_an_update_only_of_what_was_stored() {
    let edited = include_bytes!("../fixtures/private_edited.json").to_vec();
    let item = split::split(Bytes::from(edited)).item;
    let event = |ordinal| {
        let item = RawItem {
            ordinal,
            ..raw(item.clone())
        };
        normalize::normalize(&item, &normalize::Policy::default()).expect("a message")[0].event
    };
    assert_eq!(event(0), priem_sdk::EventType::Received);
    assert_eq!(event(1), priem_sdk::EventType::Updated);
}

fn never_panics_never_drops(body: Vec<u8>) {
    let item = split::split(Bytes::from(body.clone())).item;
    assert_eq!(item.body, body, "the bytes are kept as they came");
    assert!(!item.external_id.is_empty());
    let again = split::split(Bytes::from(body)).item;
    assert_eq!(item, again, "the same bytes have the same key");
    let raw = raw(item);
    let first = normalize::normalize(&raw, &normalize::Policy::default());
    assert_eq!(first, normalize::normalize(&raw, &normalize::Policy::default()));
    if let Ok(messages) = first {
        for message in messages {
            assert!(!message.data.external.id.is_empty());
        }
    }
}

proptest! {
    #[test]
    fn any_bytes(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        never_panics_never_drops(body);
    }

    #[test]
    fn any_change_to_a_fixture(which in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), new in testing::json_value()) {
        let all = fixtures();
        let mut update: Value = serde_json::from_slice(&which.get(all.as_slice()).1).expect("fixtures are JSON");
        let places = pointers(&update);
        *update.pointer_mut(place.get::<String>(&places)).expect("a place inside") = new;
        never_panics_never_drops(update.to_string().into_bytes());
    }

    #[test]
    fn any_cut_of_a_fixture(which in any::<prop::sample::Index>(), length in any::<prop::sample::Index>()) {
        let all = fixtures();
        let body = &which.get(all.as_slice()).1;
        never_panics_never_drops(body[..length.index(body.len())].to_vec());
    }
}

#[test]
fn deep_and_huge_bodies_are_kept() {
    let deep = format!(
        "{{\"update_id\":1,\"message\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    never_panics_never_drops(deep.into_bytes());
    let nested = format!(
        "{{\"update_id\":1,\"message\":{{\"message_id\":1,\"chat\":{{\"id\":1}},\"rich_message\":{{\"blocks\":[{}\"x\"{}]}}}}}}",
        "{\"text\":".repeat(10_000),
        "}".repeat(10_000)
    );
    never_panics_never_drops(nested.into_bytes());
    let huge = json!({"update_id": 1, "message": {"message_id": 1, "chat": {"id": 1}, "text": "я".repeat(5_000_000)}});
    never_panics_never_drops(huge.to_string().into_bytes());
}
