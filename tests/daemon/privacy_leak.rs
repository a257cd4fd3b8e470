//! Marked personal data planted into every source that has a simulator: what must not leave is nowhere, neither in the
//! queue of a real broker, nor in logs, metrics, listings, answers of commands and errors.

use std::{collections::BTreeMap, time::Duration};

use priem_city::{
    broker::{Broker, Delivered},
    max::{self, MaxCity},
    ok::{self, OkCity, Registration},
    telegram::{Person, TelegramCity},
    vk::{self, Citizen, TokenKind, VkCity},
};
use serde_json::{Value, json};

use crate::support::{
    Installation,
    flow::{self, POLL_TOKEN, QUEUE},
    text, until, write,
};

const GROUP: i64 = 190_700_001;
const OK_GROUP: &str = "57000000000001";
const VK_KEY: &str = "vk1.a.secret-of-the-leak-test";
const OK_KEY: &str = "tkn-secret-of-the-leak-test";
const OK_PATH: &str = "ok-path-secret-of-the-leak-test-0123456789ab";
const OK_APP: &str = "APPSECRETOFTHELEAKTEST";
const OK_ACCESS: &str = "tkn-access-secret-of-the-leak-test";
const MAX_TOKEN: &str = "max-secret-of-the-leak-test-0001";
const HASH_KEY: &str = "hash-key-secret-of-the-leak-test-0123456789";
const ENCRYPT_KEY: &str = "5ec5ec5ec5ec5ec5ec5ec5ec5ec5ec5ec5ec5ec5ec5ec5ec5ec5ec5ec5ec5ec5";

/// In author fields and nowhere else.
const NAME: &str = "Секретова";
/// In fields of a place and nowhere else.
const STREET: &str = "Потайная";
/// In texts.
const PHONE: &str = "+7 912 555-44-33";
const EMAIL: &str = "sekretova@pochta.example";
/// Never leave, under no policy.
const NEVER: &[&str] = &["112-233-445 95", "2200770239005013", "12.03.1985"];

/// Every secret the daemon is given.
const TOKENS: &[&str] = &[
    POLL_TOKEN,
    VK_KEY,
    OK_KEY,
    OK_PATH,
    OK_APP,
    OK_ACCESS,
    MAX_TOKEN,
    HASH_KEY,
    ENCRYPT_KEY,
];

/// What a citizen writes; the last word tells the source.
fn words(source: &str) -> String {
    format!(
        "Нет воды третий день. Звоните {PHONE} или {EMAIL}. СНИЛС {}, полис {}, дата рождения {}. Пишу через {source}",
        NEVER[0], NEVER[1], NEVER[2]
    )
}

const PRIVACY: &str = "privacy:
  hash_key: { file: \"{folder}/secrets/hash\" }
  encrypt_key: { file: \"{folder}/secrets/encrypt\" }
  policy:
    text: mask
    name: hash
    identifier: encrypt
    location: drop
  overrides:
    - channel: telegram
      policy: { text: pass, name: pass }
";

struct City {
    telegram: TelegramCity,
    vk: VkCity,
    ok: OkCity,
    max: MaxCity,
}

impl City {
    async fn start() -> Self {
        let second = Duration::from_millis(5);
        let vk = vk::Options {
            second: Duration::from_millis(20),
            ..vk::Options::default()
        };
        let ok = ok::Options {
            second,
            ..ok::Options::default()
        };
        let max = max::Options {
            second,
            ..max::Options::default()
        };
        Self {
            telegram: flow::telegram().await,
            vk: VkCity::start(vk).await.expect("a VK simulator"),
            ok: OkCity::start(ok).await.expect("an OK simulator"),
            max: MaxCity::start(max).await.expect("a MAX simulator"),
        }
    }

    fn settings(&self, broker: &Broker) -> String {
        let vk = format!(
            "  vk:\n    type: vk\n    api_url: {}\n    longpoll: {{ wait_s: 5 }}\n    communities:\n      \
             - {{ id: {GROUP}, token: {{ file: \"{{folder}}/secrets/vk\" }} }}\n",
            self.vk.api_url()
        );
        let ok = format!(
            "  ok:\n    type: ok\n    mode: poll\n    api_url: {}\n    history_every: 50ms\n    groups:\n      \
             - {{ id: \"{OK_GROUP}\", token: {{ file: \"{{folder}}/secrets/ok\" }} }}\n    \
             application:\n      key: CBALIVE\n      \
             secret: {{ file: \"{{folder}}/secrets/ok-app\" }}\n      \
             access_token: {{ file: \"{{folder}}/secrets/ok-access\" }}\n    \
             discussions: {{ every: 50ms, recheck_every: 200ms, recheck_days: 2 }}\n    \
             http: {{ requests_per_second: 1000 }}\n",
            self.ok.api_url()
        );
        let max = format!(
            "  max:\n    type: max\n    api_url: {}\n    token: {{ file: \"{{folder}}/secrets/max\" }}\n",
            self.max.api_url()
        );
        let base =
            flow::settings(Some(broker)).replace("level: info", "level: \"priem=trace,priem_connectors=trace,info\"");
        let base = base.replace("connectors:\n", &format!("{PRIVACY}connectors:\n"));
        base + &flow::poll(&self.telegram.api_url()) + &vk + &ok + &max + &flow::files()
    }

    /// Citizens write; broken things that hold personal data arrive as well.
    async fn speak(&self) {
        let bot = self.telegram.bot(POLL_TOKEN);
        let mut person = Person::new(11, "Анна");
        person.last_name = Some(NAME.into());
        bot.send_private(&person, &words("telegram"));
        bot.push(json!({ "edited_message": { "text": words("quarantine"), "from": NAME } }));

        let community = self.vk.community(GROUP);
        until("the community is listened to", async || self.vk.polls_running() > 0).await;
        let citizen = Citizen::new(12, "Анна", NAME);
        let post = community.post("Новости");
        community.comment(&post, &citizen, words("vk").as_str());

        let group = self.ok.group(OK_GROUP, OK_KEY);
        let topic = group.post_as_group("Субботник");
        group.comment("GROUP_TOPIC", &topic, 13, NAME, &words("ok"));

        let bot = self.max.bot(MAX_TOKEN);
        bot.write(&person, &max::Place::Dialog, &words("max"));
        bot.push(&json!({ "update_type": "message_created", "message": { "body": words("quarantine") } }));
    }
}

fn install(settings: &str) -> Installation {
    let daemon = flow::install(settings);
    for (name, secret) in [
        ("vk", VK_KEY),
        ("ok", OK_KEY),
        ("ok-app", OK_APP),
        ("ok-access", OK_ACCESS),
        ("max", MAX_TOKEN),
        ("hash", HASH_KEY),
        ("encrypt", ENCRYPT_KEY),
    ] {
        daemon.secret(name, secret);
    }
    daemon
}

fn drop_export(daemon: &Installation) {
    let rows = format!(
        "Номер инцидента;Дата создания;Группа тем;Тема;Муниципалитет;Улица;Дом;Автор;Ссылка на автора;Текст инцидента\n\
         7000001;01.10.2026;ЖКХ;Водоснабжение;Город Пермь;{STREET};5;Анна {NAME};https://vk.com/id12;{}\n\
         ;01.10.2026;ЖКХ;Водоснабжение;Город Пермь;{STREET};5;{NAME};;{}\n",
        words("files"),
        words("quarantine"),
    );
    let aside = daemon.folder.path().join("aside.csv");
    write(&aside, &rows);
    let inbox = daemon.folder.path().join("drop/inbox");
    std::fs::create_dir_all(&inbox).expect("folders");
    std::fs::rename(aside, inbox.join("export.csv")).expect("a move");
}

/// Asserts that none of some values stands in a text.
#[track_caller]
fn clean(what: &str, shown: &str, forbidden: &[&str]) {
    for value in forbidden {
        assert!(!shown.contains(value), "{what} shows {value}:\n{shown}");
    }
}

/// Everything a command says.
fn said(daemon: &Installation, arguments: &[&str]) -> String {
    let output = daemon.priem(arguments);
    text(&output) + &String::from_utf8_lossy(&output.stderr)
}

fn by_source(delivered: &[Delivered]) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for one in delivered {
        let event: Value = serde_json::from_slice(&one.body).expect("a JSON body");
        let text = event["data"]["body"]["text"].as_str().unwrap_or_default();
        if let Some((_, source)) = text.split_once("Пишу через ") {
            found.insert(source.to_owned(), event.clone());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_leave_is_nowhere() {
    let broker = Broker::start().await.expect("a broker");
    let city = City::start().await;
    city.vk.community(GROUP);
    city.vk.add_token(VK_KEY, TokenKind::Community(GROUP));
    city.ok.register(Registration {
        key: "CBALIVE".into(),
        secret: OK_APP.into(),
        access_token: OK_ACCESS.into(),
        session_secret: None,
    });
    let _group = city.ok.group(OK_GROUP, OK_KEY);
    let max = city.max.bot(MAX_TOKEN);
    let _bot = city.telegram.bot(POLL_TOKEN);
    let mut daemon = install(&city.settings(&broker));
    daemon.start().await;
    max.wait_until(|bot| bot.calls("GET /updates") > 1 && bot.is_polled())
        .await;
    drop_export(&daemon);
    city.speak().await;
    for connector in ["poll", "vk", "ok", "max", "exports"] {
        let labels = format!("connector=\"{connector}\"");
        daemon
            .metric_reaches("priem_delivery_seconds_count", &labels, 1.0)
            .await;
    }
    until("broken items are on hold", async || {
        let held = daemon.stats()["quarantined"].clone();
        let counts = held.as_object().expect("counts by reason").values();
        counts.filter_map(Value::as_u64).sum::<u64>() >= 3
    })
    .await;
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;

    // What people see, while it runs.
    let in_texts = [PHONE, "555-44", EMAIL, NEVER[0], NEVER[1], NEVER[2], NAME, STREET];
    let forbidden = [&in_texts[..], TOKENS].concat();
    let (_, metrics) = daemon.get("/metrics").await.expect("metrics");
    clean("/metrics", &metrics, &forbidden);
    for path in ["/health/ready", "/health/live"] {
        let (_, health) = daemon.get(path).await.expect("an answer");
        clean(path, &health, &forbidden);
    }
    let listing = said(&daemon, &["quarantine", "list"]);
    assert!(listing.contains("bad_row"), "{listing}");
    clean("quarantine list", &listing, &forbidden);
    let held = said(&daemon, &["quarantine", "list", "--json"]);
    clean("quarantine list --json", &held, &forbidden);
    let held: Value = serde_json::from_str(&held).expect("JSON");
    for item in held.as_array().expect("a list") {
        let number = item["seq"].to_string();
        clean(
            "quarantine show",
            &said(&daemon, &["quarantine", "show", &number]),
            &forbidden,
        );
        clean("why", &said(&daemon, &["why", &number]), &forbidden);
    }
    clean("check", &said(&daemon, &["check"]), &forbidden);
    let exported = said(&daemon, &["journal", "export", "--masked"]);
    assert!(exported.lines().count() >= 8, "{exported}");
    clean("journal export --masked", &exported, &forbidden);
    clean("journal stats", &said(&daemon, &["journal", "stats"]), &forbidden);

    daemon.stop().await;
    clean("the log", &daemon.log(), &forbidden);

    // What left.
    let delivered = broker.drain(QUEUE).await.expect("the queue");
    let sources = by_source(&delivered);
    let names: Vec<&str> = sources.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["files", "max", "ok", "telegram", "vk"],
        "every source was heard"
    );
    for one in &delivered {
        let event: Value = serde_json::from_slice(&one.body).expect("a JSON body");
        let body = event.to_string() + &format!("{:?}", one.headers);
        clean("the queue", &body, NEVER);
        clean("the queue", &body, TOKENS);
        if event["data"]["channel"] != "telegram" {
            clean("the queue", &body, &in_texts);
        }
        let id = event["id"].as_str().expect("an id");
        clean("why", &said(&daemon, &["why", id]), &forbidden);
    }
    let telegram = sources["telegram"].to_string();
    assert!(
        telegram.contains(PHONE) && telegram.contains(NAME),
        "an override lets them pass: {telegram}"
    );
    assert!(telegram.contains("[СНИЛС удалён]") && telegram.contains("[дата рождения удалена]"));
    let vk = &sources["vk"]["data"];
    assert!(
        vk["author"]["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("h1:")),
        "{vk}"
    );
    assert!(
        vk["author"]["external_id"]
            .as_str()
            .is_some_and(|id| id.starts_with("e1:")),
        "{vk}"
    );
    assert!(sources["files"]["data"]["place"]["street"].is_null());

    // Settings that do not fit say so without the secret that stands in the wrong place.
    let wrong = PRIVACY.replace("{ file: \"{folder}/secrets/hash\" }", HASH_KEY);
    daemon
        .configure(&(flow::settings(None).replace("connectors:\n", &format!("{wrong}connectors:\n")) + &flow::files()));
    let refused = said(&daemon, &["check"]);
    assert!(
        refused.contains("privacy") && refused.contains("by reference"),
        "{refused}"
    );
    clean("an error of the settings", &refused, &forbidden);
}
