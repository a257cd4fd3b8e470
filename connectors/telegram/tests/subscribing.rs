//! Registration of the webhook, `check`, and deliveries of the city to a small listener.

use std::net::SocketAddr;

use parking_lot::Mutex;
use priem_city::telegram::{Fault, Person};
use priem_sdk::{HookRequest, conformance::Planted};

use super::*;

const FOREIGN: &str = "https://somebody.example.ru/their-secret-path";

fn take_over() -> Cx {
    testing::taking_over(cx())
}

fn webhook_mode(setup: &Planted, city: &TelegramCity) -> Arc<dyn Connector> {
    setup.against(city.api_url(), by_webhook())
}

#[tokio::test]
async fn polling_never_removes_somebodys_webhook_by_itself() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    connector.subscribe(&cx()).await.expect("no webhook, nothing to do");
    bot.set_foreign_webhook(FOREIGN);
    let error = connector.subscribe(&cx()).await.expect_err("somebody's webhook");
    assert_eq!(error.kind(), "misconfigured");
    let text = error.to_string();
    assert!(
        text.contains("somebody.example.ru") && text.contains("--take-over"),
        "{text}"
    );
    assert!(!text.contains("their-secret-path"), "{text}");
    assert_eq!(bot.webhook_url().as_deref(), Some(FOREIGN));
    bot.push(json!({"message": {"message_id": 1, "chat": {"id": 1}}}));
    connector.subscribe(&take_over()).await.expect("allowed to");
    assert_eq!(bot.webhook_url(), None);
    assert_eq!(bot.pending(), 1, "what waits is not dropped");
    assert_eq!(city.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_webhook_is_registered_unless_it_is_somebodys() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = webhook_mode(&setup, &city);
    let ours = format!("https://priem.example.ru/hooks/telegram-main/{PATH}");
    connector.subscribe(&cx()).await.expect("free");
    assert_eq!(bot.webhook_url(), Some(ours.clone()));
    connector.subscribe(&cx()).await.expect("ours already");
    bot.set_foreign_webhook("https://priem.example.ru/hooks/telegram-main/an-older-path-secret");
    connector.subscribe(&cx()).await.expect("ours with an older path");
    assert_eq!(bot.webhook_url(), Some(ours.clone()));
    bot.set_foreign_webhook(FOREIGN);
    assert_eq!(
        connector.subscribe(&cx()).await.expect_err("somebody's").kind(),
        "misconfigured"
    );
    assert_eq!(bot.webhook_url().as_deref(), Some(FOREIGN));
    connector.subscribe(&take_over()).await.expect("allowed to");
    assert_eq!(bot.webhook_url(), Some(ours));
    assert_eq!(city.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn check_tells_how_telegram_sees_the_bot() {
    let setup = planted();
    let (city, bot) = city().await;
    for (id, kind, status) in [
        (-1001, "supergroup", "administrator"),
        (-1002, "supergroup", "member"),
        (-1003, "channel", "member"),
        (-1004, "supergroup", "left"),
        (-1005, "supergroup", "kicked"),
    ] {
        bot.add_chat(json!({"id": id, "type": kind, "title": "Чат"}), status);
    }
    bot.migrate_chat(-7, -1007);
    let ids = [-1001, -1002, -1003, -1004, -1005, -1006, -7];
    let chats: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
    let connector = setup.against(city.api_url(), json!({"chats": chats}));
    let report = connector.check(&cx()).await.expect("a report");
    assert_eq!(testing::outcomes(&report, "token"), ["ok"]);
    assert_eq!(testing::outcomes(&report, "privacy"), ["ok"]);
    assert_eq!(testing::outcomes(&report, "webhook"), ["ok"]);
    assert_eq!(
        testing::outcomes(&report, "chat"),
        ["ok", "ok", "failed", "failed", "failed", "failed", "failed"]
    );
    let moved = report.findings.last().expect("the last chat");
    assert!(
        moved.cure.as_ref().is_some_and(|cure| cure.contains("id: -1007")),
        "{moved:?}"
    );
    bot.set_privacy(true);
    bot.set_foreign_webhook(FOREIGN);
    let report = connector.check(&cx()).await.expect("a report");
    assert_eq!(testing::outcomes(&report, "privacy"), ["warning"]);
    assert_eq!(testing::outcomes(&report, "webhook"), ["failed"]);
    testing::assert_silent(&report, &[TOKEN, PATH, "their-secret-path"]);
    assert_eq!(bot.webhook_url().as_deref(), Some(FOREIGN), "check changes nothing");
    bot.revoke(true);
    let report = connector.check(&cx()).await.expect("a report");
    assert!(report.failed());
    assert_eq!(
        bot.calls("setWebhook") + bot.calls("deleteWebhook") + bot.calls("getUpdates"),
        0
    );
}

/// A listener that does what the host does: asks the connector, stores, answers.
async fn listen(connector: Arc<dyn Connector>, journal: Arc<Mutex<Journal>>, refusals: u32) -> SocketAddr {
    let left = Arc::new(Mutex::new(refusals));
    let router = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let (connector, journal, left) = (Arc::clone(&connector), Arc::clone(&journal), Arc::clone(&left));
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
            let path = parts
                .uri
                .path()
                .strip_prefix("/hooks/telegram-main/")
                .unwrap_or_default();
            let mut hook = HookRequest::post(path, body);
            hook.headers = parts.headers;
            {
                let mut left = left.lock();
                if *left > 0 {
                    *left -= 1;
                    return (http::StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")]);
                }
            }
            match connector.receive(&hook) {
                Ok(receipt) => {
                    let mut journal = journal.lock();
                    receipt.items.into_iter().for_each(|item| journal.take(item));
                    (http::StatusCode::OK, [("x-none", "")])
                }
                Err(refusal) => {
                    let status = http::StatusCode::from_u16(refusal.status()).expect("a status");
                    (status, [("x-none", "")])
                }
            }
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
    address
}

#[tokio::test]
async fn deliveries_with_retries_and_doubles_are_stored_once() {
    let setup = planted();
    let (city, bot) = city().await;
    let mut settings = by_webhook();
    settings["webhook"]["source_networks"] = json!([]);
    settings["api_url"] = city.api_url().into();
    let journal = Arc::new(Mutex::new(Journal::default()));
    let address = listen(setup.connector(settings.clone()), Arc::clone(&journal), 7).await;
    let built = setup.build_at(Some(&format!("http://{address}")), settings);
    let connector = built.expect("settings fit");
    for number in 0..40 {
        bot.send_private(&Person::new(1 + number % 5, "Житель"), &format!("до {number}"));
    }
    connector.subscribe(&cx()).await.expect("registered");
    city.fault(Fault::Duplicate { times: 5 });
    for number in 0..200 {
        bot.send_private(&Person::new(1 + number % 5, "Житель"), &format!("после {number}"));
    }
    bot.wait_until(|bot| bot.pending() == 0).await;
    assert_eq!(bot.delivered(), 240);
    let stored = std::mem::take(&mut journal.lock().stored);
    assert_eq!(stored.len(), 240);
    // Inside a chat the order holds.
    for chat in 1..=5 {
        let prefix = format!("{chat}:");
        let ids: Vec<i64> = stored
            .iter()
            .filter_map(|raw| raw.external_id.strip_prefix(&prefix)?.parse().ok())
            .collect();
        assert!(ids.is_sorted(), "{ids:?}");
    }
    let report = connector.check(&cx()).await.expect("a report");
    assert_eq!(testing::outcomes(&report, "webhook"), ["ok"]);
    assert_eq!(
        testing::outcomes(&report, "last_error"),
        ["warning"],
        "the refusals were seen"
    );
    assert_eq!(city.violations(), Vec::<String>::new());
}
