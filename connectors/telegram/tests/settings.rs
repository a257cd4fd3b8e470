//! Settings: what fits, what does not, and that the errors name the key and the cure.

use super::*;

#[test]
fn wrong_settings_name_the_key() {
    testing::assert_refused(
        &planted(),
        [
            (json!({"pol": {}}), "pol", "did you mean `poll`"),
            (json!({"poll": {"timeout_s": 51}}), "poll.timeout_s", "1 to 50"),
            (json!({"poll": {"limit": 0}}), "poll.limit", "1 to 100"),
            (json!({"mode": "webhook"}), "webhook", "secret_token"),
            (json!({"api_url": "http://bots.example.ru"}), "api_url", "plain http"),
            (
                json!({"api_url": "http://localhost.example.ru"}),
                "api_url",
                "plain http",
            ),
            (json!({"api_url": "ftp://x"}), "api_url", "https://"),
            (json!({"chats": [{"id": 5}]}), "chats.0.id", "negative"),
            (json!({"only_listed_chats": true}), "only_listed_chats", "chats"),
            (
                json!({"token": {"env": "PRIEM_TEST_THERE_IS_NO_SUCH_VARIABLE"}}),
                "token",
                "not set",
            ),
            (json!({"http": {"proxy": "not an address"}}), "http.proxy", "address"),
        ],
    );
}

#[test]
fn webhook_secrets_are_looked_at() {
    let setup = planted();
    setup.write("odd", "с буквами");
    let webhook = |path: Value, secret: Value| {
        let webhook = json!({"path": path, "secret_token": secret});
        testing::problem(&setup, json!({"mode": "webhook", "webhook": webhook}))
    };
    assert!(webhook(json!("short"), setup.file("secret")).starts_with("webhook.path:"));
    assert!(webhook(json!("0123456789/bcdef0123456789abcdef0123"), setup.file("secret")).starts_with("webhook.path:"));
    assert!(webhook(setup.file("path"), setup.file("odd")).starts_with("webhook.secret_token:"));
    assert_eq!(webhook(json!(PATH), setup.file("secret")), "");
}

#[test]
fn telegram_must_be_able_to_call_the_public_address() {
    let setup = planted();
    let build = |public_url: Option<&str>| {
        let built = setup.build_at(public_url, by_webhook());
        built.err().map(|error| error.to_string())
    };
    assert_eq!(build(Some("https://priem.example.ru")), None);
    assert_eq!(build(Some("https://priem.example.ru:8443/")), None);
    for (public_url, words) in [
        (Some("https://priem.example.ru:9000"), "9000"),
        (Some("http://priem.example.ru"), "https"),
        (None, "public_url"),
    ] {
        assert!(build(public_url).expect("refused").contains(words), "{public_url:?}");
    }
}

#[test]
fn a_token_of_another_shape_is_refused_without_being_shown() {
    let setup = planted();
    setup.write("token", "hunter2-not-a-token");
    let problem = testing::problem(&setup, json!({}));
    assert!(
        problem.starts_with("token:") && !problem.contains("hunter2"),
        "{problem}"
    );
}
