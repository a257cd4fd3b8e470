use proptest::prelude::*;

use super::*;
use crate::journal::testing::Tables;

fn find(tables: &mut Tables, candidate: &Candidate) -> Option<Kinship> {
    tables.run(Find(vec![candidate.clone()]), 0).remove(0)
}

fn candidate(number: u32, channel: &str, keys: &[&str], at: i64) -> Candidate {
    Candidate {
        connector: format!("{channel}-main"),
        external_id: number.to_string(),
        event_id: Uuid::from_u128(u128::from(number)),
        channel: channel.into(),
        keys: Some(keys.iter().map(|key| Key::same(Reason::Link, &[key])).collect()),
        at,
        until: at + 100,
    }
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

#[test]
fn later_messages_point_to_the_first_and_to_the_one_they_resemble() {
    let mut tables = Tables::new();
    let mut find = |candidate: &Candidate| find(&mut tables, candidate);
    assert_eq!(find(&candidate(1, "vk", &["a"], 0)), None);
    assert_eq!(find(&candidate(9, "vk", &["z"], 1)), None);
    let second = find(&candidate(2, "incident", &["a", "b"], 10)).unwrap();
    assert_eq!((second.cluster, second.of), (id(1), id(1)));
    assert_eq!(second.channels, ["vk"]);
    let third = find(&candidate(3, "pos", &["b"], 20)).unwrap();
    assert_eq!((third.cluster, third.of), (id(1), id(2)));
    assert_eq!(third.channels, ["incident", "vk"]);
}

#[test]
fn a_decision_is_given_again_to_every_event_of_the_object() {
    let mut tables = Tables::new();
    let mut find = |candidate: &Candidate| find(&mut tables, candidate);
    let (first, second) = (candidate(1, "vk", &["a"], 0), candidate(2, "pos", &["a"], 10));
    assert_eq!(find(&first), None);
    assert_eq!(find(&first), None, "published again before there was another");
    let linked = find(&second);
    assert!(linked.is_some());
    find(&candidate(3, "ok", &["a"], 11));
    assert_eq!(find(&second), linked, "published again, although more is known now");
    assert_eq!(find(&first), None, "the first stays the first");
    let later = Candidate {
        event_id: id(77),
        keys: None,
        ..second
    };
    assert_eq!(find(&later), linked, "another event of the same object");
    let edited = candidate(1, "vk", &["c"], 12);
    find(&candidate(4, "ok", &["a", "c"], 12));
    assert_eq!(find(&edited), None, "the first does not repeat those that repeat it");
}

#[test]
fn after_its_window_a_key_is_nobodys() {
    let mut tables = Tables::new();
    let mut find = |candidate: &Candidate| find(&mut tables, candidate);
    assert_eq!(find(&candidate(1, "vk", &["a"], 0)), None);
    assert_eq!(find(&candidate(2, "vk", &["a"], 101)), None);
    assert_eq!(find(&candidate(3, "vk", &["a"], 102)).unwrap().of, id(2));
}

#[test]
fn only_hashes_are_kept_and_swept() {
    let mut tables = Tables::new();
    find(&mut tables, &candidate(1, "vk", &["secret words"], 0));
    let connection = &tables.connection;
    let rows: Vec<Vec<u8>> = connection
        .prepare("SELECT key FROM likeness UNION ALL SELECT object FROM kin")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.len() == 16), "hashes");
    let mut forget = Forget::after(180);
    let mut left = |now| {
        // A sweep takes a slice of the table, and one more to come to its end.
        for _ in 0..3 {
            forget.sweep(connection, now).unwrap();
        }
        connection
            .query_row("SELECT count(*) FROM likeness", [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert_eq!((left(50), left(200)), (1, 0));
}

proptest! {
    /// Whatever comes in whatever order, and wherever it is repeated: the same answer for the same object, clusters
    /// are led by a message that points to nobody, and nobody points to itself.
    #[test]
    fn answers_are_stable(
        messages in proptest::collection::vec((0_u32..12, proptest::collection::vec(0_u8..6, 0..3)), 1..40),
    ) {
        let mut tables = Tables::new();
        let mut answers = std::collections::BTreeMap::new();
        for (at, (number, keys)) in messages.iter().enumerate() {
            let keys: Vec<String> = keys.iter().map(u8::to_string).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let candidate = candidate(*number, "vk", &keys, i64::try_from(at).unwrap());
            let answer = find(&mut tables, &candidate);
            if let Some(kinship) = &answer {
                prop_assert_ne!(kinship.of, candidate.event_id);
                prop_assert_ne!(kinship.cluster, candidate.event_id);
            }
            if let Some(known) = answers.get(number) {
                prop_assert_eq!(known, &answer);
            }
            answers.insert(*number, answer);
        }
        for kinship in answers.values().flatten() {
            let head = u32::try_from(kinship.cluster.as_u128()).unwrap();
            prop_assert_eq!(answers.get(&head), Some(&None), "the first of a cluster points to nobody");
        }
    }
}
