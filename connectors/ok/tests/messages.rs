//! The history of private messages: nothing lost, nothing doubled, whatever lies between two looks.

use priem_city::ok::Trouble;

use super::*;

#[tokio::test]
async fn every_message_of_every_chat_comes_once_and_in_order() {
    let setup = planted();
    let (city, group, _) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let mut journal = Journal::default();
    // More chats than a page of chats, one chat with more messages than a page of messages.
    for person in 0..130 {
        group.write(1000 + person, "Житель", "здравствуйте");
    }
    for number in 0..250 {
        group.write(7, "Оля", &format!("письмо {number}"));
    }
    group.answer(7, "Приняли");
    let cursor = round(&connector, MESSAGES, &mut journal, Cursor::start())
        .await
        .expect("a round");
    assert_heard(&city, GROUP, &journal.published(&connector), true);
    for number in 0..30 {
        group.write(number % 5, "Житель", &format!("ещё {number}"));
    }
    let cursor = round(&connector, MESSAGES, &mut journal, cursor)
        .await
        .expect("a round");
    assert_heard(&city, GROUP, &journal.published(&connector), true);

    // Quiet: one call, and a cursor that does not move.
    let before = city.calls("graph/messages");
    let page = connector.poll(&cx(), MESSAGES, &cursor).await.expect("a page");
    assert_eq!((page.items.len(), &page.next), (0, &cursor));
    assert_eq!(city.calls("graph/messages"), before);
    assert_eq!(city.violations(), [""; 0]);
}

#[tokio::test]
async fn messages_of_one_millisecond_across_the_border_of_pages_are_not_lost() {
    let setup = planted();
    // A second of an hour: everything written now has one timestamp.
    let (city, group, _) = city_with(Options {
        second: Duration::from_secs(3600),
        ..Options::default()
    })
    .await;
    let connector = setup.against(city.api_url(), json!({}));
    let mut journal = Journal::default();
    for number in 0..80 {
        group.write(7, "Оля", &format!("раньше {number}"));
    }
    city.advance(Duration::from_secs(1));
    for number in 0..80 {
        group.write(7, "Оля", &format!("позже {number}"));
    }
    round(&connector, MESSAGES, &mut journal, Cursor::start())
        .await
        .expect("a round");
    assert_heard(&city, GROUP, &journal.published(&connector), true);
}

#[tokio::test]
async fn a_delivery_and_its_copy_in_the_history_are_one_message() {
    let setup = planted();
    let (city, group, _) = city().await;
    let connector = setup.against(city.api_url(), by_webhook());
    let mut journal = Journal::default();
    group.write(7, "Оля", "здравствуйте");
    let cursor = round(&connector, MESSAGES, &mut journal, Cursor::start())
        .await
        .expect("a round");
    let stored = journal.stored.remove(0);
    let mut thin: Value = serde_json::from_slice(&stored.body).expect("JSON");
    thin["sender"].as_object_mut().expect("a sender").remove("name");
    thin["webhookType"] = "MESSAGE_CREATED".into();
    for item in connector
        .receive(&prove(thin.to_string().into()))
        .expect("proven")
        .items
    {
        assert_eq!(item.external_id, stored.external_id);
        journal.take(item);
    }
    round(&connector, MESSAGES, &mut journal, cursor)
        .await
        .expect("a round");
    assert_eq!(journal.stored.len(), 0, "nothing new by the second way");
}

#[tokio::test]
async fn a_crash_before_the_commit_brings_the_same_items_again() {
    let setup = planted();
    let (city, group, _) = city().await;
    for person in 0..20 {
        group.write(person, "Житель", "здравствуйте");
    }
    let listed = setup
        .against(city.api_url(), json!({}))
        .poll(&cx(), MESSAGES, &Cursor::start())
        .await
        .expect("a page");
    let first = setup
        .against(city.api_url(), json!({}))
        .poll(&cx(), MESSAGES, &listed.next)
        .await;
    let again = setup
        .against(city.api_url(), json!({}))
        .poll(&cx(), MESSAGES, &listed.next)
        .await;
    let (first, again) = (first.expect("a page"), again.expect("a page"));
    assert_eq!(first, again);
    assert!(!first.items.is_empty());
}

#[tokio::test]
async fn trouble_in_the_middle_costs_nothing_that_was_read() {
    let setup = planted();
    let (city, group, _) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let mut journal = Journal::default();
    for person in 0..6 {
        group.write(person, "Житель", "здравствуйте");
    }
    let listed = connector.poll(&cx(), MESSAGES, &Cursor::start()).await.expect("a page");
    // Two calls for each chat: its messages, and that there is nothing before them.
    city.fault(Trouble::Slow(0), 6);
    city.fault(Trouble::Code(2), 2);
    let page = connector
        .poll(&cx(), MESSAGES, &listed.next)
        .await
        .expect("three chats");
    assert_eq!(page.items.len(), 3);
    page.items.into_iter().for_each(|item| journal.take(item));
    let error = connector.poll(&cx(), MESSAGES, &page.next).await.expect_err("trouble");
    assert_eq!(error.kind(), "transient");
    round(&connector, MESSAGES, &mut journal, page.next)
        .await
        .expect("a round");
    assert_heard(&city, GROUP, &journal.published(&connector), true);
}

#[tokio::test]
async fn half_a_day_of_silence_is_caught_up_with() {
    let setup = planted();
    let (city, group, other) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let (mut journal, mut second) = (Journal::default(), Journal::default());
    group.write(1, "Оля", "до");
    let cursor = round(&connector, MESSAGES, &mut journal, Cursor::start())
        .await
        .expect("a round");
    let streams = ["history/57000000000002", "discussions/57000000000002"];
    let elsewhere = round(&connector, streams[0], &mut second, Cursor::start())
        .await
        .expect("a round");
    city.outage(true);
    for hour in 0..12 {
        for person in 0..15 {
            group.write(person, "Житель", &format!("час {hour}"));
        }
        other.write(hour, "Сосед", "и у нас");
        city.advance(Duration::from_secs(3600));
        let error = connector.poll(&cx(), MESSAGES, &cursor).await.expect_err("down");
        assert_eq!(error.kind(), "transient", "{error}");
    }
    city.outage(false);
    round(&connector, MESSAGES, &mut journal, cursor)
        .await
        .expect("a round");
    round(&connector, streams[0], &mut second, elsewhere)
        .await
        .expect("a round");
    assert_heard(&city, GROUP, &journal.published(&connector), true);
    assert_heard(&city, OTHER, &second.published(&connector), true);
    assert_eq!(city.violations(), [""; 0]);
}
