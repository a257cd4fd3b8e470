//! Hostile and broken input through the real daemon: a clear answer, nothing lost, no panic; and not a word of a
//! citizen, not a token, not a secret in anything operators or machines read.

use std::{io::Write, net::TcpStream};

use priem_city::{
    exports::{self, Encoding, ExportSpec, Format},
    telegram::Person,
};
use serde_json::{Value, json as object};

use crate::support::{
    Installation,
    flow::{self, HOOK_PATH, HOOK_SECRET, HOOK_TOKEN, POLL_TOKEN},
    http, json, text, until,
};

/// What may be seen nowhere but in the messages themselves.
const MARKS: [&str; 9] = [
    "МЕТКАТЕКСТА",
    "МЕТКАИМЕНИ",
    "МЕТКАФАМИЛИИ",
    "metka_username",
    "+79995550123",
    "МЕТКАЯЧЕЙКИ",
    HOOK_TOKEN,
    POLL_TOKEN,
    HOOK_SECRET,
];

/// A delivery: status of the answer.
async fn post(daemon: &Installation, secret: Option<&str>, body: impl Into<reqwest::Body>) -> u16 {
    let url = format!("http://127.0.0.1:{}/hooks/hook/{HOOK_PATH}", daemon.hooks);
    let mut request = http().post(url).header("content-type", "application/json").body(body);
    if let Some(secret) = secret {
        request = request.header("x-telegram-bot-api-secret-token", secret);
    }
    request.send().await.expect("an answer").status().as_u16()
}

fn held(daemon: &Installation) -> Vec<Value> {
    let list = json(&daemon.priem(&["quarantine", "list", "--json"]));
    list.as_array().expect("a list").clone()
}

fn held_for(daemon: &Installation, reason: &str) -> Vec<Value> {
    held(daemon)
        .into_iter()
        .filter(|item| item["reason"] == reason)
        .collect()
}

fn raw(daemon: &Installation, item: &Value) -> String {
    let shown = json(&daemon.priem(&["quarantine", "show", "--raw", "--json", &item["seq"].to_string()]));
    shown["body"].as_str().expect("a body").to_owned()
}

fn citizen() -> Person {
    Person {
        last_name: Some("МЕТКАФАМИЛИИ".into()),
        username: Some("metka_username".into()),
        ..Person::new(510_900_900, "МЕТКАИМЕНИ")
    }
}

async fn installed() -> (priem_city::telegram::TelegramCity, Installation) {
    let city = flow::telegram().await;
    let api = city.api_url();
    // The simulator knows a bot once it was asked for.
    let _ = (city.bot(HOOK_TOKEN), city.bot(POLL_TOKEN));
    let mut daemon = flow::install(&(flow::settings(None) + &flow::hook(&api) + &flow::poll(&api) + &flow::files()));
    daemon.start().await;
    (city, daemon)
}

fn published(daemon: &Installation) -> Vec<Value> {
    let lines = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).unwrap_or_default();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect()
}

/// Different messages among what was published: a rule may send copies.
fn subjects(daemon: &Installation) -> std::collections::BTreeSet<String> {
    published(daemon)
        .iter()
        .filter_map(|one| one["subject"].as_str().map(str::to_owned))
        .collect()
}

/// Nothing marked in anything that is not the message itself.
async fn assert_discreet(daemon: &Installation, names: &[String]) {
    let mut seen = vec![("log".to_owned(), daemon.log())];
    for path in ["/metrics", "/health/ready", "/health/live"] {
        seen.push((path.to_owned(), daemon.get(path).await.expect("an answer").1));
    }
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["quarantine", "list"],
        vec!["quarantine", "list", "--json"],
        vec!["journal", "stats"],
        vec!["journal", "stats", "--json"],
        vec!["journal", "verify"],
        vec!["check"],
        vec!["check", "--json"],
        vec!["why", "unknown"],
    ];
    let numbers: Vec<String> = held(daemon).iter().map(|item| item["seq"].to_string()).collect();
    commands.extend(numbers.iter().map(|number| vec!["quarantine", "show", number]));
    for name in names.iter().chain(&numbers) {
        commands.push(vec!["why", name]);
        commands.push(vec!["why", "--json", name]);
    }
    for command in commands {
        let output = daemon.priem(&command);
        let both = text(&output) + &String::from_utf8_lossy(&output.stderr);
        assert!(!both.is_empty(), "{command:?} says something");
        seen.push((command.join(" "), both));
    }
    for (place, content) in seen {
        for mark in MARKS.iter().chain(&[HOOK_PATH]) {
            assert!(!content.contains(mark), "{mark} is seen in {place}:\n{content}");
        }
        assert!(!content.contains("panicked"), "{place}:\n{content}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_deliveries_are_answered_kept_and_not_told() {
    let (city, mut daemon) = installed().await;
    let secret = Some(HOOK_SECRET);

    // Not proven: refused, counted, not stored.
    let good = object!({"update_id": 9, "message": {"message_id": 1, "date": 1, "text": "МЕТКАТЕКСТА",
        "chat": {"id": 4, "type": "private", "first_name": "МЕТКАИМЕНИ"}}});
    assert_eq!(post(&daemon, None, good.to_string()).await, 401);
    assert_eq!(post(&daemon, Some("МЕТКАТЕКСТА"), good.to_string()).await, 403);
    assert_eq!(post(&daemon, Some(&HOOK_SECRET[1..]), good.to_string()).await, 403);
    for (path, expected) in [
        ("hooks/hook/wrong", 403),
        ("hooks/nobody/x", 404),
        ("other", 404),
        ("", 404),
    ] {
        let url = format!("http://127.0.0.1:{}/{path}", daemon.hooks);
        let request = http()
            .post(url)
            .header("x-telegram-bot-api-secret-token", HOOK_SECRET)
            .body(good.to_string());
        assert_eq!(
            request.send().await.expect("an answer").status().as_u16(),
            expected,
            "{path}"
        );
    }
    let url = format!("http://127.0.0.1:{}/hooks/hook/{HOOK_PATH}", daemon.hooks);
    let got = http()
        .get(&url)
        .header("x-telegram-bot-api-secret-token", HOOK_SECRET)
        .send()
        .await
        .expect("an answer");
    assert_eq!(got.status().as_u16(), 405);
    assert!(
        daemon
            .metric("priem_refused_requests_total", "connector=\"hook\"")
            .await
            >= 5.0
    );
    assert_eq!(post(&daemon, secret, vec![b'x'; 10 << 20]).await, 413);
    assert_eq!(daemon.stats()["raw_items"], 0, "nothing of this is stored");

    // Connections that never finish their headers keep nobody out.
    let mut slow: Vec<TcpStream> = Vec::new();
    for _ in 0..64 {
        let mut connection = TcpStream::connect(("127.0.0.1", daemon.hooks)).expect("a connection");
        connection
            .write_all(b"POST /hooks/hook/x HTTP/1.1\r\nhost: a\r\nx-slow: ")
            .expect("a write");
        slow.push(connection);
    }

    // Proven and not understood: success, and kept whole.
    let nested = "[".repeat(100_000);
    let deep_text = format!(
        "{{\"update_id\":10,\"message\":{{\"message_id\":3,\"date\":1,\"chat\":{{\"id\":4}},\"text\":{nested}{}}}}}",
        "]".repeat(100_000)
    );
    let broken = "{\"update_id\": 8, \"message\": \"МЕТКАТЕКСТА";
    let bodies: [&[u8]; 6] = [
        broken.as_bytes(),
        nested.as_bytes(),
        deep_text.as_bytes(),
        b"",
        b"\xff\xfe\x00garbage",
        b"[1,2,3]",
    ];
    for body in bodies {
        assert_eq!(post(&daemon, secret, body.to_vec()).await, 200, "{} bytes", body.len());
    }
    until("everything is held", async || held(&daemon).len() >= bodies.len()).await;
    let kept: Vec<String> = held(&daemon).iter().map(|item| raw(&daemon, item)).collect();
    for body in [broken, &nested, &deep_text, "[1,2,3]"] {
        assert!(
            kept.iter().any(|one| one == body),
            "{} bytes are kept whole",
            body.len()
        );
    }

    // Another content type is no reason to lose words.
    let request = http().post(&url).header("x-telegram-bot-api-secret-token", HOOK_SECRET);
    let answer = request
        .header("content-type", "text/plain")
        .body(good.to_string())
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    until("it is published", async || published(&daemon).len() == 1).await;

    // A kind of update of tomorrow: kept, may be tried again, still kept.
    let tomorrow = object!({"update_id": 11, "brand_new_kind": {"words": "МЕТКАТЕКСТА"}});
    assert_eq!(post(&daemon, secret, tomorrow.to_string()).await, 200);
    until("it is held", async || held_for(&daemon, "unknown_kind").len() == 1).await;
    let number = held_for(&daemon, "unknown_kind")[0]["seq"].to_string();
    let retried = daemon.metric("priem_quarantined_items_total", "unknown_kind").await;
    assert!(daemon.priem(&["quarantine", "retry", &number]).status.success());
    daemon
        .metric_reaches("priem_quarantined_items_total", "unknown_kind", retried + 1.0)
        .await;
    until("it is held again", async || {
        held_for(&daemon, "unknown_kind").len() == 1
    })
    .await;
    assert_eq!(
        raw(&daemon, &held_for(&daemon, "unknown_kind")[0]),
        tomorrow.to_string()
    );

    // The same through getUpdates: garbage beside good words stops nobody.
    let poll = city.bot(POLL_TOKEN);
    poll.push(object!({"brand_new_kind": {"words": "МЕТКАТЕКСТА"}}));
    let sent = poll.send_private(&citizen(), "МЕТКАТЕКСТА в опросе");
    poll.send(
        "message",
        object!({"chat": {"id": citizen().id, "type": "private", "first_name": "МЕТКАИМЕНИ"},
        "contact": {"phone_number": "+79995550123", "first_name": "МЕТКАИМЕНИ", "last_name": "МЕТКАФАМИЛИИ"}}),
    );
    until("the words are published", async || {
        published(&daemon)
            .iter()
            .any(|one| one["data"]["body"]["text"] == "МЕТКАТЕКСТА в опросе")
    })
    .await;
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;

    assert_discreet(
        &daemon,
        &[format!("{}:{}", sent.chat_id, sent.message_id), "4:1".into()],
    )
    .await;
    drop(slow);
    daemon.assert_running();
    daemon.stop().await;
    assert!(daemon.priem(&["journal", "verify"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_files_give_their_good_rows_and_name_the_bad_ones() {
    let (_city, mut daemon) = installed().await;
    let drop_folder = daemon.folder.path().join("drop");
    let put = |name: &str, make: &mut dyn FnMut(&std::path::Path)| {
        let beside = drop_folder.join(name);
        make(&beside);
        std::fs::rename(&beside, drop_folder.join("inbox").join(name)).expect("a move");
    };
    until("the folders are made", async || drop_folder.join("inbox").exists()).await;
    let mut voice = |number: u64| {
        let mut voice = exports::sample_voice(number);
        voice.text.push_str(" МЕТКАЯЧЕЙКИ");
        voice
    };

    // A broken row in the middle of a CSV.
    let csv = Format::Csv {
        encoding: Encoding::Utf8,
        delimiter: b';',
    };
    let mut spec = ExportSpec::new(3, 10).format(csv);
    spec.bad_every = 5;
    let mut manifest = None;
    put("broken-row.csv", &mut |path| {
        manifest = exports::write(path, &spec, &mut voice).ok()
    });
    let manifest = manifest.expect("an export");
    assert_eq!(manifest.bad_rows, 2);
    until("the file is done", async || {
        drop_folder.join("done/broken-row.csv").exists()
    })
    .await;
    until("good rows are published", async || subjects(&daemon).len() == 10).await;
    let bad = held_for(&daemon, "bad_row");
    assert_eq!(bad.len(), 2, "{bad:?}");
    // The header is row 1, so the fifth incident is row 6 and the bad one after it row 7.
    assert!(bad[0]["why"].as_str().expect("a reason").contains("row 7"), "{bad:?}");
    assert!(raw(&daemon, &bad[0]).contains("испорчено"), "the row is kept whole");

    // A workbook cut in the middle, a text file that says it is a workbook, and an empty one.
    put("cut.xlsx", &mut |path| {
        let mut spec = ExportSpec::new(4, 400);
        spec.first = 1000;
        exports::write(path, &spec, &mut voice).expect("an export");
        exports::truncate(path).expect("a cut");
    });
    put("words.xlsx", &mut |path| {
        std::fs::write(path, "МЕТКАЯЧЕЙКИ;1\n2;3\n").expect("a file")
    });
    put("empty.csv", &mut |path| std::fs::write(path, "").expect("a file"));
    put("strange.csv", &mut |path| {
        std::fs::write(path, "МЕТКАЯЧЕЙКИ;b\n1;2\n").expect("a file")
    });
    for name in ["cut.xlsx", "words.xlsx", "empty.csv", "strange.csv"] {
        until(name, async || drop_folder.join("failed").join(name).exists()).await;
    }
    // Good ones after them are taken as ever.
    put("good.xlsx", &mut |path| {
        let mut spec = ExportSpec::new(5, 25);
        spec.first = 5000;
        exports::write(path, &spec, &mut voice).expect("an export");
    });
    until("the good file is done", async || {
        drop_folder.join("done/good.xlsx").exists()
    })
    .await;
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;
    let rows = published(&daemon);
    for number in 5000..5025 {
        let name = (7_000_000 + number).to_string();
        assert!(rows.iter().any(|row| row["subject"] == name.as_str()), "{name}");
    }
    let files: Vec<Value> = held(&daemon);
    let files = files.iter().filter(|item| {
        item["reason"]
            .as_str()
            .is_some_and(|reason| reason.starts_with("file_"))
    });
    assert_eq!(
        files.count(),
        4,
        "each broken file stands in quarantine: {:?}",
        held(&daemon)
    );
    daemon.assert_running();
    assert_discreet(&daemon, &["7005000".into(), "7000001".into()]).await;
    daemon.stop().await;
    assert!(daemon.priem(&["journal", "verify"]).status.success());
}
