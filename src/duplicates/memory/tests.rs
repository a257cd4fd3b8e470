use std::collections::BTreeMap;

use proptest::prelude::*;
use rusqlite::StatementStatus;
use uuid::Uuid;

use super::*;
use crate::{
    duplicates::{
        clusters,
        floods::Floods,
        link::{Key, Reason, object},
        log::Log,
    },
    journal::{Hashes, testing::Tables},
    telemetry::Metrics,
};

/// Every statement that a message may cost.
fn statements() -> Vec<&'static str> {
    let log = |log: &'static Log| [log.append, log.find, log.first, log.last, log.forget];
    let mut all = vec![clusters::READ, clusters::WRITE, old::OWNER, old::DECIDED, old::CHANNELS];
    all.extend(log(&TWINS).into_iter().chain(log(&LINKS)));
    all
}

/// A journal and what the daemon knows of it.
struct World {
    tables: Tables,
    memory: Shared,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            tables: Tables::new(),
            memory: Shared::default(),
        };
        world.restart();
        world
    }

    fn restart(&mut self) {
        let load = Load { now: 0, days: 180 };
        *self.memory.lock() = Some(load.look(&self.tables.connection).unwrap());
    }

    fn job(&self, candidates: &[Candidate]) -> Find {
        Find {
            candidates: candidates.to_vec(),
            memory: Arc::clone(&self.memory),
        }
    }

    fn find_all(&mut self, candidates: &[Candidate]) -> Vec<Option<Link>> {
        let job = self.job(candidates);
        self.tables.run(job, 0)
    }

    fn find(&mut self, candidate: &Candidate) -> Option<Link> {
        self.find_all(std::slice::from_ref(candidate)).remove(0)
    }

    /// Looks for it in a transaction whose commit fails.
    fn lose(&mut self, candidate: &Candidate) {
        let job = self.job(std::slice::from_ref(candidate));
        self.tables.lose(job, 0);
    }

    fn count(&self, table: &str) -> i64 {
        let count = format!("SELECT count(*) FROM {table} /* walks: a test */");
        self.tables.connection.query_row(&count, [], |row| row.get(0)).unwrap()
    }

    fn forget(&self) -> Forget {
        let floods = Arc::new(Mutex::new(Floods::new(&Metrics::new())));
        Forget::after(180, Arc::clone(&self.memory), floods)
    }

    /// Steps of SQLite's machine since the last call, over all statements.
    fn steps(&self) -> i32 {
        let connection = &self.tables.connection;
        let steps = |sql: &str| {
            connection
                .prepare_cached(sql)
                .unwrap()
                .reset_status(StatementStatus::VmStep)
        };
        statements().into_iter().map(steps).sum()
    }
}

fn candidate(number: u32, channel: &str, keys: &[&str], at: i64) -> Candidate {
    let hashes = Hashes::with_key([7; 32]);
    Candidate {
        object: object(&hashes, channel, &number.to_string()),
        seq: number.into(),
        came_before: false,
        event_id: id(number.into()),
        channel: channel.into(),
        keys: Some(
            keys.iter()
                .map(|key| Key::same(&hashes, Reason::Link, &[key]))
                .collect(),
        ),
        at,
        until: at + 100,
    }
}

/// The same object in a later version.
fn later(candidate: &Candidate, event: u128) -> Candidate {
    Candidate {
        event_id: id(event),
        came_before: true,
        ..candidate.clone()
    }
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

#[test]
fn later_messages_point_to_the_first_and_to_the_one_they_resemble() {
    let mut world = World::new();
    assert_eq!(world.find(&candidate(1, "vk", &["a"], 0)), None);
    assert_eq!(world.find(&candidate(9, "vk", &["z"], 1)), None);
    let second = world.find(&candidate(2, "incident", &["a", "b"], 10)).unwrap();
    assert_eq!((second.cluster, second.of), (id(1), id(1)));
    assert_eq!(second.channels, ["vk"]);
    world.restart();
    let third = world.find(&candidate(3, "pos", &["b"], 20)).unwrap();
    assert_eq!((third.cluster, third.of), (id(1), id(2)));
    assert_eq!(third.channels, ["incident", "vk"]);
}

#[test]
fn messages_of_one_commit_know_each_other() {
    let mut world = World::new();
    let batch = [1, 2, 3, 2, 1].map(|number| candidate(number, "vk", &["a"], 0));
    let found = world.find_all(&batch);
    let of: Vec<Option<Uuid>> = found.iter().map(|link| Some(link.as_ref()?.of)).collect();
    assert_eq!(of, [None, Some(id(1)), Some(id(1)), Some(id(1)), None]);
    assert_eq!(
        (world.count("twin"), world.count("link"), world.count("cluster")),
        (1, 1, 1)
    );
}

#[test]
fn calls_that_share_a_commit_know_each_other() {
    let mut world = World::new();
    let jobs = [1, 2, 3].map(|number| world.job(&[candidate(number, "vk", &["a", &number.to_string()], 0)]));
    let found = world.tables.run_together(jobs.into(), 0).concat();
    let of: Vec<Option<Uuid>> = found.iter().map(|link| Some(link.as_ref()?.of)).collect();
    assert_eq!(of, [None, Some(id(1)), Some(id(1))]);
    world.restart();
    assert_eq!(world.find(&candidate(4, "vk", &["3"], 1)).unwrap().of, id(3));
}

#[test]
fn a_decision_is_given_again_to_every_event_of_the_object() {
    let mut world = World::new();
    let (first, second) = (candidate(1, "vk", &["a"], 0), candidate(2, "pos", &["a"], 10));
    assert_eq!(world.find(&first), None);
    assert_eq!(world.find(&first), None, "published again before there was another");
    let linked = world.find(&second);
    assert!(linked.is_some());
    world.find(&candidate(3, "ok", &["a"], 11));
    assert_eq!(
        world.find(&second),
        linked,
        "published again, although more is known now"
    );
    assert_eq!(world.find(&first), None, "the first stays the first");
    let silent = Candidate {
        keys: None,
        ..later(&second, 77)
    };
    assert_eq!(world.find(&silent), linked, "another event of the same object");
    let edited = candidate(1, "vk", &["c"], 12);
    world.find(&candidate(4, "ok", &["a", "c"], 12));
    assert_eq!(
        world.find(&edited),
        None,
        "the first does not repeat those that repeat it"
    );
}

#[test]
fn one_that_owns_no_key_is_judged_once_too() {
    let mut world = World::new();
    let hashes = Hashes::with_key([7; 32]);
    let of = |number, own: &str, sought: &str| Candidate {
        keys: Some(vec![Key::pair(&hashes, Reason::Text, &[own], &[sought])]),
        ..candidate(number, own, &[], 0)
    };
    let comments = [1, 2].map(|number| of(number, "network", "incident"));
    assert_eq!(world.find_all(&comments), [None, None], "a text that two copied");
    let incident = of(3, "incident", "network");
    assert_eq!(world.find(&incident).unwrap().of, id(1));
    world.restart();
    assert_eq!(
        world.find(&comments[1]),
        None,
        "published again, although there is an incident now"
    );
    let third = of(4, "network", "incident");
    assert_eq!(world.find(&third).unwrap().of, id(3));
}

#[test]
fn after_its_window_a_key_is_nobodys() {
    let mut world = World::new();
    assert_eq!(world.find(&candidate(1, "vk", &["a"], 0)), None);
    assert_eq!(world.find(&candidate(2, "vk", &["a"], 101)), None);
    assert_eq!(world.find(&candidate(3, "vk", &["a"], 102)).unwrap().of, id(2));
    world.restart();
    assert_eq!(world.find(&candidate(4, "vk", &["a"], 103)).unwrap().of, id(2));
}

#[test]
fn a_later_version_of_what_was_never_judged_is_not_judged() {
    let mut world = World::new();
    world.find(&candidate(1, "vk", &["a"], 0));
    assert_eq!(world.find(&later(&candidate(2, "pos", &["a"], 10), 22)), None);
}

#[test]
fn a_failed_commit_leaves_nothing() {
    let mut world = World::new();
    world.lose(&candidate(1, "vk", &["a"], 0));
    assert_eq!(
        world.find(&candidate(2, "pos", &["a"], 1)),
        None,
        "the lost one owns nothing"
    );
    world.lose(&candidate(3, "ok", &["a", "b"], 2));
    let third = world.find(&candidate(4, "telegram", &["b", "a"], 3)).unwrap();
    assert_eq!((third.of, third.channels), (id(2), vec!["pos".to_owned()]));
}

#[test]
fn only_hashes_are_kept_and_all_is_swept() {
    const DAY: i64 = DAY_MICROSECONDS;
    let mut world = World::new();
    for number in 1..=3 {
        world.find(&candidate(number, "vk", &["secret words"], 0));
    }
    let blobs = "SELECT entries FROM twin UNION ALL SELECT entries FROM link /* walks: a test */";
    let mut select = world.tables.connection.prepare(blobs).unwrap();
    let blobs = select.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    for blob in blobs {
        let blob = blob.unwrap();
        assert!(!blob.windows(6).any(|window| window == b"secret"), "hashes");
    }
    drop(select);
    let mut forget = world.forget();
    let mut left = |now| {
        // A sweep of clusters takes a slice of the table, and one more to come to its end.
        for _ in 0..3 {
            forget.sweep(&world.tables.connection, now).unwrap();
        }
        ["twin", "link", "cluster"].map(|table| world.count(table))
    };
    assert_eq!(left(LEAST_DAYS * DAY), [1, 2, 1], "it may be judged again until then");
    assert_eq!(left(LEAST_DAYS * DAY + 1), [0, 2, 1]);
    assert_eq!(left(180 * DAY + 1), [0, 0, 0]);
    assert_eq!(world.find(&candidate(9, "vk", &["secret words"], 181 * DAY)), None);
}

#[test]
fn a_message_costs_the_same_whatever_repeats() {
    const TOGETHER: u32 = 100;
    let mut world = World::new();
    let mut most = 0;
    for batch in 0..100 {
        let numbers = batch * TOGETHER..(batch + 1) * TOGETHER;
        let equal: Vec<Candidate> = numbers
            .map(|number| candidate(number, "telegram", &["a", "b"], 1))
            .collect();
        let found = world.find_all(&equal);
        assert_eq!(found.iter().flatten().count(), equal.len() - usize::from(batch == 0));
        let steps = world.steps();
        if batch < 3 {
            most = most.max(steps);
        } else {
            assert!(
                steps <= most,
                "{steps} steps for batch {batch}, {most} at the beginning"
            );
        }
    }
    assert!(
        most < 20 * i32::try_from(TOGETHER).unwrap(),
        "{most} steps for {TOGETHER} messages"
    );
    let messages: i64 = world
        .tables
        .connection
        .query_row("SELECT messages FROM cluster /* walks: a test */", [], |row| row.get(0))
        .unwrap();
    assert_eq!(messages, 10_000, "one cluster, a row with a count");
    assert!(world.count("link") < 300, "{} rows", world.count("link"));
}

#[test]
fn messages_that_repeat_nothing_read_nothing_and_share_a_row() {
    let mut world = World::new();
    world.steps();
    for batch in 0..20_u32 {
        let numbers = batch * 64..(batch + 1) * 64;
        let others: Vec<Candidate> = numbers
            .map(|number| candidate(number, "telegram", &[&number.to_string(), &format!("{number} too")], 1))
            .collect();
        world.find_all(&others);
    }
    assert_eq!(
        (world.count("twin"), world.count("link"), world.count("cluster")),
        (20, 0, 0)
    );
    let steps = world.steps();
    assert!(steps < 20 * 64, "{steps} steps for {} messages", 20 * 64);
}

#[test]
fn no_statement_walks_a_table() {
    let world = World::new();
    for statement in statements() {
        let mut select = world
            .tables
            .connection
            .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
            .unwrap();
        let nothing = rusqlite::params_from_iter((0..select.parameter_count()).map(|_| 1));
        let plan = select.query_map(nothing, |row| row.get::<_, String>(3)).unwrap();
        for line in plan {
            let line = line.unwrap();
            assert!(!line.starts_with("SCAN"), "{statement}: {line}");
        }
    }
}

/// What a version with a row per key and per object wrote of two linked messages and a third.
fn older_rows(world: &World) {
    let blob = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let hashes = Hashes::with_key([7; 32]);
    let key = |text: &str| blob(&hashes.of(&[b"likeness", text.as_bytes()]));
    let event = |number| blob(id(number).as_bytes());
    let object = |number, channel| blob(&candidate(number, channel, &[], 0).object);
    let rows = format!(
        "INSERT INTO likeness VALUES (x'{a}', x'{one}', x'{one}', 100), (x'{b}', x'{two}', x'{one}', 100), \
         (x'{c}', x'{three}', x'{three}', 3);
         INSERT INTO kin VALUES (x'{first}', x'{one}', NULL, NULL, 'vk', NULL, 0), \
         (x'{second}', x'{one}', x'{one}', 'same_link', 'incident', 'vk', 0), \
         (x'{third}', x'{three}', NULL, NULL, 'ok', NULL, 0);
         UPDATE meta SET value = 3 WHERE key = 'judged_anew_after';",
        a = key("a"),
        b = key("b"),
        c = key("c"),
        one = event(1),
        two = event(2),
        three = event(3),
        first = object(1, "vk"),
        second = object(2, "incident"),
        third = object(3, "ok"),
    );
    world.tables.connection.execute_batch(&rows).unwrap();
}

#[test]
fn what_an_older_version_remembered_goes_on() {
    let mut world = World::new();
    older_rows(&world);
    world.restart();
    let second = candidate(2, "incident", &["a", "b"], 0);
    let linked = world.find(&second).unwrap();
    assert_eq!(
        (linked.of, &linked.channels[..]),
        (id(1), &["vk".to_owned()][..]),
        "published again"
    );
    assert_eq!(
        world.find(&later(&second, 22)).as_ref(),
        Some(&linked),
        "a later version"
    );
    assert_eq!(
        world.find(&candidate(1, "vk", &["x"], 0)),
        None,
        "the first stays the first"
    );
    let fourth = world.find(&candidate(4, "pos", &["b"], 5)).unwrap();
    assert_eq!((fourth.cluster, fourth.of), (id(1), id(2)));
    assert_eq!(fourth.channels, ["incident", "vk"]);
    let fifth = world.find(&candidate(5, "ok", &["b"], 6)).unwrap();
    assert_eq!(fifth.channels, ["incident", "pos", "vk"]);
    assert_eq!(world.find(&candidate(6, "ok", &["c"], 6)), None, "after its window");
    let mut forget = world.forget();
    for _ in 0..3 {
        forget.sweep(&world.tables.connection, 181 * DAY_MICROSECONDS).unwrap();
    }
    assert_eq!((world.count("likeness"), world.count("kin")), (0, 0));
}

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// A message comes, or comes again.
    Message(u32, Vec<u8>),
    /// A later version, with other words.
    Version(u32, Vec<u8>),
    /// A message comes and its commit fails.
    Lost(u32, Vec<u8>),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let words = || proptest::collection::vec(0_u8..6, 0..3);
    prop_oneof![
        6 => (0_u32..12, words()).prop_map(|(number, words)| Step::Message(number, words)),
        2 => (0_u32..12, words()).prop_map(|(number, words)| Step::Version(number, words)),
        2 => (0_u32..12, words()).prop_map(|(number, words)| Step::Lost(number, words)),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// Whatever comes in whatever order, is lost, and wherever the daemon is started anew: the same answer for the same
    /// object, clusters are led by a message that points to nobody, and nobody points to itself.
    #[test]
    fn answers_are_stable(steps in proptest::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        let mut first_words: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        let mut answers: BTreeMap<u32, Option<Link>> = BTreeMap::new();
        for (at, step) in steps.into_iter().enumerate() {
            let (number, words, is_lost, is_version) = match step {
                Step::Restart => {
                    world.restart();
                    continue;
                }
                Step::Message(number, words) => (number, words, false, false),
                Step::Version(number, words) => (number, words, false, true),
                Step::Lost(number, words) => (number, words, true, false),
            };
            let words: Vec<String> = words.iter().map(u8::to_string).collect();
            let is_version = is_version && answers.contains_key(&number);
            // What comes again is what came.
            let words = if is_version { words } else { first_words.entry(number).or_insert(words).clone() };
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut candidate = candidate(number, "vk", &words, i64::try_from(at).unwrap());
            candidate.came_before = is_version;
            if is_lost {
                world.lose(&candidate);
                continue;
            }
            let answer = world.find(&candidate);
            if let Some(link) = &answer {
                prop_assert_ne!(link.of, candidate.event_id);
                prop_assert_ne!(link.cluster, candidate.event_id);
            }
            if let Some(known) = answers.get(&number) {
                prop_assert_eq!(known, &answer);
            }
            answers.insert(number, answer);
        }
        for link in answers.values().flatten() {
            let head = u32::try_from(link.cluster.as_u128()).unwrap();
            prop_assert_eq!(answers.get(&head), Some(&None), "the first of a cluster points to nobody");
        }
    }
}
