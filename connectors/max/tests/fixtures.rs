//! Fixture in, item and messages out, reviewed as golden files; and whatever bytes, no panic.

use super::{
    super::{
        normalize::{Policy, normalize},
        split,
    },
    *,
};
use crate::golden::Golden;

const GOLDEN: Golden = Golden {
    folder: "max",
    id: ID,
    item: |name, body| match name.starts_with("history_") {
        true => split::message(body).item,
        false => split::update(body).item,
    },
    normalize: |raw| normalize(raw, &Policy::default()),
};

#[test]
fn every_fixture_becomes_what_was_reviewed() {
    GOLDEN.assert_reviewed(45);
}

#[test]
fn a_message_is_the_same_whichever_way_it_comes() {
    let (update, read) = (GOLDEN.seen("group_text"), GOLDEN.seen("history_message"));
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
    let policy = Policy {
        bots: true,
        ..Policy::default()
    };
    let seen = GOLDEN.seen_by("group_from_bot", |raw| normalize(raw, &policy));
    let data = &seen["messages"][0]["data"];
    assert_eq!(data["author"]["kind"], "community");
    assert_eq!(data["flags"]["other"], json!(["from_bot"]));
}

#[test]
fn only_listed_groups_are_heard_but_dialogues_always() {
    let policy = Policy {
        only_chats: Some([-70_000_000_000_010].into()),
        ..Policy::default()
    };
    let count = |name: &str| {
        let seen = GOLDEN.seen_by(name, |raw| normalize(raw, &policy));
        seen["messages"].as_array().expect("messages").len()
    };
    assert_eq!(count("channel_post"), 1);
    assert_eq!(count("group_text"), 0);
    assert_eq!(count("group_removed_message"), 0);
    assert_eq!(count("dialog_text"), 1);
    assert_eq!(count("dialog_removed_message"), 1);
}

#[test]
fn third_persons_and_tokens_stay_out_of_the_queue() {
    GOLDEN.assert_hidden(&[
        "79990000000",
        "Третьелицева",
        "BEGIN:VCARD",
        "PlantedUrlT0ken",
        "PhT0ken",
    ]);
}

#[test]
fn what_came_before_decides_what_an_event_is() {
    let event = |name: &str, ordinal| {
        let item = RawItem {
            ordinal,
            ..GOLDEN.raw(name)
        };
        let messages = (GOLDEN.normalize)(&item).expect("a message");
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

#[test]
fn whatever_bytes_nothing_is_dropped_and_nothing_panics() {
    GOLDEN.assert_survives_damage();
}

#[test]
fn deep_and_huge_bodies_are_kept() {
    let deep = format!(
        "{{\"update_type\":\"message_created\",\"message\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let huge = json!({"update_type": "message_created", "timestamp": 1, "message": {"recipient": {"chat_id": 1},
        "body": {"mid": "m", "text": "я".repeat(5_000_000)}}});
    for body in [deep, huge.to_string()] {
        GOLDEN.assert_survives("update_", body.clone());
        GOLDEN.assert_survives("history_", body);
    }
}
