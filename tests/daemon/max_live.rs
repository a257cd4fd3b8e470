//! MAX seen through the daemon: webhook and polling under load, faults and kill -9; the platform down for half a day;
//! our own outage beyond the patience of the platform; somebody else's webhook; a revoked token; a certificate of a
//! root nobody knows.

use std::{collections::HashSet, time::Duration};

use priem_city::{
    max::{Act, Bot, Fault, MaxCity, Options, Place, Written},
    voices::Crowd,
};
use priem_sdk::EventType;

use crate::support::{
    self, Installation, PATIENCE,
    flow::{self, HOOK_PATH, HOOK_SECRET, Ledger, Settlement},
    json, until,
};

const HOOK_TOKEN: &str = "max-hook-token-that-nobody-may-see-0001";
const POLL_TOKEN: &str = "max-poll-token-that-nobody-may-see-0002";
/// A group both bots hear, and a channel whose posts are never sent.
const GROUP: i64 = -70_000_000_000_001;
const QUIET_CHANNEL: i64 = -70_000_000_000_002;

/// A platform whose seconds last five milliseconds. Its limits are those of the real one.
async fn platform() -> MaxCity {
    platform_with(Options::default()).await
}

/// The same for a test that kills: a process knows nothing of what the one before it has asked a moment ago.
async fn platform_for_kills() -> MaxCity {
    let options = Options {
        polls_per_second: 20,
        requests_per_second: 100,
        ..Options::default()
    };
    platform_with(options).await
}

async fn platform_with(options: Options) -> MaxCity {
    let options = Options {
        second: Duration::from_millis(5),
        ..options
    };
    MaxCity::start(options).await.expect("a MAX simulator")
}

fn bot(city: &MaxCity, token: &str) -> Bot {
    let bot = city.bot(token);
    bot.add_chat(GROUP, "chat", "Соседи", &["read_all_messages"]);
    bot.add_chat(QUIET_CHANNEL, "channel", "Новости", &["read_all_messages"]);
    bot.silence(QUIET_CHANNEL);
    bot
}

fn hook(api_url: &str) -> String {
    format!(
        "  hook:\n    type: max\n    mode: webhook\n    api_url: {api_url}\n    \
         token: {{ file: \"{{folder}}/secrets/max-hook\" }}\n    chats: [ {{ id: {QUIET_CHANNEL} }} ]\n    \
         webhook: {{ path: {HOOK_PATH}, secret: {{ file: \"{{folder}}/secrets/hook-secret\" }}, source_networks: [] }}\n"
    )
}

fn poll(api_url: &str) -> String {
    format!("  poll:\n    type: max\n    api_url: {api_url}\n    token: {{ file: \"{{folder}}/secrets/max-poll\" }}\n")
}

fn install(city: &MaxCity) -> Installation {
    let api = city.api_url();
    let daemon = flow::install(&(flow::settings(None) + &hook(&api) + &poll(&api)));
    daemon.secret("max-hook", HOOK_TOKEN);
    daemon.secret("max-poll", POLL_TOKEN);
    daemon.secret("hook-secret", HOOK_SECRET);
    daemon
}

/// Citizens who write to one bot.
struct Writers {
    bot: Bot,
    crowd: Crowd,
    said: u64,
}

impl Writers {
    fn new(bot: &Bot, seed: u64) -> Self {
        Self {
            bot: bot.clone(),
            crowd: Crowd::new(seed, 12),
            said: 0,
        }
    }

    fn write(&mut self) -> Written {
        self.said += 1;
        let (person, voice) = (self.crowd.person(), self.crowd.voice());
        let text = format!("{} ({})", voice.text, self.said);
        let place = if self.crowd.once_in(3) {
            Place::Group(GROUP)
        } else {
            Place::Dialog
        };
        self.bot.write(&person, &place, &text)
    }

    fn write_many(&mut self, count: usize) -> Vec<Written> {
        (0..count).map(|_| self.write()).collect()
    }
}

async fn taken(bot: &Bot, daemon: &Installation) {
    let waited = tokio::time::timeout(PATIENCE, bot.wait_until(|bot| bot.pending() == 0)).await;
    assert!(waited.is_ok(), "{} updates are left:\n{}", bot.pending(), daemon.log());
}

/// What must come out: every act of the platform's own ledger once. Which way a message came decides the name of its
/// version, so the ids are not foretold.
fn expect(connector: &str, bot: &Bot, ledger: &mut Ledger) {
    for entry in bot.ledger() {
        let event = match entry.act {
            Act::Written => EventType::Received,
            Act::Edited => EventType::Updated,
            Act::Removed => EventType::Deleted,
        };
        ledger.any_revision(connector, &entry.mid, event);
    }
}

/// Different events published so far.
fn events(daemon: &Installation) -> usize {
    let text = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).unwrap_or_default();
    let ids: HashSet<String> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .map(|event| event["id"].to_string())
        .collect();
    ids.len()
}

/// The history has looked around, after everything that was heard so far.
async fn history_has_looked(daemon: &Installation, connector: &str) {
    let labels = format!("connector=\"{connector}\",result=\"ok\",stream=\"history\"");
    let before = daemon.metric("priem_polls_total", &labels).await;
    daemon.metric_reaches("priem_polls_total", &labels, before + 2.0).await;
}

/// The marker is known, so that nothing written from now on can be missed.
async fn polls(bot: &Bot) {
    bot.wait_until(|bot| bot.calls("GET /updates") > 1 && bot.is_polled())
        .await;
}

/// Compares what was written with what came out. After a kill the last lines may stand there twice, under one id.
async fn settle(daemon: &mut Installation, city: &MaxCity, bots: &[(&str, &Bot)]) -> Settlement {
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;
    daemon.assert_running();
    daemon.stop().await;
    let mut ledger = Ledger::default();
    for (connector, bot) in bots {
        expect(connector, bot, &mut ledger);
    }
    assert!(daemon.priem(&["journal", "verify"]).status.success());
    let settlement = ledger.settle_lines(&daemon.folder.path().join("out.ndjson"));
    assert_eq!(settlement.events, ledger.events());
    assert_eq!(city.violations(), [""; 0]);
    let log = daemon.log();
    for secret in [HOOK_TOKEN, POLL_TOKEN, HOOK_PATH, HOOK_SECRET] {
        assert!(!log.contains(secret), "a secret stands in the log");
    }
    settlement
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_and_kills_lose_and_double_nothing() {
    let city = platform_for_kills().await;
    let (hooked, polled) = (bot(&city, HOOK_TOKEN), bot(&city, POLL_TOKEN));
    let mut daemon = install(&city);
    let (mut by_hook, mut by_poll) = (Writers::new(&hooked, 1), Writers::new(&polled, 2));
    daemon.start().await;
    hooked.wait_until(|bot| !bot.webhook_urls().is_empty()).await;
    polls(&polled).await;

    for fault in [
        Fault::RateLimit {
            times: 1,
            retry_after: Some(1),
        },
        Fault::Html502 { times: 1 },
        Fault::Html200 { times: 1 },
        Fault::ServerError { times: 1 },
        Fault::CutConnection { times: 1 },
        Fault::Slow { times: 1, seconds: 20 },
        Fault::NullMarker { times: 1 },
        Fault::Duplicate { times: 3 },
    ] {
        city.fault(fault);
        by_hook.write_many(20);
        by_poll.write_many(20);
        taken(&hooked, &daemon).await;
        taken(&polled, &daemon).await;
    }

    // Calm: everything that can become of a message.
    for (bot, writers) in [(&hooked, &mut by_hook), (&polled, &mut by_poll)] {
        let all = writers.write_many(5);
        taken(bot, &daemon).await;
        bot.edit(&all[0], "исправлено");
        taken(bot, &daemon).await;
        bot.remove(&all[1]);
        bot.forward(&writers.crowd.person(), &Place::Dialog, &all[2]);
        bot.answer(&writers.crowd.person(), &Place::Group(GROUP), &all[3], "и у нас");
        taken(bot, &daemon).await;
    }
    city.fault(Fault::Disorder { times: 5 });
    by_hook.write_many(60);
    taken(&hooked, &daemon).await;

    for round in 0..6 {
        by_hook.write_many(40);
        by_poll.write_many(40);
        let before = (hooked.delivered(), polled.delivered());
        let some = hooked.wait_until(|bot| bot.delivered() > before.0 + round * 5);
        assert!(tokio::time::timeout(PATIENCE, some).await.is_ok());
        daemon.kill();
        by_poll.write_many(10);
        daemon.start().await;
    }
    taken(&hooked, &daemon).await;
    taken(&polled, &daemon).await;
    settle(&mut daemon, &city, &[("hook", &hooked), ("poll", &polled)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_half_a_day_without_the_platform_everything_is_obtained_once() {
    let city = platform().await;
    let (hooked, polled) = (bot(&city, HOOK_TOKEN), bot(&city, POLL_TOKEN));
    let mut daemon = install(&city);
    let (mut by_hook, mut by_poll) = (Writers::new(&hooked, 3), Writers::new(&polled, 4));
    daemon.start().await;
    hooked.wait_until(|bot| !bot.webhook_urls().is_empty()).await;
    polls(&polled).await;
    by_hook.write_many(20);
    by_poll.write_many(20);
    taken(&hooked, &daemon).await;
    taken(&polled, &daemon).await;

    city.set_down(true);
    for _ in 0..12 {
        by_hook.write_many(25);
        by_poll.write_many(25);
        city.advance(Duration::from_secs(3600));
    }
    until("the outage is noticed", async || {
        let errors = daemon
            .metric("priem_polls_total", "connector=\"poll\",result=\"transient\"")
            .await;
        errors >= 1.0
    })
    .await;
    city.set_down(false);
    taken(&hooked, &daemon).await;
    taken(&polled, &daemon).await;
    assert_eq!((hooked.lost(), polled.lost()), (0, 0));
    let settlement = settle(&mut daemon, &city, &[("hook", &hooked), ("poll", &polled)]).await;
    assert_eq!(settlement.repeated, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_our_own_outage_the_history_gives_what_the_platform_gave_up() {
    let city = platform().await;
    let (hooked, polled) = (bot(&city, HOOK_TOKEN), bot(&city, POLL_TOKEN));
    let mut daemon = install(&city);
    let (mut by_hook, mut by_poll) = (Writers::new(&hooked, 5), Writers::new(&polled, 6));
    daemon.start().await;
    hooked.wait_until(|bot| !bot.webhook_urls().is_empty()).await;
    polls(&polled).await;
    // Everybody is heard once, so that every dialogue is known.
    let known: Vec<Written> = (0..12)
        .map(|number| hooked.write(&priem_city::voices::person(number), &Place::Dialog, "здравствуйте"))
        .collect();
    by_hook.write_many(30);
    by_poll.write_many(30);
    taken(&hooked, &daemon).await;
    taken(&polled, &daemon).await;
    history_has_looked(&daemon, "hook").await;
    daemon.kill();

    // The first deliveries fail now, the subscription ends after eight hours, polling keeps for a day.
    by_hook.write_many(150);
    by_poll.write_many(150);
    hooked.edit(&known[0], "здравствуйте ещё раз");
    for number in 0..130 {
        let author = priem_city::voices::person(number);
        hooked.write(&author, &Place::Channel(QUIET_CHANNEL), &format!("пост {number}"));
    }
    for _ in 0..12 {
        city.advance(Duration::from_secs(3600));
    }
    hooked.wait_until(|bot| bot.dropped_subscriptions() == 1).await;
    by_hook.write_many(30);

    daemon.start().await;
    taken(&polled, &daemon).await;
    hooked.wait_until(|bot| !bot.webhook_urls().is_empty()).await;
    assert!(hooked.lost() > 100, "the platform gave up");
    let all = hooked.ledger().len() + polled.ledger().len();
    until("everything has come", async || events(&daemon) >= all).await;
    by_hook.write_many(10);
    until("new messages are delivered", async || {
        daemon
            .metric("priem_webhook_answers_total", "connector=\"hook\",status=\"200\"")
            .await
            >= 10.0
    })
    .await;
    settle(&mut daemon, &city, &[("hook", &hooked), ("poll", &polled)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_webhook_stays_and_a_revoked_token_stops_only_its_own_bot() {
    const ELSEWHERE: &str = "https://elsewhere.example/hook/with-a-secret-in-its-path";
    let city = platform().await;
    let (hooked, polled) = (bot(&city, HOOK_TOKEN), bot(&city, POLL_TOKEN));
    polled.add_foreign_webhook(ELSEWHERE);
    let mut daemon = install(&city);
    let (mut by_hook, mut by_poll) = (Writers::new(&hooked, 7), Writers::new(&polled, 8));
    daemon.start().await;
    until("the foreign webhook is reported", async || {
        daemon.log().contains("--take-over")
    })
    .await;
    let log = daemon.log();
    assert!(log.contains("elsewhere.example") && !log.contains("with-a-secret"));
    assert_eq!(polled.webhook_urls(), [ELSEWHERE]);
    hooked.wait_until(|bot| !bot.webhook_urls().is_empty()).await;
    by_hook.write_many(10);
    taken(&hooked, &daemon).await;
    daemon.stop().await;

    polled.allow_take_over();
    daemon.arguments(&["--take-over"]);
    daemon.start().await;
    polled.wait_until(|bot| bot.webhook_urls().is_empty()).await;
    polls(&polled).await;
    by_poll.write_many(10);
    taken(&polled, &daemon).await;

    polled.revoke(true);
    until("the revoked token is reported", async || {
        daemon.metric("priem_connector_up", "connector=\"poll\"").await == 0.0
    })
    .await;
    let calls = polled.calls("GET /updates");
    by_poll.write_many(10);
    by_hook.write_many(20);
    taken(&hooked, &daemon).await;
    assert!(
        polled.calls("GET /updates") <= calls + 1,
        "a revoked token is not hammered"
    );
    daemon.stop().await;
    polled.revoke(false);
    daemon.start().await;
    taken(&polled, &daemon).await;
    settle(&mut daemon, &city, &[("hook", &hooked), ("poll", &polled)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_root_is_named_and_trusted_when_told_to() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tls = axum_server::tls_rustls::RustlsConfig::from_pem(
        made.cert.pem().into_bytes(),
        made.signing_key.serialize_pem().into_bytes(),
    );
    let tls = tls.await.expect("a key pair");
    let answer = |body: &'static str| axum::routing::get(move || async move { body });
    let router = axum::Router::new()
        .route("/me", answer(r#"{"user_id":1,"is_bot":true,"username":"city_bot"}"#))
        .route("/subscriptions", answer(r#"{"subscriptions":[]}"#));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    let server = axum_server::from_tcp_rustls(listener, tls).expect("a server");
    tokio::spawn(server.serve(router.into_make_service()));

    let settings = flow::settings(None) + &poll(&format!("https://localhost:{port}"));
    let daemon = flow::install(&settings);
    daemon.secret("max-poll", POLL_TOKEN);
    let check = async |daemon: &Installation| {
        let config = daemon.config().display().to_string();
        let run = tokio::task::spawn_blocking(move || support::priem(&["check", "--json", "--config", &config]));
        json(&run.await.expect("no panic")).to_string()
    };
    let report = check(&daemon).await;
    assert!(
        report.contains("extra_root_certificates") && report.contains("Russian Trusted Root CA"),
        "{report}"
    );

    support::write(&daemon.folder.path().join("root.pem"), &made.cert.pem());
    daemon.configure(&format!(
        "{settings}    http: {{ extra_root_certificates: [ root.pem ] }}\n"
    ));
    let report = check(&daemon).await;
    assert!(
        report.contains("@city_bot") && !report.contains("extra_root_certificates"),
        "{report}"
    );
}
