//! Fixture in, item and messages out, reviewed as golden files; and whatever bytes, no panic.

use priem_sdk::RawItem;

use super::{
    super::{
        conformance::item_of,
        normalize::{Policy, normalize},
    },
    *,
};
use crate::golden::Golden;

const GOLDEN: Golden = Golden {
    folder: "ok",
    id: ID,
    item: item_of,
    normalize: |raw| normalize(raw, Policy::default()),
};

#[test]
fn every_fixture_becomes_what_was_reviewed() {
    GOLDEN.assert_reviewed(30);
}

#[test]
fn a_later_version_is_an_update_and_a_removal_takes_back() {
    let event = |name: &str| {
        let seen = GOLDEN.seen_by(name, |raw| {
            let later = RawItem {
                ordinal: 1,
                ..raw.clone()
            };
            normalize(&later, Policy::default())
        });
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
    let own = Policy { own_words: true };
    for name in ["message_own", "comment_own", "topic_own", "topic_of_owner"] {
        let seen = GOLDEN.seen_by(name, |raw| normalize(raw, own));
        assert_eq!(seen["messages"][0]["data"]["author"]["kind"], "staff", "{name}");
    }
}

#[test]
fn third_persons_and_tokens_stay_out_of_the_queue() {
    GOLDEN.assert_hidden(&["Третье Лицо", "79990000000", "leaked-token"]);
}

#[test]
fn whatever_bytes_nothing_is_dropped_and_nothing_panics() {
    GOLDEN.assert_survives_damage();
}
