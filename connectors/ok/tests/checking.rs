//! `check` tells what is off, with the cure, and changes nothing.

use super::*;
use crate::testing::outcomes;

#[tokio::test]
async fn a_sound_installation_is_told_to_be_sound() {
    let setup = planted();
    let (city, one, two) = city().await;
    one.post_as_group("Тема");
    two.post_as_group("Тема");
    let webhook = by_webhook();
    let connector = setup.against(city.api_url(), webhook);
    connector.subscribe(&cx()).await.expect("registered");
    let report = connector.check(&cx()).await.expect("a report");
    assert!(
        report.findings.iter().all(|finding| finding.outcome == "ok"),
        "{report:?}"
    );
    for what in ["token", "webhook", "history", "group", "topics", "discussions"] {
        assert_eq!(outcomes(&report, what), ["ok", "ok"], "{what}");
    }
    one.subscribe_foreign("https://somebody.example.ru/their-secret-path");
    let report = connector.check(&cx()).await.expect("a report");
    assert_eq!(outcomes(&report, "webhook"), ["ok", "warning", "ok"]);
    assert!(format!("{report:?}").contains("somebody.example.ru"));
    testing::assert_silent(&report, &[TOKEN, ACCESS_TOKEN, APP_SECRET, PATH, "their-secret-path"]);
    assert_eq!(
        city.calls("graph/unsubscribe") + city.calls("auth.touchSession"),
        0,
        "check changes nothing"
    );
    assert_eq!(city.violations(), [""; 0]);
}

#[tokio::test]
async fn what_is_off_is_named() {
    let setup = planted();
    let (city, one, two) = city().await;
    two.post_as_group("Тема");
    one.revoke(true);
    city.forbid(&["stream.get"]);
    let connector = setup.against(city.api_url(), json!({}));
    let report = connector.check(&cx()).await.expect("a report");
    assert_eq!(outcomes(&report, "token"), ["failed", "ok"]);
    assert_eq!(outcomes(&report, "topics"), ["failed", "failed"]);
    assert_eq!(outcomes(&report, "discussions"), ["warning", "ok"]);
    let cure = |what: &str| {
        let found = report
            .findings
            .iter()
            .find(|finding| finding.what == what && finding.outcome == "failed");
        found.and_then(|finding| finding.cure.clone()).unwrap_or_default()
    };
    assert!(cure("token").contains("get a new one"), "{report:?}");
    assert!(cure("topics").contains("VALUABLE_ACCESS"), "{report:?}");
    city.revoke_application(true);
    let report = connector.check(&cx()).await.expect("a report");
    assert_eq!(outcomes(&report, "application"), ["failed"]);
    setup.write("application", "WRONG");
    city.revoke_application(false);
    let report = setup
        .against(city.api_url(), json!({}))
        .check(&cx())
        .await
        .expect("a report");
    let application = report
        .findings
        .iter()
        .find(|finding| finding.what == "application")
        .expect("a finding");
    assert!(
        application
            .cure
            .as_ref()
            .is_some_and(|cure| cure.contains("secret key")),
        "{application:?}"
    );
}

#[tokio::test]
async fn what_is_not_given_is_told() {
    let setup = planted();
    let (city, _, _) = city().await;
    let connector = setup.against(city.api_url(), json!({"application": null}));
    let report = connector.check(&cx()).await.expect("a report");
    assert_eq!(outcomes(&report, "application"), ["warning"]);
    let connector = setup.against(city.api_url(), json!({"groups": [{"id": GROUP}]}));
    let report = connector.check(&cx()).await.expect("a report");
    assert_eq!(outcomes(&report, "messages"), ["warning"]);
    city.outage(true);
    let error = connector.check(&cx()).await.expect_err("nothing can be found out");
    assert_eq!(error.kind(), "transient");
}
