//! VK in trouble, seen through the daemon: what its long poll has forgotten is read again at once, names of authors come
//! along, and a dead key of one community is nobody else's trouble.

use std::{collections::BTreeMap, time::Duration};

use priem_city::vk::{Citizen, Community, Options, TokenKind, VkCity};
use serde_json::Value;

use crate::support::{Installation, flow, until};

const FIRST: i64 = 190_700_001;
const SECOND: i64 = 190_700_002;
const FIRST_KEY: &str = "vk1.a.first-community-nobody-may-see";
const SECOND_KEY: &str = "vk1.a.second-community-nobody-may-see";
const USER: &str = "vk1.a.user-of-catch-up-nobody-may-see";

async fn vk() -> VkCity {
    let options = Options {
        second: Duration::from_millis(20),
        ..Options::default()
    };
    let city = VkCity::start(options).await.expect("a VK simulator");
    for (group, key) in [(FIRST, FIRST_KEY), (SECOND, SECOND_KEY)] {
        city.community(group);
        city.add_token(key, TokenKind::Community(group));
    }
    city.add_token(USER, TokenKind::User(900));
    city
}

fn install(city: &VkCity) -> Installation {
    let connector = format!(
        "  vk-city:\n    type: vk\n    api_url: {}\n    longpoll: {{ wait_s: 5 }}\n    communities:\n      \
         - {{ id: {FIRST}, token: {{ file: \"{{folder}}/secrets/first\" }} }}\n      \
         - {{ id: {SECOND}, token: {{ file: \"{{folder}}/secrets/second\" }} }}\n    \
         catch_up: {{ token: {{ file: \"{{folder}}/secrets/user\" }}, token_kind: user }}\n",
        city.api_url()
    );
    let daemon = Installation::new(&(flow::settings(None) + &connector));
    for (name, secret) in [("first", FIRST_KEY), ("second", SECOND_KEY), ("user", USER)] {
        daemon.secret(name, secret);
    }
    daemon
}

/// Published messages by the id of their event; copies for information have the same id.
fn published(daemon: &Installation) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).unwrap_or_default();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events
        .filter_map(|event| Some((event["id"].as_str()?.to_owned(), event)))
        .collect()
}

/// How often each text was published.
fn texts(daemon: &Installation) -> BTreeMap<String, usize> {
    let mut texts = BTreeMap::new();
    for event in published(daemon).values() {
        let text = event["data"]["body"]["text"].as_str().unwrap_or_default();
        *texts.entry(text.to_owned()).or_insert(0) += 1;
    }
    texts
}

/// A comment, an answer to it and a private message; their texts.
fn speak(community: &Community, number: usize) -> Vec<String> {
    let (anna, petr) = (Citizen::new(11, "Анна", "Жукова"), Citizen::new(12, "Пётр", "Ким"));
    let post = community.post("Новости");
    let texts: Vec<String> = ["комментарий", "ответ", "письмо"]
        .iter()
        .map(|kind| format!("{kind} {number} сообществу {}", community.id()))
        .collect();
    let comment = community.comment(&post, &anna, texts[0].as_str());
    community.comment(&comment, &petr, texts[1].as_str());
    community.write(&anna, texts[2].as_str());
    texts
}

async fn heard(daemon: &Installation, wanted: &[String]) {
    until("everything is published", async || {
        let texts = texts(daemon);
        wanted.iter().all(|text| texts.contains_key(text))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_while_the_daemon_was_down_is_read_again_once() {
    let city = vk().await;
    let (first, second) = (city.community(FIRST), city.community(SECOND));
    let mut daemon = install(&city);
    daemon.start().await;
    until("both communities are listened to", async || city.polls_running() == 2).await;
    let mut wanted = Vec::new();
    for number in 0..5 {
        wanted.extend(speak(&first, number));
        wanted.extend(speak(&second, number));
    }
    heard(&daemon, &wanted).await;
    let names: Vec<Value> = published(&daemon)
        .into_values()
        .map(|event| event["data"]["author"]["name"].clone())
        .collect();
    assert!(
        names.iter().all(|name| name == "Анна Жукова" || name == "Пётр Ким"),
        "{names:?}"
    );

    daemon.kill();
    for number in 100..110 {
        wanted.extend(speak(&first, number));
        wanted.extend(speak(&second, number));
    }
    first.lose_history();
    second.lose_history();
    daemon.start().await;
    heard(&daemon, &wanted).await;
    let log = daemon.log();
    for group in [FIRST, SECOND] {
        assert!(
            log.contains(&format!("community {group}: VK no longer has the events")),
            "{log}"
        );
    }
    assert!(!log.contains("nobody-may-see"), "keys are secrets");

    // A dead key: its community is deaf, the other goes on.
    city.refuse_token(SECOND_KEY, Some(5));
    second.expire_keys();
    until("the dead key is noticed", async || {
        daemon.log().contains("190700002: VK answered 5")
    })
    .await;
    wanted.extend(speak(&first, 200));
    heard(&daemon, &wanted).await;

    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;
    daemon.assert_running();
    daemon.stop().await;
    let texts = texts(&daemon);
    assert!(texts.values().all(|times| *times == 1), "{texts:?}");
    assert_eq!(texts.len(), wanted.len(), "nothing but citizens' words");
    assert_eq!(city.violations(), Vec::<String>::new());
}
