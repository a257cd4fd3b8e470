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
    let mut example = entries["max-bot"].take();
    let fields = example.as_object_mut().expect("a mapping");
    assert_eq!(fields.remove("type"), Some("max".into()));
    // The credential it names exists on no test machine.
    assert!(fields.remove("token").is_some());
    assert_eq!(problem(example), "fits");
}

#[test]
fn wrong_settings_name_the_key() {
    for (more, starts, holds) in [
        (json!({"pol": {}}), "pol:", "did you mean `poll`"),
        (json!({"poll": {"timeout_s": 91}}), "poll.timeout_s:", "0 to 90"),
        (json!({"poll": {"limit": 0}}), "poll.limit:", "1 to 1000"),
        (json!({"history": {"every_s": 5}}), "history.every_s:", "60"),
        (json!({"mode": "webhook"}), "webhook:", "secret"),
        (json!({"api_url": "http://bots.example.ru"}), "api_url:", "plain http"),
        (json!({"chats": [{"id": 5}]}), "chats.0.id:", "negative"),
        (json!({"only_listed_chats": true}), "only_listed_chats:", "chats"),
        (
            json!({"http": {"extra_root_certificates": ["nowhere.pem"]}}),
            "extra_root_certificates:",
            "nowhere.pem",
        ),
        (
            json!({"token": {"env": "PRIEM_TEST_THERE_IS_NO_SUCH_VARIABLE"}}),
            "token:",
            "not set",
        ),
    ] {
        let problem = problem(more.clone());
        assert!(
            problem.starts_with(starts) && problem.contains(holds),
            "{more}: {problem}"
        );
    }
}

#[test]
fn secrets_are_looked_at_and_not_shown() {
    let setup = Setup::new();
    std::fs::write(setup.folder.path().join("odd"), "с буквами").expect("write");
    std::fs::write(setup.folder.path().join("bearer"), "Bearer hunter2hunter2hunter2").expect("write");
    let built = |more: Value| {
        setup
            .build(more)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    let webhook =
        |path: Value, secret: Value| built(json!({"mode": "webhook", "webhook": {"path": path, "secret": secret}}));
    assert!(webhook(json!("short"), setup.file("secret")).starts_with("webhook.path:"));
    assert!(webhook(setup.file("path"), setup.file("odd")).starts_with("webhook.secret:"));
    assert_eq!(webhook(json!(PATH), setup.file("secret")), "");
    let error = built(json!({"token": setup.file("bearer")}));
    assert!(
        error.contains("the token alone") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn max_must_be_able_to_call_the_public_address() {
    let setup = Setup::new();
    let build = |public_url: &str| {
        let settings = json!({"mode": "webhook", "webhook": setup.webhook()});
        setup
            .build_at(public_url, settings)
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(build("https://priem.example.ru"), None);
    assert!(build("https://priem.example.ru:8443").expect("refused").contains("443"));
    assert!(build("http://priem.example.ru").expect("refused").contains("https"));
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
