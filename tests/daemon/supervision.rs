//! Every task of the daemon is ended in turn, under the real daemon with a real broker: it is noticed, told and mended,
//! and messages sent before and after arrive, each under one id and in the order of its conversation.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use jiff::Timestamp;
use priem::{
    runtime::{Daemon, Options, build::Built, supervisor::Restarts},
    settings,
    telemetry::Metrics,
};
use priem_city::broker::Broker;
use priem_sdk::{
    CheckReport, Connector, ConnectorError, ConnectorType, Cursor, Cx, EventType, Item, Message, MessageData,
    NormalizeError, Page, RawItem, Stream, StreamKind, Wait,
    message::{Kind, Regime},
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(120);
const QUEUE: &str = "priem.messages";
const CONVERSATIONS: usize = 5;

/// Texts that citizens of the town wrote, in their order.
static WRITTEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn write(count: usize) {
    let mut written = WRITTEN.lock().expect("not poisoned");
    for _ in 0..count {
        let text = written.len().to_string();
        written.push(text);
    }
}

/// A platform in memory that also looks something up.
struct Town;

#[async_trait::async_trait]
impl Connector for Town {
    fn streams(&self) -> Vec<Stream> {
        vec![Stream {
            name: "square",
            key: String::new(),
            kind: StreamKind::Poll,
        }]
    }

    async fn check(&self, _: &Cx) -> Result<CheckReport, ConnectorError> {
        Ok(CheckReport::default())
    }

    async fn poll(&self, _: &Cx, _: &str, cursor: &Cursor) -> Result<Page, ConnectorError> {
        let from: usize = cursor.0.parse().unwrap_or(0);
        let written = WRITTEN.lock().expect("not poisoned");
        let item = |text: &String| Item {
            external_id: text.clone(),
            revision: Some("0".into()),
            fingerprint: None,
            conversation: Some(conversation(text).to_string()),
            format: "town.text",
            body: Bytes::from(text.clone()),
            problem: None,
        };
        Ok(Page {
            items: written[from..].iter().map(item).collect(),
            next: Cursor(written.len().to_string()),
            wait: Wait::For(Duration::from_millis(10)),
            ..Page::default()
        })
    }

    fn normalize(&self, raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
        let data = MessageData::new("town", Kind::Direct, Regime::OpenSourceMessage);
        Ok(vec![raw.message(EventType::Received, data)])
    }

    fn enriches(&self) -> bool {
        true
    }

    async fn enrich(&self, _: &Cx, messages: &mut [Message]) {
        for message in messages {
            message.data.author.name = Some("Горожанин".into());
        }
    }
}

fn conversation(text: &str) -> usize {
    text.parse::<usize>().expect("a number") % CONVERSATIONS
}

static REGISTRY: [ConnectorType; 1] = [ConnectorType {
    name: "town",
    title: "Town",
    summary: "A town in memory.",
    schema: || schemars::json_schema!({}),
    example: "",
    build: |_, _| Ok(Arc::new(Town)),
    conformance: || unreachable!("not examined"),
}];

async fn start(folder: &Path, url: &str, restarts: Restarts) -> Daemon {
    let text = format!(
        "version: 1\njournal: {{ dir: journal, min_free_bytes: 0 }}\nhttp: {{ admin: {{ listen: \"127.0.0.1:0\" }}, webhooks: {{ listen: \
         \"127.0.0.1:0\" }} }}\namqp: {{ url: \"{url}\", queues: [{{ name: {QUEUE}, bindings: [\"#\"] }}] }}\n\
         attachments: {{ dir: files, serve: {{ listen: \"127.0.0.1:0\" }} }}\nconnectors: {{ town: {{ type: town }} }}\n"
    );
    let path = folder.join("priem.yaml");
    let settings = settings::parse(&text, &path, std::iter::empty()).expect("settings");
    let built = Built::from_settings(settings, &text, &path, &REGISTRY).expect("built");
    let options = Options {
        pauses: (Duration::from_millis(100), Duration::from_millis(500)),
        tick: Duration::from_millis(100),
        restarts,
        ..Options::default()
    };
    Daemon::start(built, options, Metrics::new()).await.expect("started")
}

/// Patient enough for a test that ends delivery six times, by its parts.
fn patient() -> Restarts {
    Restarts {
        pauses: (Duration::from_millis(500), Duration::from_secs(1)),
        most: 20,
        ..Restarts::default()
    }
}

/// What is said of the daemon.
fn told(daemon: &Daemon) -> (bool, BTreeSet<String>) {
    let report = daemon.health.report(Timestamp::now());
    let findings = report.not_met.into_iter().chain(report.degraded);
    let tasks = findings
        .map(|finding| finding.condition)
        .filter(|name| name.starts_with("task "));
    (report.ready, tasks.collect())
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn all_delivered(daemon: &Daemon) {
    let sent = || i64::try_from(WRITTEN.lock().expect("not poisoned").len()).expect("few");
    let stored = || {
        let received = &daemon.metrics.received;
        received.with_label_values(&["town", "square"]).get()
    };
    until("everything is stored", || {
        i64::try_from(stored()).expect("few") >= sent()
    })
    .await;
    until("everything is settled", || {
        daemon.journal().observe().is_ok() && daemon.journal().pending_count() == 0
    })
    .await;
}

/// Tasks whose end is the end of the process.
fn is_vital(task: &str) -> bool {
    task == "journal" || task.ends_with("-listener")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_task_that_ends_is_noticed_and_mended() {
    let mut broker = Broker::start().await.expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let mut daemon = start(folder.path(), &broker.amqp_url(), patient()).await;
    write(20);
    all_delivered(&daemon).await;
    let tasks: BTreeSet<String> = daemon.supervisor().tasks().into_iter().collect();
    for expected in [
        "delivery",
        "feeder",
        "worker",
        "settler",
        "publisher",
        "look-ups town",
        "source town square",
        "housekeeping",
        "deadlines",
        "watchdog",
        "attachments-follower",
        "attachments-fetcher",
        "attachments-cleaner",
        "attachments-listener",
        "admin-listener",
        "webhook-listener",
        "journal",
    ] {
        assert!(tasks.contains(expected), "{expected} is not among {tasks:?}");
    }

    for task in tasks.iter().filter(|task| !is_vital(task)) {
        write(20);
        let counter = daemon.metrics.task_restarts.with_label_values(&[task]);
        let before = counter.get();
        until(task, || daemon.supervisor().kill(task)).await;
        let apart = task.starts_with("source ");
        until(task, || {
            let (ready, tasks) = told(&daemon);
            !tasks.is_empty() && ready == apart
        })
        .await;
        write(20);
        until(task, || {
            let (ready, tasks) = told(&daemon);
            ready && tasks.is_empty()
        })
        .await;
        assert_eq!(counter.get(), before + 1, "{task} is counted");
        all_delivered(&daemon).await;
    }

    // What holds what can't be made anew beside the rest ends the process; the next one goes on.
    for task in tasks.iter().filter(|task| is_vital(task)) {
        write(20);
        until(task, || daemon.supervisor().kill(task)).await;
        let failed = tokio::time::timeout(PATIENCE, daemon.failed()).await;
        assert!(failed.expect("it is noticed").contains(task.as_str()), "{task}");
        assert!(!told(&daemon).0, "not ready until the end");
        write(20);
        daemon.stop().await;
        daemon = start(folder.path(), &broker.amqp_url(), patient()).await;
        until("it is ready", || told(&daemon).0).await;
    }
    until("everything is settled", || {
        let cursor = daemon.metrics.polls.with_label_values(&["town", "square", "ok"]).get();
        cursor > 1 && daemon.journal().observe().is_ok() && daemon.journal().pending_count() == 0
    })
    .await;
    daemon.stop().await;

    let delivered = broker.drain(QUEUE).await.expect("the queue");
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); CONVERSATIONS];
    for message in &delivered {
        let body: Value = serde_json::from_slice(&message.body).expect("JSON");
        let text = body["data"]["external"]["id"].as_str().expect("an id").to_owned();
        let of_this = ids.entry(text.clone()).or_default();
        if of_this.is_empty() {
            order[conversation(&text)].push(text.parse().expect("a number"));
        }
        of_this.insert(message.message_id.clone());
    }
    let sent = WRITTEN.lock().expect("not poisoned").len();
    assert_eq!(ids.len(), sent, "all arrive");
    assert!(ids.values().all(|ids| ids.len() == 1), "each under one id: {ids:?}");
    for conversation in &order {
        assert!(conversation.is_sorted(), "out of order: {conversation:?}");
    }
    broker.stop().await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_is_not_hidden() {
    let folder = tempfile::tempdir().expect("a folder");
    let restarts = Restarts { most: 3, ..patient() };
    // Nobody listens there: the daemon starts without a broker.
    let daemon = start(folder.path(), "amqp://guest:guest@127.0.0.1:9/%2f", restarts).await;
    for _ in 0..=restarts.most {
        until("the feeder runs", || daemon.supervisor().kill("feeder")).await;
    }
    let failed = tokio::time::timeout(PATIENCE, daemon.failed()).await;
    let why = failed.expect("the process is to end");
    assert!(why.contains("feeder") && why.contains("restarts"), "{why}");
    daemon.stop().await;
}
