//! Both listeners over real sockets.

mod limits;
mod tls;

use std::{
    collections::HashMap,
    net::SocketAddr,
    num::NonZeroU32,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use priem_sdk::{
    CheckReport, Connector, ConnectorError, Cx, HookRequest, Message, NormalizeError, RawItem, Receipt, Refusal, Reply,
    Secret, Stream, StreamKind,
    contract::{ConnectorId, Item},
    webhook::{SharedSecret, require_header_secret},
};
use reqwest::Client;
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    health::{Condition, Health},
    intake::{Accept, NotAccepted, StreamId},
    telemetry::Metrics,
};

const SECRET: &str = "right-secret";

/// Takes every body with the right secret as one item; remembers who sent it; panics on request.
struct Doorbell {
    secret: SharedSecret,
    senders: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl Connector for Doorbell {
    fn streams(&self) -> Vec<Stream> {
        vec![Stream {
            name: "bell",
            key: String::new(),
            kind: StreamKind::Webhook,
        }]
    }

    async fn check(&self, _: &Cx) -> Result<CheckReport, ConnectorError> {
        Ok(CheckReport::default())
    }

    fn receive(&self, request: &HookRequest) -> Result<Receipt, Refusal> {
        require_header_secret(request, "x-secret", &self.secret)?;
        self.senders.lock().push(request.peer.to_string());
        assert!(request.body.as_ref() != b"panic", "asked for");
        let item = Item::malformed("bell", request.body.clone(), NormalizeError::new("test", "test"));
        Ok(Receipt {
            items: vec![item],
            reply: Reply {
                status: 200,
                content_type: "application/json",
                body: format!("{} {}?{}", request.method, request.path, request.query).into(),
            },
        })
    }

    fn normalize(&self, _: &RawItem) -> Result<Vec<Message>, NormalizeError> {
        Ok(Vec::new())
    }
}

/// Stands for the journal: stores, refuses or hangs as told.
#[derive(Default)]
struct Shelf {
    stored: Mutex<Vec<Vec<u8>>>,
    refuse: Mutex<Option<NotAccepted>>,
    hang: AtomicBool,
    entered: Notify,
    go_on: Notify,
}

#[async_trait::async_trait]
impl Accept for Shelf {
    async fn accept(&self, _: &ConnectorId, stream: &StreamId, items: Vec<Item>) -> Result<(), NotAccepted> {
        assert_eq!((stream.name, &*stream.id), ("bell", "bell"));
        self.entered.notify_one();
        if self.hang.load(Ordering::SeqCst) {
            self.go_on.notified().await;
        }
        if let Some(refusal) = *self.refuse.lock() {
            return Err(refusal);
        }
        self.stored
            .lock()
            .extend(items.into_iter().map(|item| item.body.to_vec()));
        Ok(())
    }
}

struct House {
    address: SocketAddr,
    certificates: Option<Certificates>,
    doorbell: Arc<Doorbell>,
    shelf: Arc<Shelf>,
    metrics: Metrics,
    stop: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
}

fn open_house(base_dir: &Path, change: impl FnOnce(&mut WebhookSettings)) -> House {
    let mut settings = WebhookSettings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..WebhookSettings::default()
    };
    change(&mut settings);
    let doorbell = Arc::new(Doorbell {
        secret: SharedSecret::new(&Secret::new(SECRET.into())),
        senders: Mutex::default(),
    });
    let connectors = HashMap::from([("bell".to_owned(), doorbell.clone() as Arc<dyn Connector>)]);
    let metrics = Metrics::new();
    let hooks = Hooks::new(connectors, metrics.clone(), Health::new(&[]));
    let shelf = Arc::new(Shelf::default());
    let server = WebhookServer::bind(settings, base_dir, hooks, shelf.clone()).expect("binds");
    let stop = CancellationToken::new();
    House {
        address: server.address(),
        certificates: server.certificates(),
        doorbell,
        shelf,
        metrics,
        stop: stop.clone(),
        server: tokio::spawn(server.run(stop)),
    }
}

fn plain_house() -> House {
    open_house(Path::new("."), |_| {})
}

fn client() -> Client {
    priem_sdk::http::install_crypto_provider();
    Client::builder().no_proxy().build().expect("a client")
}

impl House {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn ring(&self, body: impl Into<reqwest::Body>) -> reqwest::Response {
        let request = client()
            .post(self.url("/hooks/bell/a/b?x=1"))
            .header("x-secret", SECRET);
        request.body(body).send().await.expect("an answer")
    }

    fn counted(&self, line: &str) -> bool {
        self.metrics.render().lines().any(|known| known == line)
    }
}

#[tokio::test]
async fn a_proven_request_is_stored_and_then_answered() {
    let house = plain_house();
    let response = house.ring("Яма").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.text().await.expect("a body"), "POST a/b?x=1");
    assert_eq!(*house.shelf.stored.lock(), ["Яма".as_bytes()]);
    assert!(house.counted(r#"priem_webhook_answers_total{connector="bell",status="200"} 1"#));
}

#[tokio::test]
async fn nothing_is_answered_before_the_journal_has_it() {
    let house = plain_house();
    house.shelf.hang.store(true, Ordering::SeqCst);
    let mut answer = Box::pin(house.ring("Яма"));
    tokio::select! {
        _ = &mut answer => panic!("answered before the commit"),
        () = house.shelf.entered.notified() => {}
    }
    assert!(house.shelf.stored.lock().is_empty());
    house.shelf.go_on.notify_one();
    assert_eq!(answer.await.status(), 200);
    assert_eq!(house.shelf.stored.lock().len(), 1);
}

#[tokio::test]
async fn an_unproven_sender_and_an_unknown_connector_leave_only_counters() {
    let house = plain_house();
    let post = |path: &str| client().post(house.url(path));
    let wrong = post("/hooks/bell")
        .header("x-secret", "wrong")
        .send()
        .await
        .expect("an answer");
    assert_eq!(wrong.status(), 403);
    assert_eq!(post("/hooks/bell").send().await.expect("an answer").status(), 401);
    for path in ["/hooks/other/x", "/hooks/", "/metrics", "/"] {
        assert_eq!(post(path).send().await.expect("an answer").status(), 404, "{path}");
    }
    assert!(house.shelf.stored.lock().is_empty());
    assert!(house.counted(r#"priem_refused_requests_total{connector="bell",reason="secret"} 1"#));
    assert!(house.counted(r#"priem_refused_requests_total{connector="bell",reason="unauthenticated"} 1"#));
    assert!(house.counted(r#"priem_refused_requests_total{connector="unknown",reason="not_found"} 4"#));
    assert!(house.counted(r#"priem_webhook_answers_total{connector="unknown",status="404"} 4"#));
}

#[tokio::test]
async fn a_journal_that_cannot_store_makes_the_platform_send_again() {
    let house = plain_house();
    for (refusal, reason) in [
        (NotAccepted::Full, "journal_full"),
        (NotAccepted::Unavailable, "journal_unavailable"),
    ] {
        *house.shelf.refuse.lock() = Some(refusal);
        let response = house.ring("Яма").await;
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "30");
        let line = format!(r#"priem_refused_requests_total{{connector="bell",reason="{reason}"}} 1"#);
        assert!(house.counted(&line), "{line}");
    }
    *house.shelf.refuse.lock() = None;
    assert_eq!(house.ring("Яма").await.status(), 200);
}

#[tokio::test]
async fn a_journal_that_hangs_is_not_waited_for_for_ever() {
    let house = open_house(Path::new("."), |settings| settings.store_timeout_s = NonZeroU32::MIN);
    house.shelf.hang.store(true, Ordering::SeqCst);
    assert_eq!(house.ring("Яма").await.status(), 503);
    assert!(house.counted(r#"priem_refused_requests_total{connector="bell",reason="journal_slow"} 1"#));
}

#[tokio::test]
async fn a_panic_in_a_connector_is_a_500_and_the_server_goes_on() {
    let house = plain_house();
    assert_eq!(house.ring("panic").await.status(), 500);
    assert_eq!(house.ring("Яма").await.status(), 200);
    assert_eq!(house.shelf.stored.lock().len(), 1);
}

#[tokio::test]
async fn only_trusted_proxies_name_the_sender() {
    let ring = |house: &House| {
        let request = client().post(house.url("/hooks/bell")).header("x-secret", SECRET);
        request.header("x-forwarded-for", "149.154.160.1, 203.0.113.9").send()
    };
    let house = plain_house();
    assert_eq!(ring(&house).await.expect("an answer").status(), 200);
    assert_eq!(*house.doorbell.senders.lock(), ["127.0.0.1"]);
    let house = open_house(Path::new("."), |settings| {
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    });
    assert_eq!(ring(&house).await.expect("an answer").status(), 200);
    assert_eq!(*house.doorbell.senders.lock(), ["203.0.113.9"]);
}

#[tokio::test]
async fn shutdown_lets_open_requests_end() {
    let house = plain_house();
    house.shelf.hang.store(true, Ordering::SeqCst);
    let mut answer = Box::pin(house.ring("Яма"));
    tokio::select! {
        _ = &mut answer => panic!("answered before the commit"),
        () = house.shelf.entered.notified() => {}
    }
    house.stop.cancel();
    house.shelf.go_on.notify_one();
    assert_eq!(answer.await.status(), 200);
    house.server.await.expect("no panic").expect("ends well");
    assert_eq!(house.shelf.stored.lock().len(), 1);
}

#[tokio::test]
async fn operators_get_metrics_and_health() {
    let settings = AdminSettings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..AdminSettings::default()
    };
    let health = Health::new(&["journal"]);
    let server = AdminServer::bind(&settings, Metrics::new(), health.clone()).expect("binds");
    let address = server.address();
    let taken = AdminServer::bind(
        &AdminSettings {
            listen: address,
            ..settings.clone()
        },
        Metrics::new(),
        health.clone(),
    );
    assert!(
        taken
            .expect_err("taken")
            .to_string()
            .starts_with("admin.listen: can't listen on")
    );
    let stop = CancellationToken::new();
    let running = tokio::spawn(server.run(stop.clone()));
    let get = async |path: &str| {
        let response = client()
            .get(format!("http://{address}{path}"))
            .send()
            .await
            .expect("an answer");
        (response.status().as_u16(), response.text().await.expect("a body"))
    };
    let (status, body) = get("/health/ready").await;
    assert_eq!(status, 503);
    let report: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(report["not_met"][0]["condition"], "journal");
    health.set("journal", Condition::Ready);
    health.set(
        "broker",
        Condition::Degraded {
            why: "connection refused".into(),
        },
    );
    let (status, body) = get("/health/ready").await;
    assert!(status == 200 && body.contains("connection refused"), "{body}");
    assert_eq!(get("/health/live").await.0, 200);
    let (status, body) = get("/metrics").await;
    assert!(
        status == 200 && body.contains("# TYPE priem_pending_items gauge"),
        "{body}"
    );
    stop.cancel();
    running.await.expect("no panic").expect("ends well");
}
