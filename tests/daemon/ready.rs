//! A journal that is in trouble says so and loses nothing: somebody's lock, a file taken away, damage, a clock that
//! jumps, a log that grows, files that others may read, texts that command a terminal.

use std::{
    io::Write,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use priem::{
    journal::{
        DecisionRecord, End, FILE_NAME, Journal, JournalError, JournalSettings, Reading, Settlement, store::Store,
    },
    telemetry::Metrics,
};
use priem_sdk::{Item, NormalizeError, contract::ConnectorId};
use rusqlite::Connection;

use crate::support::{self, Installation, PATIENCE, flow, json, pause, text, until};

const DAY: i64 = 86_400_000_000;

/// One delivery of our own; its status.
async fn deliver(daemon: &Installation, number: u64) -> u16 {
    flow::deliver(daemon, number, &format!("Яма {number}")).await
}

async fn health(daemon: &Installation) -> (u16, String) {
    daemon.get("/health/ready").await.unwrap_or_default()
}

fn published(daemon: &Installation) -> usize {
    let out = std::fs::read_to_string(daemon.folder.path().join("out.ndjson"));
    out.unwrap_or_default().lines().count()
}

fn database(folder: &Path) -> PathBuf {
    folder.join(FILE_NAME)
}

fn beside(folder: &Path, suffix: &str) -> PathBuf {
    folder.join(format!("{FILE_NAME}{suffix}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn somebodys_lock_costs_refusals_and_no_sign_of_life() {
    let city = flow::telegram().await;
    let mut daemon = flow::install(&(flow::settings(None) + &flow::hook(&city.api_url())));
    let socket = daemon.folder.path().join("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = format!("NOTIFY_SOCKET={}", socket.display());
    daemon.wrap(&["env", &address, "WATCHDOG_USEC=30000000"]);
    daemon.start().await;
    assert_eq!(deliver(&daemon, 1).await, 200);

    let person = Connection::open(database(&daemon.journal())).unwrap();
    person.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(deliver(&daemon, 2).await, 503);
    until("not ready", async || health(&daemon).await.0 == 503).await;
    assert!(
        health(&daemon).await.1.contains("locked"),
        "{}",
        health(&daemon).await.1
    );
    assert_eq!(daemon.metric("priem_journal_writable", "").await, 0.0);
    let mut buffer = [0; 256];
    systemd.set_nonblocking(true).unwrap();
    while systemd.recv(&mut buffer).is_ok() {}
    systemd.set_nonblocking(false).unwrap();
    for _ in 0..5 {
        let length = systemd.recv(&mut buffer).expect("a sign of life under the lock");
        assert!(buffer[..length].starts_with(b"WATCHDOG=1"));
        assert_eq!(deliver(&daemon, 2).await, 503, "answered, not left waiting");
    }
    person.execute_batch("ROLLBACK").unwrap();
    until("ready by itself", async || health(&daemon).await.0 == 200).await;
    assert_eq!(deliver(&daemon, 2).await, 200);
    until("both are published", async || published(&daemon) == 2).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_deleted_under_the_daemon_takes_nothing_more_and_is_missed_at_the_next_start() {
    let city = flow::telegram().await;
    let mut daemon = flow::install(&(flow::settings(None) + &flow::hook(&city.api_url())));
    daemon.start().await;
    for number in 1..=3 {
        assert_eq!(deliver(&daemon, number).await, 200);
    }
    for suffix in ["", "-wal", "-shm"] {
        std::fs::remove_file(beside(&daemon.journal(), suffix)).unwrap();
    }
    assert_eq!(deliver(&daemon, 4).await, 503, "at once");
    until("not ready", async || health(&daemon).await.0 == 503).await;
    assert!(health(&daemon).await.1.contains("taken away"));
    assert_eq!(daemon.metric("priem_journal_writable", "").await, 0.0);
    until("what was accepted is published", async || published(&daemon) == 3).await;
    daemon.stop().await;

    daemon.start().await;
    daemon.metric_reaches("priem_journal_losses", "", 1.0).await;
    until("degraded", async || health(&daemon).await.1.contains("journal-losses")).await;
    assert!(daemon.log().contains("with items up to 3, is gone"), "{}", daemon.log());
    let verify = daemon.priem(&["journal", "verify"]);
    assert_eq!(verify.status.code(), Some(1), "{}", text(&verify));
    assert!(daemon.priem(&["journal", "acknowledge"]).status.success());
    until("seen", async || daemon.metric("priem_journal_losses", "").await == 0.0).await;
    until("well", async || !health(&daemon).await.1.contains("journal-losses")).await;
    assert!(daemon.priem(&["journal", "verify"]).status.success());
    daemon.stop().await;
}

fn settings(folder: &Path) -> JournalSettings {
    JournalSettings {
        dir: folder.to_owned(),
        min_free_bytes: 0,
        ..JournalSettings::default()
    }
}

fn item(number: usize, bytes: usize) -> Item {
    Item {
        external_id: format!("object-{number}"),
        revision: Some("1".into()),
        fingerprint: None,
        conversation: None,
        format: "test",
        body: "ж".repeat(bytes / 2).into(),
        problem: None,
    }
}

async fn append(journal: &Journal, items: Vec<Item>) -> Result<(), JournalError> {
    let connector = ConnectorId::new("a");
    journal.append(&connector, "s", items, None).await.map(drop)
}

async fn deliver_all(journal: &Journal) {
    let mut position = 0;
    while journal.pending_count() > 0 {
        let records = journal.pending_after(position, 1_000).await.unwrap();
        position = records.last().unwrap().position;
        let settled = records.iter().map(|record| Settlement {
            position: record.position,
            seq: record.seq,
            end: End::Delivered {
                decisions: vec![DecisionRecord {
                    event_id: uuid::Uuid::from_u128(record.seq as u128),
                    event: "ru.priem.message.received.v1",
                    outcome: "published",
                    channel: "test".into(),
                    queue: "q".into(),
                    routing: "{}".into(),
                }],
                parked: None,
            },
        });
        journal.settle(settled.collect()).await.unwrap();
        journal.flush().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_deletes_nothing_until_somebody_says_that_it_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Arc::new(Mutex::new(Reading::now()));
    let read = {
        let hands = Arc::clone(&hands);
        move || *hands.lock().unwrap()
    };
    let metrics = Metrics::new();
    let journal = Journal::open_at(&settings(folder.path()), &metrics, read).unwrap();
    let kept = || {
        let stats = Store::open(folder.path()).unwrap().stats().unwrap();
        (stats.raw_items, stats.known_objects)
    };
    let sweep = async || {
        for _ in 0..5 {
            journal.tick().await.unwrap();
            journal.flush().await.unwrap();
        }
    };
    append(&journal, (0..30).map(|number| item(number, 100)).collect())
        .await
        .unwrap();
    deliver_all(&journal).await;
    hands.lock().unwrap().wall -= 400 * DAY;
    append(&journal, (30..60).map(|number| item(number, 100)).collect())
        .await
        .unwrap();
    deliver_all(&journal).await;
    sweep().await;
    assert!(journal.clock_doubt().unwrap().is_negative() && metrics.clock_doubt.get() < 0);
    hands.lock().unwrap().wall += 400 * DAY;
    sweep().await;
    assert_eq!(
        (kept(), journal.clock_doubt()),
        ((60, 60), None),
        "stored by a wrong clock, and not old"
    );
    hands.lock().unwrap().wall += 400 * DAY;
    sweep().await;
    assert_eq!(kept(), (60, 60));
    assert_eq!(metrics.clock_doubt.get(), 400 * DAY / 1_000_000);

    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.acknowledge().unwrap(), []);
    sweep().await;
    assert_eq!((journal.clock_doubt(), metrics.clock_doubt.get()), (None, 0));
    until("old by the clock that is right", async || {
        sweep().await;
        kept() == (0, 0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_damaged_after_it_was_synced_is_told_until_somebody_has_seen_it() {
    let folder = tempfile::tempdir().unwrap();
    let (live, copy) = (folder.path().join("live"), folder.path().join("copy"));
    let journal = Journal::open(&settings(&live), &Metrics::new()).unwrap();
    // Somebody reads all the time: nothing is folded into the database, as in the second before a crash.
    let reader = Connection::open(database(&live)).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM raw").unwrap();
    for number in 0..20 {
        append(&journal, vec![item(number, 5_000)]).await.unwrap();
    }
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(&live).unwrap() {
        let entry = entry.unwrap();
        // Its index is made anew after a power cut.
        if !entry.file_name().to_string_lossy().ends_with("-shm") {
            std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
    }
    let mut log = std::fs::read(beside(&copy, "-wal")).unwrap();
    let half = log.len() / 2;
    log[half] ^= 0xff;
    std::fs::write(beside(&copy, "-wal"), &log).unwrap();

    // A command looks first: it says so, and leaves everything as it is.
    let store = Store::open(&copy).unwrap();
    let problems = store.verify().join("\n");
    assert!(problems.contains("frames could not be recovered"), "{problems}");
    assert!(
        problems.contains("to 20 were acknowledged and are not here"),
        "{problems}"
    );
    drop(store);
    assert_eq!(std::fs::read(beside(&copy, "-wal")).unwrap(), log);

    let metrics = Metrics::new();
    let opened = Journal::open(&settings(&copy), &metrics).unwrap();
    let losses = opened.observe().unwrap();
    assert_eq!((losses.len(), metrics.journal_losses.get()), (2, 2), "{losses:?}");
    assert!(losses[0].what.contains("is kept in"), "{losses:?}");
    let kept: Vec<_> = std::fs::read_dir(&copy)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("-wal.damaged-"))
        .collect();
    assert_eq!(std::fs::read(&kept[0]).unwrap(), log, "for whoever can read more of it");
    drop(opened);
    // It is told again after a restart, and no more after a person has seen it.
    let opened = Journal::open(&settings(&copy), &metrics).unwrap();
    assert_eq!(opened.observe().unwrap().len(), 2);
    assert_eq!(Store::open(&copy).unwrap().acknowledge().unwrap().len(), 2);
    assert_eq!(opened.observe().unwrap(), []);
    drop(opened);
    assert_eq!(
        Journal::open(&settings(&copy), &metrics).unwrap().observe().unwrap(),
        []
    );
}

#[test]
fn what_lies_in_the_place_of_a_file_of_ours_is_named_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("journal");
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    let refused = || match Journal::open(&settings(&dir), &Metrics::new()) {
        Ok(_) => panic!("taken over"),
        Err(error) => error.to_string(),
    };
    for strange in [
        "CREATE TABLE customers (name TEXT); INSERT INTO customers VALUES ('a')",
        "CREATE TABLE meta (key TEXT, value TEXT); PRAGMA user_version = 3",
        "PRAGMA application_id = 42",
    ] {
        let other = Connection::open(database(&dir)).unwrap();
        other.execute_batch(strange).unwrap();
        drop(other);
        let before = std::fs::read(database(&dir)).unwrap();
        let error = refused();
        assert!(
            error.contains("journal.sqlite is a database of another program"),
            "{error}"
        );
        assert!(Store::open(&dir).is_err());
        assert!(priem::journal::check(&settings(&dir)).failed(), "{strange}");
        assert_eq!(std::fs::read(database(&dir)).unwrap(), before, "{strange}");
        std::fs::remove_file(database(&dir)).unwrap();
    }
    let _ = std::fs::remove_file(dir.join("journal.mark"));
    std::fs::create_dir(dir.join("journal.mark")).unwrap();
    let error = refused();
    assert!(error.contains("journal.mark: Is a directory"), "{error}");
    assert!(priem::journal::check(&settings(&dir)).failed());
    std::fs::remove_dir(dir.join("journal.mark")).unwrap();
    Journal::open(&settings(&dir), &Metrics::new()).unwrap();
    assert!(!priem::journal::check(&settings(&dir)).failed());
}

fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o700)).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_beside_the_mark_of_the_newer_journal_is_told_as_the_loss_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (live, backup) = (folder.path().join("live"), folder.path().join("backup"));
    for from in [0, 10] {
        let journal = Journal::open(&settings(&live), &Metrics::new()).unwrap();
        append(&journal, (from..from + 10).map(|number| item(number, 10)).collect())
            .await
            .unwrap();
        drop(journal);
        if from == 0 {
            copied(&live, &backup);
        }
    }

    // The way of the guide: the mark of the journal that was here stays with what replaces it.
    let told = folder.path().join("told");
    copied(&backup, &told);
    std::fs::copy(live.join("journal.mark"), told.join("journal.mark")).unwrap();
    let losses = Journal::open(&settings(&told), &Metrics::new())
        .unwrap()
        .observe()
        .unwrap();
    assert_eq!(losses.len(), 1, "{losses:?}");
    assert!(
        losses[0]
            .what
            .contains("items 11 to 20 were acknowledged and are not here"),
        "{losses:?}"
    );

    // A copy with its own mark is as good a journal as any: nobody can tell, and the guide says so.
    let opened = Journal::open(&settings(&backup), &Metrics::new()).unwrap();
    assert_eq!(opened.observe().unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_counted_and_cut_when_a_long_reader_ends() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let journal = Journal::open(&settings(folder.path()), &metrics).unwrap();
    append(&journal, vec![item(0, 100)]).await.unwrap();
    let reader = Connection::open(database(folder.path())).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM raw").unwrap();
    let log = || std::fs::metadata(beside(folder.path(), "-wal")).unwrap().len();
    let mut number = 1;
    while log() < 24 << 20 {
        append(
            &journal,
            (number..number + 50).map(|number| item(number, 20_000)).collect(),
        )
        .await
        .unwrap();
        number += 50;
    }
    journal.observe().unwrap();
    assert!(metrics.journal_bytes.get() as u64 > log() && metrics.journal_log_bytes.get() as u64 == log());
    let stats = Store::open(folder.path()).unwrap().stats().unwrap();
    assert!(stats.bytes > log());
    reader.execute_batch("ROLLBACK").unwrap();
    until("it is cut without a write", async || log() < 8 << 20).await;
}

/// An output that looks, while it is written to, whether its writer holds a snapshot of the journal.
struct Slow<'a>(&'a Connection, usize);

impl Write for Slow<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.1 == 0 {
            let insert = "INSERT OR REPLACE INTO meta VALUES ('test', randomblob(9))";
            self.0.execute(insert, []).unwrap();
            let busy: i64 = self
                .0
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
                .unwrap();
            assert_eq!(busy, 0, "somebody reads on while the output waits");
        }
        self.1 += 1;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_waits_for_its_reader_holds_no_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&settings(folder.path()), &Metrics::new()).unwrap();
    append(&journal, (0..2_000).map(|number| item(number, 100)).collect())
        .await
        .unwrap();
    drop(journal);
    let other = Connection::open(database(folder.path())).unwrap();
    other.busy_timeout(std::time::Duration::ZERO).unwrap();
    let store = Store::open(folder.path()).unwrap();
    let exported = store.export(&mut Slow(&other, 0), false).unwrap();
    assert_eq!((exported.items, exported.unreadable), (2_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_gives_what_can_be_read_around_damage() {
    const ITEMS: usize = 3_000;
    let installation = Installation::new("version: 1\njournal: { dir: journal }\n");
    let folder = installation.journal();
    let journal = Journal::open(&settings(&folder), &Metrics::new()).unwrap();
    append(&journal, (0..ITEMS).map(|number| item(number, 900)).collect())
        .await
        .unwrap();
    deliver_all(&journal).await;
    drop(journal);
    let mut bytes = std::fs::read(database(&folder)).unwrap();
    // Pages that hold rows (`0x0d`), behind the first ones, where tables begin.
    let rows: Vec<usize> = (60..bytes.len() / 4096)
        .map(|page| page * 4096)
        .filter(|start| bytes[*start] == 0x0d)
        .collect();
    for start in rows.into_iter().step_by(7) {
        bytes[start..start + 200].fill(0xa5);
    }
    std::fs::write(database(&folder), &bytes).unwrap();

    // What can be read, asked one by one.
    let connection = Connection::open(database(&folder)).unwrap();
    let readable = (1..=ITEMS as i64)
        .filter(|seq| {
            let query = "SELECT body, external_id FROM raw WHERE seq = ?1";
            let row = connection.query_row(query, [seq], |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?))
            });
            row.is_ok()
        })
        .count();
    assert!(readable > ITEMS / 2 && readable < ITEMS, "{readable}");

    let export = installation.priem(&["journal", "export"]);
    let lines = text(&export).lines().count();
    assert_eq!((export.status.code(), lines), (Some(1), readable));
    let said = String::from_utf8_lossy(&export.stderr).into_owned();
    assert!(
        said.contains(&format!("{} numbers can't be read", ITEMS - readable)),
        "{said}"
    );
    let verify = installation.priem(&["journal", "verify", "--json"]);
    assert_eq!(
        verify.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&verify.stderr)
    );
    assert_eq!(json(&verify)["ok"], false);
}

#[test]
fn a_file_that_is_no_journal_is_named_with_a_cure() {
    let installation = Installation::new("version: 1\njournal: { dir: journal }\n");
    support::write(&database(&installation.journal()), &"no database ".repeat(1_000));
    let stats = installation.priem(&["journal", "stats"]);
    let said = String::from_utf8_lossy(&stats.stderr).into_owned();
    assert_eq!(stats.status.code(), Some(3));
    assert!(said.contains(FILE_NAME) && said.contains("put back a copy"), "{said}");
}

fn files_below(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files_below(&path, all),
            false => all.push(path),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_with_citizens_words_is_its_owners_alone_whatever_the_umask() {
    let city = flow::telegram().await;
    let attachments = "attachments: { dir: attachments }\nconnectors:\n";
    let settings = flow::settings(None).replace("connectors:\n", attachments);
    let mut daemon = flow::install(&(settings + &flow::hook(&city.api_url())));
    daemon.wrap(&["sh", "-c", "umask 0; exec \"$@\"", "sh"]);
    daemon.start().await;
    for number in 1..=3 {
        assert_eq!(deliver(&daemon, number).await, 200);
    }
    until("published", async || published(&daemon) == 3).await;
    let out = daemon.folder.path().join("export.ndjson");
    let export = daemon.priem(&["journal", "export", "--output", out.to_str().unwrap()]);
    assert!(export.status.success());
    let mut files = vec![out, daemon.folder.path().join("out.ndjson")];
    files_below(&daemon.journal(), &mut files);
    files_below(&daemon.folder.path().join("attachments"), &mut files);
    assert!(files.len() >= 8, "{files:?}");
    for path in files {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
    daemon.stop().await;
}

const NASTY: &str = "а\u{1b}[2K\u{9b}31m\r\u{202e}gpj.exe\u{2066}\u{7f}\u{2028}";

fn is_hidden(char: char) -> bool {
    (char.is_control() && char != '\n') || "\u{202e}\u{2066}\u{2028}".contains(char)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_prints_a_control_character_of_somebody() {
    let installation = Installation::new("version: 1\njournal: { dir: journal }\n");
    let journal = Journal::open(&settings(&installation.journal()), &Metrics::new()).unwrap();
    let nasty = |number: usize, problem: Option<NormalizeError>| Item {
        external_id: format!("{NASTY}-{number}"),
        body: NASTY.into(),
        problem,
        ..item(number, 0)
    };
    let problem = NormalizeError {
        reason: "bad_row",
        why: format!("row 1: {NASTY}\nforged line"),
    };
    append(&journal, vec![nasty(1, Some(problem)), nasty(2, None)])
        .await
        .unwrap();
    drop(journal);
    let file = installation.folder.path().join(format!("{NASTY}.csv"));
    std::fs::write(&file, format!("Номер;Тема;Текст\n1;{NASTY};{NASTY}\n")).unwrap();
    let folder = installation.folder.path().to_str().unwrap();
    let first = format!("{NASTY}-1");
    for arguments in [
        &["quarantine", "list"][..],
        &["quarantine", "list", "--json"],
        &["quarantine", "show", "1"],
        &["quarantine", "show", "1", "--raw"],
        &["quarantine", "show", "1", "--raw", "--json"],
        &["quarantine", "retry", "--reason", NASTY],
        &["why", &first],
        &["why", &first, "--json"],
        &["why", NASTY],
        &["journal", "stats"],
        &["journal", "export"],
        &["files", "probe", file.to_str().unwrap()],
        &["files", "probe", file.to_str().unwrap(), "--json"],
        &["files", "probe", NASTY],
        &["files", "report", folder],
        &["rules", "check", NASTY],
        &["connectors", "schema", NASTY],
        &["check", NASTY],
    ] {
        let output = installation.priem(arguments);
        for (way, bytes) in [("out", &output.stdout), ("error", &output.stderr)] {
            let said = String::from_utf8_lossy(bytes);
            assert!(!said.contains(is_hidden), "{arguments:?} on standard {way}: {said:?}");
        }
    }
    let list = text(&installation.priem(&["quarantine", "list"]));
    assert_eq!(list.lines().count(), 2, "no forged line: {list}");
    let export = text(&installation.priem(&["journal", "export"]));
    let first: serde_json::Value = serde_json::from_str(export.lines().next().unwrap()).unwrap();
    assert_eq!(first["body"]["text"], NASTY, "nothing is lost");
    pause().await;
}
