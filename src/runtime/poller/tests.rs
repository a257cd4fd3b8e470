//! Many streams of one connector, over a real journal.

use std::collections::BTreeMap;

use priem_sdk::{CheckReport, Item, Message, NormalizeError, RawItem};
use tokio::sync::Notify;

use super::*;
use crate::{
    health::Health,
    journal::JournalSettings,
    runtime::supervisor::{Restarts, Supervisor},
};

/// How a stream of [`Town`] answers, by its key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// One item on the first poll, nothing later; asks to wait for an hour.
    Slow,
    /// As `Slow`, and tells of a gap on the first poll after the bell.
    GapAfterBell,
    /// As `GapAfterBell`, but as an error.
    LostAfterBell,
    /// The token is dead.
    Dead,
    /// Has nothing, and says so at once though it was asked to hold the call.
    Hasty,
    /// Tells of a gap every time.
    GapEachTime,
    /// Gives the same item again and again, at once.
    Repeating,
    /// One item on the first page; the second may be asked for while the first is being stored.
    Ahead,
}

struct Town {
    streams: BTreeMap<String, Answer>,
    polls: Mutex<Vec<(String, String)>>,
    polled: Notify,
    bell: Notify,
    left_alone: Mutex<Option<LeftAlone>>,
}

impl Town {
    fn new(streams: impl IntoIterator<Item = (&'static str, Answer)>) -> Arc<Self> {
        Arc::new(Self {
            streams: streams
                .into_iter()
                .map(|(key, answer)| (key.to_owned(), answer))
                .collect(),
            polls: Mutex::default(),
            polled: Notify::new(),
            bell: Notify::new(),
            left_alone: Mutex::default(),
        })
    }

    fn polls_of(&self, stream: &str) -> Vec<String> {
        let polls = self.polls.lock();
        polls
            .iter()
            .filter(|(id, _)| id == stream)
            .map(|(_, cursor)| cursor.clone())
            .collect()
    }

    async fn until(&self, what: impl Fn(&Self) -> bool) {
        loop {
            let polled = self.polled.notified();
            if what(self) {
                return;
            }
            polled.await;
        }
    }
}

#[async_trait::async_trait]
impl Connector for Town {
    fn streams(&self) -> Vec<Stream> {
        let stream = |key: &String| Stream {
            name: "walls",
            key: key.clone(),
            kind: StreamKind::Poll,
        };
        self.streams.keys().map(stream).collect()
    }

    async fn check(&self, _: &Cx) -> Result<CheckReport, ConnectorError> {
        Ok(CheckReport::default())
    }

    fn left_alone(&self) -> Option<LeftAlone> {
        self.left_alone.lock().clone()
    }

    async fn poll(&self, _: &Cx, stream: &str, cursor: &Cursor) -> Result<Page, ConnectorError> {
        let key = stream.strip_prefix("walls/").expect("streams come by id");
        let answer = self.streams[key];
        let again = !self.polls_of(stream).is_empty();
        self.polls.lock().push((stream.to_owned(), cursor.0.clone()));
        self.polled.notify_waiters();
        if again && matches!(answer, Answer::GapAfterBell | Answer::LostAfterBell) {
            self.bell.notified().await;
        }
        let first = Item {
            external_id: key.to_owned(),
            revision: Some("0".into()),
            fingerprint: None,
            conversation: None,
            format: "town.item",
            body: bytes::Bytes::from_static(b"{}"),
            problem: None,
        };
        let again_first = first.clone();
        let page = Page {
            items: if cursor.is_start() { vec![first] } else { Vec::new() },
            next: Cursor(format!("{key}:1")),
            wait: Wait::For(Duration::from_secs(3600)),
            ..Page::default()
        };
        match answer {
            Answer::Dead => Err(ConnectorError::AuthRejected {
                hint: "new token".into(),
            }),
            Answer::Slow => Ok(page),
            Answer::Ahead if cursor.is_start() => Ok(Page {
                wait: Wait::Now,
                ahead: true,
                ..page
            }),
            Answer::Ahead => Ok(Page {
                next: Cursor(format!("{key}:2")),
                ..page
            }),
            Answer::Repeating => Ok(Page {
                items: vec![again_first],
                is_hasty: true,
                ..Page::default()
            }),
            Answer::Hasty | Answer::GapEachTime => Ok(Page {
                next: Cursor(format!("{key}:{}", self.polls_of(stream).len())),
                is_hasty: answer == Answer::Hasty,
                gap: (answer == Answer::GapEachTime).then(|| "an hour".into()),
                ..Page::default()
            }),
            Answer::GapAfterBell if again => Ok(Page {
                gap: Some("an hour".into()),
                ..page
            }),
            Answer::LostAfterBell if again => Err(ConnectorError::Gap { what: "an hour".into() }),
            Answer::GapAfterBell | Answer::LostAfterBell => Ok(Page {
                wait: Wait::Now,
                ..page
            }),
        }
    }

    fn normalize(&self, _: &RawItem) -> Result<Vec<Message>, NormalizeError> {
        Ok(Vec::new())
    }
}

/// Pollers of a town over a journal of its own.
struct Running {
    journal: Journal,
    metrics: Metrics,
    health: Health,
    group: Group,
    _folder: tempfile::TempDir,
}

fn start(town: &Arc<Town>) -> Running {
    let (pollers, running) = ready(town);
    for poller in pollers {
        poller.supervise(&running.group);
    }
    running
}

fn ready(town: &Arc<Town>) -> (Vec<Poller>, Running) {
    ready_with(town, JournalSettings::default())
}

fn ready_with(town: &Arc<Town>, settings: JournalSettings) -> (Vec<Poller>, Running) {
    let folder = tempfile::tempdir().expect("a folder");
    let metrics = Metrics::new();
    let settings = JournalSettings {
        dir: folder.path().to_owned(),
        ..settings
    };
    let journal = Journal::open(&settings, &metrics).expect("opens");
    let host = Host {
        intake: Intake::new(journal.clone(), metrics.clone()),
        journal: journal.clone(),
        metrics: metrics.clone(),
        pauses: (Duration::from_millis(1), Duration::from_millis(5)),
    };
    let cx = Cx {
        id: priem_sdk::contract::ConnectorId::new("town"),
        take_over: false,
    };
    let health = Health::new(&[]);
    let group = Supervisor::new(health.clone(), metrics.clone(), Restarts::default()).group();
    let connector = Arc::clone(town) as Arc<dyn Connector>;
    let pollers = Poller::all(&connector, &cx, &host, &health);
    let running = Running {
        journal,
        metrics,
        health,
        group,
        _folder: folder,
    };
    (pollers, running)
}

impl Running {
    async fn stop(self) {
        self.group.stop().await;
    }
}

#[tokio::test]
async fn a_gap_wakes_every_other_stream_once() {
    for answer in [Answer::GapAfterBell, Answer::LostAfterBell] {
        let town = Town::new([("1", answer), ("2", Answer::Slow), ("3", Answer::Slow)]);
        let running = start(&town);
        let polled = |stream: &'static str, times| move |town: &Town| town.polls_of(stream).len() >= times;
        town.until(|town| polled("walls/1", 2)(town) && polled("walls/2", 1)(town) && polled("walls/3", 1)(town))
            .await;
        assert_eq!(town.polls_of("walls/2"), [""], "waits for an hour");

        town.bell.notify_one();
        town.until(|town| polled("walls/2", 2)(town) && polled("walls/3", 2)(town))
            .await;
        assert_eq!(town.polls_of("walls/3"), ["", "3:1"], "goes on where it stood");
        assert_eq!(running.metrics.gaps.with_label_values(&["town"]).get(), 1);
        running.stop().await;
    }
}

#[tokio::test]
async fn what_brings_nothing_and_costs_no_time_is_asked_for_with_growing_pauses_and_told_once() {
    for (answer, gaps) in [(Answer::Hasty, 0), (Answer::GapEachTime, 1)] {
        let town = Town::new([("1", answer)]);
        let (pollers, running) = ready(&town);
        let mut turns = pollers[0].first_turns();
        for _ in 0..8 {
            let turn = pollers[0].turn(&mut turns).await.expect("a page");
            assert!(turn.fruitless);
        }
        assert_eq!(running.metrics.gaps.with_label_values(&["town"]).get(), gaps);
        running.stop().await;
    }
    let town = Town::new([("1", Answer::Repeating)]);
    let (pollers, running) = ready(&town);
    let mut turns = pollers[0].first_turns();
    for is_known in [false, true, true] {
        let turn = pollers[0].turn(&mut turns).await.expect("a page");
        assert_eq!(turn.fruitless, is_known);
    }
    running.stop().await;
    let town = Town::new([("1", Answer::Slow)]);
    let (pollers, running) = ready(&town);
    let turn = pollers[0].turn(&mut pollers[0].first_turns()).await.expect("a page");
    assert!(!turn.fruitless);
    running.stop().await;
}

#[tokio::test]
async fn a_page_is_read_while_the_one_before_is_stored_and_both_again_when_it_could_not_be() {
    let town = Town::new([("1", Answer::Ahead)]);
    let (pollers, running) = ready(&town);
    let mut turns = pollers[0].first_turns();
    let connector = priem_sdk::contract::ConnectorId::new("town");
    for stored in ["1:1", "1:2"] {
        pollers[0].turn(&mut turns).await.expect("a page");
        assert_eq!(town.polls_of("walls/1"), ["", "1:1"]);
        let cursor = running.journal.cursor(&connector, "walls/1").await.expect("reads");
        assert_eq!(cursor, Some(Cursor(stored.into())), "each page has its own commit");
    }
    running.stop().await;

    let town = Town::new([("1", Answer::Ahead)]);
    let full = JournalSettings {
        max_bytes: 1,
        ..JournalSettings::default()
    };
    let (pollers, running) = ready_with(&town, full);
    let mut turns = pollers[0].first_turns();
    for _ in 0..2 {
        assert!(matches!(pollers[0].turn(&mut turns).await, Err(Trouble::Journal(_))));
    }
    assert_eq!(town.polls_of("walls/1"), ["", "1:1", "", "1:1"]);
    running.stop().await;
}

#[tokio::test]
async fn no_source_is_left_alone_for_longer_than_an_hour_whatever_it_asks_for() {
    let (pollers, running) = ready(&Town::new([("1", Answer::Slow)]));
    for (asked, waited) in [(7, 7), (1_000_000_000, 3600)] {
        let trouble = Trouble::Source(ConnectorError::RateLimited {
            retry_after: Duration::from_secs(asked),
        });
        let pause = pollers[0].pause_after(&trouble, &mut std::iter::empty());
        assert_eq!(pause, Duration::from_secs(waited));
    }
    running.stop().await;
}

#[tokio::test]
async fn a_dead_key_is_told_and_the_others_are_heard() {
    let town = Town::new([("1", Answer::Slow), ("2", Answer::Dead), ("3", Answer::Slow)]);
    let running = start(&town);
    town.until(|town| (1..=3).all(|key| !town.polls_of(&format!("walls/{key}")).is_empty()))
        .await;
    let state = |state| {
        running
            .metrics
            .connector_streams
            .with_label_values(&["town", "walls", state])
    };
    while (state("heard").get(), state("human").get()) != (2, 1) {
        tokio::task::yield_now().await;
    }
    assert_eq!(state("starting").get() + state("trouble").get(), 0);
    assert_eq!(running.metrics.connector_up.with_label_values(&["town"]).get(), 1);
    let report = running.health.report(jiff::Timestamp::now());
    let line = &report.sources[0];
    assert_eq!((line.streams, line.deaf), (3, 1));
    assert_eq!(line.troubles[0].key, "2");
    let connector = priem_sdk::contract::ConnectorId::new("town");
    for key in ["1", "3"] {
        let id = format!("walls/{key}");
        while running.journal.cursor(&connector, &id).await.expect("reads").is_none() {
            tokio::task::yield_now().await;
        }
        let cursor = running.journal.cursor(&connector, &id).await.expect("reads");
        assert_eq!(cursor, Some(Cursor(format!("{key}:1"))));
    }
    running.stop().await;
}

#[tokio::test]
async fn what_is_never_read_is_counted_and_told_in_health_once_and_no_longer_than_it_is() {
    let town = Town::new([("1", Answer::GapAfterBell), ("2", Answer::Slow)]);
    *town.left_alone.lock() = Some(LeftAlone {
        count: 3,
        why: "three folders".into(),
    });
    let running = start(&town);
    let gauge = running.metrics.left_alone.with_label_values(&["town"]);
    let told = || running.health.report(jiff::Timestamp::now()).degraded;
    while (gauge.get(), told().len()) != (3, 1) {
        tokio::task::yield_now().await;
    }
    assert_eq!(told()[0].condition, "left alone town");
    assert_eq!(told()[0].why, "three folders");
    assert!(running.health.report(jiff::Timestamp::now()).ready);
    town.until(|town| !town.polls_of("walls/1").is_empty() && !town.polls_of("walls/2").is_empty())
        .await;
    *town.left_alone.lock() = None;
    // Both streams are polled again.
    town.bell.notify_one();
    while (gauge.get(), told().len()) != (0, 0) {
        tokio::task::yield_now().await;
    }
    running.stop().await;
}
