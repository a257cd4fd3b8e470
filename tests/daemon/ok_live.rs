//! Одноклассники through the daemon: webhook and polling side by side, a platform that is away for half a day, a daemon
//! that is away until its subscription is dropped, a dead token. Every message still obtainable is obtained once.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use priem_city::{
    ok::{Act, Damage, Group, OkCity, Options, Place, Registration, Trouble},
    voices::Crowd,
};
use priem_sdk::EventType;
use serde_json::json;

use crate::support::{
    self, Installation, PATIENCE,
    flow::{self, Ledger},
    until,
};

const ONE: &str = "57000000000001";
const TWO: &str = "57000000000002";
const TOKENS: [&str; 2] = ["tkn-live-group-one-0123456789", "tkn-live-group-two-0123456789"];
const ACCESS_TOKEN: &str = "tkn-live-access-0123456789";
const APP_SECRET: &str = "LIVEAPPSECRET0123456789";
const PATH: &str = "ok-path-0123456789abcdef0123456789abcdef";

async fn city() -> (OkCity, Group, Group) {
    let options = Options {
        second: Duration::from_millis(5),
        comments_per_page: 20,
        ..Options::default()
    };
    let city = OkCity::start(options).await.expect("an OK simulator");
    city.register(Registration {
        key: "CBALIVE".into(),
        secret: APP_SECRET.into(),
        access_token: ACCESS_TOKEN.into(),
        session_secret: None,
    });
    let (one, two) = (city.group(ONE, TOKENS[0]), city.group(TWO, TOKENS[1]));
    (city, one, two)
}

fn install(city: &OkCity, mode: &str, history_every: &str) -> Installation {
    let connector = format!(
        "  ok:\n    type: ok\n    mode: {mode}\n    api_url: {}\n    history_every: {history_every}\n    groups:\n      \
         - {{ id: \"{ONE}\", token: {{ file: \"{{folder}}/secrets/ok-one\" }} }}\n      \
         - {{ id: \"{TWO}\", token: {{ file: \"{{folder}}/secrets/ok-two\" }} }}\n    \
         webhook: {{ path: {{ file: \"{{folder}}/secrets/ok-path\" }}, source_networks: [] }}\n    application:\n      \
         key: CBALIVE\n      secret: {{ file: \"{{folder}}/secrets/ok-app\" }}\n      \
         access_token: {{ file: \"{{folder}}/secrets/ok-access\" }}\n    \
         discussions: {{ every: 50ms, recheck_every: 200ms, recheck_days: 2 }}\n    \
         http: {{ requests_per_second: 1000 }}\n",
        city.api_url()
    );
    let installation = Installation::new(&(flow::settings(None) + &connector));
    for (name, secret) in [
        ("ok-one", TOKENS[0]),
        ("ok-two", TOKENS[1]),
        ("ok-path", PATH),
        ("ok-app", APP_SECRET),
        ("ok-access", ACCESS_TOKEN),
    ] {
        installation.secret(name, secret);
    }
    installation
}

/// Citizens of one group.
struct Talkers {
    group: Group,
    crowd: Crowd,
    topic: String,
    said: u64,
}

impl Talkers {
    fn new(group: &Group, seed: u64) -> Self {
        Self {
            group: group.clone(),
            crowd: Crowd::new(seed, 12),
            topic: group.post_as_group("Субботник в эту субботу"),
            said: 0,
        }
    }

    /// Private messages, for each one now and then a comment, an answer, a topic.
    fn talk(&mut self, messages: u64) {
        for _ in 0..messages {
            self.said += 1;
            let person = self.crowd.person();
            let id = u64::try_from(person.id).expect("ids of people are positive");
            let text = format!("{} ({})", self.crowd.voice().text, self.said);
            self.group.write(id, &person.first_name, &text);
            if self.crowd.once_in(2) {
                let sent = self
                    .group
                    .comment("GROUP_TOPIC", &self.topic, id, &person.first_name, &text);
                if self.crowd.once_in(3) {
                    self.group.reply(&sent, id + 1, "Сосед", &text);
                }
            }
            if self.crowd.once_in(12) {
                self.group.post(id, &person.first_name, &text);
                self.group.answer(id, "Принято");
                self.group.comment_as_group("GROUP_TOPIC", &self.topic, "Спасибо");
            }
        }
    }
}

/// What must come out of everything citizens did so far.
fn ledger(city: &OkCity) -> Ledger {
    let mut ledger = Ledger::default();
    for word in city.ledger() {
        let group = &word.group;
        let key = match &word.place {
            Place::Message { mid } => format!("{group}/{mid}"),
            Place::Comment { kind, discussion, id } => format!("{group}/{kind}/{discussion}/{id}"),
            Place::Topic { id } => format!("{group}/GROUP_TOPIC/{id}"),
        };
        let event = match word.act {
            Act::Wrote => EventType::Received,
            Act::Changed => EventType::Updated,
            Act::Removed => EventType::Deleted,
        };
        ledger.any_revision("ok", &key, event);
    }
    ledger
}

async fn all_published(daemon: &Installation, city: &OkCity) {
    let wanted = ledger(city).events();
    until(&format!("{wanted} events are published"), async || {
        published(daemon) >= wanted
    })
    .await;
}

/// Different events in the NDJSON file: they outlive the daemon, unlike its counters.
fn published(daemon: &Installation) -> usize {
    let text = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).unwrap_or_default();
    let events = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let ids: HashSet<String> = events.map(|event| event["id"].to_string()).collect();
    ids.len()
}

async fn settle(daemon: &mut Installation, city: &OkCity) {
    all_published(daemon, city).await;
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;
    daemon.assert_running();
    daemon.stop().await;
    assert!(daemon.priem(&["journal", "verify"]).status.success());
    let ledger = ledger(city);
    let settlement = ledger.settle_lines(&daemon.folder.path().join("out.ndjson"));
    settlement.assert_each_once(&ledger);
    assert_eq!(city.violations(), [""; 0]);
    let log = daemon.log();
    for secret in TOKENS.iter().chain([&ACCESS_TOKEN, &APP_SECRET, &PATH]) {
        assert!(!log.contains(secret), "a secret is in the log");
    }
}

async fn subscribed(groups: [&Group; 2]) {
    until("both groups are registered", async || {
        groups.iter().all(|group| group.subscriptions().len() == 1)
    })
    .await;
}

async fn deliveries_end(city: &OkCity) {
    let waited = tokio::time::timeout(PATIENCE, city.wait_until(|city| city.open_deliveries() == 0)).await;
    assert!(waited.is_ok(), "{} deliveries are open", city.open_deliveries());
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_and_polling_hear_everything_once() {
    let (city, one, two) = city().await;
    // The history is looked at once, at the start: what comes later comes by webhook.
    let mut daemon = install(&city, "webhook", "1h");
    let (mut first, mut second) = (Talkers::new(&one, 1), Talkers::new(&two, 2));
    first.talk(10);
    daemon.start().await;
    subscribed([&one, &two]).await;
    all_published(&daemon, &city).await;
    until("every history was looked at", async || city.calls("graph/chats") >= 2).await;

    city.fault(Trouble::Twice, 20);
    city.fault(Trouble::Late(50), 20);
    first.talk(60);
    second.talk(40);
    one.deliver(json!({"webhookType": "MESSAGE_CALLBACK", "callback_id": "cb-1", "payload": "yes"}));
    one.deliver(json!({"webhookType": "CHAT_SYSTEM", "type": "CHAT_TITLE_CHANGED"}));
    two.deliver(json!({"webhookType": "MESSAGE_DREAMT", "dream": 7}));
    two.deliver(json!([{"message": "broken"}]));
    deliveries_end(&city).await;
    assert!(city.delivered() >= 120, "{} deliveries", city.delivered());
    until("strange deliveries are quarantined", async || {
        let list = support::json(&daemon.priem(&["quarantine", "list", "--json"]));
        list.as_array().is_some_and(|list| list.len() == 2)
    })
    .await;

    // Edits and removals are found by reading again.
    let topic = one.post(4001, "Зоя", "Дерево упало");
    let comment = one.comment("GROUP_TOPIC", &first.topic, 4001, "Зоя", "приду");
    let other = one.comment("GROUP_TOPIC", &first.topic, 4002, "Егор", "не приду");
    all_published(&daemon, &city).await;
    one.edit(&topic, "Дерево упало на машину");
    one.edit(&comment, "приду с детьми");
    one.remove(&other);
    settle(&mut daemon, &city).await;
    // Neither a delivery nor an answer in a discussion names its author: the daemon asked.
    let lines = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).expect("the NDJSON file");
    assert!(lines.contains("\"name\":\"Сосед\"") && city.calls("users.getInfo") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_day_without_the_platform_is_caught_up_with() {
    let (city, one, two) = city().await;
    let mut daemon = install(&city, "webhook", "100ms");
    let (mut first, mut second) = (Talkers::new(&one, 3), Talkers::new(&two, 4));
    daemon.start().await;
    subscribed([&one, &two]).await;
    first.talk(20);
    second.talk(20);
    all_published(&daemon, &city).await;

    // The platform is away; what is written meanwhile is never delivered.
    city.outage(true);
    for _ in 0..12 {
        first.talk(15);
        second.talk(10);
        city.advance(Duration::from_secs(3600));
    }
    until("the outage is noticed", async || daemon.log().contains("poll failed")).await;
    city.outage(false);
    all_published(&daemon, &city).await;
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;

    // The daemon is away, killed, until the platform drops its address.
    // What is published and not yet noted would come out again, under the same id: nothing is.
    daemon.kill();
    first.talk(20);
    second.talk(20);
    city.advance(Duration::from_secs(9 * 3600));
    let dropped = tokio::time::timeout(PATIENCE, city.wait_until(|city| city.dropped_subscriptions() == 2)).await;
    assert!(dropped.is_ok(), "{} dropped", city.dropped_subscriptions());
    first.talk(10);
    daemon.start().await;
    subscribed([&one, &two]).await;
    first.talk(10);
    second.talk(10);
    deliveries_end(&city).await;
    settle(&mut daemon, &city).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_token_and_bad_answers_stop_nobody_else() {
    let (city, one, two) = city().await;
    let mut daemon = install(&city, "poll", "50ms");
    let (mut first, mut second) = (Talkers::new(&one, 5), Talkers::new(&two, 6));
    one.revoke(true);
    daemon.start().await;
    for trouble in [
        Trouble::Code(2),
        Trouble::CodeWithStatus(9999),
        Trouble::Html502,
        Trouble::Html200,
        Trouble::Cut,
        Trouble::Null,
        Trouble::Slow(20),
    ] {
        city.fault(trouble, 1);
        second.talk(10);
    }
    until("the dead token is told of", async || {
        daemon.log().contains("needs a human")
    })
    .await;
    let log = daemon.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("needs a human")).collect();
    assert_eq!(told.len(), 1, "one clear alarm: {told:#?}");
    assert!(
        told[0].contains(ONE) && told[0].contains("get a new one"),
        "{}",
        told[0]
    );
    all_published(&daemon, &city).await;

    // Given back: what was written meanwhile comes too.
    first.talk(10);
    one.revoke(false);
    daemon.stop().await;
    daemon.start().await;
    settle(&mut daemon, &city).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_a_record_holds_none_of_the_others_by_webhook_and_by_poll() {
    for mode in ["webhook", "poll"] {
        let (city, one, two) = city().await;
        let mut daemon = install(&city, mode, "50ms");
        daemon.start().await;
        if mode == "webhook" {
            subscribed([&one, &two]).await;
        }
        let topic = one.post_as_group("Субботник");
        for (person, damage) in (1..).zip([Damage::NotUtf8, Damage::HalfOfAnEmoji, Damage::ControlCharacter]) {
            one.write(person, "Анна", &format!("Нет воды {person}"));
            one.write(person + 10, "Пётр", &damage.done_to("Яма"));
            one.comment("GROUP_TOPIC", &topic, person, "Егор", &damage.done_to("Лёд"));
            one.comment("GROUP_TOPIC", &topic, person, "Зоя", &format!("Темно {person}"));
        }
        let wanted = (1..=3).flat_map(|person| [format!("Нет воды {person}"), format!("Темно {person}")]);
        let wanted: BTreeSet<String> = wanted.chain(["Яма\u{fffd}".into(), "Лёд\u{fffd}".into()]).collect();
        let out = daemon.folder.path().join("out.ndjson");
        until(&format!("{mode}: the sound ones are published"), async || {
            let lines = std::fs::read_to_string(&out).unwrap_or_default();
            let events = lines
                .lines()
                .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            let texts = events.map(|event| event["data"]["body"]["text"].as_str().unwrap_or_default().to_owned());
            texts.collect::<BTreeSet<_>>() == wanted
        })
        .await;
        until(&format!("{mode}: the others are held"), async || {
            let held = support::json(&daemon.priem(&["quarantine", "list", "--json"]));
            held.as_array().is_some_and(|held| held.len() == 4)
        })
        .await;
        daemon.stop().await;
    }
}
