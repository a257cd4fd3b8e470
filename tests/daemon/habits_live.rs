//! Bad habits of platforms and of what stands before them, seen through the daemon: damage in an update, a sound repetition
//! of it, a bot put out of a chat, deliveries that are refused, a smaller server. Nothing is held up by it, and it is said.

use priem_city::telegram::TelegramCity;
use serde_json::{Value, json};

use crate::support::{
    self, Installation,
    flow::{self, HOOK_PATH, HOOK_SECRET, HOOK_TOKEN, POLL_TOKEN},
    http, until,
};

/// A daemon with a bot by webhook and one by polling.
fn install(city: &TelegramCity) -> Installation {
    let api = city.api_url();
    flow::install(&(flow::settings(None) + &flow::hook(&api) + &flow::poll(&api)))
}

fn words(update_id: i64, message_id: i64, text: &str) -> String {
    let message = json!({"message_id": message_id, "date": 1_700_000_000, "text": text,
        "chat": {"id": 7, "type": "private", "first_name": "А"}, "from": {"id": 7, "is_bot": false, "first_name": "А"}});
    json!({"update_id": update_id, "message": message}).to_string()
}

/// The same with a byte that is no UTF-8 in the text.
fn damaged(update_id: i64, message_id: i64) -> Vec<u8> {
    let text = words(update_id, message_id, "@");
    let (before, after) = text.split_once('@').expect("the mark");
    [before.as_bytes(), b"\xD0\xAF\xD0", after.as_bytes()].concat()
}

async fn degraded(daemon: &Installation) -> Vec<(String, String)> {
    let (_, body) = daemon.get("/health/ready").await.expect("an answer");
    let report: Value = serde_json::from_str(&body).expect("JSON");
    let list = report["degraded"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    list.map(|finding| (text(&finding["condition"]), text(&finding["why"])))
        .collect()
}

fn published(daemon: &Installation) -> Vec<String> {
    let lines = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).unwrap_or_default();
    lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["data"]["body"]["text"].to_string())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_update_holds_no_other_and_gives_way_to_its_sound_repetition() {
    let city = flow::telegram().await;
    let poll = city.bot(POLL_TOKEN);
    poll.lack("getWebhookInfo", 500);
    poll.restart_ids(1);
    poll.push_raw(words(1, 1, "Нет воды"));
    poll.push_raw(damaged(2, 2));
    poll.push_raw(words(3, 3, "Яма у школы"));
    let mut daemon = install(&city);
    daemon.start().await;
    until("the sound ones are published", async || published(&daemon).len() == 2).await;
    assert_eq!(published(&daemon), ["\"Нет воды\"", "\"Яма у школы\""]);
    daemon
        .metric_reaches(
            "priem_quarantined_items_total",
            "connector=\"poll\",reason=\"not_utf8\"",
            1.0,
        )
        .await;
    until("nothing waits at the server", async || poll.pending() == 0).await;

    poll.push_raw(words(4, 2, "Ям много"));
    until("the repetition is published", async || published(&daemon).len() == 3).await;
    assert_eq!(published(&daemon)[2], "\"Ям много\"");
    assert_eq!(daemon.stats()["held"].as_i64().unwrap_or(0), 0, "{}", daemon.stats());
    let held = daemon.priem(&["quarantine", "list"]);
    assert!(support::text(&held).contains("nothing is on hold"));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_heard_and_what_is_refused_is_said() {
    let city = flow::telegram().await;
    let hook = city.bot(HOOK_TOKEN);
    let mut daemon = install(&city);
    daemon.start().await;
    until("the webhook is registered", async || hook.webhook_url().is_some()).await;

    let member = |status: &str| {
        let chat = json!({"id": -1_001_500, "type": "supergroup", "title": "Двор"});
        let change = json!({"chat": chat, "date": 1, "old_chat_member": {"status": "administrator"},
            "new_chat_member": {"status": status}});
        json!({"update_id": 9, "my_chat_member": change}).to_string()
    };
    hook.push_raw(member("kicked"));
    until("health names the chat", async || {
        let found = degraded(&daemon).await;
        found
            .iter()
            .any(|(name, why)| name == "not heard hook" && why.contains("«Двор»"))
    })
    .await;
    assert!(daemon.log().contains("a part of the source is not heard any more"));
    let unheard = "connector=\"hook\"";
    daemon.metric_reaches("priem_unheard_chats", unheard, 1.0).await;
    // The platform said it once: whoever starts anew must know it.
    daemon.kill();
    daemon.start().await;
    assert_eq!(daemon.metric("priem_unheard_chats", unheard).await, 1.0);
    let found = degraded(&daemon).await;
    assert!(
        found
            .iter()
            .any(|(name, why)| name == "not heard hook" && why.contains("«Двор»")),
        "{found:?}"
    );
    hook.push_raw(member("administrator"));
    until("it is over", async || {
        degraded(&daemon).await.iter().all(|(name, _)| name != "not heard hook")
    })
    .await;
    until("it is counted no more", async || {
        daemon.metric("priem_unheard_chats", unheard).await == 0.0
    })
    .await;

    let post = async |path: &str, secret: &'static str| {
        let url = format!("http://127.0.0.1:{}/hooks/hook/{path}", daemon.hooks);
        let request = http().post(url).header("x-telegram-bot-api-secret-token", secret);
        let answer = request.body(words(20, 20, "яма")).send().await;
        answer.expect("an answer").status().as_u16()
    };
    assert_eq!(post("wrong-path", HOOK_SECRET).await, 403);
    assert_eq!(post(HOOK_PATH, "wrong-secret").await, 403);
    for reason in ["path", "secret"] {
        let labels = format!("connector=\"hook\",reason=\"{reason}\"");
        daemon
            .metric_reaches("priem_refused_requests_total", &labels, 1.0)
            .await;
        assert!(
            daemon.log().contains(&format!("\"reason\":\"{reason}\"")),
            "{}",
            daemon.log()
        );
    }
    let found = degraded(&daemon).await;
    assert!(
        found
            .iter()
            .any(|(name, why)| name == "refused hook" && why.starts_with("refused")),
        "{found:?}"
    );
    assert_eq!(post(HOOK_PATH, HOOK_SECRET).await, 200);
    assert!(degraded(&daemon).await.iter().all(|(name, _)| name != "refused hook"));
    daemon.stop().await;
}
