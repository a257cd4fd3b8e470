//! Telegram in trouble, seen through the daemon: somebody else's webhook, a revoked token, another poller, faults of the
//! server. What can be heard goes on, what can't is said clearly, nothing is lost or doubled.

use std::time::Duration;

use priem_city::telegram::{Bot, Fault, TelegramCity};

use crate::support::{
    Installation, PATIENCE,
    flow::{self, HOOK_TOKEN, Ledger, POLL_TOKEN, Writers},
    http, until,
};

/// Token of a bot somebody else has a webhook for.
const FOREIGN_TOKEN: &str = "700000003:AAE-foreign-token-nobody-may-see-0003";
/// Address of that webhook.
const ELSEWHERE: &str = "https://elsewhere.example/hook/with-a-secret-in-its-path";

/// A daemon with three bots: by webhook, by polling, and polling one that is somebody else's.
fn install(city: &TelegramCity) -> Installation {
    let api = city.api_url();
    let foreign = flow::poll(&api)
        .replace("  poll:", "  foreign:")
        .replace("poll-token", "foreign-token");
    let daemon = flow::install(&(flow::settings(None) + &flow::hook(&api) + &flow::poll(&api) + &foreign));
    daemon.secret("foreign-token", FOREIGN_TOKEN);
    daemon
}

async fn up(daemon: &Installation, connector: &str) -> f64 {
    daemon
        .metric("priem_connector_up", &format!("connector=\"{connector}\""))
        .await
}

async fn taken(bot: &Bot, daemon: &Installation) {
    let waited = tokio::time::timeout(PATIENCE, bot.wait_until(|bot| bot.pending() == 0)).await;
    assert!(waited.is_ok(), "{} updates are left:\n{}", bot.pending(), daemon.log());
}

async fn settle(daemon: &mut Installation, ledger: &Ledger) {
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;
    daemon.assert_running();
    daemon.stop().await;
    assert!(daemon.priem(&["journal", "verify"]).status.success());
    let settlement = ledger.settle_lines(&daemon.folder.path().join("out.ndjson"));
    settlement.assert_each_once(ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_webhook_stays_and_a_revoked_token_stops_only_its_own_bot() {
    let city = flow::telegram().await;
    let (hook, poll, foreign) = (city.bot(HOOK_TOKEN), city.bot(POLL_TOKEN), city.bot(FOREIGN_TOKEN));
    foreign.set_foreign_webhook(ELSEWHERE);
    let mut daemon = install(&city);
    let mut ledger = Ledger::default();
    let mut by_hook = Writers::new(hook.clone(), "hook", 1);
    let mut by_poll = Writers::new(poll.clone(), "poll", 2);
    daemon.start().await;

    until("the foreign webhook is reported", async || {
        daemon.log().contains("--take-over")
    })
    .await;
    let log = daemon.log();
    let told = log.lines().find(|line| line.contains("--take-over")).expect("a line");
    assert!(
        told.contains("ERROR") && told.contains("foreign") && told.contains("elsewhere.example"),
        "{told}"
    );
    assert!(!log.contains("with-a-secret"), "paths of webhooks are secrets");
    assert_eq!(up(&daemon, "foreign").await, 0.0);
    assert_eq!(foreign.webhook_url().as_deref(), Some(ELSEWHERE), "it stays");
    assert_eq!((foreign.calls("deleteWebhook"), foreign.calls("setWebhook")), (0, 0));
    by_hook.keep_waiting(20, &mut ledger);
    by_poll.keep_waiting(20, &mut ledger);
    taken(&hook, &daemon).await;
    taken(&poll, &daemon).await;
    daemon
        .metric_reaches("priem_connector_up", "connector=\"poll\"", 1.0)
        .await;
    daemon
        .metric_reaches("priem_connector_up", "connector=\"hook\"", 1.0)
        .await;

    // The token of the polled bot is revoked: it needs a human, the other bot does not notice.
    poll.revoke(true);
    until("the revoked token is reported", async || {
        up(&daemon, "poll").await == 0.0
    })
    .await;
    let (status, body) = daemon.get("/health/ready").await.expect("an answer");
    assert_eq!(status, 200, "{body}");
    let report: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let state = |connector: &str| {
        let sources = report["sources"].as_array().expect("a list");
        sources
            .iter()
            .find(|source| source["connector"] == connector)
            .expect("a source")["state"]
            .clone()
    };
    assert_eq!(
        (state("poll"), state("foreign"), state("hook")),
        ("deaf".into(), "deaf".into(), "hearing".into())
    );
    by_hook.keep_waiting(20, &mut ledger);
    taken(&hook, &daemon).await;
    let calls = poll.calls("getUpdates");
    by_poll.keep_waiting(10, &mut ledger);
    by_hook.keep_waiting(20, &mut ledger);
    taken(&hook, &daemon).await;
    assert!(poll.calls("getUpdates") <= calls + 1, "a revoked token is not hammered");
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;
    daemon.stop().await;

    // Given back, and this time the operator says to take over: everybody is heard.
    poll.revoke(false);
    daemon.arguments(&["--take-over"]);
    daemon.start().await;
    taken(&poll, &daemon).await;
    foreign.wait_until(|bot| bot.webhook_url().is_none()).await;
    let mut of_foreign = Writers::new(foreign.clone(), "foreign", 3);
    of_foreign.keep_waiting(10, &mut ledger);
    taken(&foreign, &daemon).await;
    assert_eq!(up(&daemon, "foreign").await, 1.0);
    settle(&mut daemon, &ledger).await;
    assert_eq!(city.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_server_lose_and_double_nothing() {
    let city = flow::telegram().await;
    let (hook, poll) = (city.bot(HOOK_TOKEN), city.bot(POLL_TOKEN));
    let api = city.api_url();
    let mut daemon = flow::install(&(flow::settings(None) + &flow::hook(&api) + &flow::poll(&api)));
    let mut ledger = Ledger::default();
    let mut by_hook = Writers::new(hook.clone(), "hook", 4);
    let mut by_poll = Writers::new(poll.clone(), "poll", 5);
    daemon.start().await;
    hook.wait_until(|bot| bot.webhook_url().is_some()).await;
    poll.wait_until(Bot::is_polled).await;

    let faults = [
        Fault::RateLimit {
            times: 1,
            retry_after: 1,
        },
        Fault::RateLimitHeader {
            times: 1,
            retry_after: 1,
        },
        Fault::Html502 { times: 1 },
        Fault::Html200 { times: 1 },
        Fault::ServerError { times: 1 },
        Fault::CutConnection { times: 1 },
        Fault::Duplicate { times: 3 },
    ];
    for fault in faults {
        city.fault(fault);
        by_hook.keep_waiting(30, &mut ledger);
        by_poll.keep_waiting(30, &mut ledger);
        taken(&hook, &daemon).await;
        taken(&poll, &daemon).await;
    }
    assert!(
        daemon
            .metric("priem_rate_limit_waits_total", "connector=\"poll\"")
            .await
            >= 2.0
    );
    assert!(
        daemon.metric("priem_duplicate_items_total", "").await >= 1.0,
        "the server repeated itself"
    );
    assert_eq!(up(&daemon, "poll").await, 1.0);
    assert_eq!(city.violations(), [""; 0]);

    // Ids start again at a lower number after a quiet week.
    poll.restart_ids(5);
    by_poll.keep_waiting(30, &mut ledger);
    taken(&poll, &daemon).await;

    // Another program polls with our token: a conflict, not the end.
    poll.wait_until(Bot::is_polled).await;
    let url = format!("{api}/bot{POLL_TOKEN}/getUpdates?timeout=0&allowed_updates=[\"message\",\"edited_message\"]");
    let other = http()
        .get(url)
        .timeout(Duration::from_secs(60))
        .send()
        .await
        .expect("an answer");
    assert_eq!(other.status().as_u16(), 200);
    until("the conflict is counted", async || {
        let all = daemon.metric("priem_polls_total", "connector=\"poll\"").await;
        all > daemon
            .metric("priem_polls_total", "connector=\"poll\",result=\"ok\"")
            .await
            + 4.0
    })
    .await;
    by_poll.keep_waiting(30, &mut ledger);
    taken(&poll, &daemon).await;
    let provoked = city.violations();
    assert!(
        provoked
            .iter()
            .all(|what| what == "getUpdates while another one was waiting"),
        "{provoked:?}"
    );
    assert_eq!(provoked.len(), 1, "only the one we provoked");
    settle(&mut daemon, &ledger).await;
}
