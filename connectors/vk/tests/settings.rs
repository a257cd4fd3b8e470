//! Settings: what fits, what does not, and that the errors name the key and the cure, never a secret.

use priem_sdk::StreamKind;

use super::*;

#[test]
fn wrong_settings_name_the_key() {
    let setup = planted();
    let file = |name: &str| setup.file(name);
    setup.write("short", "vk1");
    setup.write("long", &"я".repeat(51));
    let wrong = [
        (json!({"comunities": []}), "comunities", "did you mean `communities`"),
        (json!({"communities": []}), "communities", "communities_list"),
        (
            json!({"communities": [{"id": -5, "token": file("service")}]}),
            "communities.0.id",
            "without the minus",
        ),
        (
            json!({"communities": [{"id": 5}]}),
            "communities.0.token",
            "Работа с API",
        ),
        (
            json!({"communities": [{"id": 5, "token": file("short")}]}),
            "communities.0.token",
            "vk1.a.",
        ),
        (
            json!({"communities": [{"id": 5, "token": file("none")}]}),
            "communities.0.token",
            "can't be read",
        ),
        (json!({"longpoll": {"wait_s": 91}}), "longpoll.wait_s", "1 to 90"),
        (json!({"catch_up": {"posts": 0}}), "catch_up.posts", "1 to 100"),
        (
            json!({"catch_up": {"walls_every_min": 0}}),
            "catch_up.walls_every_min",
            "zero",
        ),
        (
            json!({"catch_up": {"suggested": true}}),
            "catch_up.suggested",
            "token_kind: user",
        ),
        (json!({"mode": "walls"}), "catch_up.token", "service key"),
        (json!({"mode": "callback"}), "callback", "secret"),
        (
            json!({"mode": "callback", "callback": {}}),
            "communities.0.callback_secret",
            "anybody",
        ),
        (
            json!({"mode": "callback", "callback": {"secret": file("long")}}),
            "communities.0.callback_secret",
            "50",
        ),
        (json!({"api_url": "http://api.vk.com"}), "api_url", "plain http"),
        (json!({"http": {"proxy": "not an address"}}), "http.proxy", "address"),
    ];
    testing::assert_refused(&setup, wrong);
}

#[test]
fn a_list_of_communities_is_read_line_by_line() {
    let setup = planted();
    let list = "\u{feff}# наши\n\n 5 ; vk1.a.first-token-0001 ; Двор\n6;vk1.a.first-token-0002\n";
    setup.write("list", list);
    let connector = setup
        .build(json!({"communities_list": setup.file("list"), "catch_up": {"token": setup.file("service")}}))
        .expect("settings fit");
    let streams = connector.streams();
    let ids: Vec<String> = streams.iter().map(priem_sdk::Stream::id).collect();
    assert_eq!(
        ids,
        ["longpoll/5", "longpoll/6", "longpoll/190700001", "messages", "walls"]
    );
    assert!(streams.iter().all(|stream| stream.kind == StreamKind::Poll));
}

#[test]
fn a_wrong_list_names_the_line_and_never_what_stands_there() {
    let setup = planted();
    for (list, holds) in [
        (
            "5;vk1.a.HUNTERHUNTERHUNTER\nvk1.a.HUNTERHUNTERHUNTER;6",
            "line 2: column 1",
        ),
        ("5;a;b;c;d;HUNTER", "line 1: more than five"),
        ("5;HUNTER", "line 1.token"),
        ("5;vk1.a.HUNTERHUNTERHUNTER\n5;vk1.a.HUNTERHUNTERHUNTER", "listed twice"),
        ("190700001;vk1.a.HUNTERHUNTERHUNTER", "listed twice"),
        ("0;vk1.a.HUNTERHUNTERHUNTER", "line 1.id"),
    ] {
        setup.write("list", list);
        let problem = testing::problem(&setup, json!({"communities_list": setup.file("list")}));
        assert!(
            problem.starts_with("communities_list") && problem.contains(holds),
            "{list}: {problem}"
        );
        assert!(!problem.contains("HUNTER"), "{problem}");
    }
}

#[test]
fn callback_gives_every_community_a_stream_of_its_own() {
    let setup = planted();
    let settings = json!({"mode": "callback", "callback": {"secret": setup.file("secret")},
        "communities": [listed(GROUP), listed(GROUP + 1)]});
    let connector = setup.connector(settings);
    let streams: Vec<(String, StreamKind)> = connector
        .streams()
        .iter()
        .map(|stream| (stream.id(), stream.kind))
        .collect();
    assert_eq!(
        streams,
        [
            ("callback/190700001".into(), StreamKind::Webhook),
            ("callback/190700002".into(), StreamKind::Webhook),
            ("messages".into(), StreamKind::Poll),
        ]
    );
}

#[test]
fn walls_need_no_community_key() {
    let setup = planted();
    let settings = json!({"mode": "walls", "communities": [{"id": 5}], "catch_up": {"token": setup.file("service")}});
    let connector = setup.connector(settings);
    let ids: Vec<String> = connector.streams().iter().map(priem_sdk::Stream::id).collect();
    assert_eq!(ids, ["walls"]);
}
