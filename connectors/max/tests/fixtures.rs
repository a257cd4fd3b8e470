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
    testing::fixtures("max")
}

fn item_of(name: &str, body: Vec<u8>) -> Item {
    if name.starts_with("history_") {
        split::message(Bytes::from(body)).item
    } else {
        split::update(Bytes::from(body)).item
    }
}

fn outcome(name: &str, body: Vec<u8>, policy: &normalize::Policy) -> Value {
    let item = item_of(name, body);
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

fn seen(name: &str, policy: &normalize::Policy) -> Value {
    let (_, body) = fixtures()
        .into_iter()
        .find(|(known, _)| known == name)
        .expect("fixture");
    outcome(name, body, policy)
}

#[test]
fn every_fixture_becomes_what_was_reviewed() {
    let all = fixtures();
    assert!(all.len() > 45, "{} fixtures", all.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../fixtures/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, body) in all {
            let seen = outcome(&name, body, &normalize::Policy::default());
            insta::assert_json_snapshot!(name, seen);
        }
    });
}

#[test]
fn a_message_is_the_same_whichever_way_it_comes() {
    let update = seen("group_text", &normalize::Policy::default());
    let read = seen("history_message", &normalize::Policy::default());
    assert_eq!(update["item"]["external_id"], read["item"]["external_id"]);
    let data = |value: &Value| {
        let mut data = value["messages"][0]["data"].clone();
        data["external"]["revision"] = Value::Null;
        data
    };
    assert_eq!(data(&update), data(&read));
}

#[test]
fn other_bots_are_published_when_asked_for() {
    let policy = normalize::Policy {
        bots: true,
        ..normalize::Policy::default()
    };
    let data = &seen("group_from_bot", &policy)["messages"][0]["data"];
    assert_eq!(data["author"]["kind"], "community");
    assert_eq!(data["flags"]["other"], json!(["from_bot"]));
}

#[test]
fn only_listed_groups_are_heard_but_dialogues_always() {
    let policy = normalize::Policy {
        only_chats: Some([-70_000_000_000_010].into()),
        ..normalize::Policy::default()
    };
    let count = |name: &str| seen(name, &policy)["messages"].as_array().expect("messages").len();
    assert_eq!(count("channel_post"), 1);
    assert_eq!(count("group_text"), 0);
    assert_eq!(count("group_removed_message"), 0);
    assert_eq!(count("dialog_text"), 1);
    assert_eq!(count("dialog_removed_message"), 1);
}

#[test]
fn third_persons_and_tokens_stay_out_of_the_queue() {
    for (name, body) in fixtures() {
        let seen = outcome(&name, body, &normalize::Policy::default()).to_string();
        for hidden in [
            "79990000000",
            "Третьелицева",
            "BEGIN:VCARD",
            "PlantedUrlT0ken",
            "PhT0ken",
        ] {
            assert!(!seen.contains(hidden), "{name} shows {hidden}");
        }
    }
}

#[test]
fn what_came_before_decides_what_an_event_is() {
    let event = |name: &str, ordinal| {
        let (_, body) = fixtures()
            .into_iter()
            .find(|(known, _)| known == name)
            .expect("fixture");
        let item = RawItem {
            ordinal,
            ..raw(item_of(name, body))
        };
        let messages = normalize::normalize(&item, &normalize::Policy::default()).expect("a message");
        (messages[0].event, messages[0].data.flags.other.clone())
    };
    assert_eq!(event("dialog_edited", 0).0, EventType::Received);
    assert_eq!(event("dialog_edited", 1).0, EventType::Updated);
    assert_eq!(event("history_message", 0).0, EventType::Received);
    assert_eq!(event("history_message", 1).0, EventType::Updated);
    assert_eq!(
        event("dialog_text", 1),
        (EventType::Received, vec!["out_of_order".to_owned()])
    );
}

fn never_panics_never_drops(body: Vec<u8>) {
    for split in [split::update, split::message] {
        let item = split(Bytes::from(body.clone())).item;
        assert_eq!(item.body, body, "the bytes are kept as they came");
        assert!(!item.external_id.is_empty());
        assert_eq!(
            item,
            split(Bytes::from(body.clone())).item,
            "the same bytes have the same key"
        );
        let raw = raw(item);
        let first = normalize::normalize(&raw, &normalize::Policy::default());
        assert_eq!(first, normalize::normalize(&raw, &normalize::Policy::default()));
        for message in first.unwrap_or_default() {
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
        "{{\"update_type\":\"message_created\",\"message\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    never_panics_never_drops(deep.into_bytes());
    let huge = json!({"update_type": "message_created", "timestamp": 1, "message": {"recipient": {"chat_id": 1},
        "body": {"mid": "m", "text": "я".repeat(5_000_000)}}});
    never_panics_never_drops(huge.to_string().into_bytes());
}
