//! New rules under a running daemon, with citizens writing all the while: nothing is lost, nothing comes twice, every
//! message names the set that decided it, and a bad set changes nothing.

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use crate::support::{
    self, Installation,
    flow::{self, Ledger, POLL_TOKEN, Writers},
    json, until,
};

/// Messages written around each reload.
const WRITTEN: usize = 60;

fn rules(queue: &str) -> String {
    format!(
        "version: 1\nroute: {{ id: root, name: Все, to: {{ organisation: МЦУ }}, queue: {queue} }}\n\
         tests: [{{ name: всё туда, given: {{ text: а }}, expect: {{ queue: {queue} }} }}]\n"
    )
}

fn write_rules(daemon: &Installation, text: &str) {
    support::write(&daemon.folder.path().join("rules/rules.yaml"), text);
}

fn out(daemon: &Installation) -> PathBuf {
    daemon.folder.path().join("out.ndjson")
}

/// What came out so far: (version of the rules, queue).
fn decided(daemon: &Installation) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(out(daemon)).unwrap_or_default();
    // The last line may be half written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().map(|line| {
        let body: serde_json::Value = serde_json::from_str(line).unwrap();
        let routing = &body["data"]["routing"];
        let text = |key: &str| routing[key].as_str().unwrap().to_owned();
        (text("rules_version"), text("queue"))
    });
    lines.collect()
}

async fn version_in_force(daemon: &Installation) -> String {
    let (_, metrics) = daemon.get("/metrics").await.unwrap();
    let lines: Vec<&str> = metrics.lines().filter(|line| line.starts_with("priem_info{")).collect();
    assert_eq!(lines.len(), 1, "one set is in force: {lines:?}");
    let (_, rest) = lines[0].split_once("rules_version=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// The messages that wait while a reload happens, and those after it.
async fn flow_on(daemon: &Installation, writers: &mut Writers, ledger: &mut Ledger, queue: &str) {
    let before = decided(daemon).iter().filter(|(_, to)| to == queue).count();
    writers.keep_waiting(WRITTEN, ledger);
    until("messages go on by the rules in force", async || {
        decided(daemon).iter().filter(|(_, to)| to == queue).count() > before
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_replaced_while_citizens_write() {
    let city = flow::telegram().await;
    let bot = city.bot(POLL_TOKEN);
    let settings = flow::settings(None).replace("connectors:\n", "rules: { dir: rules }\nconnectors:\n");
    let mut daemon = flow::install(&format!("{settings}{}", flow::poll(&city.api_url())));
    write_rules(&daemon, &rules("first"));
    daemon.start().await;
    let (mut writers, mut ledger) = (Writers::new(bot.clone(), "poll", 7), Ledger::default());
    let first = version_in_force(&daemon).await;
    flow_on(&daemon, &mut writers, &mut ledger, "first").await;

    // A good set, by the command.
    writers.keep_waiting(WRITTEN, &mut ledger);
    write_rules(&daemon, &rules("second"));
    let answer = daemon.priem(&["reload", "--json"]);
    let report = json(&answer);
    assert_eq!(
        (answer.status.code(), &report["result"]),
        (Some(0), &"applied".into()),
        "{report}"
    );
    let second = version_in_force(&daemon).await;
    assert!(second != first && report["version"] == second.as_str());
    flow_on(&daemon, &mut writers, &mut ledger, "second").await;

    // Bad sets: one that can't be read, one whose test fails. Both are refused by name.
    for (bad, said) in [
        (
            rules("third").replace("queue: third }\n", "quue: third }\n"),
            "rules.yaml:2",
        ),
        (
            rules("third").replace("expect: { queue: third", "expect: { queue: other"),
            "«всё туда»",
        ),
    ] {
        write_rules(&daemon, &bad);
        writers.keep_waiting(WRITTEN, &mut ledger);
        let answer = daemon.priem(&["reload"]);
        let told = support::text(&answer);
        assert_eq!(answer.status.code(), Some(1), "{told}");
        assert!(
            told.contains(said) && told.contains("не приняты") && told.contains(&second),
            "{told}"
        );
        assert_eq!(version_in_force(&daemon).await, second);
        flow_on(&daemon, &mut writers, &mut ledger, "second").await;
    }
    assert_eq!(daemon.metric("priem_rules_last_reload_successful", "").await, 0.0);
    assert_eq!(daemon.metric("priem_rules_reloads_total", "refused").await, 2.0);
    assert!(daemon.log().contains("the new rules are refused"), "{}", daemon.log());

    // A good one again, by the signal.
    write_rules(&daemon, &rules("third"));
    let signalled = Command::new("kill")
        .args(["-HUP", &daemon.pid().to_string()])
        .status()
        .unwrap();
    assert!(signalled.success());
    daemon.metric_reaches("priem_rules_reloads_total", "applied", 2.0).await;
    assert_eq!(daemon.metric("priem_rules_last_reload_successful", "").await, 1.0);
    let third = version_in_force(&daemon).await;
    flow_on(&daemon, &mut writers, &mut ledger, "third").await;

    // A stranger's page, and a request that came through a proxy, reload nothing.
    let url = format!("http://127.0.0.1:{}/rules/reload", daemon.admin);
    let plain = support::http().post(&url).send().await.unwrap();
    let forwarded = support::http()
        .post(&url)
        .header("x-priem-reload", "1")
        .header("x-forwarded-for", "192.0.2.1");
    for answer in [plain, forwarded.send().await.unwrap()] {
        assert_eq!(answer.status(), reqwest::StatusCode::FORBIDDEN);
    }

    until("everything was asked for", async || bot.pending() == 0).await;
    until("everything came out", async || {
        decided(&daemon).len() >= ledger.events()
    })
    .await;
    daemon.stop().await;
    ledger.settle_lines(&out(&daemon)).assert_each_once(&ledger);
    let pairs: BTreeSet<(String, String)> = decided(&daemon).into_iter().collect();
    let wanted = [(first, "first"), (second, "second"), (third, "third")];
    let wanted: BTreeSet<(String, String)> = wanted
        .into_iter()
        .map(|(version, queue)| (version, queue.into()))
        .collect();
    assert_eq!(pairs, wanted, "each message names the set that decided it");
}

#[test]
fn without_a_daemon_the_command_says_so() {
    let daemon = flow::install(&format!("{}{}", flow::settings(None), flow::files()));
    let answer = daemon.priem(&["reload"]);
    assert_eq!(answer.status.code(), Some(3));
    let told = String::from_utf8_lossy(&answer.stderr).into_owned();
    assert!(
        told.contains("no daemon answers") && told.contains("is it running?"),
        "{told}"
    );
}
