//! A journal that an older version wrote, opened by this one.

use std::path::Path;

use priem_sdk::{Item, contract::ConnectorId};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::{FILE_NAME, Journal, JournalSettings, decided::Waiting, schema, store::Store, testing::settings};
use crate::telemetry::Metrics;

const DAY: i64 = 86_400_000_000;

fn event(seq: i64) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &seq.to_be_bytes())
}

fn routing(seq: i64) -> String {
    format!(
        "{{\"recipient\":{{\"organisation\":\"МЦУ\"}},\"queue\":\"q\",\"explanation\":[\"Правило «Ямы» (pits): в тексте есть «яма».\",\
         \"Срок «ответ»: до {:02}.06.2026 по правилу «Ответ» (answer).\"]}}",
        1 + seq % 28
    )
}

/// 2 500 settled items (of the first 1 000 the raw data is gone), one parked, one in quarantine, three pending, a clock.
fn version_3(folder: &Path) {
    let connection = Connection::open(folder.join(FILE_NAME)).unwrap();
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
    schema::of_version(&connection, 3);
    let now = jiff::Timestamp::now().as_microsecond();
    connection
        .execute_batch("BEGIN; INSERT INTO connector VALUES (1, 'ex')")
        .unwrap();
    let raw = |seq: i64| {
        let name = format!("id-{seq}");
        let values = params![seq, name, now - DAY, vec![b'x'; 300]];
        let insert = "INSERT INTO raw VALUES (?1, 1, 's', ?2, 'c0', 0, ?2, 'files.row', ?3, ?4)";
        connection.execute(insert, values).unwrap();
    };
    for seq in 1..=2_500 {
        if seq > 1_000 {
            raw(seq);
        }
        for queue in ["a", "b"] {
            let at = now - DAY + seq;
            let values = params![seq, event(seq).as_bytes().to_vec(), queue, at, routing(seq)];
            let insert = "INSERT INTO decision VALUES (?1, ?2, ?3, 'received', 'published', ?4, 'incident', ?5)";
            connection.execute(insert, values).unwrap();
        }
    }
    for seq in 2_501..=2_504 {
        raw(seq);
        connection
            .execute("INSERT INTO pending (seq) VALUES (?1)", [seq])
            .unwrap();
    }
    connection
        .execute_batch(
            "DELETE FROM pending WHERE seq = 2501;
             INSERT INTO held VALUES (2500, 'parked', 'unroutable', 'no queue', 1), (2501, 'quarantined', 'bad_row', 'two cells', 1);
             INSERT INTO seen VALUES (x'0102', NULL, x'00', 1, 1);
             INSERT INTO cursor VALUES (1, 's', '17', 1);
             INSERT INTO likeness VALUES (x'01', x'02', x'03', 9223372036854775807);
             INSERT INTO kin VALUES (x'01', x'02', NULL, NULL, 'incident', NULL, 1);
             INSERT INTO watched VALUES (x'01', 1, 'ex', 'id-1', x'7b7d', 9223372036854775807);
             INSERT INTO clock VALUES (x'01', 'answer', 5, 4, NULL, x'7b7d'), (x'01', 'review', 5, 4, 9223372036854775806, x'7b7d');
             COMMIT",
        )
        .unwrap();
}

fn look(store: &Store, when: &str) {
    for seq in [1, 999, 1_001, 2_499] {
        for wanted in [event(seq).to_string(), seq.to_string()] {
            let found = store.decisions(&wanted).unwrap();
            let queues: Vec<&str> = found.iter().map(|decided| decided.queue.as_str()).collect();
            assert_eq!(queues, ["a", "b"], "{when}: {wanted}");
            assert_eq!((found[0].seq, found[0].event_id.clone()), (seq, event(seq).to_string()));
            assert_eq!(
                found[0].routing,
                serde_json::from_str::<serde_json::Value>(&routing(seq)).unwrap()
            );
        }
    }
    assert_eq!(store.decisions("id-1500").unwrap()[0].seq, 1_500, "{when}");
    assert_eq!(store.unsettled("id-2501").unwrap()[0].0, 2_501, "{when}");
    assert_eq!(
        store.unsettled("id-2502").unwrap(),
        [(2_502, Waiting::Delivery)],
        "{when}"
    );
    assert!(store.unsettled("id-1500").unwrap().is_empty(), "{when}");
    assert_eq!(store.verify(), Vec::<String>::new(), "{when}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_journal_opens_at_once_and_moves_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    version_3(folder.path());
    let metrics = Metrics::new();
    let journal = Journal::open(&settings(folder.path()), &metrics).unwrap();
    assert_eq!((metrics.pending.get(), metrics.parked.get()), (3, 1));
    assert_eq!(metrics.quarantine.with_label_values(&["bad_row"]).get(), 1);
    let store = Store::open(folder.path()).unwrap();
    look(&store, "nothing moved");
    // Something new comes and goes while the old is moved.
    let item = Item {
        external_id: "id-new".into(),
        revision: Some("1".into()),
        fingerprint: None,
        conversation: None,
        format: "test",
        body: "x".into(),
        problem: None,
    };
    let stored = journal
        .append(&ConnectorId::new("ex"), "s", vec![item], None)
        .await
        .unwrap();
    assert_eq!(stored.new, 1);
    let mut looks = 0;
    while store.stats().unwrap().moving_old {
        journal.tick().await.unwrap();
        journal.flush().await.unwrap();
        looks += 1;
        look(&store, &format!("after {looks} ticks"));
        assert!(looks < 20, "it ends");
    }
    let stats = store.stats().unwrap();
    assert_eq!(stats.raw_items, 1_500 + 4 + 1, "counted");
    let events: i64 = stats.decisions.iter().map(|line| line.events).sum();
    assert_eq!(events, 5_000);
    assert_eq!(store.decisions("id-new").unwrap().len(), 0);
    assert_eq!(store.unsettled("id-new").unwrap().len(), 1);
    let left: i64 = store
        .connection
        .query_row("SELECT count(*) FROM decision /* walks: a test */", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(left, 0);
    let clocks: (i64, i64) = store
        .connection
        .query_row("SELECT running, told FROM clock_count", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(clocks, (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_leaves_first_also_when_there_is_no_room() {
    let folder = tempfile::tempdir().unwrap();
    version_3(folder.path());
    let tight = JournalSettings {
        max_bytes: 1 << 20,
        ..settings(folder.path())
    };
    let metrics = Metrics::new();
    let journal = Journal::open(&tight, &metrics).unwrap();
    for _ in 0..10 {
        journal.tick().await.unwrap();
        journal.flush().await.unwrap();
    }
    assert_eq!(metrics.journal_writable.get(), 1);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.stats().unwrap().now.pending, 3);
    assert_eq!(store.verify(), Vec::<String>::new());
}

#[test]
fn a_command_brings_an_old_journal_up_to_date_when_no_daemon_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    version_3(folder.path());
    let lock = super::super::opening::lock(folder.path()).unwrap();
    let error = Store::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("restart it first"), "{error}");
    drop(lock);
    look(&Store::open(folder.path()).unwrap(), "by a command");
}
