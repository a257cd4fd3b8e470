//! `check` tells what is off, with the cure, and changes nothing.

use priem_sdk::CheckReport;

use super::*;

fn outcomes<'a>(report: &'a CheckReport, what: &str) -> Vec<&'a str> {
    let found = report.findings.iter().filter(|finding| finding.what == what);
    found.map(|finding| finding.outcome).collect()
}

#[tokio::test]
async fn a_sound_installation_is_told_to_be_sound() {
    let setup = Setup::new();
    let (city, one, two) = city().await;
    one.post_as_group("Тема");
    two.post_as_group("Тема");
    let webhook = json!({"mode": "webhook", "webhook": {"path": setup.file("path")}});
    let connector = setup.against(&city, webhook);
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
    let shown = serde_json::to_string(&report).expect("serialises");
    assert!(shown.contains("somebody.example.ru"));
    for secret in [TOKEN, ACCESS_TOKEN, APP_SECRET, PATH, "their-secret-path"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert_eq!(
        city.calls("graph/unsubscribe") + city.calls("auth.touchSession"),
        0,
        "check changes nothing"
    );
    assert_eq!(city.violations(), [""; 0]);
}

#[tokio::test]
async fn what_is_off_is_named() {
    let setup = Setup::new();
    let (city, one, two) = city().await;
    two.post_as_group("Тема");
    one.revoke(true);
    city.forbid(&["stream.get"]);
    let connector = setup.against(&city, json!({}));
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
    std::fs::write(setup.folder.path().join("application"), "WRONG").expect("write");
    city.revoke_application(false);
    let report = setup.against(&city, json!({})).check(&cx()).await.expect("a report");
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
    let setup = Setup::new();
    let (city, _, _) = city().await;
    let connector = setup.against(&city, json!({"application": null}));
    let report = connector.check(&cx()).await.expect("a report");
    assert_eq!(outcomes(&report, "application"), ["warning"]);
    let connector = setup.against(&city, json!({"groups": [{"id": GROUP}]}));
    let report = connector.check(&cx()).await.expect("a report");
    assert_eq!(outcomes(&report, "messages"), ["warning"]);
    city.outage(true);
    let error = connector.check(&cx()).await.expect_err("nothing can be found out");
    assert_eq!(error.kind(), "transient");
}
