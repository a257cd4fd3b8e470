//! Fixture in, item and messages out, reviewed as golden files; and whatever bytes, no panic.

use priem_sdk::EventType;

use super::{
    super::{
        normalize::{Policy, normalize},
        split,
    },
    *,
};
use crate::golden::Golden;

const GOLDEN: Golden = Golden {
    folder: "vk",
    id: ID,
    item: |_, body| split::item(body),
    normalize: |raw| normalize(raw, Policy::default()),
};

fn item(name: &str) -> Item {
    split::item(GOLDEN.body(name).into())
}

#[test]
fn every_fixture_becomes_what_was_reviewed() {
    GOLDEN.assert_reviewed(45);
}

#[test]
fn keys_hashes_and_third_persons_stay_out_of_the_queue() {
    GOLDEN.assert_hidden(&["PLANTEDHASH", "access_token", "hash=", "НЕЛЬЗЯ ПОВТОРЯТЬ", "video_ext"]);
}

#[test]
fn the_communitys_own_words_are_published_as_staff_when_asked_for() {
    let own = Policy { own_words: true };
    for name in ["message_reply", "post_own", "post_own_signed", "comment_own"] {
        assert_eq!(GOLDEN.seen(name)["messages"], json!([]), "{name}");
        let author = GOLDEN.seen_by(name, |raw| normalize(raw, own))["messages"][0]["data"]["author"].take();
        assert_eq!(author["kind"], "staff", "{name}");
        assert_eq!(author["external_id"], format!("-{GROUP}"));
    }
}

/// Events and texts of these fixtures, stored one after another.
fn told(names: &[&str]) -> Vec<EventType> {
    let mut journal = Journal::default();
    names.iter().for_each(|name| journal.take(item(name)));
    let messages = journal
        .stored
        .iter()
        .flat_map(|raw| normalize(raw, Policy::default()).expect("known"));
    messages.map(|message| message.event).collect()
}

#[test]
fn a_comment_lives_through_its_versions() {
    use EventType::{Deleted, Received, Updated};
    assert_eq!(
        told(&[
            "comment_minimal",
            "comment_edited",
            "comment_deleted",
            "comment_restored"
        ]),
        [Received, Updated, Deleted, Updated]
    );
    assert_eq!(
        told(&["comment_minimal", "seen_comment", "comment_minimal"]),
        [Received]
    );
    assert_eq!(
        told(&["seen_comment", "comment_minimal"]),
        [Received],
        "polled first, pushed later"
    );
    assert_eq!(told(&["message_private", "message_edit"]), [Received, Updated]);
}

#[test]
fn what_was_overtaken_by_its_edit_or_deletion_is_marked() {
    use EventType::{Deleted, Received};
    assert_eq!(told(&["comment_edited", "comment_minimal"]), [Received, Received]);
    assert_eq!(told(&["comment_deleted", "comment_minimal"]), [Deleted, Received]);
    assert_eq!(told(&["seen_deleted"]), Vec::<EventType>::new());
    for (ordinal, marked) in [(0, false), (1, true)] {
        let messages = normalize(&raw(item("comment_minimal"), ordinal), Policy::default());
        let flags = &messages.expect("a message")[0].data.flags.other;
        assert_eq!(flags.iter().any(|flag| flag == "out_of_order"), marked, "{flags:?}");
    }
}

#[test]
fn whatever_bytes_nothing_is_dropped_and_nothing_panics() {
    GOLDEN.assert_survives_damage();
    let published = Golden {
        normalize: |raw| normalize(raw, Policy { own_words: true }),
        ..GOLDEN
    };
    published.assert_survives_damage();
}

#[test]
fn deep_and_huge_bodies_are_kept() {
    let nested = |open: &str, close: &str| {
        let object = format!("{}{}", open.repeat(50_000), close.repeat(50_000));
        format!(r#"{{"type":"message_new","group_id":9,"object":{object}}}"#)
    };
    GOLDEN.assert_survives("", nested("[", "]"));
    GOLDEN.assert_survives("", nested(r#"{"message":"#, "}"));
    let forwarded = format!(
        r#"{{"type":"message_new","group_id":9,"object":{{"peer_id":1,"conversation_message_id":1,"fwd_messages":{}[]{}}}}}"#,
        r#"[{"text":"x","fwd_messages":"#.repeat(40),
        "}]".repeat(40),
    );
    GOLDEN.assert_survives("", forwarded);
    let huge = json!({"type": "wall_reply_new", "group_id": 9, "object": {"id": 1, "post_id": 2, "text": "я".repeat(3_000_000)}});
    GOLDEN.assert_survives("", huge.to_string());
}
