//! An access token that expires is renewed, once, by whichever stream meets it; one that can't be renewed calls a human.

use super::*;

/// With a refresh token, and `more` in the application's settings.
fn application(setup: &Planted, more: Value) -> Value {
    let application = json!({"key": "CBATEST", "id": "512000000001", "secret": setup.file("application"),
        "refresh_token": setup.file("refresh"), "access_token": setup.file("access")});
    json!({ "application": testing::over(application, &more) })
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_for_all_streams() {
    let setup = planted();
    let (city, one, two) = city().await;
    city.grant_refresh("512000000001", REFRESH_TOKEN);
    let connector = setup.against(city.api_url(), application(&setup, json!({})));
    let (mut first, mut second) = (Journal::default(), Journal::default());
    let other = "discussions/57000000000002";
    let here = round(&connector, TALK, &mut first, Cursor::start())
        .await
        .expect("a round");
    let there = round(&connector, other, &mut second, Cursor::start())
        .await
        .expect("a round");
    assert_eq!(city.calls("oauth/token.do"), 0, "the given token is good");
    for times in 1..=2 {
        city.revoke_application(true);
        one.post(1, "Оля", &format!("раз {times}"));
        two.post(2, "Нина", &format!("раз {times}"));
        let (a, b) = tokio::join!(
            round(&connector, TALK, &mut first, here.clone()),
            round(&connector, other, &mut second, there.clone()),
        );
        a.and(b).expect("renewed");
        assert_eq!(city.calls("oauth/token.do"), times);
    }
    assert_heard(&city, GROUP, &first.published(&connector), false);
    assert_heard(&city, OTHER, &second.published(&connector), false);
    assert_eq!(city.violations(), [""; 0]);
}

#[tokio::test]
async fn without_an_access_token_the_first_is_bought() {
    let setup = planted();
    let (city, group, _) = city().await;
    city.grant_refresh("512000000001", REFRESH_TOKEN);
    let connector = setup.against(city.api_url(), application(&setup, json!({"access_token": null})));
    group.post(1, "Оля", "тема");
    let mut journal = Journal::default();
    round(&connector, TALK, &mut journal, Cursor::start())
        .await
        .expect("a round");
    assert_heard(&city, GROUP, &journal.published(&connector), false);
    assert_eq!((city.calls("oauth/token.do"), city.violations().len()), (1, 0));
}

#[tokio::test]
async fn a_refused_renewal_calls_a_human_and_shows_no_secret() {
    let setup = planted();
    let (city, _, _) = city().await;
    for (id, token) in [("512000000001", "another"), ("another", REFRESH_TOKEN)] {
        city.grant_refresh(id, token);
        city.revoke_application(true);
        let connector = setup.against(city.api_url(), application(&setup, json!({})));
        let error = connector.poll(&cx(), TALK, &Cursor::start()).await.expect_err("dead");
        let shown = format!("{error} {error:?} {connector:?}", connector = connector.streams());
        assert!(
            error.kind() == "auth_rejected" && shown.contains("refresh token"),
            "{shown}"
        );
        for secret in [ACCESS_TOKEN, APP_SECRET, REFRESH_TOKEN] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
