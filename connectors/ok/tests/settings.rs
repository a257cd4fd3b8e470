//! Settings: what is accepted, and that what is not says why.

use super::*;

#[test]
fn streams_follow_from_what_is_given() {
    let setup = planted();
    let ids = |more: Value| -> Vec<String> {
        setup
            .connector(more)
            .streams()
            .iter()
            .map(priem_sdk::Stream::id)
            .collect()
    };
    let both = [MESSAGES, TALK, "history/57000000000002", "discussions/57000000000002"];
    assert_eq!(ids(json!({})), both);
    let webhook = by_webhook();
    assert_eq!(ids(webhook)[0], "webhook");
    assert_eq!(ids(json!({"application": null})), [both[0], both[2]]);
    assert_eq!(ids(json!({"groups": [{"id": GROUP}]})), [TALK]);
}

#[test]
fn wrong_settings_name_the_key_and_the_cure() {
    let setup = planted();
    let file = setup.file("one");
    setup.write("short", "APPSECRET0123456789");
    let wrong = [
        (json!({"groups": []}), "groups", "at least one"),
        (json!({"groups": [{"id": "нагорный"}]}), "groups.0.id", "digits"),
        (
            json!({"groups": [{"id": GROUP}, {"id": GROUP}]}),
            "groups.1.id",
            "twice",
        ),
        (
            json!({"groups": [{"id": GROUP}], "application": null}),
            "groups.0.token",
            "nothing of this group",
        ),
        (json!({"mode": "webhook"}), "webhook", "path"),
        (json!({"history_every": "0s"}), "history_every", "longer"),
        (json!({"first_days": 999}), "first_days", "365"),
        (
            json!({"discussions": {"recheck_days": 99}}),
            "discussions.recheck_days",
            "60",
        ),
        (
            json!({"discussions": {"evry": "1s"}}),
            "discussions.evry",
            "did you mean `every`",
        ),
        (json!({"api_url": "http://api.ok.ru"}), "api_url", "https"),
        (json!({"api_url": "https://user@api.ok.ru"}), "api_url", "address only"),
        (
            json!({"application": {"key": "K", "access_token": file}}),
            "application.secret",
            "session_secret",
        ),
        (
            json!({"application": {"key": "K", "access_token": "tkn"}}),
            "application.access_token",
            "by reference",
        ),
        (json!({"discussions": {"probes": 5000}}), "discussions.probes", "1000"),
        (
            json!({"application": {"key": "K", "secret": file}}),
            "application.access_token",
            "refresh_token",
        ),
        (
            json!({"application": {"key": "K", "secret": file, "refresh_token": file}}),
            "application.id",
            "application_id",
        ),
        (
            json!({"application": {"key": "K", "id": "1", "access_token": file, "refresh_token": file,
                "session_secret": file}}),
            "application.secret",
            "for the application only",
        ),
        (
            json!({"groups": [{"id": GROUP, "token": {"file": "no-such-file"}}]}),
            "groups.0.token",
            "can't be read",
        ),
        (
            json!({"mode": "webhook", "webhook": {"path": file}, "groups": [{"id": GROUP}]}),
            "mode",
            "at least one group with a `token`",
        ),
        (
            json!({"mode": "webhook", "webhook": {"path": setup.file("short")}}),
            "webhook.path",
            "can be guessed",
        ),
    ];
    testing::assert_refused(&setup, wrong);
}

#[test]
fn a_webhook_needs_a_public_https_address() {
    let setup = planted();
    for (public_url, part) in [(None, "public_url"), (Some("http://priem.example.ru"), "https")] {
        let error = setup.build_at(public_url, by_webhook()).err().expect("no address");
        assert!(error.key == "mode" && error.problem.contains(part), "{error}");
    }
}
