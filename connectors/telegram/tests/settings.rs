//! Settings: what fits, what does not, and that the errors name the key and the cure.

use super::*;

fn problem(more: Value) -> String {
    match Setup::new().build(more) {
        Ok(_) => "fits".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_example_is_valid_as_it_stands() {
    let mut entries: Value = priem_yaml::from_str(super::super::TYPE.example).expect("YAML");
    let mut example = entries["telegram-bot"].take();
    let fields = example.as_object_mut().expect("a mapping");
    assert_eq!(fields.remove("type"), Some("telegram".into()));
    // The credential it names exists on no test machine.
    assert!(fields.remove("token").is_some());
    assert_eq!(problem(example), "fits");
}

#[test]
fn wrong_settings_name_the_key() {
    for (more, starts, holds) in [
        (json!({"pol": {}}), "pol:", "did you mean `poll`"),
        (json!({"poll": {"timeout_s": 51}}), "poll.timeout_s:", "1 to 50"),
        (json!({"poll": {"limit": 0}}), "poll.limit:", "1 to 100"),
        (json!({"mode": "webhook"}), "webhook:", "secret_token"),
        (json!({"api_url": "http://bots.example.ru"}), "api_url:", "plain http"),
        (
            json!({"api_url": "http://localhost.example.ru"}),
            "api_url:",
            "plain http",
        ),
        (json!({"api_url": "ftp://x"}), "api_url:", "https://"),
        (json!({"chats": [{"id": 5}]}), "chats.0.id:", "negative"),
        (json!({"only_listed_chats": true}), "only_listed_chats:", "chats"),
        (
            json!({"token": {"env": "PRIEM_TEST_THERE_IS_NO_SUCH_VARIABLE"}}),
            "token:",
            "not set",
        ),
        (json!({"http": {"proxy": "not an address"}}), "http.proxy:", "address"),
    ] {
        let problem = problem(more.clone());
        assert!(
            problem.starts_with(starts) && problem.contains(holds),
            "{more}: {problem}"
        );
    }
}

#[test]
fn webhook_secrets_are_looked_at() {
    let setup = Setup::new();
    std::fs::write(setup.folder.path().join("odd"), "с буквами").expect("write");
    let webhook = |path: Value, secret: Value| {
        let settings = json!({"mode": "webhook", "webhook": {"path": path, "secret_token": secret}});
        setup
            .build(settings)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    assert!(webhook(json!("short"), setup.file("secret")).starts_with("webhook.path:"));
    assert!(webhook(json!("0123456789/bcdef0123456789abcdef0123"), setup.file("secret")).starts_with("webhook.path:"));
    assert!(webhook(setup.file("path"), setup.file("odd")).starts_with("webhook.secret_token:"));
    assert_eq!(webhook(json!(PATH), setup.file("secret")), "");
}

#[test]
fn telegram_must_be_able_to_call_the_public_address() {
    let setup = Setup::new();
    let build = |public_url: Option<&str>| {
        let context = BuildContext {
            id: id(),
            base_dir: setup.folder.path().to_owned(),
            public_url: public_url.map(str::to_owned),
        };
        let settings = setup.settings(json!({"mode": "webhook", "webhook": setup.webhook()}));
        (super::super::TYPE.build)(settings, &context)
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(build(Some("https://priem.example.ru")), None);
    assert_eq!(build(Some("https://priem.example.ru:8443/")), None);
    assert!(
        build(Some("https://priem.example.ru:9000"))
            .expect("refused")
            .contains("9000")
    );
    assert!(
        build(Some("http://priem.example.ru"))
            .expect("refused")
            .contains("https")
    );
    assert!(build(None).expect("refused").contains("public_url"));
}

#[test]
fn a_token_of_another_shape_is_refused_without_being_shown() {
    let setup = Setup::new();
    std::fs::write(setup.folder.path().join("token"), "hunter2-not-a-token").expect("write");
    let error = setup.build(json!({})).err().expect("refused").to_string();
    assert!(error.starts_with("token:") && !error.contains("hunter2"), "{error}");
}

#[test]
fn every_setting_is_described() {
    let schema = serde_json::to_value((super::super::TYPE.schema)()).expect("schema");
    let mut definitions = vec![&schema];
    definitions.extend(schema["$defs"].as_object().expect("definitions").values());
    for definition in definitions {
        for (name, property) in definition["properties"].as_object().into_iter().flatten() {
            assert!(property.get("description").is_some(), "`{name}` has no description");
        }
    }
}
