//! Jobs and ends that fail, beside others in one batch.

use std::{path::Path, sync::mpsc};

use bytes::Bytes;
use rusqlite::ffi;
use uuid::Uuid;

use super::*;
use crate::{
    journal::{DecisionRecord, End, FILE_NAME, Journal, Settlement, Sweep, store::Store, testing::settings},
    telemetry::Metrics,
};

/// Writes a row; tells of each end.
struct Mark(&'static str, mpsc::Sender<bool>);

impl Job for Mark {
    type Answer = ();

    const NAME: &'static str = "mark";

    fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<()> {
        let connection = transaction.connection();
        connection
            .execute("INSERT INTO meta VALUES (?1, 1)", [self.0])
            .map(drop)
    }

    fn ended(&mut self, committed: bool) {
        let _ = self.1.send(committed);
    }
}

/// Holds the writer until somebody says go, so that what is handed over meanwhile shares one commit.
struct Hold(Option<oneshot::Sender<()>>, mpsc::Receiver<()>);

impl Job for Hold {
    type Answer = ();

    const NAME: &'static str = "hold";

    fn run(&mut self, _: &mut Transaction<'_>) -> rusqlite::Result<()> {
        self.0.take().unwrap().send(()).unwrap();
        let _ = self.1.recv();
        Ok(())
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    DiskFull,
    Constraint,
    Panic,
}

/// Writes rows that must not stay, then fails.
struct Fail(Wrong);

impl Job for Fail {
    type Answer = ();

    const NAME: &'static str = "fail";

    fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<()> {
        let insert = "INSERT INTO meta VALUES ('half done', 1)";
        transaction.connection().execute(insert, [])?;
        let items = vec![item("half done")];
        transaction.append(&ConnectorId::new("a"), "s", items)?;
        match self.0 {
            Wrong::DiskFull => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None)),
            Wrong::Constraint => transaction.connection().execute(insert, []).map(drop),
            Wrong::Panic => panic!("a bug"),
        }
    }
}

/// Numbers to note, of which one can't be.
struct Numbers(Vec<i64>);

impl Job for Numbers {
    type Answer = ();

    const NAME: &'static str = "numbers";

    fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<()> {
        for number in &self.0 {
            assert_ne!(*number, 13, "a bug");
            let values = [format!("number {number}")];
            let insert = "INSERT INTO meta VALUES (?1, 1)";
            transaction.connection().execute(insert, values)?;
        }
        Ok(())
    }

    fn halve(&mut self) -> Option<Self> {
        let half = self.0.len() / 2;
        (half > 0).then(|| Self(self.0.split_off(half)))
    }
}

/// Rows of `meta` whose key is like something.
struct Rows(&'static str);

impl Look for Rows {
    type Answer = i64;

    fn look(&self, reader: &Connection) -> rusqlite::Result<i64> {
        let count = "SELECT count(*) FROM meta WHERE key LIKE ?1";
        reader.query_row(count, [self.0], |row| row.get(0))
    }
}

fn item(id: &str) -> Item {
    Item {
        external_id: id.into(),
        revision: Some("1".into()),
        fingerprint: None,
        conversation: None,
        format: "test",
        body: Bytes::from(id.to_owned()),
        problem: None,
    }
}

fn open(folder: &Path) -> (Journal, Metrics) {
    let metrics = Metrics::new();
    (Journal::open(&settings(folder), &metrics).unwrap(), metrics)
}

/// Stores items named by numbers and takes them out.
async fn stored(journal: &Journal, count: usize) -> Vec<Arc<Record>> {
    let items = (0..count).map(|number| item(&number.to_string())).collect();
    journal.append(&ConnectorId::new("a"), "s", items, None).await.unwrap();
    let mut records = Vec::new();
    while records.len() < count {
        let after = records.last().map_or(0, |record: &Arc<Record>| record.position);
        records.extend(journal.pending_after(after, count).await.unwrap());
    }
    records
}

fn end(record: &Record) -> Settlement {
    let decision = DecisionRecord {
        event_id: Uuid::from_u128(record.seq as u128),
        event: "received",
        outcome: "published",
        channel: "test".into(),
        queue: format!("queue of {}", record.raw.external_id),
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

/// Makes a table refuse some rows.
fn refuse(folder: &Path, event: &str, rows: &str) {
    let text =
        format!("CREATE TRIGGER refuse BEFORE {event} WHEN {rows} BEGIN SELECT RAISE(ABORT, 'not this one'); END");
    other(folder, &text);
}

fn other(folder: &Path, text: &str) {
    let other = Connection::open(folder.join(FILE_NAME)).unwrap();
    other.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
    other.execute_batch(text).unwrap();
}

/// Runs something while the writer is held, so that all of it shares one batch.
async fn together<T>(journal: &Journal, hand_over: impl Future<Output = T>) -> T {
    let ((holds, held), (go, wait)) = (oneshot::channel(), mpsc::channel());
    let holder = journal.clone();
    let holding = tokio::spawn(async move { holder.ask(Hold(Some(holds), wait)).await });
    held.await.unwrap();
    let (done, ()) = tokio::join!(
        biased;
        hand_over,
        // Polled after all of it was handed over.
        async move { go.send(()).unwrap() },
    );
    assert!(holding.await.unwrap().is_ok(), "a commit of its own");
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_store_answers_who_waits_and_what_is_owed_is_done_by_the_next_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, metrics) = open(folder.path());
    let (asked_ends, asked_ended) = mpsc::channel();
    let (owed_ends, owed_ended) = mpsc::channel();
    let (asked, failed, owed) = together(&journal, async {
        tokio::join!(
            biased;
            journal.ask(Mark("asked", asked_ends)),
            journal.ask(Fail(Wrong::DiskFull)),
            journal.owe(Mark("owed", owed_ends)),
        )
    })
    .await;
    assert!(asked.is_err() && failed.is_err(), "one commit");
    owed.unwrap();
    assert_eq!(asked_ended.recv(), Ok(false));
    assert!(!owed_ended.recv().unwrap(), "taken back with the others");
    journal.flush().await.unwrap();
    assert!(owed_ended.recv().unwrap(), "done again");
    assert_eq!(
        journal.look(Rows("%ed")).await.unwrap(),
        1,
        "once, and nothing of the other"
    );
    assert_eq!(metrics.journal_errors.get(), 1);
    assert_eq!(metrics.journal_jobs_failed.get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_for_itself_or_panics_costs_nobody_else_anything() {
    for wrong in [Wrong::Constraint, Wrong::Panic] {
        let folder = tempfile::tempdir().unwrap();
        let (journal, metrics) = open(folder.path());
        let records = stored(&journal, 1).await;
        let (ends, ended) = mpsc::channel();
        let connector = ConnectorId::new("a");
        let ((), before, failed, behind, owed, appended) = together(&journal, async {
            tokio::join!(
                biased;
                async { journal.settle(vec![end(&records[0])]).await.unwrap() },
                journal.ask(Mark("before", ends.clone())),
                journal.ask(Fail(wrong)),
                journal.ask(Mark("behind", ends.clone())),
                journal.owe(Mark("owed", ends.clone())),
                journal.append(&connector, "s", vec![item("new")], None),
            )
        })
        .await;
        let error = failed.unwrap_err().to_string();
        assert!(error.contains("fail: "), "{wrong:?} is told whose it is: {error}");
        before.unwrap();
        behind.unwrap();
        owed.unwrap();
        assert_eq!(appended.unwrap().new, 1);
        journal.flush().await.unwrap();
        assert_eq!(ended.try_iter().filter(|committed| *committed).count(), 3, "each once");
        assert_eq!(journal.look(Rows("%half%")).await.unwrap(), 0);
        assert_eq!(
            (metrics.journal_jobs_failed.get(), metrics.journal_errors.get()),
            (1, 0)
        );
        assert!(journal.is_writable());
        let store = Store::open(folder.path()).unwrap();
        let stats = store.stats().unwrap();
        assert_eq!((stats.raw_items, stats.now.pending), (2, 1), "counted once");
        assert_eq!(store.decisions(&Uuid::from_u128(1).to_string()).unwrap().len(), 1);
        assert_eq!(store.verify(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_cant_be_stored_refuse_their_own_sender_only() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _metrics) = open(folder.path());
    refuse(folder.path(), "INSERT ON raw", "new.external_id = 'poison'");
    let connector = ConnectorId::new("a");
    let append = |items| journal.append(&connector, "s", items, None);
    let (one, bad, other) = together(&journal, async {
        tokio::join!(
            biased;
            append(vec![item("one")]),
            append(vec![item("two"), item("poison")]),
            append(vec![item("three")]),
        )
    })
    .await;
    assert_eq!((one.unwrap().new, other.unwrap().new), (1, 1));
    assert!(bad.unwrap_err().to_string().contains("not this one"));
    assert!(journal.is_writable());
    let again = append(vec![item("two")]).await.unwrap();
    assert_eq!(again.new, 1, "nothing of it was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_owed_job_only_what_is_at_fault_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, metrics) = open(folder.path());
    journal.owe(Numbers((0..40).collect())).await.unwrap();
    journal.flush().await.unwrap();
    assert_eq!(journal.look(Rows("number %")).await.unwrap(), 39);
    journal.flush().await.unwrap();
    assert_eq!(metrics.journal_jobs_failed.get(), 1, "once, and not tried for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_cant_be_recorded_puts_its_item_into_quarantine() {
    // Refused when it is written, or when the counts of all are.
    for event in ["INSERT ON outlet", "UPDATE ON outlet"] {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _metrics) = open(folder.path());
        let records = stored(&journal, 50).await;
        refuse(folder.path(), event, "new.queue = 'queue of 17'");
        let ends = records.iter().map(|record| end(record)).collect();
        journal.settle(ends).await.unwrap();
        journal.flush().await.unwrap();
        let store = Store::open(folder.path()).unwrap();
        let held = store.held().unwrap();
        assert_eq!(held.len(), 1, "{event}");
        assert_eq!((held[0].seq, held[0].reason.as_str()), (records[17].seq, "unrecorded"));
        assert!(held[0].why.contains("not this one"), "{}", held[0].why);
        let stats = store.stats().unwrap();
        assert_eq!(stats.now.pending, 0);
        assert_eq!(stats.decisions.iter().map(|line| line.events).sum::<i64>(), 49);
        assert_eq!(store.verify(), Vec::<String>::new());
        assert!(journal.is_writable());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_cant_even_be_held_stays_pending_and_comes_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _metrics) = open(folder.path());
    let records = stored(&journal, 3).await;
    refuse(folder.path(), "DELETE ON pending", "old.position = 2");
    journal
        .settle(records.iter().map(|record| end(record)).collect())
        .await
        .unwrap();
    journal.flush().await.unwrap();
    drop(journal);
    other(folder.path(), "DROP TRIGGER refuse");
    let (journal, _metrics) = open(folder.path());
    let again = journal.pending_after(0, 10).await.unwrap();
    assert_eq!(again.iter().map(|record| record.position).collect::<Vec<_>>(), [2]);
    journal.settle(vec![end(&again[0])]).await.unwrap();
    journal.flush().await.unwrap();
    assert_eq!(Store::open(folder.path()).unwrap().stats().unwrap().now.pending, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_in_a_row_is_the_stores_fault_and_is_kept_until_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, metrics) = open(folder.path());
    let records = stored(&journal, 1_000).await;
    refuse(folder.path(), "INSERT ON settled", "TRUE");
    journal
        .settle(records.iter().map(|record| end(record)).collect())
        .await
        .unwrap();
    assert!(journal.flush().await.is_err(), "it is not on disk");
    let store = Store::open(folder.path()).unwrap();
    let held = store.held().unwrap().len();
    assert!((1..100).contains(&held), "{held} in quarantine");
    assert!(!journal.is_writable(), "it is told");
    assert!(metrics.journal_jobs_failed.get() > 0);
    assert!(journal.flush().await.is_err());
    assert_eq!(store.held().unwrap().len(), held, "no more go there");
    other(folder.path(), "DROP TRIGGER refuse");
    journal.flush().await.unwrap();
    assert_eq!(store.stats().unwrap().now.pending, 0);
    assert_eq!(store.held().unwrap().len(), held, "the others were recorded");
    journal.tick().await.unwrap();
    journal.flush().await.unwrap();
    assert!(journal.is_writable());
}

/// Housekeeping with a bug.
struct Broken;

impl Sweep for Broken {
    fn sweep(&mut self, connection: &Connection, _: i64) -> rusqlite::Result<()> {
        connection.execute("INSERT INTO meta VALUES ('swept', 1)", [])?;
        panic!("a bug")
    }
}

/// Housekeeping beside it.
struct Sound;

impl Sweep for Sound {
    fn sweep(&mut self, connection: &Connection, _: i64) -> rusqlite::Result<()> {
        let insert = "INSERT OR REPLACE INTO meta VALUES ('sound', 1)";
        connection.execute(insert, []).map(drop)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn housekeeping_that_fails_stops_neither_the_rest_of_it_nor_anybody_else() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, metrics) = open(folder.path());
    journal.keep_swept(Broken);
    journal.keep_swept(Sound);
    let (ends, ended) = mpsc::channel();
    let ((), asked) = together(&journal, async {
        tokio::join!(
            biased;
            async { journal.tick().await.unwrap() },
            journal.ask(Mark("asked", ends)),
        )
    })
    .await;
    asked.unwrap();
    // Somebody who asked may be answered before the rest of the batch is done.
    journal.flush().await.unwrap();
    assert!(ended.try_iter().any(|committed| committed));
    assert_eq!(journal.look(Rows("swept")).await.unwrap(), 0);
    assert_eq!(journal.look(Rows("sound")).await.unwrap(), 1);
    assert_eq!(metrics.journal_jobs_failed.get(), 1);
    assert!(journal.is_writable());
}
