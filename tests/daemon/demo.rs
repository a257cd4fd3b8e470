//! The demo, as a stranger runs it: its arithmetic must hold, with a file and with a real broker.

use std::collections::HashSet;

use priem_city::broker::Broker;
use serde_json::Value;

use crate::support;

fn demo(arguments: &[&str]) -> (Value, String) {
    let output = support::priem(&[&["demo", "--json", "--for", "2s", "--rate", "40"], arguments].concat());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}\n{errors}", support::text(&output));
    let said = support::text(&output);
    (serde_json::from_str(said.lines().last().unwrap()).unwrap(), errors)
}

fn number(summary: &Value, key: &str) -> u64 {
    summary[key].as_u64().unwrap_or_else(|| panic!("{key} in {summary}"))
}

fn sum(summary: &Value, key: &str) -> u64 {
    summary[key]
        .as_object()
        .unwrap()
        .values()
        .map(|count| count.as_u64().unwrap())
        .sum()
}

fn holds(summary: &Value) {
    let ended: u64 = ["published", "parked", "quarantined", "duplicates"]
        .map(|key| number(summary, key))
        .iter()
        .sum();
    assert_eq!(number(summary, "sent"), ended, "{summary}");
    assert_eq!(
        number(summary, "stored"),
        number(summary, "sent") - number(summary, "duplicates"),
        "{summary}"
    );
    for counts in ["by_channel", "by_recipient"] {
        assert_eq!(sum(summary, counts), number(summary, "published"), "{summary}");
    }
    for key in ["published", "quarantined", "duplicates"] {
        assert!(number(summary, key) > 0, "the city does a bit of everything: {summary}");
    }
    for channel in ["telegram", "vk", "incident"] {
        assert!(summary["by_channel"][channel].is_u64(), "{channel}: {summary}");
    }
}

#[test]
fn everything_sent_is_accounted_for() {
    let (summary, errors) = demo(&["--seed", "5"]);
    holds(&summary);
    assert!(!errors.contains("panic"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_broker_the_queue_holds_what_the_demo_says() {
    let broker = Broker::start().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("city");
    let url = broker.amqp_url();
    let keep = folder.display().to_string();
    let arguments = ["--amqp".to_owned(), url, "--keep".to_owned(), keep];
    let (summary, _) =
        tokio::task::spawn_blocking(move || demo(&arguments.iter().map(String::as_str).collect::<Vec<_>>()))
            .await
            .unwrap();
    holds(&summary);
    let delivered = broker.drain("priem.messages").await.unwrap();
    let ids: HashSet<_> = delivered.iter().map(|message| message.message_id.clone()).collect();
    assert_eq!(ids.len() as u64, number(&summary, "published"));
    // What was published can be asked about afterwards.
    let id = delivered[0].message_id.clone();
    let config = folder.join("priem.yaml").display().to_string();
    let why = support::priem(&["why", &id, "--config", &config]);
    assert!(
        why.status.success() && support::text(&why).contains("Версия правил"),
        "{}",
        support::text(&why)
    );
}

#[test]
fn an_absent_broker_is_said_and_nothing_hangs() {
    let port = support::free_port();
    let output = support::priem(&[
        "demo",
        "--for",
        "1s",
        "--json",
        "--amqp",
        &format!("amqp://127.0.0.1:{port}/%2f"),
    ]);
    assert_eq!(output.status.code(), Some(3));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("--amqp: ") && errors.contains(&port.to_string()),
        "{errors}"
    );
}
