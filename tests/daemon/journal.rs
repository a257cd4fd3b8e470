//! The journal against a model, and at its limits. Everything through its public interface and a real file.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use priem::{
    journal::{
        DecisionRecord, End, FILE_NAME, Journal, JournalError, JournalSettings, Record, Settlement, store::Store,
    },
    telemetry::Metrics,
};
use priem_sdk::{Cursor, Item, NormalizeError, contract::ConnectorId};
use proptest::prelude::*;

fn settings(folder: &std::path::Path) -> JournalSettings {
    JournalSettings {
        dir: folder.to_owned(),
        min_free_bytes: 0,
        ..JournalSettings::default()
    }
}

fn item(object: u8, revision: Option<u8>, content: u8) -> Item {
    Item {
        external_id: format!("object-{object}"),
        revision: revision.map(|revision| format!("r{revision}")),
        fingerprint: Some([content; 16]),
        conversation: Some(format!("chat-{}", object % 3)),
        format: "test",
        body: Bytes::from(format!("{object}/{revision:?}/{content}")),
        problem: None,
    }
}

fn delivered(record: &Record) -> Settlement {
    let decision = DecisionRecord {
        event_id: uuid::Uuid::from_u128(record.seq as u128),
        event: "ru.priem.message.received.v1",
        outcome: "published",
        channel: "test".into(),
        queue: "q".into(),
        routing: Bytes::from_static(b"{}"),
    };
    Settlement {
        position: record.position,
        seq: record.seq,
        end: End::Delivered {
            decisions: vec![decision],
            parked: None,
        },
    }
}

async fn pending(journal: &Journal, after: i64) -> Vec<Arc<Record>> {
    let mut all = Vec::new();
    let mut position = after;
    // `pending_after` waits for news, so ask only while the store says that something is left.
    loop {
        let next = tokio::select! {
            biased;
            records = journal.pending_after(position, 7) => records.unwrap(),
            () = std::future::ready(()), if all.len() as i64 >= count(journal) => return all,
        };
        position = next.last().unwrap().position;
        all.extend(next);
    }
}

fn count(journal: &Journal) -> i64 {
    journal.pending_count()
}

/// What a step of the model does.
#[derive(Debug, Clone)]
enum Step {
    Append {
        items: Vec<(u8, Option<u8>, u8)>,
        cursor: u8,
    },
    SettleOldest(u8),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let items = prop::collection::vec((0u8..6, prop::option::of(0u8..3), 0u8..3), 0..6);
    let step = prop_oneof![
        4 => (items, any::<u8>()).prop_map(|(items, cursor)| Step::Append { items, cursor }),
        2 => (1u8..5).prop_map(Step::SettleOldest),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..25)
}

/// The model: what must be pending, in order, and which versions are known.
#[derive(Default)]
struct Model {
    pending: Vec<Bytes>,
    known: HashSet<(u8, Option<u8>)>,
    newest: HashMap<u8, u8>,
    cursor: Option<u8>,
}

impl Model {
    fn append(&mut self, items: &[(u8, Option<u8>, u8)]) -> (usize, usize, usize) {
        let (mut new, mut seen, mut unchanged) = (0, 0, 0);
        for &(object, revision, content) in items {
            if revision.is_some() && self.known.contains(&(object, revision)) {
                seen += 1;
                continue;
            }
            if revision.is_some() {
                self.known.insert((object, revision));
            }
            if self.newest.insert(object, content) == Some(content) {
                unchanged += 1;
                continue;
            }
            new += 1;
            self.pending.push(item(object, revision, content).body);
        }
        (new, seen, unchanged)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is appended, settled and reopened in whatever order: the journal and the model agree on what is
    /// pending, on duplicates and on the cursor.
    #[test]
    fn agrees_with_the_model(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async move {
            let folder = tempfile::tempdir().unwrap();
            let connector = ConnectorId::new("source");
            let open = || Journal::open(&settings(folder.path()), &Metrics::new()).unwrap();
            let mut journal = open();
            let mut model = Model::default();
            for step in steps {
                match step {
                    Step::Append { items, cursor } => {
                        let expected = model.append(&items);
                        model.cursor = Some(cursor);
                        let items = items.iter().map(|&(object, revision, content)| item(object, revision, content));
                        let cursor = Some(Cursor(cursor.to_string()));
                        let done = journal.append(&connector, "stream", items.collect(), cursor).await.unwrap();
                        assert_eq!((done.new, done.seen, done.unchanged), expected);
                    }
                    Step::SettleOldest(count) => {
                        let waiting = pending(&journal, 0).await;
                        let settled: Vec<_> = waiting.iter().take(count.into()).map(|r| delivered(r)).collect();
                        model.pending.drain(..settled.len());
                        journal.settle(settled).await.unwrap();
                        journal.flush().await.unwrap();
                    }
                    Step::Reopen => {
                        drop(journal);
                        journal = open();
                    }
                }
                let bodies: Vec<_> = pending(&journal, 0).await.iter().map(|record| record.raw.body.clone()).collect();
                assert_eq!(bodies, model.pending);
                let cursor = journal.cursor(&connector, "stream").await.unwrap();
                assert_eq!(cursor, model.cursor.map(|cursor| Cursor(cursor.to_string())));
            }
            drop(journal);
            assert_eq!(Store::open(folder.path()).unwrap().verify(), Vec::<String>::new());
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_producers_share_commits_and_all_are_stored() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let journal = Journal::open(&settings(folder.path()), &metrics).unwrap();
    let producers: Vec<_> = (0..64u8)
        .map(|producer| {
            let journal = journal.clone();
            tokio::spawn(async move {
                for number in 0..20u8 {
                    let mut item = item(producer, Some(0), number);
                    item.external_id = format!("{producer}-{number}");
                    journal
                        .append(&ConnectorId::new("source"), "stream", vec![item], None)
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.unwrap();
    }
    assert_eq!(pending(&journal, 0).await.len(), 64 * 20);
    assert!(
        metrics.commit_seconds.get_sample_count() < 64 * 20,
        "commits were shared"
    );
}

/// Ends of items while commits can't be made: bounded, and all of them recorded later.
#[tokio::test(flavor = "multi_thread")]
async fn ends_wait_outside_while_the_journal_cant_write() {
    const ITEMS: usize = 20_000;
    const TOGETHER: usize = 500;
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&settings(folder.path()), &Metrics::new()).unwrap();
    let items = (0..ITEMS).map(|number| Item {
        external_id: number.to_string(),
        ..item(0, None, 0)
    });
    let connector = ConnectorId::new("test");
    journal.append(&connector, "s", items.collect(), None).await.unwrap();
    let mut records = Vec::new();
    while records.len() < ITEMS {
        let after = records.last().map_or(0, |record: &Arc<Record>| record.position);
        records.extend(journal.pending_after(after, ITEMS).await.unwrap());
    }
    let ends: Vec<Settlement> = records.iter().map(|record| delivered(record)).collect();
    let other = rusqlite::Connection::open(folder.path().join(FILE_NAME)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let mut taken = 0;
    let mut waiting = None;
    for ends in ends.chunks(TOGETHER) {
        let mut settle = Box::pin(journal.settle(ends.to_vec()));
        match futures::poll!(&mut settle) {
            std::task::Poll::Ready(done) => taken += done.map(|()| TOGETHER).unwrap(),
            std::task::Poll::Pending => {
                waiting = Some(settle);
                break;
            }
        }
    }
    assert!(
        (TOGETHER..ITEMS / 2).contains(&taken),
        "{taken} ends are held in memory"
    );
    other.execute_batch("ROLLBACK").unwrap();
    waiting.expect("the next ones wait").await.unwrap();
    for ends in ends[taken + TOGETHER..].chunks(TOGETHER) {
        journal.settle(ends.to_vec()).await.unwrap();
    }
    journal.flush().await.unwrap();
    assert_eq!(Store::open(folder.path()).unwrap().stats().unwrap().now.pending, 0);

    // A daemon that stops does not wait for room, and nothing is recorded after something was refused.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    journal.give_up();
    let mut refused = false;
    for ends in ends.chunks(TOGETHER) {
        let done = journal.settle(ends.to_vec()).await;
        refused |= done.is_err();
        assert_eq!(done.is_err(), refused);
    }
    assert!(refused);
    other.execute_batch("ROLLBACK").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_refuses_and_recovers_when_items_are_settled() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let journal = Journal::open(
        &JournalSettings {
            max_bytes: 2 << 20,
            ..settings(folder.path())
        },
        &metrics,
    )
    .unwrap();
    let connector = ConnectorId::new("source");
    let mut stored = 0u32;
    let big = |number: u32| {
        let mut item = item(0, Some(0), 0);
        item.external_id = number.to_string();
        item.body = Bytes::from(vec![b'x'; 20_000]);
        item
    };
    let error = loop {
        match journal
            .append(
                &connector,
                "stream",
                vec![big(stored)],
                Some(Cursor(stored.to_string())),
            )
            .await
        {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 1_000, "the limit must bite");
    };
    assert!(matches!(error, JournalError::Full { .. }), "{error}");
    assert!(error.to_string().contains("journal.max_bytes"), "{error}");
    assert_eq!(metrics.journal_writable.get(), 0);
    let cursor = journal.cursor(&connector, "stream").await.unwrap().unwrap();
    assert_eq!(
        cursor.0,
        (stored - 1).to_string(),
        "a refused page does not move the cursor"
    );
    // Readiness must come back without anybody daring to send: publish some, then let housekeeping look.
    let settled: Vec<_> = pending(&journal, 0)
        .await
        .iter()
        .take(40)
        .map(|record| delivered(record))
        .collect();
    journal.settle(settled).await.unwrap();
    journal.flush().await.unwrap();
    journal.tick().await.unwrap();
    journal.flush().await.unwrap();
    assert_eq!(metrics.journal_writable.get(), 1, "settled raw items made room");
    assert!(metrics.journal_evicted.with_label_values(&["items"]).get() > 0);
    assert_eq!(
        metrics.journal_evicted.with_label_values(&["decisions"]).get(),
        0,
        "in order"
    );
    journal
        .append(&connector, "stream", vec![big(stored)], None)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_free_space_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let limits = JournalSettings {
        min_free_bytes: u64::MAX,
        ..settings(folder.path())
    };
    let journal = Journal::open(&limits, &Metrics::new()).unwrap();
    let error = journal
        .append(&ConnectorId::new("a"), "s", vec![item(1, None, 1)], None)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("journal.min_free_bytes"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_daemon_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Journal::open(&settings(folder.path()), &Metrics::new()).unwrap();
    let second = Journal::open(&settings(folder.path()), &Metrics::new()).err().unwrap();
    assert!(matches!(second, JournalError::InUse { .. }), "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_on_arrival_is_held_and_can_be_retried_or_dropped_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&settings(folder.path()), &Metrics::new()).unwrap();
    let broken = |body: &'static str| {
        Item::malformed(
            "test",
            Bytes::from_static(body.as_bytes()),
            NormalizeError::new("bad_row", "row 3: two cells"),
        )
    };
    let stored = journal
        .append(
            &ConnectorId::new("a"),
            "s",
            vec![broken("x"), broken("y"), broken("x")],
            None,
        )
        .await
        .unwrap();
    assert_eq!(
        (stored.quarantined.len(), stored.seen),
        (2, 1),
        "the same bytes are held once"
    );
    let mut store = Store::open(folder.path()).unwrap();
    let held = store.held().unwrap();
    assert_eq!(held[0].why, "row 3: two cells");
    assert_eq!(store.retry(&[held[0].seq]).unwrap(), [true]);
    let again = journal.pending_after(0, 10).await.unwrap();
    assert_eq!(
        &again[0].raw.body[..],
        b"x",
        "the daemon sees what another process made pending"
    );
    assert_eq!(store.discard(&[held[1].seq]).unwrap(), [true]);
    assert_eq!(store.discard(&[held[1].seq]).unwrap(), [false], "only once");
    assert!(store.raw(held[1].seq).unwrap().is_none());
    assert_eq!(store.decisions(&held[1].seq.to_string()).unwrap()[0].outcome, "dropped");
    journal.settle(vec![delivered(&again[0])]).await.unwrap();
    journal.flush().await.unwrap();
    assert_eq!(store.verify(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_removes_settled_items_and_keeps_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let none = JournalSettings {
        raw_days: 0,
        ..settings(folder.path())
    };
    let journal = Journal::open(&none, &Metrics::new()).unwrap();
    let items: Vec<_> = (0..10).map(|object| item(object, Some(0), 0)).collect();
    journal
        .append(&ConnectorId::new("a"), "s", items.clone(), None)
        .await
        .unwrap();
    let waiting = pending(&journal, 0).await;
    journal
        .settle(waiting[..6].iter().map(|record| delivered(record)).collect())
        .await
        .unwrap();
    journal.flush().await.unwrap();
    journal.tick().await.unwrap();
    journal.flush().await.unwrap();
    let stats = Store::open(folder.path()).unwrap().stats().unwrap();
    assert_eq!((stats.raw_items, stats.now.pending), (4, 4));
    assert_eq!(stats.decisions[0].events, 6, "what was decided outlives the raw data");
    let again = journal.append(&ConnectorId::new("a"), "s", items, None).await.unwrap();
    assert_eq!(again.seen, 10, "identities outlive the raw data");
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_what_was_forgotten_and_a_torn_database() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&settings(folder.path()), &Metrics::new()).unwrap();
    journal
        .append(&ConnectorId::new("a"), "s", vec![item(1, None, 1)], None)
        .await
        .unwrap();
    drop(journal);
    let path = folder.path().join(FILE_NAME);
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute("DELETE FROM pending", [])
        .unwrap();
    let problems = Store::open(folder.path()).unwrap().verify();
    assert_eq!(problems, ["1 stored items that are neither pending, held nor decided"]);
    let missing = Store::open(&folder.path().join("nowhere")).err().unwrap().to_string();
    assert!(missing.contains("journal.dir"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn export_writes_every_item_as_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&settings(folder.path()), &Metrics::new()).unwrap();
    let items = vec![item(1, None, 1), item(2, Some(1), 1)];
    journal.append(&ConnectorId::new("a"), "s", items, None).await.unwrap();
    let mut out = Vec::new();
    assert_eq!(
        Store::open(folder.path())
            .unwrap()
            .export(&mut out, false)
            .unwrap()
            .items,
        2
    );
    let lines: Vec<serde_json::Value> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[1]["external_id"], "object-2");
    assert_eq!(lines[1]["body"]["text"], "2/Some(1)/1");
}
