//! Both listeners over real sockets.

use std::{
    collections::HashMap,
    io::ErrorKind,
    net::SocketAddr,
    num::NonZeroU32,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::http::HeaderValue;
use parking_lot::Mutex;
use priem_sdk::{
    CheckReport, Connector, ConnectorError, Cx, HookRequest, Message, NormalizeError, RawItem, Receipt, Refusal, Reply,
    Secret, Stream, StreamKind,
    contract::{ConnectorId, Item},
    webhook::{SharedSecret, require_header_secret},
};
use reqwest::{Certificate, Client, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::telemetry::Metrics;

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
    async fn accept(&self, _: &ConnectorId, stream: &'static str, items: Vec<Item>) -> Result<(), NotAccepted> {
        assert_eq!(stream, "bell");
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
    assert!(house.counted(r#"priem_refused_requests_total{connector="bell",reason="forbidden"} 1"#));
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
async fn ten_megabytes_get_413_and_the_sender_can_read_it() {
    let house = plain_house();
    let large = vec![b'x'; 10 * 1024 * 1024];
    assert_eq!(house.ring(large.clone()).await.status(), StatusCode::PAYLOAD_TOO_LARGE);

    // Without an announced length.
    let mut stream = TcpStream::connect(house.address).await.expect("connects");
    let head =
        format!("POST /hooks/bell HTTP/1.1\r\nhost: x\r\nx-secret: {SECRET}\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("writes");
    for _ in 0..20 {
        let chunk = [format!("{:x}\r\n", 100_000).as_bytes(), &large[..100_000], b"\r\n"].concat();
        stream.write_all(&chunk).await.expect("writes");
    }
    assert_eq!(status_line(&mut stream).await, "HTTP/1.1 413 Payload Too Large");

    // The answer comes before the body is sent.
    let mut stream = TcpStream::connect(house.address).await.expect("connects");
    let head =
        format!("POST /hooks/bell HTTP/1.1\r\nhost: x\r\nx-secret: {SECRET}\r\ncontent-length: 10485760\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("writes");
    assert_eq!(status_line(&mut stream).await, "HTTP/1.1 413 Payload Too Large");
    assert!(house.shelf.stored.lock().is_empty());

    let fits = vec![b'x'; WebhookSettings::default().max_body_bytes];
    assert_eq!(house.ring(fits.clone()).await.status(), 200);
    assert_eq!(
        house.shelf.stored.lock()[0],
        fits,
        "a body in many pieces arrives whole"
    );
}

async fn status_line(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.contains(&b'\r') {
        let read = stream.read_buf(&mut bytes).await.expect("reads");
        assert_ne!(read, 0, "closed without an answer");
    }
    let text = String::from_utf8_lossy(&bytes);
    text.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_slow_sender_is_cut_off() {
    let house = open_house(Path::new("."), |settings| settings.request_timeout_s = NonZeroU32::MIN);
    let mut slow_head = TcpStream::connect(house.address).await.expect("connects");
    slow_head
        .write_all(b"POST /hooks/bell HTTP/1.1\r\nx-slow:")
        .await
        .expect("writes");
    let mut slow_body = TcpStream::connect(house.address).await.expect("connects");
    let head = format!("POST /hooks/bell HTTP/1.1\r\nhost: x\r\nx-secret: {SECRET}\r\ncontent-length: 10\r\n\r\nx");
    slow_body.write_all(head.as_bytes()).await.expect("writes");
    assert_eq!(status_line(&mut slow_body).await, "HTTP/1.1 408 Request Timeout");
    let mut rest = Vec::new();
    match slow_head.read_to_end(&mut rest).await {
        Ok(_) => assert!(rest.is_empty(), "{rest:?}"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[tokio::test]
async fn too_many_requests_at_once_are_sent_again_later() {
    let house = open_house(Path::new("."), |settings| {
        settings.max_concurrent_requests = NonZeroU32::MIN
    });
    house.shelf.hang.store(true, Ordering::SeqCst);
    let mut first = Box::pin(house.ring("one"));
    tokio::select! {
        _ = &mut first => panic!("answered before the commit"),
        () = house.shelf.entered.notified() => {}
    }
    let second = house.ring("two").await;
    assert_eq!(
        (second.status().as_u16(), &second.headers()["retry-after"]),
        (503, &HeaderValue::from_static("30"))
    );
    house.shelf.go_on.notify_one();
    assert_eq!(first.await.status(), 200);
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

/// Writes a fresh certificate for 127.0.0.1 and returns it as something to trust.
fn write_certificate(directory: &Path) -> Certificate {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).expect("writes");
    std::fs::write(directory.join("cert.pem"), made.cert.pem()).expect("writes");
    Certificate::from_pem(made.cert.pem().as_bytes()).expect("PEM")
}

#[tokio::test]
async fn a_changed_certificate_is_used_and_a_broken_one_is_not() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let old = write_certificate(directory.path());
    let house = open_house(directory.path(), |settings| {
        settings.tls = Some(TlsSettings {
            certificate: "cert.pem".into(),
            key: "key.pem".into(),
            // The periodic check is at work too: the new certificate may come from it or from the call below.
            check_every_s: NonZeroU32::MIN,
        });
    });
    let certificates = house.certificates.clone().expect("TLS");
    let url = format!("https://{}/hooks/bell", house.address);
    // A new client each time, so that no connection is used twice.
    let ring = |trusted: &Certificate| {
        let client = Client::builder()
            .no_proxy()
            .tls_certs_only([trusted.clone()])
            .build()
            .expect("a client");
        client.post(&url).header("x-secret", SECRET).body("Яма").send()
    };
    assert_eq!(ring(&old).await.expect("trusted").status(), 200);

    std::fs::write(directory.path().join("cert.pem"), "half a certif").expect("writes");
    let error = certificates.reload().expect_err("broken").to_string();
    assert!(
        error.contains("cert.pem") && error.contains("PEM files of one certificate"),
        "{error}"
    );
    assert_eq!(ring(&old).await.expect("the old one goes on").status(), 200);

    let new = write_certificate(directory.path());
    certificates.reload_if_changed().expect("a good certificate");
    assert_eq!(ring(&new).await.expect("the new one").status(), 200);
    assert!(ring(&old).await.is_err(), "the old one is gone");
}

#[tokio::test]
async fn the_periodic_check_finds_a_changed_certificate() {
    let directory = tempfile::tempdir().expect("temporary directory");
    write_certificate(directory.path());
    let house = open_house(directory.path(), |settings| {
        settings.tls = Some(TlsSettings {
            certificate: "cert.pem".into(),
            key: "key.pem".into(),
            check_every_s: NonZeroU32::MIN,
        });
    });
    let url = format!("https://{}/hooks/bell", house.address);
    let new = write_certificate(directory.path());
    let until_trusted = async {
        loop {
            let client = Client::builder()
                .no_proxy()
                .tls_certs_only([new.clone()])
                .build()
                .expect("a client");
            if client.post(&url).header("x-secret", SECRET).send().await.is_ok() {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), until_trusted)
        .await
        .expect("the new certificate is used");
}

#[test]
fn an_unusable_certificate_stops_the_start_with_its_name() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let load = || {
        let settings = TlsSettings {
            certificate: "cert.pem".into(),
            key: "key.pem".into(),
            check_every_s: NonZeroU32::MIN,
        };
        Certificates::load(&settings, directory.path()).map(|_| ())
    };
    assert_eq!(load().expect_err("absent").key, "webhooks.tls.certificate");
    write_certificate(directory.path());
    let key = std::fs::read(directory.path().join("key.pem")).expect("reads");
    write_certificate(directory.path());
    load().expect("a pair");
    std::fs::write(directory.path().join("key.pem"), key).expect("writes");
    assert_eq!(load().expect_err("a key of another certificate").key, "webhooks.tls");
}

#[tokio::test]
async fn operators_get_metrics_and_health() {
    let settings = AdminSettings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
    };
    let health = Health::new(&["journal"]);
    let server = AdminServer::bind(&settings, Metrics::new(), health.clone()).expect("binds");
    let address = server.address();
    let taken = AdminServer::bind(&AdminSettings { listen: address }, Metrics::new(), health.clone());
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
