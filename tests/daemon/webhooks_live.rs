//! «Управляем вместе», МСС and votes through the daemon, by the manifests that are shipped: a day of signed webhooks while
//! the broker dies and the process is killed. Nothing is lost, nothing with a bad signature is taken, a request played
//! again after the window is refused, a record whose mapping throws is held alone.

use std::path::Path;

use bytes::Bytes;
use priem_city::{
    broker::Broker,
    senders::{
        Dress, HookSender,
        day::{self, Day},
    },
};
use priem_sdk::EventType;
use serde_json::{Value, json};

use crate::support::{
    Installation, PATIENCE,
    flow::{self, Ledger, QUEUE},
    json as parsed, until,
};

/// Names of the connectors; each has its profile, its path and its key.
const SYSTEMS: [&str; 3] = ["uv", "mss", "votes"];

fn path_of(system: &str) -> String {
    format!("path-of-{system}-0123456789abcdef0123456789abcdef")
}

fn key_of(system: &str) -> String {
    format!("key-of-{system}-that-nobody-may-see")
}

/// The manifests as they are shipped; the entries give secrets only.
fn install(broker: Option<&Broker>) -> Installation {
    let mut settings = flow::settings(broker);
    for system in SYSTEMS {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("config/manifests/{system}-webhook.yaml"));
        settings += &format!(
            "  {system}:\n    type: manifest\n    manifest: \"{}\"\n    webhook:\n      \
             path: {{ file: \"{{folder}}/secrets/{system}-path\" }}\n      \
             signature: {{ secret: {{ file: \"{{folder}}/secrets/{system}-key\" }} }}\n",
            manifest.display()
        );
    }
    let installation = Installation::new(&settings);
    for system in SYSTEMS {
        installation.secret(&format!("{system}-path"), &path_of(system));
        installation.secret(&format!("{system}-key"), &key_of(system));
    }
    installation
}

fn sender(daemon: &Installation, system: &str) -> HookSender {
    let url = format!("http://127.0.0.1:{}/hooks/{system}/{}", daemon.hooks, path_of(system));
    HookSender::new(&url, &key_of(system)).expect("a sender")
}

fn event(name: &str) -> EventType {
    let ending = format!(".{}.v1", name.replace('_', "."));
    let found = EventType::ALL
        .into_iter()
        .find(|event| event.as_str().ends_with(&ending) || event.as_str() == name);
    found.unwrap_or_else(|| panic!("no event {name}"))
}

fn note(ledger: &mut Ledger, system: &str, day: &Day) {
    for (number, one) in day.brings.iter().enumerate() {
        // Out of order on purpose: each event is a conversation of its own for the comparison.
        let conversation = format!("{}/{number}", one.object);
        match &one.revision {
            Some(revision) => ledger.exact(system, &one.object, revision, event(one.event), &conversation),
            None => ledger.any_revision(system, &one.object, event(one.event)),
        }
    }
}

/// One body of a stranger for each system; nothing of it may ever come out.
fn stranger(system: &str) -> Bytes {
    let body = match system {
        "uv" => json!({"id": "evt-bad", "type": "created", "message": {"id": 999_001, "text": "чужое"}}),
        "mss" => json!({"number": 999_002, "text": "чужое"}),
        _ => json!({"number": 999_003, "title": "чужое"}),
    };
    Bytes::from(body.to_string())
}

/// Everything a stranger may try is refused, whichever system it is tried on.
async fn strangers_are_refused(senders: &[(&'static str, HookSender)]) {
    for (system, sender) in senders {
        let body = stranger(system);
        for (dress, status) in [
            (Dress::Unsigned, 401),
            (Dress::WrongKey, 403),
            (Dress::Tampered, 403),
            (Dress::Redated, 403),
            (Dress::Skewed(-301 - 60), 403),
            (Dress::Skewed(301 + 60), 403),
        ] {
            let answer = sender.send(&sender.sign(&body, dress)).await;
            assert_eq!(answer, Some(status), "{system}: {dress:?}");
        }
        // Garbage without a proof is not even kept.
        let garbage = sender.sign(&Bytes::from_static(b"{\"events\": ["), Dress::WrongKey);
        assert_eq!(sender.send(&garbage).await, Some(403), "{system}");
    }
}

/// A part of the day, all systems side by side.
fn deliver(senders: &[(&'static str, HookSender)], days: &[Day], part: usize) -> tokio::task::JoinSet<()> {
    let mut running = tokio::task::JoinSet::new();
    for ((_, sender), day) in senders.iter().zip(days) {
        let count = day.requests.len().div_ceil(PARTS);
        let bodies: Vec<Bytes> = day.requests.iter().skip(part * count).take(count).cloned().collect();
        let sender = sender.clone();
        running.spawn(async move {
            for body in bodies {
                sender.deliver(&body).await;
            }
        });
    }
    running
}

/// The day is cut into so many parts.
const PARTS: usize = 4;

fn attempts(senders: &[(&'static str, HookSender)]) -> usize {
    senders.iter().map(|(_, sender)| sender.attempts()).sum()
}

fn delivered(senders: &[(&'static str, HookSender)]) -> usize {
    senders.iter().map(|(_, sender)| sender.delivered()).sum()
}

/// Waits until everything that was taken is published or held.
async fn published(daemon: &Installation) {
    let is_done = until("nothing is pending", async || daemon.stats()["pending"] == 0);
    if tokio::time::timeout(PATIENCE * 9 / 10, is_done).await.is_err() {
        let log = daemon.log();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(40)..].join("\n");
        panic!("still pending: {}\n{end}", daemon.stats());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_webhooks_outlives_the_broker_and_the_process() {
    let mut broker = Broker::start().await.expect("a broker");
    let mut daemon = install(Some(&broker));
    let senders = SYSTEMS.map(|system| (system, sender(&daemon, system)));
    let days = [day::uv(7, 90), day::mss(8, 60), day::votes(9, 20)];
    let mut ledger = Ledger::default();
    for ((system, _), day) in senders.iter().zip(&days) {
        note(&mut ledger, system, day);
    }

    daemon.start().await;
    strangers_are_refused(&senders).await;
    deliver(&senders, &days, 0).join_all().await;

    // The broker dies in the night, then the process, while requests are on their way.
    broker
        .wait_until_queue_survives_a_kill(QUEUE)
        .await
        .expect("a durable queue");
    broker.kill();
    let taken = delivered(&senders);
    let mut running = deliver(&senders, &days, 1);
    until("some are taken without a broker", async || {
        delivered(&senders) > taken + 3
    })
    .await;
    daemon.kill();
    let tried = attempts(&senders);
    // Those that have not been answered find nobody, and try again until somebody is there.
    until("senders try again", async || {
        while running.try_join_next().is_some() {}
        attempts(&senders) > tried || running.is_empty()
    })
    .await;
    daemon.start().await;
    running.join_all().await;
    strangers_are_refused(&senders).await;

    broker.start_again().await.expect("a start");
    deliver(&senders, &days, 2).join_all().await;
    daemon.kill();
    daemon.start().await;
    deliver(&senders, &days, 3).join_all().await;

    published(&daemon).await;
    let bad: usize = days.iter().map(|day| day.failing + day.nameless + day.garbage).sum();
    let held = parsed(&daemon.priem(&["quarantine", "list", "--json"]));
    let held = held.as_array().expect("a list");
    let of = |reason: &str| held.iter().filter(|one| one["reason"] == reason).count();
    let sum = |count: fn(&Day) -> usize| days.iter().map(count).sum::<usize>();
    assert_eq!(
        (of("mapping_failed"), of("no_id"), of("not_json"), held.len()),
        (
            sum(|day| day.failing),
            sum(|day| day.nameless),
            sum(|day| day.garbage),
            bad
        ),
        "each bad record alone"
    );
    daemon.stop().await;
    assert!(daemon.priem(&["journal", "verify"]).status.success());
    let settlement = ledger.settle(&broker.drain(QUEUE).await.expect("the queue"));
    assert_eq!(settlement.events, ledger.events());
    let log = daemon.log();
    for system in SYSTEMS {
        assert!(
            !log.contains(&key_of(system)) && !log.contains(&path_of(system)),
            "a secret of {system} is in the log"
        );
    }
    assert!(!log.contains(day::SURNAME), "a name is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_played_again_is_harmless_inside_the_window_and_refused_after_it() {
    let mut daemon = install(None);
    let sender = sender(&daemon, "uv");
    daemon.start().await;
    let event = |id: u64, status: &str| {
        let message = json!({"id": id, "text": "Яма", "status": status});
        Bytes::from(json!({"id": format!("evt-{id}"), "type": "created", "message": message}).to_string())
    };
    // Clocks that differ by less than the window are no reason to refuse.
    let early = sender.sign(&event(1, "Новое"), Dress::Skewed(-200));
    let late = sender.sign(&event(2, "Новое"), Dress::Skewed(200));
    for signed in [&early, &late, &early, &early] {
        assert_eq!(sender.send(signed).await, Some(200));
    }
    // What an eavesdropper plays again after the window, with its own time or with the time of now.
    let old = sender.sign(&event(3, "Новое"), Dress::Skewed(-400));
    let mut redated = early.clone();
    redated.timestamp = sender.sign(&early.body, Dress::Proper).timestamp;
    for signed in [&old, &redated] {
        assert_eq!(sender.send(signed).await, Some(403));
    }
    // A batch: the neighbours of a record that can't be mapped go through, unknown words too.
    let batch = json!({"events": [
        {"id": "evt-10", "type": "created", "message": {"id": 10, "text": "до"}},
        {"id": "evt-11", "type": "created", "message": {"id": 11, "files": [7]}},
        {"id": "evt-12", "type": "exploded", "message": {"id": 12, "status": "На Луне", "text": "после"}},
    ]});
    sender.deliver(&Bytes::from(batch.to_string())).await;
    published(&daemon).await;
    daemon.stop().await;
    let lines = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).expect("the NDJSON file");
    let came: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let mut ids: Vec<&str> = came.iter().filter_map(|one| one["subject"].as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["1", "10", "12", "2"], "each once, the failing one not");
    let unknown = came.iter().find(|one| one["subject"] == "12").expect("12");
    assert_eq!(
        unknown["data"]["status"],
        json!({"common": "other", "raw": "На Луне"}),
        "{unknown}"
    );
}
