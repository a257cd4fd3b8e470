//! Fixture in, item and messages out, reviewed as golden files; and whatever bytes, no panic.

use serde_json::json;

use super::{
    super::{normalize, split},
    *,
};
use crate::golden::Golden;

const GOLDEN: Golden = Golden {
    folder: "telegram",
    id: ID,
    item: |_, body| split::split(body).item,
    normalize: |raw| normalize::normalize(raw, &normalize::Policy::default()),
};

#[test]
fn every_fixture_becomes_what_was_reviewed() {
    GOLDEN.assert_reviewed(60);
}

#[test]
fn a_business_owners_words_are_published_as_staff_when_asked_for() {
    let policy = normalize::Policy {
        business_outgoing: true,
        ..normalize::Policy::default()
    };
    let seen = GOLDEN.seen_by("business_outgoing", |raw| normalize::normalize(raw, &policy));
    assert_eq!(seen["messages"][0]["data"]["author"]["kind"], "staff");
}

#[test]
fn only_listed_groups_are_heard_but_private_messages_always() {
    let policy = normalize::Policy {
        only_chats: Some([-1_001_900_000_002].into()),
        ..normalize::Policy::default()
    };
    let count = |name: &str| {
        let seen = GOLDEN.seen_by(name, |raw| normalize::normalize(raw, &policy));
        seen["messages"].as_array().expect("messages").len()
    };
    assert_eq!(count("group_closed_reply"), 1);
    assert_eq!(count("group_text"), 0);
    assert_eq!(count("private_text"), 1);
    assert_eq!(count("business_incoming"), 1);
}

#[test]
fn third_persons_and_secrets_stay_out_of_the_queue() {
    GOLDEN.assert_hidden(&[
        "79990000000",
        "Третьелицев",
        "BEGIN:VCARD",
        "Кто-то",
        "Пётр Смирнов",
        "api.telegram.org",
    ]);
    let seen = GOLDEN.seen("forward_from_user").to_string();
    assert!(!seen.contains("Олег"), "{seen}");
}

#[test]
fn an_edit_is_an_update_only_of_what_was_stored() {
    let event = |ordinal| {
        let item = RawItem {
            ordinal,
            ..GOLDEN.raw("private_edited")
        };
        (GOLDEN.normalize)(&item).expect("a message")[0].event
    };
    assert_eq!(event(0), priem_sdk::EventType::Received);
    assert_eq!(event(1), priem_sdk::EventType::Updated);
}

#[test]
fn content_of_another_shape_is_read_for_words_or_held() {
    let said = |content: serde_json::Value| {
        let mut message = json!({"message_id": 8, "date": 1_788_000_000, "chat": {"id": 5, "type": "private"}});
        message
            .as_object_mut()
            .expect("an object")
            .extend(content.as_object().expect("an object").clone());
        let raw = RawItem {
            body: json!({"update_id": 1, "message": message}).to_string().into(),
            ..GOLDEN.raw("private_text")
        };
        let messages = (GOLDEN.normalize)(&raw).map_err(|error| error.reason)?;
        Ok(messages[0].data.body.text.clone())
    };
    for (rich, words) in [
        (
            json!({"blocks": [{"type": "whisper", "says": "Лавка сломана"}]}),
            "Лавка сломана",
        ),
        (
            json!({"blocks": [{"type": "paragraph", "text": "Двор"}, {"type": "whisper", "says": ["Лавка сломана"]},
                {"type": "document", "document": {"file_name": "Снимок двора.pdf"}}]}),
            "Двор\nЛавка сломана",
        ),
        (json!({"body": {"plain": "Лавка сломана"}}), "Лавка сломана"),
    ] {
        assert_eq!(said(json!({"rich_message": rich})).as_deref(), Ok(words));
    }
    for nothing in [
        json!({"rich_message": {"blocks": []}}),
        json!({"rich_message": {"blocks": [{"type": "divider"}]}}),
        json!({"text": ""}),
        json!({"caption": " "}),
    ] {
        assert_eq!(said(nothing), Err("unknown_content"));
    }
}

#[test]
fn whatever_bytes_nothing_is_dropped_and_nothing_panics() {
    GOLDEN.assert_survives_damage();
}

#[test]
fn deep_and_huge_bodies_are_kept() {
    let deep = format!(
        "{{\"update_id\":1,\"message\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    GOLDEN.assert_survives("", deep);
    let nested = format!(
        "{{\"update_id\":1,\"message\":{{\"message_id\":1,\"chat\":{{\"id\":1}},\"rich_message\":{{\"blocks\":[{}\"x\"{}]}}}}}}",
        "{\"text\":".repeat(10_000),
        "}".repeat(10_000)
    );
    GOLDEN.assert_survives("", nested);
    let huge = json!({"update_id": 1, "message": {"message_id": 1, "chat": {"id": 1}, "text": "я".repeat(5_000_000)}});
    GOLDEN.assert_survives("", huge.to_string());
}
