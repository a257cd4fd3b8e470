//! The log is cut and somebody writes: each has its turn.

use std::time::Instant;

use priem_sdk::contract::ConnectorId;

use super::{
    super::{
        FILE_NAME, Journal,
        testing::{item, settings},
    },
    *,
};
use crate::telemetry::Metrics;

/// Far above what is needed: it only bounds a hanging test.
const PATIENCE: Duration = Duration::from_secs(120);

fn until(holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_cut_waits_for_its_turn_before_it_locks_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let writer = Connection::open(&path).unwrap();
    writer.busy_timeout(Duration::ZERO).unwrap();
    writer.pragma_update(None, "journal_mode", "WAL").unwrap();
    writer.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    writer.execute_batch("CREATE TABLE t (a)").unwrap();
    let insert = "INSERT INTO t VALUES (randomblob(1000000))";
    while log_bytes(folder.path()) <= IDLE_BYTES {
        writer.execute(insert, []).unwrap();
    }
    let turns = Arc::<Turns>::default();
    let mut folding = Folding::new(&path, Arc::clone(&turns)).unwrap();
    let turn = turns.take();
    let looking = std::thread::spawn(move || {
        for _ in 0..=IDLE_LOOKS {
            folding.fold().unwrap();
        }
    });
    until(|| turns.waiting() == 1 || looking.is_finished());
    assert!(!looking.is_finished(), "the log was cut out of turn");
    writer.execute(insert, []).expect("the file is not locked meanwhile");
    drop(turn);
    looking.join().unwrap();
    assert_eq!(log_bytes(folder.path()), 0, "what was written meanwhile is folded too");
    let rows: i64 = writer
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap();
    assert!(rows > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_waits_for_the_end_of_a_cut_however_long_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let journal = Journal::open(&settings(folder.path()), &metrics).unwrap();
    // As a cut does.
    let turns = journal.turns();
    let turn = turns.take();
    let cut = Connection::open(folder.path().join(FILE_NAME)).unwrap();
    cut.execute_batch("BEGIN IMMEDIATE").unwrap();
    let sender = journal.clone();
    let items = vec![item("a")];
    let appending = tokio::spawn(async move { sender.append(&ConnectorId::new("a"), "s", items, None).await });
    until(|| turns.waiting() == 1 || appending.is_finished());
    assert!(!appending.is_finished(), "refused, because the file is locked");
    cut.execute_batch("ROLLBACK").unwrap();
    drop(turn);
    assert_eq!(appending.await.unwrap().unwrap().new, 1);
    assert_eq!(metrics.journal_errors.get(), 0);
}
