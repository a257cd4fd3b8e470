//! The webhook: who is believed, and that nothing of theirs is lost.

use std::net::IpAddr;

use http::HeaderValue;
use priem_sdk::{HookRequest, Refusal};

use super::*;

const HEADER: &str = "x-telegram-bot-api-secret-token";

fn connector(setup: &Setup) -> Arc<dyn Connector> {
    setup
        .build(json!({"mode": "webhook", "webhook": setup.webhook()}))
        .expect("settings fit")
}

fn telegram() -> IpAddr {
    "149.154.167.220".parse().expect("address")
}

fn request(body: &'static str) -> HookRequest {
    let mut request = HookRequest::post(PATH, body).with_header(HEADER, HeaderValue::from_static(SECRET_TOKEN));
    request.peer = telegram();
    request
}

const UPDATE: &str =
    r#"{"update_id":1,"message":{"message_id":2,"date":1,"chat":{"id":3,"type":"private"},"text":"яма"}}"#;

#[test]
fn a_proven_update_is_taken_and_the_answer_says_nothing() {
    let receipt = connector(&Setup::new()).receive(&request(UPDATE)).expect("proven");
    assert_eq!(receipt.items.len(), 1);
    assert_eq!(receipt.items[0].external_id, "3:2");
    assert_eq!(receipt.reply.status, 200);
    assert!(
        receipt.reply.body.is_empty(),
        "Telegram would execute what an answer names"
    );
}

#[test]
fn what_is_proven_but_not_understood_is_kept_and_accepted() {
    for body in [
        "<html>",
        "[]",
        "",
        "{\"update_id\":1}",
        "{\"update_id\":1,\"neural_whisper\":{}}",
    ] {
        let receipt = connector(&Setup::new()).receive(&request(body)).expect("proven");
        assert_eq!(receipt.reply.status, 200);
        assert_eq!(receipt.items[0].body, body);
    }
}

#[test]
fn nobody_else_is_believed() {
    let setup = Setup::new();
    let connector = connector(&setup);
    let refused = |change: fn(&mut HookRequest)| {
        let mut request = request(UPDATE);
        change(&mut request);
        connector.receive(&request).err()
    };
    assert_eq!(refused(|_| {}), None);
    assert_eq!(
        refused(|request| request.path = "wrong".into()),
        Some(Refusal::WrongPath)
    );
    assert_eq!(refused(|request| request.path.push('x')), Some(Refusal::WrongPath));
    assert_eq!(
        refused(|request| request.headers.clear()),
        Some(Refusal::Unauthenticated)
    );
    assert_eq!(
        refused(|request| {
            request.headers.insert(HEADER, HeaderValue::from_static("wrong"));
        }),
        Some(Refusal::Forbidden)
    );
    assert_eq!(
        refused(|request| request.peer = "192.0.2.7".parse().expect("address")),
        Some(Refusal::ForeignNetwork)
    );
    assert_eq!(
        refused(|request| request.method = "GET".into()),
        Some(Refusal::MethodNotAllowed)
    );
}

#[test]
fn the_test_of_networks_can_be_switched_off() {
    let setup = Setup::new();
    let mut webhook = setup.webhook();
    webhook["source_networks"] = json!([]);
    let connector = setup
        .build(json!({"mode": "webhook", "webhook": webhook}))
        .expect("settings fit");
    let mut request = request(UPDATE);
    request.peer = "192.0.2.7".parse().expect("address");
    assert!(connector.receive(&request).is_ok());
}

#[test]
fn in_polling_mode_there_is_no_webhook() {
    let connector = Setup::new().build(json!({})).expect("settings fit");
    assert_eq!(connector.receive(&request(UPDATE)).err(), Some(Refusal::NotFound));
}
