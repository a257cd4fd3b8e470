//! The attachment store through the daemon: files of Telegram (behind a token) and of MAX (public addresses), with kill -9
//! on the way; delivery that waits for nothing; no token anywhere.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    routing::get,
};
use priem_city::{
    max::{MaxCity, Place},
    telegram::Person,
};

use crate::support::{
    Installation,
    flow::{self, POLL_TOKEN},
    free_port, http, until,
};

const MAX_TOKEN: &str = "max-poll-token-that-nobody-may-see-0009";

/// A media host: `/busy` fails the first times, `/endless` never ends, `/inside` points to an internal address.
async fn media(requests: Arc<AtomicUsize>) -> String {
    let photo = || ([(header::CONTENT_TYPE, "image/jpeg")], vec![0x42_u8; 70_000]);
    let count = Arc::clone(&requests);
    let busy = move |headers: HeaderMap| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if headers.contains_key("authorization") || number < 2 {
                return Err(StatusCode::SERVICE_UNAVAILABLE);
            }
            Ok(([(header::CONTENT_TYPE, "image/jpeg")], vec![0x43_u8; 1000]))
        }
    };
    let endless = async || {
        let body = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 10_000]));
        (
            [(header::CONTENT_TYPE, "image/png")],
            axum::body::Body::from_stream(body),
        )
    };
    let router = Router::new()
        .route("/photo", get(async move || photo()))
        .route("/busy", get(busy))
        .route("/endless", get(endless))
        .route(
            "/inside",
            get(async || (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.2:1/")])),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// Reference and expected outcome of every attachment that came out, by the words of its message.
fn references(daemon: &Installation) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|event| {
            let words = event["data"]["body"]["text"].as_str()?.to_owned();
            let stored = event["data"]["attachments"][0]["stored"].as_str()?.to_owned();
            assert!(stored.starts_with(event["id"].as_str()?), "{stored}");
            Some((words, stored))
        })
        .collect()
}

async fn answer(port: u16, reference: &str) -> (u16, Vec<u8>) {
    let url = format!("http://127.0.0.1:{port}/attachments/{reference}");
    match http().get(url).send().await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            (status, answer.bytes().await.expect("a body").to_vec())
        }
        Err(_) => (0, Vec::new()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_survive_kills_and_delivery_waits_for_none() {
    let telegram = flow::telegram().await;
    let bot = telegram.bot(POLL_TOKEN);
    let options = priem_city::max::Options {
        second: Duration::from_millis(5),
        // A process that was killed has polled a moment ago, and its successor does not know.
        polls_per_second: 20,
        ..Default::default()
    };
    let max = MaxCity::start(options).await.expect("a MAX simulator");
    let citizens = max.bot(MAX_TOKEN);
    let requests = Arc::new(AtomicUsize::new(0));
    let media = media(Arc::clone(&requests)).await;
    let (port, media_port) = (free_port(), media.rsplit(':').next().expect("a port"));
    let settings = flow::settings(None).replace(
        "connectors:\n",
        &format!(
            "attachments:\n  dir: kept\n  hosts: [ \"*\" ]\n  ports: [ {media_port}, 1 ]\n  allow_networks: [ 127.0.0.1/32 ]\n  \
             max_bytes: 200000\n  min_free_bytes: 0\n  first_pause_s: 1\n  serve: {{ listen: \"127.0.0.1:{port}\" }}\nconnectors:\n"
        ),
    );
    let max_entry = format!(
        "  max:\n    type: max\n    api_url: {}\n    token: {{ file: \"{{folder}}/secrets/max-token\" }}\n",
        max.api_url()
    );
    let mut daemon = flow::install(&(settings + &flow::poll(&telegram.api_url()) + &max_entry));
    daemon.secret("max-token", MAX_TOKEN);
    daemon.start().await;
    citizens.wait_until(|bot| bot.calls("GET /updates") > 1).await;

    let neighbour = Person::new(77, "Зоя");
    bot.add_file("AgAD77-0-x", vec![0x41_u8; 5000]);
    bot.send_photo(&neighbour, "фото в Telegram");
    for (words, path) in [
        ("фото", "photo"),
        ("не сразу", "busy"),
        ("без конца", "endless"),
        ("внутрь", "inside"),
    ] {
        citizens.write_photo(&neighbour, &Place::Dialog, words, &format!("{media}/{path}"));
    }
    // Every message is out before the slow one of the files is here.
    until("all messages are published", async || references(&daemon).len() == 5).await;
    let references = references(&daemon);
    for _ in 0..3 {
        daemon.kill();
        daemon.start().await;
    }
    for (words, byte, length) in [
        ("фото в Telegram", 0x41, 5000),
        ("фото", 0x42, 70_000),
        ("не сразу", 0x43, 1000),
    ] {
        let reference = &references[words];
        until(words, async || answer(port, reference).await.0 == 200).await;
        assert_eq!(answer(port, reference).await.1, vec![byte; length], "{words}");
    }
    for (words, reason) in [("без конца", "too_large"), ("внутрь", "address_refused")] {
        let reference = &references[words];
        until(words, async || answer(port, reference).await.0 == 410).await;
        let told = String::from_utf8(answer(port, reference).await.1).expect("text");
        assert!(told.contains(reason), "{words}: {told}");
    }
    assert!(requests.load(Ordering::SeqCst) >= 3);
    until("nothing waits", async || {
        daemon.metric("priem_attachments_waiting", "").await == 0.0
    })
    .await;
    daemon.assert_running();
    daemon.stop().await;

    let kept = daemon.folder.path().join("kept");
    assert_eq!(std::fs::read_dir(kept.join("tmp")).expect("a folder").count(), 0);
    let mut places = vec![
        daemon.folder.path().join("out.ndjson"),
        daemon.folder.path().join("priem.log"),
    ];
    places.extend(["queue.sqlite", "queue.sqlite-wal"].map(|name| kept.join(name)));
    for place in places {
        let bytes = std::fs::read(&place).unwrap_or_default();
        for token in [POLL_TOKEN, MAX_TOKEN] {
            let holds = bytes.windows(token.len()).any(|window| window == token.as_bytes());
            assert!(!holds, "a token stands in {}", place.display());
        }
    }
    assert_eq!(telegram.violations(), [""; 0]);
    assert_eq!(max.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_section_nothing_is_kept_and_wrong_settings_are_named() {
    let telegram = flow::telegram().await;
    let bot = telegram.bot(POLL_TOKEN);
    let mut daemon = flow::install(&(flow::settings(None) + &flow::poll(&telegram.api_url())));
    daemon.start().await;
    bot.send_photo(&Person::new(77, "Зоя"), "фото");
    until("it is published", async || {
        std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).is_ok_and(|text| text.contains("фото"))
    })
    .await;
    assert!(references(&daemon).is_empty());
    assert_eq!(bot.calls("getFile"), 0);
    daemon.stop().await;

    let wrong = flow::settings(None).replace("connectors:\n", "attachments: { hosts: [ localhost ] }\nconnectors:\n");
    daemon.configure(&(wrong + &flow::poll(&telegram.api_url())));
    daemon.spawn();
    assert_eq!(daemon.ended().await, 2);
    assert!(daemon.log().contains("attachments.hosts.0:"), "{}", daemon.log());
}
