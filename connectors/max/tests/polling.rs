//! Long polling against the city: nothing lost, nothing doubled, and the right decision for every kind of trouble.

use priem_city::max::Fault;
use priem_sdk::{ConnectorError, Wait};

use super::*;

async fn poll(connector: &Arc<dyn Connector>, cursor: &Cursor) -> Result<Page, ConnectorError> {
    connector.poll(&cx(), "updates", cursor).await
}

/// Polls as the host does until the queue is empty: items and cursor are stored together.
async fn drain(connector: &Arc<dyn Connector>, bot: &Bot, journal: &mut Journal, mut cursor: Cursor) -> Cursor {
    loop {
        let page = poll(connector, &cursor).await.expect("a page");
        page.items.into_iter().for_each(|item| journal.take(item));
        cursor = page.next;
        if bot.pending() == 0 {
            return cursor;
        }
    }
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_doubled() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let mut journal = Journal::default();
    let start = drain(&connector, &bot, &mut journal, Cursor::start()).await;
    assert_eq!(start.0, "0", "the first marker is zero, and it counts");
    for number in 0..450 {
        bot.write(&citizen(1 + number % 7), &Place::Dialog, &format!("обращение {number}"));
    }
    city.fault(Fault::Duplicate { times: 2 });
    city.fault(Fault::NullMarker { times: 1 });
    drain(&connector, &bot, &mut journal, start).await;
    assert_eq!(journal.stored.len(), 450);
    assert!(journal.quarantined.is_empty());
    let words: HashSet<String> = journal.told(&connector).into_iter().map(|(_, text)| text).collect();
    assert!((0..450).all(|number| words.contains(&format!("обращение {number}"))));
    assert_eq!(city.violations(), [""; 0]);
}

#[tokio::test]
async fn an_answer_without_updates_keeps_or_moves_the_marker_and_null_keeps_it() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({"poll": {"timeout_s": 0, "least_pause_ms": 0}}));
    bot.write(&citizen(1), &Place::Dialog, "раз");
    let page = poll(&connector, &Cursor("0".into())).await.expect("a page");
    assert_eq!((page.items.len(), page.next.0.as_str()), (1, "1"));
    assert_eq!(bot.pending(), 1, "given out, not acknowledged");
    let page = poll(&connector, &page.next).await.expect("a page");
    assert_eq!((page.items.len(), page.next.0.as_str(), bot.pending()), (0, "1", 0));
    city.fault(Fault::NullMarker { times: 1 });
    let page = poll(&connector, &page.next).await.expect("a page");
    assert_eq!((page.items.len(), page.next.0.as_str()), (0, "1"));
}

#[tokio::test]
async fn a_crash_before_the_commit_brings_the_same_again() {
    let setup = planted();
    let (city, bot) = city().await;
    let mut journal = Journal::default();
    let connector = setup.against(city.api_url(), json!({}));
    let start = poll(&connector, &Cursor::start()).await.expect("a page").next;
    for number in 0..30 {
        bot.write(&citizen(1), &Place::Dialog, &number.to_string());
    }
    let lost = poll(&connector, &start).await.expect("a page");
    let again = setup.against(city.api_url(), json!({}));
    let page = poll(&again, &start).await.expect("a page");
    assert_eq!(page.items, lost.items);
    page.items.into_iter().for_each(|item| journal.take(item));
    drain(&again, &bot, &mut journal, page.next).await;
    assert_eq!(journal.stored.len(), 30);
}

#[tokio::test]
async fn edits_removals_comments_answers_and_forwards_are_told_apart() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let group = Place::Group(GROUP);
    let mut journal = Journal::default();
    let start = drain(&connector, &bot, &mut journal, Cursor::start()).await;
    let first = bot.write(&citizen(1), &group, "яма");
    let answer = bot.answer(&citizen(2), &group, &first, "и у нас");
    bot.edit(&first, "ямы");
    bot.edit(&first, "ямы");
    bot.remove(&answer);
    let post = bot.write(&citizen(3), &Place::Channel(-8), "пост");
    let comment = Place::Comment {
        channel: -8,
        post: post.mid.clone(),
    };
    bot.write(&citizen(2), &comment, "неправда");
    bot.forward(&citizen(1), &Place::Dialog, &post);
    bot.write_photo(&citizen(1), &Place::Dialog, "", "https://i.oneme.ru/i?r=1");
    drain(&connector, &bot, &mut journal, start).await;
    let all: Vec<priem_sdk::Message> = journal
        .stored
        .iter()
        .flat_map(|raw| connector.normalize(raw).expect("known kinds"))
        .collect();
    let seen: Vec<(EventType, &str, &str)> = all
        .iter()
        .map(|one| {
            (
                one.event,
                one.data.subchannel.as_deref().unwrap_or_default(),
                one.data.body.text.as_str(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (EventType::Received, "group", "яма"),
            (EventType::Received, "group", "и у нас"),
            (EventType::Updated, "group", "ямы"),
            (EventType::Deleted, "", ""),
            (EventType::Received, "channel", "пост"),
            (EventType::Received, "discussion", "неправда"),
            (EventType::Received, "private", "пост"),
            (EventType::Received, "private", ""),
        ],
        "the edit that changes nothing is dropped"
    );
    assert_eq!(all[1].data.external.parent, Some(first.mid.clone()));
    assert_eq!(all[3].data.external.id, answer.mid);
    assert_eq!(all[5].data.external.thread, Some(post.mid));
    assert!(all[6].data.flags.forwarded);
    assert!(
        all[4]
            .data
            .external
            .url
            .as_deref()
            .is_some_and(|url| url.starts_with("https://max.ru/"))
    );
    assert_eq!(city.violations(), [""; 0]);
}

#[tokio::test]
async fn every_trouble_has_its_decision() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let cursor = Cursor("0".into());
    for (fault, kind) in [
        (
            Fault::RateLimit {
                times: 1,
                retry_after: Some(7),
            },
            "rate_limited",
        ),
        (
            Fault::RateLimit {
                times: 1,
                retry_after: None,
            },
            "rate_limited",
        ),
        (Fault::Html502 { times: 1 }, "transient"),
        (Fault::Html200 { times: 1 }, "transient"),
        (Fault::ServerError { times: 1 }, "transient"),
        (Fault::CutConnection { times: 1 }, "transient"),
    ] {
        city.fault(fault);
        let error = poll(&connector, &cursor).await.expect_err("trouble");
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
        if let (
            ConnectorError::RateLimited { retry_after },
            Fault::RateLimit {
                retry_after: Some(named),
                ..
            },
        ) = (&error, fault)
        {
            assert_eq!(retry_after.as_secs(), named);
        }
        assert!(!format!("{error} {error:?}").contains(TOKEN));
    }
    bot.revoke(true);
    let error = poll(&connector, &cursor).await.expect_err("revoked");
    assert_eq!(error.kind(), "auth_rejected");
    bot.revoke(false);
    let error = poll(&connector, &Cursor("x".into())).await.expect_err("no marker");
    assert_eq!(error.kind(), "misconfigured");
    bot.write(&citizen(1), &Place::Dialog, "всё ещё здесь");
    assert_eq!(poll(&connector, &cursor).await.expect("a page").items.len(), 1);
}

#[tokio::test]
async fn strange_updates_are_acknowledged_and_kept() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let mut journal = Journal::default();
    bot.push(&json!({"chat_id": 1, "story": {"text": "слова"}, "timestamp": 1, "update_type": "story_created"}));
    bot.push(&json!({"message": {"recipient": 7}, "timestamp": 1, "update_type": "message_created"}));
    bot.push(&json!(17));
    bot.write(&citizen(1), &Place::Dialog, "обычное");
    drain(&connector, &bot, &mut journal, Cursor("0".into())).await;
    assert_eq!((journal.stored.len(), journal.quarantined.len()), (2, 2));
    let error = connector.normalize(&journal.stored[0]).expect_err("unknown");
    assert_eq!(
        (error.reason, error.why.contains("story_created")),
        ("unknown_kind", true)
    );
}

#[tokio::test]
async fn a_webhook_that_appears_is_noticed_although_the_server_says_nothing() {
    let setup = planted();
    let options = Options {
        second: Duration::from_millis(10),
        silent_polls_beside_webhook: true,
        ..Options::default()
    };
    let city = MaxCity::start(options).await.expect("a free port");
    let bot = city.bot(TOKEN);
    bot.add_foreign_webhook("https://somebody.example.ru/their-secret-path");
    let connector = setup.against(city.api_url(), json!({}));
    let error = poll(&connector, &Cursor("0".into())).await.expect_err("deaf");
    assert_eq!(error.kind(), "misconfigured");
    let text = error.to_string();
    assert!(
        text.contains("somebody.example.ru") && !text.contains("their-secret"),
        "{text}"
    );
}

#[tokio::test]
async fn polls_keep_their_distance() {
    let setup = planted();
    let city = MaxCity::start(Options::default()).await.expect("a free port");
    let bot = city.bot(TOKEN);
    for number in 0..5 {
        bot.write(&citizen(1), &Place::Dialog, &number.to_string());
    }
    let connector = setup.against(city.api_url(), json!({"poll": {"timeout_s": 0, "limit": 1}}));
    let mut cursor = Cursor("0".into());
    for _ in 0..5 {
        let page = poll(&connector, &cursor).await.expect("a page");
        cursor = page.next;
        let Wait::For(pause) = page.wait else {
            panic!("a pause is asked for");
        };
        assert!(pause > Duration::from_millis(400), "{pause:?}");
        tokio::time::sleep(pause).await;
    }
    assert_eq!(city.violations(), [""; 0]);
}

#[tokio::test]
async fn titles_of_groups_and_channels_are_looked_up_once() {
    let setup = planted();
    let (city, bot) = city().await;
    bot.add_chat(GROUP, "chat", "Соседи", &["read_all_messages"]);
    bot.add_chat(-8, "channel", "Новости района", &["read_all_messages"]);
    let connector = setup.against(city.api_url(), json!({}));
    for place in [
        Place::Group(GROUP),
        Place::Channel(-8),
        Place::Channel(-9),
        Place::Dialog,
    ] {
        for text in ["раз", "два"] {
            bot.write(&citizen(1), &place, text);
        }
    }
    let page = poll(&connector, &Cursor("0".into())).await.expect("a page");
    let mut messages: Vec<priem_sdk::Message> = page
        .items
        .into_iter()
        .flat_map(|item| connector.normalize(&raw(item)).expect("known kinds"))
        .collect();
    assert!(connector.enriches());
    connector.enrich(&cx(), &mut messages).await;
    let seen: Vec<(Option<&str>, Option<&str>)> = messages
        .iter()
        .step_by(2)
        .map(|message| {
            let title = message.data.extra.get("chat_title").and_then(Value::as_str);
            (title, message.data.author.name.as_deref())
        })
        .collect();
    assert_eq!(
        seen,
        [
            (Some("Соседи"), Some("Житель")),
            (Some("Новости района"), Some("Новости района")),
            (None, None),
            (None, Some("Житель")),
        ]
    );
    assert_eq!(bot.calls("GET /chats/{}"), 3, "once for each chat, the unknown one too");
    assert_eq!(city.violations(), [""; 0]);
}
