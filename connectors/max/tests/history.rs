//! The history: what was not delivered is found, once, in order, and whatever the size of the hole.

use priem_sdk::Wait;

use super::*;

/// Reads until the connector is content, as the host does.
async fn read(connector: &Arc<dyn Connector>, journal: &mut Journal, mut cursor: Cursor) -> Cursor {
    loop {
        let page = connector.poll(&cx(), "history", &cursor).await.expect("a page");
        page.items.into_iter().for_each(|item| journal.take(item));
        cursor = page.next;
        if let Wait::For(_) = page.wait {
            return cursor;
        }
    }
}

fn listening(setup: &Planted, city: &MaxCity) -> Arc<dyn Connector> {
    setup.against(city.api_url(), json!({"chats": [{"id": GROUP}]}))
}

#[tokio::test]
async fn what_was_never_sent_is_found_in_order_whatever_its_size() {
    for count in [0, 1, 99, 100, 101, 350, 1234] {
        let setup = planted();
        let (city, bot) = city().await;
        bot.add_chat(GROUP, "channel", "Новости", &["read_all_messages"]);
        bot.silence(GROUP);
        let connector = listening(&setup, &city);
        let mut journal = Journal::default();
        let cursor = read(&connector, &mut journal, Cursor::start()).await;
        for number in 0..count {
            bot.write(&citizen(number), &Place::Channel(GROUP), &number.to_string());
        }
        // A new process reads at once; the old one would wait for its time.
        let again = listening(&setup, &city);
        let cursor = read(&again, &mut journal, cursor).await;
        let texts: Vec<String> = journal.told(&again).into_iter().map(|(_, text)| text).collect();
        let expected: Vec<String> = (0..count).map(|number| number.to_string()).collect();
        assert_eq!(texts, expected, "{count} messages");
        // Once more brings nothing new.
        read(&listening(&setup, &city), &mut journal, cursor).await;
        assert_eq!(journal.stored.len(), expected.len());
        assert_eq!(city.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn what_was_sent_is_not_taken_twice_but_an_edit_nobody_told_of_is_found() {
    let setup = planted();
    let (city, bot) = city().await;
    bot.add_chat(GROUP, "chat", "Двор", &["read_all_messages"]);
    let connector = listening(&setup, &city);
    let mut journal = Journal::default();
    let first = bot.write(&citizen(1), &Place::Group(GROUP), "яма");
    bot.write(&citizen(2), &Place::Group(GROUP), "и у нас");
    let page = connector
        .poll(&cx(), "updates", &Cursor("0".into()))
        .await
        .expect("a page");
    page.items.into_iter().for_each(|item| journal.take(item));
    let cursor = read(&connector, &mut journal, Cursor::start()).await;
    assert_eq!(journal.stored.len(), 2, "known by its content");
    bot.silence(GROUP);
    bot.edit(&first, "ямы");
    let again = listening(&setup, &city);
    read(&again, &mut journal, cursor).await;
    let last = journal.told(&again).pop();
    assert_eq!(last, Some((EventType::Updated, "ямы".into())));
    assert_eq!(journal.stored.len(), 3);
}

#[tokio::test]
async fn a_chat_is_known_once_somebody_was_heard_there() {
    let setup = planted();
    let (city, bot) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let mut journal = Journal::default();
    let neighbour = citizen(5);
    bot.write(&neighbour, &Place::Dialog, "раз");
    let page = connector
        .poll(&cx(), "updates", &Cursor("0".into()))
        .await
        .expect("a page");
    page.items.into_iter().for_each(|item| journal.take(item));
    let cursor = read(&connector, &mut journal, Cursor::start()).await;
    assert!(
        cursor.0.contains(&(neighbour.id + 2_000_000_000).to_string()),
        "{}",
        cursor.0
    );
    // The subscription is lost together with what was written meanwhile: a new process finds it.
    bot.silence(neighbour.id + 2_000_000_000);
    bot.write(&neighbour, &Place::Dialog, "два");
    let again = setup.against(city.api_url(), json!({}));
    read(&again, &mut journal, cursor).await;
    let texts: Vec<String> = journal.told(&again).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["раз", "два"]);
}

#[tokio::test]
async fn a_chat_that_refuses_does_not_stop_the_others() {
    let setup = planted();
    let (city, bot) = city().await;
    bot.add_chat(-1, "chat", "Без прав", &["write"]);
    bot.add_chat(-3, "chat", "Двор", &["read_all_messages"]);
    bot.silence(-3);
    bot.write(&citizen(1), &Place::Group(-3), "слышно");
    let chats = json!({"chats": [{"id": -1}, {"id": -2}, {"id": -3}]});
    let connector = setup.against(city.api_url(), chats);
    let mut journal = Journal::default();
    read(&connector, &mut journal, Cursor::start()).await;
    assert_eq!(journal.stored.len(), 1);
}

#[tokio::test]
async fn a_crash_at_any_step_costs_nothing() {
    let setup = planted();
    let (city, bot) = city().await;
    bot.add_chat(GROUP, "channel", "Новости", &["read_all_messages"]);
    bot.silence(GROUP);
    for number in 0..350 {
        bot.write(&citizen(number), &Place::Channel(GROUP), &number.to_string());
    }
    let mut journal = Journal::default();
    let mut cursor = Cursor::start();
    // Every step is made by a process that dies after it; each begins its round anew.
    for _ in 0..40 {
        let page = listening(&setup, &city)
            .poll(&cx(), "history", &cursor)
            .await
            .expect("a page");
        page.items.into_iter().for_each(|item| journal.take(item));
        cursor = page.next;
    }
    assert_eq!(journal.stored.len(), 350);
}

#[tokio::test]
async fn a_page_that_was_not_stored_comes_again_and_a_foreign_cursor_is_refused() {
    let setup = planted();
    let (city, bot) = city().await;
    bot.add_chat(GROUP, "chat", "Двор", &["read_all_messages"]);
    bot.write(&citizen(1), &Place::Group(GROUP), "раз");
    let connector = listening(&setup, &city);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let fresh = listening(&setup, &city);
        seen.push(
            fresh
                .poll(&cx(), "history", &Cursor::start())
                .await
                .expect("a page")
                .items,
        );
    }
    assert_eq!(seen[0], seen[1]);
    let error = connector
        .poll(&cx(), "history", &Cursor("7".into()))
        .await
        .expect_err("foreign");
    assert_eq!(error.kind(), "misconfigured");
}
