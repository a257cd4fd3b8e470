//! The client against real servers on loopback.

use std::{
    error::Error,
    net::SocketAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{error::ConnectorError, secret::Secret};

const TOKEN: &str = "123456:AAFakeTokenForTests";

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A server that sends `bytes` to whoever connects, then cuts the connection; counts connections.
async fn serve_bytes(bytes: &'static [u8]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = connections.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    (address, connections)
}

fn client() -> HttpClient {
    client_with(|_| {})
}

fn client_with(change: impl FnOnce(&mut HttpOptions)) -> HttpClient {
    let mut options = HttpOptions {
        timeout: Duration::from_secs(5),
        max_response_bytes: 10_000,
        ..HttpOptions::default()
    };
    change(&mut options);
    HttpClient::new(options).expect("a client")
}

fn url(address: SocketAddr, method: &str) -> String {
    format!("http://{address}/bot{TOKEN}/{method}")
}

/// The whole error, all layers, as a careless log would print it.
fn everything(error: &ConnectorError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut layer = error.source();
    while let Some(source) = layer {
        text.push_str(&format!(" {source} {source:?}"));
        layer = source.source();
    }
    text
}

fn assert_no_token(error: &ConnectorError) {
    let text = everything(error);
    assert!(!text.contains("AAFake") && !text.contains("/bot"), "{text}");
}

#[tokio::test]
async fn a_json_answer_outside_2xx_is_handed_over_with_its_retry_after() {
    let router = Router::new().route(
        "/{bot}/getUpdates",
        post(|| async {
            let answer = r#"{"ok":false,"error_code":429,"parameters":{"retry_after":7}}"#;
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "7")], answer)
        }),
    );
    let address = serve(router).await;
    let request = HttpRequest::post(url(address, "getUpdates")).json(&serde_json::json!({"timeout": 0}));
    let response = client().send(request).await.expect("an answer");
    assert_eq!(
        (response.status, response.retry_after),
        (429, Some(Duration::from_secs(7)))
    );
    let body: serde_json::Value = response.json().expect("JSON");
    assert_eq!(body["error_code"], 429);
    let error = response.error_for_status().expect_err("a decision");
    assert!(matches!(error, ConnectorError::RateLimited { retry_after } if retry_after.as_secs() == 7));
}

#[tokio::test]
async fn an_html_502_is_a_transient_error_that_quotes_nothing() {
    let hits = Arc::new(AtomicUsize::new(0));
    let counter = hits.clone();
    let router = Router::new().route(
        "/{bot}/getMe",
        get(move || async move {
            counter.fetch_add(1, Ordering::SeqCst);
            (StatusCode::BAD_GATEWAY, "<html>Ivan Petrov</html>")
        }),
    );
    let address = serve(router).await;
    let request = HttpRequest::get(url(address, "getMe"));
    let response = client().send(request.clone()).await.expect("an answer");
    let error = response.json::<serde_json::Value>().expect_err("not JSON");
    assert_eq!(error.kind(), "transient");
    assert!(!everything(&error).contains("Ivan"), "{error}");
    assert_eq!(hits.load(Ordering::SeqCst), 1);

    let response = client()
        .send(request.retry(Retry::Idempotent))
        .await
        .expect("an answer");
    assert_eq!(response.status, 502);
    assert_eq!(hits.load(Ordering::SeqCst), 4, "two quick retries");
}

#[tokio::test]
async fn a_named_pause_is_not_answered_with_a_quick_retry() {
    let hits = Arc::new(AtomicUsize::new(0));
    let counter = hits.clone();
    let router = Router::new().route(
        "/{bot}/getMe",
        get(move || async move {
            counter.fetch_add(1, Ordering::SeqCst);
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "60")], "")
        }),
    );
    let address = serve(router).await;
    let request = HttpRequest::get(url(address, "getMe")).retry(Retry::Idempotent);
    let response = client().send(request).await.expect("an answer");
    assert_eq!((response.status, hits.load(Ordering::SeqCst)), (503, 1));
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_whether_announced_or_not() {
    let announced = serve(Router::new().fallback(get(|| async { "x".repeat(10_001) }))).await;
    let (streamed, _) = serve_bytes(
        concat!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "2000\r\n", // 8 192 bytes announced, more than that follows
        )
        .as_bytes(),
    )
    .await;
    let error = client()
        .send(HttpRequest::get(url(announced, "x")))
        .await
        .expect_err("too large");
    assert!(error.to_string().contains("larger than 10000 bytes"), "{error}");
    assert_no_token(&error);
    let error = client()
        .send(HttpRequest::get(url(streamed, "x")))
        .await
        .expect_err("cut short");
    assert_eq!(error.kind(), "transient");

    let endless = Router::new().fallback(get(|| async {
        let piece = axum::body::Bytes::from(vec![b'x'; 4_000]);
        let pieces = futures::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()));
        axum::body::Body::from_stream(pieces)
    }));
    let address = serve(endless).await;
    let error = client()
        .send(HttpRequest::get(url(address, "x")))
        .await
        .expect_err("endless");
    assert!(error.to_string().contains("larger than 10000 bytes"), "{error}");
}

#[tokio::test]
async fn a_cut_connection_is_transient_and_retried_only_when_allowed() {
    let (address, connections) = serve_bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"ok\":").await;
    let request = HttpRequest::get(url(address, "getUpdates"));
    let error = client().send(request.clone()).await.expect_err("a cut answer");
    assert_eq!(error.kind(), "transient");
    assert_no_token(&error);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    client()
        .send(request.retry(Retry::Idempotent))
        .await
        .expect_err("a cut answer");
    assert_eq!(connections.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn no_error_ever_holds_the_address() {
    let unused = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = unused.local_addr().expect("bound");
    drop(unused);
    let (silent, _) = serve_bytes(b"HTTP/1.1 200 OK\r\n").await;
    let (not_http, _) = serve_bytes(b"SSH-2.0-OpenSSH\r\n\r\n").await;
    let impatient = client_with(|options| options.timeout = Duration::from_millis(50));
    let hanging = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let hanging_address = hanging.local_addr().expect("bound");
    let unresolvable = format!("http://{}.invalid/bot{TOKEN}/getMe", "no-such-host");
    for (client, request) in [
        (client(), HttpRequest::get(url(address, "getMe"))),
        (client(), HttpRequest::get(url(silent, "getMe"))),
        (client(), HttpRequest::get(url(not_http, "getMe"))),
        (
            client(),
            HttpRequest::get(url(not_http, "getMe").replace("http:", "https:")),
        ),
        (impatient, HttpRequest::get(url(hanging_address, "getMe"))),
        (client(), HttpRequest::get(unresolvable)),
        (client(), HttpRequest::get(format!("not an address/bot{TOKEN}"))),
        (client(), HttpRequest::get(format!("ftp://host/bot{TOKEN}"))),
        (
            client(),
            HttpRequest::get(url(address, "getMe")).header("x-token", &format!("{TOKEN}\n/bot")),
        ),
    ] {
        assert!(!format!("{request:?}").contains("AAFake"), "{request:?}");
        let error = client.send(request).await.expect_err("no answer");
        assert_no_token(&error);
    }
}

#[tokio::test]
async fn redirects_stay_on_one_host_and_carry_no_referer() {
    let foreign_hits = Arc::new(AtomicUsize::new(0));
    let counter = foreign_hits.clone();
    let foreign = serve(Router::new().fallback(move || async move {
        counter.fetch_add(1, Ordering::SeqCst);
        "token, please"
    }))
    .await;
    let elsewhere = format!("http://{foreign}/steal");
    let router = Router::new()
        .route(
            "/{bot}/elsewhere",
            get(move || async move { Redirect::temporary(&elsewhere) }),
        )
        .route("/{bot}/here", get(|| async { Redirect::temporary("/moved") }))
        .route("/{bot}/loop", get(|| async { Redirect::temporary("loop") }))
        .route(
            "/moved",
            get(|headers: HeaderMap| async move {
                let referer = headers.contains_key(header::REFERER);
                format!("{referer}").into_response()
            }),
        );
    let address = serve(router).await;
    let response = client()
        .send(HttpRequest::get(url(address, "elsewhere")))
        .await
        .expect("an answer");
    assert_eq!(response.status, 307);
    assert_eq!(response.error_for_status().expect_err("a redirect").kind(), "transient");
    assert_eq!(foreign_hits.load(Ordering::SeqCst), 0);
    let response = client()
        .send(HttpRequest::get(url(address, "here")))
        .await
        .expect("an answer");
    assert_eq!((response.status, response.body.as_ref()), (200, b"false".as_slice()));
    let response = client()
        .send(HttpRequest::get(url(address, "loop")))
        .await
        .expect("an answer");
    assert_eq!(response.status, 307);
}

#[tokio::test]
async fn the_rate_limit_counts_each_key_by_itself() {
    let address = serve(Router::new().fallback(get(|| async { "" }))).await;
    let client = client_with(|options| {
        options.requests_per_second = NonZeroU32::new(20);
        options.burst = NonZeroU32::MIN;
    });
    let send = |key: &str| {
        let request = HttpRequest::get(url(address, "x")).limit_key(&Secret::new(key.to_owned()));
        let client = client.clone();
        async move { client.send(request).await.expect("an answer") }
    };
    let started = Instant::now();
    for _ in 0..4 {
        send("one").await;
    }
    let same_key = started.elapsed();
    // Of two that begin together one waits for the other's turn, however long the server takes.
    let second = async {
        let asked = Instant::now();
        let took = send("one").await.took;
        asked.elapsed().saturating_sub(took)
    };
    let (_, waited) = tokio::join!(send("one"), second);
    assert!(
        waited >= Duration::from_millis(45),
        "our own wait is not the server's: {waited:?}"
    );
    assert!(
        same_key >= Duration::from_millis(145),
        "three waits of 50 ms, was {same_key:?}"
    );
    // Fresh keys never wait for each other: the limiter would let one of them pass every 50 ms otherwise.
    let started = Instant::now();
    let keys: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    futures::future::join_all(keys.iter().map(|key| send(key))).await;
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[test]
fn settings_name_the_key_and_the_cure() {
    let directory = tempfile::tempdir().expect("temporary directory");
    std::fs::write(directory.path().join("empty.pem"), "nothing").expect("write");
    std::fs::write(directory.path().join("proxy"), "user:pa ss").expect("write");
    let apply = |json: serde_json::Value| {
        let settings: HttpClientSettings = crate::registry::settings(json)?;
        let options = settings.apply(HttpOptions::default(), directory.path())?;
        assert!(!format!("{options:?}").contains("pa"), "{options:?}");
        let client = HttpClient::new(options)?;
        assert!(!format!("{client:?}").contains("10.0.0.1"), "{client:?}");
        Ok::<_, crate::error::ConfigError>(client)
    };
    let secret = directory.path().join("proxy");
    apply(serde_json::json!({"proxy": "http://10.0.0.1:3128", "proxy_credentials": {"file": secret}})).expect("fits");
    apply(serde_json::json!({"proxy": "socks5h://10.0.0.1:1080", "timeout_s": 5})).expect("fits");
    for (json, key) in [
        (
            serde_json::json!({"extra_root_certificates": ["absent.pem"]}),
            "extra_root_certificates",
        ),
        (
            serde_json::json!({"extra_root_certificates": ["empty.pem"]}),
            "extra_root_certificates",
        ),
        (serde_json::json!({"proxy": "http://user:hidden@10.0.0.1"}), "proxy"),
        (serde_json::json!({"proxy": "gopher://10.0.0.1"}), "proxy"),
        (
            serde_json::json!({"proxy_credentials": {"file": secret}}),
            "proxy_credentials",
        ),
        (serde_json::json!({"timeouts": 5}), "timeouts"),
    ] {
        let error = apply(json).expect_err(key);
        assert_eq!(error.key, key, "{error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
}

#[tokio::test]
async fn one_broken_text_does_not_make_an_answer_unreadable() {
    const HALF: &str = r#"{"items":[{"text":"one"},{"text":"cut \ud83d"},{"text":"three"}]}"#;
    let address = serve(Router::new().route("/", get(|| async { HALF }))).await;
    let request = HttpRequest::get(format!("http://{address}/"));
    let response = client().send(request).await.expect("an answer");
    let answer: serde_json::Value = response.json().expect("mended");
    assert_eq!(answer["items"][1]["text"], "cut \u{fffd}");
    assert_eq!(answer["items"][2]["text"], "three");
}

#[tokio::test]
async fn a_proxy_without_patience_makes_long_polls_shorter_and_is_no_trouble() {
    let cut = || async {
        tokio::time::sleep(Duration::from_millis(1_400)).await;
        axum::http::StatusCode::GATEWAY_TIMEOUT
    };
    let address = serve(Router::new().route("/", get(cut))).await;
    let hold = Hold::new(Duration::from_secs(50));
    let poll = || async {
        let request = HttpRequest::get(format!("http://{address}/"));
        client().send_held(request, &hold).await.expect("no trouble")
    };
    for _ in 0..3 {
        assert_eq!(hold.now(), Duration::from_secs(50));
        assert_eq!(poll().await, None);
    }
    assert_eq!(hold.now(), Duration::from_secs(1));
    let answer = poll().await.expect("calls can't be shorter than this");
    assert_eq!(answer.status, 504);
}
