//! Fixture in, item and messages out, reviewed as golden files; and whatever bytes, no panic.

use bytes::Bytes;
use priem_sdk::{EventType, conformance::pointers};
use proptest::prelude::*;

use super::{
    super::{
        normalize::{Policy, normalize},
        split,
    },
    *,
};

fn fixtures() -> Vec<(String, Vec<u8>)> {
    testing::fixtures("vk")
}

fn fixture(name: &str) -> Value {
    let all = fixtures();
    let (_, body) = all.iter().find(|(known, _)| known == name).expect("a fixture");
    serde_json::from_slice(body).expect("JSON")
}

fn item(event: &Value) -> Item {
    split::item(Bytes::from(event.to_string()))
}

fn outcome(body: Vec<u8>, policy: Policy) -> Value {
    let item = split::item(Bytes::from(body));
    let key = json!({
        "external_id": item.external_id,
        "revision": item.revision,
        "conversation": item.conversation,
        "problem": item.problem.as_ref().map(ToString::to_string),
    });
    match normalize(&raw(item, 0), policy) {
        Ok(messages) => json!({"item": key, "messages": messages}),
        Err(error) => json!({"item": key, "quarantined": error.to_string()}),
    }
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
            insta::assert_json_snapshot!(name, outcome(body, Policy::default()));
        }
    });
}

#[test]
fn keys_hashes_and_third_persons_stay_out_of_the_queue() {
    for (name, body) in fixtures() {
        let seen = outcome(body, Policy::default()).to_string();
        for hidden in ["PLANTEDHASH", "access_token", "hash=", "НЕЛЬЗЯ ПОВТОРЯТЬ", "video_ext"] {
            assert!(!seen.contains(hidden), "{name} shows {hidden}");
        }
    }
}

#[test]
fn the_communitys_own_words_are_published_as_staff_when_asked_for() {
    let own = Policy { own_words: true };
    for name in ["message_reply", "post_own", "post_own_signed", "comment_own"] {
        let body = fixture(name).to_string().into_bytes();
        assert_eq!(
            outcome(body.clone(), Policy::default())["messages"],
            json!([]),
            "{name}"
        );
        let seen = outcome(body, own);
        assert_eq!(seen["messages"][0]["data"]["author"]["kind"], "staff", "{name}");
        assert_eq!(
            seen["messages"][0]["data"]["author"]["external_id"],
            format!("-{GROUP}")
        );
    }
}

/// Events and texts of these fixtures, stored one after another.
fn told(names: &[&str]) -> Vec<EventType> {
    let mut journal = Journal::default();
    names.iter().for_each(|name| journal.take(item(&fixture(name))));
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
        let messages = normalize(&raw(item(&fixture("comment_minimal")), ordinal), Policy::default());
        let flags = &messages.expect("a message")[0].data.flags.other;
        assert_eq!(flags.iter().any(|flag| flag == "out_of_order"), marked, "{flags:?}");
    }
}

fn never_panics_never_drops(body: Vec<u8>) {
    let item = split::item(Bytes::from(body.clone()));
    assert_eq!(item.body, body, "the bytes are kept as they came");
    assert!(!item.external_id.is_empty());
    assert_eq!(item, split::item(Bytes::from(body)), "the same bytes have the same key");
    for ordinal in [0, 1] {
        let raw = raw(item.clone(), ordinal);
        let first = normalize(&raw, Policy { own_words: true });
        assert_eq!(first, normalize(&raw, Policy { own_words: true }));
        for message in first.into_iter().flatten() {
            assert_eq!(message.data.external.id, item.external_id);
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
        let mut event: Value = serde_json::from_slice(&which.get(all.as_slice()).1).expect("fixtures are JSON");
        let places = pointers(&event);
        *event.pointer_mut(place.get::<String>(&places)).expect("a place inside") = new;
        never_panics_never_drops(event.to_string().into_bytes());
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
    let nested = |open: &str, close: &str| {
        let object = format!("{}{}", open.repeat(50_000), close.repeat(50_000));
        format!(r#"{{"type":"message_new","group_id":9,"object":{object}}}"#).into_bytes()
    };
    never_panics_never_drops(nested("[", "]"));
    never_panics_never_drops([&nested(r#"{"message":"#, "}")[..], b""].concat());
    let forwarded = format!(
        r#"{{"type":"message_new","group_id":9,"object":{{"peer_id":1,"conversation_message_id":1,"fwd_messages":{}[]{}}}}}"#,
        r#"[{"text":"x","fwd_messages":"#.repeat(40),
        "}]".repeat(40),
    );
    never_panics_never_drops(forwarded.into_bytes());
    let huge = json!({"type": "wall_reply_new", "group_id": 9, "object": {"id": 1, "post_id": 2, "text": "я".repeat(3_000_000)}});
    never_panics_never_drops(huge.to_string().into_bytes());
}
