use std::{path::Path, sync::mpsc, time::Instant};

use jiff::Timestamp;
use priem_sdk::{Item, contract::ConnectorId};
use tokio::sync::{oneshot, watch};

use super::*;
use crate::{
    health::HealthReport,
    journal::{Job, JournalSettings, Transaction},
};

/// Far above what is needed: it only bounds a hanging test.
const PATIENCE: Duration = Duration::from_secs(120);

/// Holds the writer inside its commit, as a frozen file system does.
struct Freeze {
    frozen: Option<oneshot::Sender<()>>,
    thaw: mpsc::Receiver<()>,
}

impl Job for Freeze {
    type Answer = ();

    const NAME: &'static str = "freeze";

    fn run(&mut self, _: &mut Transaction<'_>) -> rusqlite::Result<()> {
        self.frozen.take().unwrap().send(()).unwrap();
        // Also when the test has failed, and the other end is gone.
        let _ = self.thaw.recv();
        Ok(())
    }
}

struct Watched {
    journal: Journal,
    metrics: Metrics,
    health: Health,
    closing: CancellationToken,
    _broker: watch::Sender<BrokerState>,
}

impl Watched {
    /// A journal under housekeeping.
    fn start(settings: &JournalSettings) -> Self {
        Self::looked_after(settings, Duration::from_millis(20))
    }

    /// The same, with so long between two looks.
    fn looked_after(settings: &JournalSettings, every: Duration) -> Self {
        let (metrics, health, closing) = (Metrics::new(), Health::new(&["journal"]), CancellationToken::new());
        let journal = Journal::open(settings, &metrics).unwrap();
        let (broker, state) = watch::channel(BrokerState::Connected);
        tokio::spawn(housekeeping(
            journal.clone(),
            Clocks::new(&journal, 1),
            metrics.clone(),
            health.clone(),
            Outlook::new(state),
            every,
            closing.clone(),
        ));
        Self {
            journal,
            metrics,
            health,
            closing,
            _broker: broker,
        }
    }

    fn report(&self) -> HealthReport {
        self.health.report(Timestamp::now())
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !holds(self) {
            assert!(started.elapsed() < PATIENCE, "in vain: {what}: {:?}", self.report());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn append(&self, id: &str) -> Result<(), JournalError> {
        let item = Item {
            external_id: id.into(),
            revision: Some("1".into()),
            fingerprint: None,
            conversation: None,
            format: "test",
            body: "text".into(),
            problem: None,
        };
        let appended = self.journal.append(&ConnectorId::new("a"), "s", vec![item], None).await;
        appended.map(drop)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

fn settings(folder: &Path) -> JournalSettings {
    JournalSettings {
        dir: folder.to_owned(),
        min_free_bytes: 0,
        ..JournalSettings::default()
    }
}

fn is_not_ready(watched: &Watched, words: &str) -> bool {
    let report = watched.report();
    let told = report
        .not_met
        .iter()
        .any(|finding| finding.condition == "journal" && finding.why.contains(words));
    !report.ready && told && watched.metrics.journal_writable.get() == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_does_not_answer_is_told_and_holds_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let watched = Watched::start(&settings(folder.path()));
    watched.append("before").await.unwrap();
    watched.until("ready", |watched| watched.report().ready).await;
    let ((frozen, is_frozen), (thaw, thawed)) = (oneshot::channel(), mpsc::channel());
    let journal = watched.journal.clone();
    let freezing = tokio::spawn(async move {
        journal
            .ask(Freeze {
                frozen: Some(frozen),
                thaw: thawed,
            })
            .await
    });
    is_frozen.await.unwrap();
    // Neither an append under way nor a later one waits for the disk, and the watchdog is answered all the time.
    let error = watched.append("during").await.unwrap_err();
    assert!(
        matches!(&error, JournalError::Unavailable { why } if why.contains("does not answer")),
        "{error}"
    );
    assert!(watched.append("later").await.is_err());
    assert!(watched.journal.flush().await.is_err());
    assert!(
        watched.journal.is_committing() && !watched.journal.is_stuck(),
        "no reason to be killed"
    );
    watched
        .until("not ready", |watched| is_not_ready(watched, "has been running"))
        .await;
    assert!(watched.health.is_live(Timestamp::now()));
    assert!(freezing.await.unwrap().is_err(), "who asked is answered too");

    thaw.send(()).unwrap();
    watched
        .until("ready again", |watched| {
            watched.report().ready && watched.metrics.journal_writable.get() == 1
        })
        .await;
    watched.append("during").await.unwrap();
    watched.journal.flush().await.unwrap();
    assert_eq!(watched.journal.pending_count(), 2, "what was refused is stored once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_before_a_message_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let full = JournalSettings {
        min_free_bytes: u64::MAX,
        ..settings(folder.path())
    };
    let watched = Watched::start(&full);
    watched
        .until("not ready", |watched| is_not_ready(watched, "min_free_bytes"))
        .await;
    assert!(matches!(watched.append("a").await, Err(JournalError::Full { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_is_told_and_takes_nothing_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let watched = Watched::start(&settings(&here));
    watched.append("before").await.unwrap();
    std::fs::rename(&here, &there).unwrap();
    let error = watched.append("into nothing").await.unwrap_err();
    assert!(matches!(error, JournalError::Displaced { .. }), "{error}");
    watched
        .until("not ready", |watched| is_not_ready(watched, "taken away"))
        .await;
    let pending = watched.journal.pending_after(0, 10).await.unwrap();
    assert_eq!(pending.len(), 1, "what was accepted can still be published");
    std::fs::rename(&there, &here).unwrap();
    watched.until("ready", |watched| watched.report().ready).await;
    watched.append("after").await.unwrap();
}

/// So that only the look at the start can have found something.
const NEVER_AGAIN: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_told_at_once_and_not_at_the_next_look() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let watched = Watched::looked_after(&settings(&here), NEVER_AGAIN);
    watched.until("ready", |watched| watched.report().ready).await;
    std::fs::rename(&here, &there).unwrap();
    watched.append("into nothing").await.unwrap_err();
    assert!(is_not_ready(&watched, "taken away"), "{:?}", watched.report());
    std::fs::rename(&there, &here).unwrap();
    watched.append("again").await.unwrap();
    assert!(watched.report().ready, "{:?}", watched.report());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_over_its_limit_is_never_ready() {
    let folder = tempfile::tempdir().unwrap();
    let full = JournalSettings {
        max_bytes: 1,
        ..settings(folder.path())
    };
    let watched = Watched::looked_after(&full, NEVER_AGAIN);
    watched
        .until("not ready", |watched| {
            let report = watched.report();
            assert!(!report.ready, "before anybody has looked");
            report
                .not_met
                .iter()
                .any(|finding| finding.why.contains("journal.max_bytes"))
        })
        .await;
}
