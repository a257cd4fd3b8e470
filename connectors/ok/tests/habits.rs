//! Bad habits: damaged records, explicit nulls, lists without an end. None of them costs more than itself.

use priem_city::ok::Damage;

use super::*;

#[tokio::test]
async fn damage_in_a_record_holds_none_of_the_others() {
    let setup = planted();
    let (city, group, _) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let topic = group.post_as_group("Субботник");
    let mut journal = Journal::default();
    for (number, damage) in [Damage::NotUtf8, Damage::HalfOfAnEmoji, Damage::ControlCharacter]
        .into_iter()
        .enumerate()
    {
        let person = 10 * u64::try_from(number).expect("few");
        group.write(person, "Анна", "Нет воды");
        group.write(person + 1, "Пётр", &damage.done_to("Яма"));
        group.comment("GROUP_TOPIC", &topic, person + 2, "Егор", &damage.done_to("Лёд"));
        group.comment("GROUP_TOPIC", &topic, person + 3, "Зоя", "Темно");
        group.post(person + 4, "Лев", &damage.done_to("Свет"));
        group.post(person + 5, "Ия", "Мусор");
    }
    // The second round looks at everything recent again: nothing is held twice.
    for stream in [MESSAGES, TALK] {
        let cursor = round(&connector, stream, &mut journal, Cursor::start())
            .await
            .expect("a round");
        round(&connector, stream, &mut journal, cursor).await.expect("a round");
    }
    let mut texts: BTreeMap<String, usize> = BTreeMap::new();
    for (_, _, text) in journal.published(&connector) {
        *texts.entry(text).or_default() += 1;
    }
    let cut = ["Яма\u{fffd}", "Лёд\u{fffd}", "Свет\u{fffd}"].map(|text| (text.to_owned(), 1));
    let whole = ["Нет воды", "Темно", "Мусор"].map(|text| (text.to_owned(), 3));
    assert_eq!(texts, cut.into_iter().chain(whole).collect());
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for held in &journal.quarantined {
        *reasons
            .entry(held.problem.as_ref().expect("a reason").reason)
            .or_default() += 1;
    }
    assert_eq!(reasons, BTreeMap::from([("not_utf8", 3), ("not_json", 3)]));
}

#[tokio::test]
async fn an_explicit_null_is_nothing() {
    let setup = planted();
    let (city, group, _) = city_with(Options {
        second: Duration::from_millis(10),
        nulls: true,
        ..Options::default()
    })
    .await;
    let connector = setup.against(city.api_url(), json!({}));
    let topic = group.post_as_group("Субботник");
    let said = group.comment("GROUP_TOPIC", &topic, 1, "Егор", "Лёд");
    group.reply(&said, 2, "Зоя", "Темно");
    group.post(3, "Лев", "Свет");
    group.write(4, "Анна", "Нет воды");
    for stream in [MESSAGES, TALK] {
        let mut journal = Journal::default();
        round(&connector, stream, &mut journal, Cursor::start())
            .await
            .expect("a round");
        assert!(journal.quarantined.is_empty());
        assert_heard(&city, GROUP, &journal.published(&connector), stream == MESSAGES);
    }
}

#[tokio::test]
async fn a_list_that_leads_back_to_its_beginning_is_read_once() {
    let setup = planted();
    let (city, group, _) = city_with(Options {
        second: Duration::from_millis(10),
        comments_per_page: 5,
        endless_lists: true,
        ..Options::default()
    })
    .await;
    let connector = setup.against(city.api_url(), json!({}));
    let topic = group.post_as_group("Субботник");
    for person in 1..=120 {
        group.write(person, "Анна", "Нет воды");
        group.post(person, "Лев", "Свет");
    }
    for person in 1..=12 {
        group.comment("GROUP_TOPIC", &topic, person, "Егор", "Лёд");
    }
    for stream in [MESSAGES, TALK] {
        let mut journal = Journal::default();
        round(&connector, stream, &mut journal, Cursor::start())
            .await
            .expect("a round");
        assert_heard(&city, GROUP, &journal.published(&connector), stream == MESSAGES);
    }
    // All pages, and one more, which brings nothing new.
    for (method, pages) in [
        ("graph/chats", 2),
        ("stream.get", 3),
        ("discussions.getList", 2),
        ("discussions.getComments", 3),
    ] {
        assert_eq!(city.calls(method), pages + 1, "{method}");
    }
}
