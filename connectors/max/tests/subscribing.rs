//! Subscription of the webhook, and `check`.

use super::*;

const FOREIGN: &str = "https://somebody.example.ru/their-secret-path";

fn ours() -> String {
    format!("https://priem.example.ru/hooks/max-main/{PATH}")
}

fn webhook_mode(setup: &Planted, city: &MaxCity) -> Arc<dyn Connector> {
    setup.against(city.api_url(), by_webhook(false))
}

#[tokio::test]
async fn polling_removes_its_own_old_webhook_and_nobody_elses() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    connector.subscribe(&cx()).await.expect("no webhook, nothing to do");
    webhook_mode(&setup, &city)
        .subscribe(&cx())
        .await
        .expect("an earlier mode");
    connector.subscribe(&cx()).await.expect("our own goes");
    assert!(bot.webhook_urls().is_empty());
    bot.add_foreign_webhook(FOREIGN);
    let error = connector.subscribe(&cx()).await.expect_err("somebody's webhook");
    assert_eq!(error.kind(), "misconfigured");
    let text = error.to_string();
    assert!(
        text.contains("somebody.example.ru") && text.contains("--take-over"),
        "{text}"
    );
    assert!(!text.contains("their-secret-path"), "{text}");
    assert_eq!(bot.webhook_urls(), [FOREIGN]);
    connector
        .subscribe_stream(&cx(), "history")
        .await
        .expect("the history is nobody else's matter");
    bot.allow_take_over();
    connector.subscribe(&take_over()).await.expect("allowed to");
    assert!(bot.webhook_urls().is_empty());
    assert_eq!(city.violations(), [""; 0]);
}

#[tokio::test]
async fn our_webhook_is_subscribed_once_and_others_are_left_alone() {
    let setup = planted();
    let (city, bot) = city().await;
    bot.add_foreign_webhook(FOREIGN);
    bot.add_foreign_webhook("https://priem.example.ru/hooks/max-other/a-path-of-another-connector");
    let connector = webhook_mode(&setup, &city);
    connector.subscribe(&cx()).await.expect("free");
    assert_eq!(bot.webhook_urls().len(), 3);
    assert_eq!(bot.webhook_urls()[2], ours());
    connector.subscribe(&take_over()).await.expect("ours already");
    assert_eq!(bot.webhook_urls().len(), 3, "nobody is in our way");
    assert_eq!(bot.calls("POST /subscriptions"), 1);
    assert_eq!(city.violations(), [""; 0]);
}

#[tokio::test]
async fn an_older_path_of_ours_goes_after_the_new_one_is_there() {
    let setup = planted();
    let (city, bot) = city().await;
    webhook_mode(&setup, &city)
        .subscribe(&cx())
        .await
        .expect("the old path");
    setup.write("path", "fedcba9876543210fedcba9876543210");
    webhook_mode(&setup, &city)
        .subscribe(&cx())
        .await
        .expect("the new path");
    let urls = bot.webhook_urls();
    assert_eq!(urls.len(), 1);
    assert!(urls[0].ends_with("fedcba9876543210fedcba9876543210"));
}

#[tokio::test]
async fn a_dropped_subscription_is_renewed_and_told_as_a_gap() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = webhook_mode(&setup, &city);
    connector.subscribe(&cx()).await.expect("free");
    bot.drop_webhooks();
    let error = connector.subscribe(&cx()).await.expect_err("something was lost");
    assert_eq!(error.kind(), "gap");
    assert_eq!(bot.webhook_urls(), [ours()], "it is subscribed again all the same");
    connector.subscribe(&cx()).await.expect("all is well");
    bot.narrow_webhooks(&["bot_started"]);
    let report = connector.check(&cx()).await.expect("a report");
    assert_eq!(testing::outcomes(&report, "update_types"), ["warning"]);
    connector.subscribe(&cx()).await.expect("renewed");
    let report = connector.check(&cx()).await.expect("a report");
    assert_eq!(testing::outcomes(&report, "update_types"), [""; 0]);
}

#[tokio::test]
async fn a_refusal_that_comes_with_200_is_seen() {
    let setup = planted();
    let options = Options {
        allow_http_webhooks: false,
        ..Options::default()
    };
    let city = MaxCity::start(options).await.expect("a free port");
    city.bot(TOKEN);
    let mut settings = by_webhook(false);
    settings["api_url"] = city.api_url().into();
    let built = setup.build_at(Some("http://priem.example.ru"), settings);
    let connector = built.expect("another server");
    let error = connector.subscribe(&cx()).await.expect_err("refused");
    assert_eq!(error.kind(), "misconfigured");
    assert!(error.to_string().contains("443"), "{error}");
}

#[tokio::test]
async fn check_tells_how_max_sees_the_bot() {
    let setup = planted();
    let (city, bot) = city().await;
    bot.add_chat(-1, "chat", "Двор", &["read_all_messages", "write"]);
    bot.add_chat(-2, "channel", "Новости", &["write"]);
    bot.add_chat(-3, "chat", "Двор 2", &[]);
    bot.add_chat(-4, "chat", "Двор 3", &["read_all_messages"]);
    bot.remove_from_chat(-4);
    let chats: Vec<Value> = (1..=5).map(|id| json!({"id": -id})).collect();
    let connector = setup.against(city.api_url(), json!({"chats": chats}));
    let report = connector.check(&cx()).await.expect("a report");
    assert_eq!(testing::outcomes(&report, "token"), ["ok"]);
    assert_eq!(testing::outcomes(&report, "webhook"), ["ok"]);
    assert_eq!(testing::outcomes(&report, "mode"), ["warning"]);
    assert_eq!(
        testing::outcomes(&report, "chat"),
        ["ok", "failed", "failed", "failed", "failed"]
    );
    assert!(
        report
            .findings
            .iter()
            .all(|finding| finding.outcome == "ok" || finding.cure.is_some())
    );
    bot.add_foreign_webhook(FOREIGN);
    let report = connector.check(&cx()).await.expect("a report");
    assert_eq!(testing::outcomes(&report, "webhook"), ["failed"]);
    let hooked = webhook_mode(&setup, &city);
    let before = hooked.check(&cx()).await.expect("a report");
    assert_eq!(testing::outcomes(&before, "webhook"), ["warning", "warning"]);
    hooked.subscribe(&cx()).await.expect("subscribed");
    let after = hooked.check(&cx()).await.expect("a report");
    assert_eq!(testing::outcomes(&after, "webhook"), ["ok", "warning"]);
    for report in [&report, &before, &after] {
        testing::assert_silent(report, &[TOKEN, "their-secret-path", PATH, SECRET]);
    }
    bot.revoke(true);
    let report = connector.check(&cx()).await.expect("a report");
    assert!(report.failed());
    assert_eq!(testing::outcomes(&report, "token"), ["failed"]);
    assert_eq!(
        (bot.calls("POST /subscriptions"), bot.calls("DELETE /subscriptions")),
        (1, 0)
    );
    assert_eq!(city.violations(), [""; 0]);
}
