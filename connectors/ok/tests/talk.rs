//! Topics and comments: found, read back to the known ones, edits and removals seen later, names filled.

use super::*;

async fn heard(city: &OkCity, journal: &Journal, connector: &Arc<dyn Connector>) {
    assert_heard(city, GROUP, &journal.published(connector), false);
    assert_eq!(city.violations(), [""; 0]);
}

#[tokio::test]
async fn topics_and_comments_come_once_and_in_order_whatever_the_order_of_pages() {
    for newest_first in [true, false] {
        let setup = planted();
        let (city, group, other) = city_with(Options {
            second: Duration::from_millis(10),
            comments_per_page: 30,
            newest_first,
            millis: newest_first,
            ..Options::default()
        })
        .await;
        let connector = setup.against(city.api_url(), json!({}));
        let mut journal = Journal::default();
        let topic = group.post_as_group("Субботник");
        let photo = group.add_photo();
        group.post(3, "Егор", "Дерево упало");
        other.comment("GROUP_TOPIC", &other.post_as_group("Чужое"), 9, "Никто", "не наше");
        for number in 0..130 {
            group.comment("GROUP_TOPIC", &topic, number % 7, "Житель", &format!("слово {number}"));
            city.advance(Duration::from_secs(1));
        }
        group.comment("GROUP_PHOTO", &photo, 3, "Егор", "где это?");
        group.comment_as_group("GROUP_TOPIC", &topic, "Спасибо всем");
        let cursor = round(&connector, TALK, &mut journal, Cursor::start())
            .await
            .expect("a round");
        heard(&city, &journal, &connector).await;

        let first = group.comment("GROUP_TOPIC", &topic, 5, "Нина", "а когда?");
        group.reply(&first, 6, "Павел", "завтра");
        for number in 0..80 {
            group.comment("GROUP_PHOTO", &photo, number % 7, "Житель", &format!("вид {number}"));
        }
        let cursor = round(&connector, TALK, &mut journal, cursor).await.expect("a round");
        heard(&city, &journal, &connector).await;

        // Quiet, but for a like: two calls, a cursor that does not move.
        group.like_topic(&topic);
        let before = city.calls("discussions.getComments");
        let page = connector.poll(&cx(), TALK, &cursor).await.expect("a page");
        assert_eq!((page.items.len(), &page.next), (0, &cursor));
        assert_eq!(city.calls("discussions.getComments"), before);
    }
}

#[tokio::test]
async fn an_old_topic_that_is_talked_about_again_is_heard() {
    let setup = planted();
    let (city, group, _) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let mut journal = Journal::default();
    let old = group.post_as_group("Старое");
    for number in 0..120 {
        city.advance(Duration::from_secs(3600));
        group.post_as_group(&format!("Новое {number}"));
    }
    let cursor = round(&connector, TALK, &mut journal, Cursor::start())
        .await
        .expect("a round");
    group.comment("GROUP_TOPIC", &old, 5, "Нина", "а это ещё нужно?");
    round(&connector, TALK, &mut journal, cursor).await.expect("a round");
    heard(&city, &journal, &connector).await;
}

#[tokio::test]
async fn a_quiet_group_does_not_pay_for_the_noise_of_others() {
    let setup = planted();
    let (city, group, other) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let mut journal = Journal::default();
    let topic = group.post_as_group("Тихо");
    let cursor = round(&connector, TALK, &mut journal, Cursor::start())
        .await
        .expect("a round");
    for number in 0..250 {
        city.advance(Duration::from_secs(600));
        other.post_as_group(&format!("Новое {number}"));
    }
    let cursor = round(&connector, TALK, &mut journal, cursor).await.expect("a round");
    let before = city.calls("discussions.getList");
    let cursor = round(&connector, TALK, &mut journal, cursor).await.expect("a round");
    assert_eq!(city.calls("discussions.getList"), before + 1);
    group.comment("GROUP_TOPIC", &topic, 5, "Нина", "и всё же");
    round(&connector, TALK, &mut journal, cursor).await.expect("a round");
    heard(&city, &journal, &connector).await;
}

#[tokio::test]
async fn edits_and_removals_are_found_when_recent_discussions_are_read_again() {
    let setup = planted();
    let (city, group, _) = city().await;
    let settings = json!({"discussions": {"every": "1ms", "recheck_every": "1ms", "recheck_days": 2}});
    let connector = setup.against(city.api_url(), settings);
    let mut journal = Journal::default();
    let topic = group.post_as_group("Субботник");
    let post = group.post(3, "Егор", "Дерево упало");
    let (one, two) = (
        group.comment("GROUP_TOPIC", &topic, 1, "Оля", "приду"),
        group.comment("GROUP_TOPIC", &topic, 2, "Нина", "не приду"),
    );
    let cursor = round(&connector, TALK, &mut journal, Cursor::start())
        .await
        .expect("a round");
    group.edit(&one, "приду с детьми");
    group.edit(&post, "Дерево упало на машину");
    group.remove(&two);
    let cursor = round(&connector, TALK, &mut journal, cursor).await.expect("a round");
    heard(&city, &journal, &connector).await;
    let events: Vec<EventType> = journal
        .published(&connector)
        .into_iter()
        .map(|(_, event, _)| event)
        .collect();
    assert_eq!(events.iter().filter(|event| **event == EventType::Deleted).count(), 1);
    assert_eq!(events.iter().filter(|event| **event == EventType::Updated).count(), 2);
    // And back: three versions.
    group.edit(&one, "приду");
    round(&connector, TALK, &mut journal, cursor).await.expect("a round");
    heard(&city, &journal, &connector).await;
}

#[tokio::test]
async fn half_a_day_of_silence_is_caught_up_with() {
    let setup = planted();
    let (city, group, _) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let mut journal = Journal::default();
    let topics: Vec<String> = (0..5)
        .map(|number| group.post_as_group(&format!("Тема {number}")))
        .collect();
    group.comment("GROUP_TOPIC", &topics[0], 1, "Оля", "до");
    let cursor = round(&connector, TALK, &mut journal, Cursor::start())
        .await
        .expect("a round");
    city.outage(true);
    for hour in 0..12 {
        group.post(3, "Егор", &format!("час {hour}"));
        for topic in &topics {
            for number in 0..25 {
                group.comment(
                    "GROUP_TOPIC",
                    topic,
                    number,
                    "Житель",
                    &format!("час {hour}, слово {number}"),
                );
            }
        }
        city.advance(Duration::from_secs(3600));
        connector.poll(&cx(), TALK, &cursor).await.expect_err("down");
    }
    city.outage(false);
    round(&connector, TALK, &mut journal, cursor).await.expect("a round");
    heard(&city, &journal, &connector).await;
}

#[tokio::test]
async fn the_first_look_goes_back_as_far_as_the_settings_say() {
    let setup = planted();
    let (city, group, _) = city_with(Options::default()).await;
    let topic = group.post_as_group("Субботник");
    group.comment("GROUP_TOPIC", &topic, 1, "Оля", "сейчас");
    // The city's seconds are real ones here, or its comment would be from the look's future. Both count in milliseconds: the
    // comment is older than the look by one at least.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let settings = json!({"first_days": 0});
    let connector = setup.against(city.api_url(), settings);
    let mut journal = Journal::default();
    let cursor = round(&connector, TALK, &mut journal, Cursor::start())
        .await
        .expect("a round");
    assert_eq!(journal.published(&connector), []);
    city.advance(Duration::from_secs(60));
    group.comment("GROUP_TOPIC", &topic, 1, "Оля", "потом");
    round(&connector, TALK, &mut journal, cursor).await.expect("a round");
    let texts: Vec<String> = journal
        .published(&connector)
        .into_iter()
        .map(|(_, _, text)| text)
        .collect();
    assert_eq!(texts, ["потом"]);
}

#[tokio::test]
async fn names_are_filled_in_batches_and_remembered() {
    let setup = planted();
    let (city, group, _) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let mut journal = Journal::default();
    let topic = group.post_as_group("Субботник");
    let first = group.comment("GROUP_TOPIC", &topic, 1, "Оля", "приду");
    for person in 0..150 {
        group.reply(&first, 2000 + person, &format!("Сосед {person}"), "и я");
    }
    round(&connector, TALK, &mut journal, Cursor::start())
        .await
        .expect("a round");
    assert!(connector.enriches());
    let mut messages: Vec<_> = journal
        .stored
        .iter()
        .flat_map(|raw| connector.normalize(raw).expect("known kinds"))
        .collect();
    let nameless = |messages: &[priem_sdk::Message]| {
        messages
            .iter()
            .filter(|message| message.data.author.name.is_none())
            .count()
    };
    assert_eq!(nameless(&messages), 150);
    connector.enrich(&cx(), &mut messages).await;
    assert_eq!(nameless(&messages), 0);
    assert_eq!(city.calls("users.getInfo"), 2, "a hundred at once");
    messages.iter_mut().for_each(|message| message.data.author.name = None);
    connector.enrich(&cx(), &mut messages).await;
    assert_eq!(
        (nameless(&messages), city.calls("users.getInfo")),
        (0, 3),
        "only the one that was never asked for"
    );
    city.revoke_application(true);
    messages
        .iter_mut()
        .for_each(|message| message.data.author.external_id = Some("31".into()));
    messages.iter_mut().for_each(|message| message.data.author.name = None);
    connector.enrich(&cx(), &mut messages).await;
    assert_eq!(
        nameless(&messages),
        messages.len(),
        "trouble leaves names empty and breaks nothing"
    );
}
