//! Deadlines of a registry through the real daemon: what is overdue or soon will be is told once, also after a kill -9
//! at any moment, and what was answered is not told at all.

use std::collections::BTreeSet;

use jiff::{ToSpan, Zoned, tz::TimeZone};
use serde_json::Value;

use crate::support::{Installation, flow, json, text, until, write};

const ZONE: &str = "Asia/Yekaterinburg";

fn install() -> Installation {
    let settings = flow::settings(None).replace("deadlines: { events: [] }\n", "");
    let registry = format!(
        "  pos:\n    type: files\n    folder: \"{{folder}}/drop\"\n    mapping: pos\n    zone: {ZONE}\n    settle: 0s\n    \
         every: 50ms\n"
    );
    Installation::new(&(settings + &registry))
}

/// A day so many days from today, as the registry writes it.
fn day(offset: i64) -> String {
    let zone = TimeZone::get(ZONE).expect("zone");
    let today = Zoned::now().with_time_zone(zone).date();
    today.saturating_add(offset.days()).strftime("%d.%m.%Y").to_string()
}

fn export(daemon: &Installation, name: &str, rows: &[(&str, i64, &str)]) {
    let mut file = String::from(
        "Номер;Дата поступления;Дата планируемого завершения работ;Статус;Организация, в которую поступило сообщение\n",
    );
    for (number, planned, status) in rows {
        file += &format!("{number};{};{};{status};Администрация\n", day(-40), day(*planned));
    }
    let aside = daemon.folder.path().join(name);
    write(&aside, &file);
    let inbox = daemon.folder.path().join("drop/inbox");
    std::fs::create_dir_all(&inbox).expect("folders");
    std::fs::rename(aside, inbox.join(name)).expect("a move");
}

fn published(daemon: &Installation) -> Vec<Value> {
    let text = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Reminders, each event id once: type, number, id.
fn reminders(daemon: &Installation) -> BTreeSet<(String, String, String)> {
    let word = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    published(daemon)
        .iter()
        .filter(|event| word(event, "type").contains(".deadline."))
        .map(|event| (word(event, "type"), word(event, "subject"), word(event, "id")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_reminded_of_once_whatever_happens() {
    let mut daemon = install();
    export(
        &daemon,
        "one.csv",
        &[
            ("101", -1, "На рассмотрении"),
            ("102", 1, "На рассмотрении"),
            ("103", -30, "На рассмотрении"),
            ("104", 60, "На рассмотрении"),
            ("105", -1, "Решено"),
        ],
    );
    daemon.spawn();
    // Killed again and again on its way: reading the file, noting the clocks, telling, publishing.
    for reached in [
        "priem_received_items_total",
        "priem_deadlines_open",
        "priem_deadline_events_total",
    ] {
        until(reached, async || {
            !reminders(&daemon).is_empty() || daemon.metric(reached, "").await > 0.0
        })
        .await;
        daemon.kill();
        daemon.spawn();
    }
    until("both reminders are published", async || reminders(&daemon).len() >= 2).await;
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;
    daemon.metric_reaches("priem_deadlines_open", "", 4.0).await;

    let told = reminders(&daemon);
    let short: Vec<(&str, &str)> = told
        .iter()
        .map(|(event, number, _)| (event.as_str(), number.as_str()))
        .collect();
    assert_eq!(
        short,
        [
            ("ru.priem.deadline.approaching.v1", "102"),
            ("ru.priem.deadline.overdue.v1", "101"),
        ]
    );
    let queue_of = |number: &str, reminder: bool| {
        let events = published(&daemon);
        let found = events
            .iter()
            .find(|event| event["subject"] == number && event["data"]["reminder"].is_null() != reminder)
            .expect("published");
        found["data"]["routing"]["queue"].clone()
    };
    assert_eq!(queue_of("101", true), queue_of("101", false));
    for (_, number, id) in &told {
        let why = text(&daemon.priem(&["why", id]));
        assert!(why.contains("адресат тот же"), "{number}: {why}");
    }

    // The answer of what is open closes it: nothing is left to be told, and the gauge goes down.
    export(&daemon, "two.csv", &[("102", 1, "Решено"), ("104", 60, "Решено")]);
    until("the answers are known", async || {
        daemon.metric("priem_deadlines_open", "").await == 2.0
    })
    .await;
    daemon.stop().await;
    assert_eq!(reminders(&daemon), told);
    let verified = daemon.priem(&["journal", "verify", "--json"]);
    assert_eq!(json(&verified)["ok"], true);
}

/// How many events of a status were published.
fn statuses(daemon: &Installation) -> usize {
    let events = published(daemon);
    let statuses = events
        .iter()
        .filter(|event| event["type"] == "ru.priem.message.status.v1");
    statuses.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_export_saved_anew_turns_nothing_back_and_reminds_of_nothing() {
    let mut daemon = install();
    let quiet = ("202", 60, "В работе");
    export(&daemon, "one.csv", &[("201", 60, "В работе"), quiet]);
    daemon.spawn();
    daemon.metric_reaches("priem_deadlines_open", "", 2.0).await;
    export(&daemon, "two.csv", &[("201", 60, "Закрыто"), quiet]);
    daemon.metric_reaches("priem_deadlines_open", "", 1.0).await;
    until("the status is published", async || statuses(&daemon) == 1).await;
    // The first one again, its rows in another order and with one that is new.
    export(
        &daemon,
        "one again.csv",
        &[("203", 60, "В работе"), quiet, ("201", 60, "В работе")],
    );
    until("what is new in it is published", async || {
        published(&daemon).iter().any(|event| event["subject"] == "203")
    })
    .await;
    until("what is older is counted", async || {
        daemon.metric("priem_duplicate_items_total", "kind=\"older\"").await == 1.0
    })
    .await;
    let report = daemon.folder.path().join("drop/done/one again.csv.report.txt");
    until("the report is written", async || report.exists()).await;
    let told = std::fs::read_to_string(report).expect("a report");
    assert!(told.contains("старше уже известного: 1."), "{told}");
    daemon.metric_reaches("priem_deadlines_open", "", 2.0).await;
    daemon.stop().await;
    assert_eq!(statuses(&daemon), 1, "the status does not go back");
    assert!(reminders(&daemon).is_empty());
    let verified = daemon.priem(&["journal", "verify", "--json"]);
    assert_eq!(json(&verified)["ok"], true);
}
