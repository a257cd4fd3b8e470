//! Senders who prove nothing, over raw sockets against the real daemon: they hang, and those who are proven are taken
//! as ever.

use std::io::ErrorKind;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::support::{
    Installation,
    flow::{self, HOOK_PATH, HOOK_SECRET},
    http, json, until, write,
};

/// A hook whose sender signs the body: nothing in the head proves it.
const SIGNED: &str = r#"version: 1
name: signed
title: Подписанный
channel: portal
kind: portal
regime: portal_message
webhook:
  path: signed-path-0123456789abcdef01234567
  signature: { header: x-signature, secret: { file: "secret" } }
  items: if isarray then .[] else . end
id: .id
message: |
  {body: {text: ((.text // "") | tostring)}}
fixtures:
  - { name: one, record: { id: 1, text: Яма }, ids: [ "1" ], expect: [ { body: { text: Яма } } ] }
"#;
const SIGNED_PATH: &str = "/hooks/signed/signed-path-0123456789abcdef01234567";

/// A hook by path alone, whose bodies are read as JSON.
const OPEN_PATH: &str = "/hooks/open/open-path-0123456789abcdef0123456789";

async fn started(more: &str) -> (priem_city::telegram::TelegramCity, Installation) {
    let city = flow::telegram().await;
    let hooks =
        "  signed: { type: manifest, manifest: signed.yaml }\n  open: { type: manifest, manifest: open.yaml }\n";
    let settings = flow::settings(None).replace("webhooks: {", &format!("webhooks: {{ {more}")) + hooks;
    let mut daemon = flow::install(&(settings + &flow::hook(&city.api_url())));
    write(&daemon.folder.path().join("signed.yaml"), SIGNED);
    write(
        &daemon.folder.path().join("secret"),
        "signature-secret-0123456789abcdef",
    );
    let open: Vec<&str> = SIGNED.lines().filter(|line| !line.contains("signature:")).collect();
    let open = open.join("\n").replace("signed", "open").replace(
        "open-path-0123456789abcdef01234567",
        "open-path-0123456789abcdef0123456789",
    );
    write(&daemon.folder.path().join("open.yaml"), &open);
    daemon.start().await;
    (city, daemon)
}

/// Opens a connection and sends this on it.
async fn hang(port: u16, sent: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    stream.write_all(sent).await.expect("writes");
    stream
}

/// The same from another address of this machine.
async fn hang_from(address: [u8; 4], port: u16, sent: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((address, 0).into()).expect("an address of the loopback");
    let mut stream = socket.connect(([127, 0, 0, 1], port).into()).await.expect("connects");
    stream.write_all(sent).await.expect("writes");
    stream
}

/// First line of an answer.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.contains(&b'\r') {
        assert_ne!(
            stream.read_buf(&mut bytes).await.expect("reads"),
            0,
            "closed without an answer"
        );
    }
    String::from_utf8_lossy(&bytes)
        .lines()
        .next()
        .expect("a line")
        .to_owned()
}

/// Waits for the end of a connection, whatever comes before it.
async fn ended(mut stream: TcpStream) {
    match stream.read_to_end(&mut Vec::new()).await {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

fn head(path: &str, more: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n")
}

fn telegram_head(more: &str) -> String {
    let proof = format!("X-Telegram-Bot-Api-Secret-Token: {HOOK_SECRET}\r\n");
    head(&format!("/hooks/hook/{HOOK_PATH}"), &(proof + more))
}

fn update(number: u32, text: &str) -> String {
    format!(
        r#"{{"update_id": {number}, "message": {{"message_id": {number}, "date": 1, "text": "{text}", "chat": {{"id": 4, "type": "private", "first_name": "А"}}}}}}"#
    )
}

/// Good deliveries, each over a connection of its own.
async fn assert_good_ones_pass(daemon: &Installation, from: u32) {
    for number in from..from + 20 {
        let body = update(number, "Яма");
        let request = telegram_head(&format!("Content-Length: {}\r\nConnection: close\r\n", body.len())) + &body;
        let mut stream = hang(daemon.hooks, request.as_bytes()).await;
        assert_eq!(answer(&mut stream).await, "HTTP/1.1 200 OK", "delivery {number}");
    }
}

fn many_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("our own limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_to_wrong_places_hold_nothing() {
    let (_city, daemon) = started("").await;
    let chunk = "Transfer-Encoding: chunked\r\n";
    let mut hanging = Vec::new();
    for number in 0..64 {
        let (path, expected) = match number % 3 {
            0 => ("/hooks/hook/wrong-path-0123456789abcdef", "403 Forbidden"),
            1 => ("/hooks/nobody/x", "404 Not Found"),
            _ => (SIGNED_PATH, ""),
        };
        let mut stream = hang(daemon.hooks, (head(path, chunk) + "1\r\n{\r\n").as_bytes()).await;
        if !expected.is_empty() {
            assert_eq!(
                answer(&mut stream).await,
                format!("HTTP/1.1 {expected}"),
                "before the body is there"
            );
        }
        hanging.push(stream);
    }
    // A great length that is only announced.
    for _ in 0..64 {
        hanging.push(
            hang(
                daemon.hooks,
                (telegram_head("Content-Length: 1000000\r\n") + "{").as_bytes(),
            )
            .await,
        );
    }
    assert_good_ones_pass(&daemon, 1).await;
    assert_eq!(
        daemon.metric("priem_webhook_answers_total", "status=\"503\"").await,
        0.0
    );
    drop(hanging);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_half_requests_of_one_address_give_way() {
    many_descriptors();
    let (_city, daemon) = started("").await;
    let mut hanging = Vec::new();
    for number in 0..1024 {
        let sent = match number % 4 {
            0 => String::new(),
            1 => "POST /hooks/hook/".into(),
            2 => head("/hooks/nobody", "Content-Length: 9\r\n") + "1",
            _ => head(SIGNED_PATH, "Transfer-Encoding: chunked\r\n") + "1\r\n{\r\n",
        };
        hanging.push(hang(daemon.hooks, sent.as_bytes()).await);
    }
    assert_good_ones_pass(&daemon, 1).await;
    daemon
        .metric_reaches(
            "priem_lost_connections_total",
            "listener=\"webhooks\",reason=\"address_share\"",
            1.0,
        )
        .await;
    let told = daemon
        .log()
        .matches("connections that prove nothing lose theirs")
        .count();
    assert_eq!(told, 1, "the log says it once, the metric counts");
    drop(hanging);
    until("the places are free again", async || {
        daemon.metric("priem_open_connections", "listener=\"webhooks\"").await == 0.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_strangers_leave_room_for_the_proven() {
    let (_city, daemon) = started("max_buffered_bytes: 4194304, ").await;
    let large = "x".repeat(1_000_000);
    let unfinished = head(SIGNED_PATH, "Content-Length: 1000001\r\n") + &large;
    let mut hanging = Vec::new();
    for number in 1..=2 {
        hanging.push(hang_from([127, 0, 0, 2], daemon.hooks, unfinished.as_bytes()).await);
        let come = f64::from(number) * 1_000_000.0;
        daemon.metric_reaches("priem_webhook_buffered_bytes", "", come).await;
    }
    for (from, reason) in [([127, 0, 0, 2], "address_share"), ([127, 0, 0, 3], "overloaded")] {
        let mut stream = hang_from(from, daemon.hooks, unfinished.as_bytes()).await;
        assert_eq!(answer(&mut stream).await, "HTTP/1.1 503 Service Unavailable");
        let labels = format!("reason=\"{reason}\"");
        assert_eq!(
            daemon.metric("priem_refused_requests_total", &labels).await,
            1.0,
            "{reason}"
        );
    }
    let body = update(7, &"я".repeat(400_000));
    let request = telegram_head(&format!("Content-Length: {}\r\n", body.len())) + &body;
    let mut stream = hang(daemon.hooks, request.as_bytes()).await;
    assert_eq!(answer(&mut stream).await, "HTTP/1.1 200 OK");
    drop(hanging);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_requests_end_on_every_listener() {
    let (_city, daemon) = started("request_timeout_s: 1, idle_timeout_s: 1, ").await;
    let half = b"GET /metrics HTTP/1.1\r\nHost: localho";
    let silent = [
        hang(daemon.admin, b"").await,
        hang(daemon.admin, half).await,
        hang(daemon.hooks, b"").await,
        hang(daemon.hooks, half).await,
        hang(
            daemon.hooks,
            (head(SIGNED_PATH, "Content-Length: 9\r\n") + "1").as_bytes(),
        )
        .await,
        hang(
            daemon.hooks,
            &[telegram_head("Content-Length: 2\r\n").as_bytes(), b"{}GET /half"].concat(),
        )
        .await,
    ];
    for stream in silent {
        ended(stream).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_listener_answers_to_its_own_names() {
    let (_city, daemon) = started("").await;
    for (host, expected) in [
        ("127.0.0.1:9464", "200 OK"),
        ("localhost", "200 OK"),
        ("[::1]:9464", "200 OK"),
        ("evil.example:9464", "421 Misdirected Request"),
        ("localhost.evil.example", "421 Misdirected Request"),
    ] {
        let request = format!("GET /health/live HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let mut stream = hang(daemon.admin, request.as_bytes()).await;
        assert_eq!(answer(&mut stream).await, format!("HTTP/1.1 {expected}"), "{host}");
    }
    let mut stream = hang(daemon.admin, b"GET /health/live HTTP/1.0\r\n\r\n").await;
    assert_eq!(answer(&mut stream).await, "HTTP/1.0 200 OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_and_foreign_bodies_are_named() {
    let (_city, daemon) = started("").await;
    let post = async |body: Vec<u8>, encoding: Option<&'static str>| {
        let request = http().post(format!("http://127.0.0.1:{}{OPEN_PATH}", daemon.hooks));
        let request = match encoding {
            Some(encoding) => request.header("content-encoding", encoding),
            None => request,
        };
        request.body(body).send().await.expect("an answer")
    };
    let packed = post(vec![0x1f, 0x8b, 8, 0], Some("gzip")).await;
    assert_eq!(
        (packed.status().as_u16(), &packed.headers()["accept-encoding"]),
        (415, &"identity".parse().unwrap())
    );
    assert!(packed.text().await.expect("a body").contains("Content-Encoding"));
    let plain = post(br#"{"id": 1, "text": "a"}"#.to_vec(), Some("identity")).await;
    assert_eq!(plain.status(), 200);

    let text = r#"{"id": 2, "text": "Яма"}"#;
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cp1251 = [&br#"{"id": 3, "text": ""#[..], &[0xdf, 0xec, 0xe0], b"\"}"].concat();
    for body in [utf16, cp1251] {
        assert_eq!(post(body, None).await.status(), 200);
    }
    let list = json(&daemon.priem(&["quarantine", "list", "--json"]));
    assert_eq!(
        (list[0]["reason"].as_str(), list[1].is_null()),
        (Some("not_utf8"), true),
        "{list}"
    );

    // Half an emoji is read as a replacement, and its message is published.
    let cut = br#"[{"id": 4, "text": "cut \ud83d"}, {"id": 5, "text": "whole"}]"#.to_vec();
    assert_eq!(post(cut, None).await.status(), 200);
    daemon.metric_reaches("priem_published_messages_total", "", 4.0).await;
    let out = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).expect("output");
    assert!(out.contains("cut \u{fffd}"), "{out}");
}
