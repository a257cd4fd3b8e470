//! What the process dies over twice is put aside at the next start, and everything else goes on: a crash loop ends by
//! itself. Real deaths: an allocation that fails (abort), and `kill -9` while a file is read.

use std::time::Instant;

use priem_city::broker::Broker;

use crate::support::{
    self, Installation, PATIENCE,
    flow::{self, QUEUE},
    http, json, until, write,
};

/// A channel whose records say how much memory their mapping takes.
const MANIFEST: &str = r#"version: 1
name: hungry
title: Hungry
channel: portal
kind: portal
regime: portal_message
webhook:
  path: { file: path }
id: .id
message: |
  { body: { text: (.text + ([range(.n) | "x" * 50000000] | length | tostring)) } }
fixtures:
  - name: small
    record: { id: "1", n: 0, text: "Яма " }
    expect: [ { body: { text: "Яма 0" } } ]
"#;
/// The secret in the path of the webhook.
const WAY_IN: &str = "5d1c7c0f9a3b4e6d8f2a1b3c5d7e9f01";
/// Address space of the daemon, bytes: enough for all it does, and not for the hungriest record.
const ADDRESSES: &str = "--as=1600000000";

fn hungry(filter_bytes: u64) -> String {
    format!("  hungry:\n    type: manifest\n    manifest: hungry.yaml\n    max_filter_bytes: {filter_bytes}\n")
}

fn install(broker: &Broker, filter_bytes: u64) -> Installation {
    let daemon = flow::install(&(flow::settings(Some(broker)) + &hungry(filter_bytes)));
    write(&daemon.folder.path().join("hungry.yaml"), MANIFEST);
    write(&daemon.folder.path().join("path"), WAY_IN);
    daemon
}

/// Posts a record; whether it was acknowledged.
async fn post(daemon: &Installation, id: u32, n: u32) -> bool {
    let url = format!("http://127.0.0.1:{}/hooks/hungry/{WAY_IN}", daemon.hooks);
    let record = serde_json::json!({"id": id.to_string(), "n": n, "text": "Яма "}).to_string();
    let answer = http()
        .post(url)
        .header("content-type", "application/json")
        .body(record)
        .send();
    answer.await.is_ok_and(|answer| answer.status().is_success())
}

fn held(daemon: &Installation) -> Vec<(i64, String)> {
    let held = json(&daemon.priem(&["quarantine", "list", "--json"]));
    let items = held.as_array().expect("a list").iter();
    items
        .map(|item| {
            (
                item["seq"].as_i64().expect("a number"),
                item["reason"].as_str().expect("a reason").to_owned(),
            )
        })
        .collect()
}

#[tokio::test]
async fn an_item_the_process_dies_over_twice_is_quarantined_and_the_others_go_on() {
    let broker = Broker::start().await.expect("a broker");
    // The meter is set out of the way: what is proved here is what remains when a limit is missing.
    let mut daemon = install(&broker, 100_000_000_000);
    daemon.wrap(&["env", "MALLOC_ARENA_MAX=1", "prlimit", ADDRESSES]);
    daemon.start().await;
    assert!(post(&daemon, 1, 0).await);
    daemon.metric_reaches("priem_published_messages_total", "", 1.0).await;
    // Acknowledged, and deadly. What is posted beside it may meet a dead daemon.
    let _ = post(&daemon, 2, 200).await;
    assert_eq!(daemon.ended().await, 128 + 6, "{}", daemon.log());
    daemon.spawn();
    assert_eq!(daemon.ended().await, 128 + 6, "{}", daemon.log());
    daemon.start().await;
    for id in 3..20 {
        assert!(post(&daemon, id, 1).await);
    }
    daemon.metric_reaches("priem_published_messages_total", "", 17.0).await;
    let counted = "reason=\"killed_process\"";
    daemon
        .metric_reaches("priem_quarantined_items_total", counted, 1.0)
        .await;
    daemon.metric_reaches("priem_quarantine_items", counted, 1.0).await;
    let items = held(&daemon);
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!(items[0].1, "killed_process");
    // With the cause mended a person asks for another try.
    daemon.stop().await;
    daemon.configure(&(flow::settings(Some(&broker)) + &hungry(268_435_456)));
    write(
        &daemon.folder.path().join("hungry.yaml"),
        &MANIFEST.replace("range(.n)", "range(0)"),
    );
    daemon.start().await;
    let retried = daemon.priem(&["quarantine", "retry", &items[0].0.to_string()]);
    assert!(retried.status.success(), "{}", support::text(&retried));
    until("it is delivered", async || {
        daemon.stats()["pending"] == 0 && held(&daemon).is_empty()
    })
    .await;
    daemon.stop().await;
    let delivered = broker.drain(QUEUE).await.expect("messages");
    assert_eq!(delivered.len(), 19, "each once");
}

/// The same record under the usual limit: no death at all.
#[tokio::test]
async fn a_filter_without_bound_costs_its_record_only() {
    let broker = Broker::start().await.expect("a broker");
    let mut daemon = install(&broker, 268_435_456);
    daemon.wrap(&["env", "MALLOC_ARENA_MAX=1", "prlimit", ADDRESSES]);
    daemon.start().await;
    let pid = daemon.pid();
    for id in 1..10 {
        assert!(post(&daemon, id, if id % 3 == 0 { 1_000_000_000 } else { 0 }).await);
    }
    daemon.metric_reaches("priem_published_messages_total", "", 6.0).await;
    until("three are put aside", async || held(&daemon).len() == 3).await;
    let items = held(&daemon);
    assert!(items.iter().all(|(_, reason)| reason == "mapping_failed"), "{items:?}");
    daemon.assert_running();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process describes itself");
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("a line");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("kilobytes");
    assert!(peak < 600 * 1024, "{peak} kB at the worst moment");
    // A manifest is tried before it goes live: the same words there.
    let bomb = MANIFEST.replace("n: 0, text", "n: 900000000, text");
    write(&daemon.folder.path().join("bomb.yaml"), &bomb);
    let path = daemon.folder.path().join("bomb.yaml").display().to_string();
    let tested = support::priem(&["connectors", "test", &path]);
    assert_eq!(tested.status.code(), Some(1), "{}", support::text(&tested));
    assert!(
        support::text(&tested).contains("bytes of memory"),
        "{}",
        support::text(&tested)
    );
}

/// Waits until the daemon has a file in its hands over which so many have died before it.
async fn reads(daemon: &Installation, name: &str, deaths: u32) {
    let note = daemon.folder.path().join("drop/.in-hand");
    let started = Instant::now();
    loop {
        let text = std::fs::read(&note).unwrap_or_default();
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        if line.contains(name) && line.starts_with(&format!("{deaths} ")) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{name} is not read:\n{}", daemon.log());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_file_the_process_is_killed_over_twice_leaves_the_inbox() {
    let broker = Broker::start().await.expect("a broker");
    let mut daemon = flow::install(&(flow::settings(Some(&broker)) + &flow::files()));
    let inbox = daemon.folder.path().join("drop/inbox");
    std::fs::create_dir_all(&inbox).expect("a folder");
    let header = "Номер инцидента;Тема;Текст инцидента\n";
    // Large, so that it is in hand for a while: its content is hashed before its first row is read.
    let rows = format!("{header}770001;Ямы;{}\n", "я".repeat(200_000)).repeat(600);
    std::fs::write(inbox.join("deadly.csv"), rows).expect("written");
    for deaths in 0..2 {
        daemon.spawn();
        reads(&daemon, "deadly.csv", deaths).await;
        daemon.kill();
    }
    std::fs::write(inbox.join("good.csv"), format!("{header}880001;Снег;сугроб\n")).expect("written");
    daemon.start().await;
    daemon
        .metric_reaches("priem_quarantine_items", "reason=\"file_killed_process\"", 1.0)
        .await;
    daemon.metric_reaches("priem_published_messages_total", "", 1.0).await;
    let failed = daemon.folder.path().join("drop/failed");
    until("the file is put away", async || failed.join("deadly.csv").exists()).await;
    let report = std::fs::read_to_string(failed.join("deadly.csv.report.txt")).expect("a report");
    assert!(report.contains("дважды аварийно завершилась"), "{report}");
    assert!(daemon.folder.path().join("drop/done/good.csv").exists());
    daemon.assert_running();
}
