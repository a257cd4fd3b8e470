//! The whole store: a journal with stored items in, files out; restarts, retries, retention, and the listener.

use std::collections::HashMap;

use axum::{
    http::{StatusCode, header},
    routing::get,
};
use bytes::Bytes;
use parking_lot::Mutex;
use priem_sdk::{
    CheckReport, Connector, ConnectorError, Cx, FileRequest, FileSource, Item, Message, MessageData, NormalizeError,
    RawItem, Secret, Stream,
    contract::ConnectorId,
    message::{Attachment, AttachmentKind, Kind, Regime},
};
use tokio_util::task::TaskTracker;

use super::{
    super::queue::{JobId, State},
    *,
};
use crate::journal::Journal;

/// A token that must never be seen.
const TOKEN: &str = "planted-token-of-the-file-server";

/// A platform whose items name files: the body is the address, `!` is not readable yet.
struct Platform {
    /// Readable now.
    reads_all: Mutex<bool>,
    asked: AtomicUsize,
}

#[async_trait::async_trait]
impl Connector for Platform {
    fn streams(&self) -> Vec<Stream> {
        Vec::new()
    }

    async fn check(&self, _cx: &Cx) -> Result<CheckReport, ConnectorError> {
        Ok(CheckReport::default())
    }

    fn normalize(&self, raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
        let text = String::from_utf8_lossy(&raw.body).into_owned();
        if text.starts_with('!') && !*self.reads_all.lock() {
            return Err(NormalizeError::new("unknown_kind", "not yet"));
        }
        let mut data = MessageData::new("test", Kind::Direct, Regime::OpenSourceMessage);
        data.attachments = vec![Attachment {
            external_id: Some(text.trim_start_matches('!').to_owned()),
            needs_token: true,
            ..Attachment::new(AttachmentKind::Photo)
        }];
        Ok(vec![raw.message(priem_sdk::EventType::Received, data)])
    }

    async fn file(&self, _cx: &Cx, attachment: &Attachment) -> Result<FileSource, ConnectorError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let address = attachment.external_id.clone().unwrap_or_default();
        match address.as_str() {
            "panic" => panic!("a connector with a bug"),
            "gone" => Ok(FileSource::Unavailable("gone")),
            _ => Ok(FileSource::Fetch(FileRequest {
                url: Secret::new(format!("{address}?token={TOKEN}")),
                headers: Vec::new(),
                trusted_host: false,
                tls: None,
            })),
        }
    }
}

/// A journal, a store and the platform between them.
struct House {
    folder: tempfile::TempDir,
    journal: Journal,
    journal_settings: JournalSettings,
    platform: Arc<Platform>,
    metrics: Metrics,
}

/// A running store; stopped with [`Running::stop`], killed by being dropped.
struct Running {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    closing: CancellationToken,
    health: Health,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let metrics = Metrics::new();
        let journal_settings = JournalSettings {
            dir: folder.path().join("journal"),
            min_free_bytes: 0,
            ..JournalSettings::default()
        };
        Self {
            journal: Journal::open(&journal_settings, &metrics).expect("a journal"),
            journal_settings,
            platform: Arc::new(Platform {
                reads_all: Mutex::new(false),
                asked: AtomicUsize::new(0),
            }),
            metrics,
            folder,
        }
    }

    /// Stores an item; the reference of its attachment.
    async fn take(&self, number: usize, address: &str) -> JobId {
        let item = Item {
            external_id: number.to_string(),
            revision: Some("0".into()),
            fingerprint: None,
            conversation: None,
            format: "test",
            body: Bytes::from(address.to_owned()),
            problem: None,
        };
        let connector = ConnectorId::new("test");
        self.journal
            .append(&connector, "test", vec![item], None)
            .await
            .expect("stored");
        let event = Message::event_id("test", &number.to_string(), "0", priem_sdk::EventType::Received);
        JobId { event, number: 0 }
    }

    fn settings(&self, ports: &[SocketAddr]) -> AttachmentSettings {
        AttachmentSettings {
            first_pause_s: 1.try_into().expect("a second"),
            ..settings(&self.folder.path().join("attachments"), ports)
        }
    }

    fn start(&self, settings: &AttachmentSettings) -> Running {
        let connector: Arc<dyn Connector> = self.platform.clone();
        let connectors = Arc::new(HashMap::from([(ConnectorId::new("test"), connector)]));
        let base = self.folder.path();
        let store = AttachmentStore::open(settings, base, &self.journal_settings, connectors, &self.metrics);
        let store = store.expect("a store");
        let running = Running {
            shared: Arc::clone(&store.shared),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            health: Health::new(&[]),
        };
        for mut part in store.parts(&running.health, &running.closing) {
            running.tasks.spawn((part.work)());
        }
        running
    }
}

impl Running {
    async fn stop(self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn state(&self, id: JobId) -> Option<State> {
        self.shared.queue.state(id).expect("a state")
    }

    async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let waited = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(
            tokio::time::timeout(Duration::from_secs(30), waited).await.is_ok(),
            "in vain: {what}"
        );
    }

    async fn is_stored(&self, id: JobId) {
        self.until("the file is stored", |running| {
            matches!(running.state(id), Some(State::Stored { .. }))
        })
        .await;
    }
}

/// Answers with 503 until it was asked `failures` times, then with a photo.
async fn flaky(failures: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let answer = move || {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            let status = if number < failures {
                StatusCode::BAD_GATEWAY
            } else {
                StatusCode::OK
            };
            (status, [(header::CONTENT_TYPE, "image/jpeg")], vec![number as u8; 300])
        }
    };
    (serve(PUBLIC, Router::new().fallback(get(answer))).await, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_stored_items_are_fetched_and_given_out() {
    let house = House::new();
    let (server, _) = flaky(0).await;
    let earlier = house.take(0, &format!("http://{server}/earlier")).await;
    let mut settings = house.settings(&[server]);
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address");
    std::fs::write(house.folder.path().join("handler-token"), "handler-token").expect("written");
    settings.serve = Some(settings::ServeSettings {
        listen: port,
        token: Some(priem_sdk::SecretRef::File("handler-token".into())),
    });
    let running = house.start(&settings);
    running.is_stored(earlier).await;
    let id = house.take(1, &format!("http://{server}/photo")).await;
    let gone = house.take(2, "gone").await;
    running.is_stored(id).await;
    running
        .until("the other is given up", |running| {
            matches!(running.state(gone), Some(State::GivenUp { .. }))
        })
        .await;

    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let ask = async |reference: String, token: &str| {
        let request = client.get(format!("http://{port}/attachments/{reference}"));
        request.bearer_auth(token).send().await.expect("an answer")
    };
    let answer = ask(format!("{}/0", id.event), "handler-token").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "image/jpeg");
    assert_eq!(answer.headers()["content-disposition"], "attachment");
    assert_eq!(answer.bytes().await.expect("a body").len(), 300);
    let answer = ask(format!("{}/0", gone.event), "handler-token").await;
    assert_eq!(answer.status(), 410);
    assert!(answer.text().await.expect("a body").contains("gone"));
    for (reference, token, status) in [
        (format!("{}/7", id.event), "handler-token", 404),
        ("../../etc/passwd".into(), "handler-token", 404),
        ("x/y".into(), "handler-token", 404),
        (format!("{}/0", id.event), "wrong", 401),
    ] {
        assert_eq!(
            ask(reference.clone(), token).await.status().as_u16(),
            status,
            "{reference}"
        );
    }
    assert_eq!(
        house.metrics.attachments.with_label_values(&["test", "stored"]).get(),
        2
    );
    assert_eq!(house.metrics.attachments.with_label_values(&["test", "gone"]).get(), 1);
    running.stop().await;
    for file in ["queue.sqlite", "queue.sqlite-wal"] {
        let bytes = std::fs::read(house.folder.path().join("attachments").join(file)).unwrap_or_default();
        let holds = bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
        assert!(!holds, "a token stands in {file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_tried_again_and_given_up_with_a_reason() {
    let house = House::new();
    let (server, asked) = flaky(2).await;
    let settings = house.settings(&[server]);
    let running = house.start(&settings);
    let id = house.take(1, &format!("http://{server}/photo")).await;
    running.is_stored(id).await;
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    let retries = house
        .metrics
        .attachment_retries
        .with_label_values(&["test", "server_error"]);
    assert_eq!(retries.get(), 2);
    let buggy = house.take(2, "panic").await;
    running
        .until("the panic is noted", |running| {
            matches!(running.state(buggy), Some(State::Waiting { reason: Some(reason), .. }) if reason == "panic")
        })
        .await;
    let refused = house.take(3, "http://127.0.0.2:1/").await;
    running
        .until(
            "it is given up",
            |running| matches!(running.state(refused), Some(State::GivenUp { reason }) if reason == "port_not_listed"),
        )
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_and_leaves_nothing_half_written() {
    let house = House::new();
    // It begins to answer and never ends.
    let head = "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 5000\r\n\r\nxx";
    let listener = TcpListener::bind((PUBLIC, 0)).await.expect("a free port");
    let stuck = listener.local_addr().expect("an address");
    let held = Arc::new(Mutex::new(Vec::new()));
    let holder = Arc::clone(&held);
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.expect("a request") > 0);
            stream.write_all(head.as_bytes()).await.expect("written");
            holder.lock().push(stream);
        }
    });
    let mut settings = house.settings(&[stuck]);
    settings.idle_timeout_s = 600.try_into().expect("seconds");
    let running = house.start(&settings);
    let id = house.take(1, &format!("http://{stuck}/photo")).await;
    let attachments = house.folder.path().join("attachments");
    running
        .until("the file is half written", |_| half_written(&attachments) == 1)
        .await;
    // A kill leaves the half file, a content without its row, and the job.
    std::fs::create_dir_all(attachments.join("files/aa")).expect("a folder");
    std::fs::write(attachments.join("files/aa").join("a".repeat(62)), "orphan").expect("written");
    running.stop().await;
    std::fs::write(attachments.join("tmp/left-by-a-kill"), "half").expect("written");
    server.abort();
    held.lock().clear();

    let (server, _) = flaky(0).await;
    let running = house.start(&house.settings(&[server, stuck]));
    assert_eq!(half_written(&attachments), 0);
    running
        .until("the connection is refused now", |running| {
            matches!(running.state(id), Some(State::Waiting { attempts: 1.., .. }))
        })
        .await;
    let next = house.take(2, &format!("http://{server}/photo")).await;
    running.is_stored(next).await;
    running.until("the orphan is swept", |_| kept(&attachments) == 1).await;
    assert_eq!(house.metrics.attachments_waiting.get(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_does_not_take_all_places() {
    let house = House::new();
    let listener = TcpListener::bind((PUBLIC, 0)).await.expect("a free port");
    let dead = listener.local_addr().expect("an address");
    let (server, _) = flaky(0).await;
    let mut settings = house.settings(&[server, dead]);
    settings.concurrency = 2.try_into().expect("two");
    settings.idle_timeout_s = 600.try_into().expect("seconds");
    let connector: Arc<dyn Connector> = house.platform.clone();
    let connectors = Arc::new(HashMap::from([
        (ConnectorId::new("test"), Arc::clone(&connector)),
        (ConnectorId::new("other"), connector),
    ]));
    let base = house.folder.path();
    let store = AttachmentStore::open(&settings, base, &house.journal_settings, connectors, &house.metrics);
    let store = store.expect("a store");
    let job = |connector: &str, number: u128, address: String| super::super::queue::NewJob {
        id: JobId {
            event: uuid::Uuid::from_u128(number),
            number: 0,
        },
        connector: connector.into(),
        attachment: Attachment {
            external_id: Some(address),
            needs_token: true,
            ..Attachment::new(AttachmentKind::Photo)
        },
    };
    // More than anybody would look through.
    let mut jobs: Vec<_> = (0..1000)
        .map(|number| job("test", number, format!("http://{dead}/")))
        .collect();
    jobs.push(job("other", 5000, format!("http://{server}/")));
    store.shared.queue.add(&jobs, &[], 0, now_ms()).expect("added");
    let running = Running {
        shared: Arc::clone(&store.shared),
        tasks: TaskTracker::new(),
        closing: CancellationToken::new(),
        health: Health::new(&[]),
    };
    for mut part in store.parts(&running.health, &running.closing) {
        running.tasks.spawn((part.work)());
    }
    running.is_stored(jobs[1000].id).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_becomes_readable_brings_its_file() {
    let house = House::new();
    let (server, _) = flaky(0).await;
    let settings = house.settings(&[server]);
    let running = house.start(&settings);
    let id = house.take(1, &format!("!http://{server}/photo")).await;
    running
        .until("it is noted", |running| {
            running.shared.queue.unreadable().expect("a list") == [1]
        })
        .await;
    assert_eq!(running.state(id), None);
    running.stop().await;
    // A new version of the connector understands it; each start looks again.
    *house.platform.reads_all.lock() = true;
    let running = house.start(&settings);
    running.is_stored(id).await;
    assert!(running.shared.queue.unreadable().expect("a list").is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_when_their_time_is_over() {
    let house = House::new();
    let (server, _) = flaky(0).await;
    let settings = house.settings(&[server]);
    let running = house.start(&settings);
    let id = house.take(1, &format!("http://{server}/photo")).await;
    running.is_stored(id).await;
    running.stop().await;
    let attachments = house.folder.path().join("attachments");
    assert_eq!(kept(&attachments), 1);
    let running = house.start(&AttachmentSettings {
        keep_days: 0,
        ..settings
    });
    running.until("it is gone", |_| kept(&attachments) == 0).await;
    assert_eq!(running.state(id), None);
    running.stop().await;
}
