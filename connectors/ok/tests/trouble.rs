//! Trouble of the platform becomes the right decision, costs nothing, and stays where it belongs.

use priem_city::ok::Trouble;

use super::*;

async fn decision(stream: &str, trouble: Trouble) -> ConnectorError {
    let setup = planted();
    let (city, group, _) = city().await;
    let connector = setup.against(
        city.api_url(),
        json!({"http": {"requests_per_second": 10_000, "timeout_s": 1}}),
    );
    group.write(1, "Оля", "письмо");
    group.post(1, "Оля", "тема");
    let mut journal = Journal::default();
    if stream == TALK {
        // The token is prolonged first; that call is not the one in trouble.
        let nothing = "discussions/57000000000002";
        round(&connector, nothing, &mut journal, Cursor::start())
            .await
            .expect("a round");
    }
    let times = if matches!(trouble, Trouble::Html502 | Trouble::Cut) {
        3
    } else {
        1
    };
    city.fault(trouble, times);
    let error = connector
        .poll(&cx(), stream, &Cursor::start())
        .await
        .expect_err("trouble");
    let shown = format!("{error} {error:?}");
    for secret in [TOKEN, ACCESS_TOKEN, APP_SECRET] {
        assert!(!shown.contains(secret), "{shown}");
    }
    round(&connector, stream, &mut journal, Cursor::start())
        .await
        .expect("the trouble is over");
    assert_heard(&city, GROUP, &journal.published(&connector), stream == MESSAGES);
    error
}

#[tokio::test]
async fn trouble_becomes_the_right_decision_and_loses_nothing() {
    for stream in [MESSAGES, TALK] {
        for (trouble, expected) in [
            (Trouble::Code(1), "transient"),
            (Trouble::Code(2), "transient"),
            (Trouble::Code(9999), "transient"),
            (Trouble::Code(31_337), "transient"),
            (Trouble::CodeWithStatus(2), "transient"),
            (Trouble::Html502, "transient"),
            (Trouble::Html200, "transient"),
            (Trouble::Cut, "transient"),
            (Trouble::Slow(1000), "transient"),
            (Trouble::Code(8), "rate_limited"),
            (Trouble::Code(11), "rate_limited"),
            (Trouble::CodeWithStatus(11), "rate_limited"),
            (Trouble::Code(102), "auth_rejected"),
            (Trouble::Code(103), "auth_rejected"),
            (Trouble::Code(104), "auth_rejected"),
            (Trouble::CodeWithStatus(101), "auth_rejected"),
            (Trouble::Code(10), "misconfigured"),
            (Trouble::Code(50), "misconfigured"),
            (Trouble::Code(160), "misconfigured"),
            (Trouble::Code(456), "misconfigured"),
        ] {
            let error = decision(stream, trouble).await;
            assert_eq!(error.kind(), expected, "{stream} {trouble:?}: {error}");
        }
    }
}

#[tokio::test]
async fn null_means_nothing_new() {
    let setup = planted();
    let (city, _, _) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    for stream in [MESSAGES, TALK] {
        city.fault(Trouble::Null, 3);
        let page = connector.poll(&cx(), stream, &Cursor::start()).await.expect("a page");
        assert_eq!(page.items, []);
    }
}

#[tokio::test]
async fn a_dead_token_of_one_group_stops_that_group_only() {
    let setup = planted();
    let (city, one, two) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    one.revoke(true);
    two.write(5, "Оля", "письмо");
    let mut journal = Journal::default();
    let error = connector
        .poll(&cx(), MESSAGES, &Cursor::start())
        .await
        .expect_err("revoked");
    assert!(
        error.kind() == "auth_rejected" && error.to_string().contains(GROUP),
        "{error}"
    );
    let other = "history/57000000000002";
    round(&connector, other, &mut journal, Cursor::start())
        .await
        .expect("heard");
    assert_heard(&city, OTHER, &journal.published(&connector), true);
}

#[tokio::test]
async fn a_discussion_that_can_not_be_had_is_left_out_and_the_rest_goes_on() {
    let setup = planted();
    let (city, group, _) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    let mut journal = Journal::default();
    let (closed, open) = (group.post_as_group("Закрытая"), group.post_as_group("Открытая"));
    group.comment("GROUP_TOPIC", &closed, 1, "Оля", "сюда больше нельзя");
    city.advance(Duration::from_secs(10));
    group.comment("GROUP_TOPIC", &open, 1, "Оля", "а сюда можно");
    let listed = connector.poll(&cx(), TALK, &Cursor::start()).await.expect("a page");
    city.fault(Trouble::Code(455), 1);
    round(&connector, TALK, &mut journal, listed.next)
        .await
        .expect("goes on");
    let texts: Vec<String> = journal
        .published(&connector)
        .into_iter()
        .map(|(_, _, text)| text)
        .collect();
    assert_eq!(texts, ["а сюда можно"]);
}

#[tokio::test]
async fn the_pace_is_kept() {
    let setup = planted();
    let (city, group, _) = city_with(Options {
        second: Duration::from_millis(10),
        most_calls_per_second: Some(21),
        ..Options::default()
    })
    .await;
    for person in 0..40 {
        group.write(person, "Житель", "письмо");
    }
    let connector = setup.against(city.api_url(), json!({"http": {"requests_per_second": 20}}));
    let mut journal = Journal::default();
    round(&connector, MESSAGES, &mut journal, Cursor::start())
        .await
        .expect("a round");
    assert_heard(&city, GROUP, &journal.published(&connector), true);
    assert_eq!(city.violations(), [""; 0]);
}

#[tokio::test]
async fn streams_that_share_a_token_take_turns() {
    let setup = planted();
    let (city, one, two) = city().await;
    let connector = setup.against(city.api_url(), json!({}));
    for group in [&one, &two] {
        let topic = group.post_as_group("Тема");
        for number in 0..50 {
            group.comment("GROUP_TOPIC", &topic, number, "Житель", "слово");
        }
    }
    let (mut first, mut second) = (Journal::default(), Journal::default());
    let (a, b) = tokio::join!(
        round(&connector, TALK, &mut first, Cursor::start()),
        round(&connector, "discussions/57000000000002", &mut second, Cursor::start()),
    );
    a.and(b).expect("both are heard");
    assert_heard(&city, GROUP, &first.published(&connector), false);
    assert_heard(&city, OTHER, &second.published(&connector), false);
    assert_eq!(city.violations(), [""; 0], "one call at a time for each token");
    assert_eq!(city.calls("auth.touchSession"), 1, "once a day");
}
