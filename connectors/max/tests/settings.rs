//! Settings: what fits, what does not, and that the errors name the key and the cure.

use super::*;

#[test]
fn wrong_settings_name_the_key() {
    testing::assert_refused(
        &planted(),
        [
            (json!({"pol": {}}), "pol", "did you mean `poll`"),
            (json!({"poll": {"timeout_s": 91}}), "poll.timeout_s", "0 to 90"),
            (json!({"poll": {"limit": 0}}), "poll.limit", "1 to 1000"),
            (json!({"history": {"every_s": 5}}), "history.every_s", "60"),
            (json!({"mode": "webhook"}), "webhook", "secret"),
            (json!({"api_url": "http://bots.example.ru"}), "api_url", "plain http"),
            (json!({"chats": [{"id": 5}]}), "chats.0.id", "negative"),
            (json!({"only_listed_chats": true}), "only_listed_chats", "chats"),
            (
                json!({"http": {"extra_root_certificates": ["nowhere.pem"]}}),
                "http.extra_root_certificates",
                "nowhere.pem",
            ),
            (
                json!({"token": {"env": "PRIEM_TEST_THERE_IS_NO_SUCH_VARIABLE"}}),
                "token",
                "not set",
            ),
        ],
    );
}

#[test]
fn secrets_are_looked_at_and_not_shown() {
    let setup = planted();
    setup.write("odd", "с буквами");
    setup.write("bearer", "Bearer hunter2hunter2hunter2");
    let webhook = |path: Value, secret: Value| {
        let webhook = json!({"path": path, "secret": secret});
        testing::problem(&setup, json!({"mode": "webhook", "webhook": webhook}))
    };
    assert!(webhook(json!("short"), setup.file("secret")).starts_with("webhook.path:"));
    assert!(webhook(setup.file("path"), setup.file("odd")).starts_with("webhook.secret:"));
    assert_eq!(webhook(json!(PATH), setup.file("secret")), "");
    let problem = testing::problem(&setup, json!({"token": setup.file("bearer")}));
    assert!(
        problem.contains("the token alone") && !problem.contains("hunter2"),
        "{problem}"
    );
}

#[test]
fn max_must_be_able_to_call_the_public_address() {
    let setup = planted();
    let build = |public_url: &str| {
        let built = setup.build_at(Some(public_url), by_webhook(false));
        built.err().map(|error| error.to_string())
    };
    assert_eq!(build("https://priem.example.ru"), None);
    assert!(build("https://priem.example.ru:8443").expect("refused").contains("443"));
    assert!(build("http://priem.example.ru").expect("refused").contains("https"));
}
