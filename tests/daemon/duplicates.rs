//! One matter by several ways, through the real daemon: an export's row about a comment that was read directly, and the
//! same words again. Both go out, linked; a kill changes nothing about it; the setting chooses which one is routed.

use std::{collections::BTreeMap, time::Duration};

use priem_city::vk::{Citizen, Options, TokenKind, VkCity};
use serde_json::Value;

use crate::support::{self, Installation, flow, json, until, write};

const GROUP: i64 = 190_700_001;
const KEY: &str = "vk1.a.duplicates-nobody-may-see";
const WORDS: &str = "Во дворе дома 12 третий день течёт труба, вода уходит в подвал, никто не едет";

fn install(city: &VkCity, duplicates: &str) -> Installation {
    let vk = format!(
        "  vk:\n    type: vk\n    api_url: {}\n    longpoll: {{ wait_s: 5 }}\n    communities:\n      \
         - {{ id: {GROUP}, token: {{ file: \"{{folder}}/secrets/vk\" }} }}\n",
        city.api_url()
    );
    let base = flow::settings(None).replace("connectors:\n", &format!("{duplicates}connectors:\n"));
    let daemon = Installation::new(&(base + &vk + &flow::files()));
    daemon.secret("vk", KEY);
    daemon
}

fn export(daemon: &Installation, name: &str, rows: &[(u64, &str, &str)]) {
    let mut file = String::from("Номер инцидента;Дата создания;Группа тем;Тема;Ссылка;Текст инцидента\n");
    for (number, url, text) in rows {
        file += &format!("{number};01.10.2026;ЖКХ;Водоснабжение;{url};{text}\n");
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

/// The main message of each object, by its id at the source.
fn mains(daemon: &Installation) -> BTreeMap<String, Value> {
    let events = published(daemon).into_iter();
    events
        .filter(|event| event["data"]["routing"]["copy"] != true)
        .map(|event| (event["subject"].as_str().unwrap_or_default().to_owned(), event))
        .collect()
}

async fn heard(daemon: &Installation, objects: usize) -> BTreeMap<String, Value> {
    until("everything is published", async || mains(daemon).len() >= objects).await;
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;
    mains(daemon)
}

async fn vk() -> VkCity {
    let options = Options {
        second: Duration::from_millis(20),
        ..Options::default()
    };
    let city = VkCity::start(options).await.expect("a VK simulator");
    city.community(GROUP);
    city.add_token(KEY, TokenKind::Community(GROUP));
    city
}

#[tokio::test(flavor = "multi_thread")]
async fn both_go_out_linked_and_a_restart_remembers() {
    let city = vk().await;
    let community = city.community(GROUP);
    let mut daemon = install(&city, "");
    daemon.start().await;
    until("the community is listened to", async || city.polls_running() > 0).await;
    let post = community.post("Новости");
    community.comment(&post, &Citizen::new(11, "Анна", "Жукова"), WORDS);
    let comment = heard(&daemon, 1).await.into_values().next().expect("the comment");
    let url = comment["data"]["external"]["url"]
        .as_str()
        .expect("an address")
        .to_owned();
    assert!(comment["data"]["relation"].is_null(), "the first one: {comment}");

    daemon.kill();
    let mobile = url.replace("https://vk.com", "http://m.vk.com");
    export(
        &daemon,
        "one.csv",
        &[
            (
                7_000_001,
                &mobile,
                "пересказ оператора, совсем другими словами и короче",
            ),
            (7_000_002, "", WORDS),
            (
                7_000_003,
                "",
                "Не ходит автобус номер семь, вторую неделю ждём по часу на остановке",
            ),
        ],
    );
    daemon.start().await;
    let found = heard(&daemon, 4).await;
    let relation = |number: &str| found[number]["data"]["relation"].clone();
    for (number, reason) in [("7000001", "same_link"), ("7000002", "same_text")] {
        let relation = relation(number);
        assert_eq!(relation["reason"], reason, "{relation}");
        assert_eq!(relation["duplicate_of"], comment["id"]);
        assert_eq!(relation["cluster"], comment["id"]);
        assert!(
            relation["seen_in"]
                .as_array()
                .is_some_and(|list| list.contains(&"vk".into())),
            "{relation}"
        );
        let data = &found[number]["data"];
        assert!(
            data["routing"]["tags"]
                .as_array()
                .is_some_and(|tags| tags.contains(&"дубликат".into())),
            "{data}"
        );
        assert_eq!(data["flags"]["other"], serde_json::json!(["duplicate"]));
        assert!(
            data["deadlines"].as_array().is_some_and(|clocks| !clocks.is_empty()),
            "its own clocks: {data}"
        );
    }
    assert!(relation("7000003").is_null());
    let linked = daemon.metric("priem_linked_duplicates_total", "").await;
    assert!(linked >= 2.0, "{linked}");
    let why = support::text(&daemon.priem(&["why", found["7000001"]["id"].as_str().expect("an id")]));
    assert!(why.contains("Похоже на дубликат (та же ссылка)"), "{why}");

    // A later version of a linked row keeps its link, also after another restart.
    daemon.stop().await;
    export(
        &daemon,
        "two.csv",
        &[(
            7_000_002,
            "",
            "Иной текст, о том же: подвал полон воды, в подъезде сырость",
        )],
    );
    daemon.start().await;
    until("the later version", async || {
        published(&daemon).len() > found.len() && mains(&daemon)["7000002"]["type"] == "ru.priem.message.updated.v1"
    })
    .await;
    assert_eq!(mains(&daemon)["7000002"]["data"]["relation"], relation("7000002"));
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;
    daemon.stop().await;
    let verified = daemon.priem(&["journal", "verify", "--json"]);
    assert_eq!(json(&verified)["ok"], true);
    // Once more from the journal: the same bytes.
    let bodies: BTreeMap<String, String> = published(&daemon)
        .iter()
        .map(|event| {
            (
                event["id"].to_string() + &event["data"]["routing"]["queue"].to_string(),
                event.to_string(),
            )
        })
        .collect();
    assert_eq!(bodies.len(), published(&daemon).len(), "nothing came twice");
}

/// The connector and where it counts floods.
const FLOODS: &str = "priem_duplicate_floods";

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_text_is_one_matter_and_is_told_once() {
    const ROWS: u64 = 150;
    let city = vk().await;
    let mut daemon = install(&city, "");
    daemon.start().await;
    let topic = "https://ok.ru/gorod/topic/77";
    let rows = |numbers: std::ops::Range<u64>| -> Vec<(u64, &str, &str)> {
        numbers.map(|number| (7_000_000 + number, topic, WORDS)).collect()
    };
    let mut flood = rows(1..ROWS + 1);
    flood.push((
        7_999_999,
        "",
        "Не ходит автобус номер семь, вторую неделю ждём по часу на остановке",
    ));
    export(&daemon, "flood.csv", &flood);
    let found = heard(&daemon, ROWS as usize + 1).await;
    assert!(found["7999999"]["data"]["relation"].is_null(), "it goes its own way");
    let clusters: BTreeMap<String, usize> = found.values().fold(BTreeMap::new(), |mut clusters, event| {
        if let Some(cluster) = event["data"]["relation"]["cluster"].as_str() {
            *clusters.entry(cluster.to_owned()).or_default() += 1;
        }
        clusters
    });
    assert_eq!(
        clusters.values().collect::<Vec<_>>(),
        [&(ROWS as usize - 1)],
        "one matter, led by one message"
    );
    let head = clusters.into_keys().next().expect("a cluster");
    assert_eq!(daemon.metric(FLOODS, "").await, 1.0);
    assert_eq!(daemon.metric("priem_flood_messages_total", "").await, ROWS as f64);
    let log = daemon.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("one text floods")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains(&head) && told[0].contains("exports"), "{}", told[0]);
    assert!(!log.contains("подвал"), "no words of citizens");

    daemon.kill();
    export(&daemon, "more.csv", &rows(ROWS + 1..ROWS + 11));
    daemon.start().await;
    let more = heard(&daemon, ROWS as usize + 11).await;
    assert_eq!(
        more["7000160"]["data"]["relation"]["cluster"],
        head.as_str(),
        "after a restart"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_that_is_wanted_less_goes_for_information() {
    let city = vk().await;
    let community = city.community(GROUP);
    let duplicates = "duplicates: { route: prefer, prefer: [ vk, incident ], information_queue: mcu.duplicates }\n";
    let mut daemon = install(&city, duplicates);
    daemon.start().await;
    until("the community is listened to", async || city.polls_running() > 0).await;
    let queue = |event: &Value| {
        event["data"]["routing"]["queue"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };

    export(&daemon, "one.csv", &[(7_000_001, "", WORDS)]);
    heard(&daemon, 1).await;
    let post = community.post("Новости");
    community.comment(&post, &Citizen::new(11, "Анна", "Жукова"), WORDS);
    let two = heard(&daemon, 2).await;
    let comment = two
        .values()
        .find(|event| event["data"]["channel"] == "vk")
        .expect("the comment");
    assert_eq!(comment["data"]["relation"]["seen_in"], serde_json::json!(["incident"]));
    assert_ne!(queue(comment), "mcu.duplicates", "VK is wanted more");

    export(&daemon, "two.csv", &[(7_000_002, "", &format!("{WORDS}!"))]);
    let three = heard(&daemon, 3).await;
    let row = &three["7000002"];
    assert_eq!(queue(row), "mcu.duplicates", "{row}");
    assert!(
        row["data"]["deadlines"]
            .as_array()
            .is_some_and(|clocks| !clocks.is_empty()),
        "{row}"
    );
    daemon.stop().await;

    daemon.configure("version: 1\nduplicates: { route: first }\n");
    let refused = daemon.priem(&["check"]);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        error.contains("duplicates.information_queue") && error.contains("priem.yaml:2"),
        "{error}"
    );
}
