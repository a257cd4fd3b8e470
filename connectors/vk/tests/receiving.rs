//! Callback API: who is believed, the exact answers, and registration.

use priem_sdk::{HookRequest, Refusal};

use super::*;

fn callback(setup: &Planted, more: Value) -> Value {
    testing::over(json!({"secret": setup.file("secret")}), &more)
}

fn connector(setup: &Planted) -> Arc<dyn Connector> {
    let mut community = listed(GROUP);
    community["confirmation"] = "7a1b2c3d".into();
    let settings = json!({"mode": "callback", "communities": [community], "callback": callback(setup, json!({}))});
    setup.connector(settings)
}

fn event(more: Value) -> Value {
    let event = json!({"type": "wall_reply_new", "group_id": GROUP, "event_id": "e1", "v": "5.199", "secret": SECRET,
        "object": {"id": 1, "from_id": 5, "text": "яма", "post_id": 2, "post_owner_id": -GROUP}});
    let mut event = testing::over(event, &more);
    let fields = event.as_object_mut().expect("an object");
    fields.retain(|_, value| !value.is_null());
    event
}

fn post(event: &Value) -> HookRequest {
    HookRequest::post("", event.to_string())
}

#[test]
fn an_event_is_answered_with_ok_and_stored_without_the_secret() {
    let receipt = connector(&planted()).receive(&post(&event(json!({})))).expect("proven");
    assert_eq!((receipt.reply.status, &receipt.reply.body[..]), (200, &b"ok"[..]));
    assert_eq!(receipt.items.len(), 1);
    assert_eq!(receipt.items[0].external_id, format!("wall-{GROUP}_2_1"));
    let stored = String::from_utf8_lossy(&receipt.items[0].body);
    assert!(!stored.contains(SECRET) && stored.contains("яма"), "{stored}");
}

#[test]
fn a_confirmation_is_answered_with_the_line_and_nothing_else() {
    let connector = connector(&planted());
    for secret in [Value::Null, SECRET.into()] {
        let request = post(&json!({"type": "confirmation", "group_id": GROUP, "secret": secret}));
        let receipt = connector.receive(&request).expect("taken");
        assert_eq!((receipt.reply.status, &receipt.reply.body[..]), (200, &b"7a1b2c3d"[..]));
        assert!(receipt.items.is_empty());
    }
}

#[test]
fn nobody_else_is_believed() {
    let connector = connector(&planted());
    for (change, refusal) in [
        (json!({"secret": null}), Refusal::Unauthenticated),
        (json!({"secret": "guess"}), Refusal::Forbidden),
        (json!({"group_id": GROUP + 1}), Refusal::Forbidden),
        (json!({"type": "confirmation", "secret": "guess"}), Refusal::Forbidden),
        (
            json!({"type": "confirmation", "group_id": 1, "secret": null}),
            Refusal::Forbidden,
        ),
    ] {
        assert_eq!(
            connector.receive(&post(&event(change.clone()))).err(),
            Some(refusal),
            "{change}"
        );
    }
    for body in ["", "<html>", "[]", "{}"] {
        assert_eq!(
            connector.receive(&HookRequest::post("", body)).err(),
            Some(Refusal::Unauthenticated)
        );
    }
    let mut get = post(&event(json!({})));
    get.method = "GET".into();
    assert_eq!(connector.receive(&get).err(), Some(Refusal::MethodNotAllowed));
}

#[test]
fn a_path_and_networks_are_looked_at_when_set() {
    let setup = planted();
    setup.write("path", "0123456789abcdef0123456789abcdef");
    let more = json!({"path": setup.file("path"), "source_networks": ["203.0.113.0/24"]});
    let settings = json!({"mode": "callback", "callback": callback(&setup, more)});
    let connector = setup.connector(settings);
    let mut request = post(&event(json!({})));
    request.peer = "203.0.113.7".parse().expect("an address");
    assert_eq!(connector.receive(&request).err(), Some(Refusal::WrongPath));
    request.path = "0123456789abcdef0123456789abcdef".into();
    assert!(connector.receive(&request).is_ok());
    request.peer = "198.51.100.1".parse().expect("an address");
    assert_eq!(connector.receive(&request).err(), Some(Refusal::ForeignNetwork));
}

#[test]
fn without_callback_there_is_no_webhook() {
    let connector = planted().connector(json!({}));
    assert_eq!(
        connector.receive(&post(&event(json!({})))).err(),
        Some(Refusal::NotFound)
    );
}

const OURS: &str = "https://priem.example.ru/hooks/vk-city";

async fn subscribed(servers: Value, register: bool) -> (Vk, Arc<dyn Connector>, Result<(), priem_sdk::ConnectorError>) {
    let setup = planted();
    let vk = Vk::start(move |call| match call.method.as_str() {
        "groups.getCallbackConfirmationCode" => json!({"response": {"code": "f00dcafe"}}),
        "groups.getCallbackServers" => json!({"response": {"count": 1, "items": servers}}),
        "groups.addCallbackServer" => json!({"response": {"server_id": 3}}),
        "groups.getCallbackSettings" => json!({"response": {"api_version": "5.131", "events": {"message_new": 1}}}),
        _ => json!({"response": 1}),
    })
    .await;
    let callback = callback(&setup, json!({"register": register}));
    let connector = setup.against(vk.api_url(), json!({"mode": "callback", "callback": callback}));
    let outcome = connector.subscribe_stream(&cx(), "callback/190700001").await;
    (vk, connector, outcome)
}

#[tokio::test]
async fn the_confirmation_line_is_learnt_before_the_server_is_added() {
    let foreign =
        json!([{"id": 1, "title": "x", "url": "https://somebody.example.ru", "secret_key": "s", "status": "ok"}]);
    let (vk, connector, outcome) = subscribed(foreign, true).await;
    outcome.expect("registered");
    let request = post(&json!({"type": "confirmation", "group_id": GROUP}));
    assert_eq!(&connector.receive(&request).expect("taken").reply.body[..], b"f00dcafe");
    let methods: Vec<String> = vk.heard().into_iter().map(|call| call.method).collect();
    assert_eq!(
        methods,
        [
            "groups.getCallbackConfirmationCode",
            "groups.getCallbackServers",
            "groups.addCallbackServer",
            "groups.getCallbackSettings",
            "groups.setCallbackSettings",
        ]
    );
    let added = vk.calls("groups.addCallbackServer").pop().expect("a call");
    assert_eq!((added.param("url"), added.param("secret_key")), (OURS, SECRET));
    assert!(added.param("title").chars().count() <= 14);
    let set = vk.calls("groups.setCallbackSettings").pop().expect("a call");
    assert_eq!(
        (
            set.param("server_id"),
            set.param("board_post_new"),
            set.param("api_version")
        ),
        ("3", "1", "5.199")
    );
}

#[tokio::test]
async fn a_missing_or_failed_server_calls_a_human_and_nothing_is_changed() {
    let failed = json!([{"id": 1, "url": OURS, "status": "failed"}]);
    for (servers, words) in [(json!([]), "register"), (failed, "stopped sending")] {
        let (vk, _, outcome) = subscribed(servers, false).await;
        let error = outcome.expect_err("a human is needed").to_string();
        assert!(error.contains(words), "{error}");
        assert!(vk.calls("groups.addCallbackServer").is_empty() && vk.calls("groups.setCallbackSettings").is_empty());
    }
}

#[test]
fn before_the_line_is_known_vk_is_asked_to_come_again() {
    let setup = planted();
    let settings = json!({"mode": "callback", "callback": callback(&setup, json!({}))});
    let connector = setup.connector(settings);
    let receipt = connector
        .receive(&post(&json!({"type": "confirmation", "group_id": GROUP})))
        .expect("taken");
    assert_eq!((receipt.reply.status, receipt.reply.body.is_empty()), (503, true));
}
