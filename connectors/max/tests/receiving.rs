//! Webhook deliveries: who is let in, and what the answer is.

use http::HeaderValue;
use priem_sdk::{HookRequest, Refusal};

use super::*;

const HEADER: &str = "x-max-bot-api-secret";
const UPDATE: &str = include_str!("../fixtures/dialog_text.json");

fn request(body: &'static str) -> HookRequest {
    let mut request = HookRequest::post(PATH, body).with_header(HEADER, HeaderValue::from_static(SECRET));
    request.peer = "185.16.150.1".parse().expect("address");
    request
}

fn connector(more: Value) -> Arc<dyn Connector> {
    let setup = Setup::new();
    let mut webhook = json!({"path": setup.file("path"), "secret": setup.file("secret")});
    extend(&mut webhook, more);
    setup
        .build(json!({"mode": "webhook", "webhook": webhook}))
        .expect("settings fit")
}

#[test]
fn a_proven_delivery_is_one_item_and_exactly_200() {
    let receipt = connector(json!({})).receive(&request(UPDATE)).expect("taken");
    assert_eq!((receipt.items.len(), receipt.reply.status), (1, 200));
    assert_eq!(receipt.items[0].problem, None);
    let receipt = connector(json!({})).receive(&request("<html>")).expect("taken");
    assert_eq!(
        receipt.items[0].problem.as_ref().map(|problem| problem.reason),
        Some("not_json")
    );
    assert_eq!(receipt.reply.status, 200);
}

#[test]
fn everybody_else_is_refused() {
    let connector = connector(json!({}));
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
        refused(|request| request.method = "GET".into()),
        Some(Refusal::MethodNotAllowed)
    );
}

#[test]
fn another_network_is_a_warning_or_a_refusal_as_the_settings_say() {
    let mut from_elsewhere = request(UPDATE);
    from_elsewhere.peer = "192.0.2.7".parse().expect("address");
    assert!(connector(json!({})).receive(&from_elsewhere).is_ok());
    let strict = connector(json!({"enforce_source_networks": true}));
    assert_eq!(strict.receive(&from_elsewhere).err(), Some(Refusal::ForeignNetwork));
    assert!(strict.receive(&request(UPDATE)).is_ok());
}

#[test]
fn in_polling_mode_there_is_no_webhook() {
    let connector = Setup::new().build(json!({})).expect("settings fit");
    assert_eq!(connector.receive(&request(UPDATE)).err(), Some(Refusal::NotFound));
}
