use std::{
    collections::BTreeMap,
    hint::black_box,
    time::{Duration, Instant},
};

use priem_sdk::{
    EventType, MessageData, SecretRef,
    message::{Geo, Kind, Mention, Regime},
};

use super::{super::PrivacyOverride, *};

const ACTIONS: [Action; 5] = [Action::Drop, Action::Mask, Action::Hash, Action::Encrypt, Action::Pass];

fn message() -> Message {
    let mut data = MessageData::new("vk", Kind::Comment, Regime::OpenSourceMessage);
    data.external.id = "1".into();
    data.external.url = Some("https://vk.com/wall-1_2".into());
    data.author.name = Some("Иван Петров".into());
    data.author.external_id = Some("100500".into());
    data.author.contacts.phone = Some("+7 912 345-67-89".into());
    data.author.contacts.email = Some("ivanov@mail.ru".into());
    data.author.contacts.post_address = Some("ул. Мира, 5".into());
    data.body.text = "Иван, 8 912 345-67-89, СНИЛС 112-233-445 95: яма".into();
    data.body.mentions = vec![Mention {
        external_id: "id7".into(),
        text: "Пётр Ким".into(),
    }];
    data.place.geo = Some(Geo {
        lat: 58.010_456,
        lon: 56.229_443,
    });
    data.place.street = Some("Мира".into());
    data.extra.insert("birthDate".into(), "1985-03-12".into());
    data.extra.insert("group_id".into(), "11223344595".into());
    data.extra.insert(
        "note".into(),
        serde_json::json!({"СНИЛС": 1, "text": ["родился 12.03.1985"]}),
    );
    Message::new(EventType::Received, data)
}

fn routing(queue: &str, matched: &[&str]) -> Routing {
    Routing {
        queue: queue.into(),
        matched: matched.iter().map(|id| (*id).to_owned()).collect(),
        ..Routing::default()
    }
}

fn policy(list: &[(&str, Action)]) -> BTreeMap<String, Action> {
    list.iter()
        .map(|(name, action)| ((*name).to_owned(), *action))
        .collect()
}

/// Settings whose keys are in files of a folder that lives as long as the guard.
fn with_keys(settings: PrivacySettings) -> (tempfile::TempDir, PrivacySettings) {
    let folder = tempfile::tempdir().expect("a folder");
    let key = |name: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, "5".repeat(64)).expect("a key");
        Some(SecretRef::File(path))
    };
    let settings = PrivacySettings {
        hash_key: key("hash"),
        encrypt_key: key("encrypt"),
        ..settings
    };
    (folder, settings)
}

fn compile(settings: &PrivacySettings) -> Result<Policy, PolicyError> {
    Policy::compile(settings, &|id| id == "roads", &|_| Some("roads".into()))
}

fn sent(policy: &Policy, routing: &Routing) -> Message {
    let mut message = message();
    policy.clean(&mut message);
    policy.apply(&mut message, routing);
    message
}

#[test]
fn by_default_text_and_name_pass_contacts_are_masked_and_numbers_are_gone() {
    let sent = sent(&Policy::default(), &routing("q", &[]));
    let data = &sent.data;
    assert_eq!(data.author.name.as_deref(), Some("Иван Петров"));
    assert_eq!(data.body.text, "Иван, 8 912 345-67-89, СНИЛС [СНИЛС удалён]: яма");
    assert_eq!(data.author.contacts.phone.as_deref(), Some("***89"));
    assert_eq!(data.author.contacts.email.as_deref(), Some("i***@mail.ru"));
    assert_eq!(data.author.contacts.post_address.as_deref(), Some("***"));
    let extra = serde_json::to_value(&data.extra).expect("JSON");
    assert_eq!(
        extra,
        serde_json::json!({"group_id": "11223344595", "note": {"text": ["родился [дата рождения удалена]"]}})
    );
}

#[test]
fn a_number_split_by_tags_takes_the_html_with_it() {
    let mut message = message();
    message.data.body.html = Some("СНИЛС <b>112</b>-233-445 95".into());
    Policy::default().clean(&mut message);
    assert_eq!(message.data.body.html, None);
}

#[test]
fn each_action_does_what_it_says() {
    for action in ACTIONS {
        let all = policy(&["text", "name", "contact", "identifier", "location"].map(|class| (class, action)));
        let (_folder, settings) = with_keys(PrivacySettings {
            policy: all,
            ..PrivacySettings::default()
        });
        let sent = sent(&compile(&settings).expect("a policy"), &routing("q", &[]));
        let data = &sent.data;
        let name = data.author.name.as_deref();
        let text = sent.data.body.text.as_str();
        match action {
            Action::Drop => {
                assert_eq!((name, text), (None, ""));
                assert!(data.body.mentions.is_empty() && data.place.geo.is_none());
                assert!(data.author.contacts.is_empty() && data.external.url.is_none());
            }
            Action::Mask => {
                assert_eq!(name, Some("И*** П***"));
                assert_eq!(text, "Иван, ***89, СНИЛС [СНИЛС удалён]: яма");
                let point = data.place.geo.expect("a point");
                assert_eq!((point.lat, point.lon), (58.01, 56.23));
                assert_eq!(data.author.external_id.as_deref(), Some("***"));
            }
            Action::Hash => {
                assert!(name.is_some_and(|name| name.starts_with("h1:") && name.len() == 35));
                assert!(data.place.geo.is_none());
            }
            Action::Encrypt => {
                let sealer = Sealer::new(&priem_sdk::Secret::new("5".repeat(64))).expect("a key");
                let name = name.expect("a name");
                assert_eq!(sealer.open(sent.id, "author.name", name), Ok("Иван Петров".into()));
                let opened = sealer.open(sent.id, "body.text", text).expect("the text");
                assert!(
                    !opened.contains("233"),
                    "what never leaves is not even sealed: {opened}"
                );
            }
            Action::Pass => {
                assert_eq!(name, Some("Иван Петров"));
                assert_eq!(data.author.contacts.phone.as_deref(), Some("+7 912 345-67-89"));
            }
        }
        if action != Action::Pass {
            let json = serde_json::to_string(&sent).expect("JSON");
            assert!(
                !json.contains("Петров") && !json.contains("100500") && !json.contains("Мира"),
                "{action:?}: {json}"
            );
        }
        assert_eq!(
            sent,
            self::sent(&compile(&settings).expect("a policy"), &routing("q", &[])),
            "the same again"
        );
    }
}

#[test]
fn equal_people_hash_alike_and_ids_only_in_their_channel() {
    let (_folder, settings) = with_keys(PrivacySettings {
        policy: policy(&[
            ("contact", Action::Hash),
            ("name", Action::Hash),
            ("identifier", Action::Hash),
        ]),
        ..PrivacySettings::default()
    });
    let policy = compile(&settings).expect("a policy");
    let mut other = message();
    other.data.channel = "ok".into();
    other.data.author.name = Some(" иван  ПЕТРОВ ".into());
    other.data.author.contacts.phone = Some("8(912)3456789".into());
    policy.apply(&mut other, &routing("q", &[]));
    let one = sent(&policy, &routing("q", &[]));
    assert_eq!(one.data.author.name, other.data.author.name);
    assert_eq!(one.data.author.contacts.phone, other.data.author.contacts.phone);
    assert_ne!(one.data.author.external_id, other.data.author.external_id);
}

#[test]
fn a_name_that_rules_give_chooses_a_policy_and_must_be_known() {
    let settings = PrivacySettings {
        overrides: vec![PrivacyOverride {
            personal_data: Some("strict".into()),
            policy: policy(&[("text", Action::Drop)]),
            ..PrivacyOverride::default()
        }],
        ..PrivacySettings::default()
    };
    let policy = compile(&settings).expect("a policy");
    let text = |name: Option<&str>| {
        let routing = Routing {
            personal_data: name.map(Into::into),
            ..routing("q", &[])
        };
        sent(&policy, &routing).data.body.text
    };
    assert_eq!(text(Some("strict")), "");
    assert!(text(None).contains("яма") && text(Some("open")).contains("яма"));
    assert_eq!(policy.misfits(&|_| true, ["strict"]), [""; 0]);
    let unknown = policy.misfits(&|_| true, ["strict", "strikt"]);
    assert_eq!(unknown.len(), 1);
    assert!(unknown[0].contains("«strikt»") && unknown[0].contains("privacy.overrides"));
}

#[test]
fn overrides_choose_by_channel_route_and_queue_and_the_last_word_wins() {
    let entry =
        |channel: Option<&str>, route: Option<&str>, queue: Option<&str>, list: &[(&str, Action)]| PrivacyOverride {
            channel: channel.map(Into::into),
            route: route.map(Into::into),
            queue: queue.map(Into::into),
            personal_data: None,
            policy: policy(list),
        };
    let settings = PrivacySettings {
        policy: policy(&[("name", Action::Mask)]),
        overrides: vec![
            entry(
                Some("vk"),
                None,
                None,
                &[("name", Action::Pass), ("author.name", Action::Drop)],
            ),
            entry(Some("vk"), Some("roads"), None, &[("author.name", Action::Pass)]),
            entry(
                None,
                None,
                Some("info"),
                &[("text", Action::Drop), ("author.name", Action::Mask)],
            ),
            entry(Some("ok"), None, None, &[("text", Action::Drop)]),
        ],
        ..PrivacySettings::default()
    };
    let policy = compile(&settings).expect("a policy");
    let shown = |queue: &str, matched: &[&str]| {
        let data = sent(&policy, &routing(queue, matched)).data;
        (
            data.author.name,
            data.body.mentions[0].text.clone(),
            data.body.text.is_empty(),
        )
    };
    assert_eq!(
        shown("q", &[]),
        (None, "Пётр Ким".into(), false),
        "a field goes before its class"
    );
    assert_eq!(
        shown("q", &["x", "roads"]),
        (Some("Иван Петров".into()), "Пётр Ким".into(), false)
    );
    assert_eq!(
        shown("info", &["roads"]),
        (Some("И*** П***".into()), "Пётр Ким".into(), true)
    );
    assert!(policy.is_same_for_all("vk", &[routing("a", &[]), routing("b", &[])]));
    assert!(!policy.is_same_for_all("vk", &[routing("a", &[]), routing("info", &[])]));
}

#[test]
fn what_does_not_fit_is_named_with_its_cure() {
    let one = |entry: PrivacyOverride| PrivacySettings {
        overrides: vec![entry],
        ..PrivacySettings::default()
    };
    let of = |list: &[(&str, Action)]| PrivacySettings {
        policy: policy(list),
        ..PrivacySettings::default()
    };
    let cases = [
        (
            of(&[("autor.name", Action::Pass)]),
            "policy.autor.name",
            "did you mean `author.name`",
        ),
        (of(&[("place.geo", Action::Hash)]), "policy.place.geo", "masked"),
        (of(&[("name", Action::Hash)]), "hash_key", "openssl rand -hex 32"),
        (of(&[("name", Action::Encrypt)]), "encrypt_key", "openssl rand -hex 32"),
        (one(PrivacyOverride::default()), "overrides.0", "privacy.policy"),
        (
            one(PrivacyOverride {
                route: Some("road".into()),
                ..PrivacyOverride::default()
            }),
            "overrides.0.route",
            "did you mean `roads`",
        ),
        (
            PrivacySettings {
                hash_key: Some(SecretRef::File("/nowhere/hash".into())),
                ..PrivacySettings::default()
            },
            "hash_key",
            "/nowhere/hash",
        ),
    ];
    for (settings, key, cure) in cases {
        let error = compile(&settings).expect_err(key);
        assert_eq!(error.key, key);
        assert!(error.problem.contains(cure), "{}", error.problem);
    }
}

/// What the default policy costs a message; `cargo test --release -p priem cost_of_the_policy -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_of_the_policy() {
    let policy = Policy::default();
    let routing = routing("q", &[]);
    let long = "Третий день во дворе дома 12 по улице Мира нет воды, звонили 8 912 345-67-89. ".repeat(10);
    for (what, text) in [("800 characters", long.as_str()), ("no digits", "Нет воды, помогите")] {
        let mut original = message();
        original.data.body.text = text.to_owned();
        let time = |work: &dyn Fn(&mut Message)| {
            let mut spent = Duration::ZERO;
            for _ in 0..20_000 {
                let mut message = original.clone();
                let started = Instant::now();
                work(&mut message);
                spent += started.elapsed();
                black_box(message);
            }
            spent.as_nanos() / 20_000
        };
        println!(
            "{what}: clean {} ns, apply {} ns",
            time(&|m| policy.clean(m)),
            time(&|m| policy.apply(m, &routing))
        );
    }
}
