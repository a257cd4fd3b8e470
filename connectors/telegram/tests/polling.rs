//! Long polling against the city: nothing lost, nothing doubled, and the right decision for every kind of trouble.

use std::time::Duration;

use priem_city::{
    telegram::{Act, Expected, Fault, Life, Person},
    voices::Crowd,
};
use priem_sdk::{ConnectorError, Cursor, EventType, Wait};

use super::*;

/// Polls as the host does until the queue is empty: items and cursor are stored together.
async fn drain(connector: &Arc<dyn Connector>, bot: &Bot, journal: &mut Journal, mut cursor: Cursor) -> Cursor {
    loop {
        let page = connector.poll(&cx(), "updates", &cursor).await.expect("a page");
        for item in page.items {
            journal.take(item);
        }
        cursor = page.next;
        if bot.pending() == 0 {
            return cursor;
        }
    }
}

fn citizen(id: i64) -> Person {
    Person::new(id, "Житель")
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_doubled() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    for number in 0..450 {
        bot.send_private(&citizen(1 + number % 7), &format!("обращение {number}"));
    }
    bot.send_album(&citizen(9), "мусор", 3);
    // The answer gets lost, comes as a proxy's page, and confirmations are forgotten.
    city.fault(Fault::Duplicate { times: 3 });
    let mut journal = Journal::default();
    drain(&connector, &bot, &mut journal, Cursor::start()).await;
    assert_eq!(journal.stored.len(), 453);
    assert!(journal.quarantined.is_empty());
    assert_eq!(bot.delivered(), 453);
    let texts: HashSet<String> = journal.told(&connector).into_iter().map(|(_, text)| text).collect();
    assert!((0..450).all(|number| texts.contains(&format!("обращение {number}"))));
    assert_eq!(city.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_lively_town_is_heard_as_it_speaks() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let mut life = Life::new(bot.clone(), Crowd::new(3, 40));
    let acts: Vec<Act> = (0..1500).map(|_| life.act()).collect();
    let mut journal = Journal::default();
    drain(&connector, &bot, &mut journal, Cursor::start()).await;
    let expected = |wanted| -> usize {
        let these = acts.iter().filter(|act| act.expected == wanted);
        these.map(|act| act.updates).sum()
    };
    let (mut published, mut quarantined) = (0, 0);
    for raw in &journal.stored {
        match connector.normalize(raw) {
            Ok(messages) => published += messages.len(),
            Err(error) => {
                assert_eq!(error.reason, "unknown_content");
                quarantined += 1;
            }
        }
    }
    assert_eq!(published, expected(Expected::Published));
    assert_eq!(quarantined, expected(Expected::Quarantined));
    let all: usize = acts.iter().map(|act| act.updates).sum();
    assert_eq!(all - published - quarantined, expected(Expected::Unchanged));
}

#[tokio::test]
async fn a_crash_before_the_commit_brings_the_same_items_again() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    for number in 0..10 {
        bot.send_private(&citizen(1), &format!("{number}"));
    }
    let first = connector
        .poll(&cx(), "updates", &Cursor::start())
        .await
        .expect("a page");
    // Nothing was committed: the same cursor is used by a new instance.
    let second = setup.against(city.api_url(), json!({}));
    let again = second.poll(&cx(), "updates", &Cursor::start()).await.expect("a page");
    assert_eq!(first.items, again.items);
    assert_eq!(first.next, again.next);
    assert_eq!(bot.pending(), 10, "returning updates confirms nothing");
}

#[tokio::test]
async fn edits_are_revisions_and_touches_are_not() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let sent = bot.send_private(&citizen(1), "А");
    bot.touch(&sent);
    let edited = bot.edit(&sent, "Б");
    bot.touch(&edited);
    city.advance(Duration::from_secs(60));
    bot.edit(&sent, "А");
    let mut journal = Journal::default();
    drain(&connector, &bot, &mut journal, Cursor::start()).await;
    assert_eq!(
        journal.told(&connector),
        [
            (EventType::Received, "А".to_owned()),
            (EventType::Updated, "Б".to_owned()),
            (EventType::Updated, "А".to_owned()),
        ]
    );
}

#[tokio::test]
async fn update_ids_may_start_again_lower() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let mut journal = Journal::default();
    bot.send_private(&citizen(1), "до");
    let cursor = drain(&connector, &bot, &mut journal, Cursor::start()).await;
    bot.restart_ids(50);
    bot.send_private(&citizen(1), "после");
    bot.send_private(&citizen(1), "и ещё");
    let cursor = drain(&connector, &bot, &mut journal, cursor).await;
    assert_eq!(cursor.0, "52");
    bot.restart_ids(9_000_000);
    bot.send_private(&citizen(1), "выше");
    let cursor = drain(&connector, &bot, &mut journal, cursor).await;
    assert_eq!(cursor.0, "9000001");
    assert_eq!(journal.stored.len(), 4);
}

#[tokio::test]
async fn a_strange_update_spoils_nothing_around_it() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    bot.push_raw("{\"update_id\":100001,\"message\":{\"message_id\":\"семь\"}}");
    bot.push_raw("{\"no_id\":true}");
    bot.push_raw("17");
    bot.send_private(&citizen(1), "обычное");
    let mut journal = Journal::default();
    drain(&connector, &bot, &mut journal, Cursor::start()).await;
    assert_eq!(journal.quarantined.len(), 3);
    assert_eq!(journal.told(&connector), [(EventType::Received, "обычное".to_owned())]);
}

#[tokio::test]
async fn a_batch_without_a_single_id_is_no_busy_loop() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    bot.push_raw("{\"no_id\":true}");
    let page = connector
        .poll(&cx(), "updates", &Cursor("5".into()))
        .await
        .expect("a page");
    assert_eq!(page.next.0, "6", "it has some id, so number 5 is behind us");
    assert!(matches!(page.wait, Wait::For(_)));
}

#[tokio::test]
async fn an_empty_answer_keeps_the_cursor() {
    let setup = planted();
    let (city, _bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let page = connector
        .poll(&cx(), "updates", &Cursor("77".into()))
        .await
        .expect("a page");
    assert!(page.items.is_empty());
    assert_eq!(page.next.0, "77");
    assert_eq!(page.wait, Wait::Now);
}

#[tokio::test]
async fn a_long_poll_answers_as_soon_as_something_comes() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({"poll": {"timeout_s": 50}}));
    let poll = tokio::spawn(async move { connector.poll(&cx(), "updates", &Cursor::start()).await });
    bot.wait_until(Bot::is_polled).await;
    bot.send_private(&citizen(1), "дождались");
    let page = poll.await.expect("no panic").expect("a page");
    assert_eq!(page.items.len(), 1);
    assert_eq!(bot.allowed_updates().map(|kinds| kinds.len()), Some(9));
}

async fn trouble(fault: Fault) -> ConnectorError {
    let setup = planted();
    let (city, bot) = city().await;
    bot.send_private(&citizen(1), "x");
    city.fault(fault);
    let connector = setup.against(city.api_url(), json!({}));
    let error = connector
        .poll(&cx(), "updates", &Cursor::start())
        .await
        .expect_err("trouble");
    assert!(
        !error.to_string().contains(TOKEN) && !format!("{error:?}").contains("AAtest"),
        "{error:?}"
    );
    assert_eq!(bot.pending(), 1, "nothing is confirmed by trouble");
    let page = connector
        .poll(&cx(), "updates", &Cursor::start())
        .await
        .expect("the trouble is over");
    assert_eq!(page.items.len(), 1);
    error
}

#[tokio::test]
async fn trouble_becomes_the_right_decision() {
    for fault in [
        Fault::Html502 { times: 1 },
        Fault::Html200 { times: 1 },
        Fault::ServerError { times: 1 },
        Fault::CutConnection { times: 1 },
    ] {
        let error = trouble(fault).await;
        assert_eq!(error.kind(), "transient", "{fault:?}: {error}");
    }
    for fault in [
        Fault::RateLimit {
            times: 1,
            retry_after: 17,
        },
        Fault::RateLimitHeader {
            times: 1,
            retry_after: 17,
        },
    ] {
        match trouble(fault).await {
            ConnectorError::RateLimited { retry_after } => assert_eq!(retry_after, Duration::from_secs(17)),
            other => panic!("{fault:?}: {other}"),
        }
    }
}

#[tokio::test]
async fn a_revoked_or_unknown_token_stops_the_connector() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    bot.revoke(true);
    let error = connector
        .poll(&cx(), "updates", &Cursor::start())
        .await
        .expect_err("revoked");
    assert_eq!(error.kind(), "auth_rejected", "{error}");
    setup.write("token", "999:BBotherotherotherotherotherotherother");
    let connector = setup.against(city.api_url(), json!({}));
    let error = connector
        .poll(&cx(), "updates", &Cursor::start())
        .await
        .expect_err("unknown");
    assert_eq!(error.kind(), "auth_rejected", "{error}");
}

#[tokio::test]
async fn conflicts_are_told_apart() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({"poll": {"timeout_s": 50}}));
    let other = setup.against(city.api_url(), json!({}));
    let first = tokio::spawn(async move { connector.poll(&cx(), "updates", &Cursor::start()).await });
    bot.wait_until(Bot::is_polled).await;
    other
        .poll(&cx(), "updates", &Cursor::start())
        .await
        .expect("the second poller wins");
    let error = first.await.expect("no panic").expect_err("ended by the other");
    assert_eq!(error.kind(), "transient", "{error}");
    assert!(error.to_string().contains("second instance"), "{error}");
    bot.set_foreign_webhook("https://somebody.example.ru/secret-path");
    let error = other
        .poll(&cx(), "updates", &Cursor::start())
        .await
        .expect_err("a webhook is set");
    assert_eq!(error.kind(), "misconfigured", "{error}");
    assert!(error.to_string().contains("--take-over"), "{error}");
}

#[tokio::test]
async fn a_cursor_that_is_no_offset_is_reported() {
    let setup = planted();
    let (city, _bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    for text in ["abc", "-5"] {
        let error = connector
            .poll(&cx(), "updates", &Cursor(text.into()))
            .await
            .expect_err("no offset");
        assert_eq!(error.kind(), "misconfigured", "{error}");
    }
    assert_eq!(city.violations(), Vec::<String>::new());
}
