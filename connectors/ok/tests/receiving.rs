//! The webhook: who is believed, and that nothing of theirs is lost.

use priem_sdk::{HookRequest, Refusal};

use super::*;

const DELIVERY: &str = r#"{"sender":{"user_id":"user:9"},"recipient":{"chat_id":"chat:C1"},
    "message":{"text":"яма","seq":91563512905728042,"mid":"mid:C1.0145"},"timestamp":1788000000123}"#;

fn connector(setup: &Setup) -> Arc<dyn Connector> {
    setup
        .build(json!({"mode": "webhook", "webhook": {"path": setup.file("path")}}))
        .expect("settings fit")
}

fn request(body: &'static str) -> HookRequest {
    let mut request = HookRequest::post(format!("{PATH}/{GROUP}"), body);
    request.peer = "217.20.151.165".parse().expect("address");
    request
}

#[test]
fn a_proven_delivery_is_taken_under_the_group_of_its_path() {
    let setup = Setup::new();
    let connector = connector(&setup);
    let receipt = connector.receive(&request(DELIVERY)).expect("proven");
    assert_eq!(receipt.items[0].external_id, format!("{GROUP}/mid:C1.0145"));
    assert_eq!((receipt.reply.status, receipt.reply.body.len()), (200, 0));
    let mut other = request(DELIVERY);
    other.path = format!("/{PATH}/{OTHER}/");
    let receipt = connector.receive(&other).expect("proven");
    assert_eq!(receipt.items[0].external_id, format!("{OTHER}/mid:C1.0145"));
}

#[test]
fn what_is_proven_but_not_understood_is_kept_and_accepted() {
    let setup = Setup::new();
    for body in [
        "<html>",
        "[]",
        "",
        "{}",
        "{\"webhookType\":\"DREAM\"}",
        "{\"message\":1}",
    ] {
        let receipt = connector(&setup).receive(&request(body)).expect("proven");
        assert_eq!(receipt.reply.status, 200);
        assert_eq!(receipt.items[0].body, body);
    }
}

#[test]
fn nobody_else_is_believed() {
    let setup = Setup::new();
    let connector = connector(&setup);
    let refused = |change: fn(&mut HookRequest)| {
        let mut request = request(DELIVERY);
        change(&mut request);
        connector.receive(&request).err()
    };
    assert_eq!(refused(|_| {}), None);
    assert_eq!(refused(|request| request.path = GROUP.into()), Some(Refusal::WrongPath));
    assert_eq!(refused(|request| request.path = PATH.into()), Some(Refusal::WrongPath));
    assert_eq!(
        refused(|request| request.path = format!("{PATH}/57000000000009")),
        Some(Refusal::WrongPath)
    );
    assert_eq!(
        refused(|request| request.path = format!("{PATH}x/{GROUP}")),
        Some(Refusal::WrongPath)
    );
    assert_eq!(
        refused(|request| request.peer = "217.20.151.159".parse().expect("address")),
        Some(Refusal::ForeignNetwork)
    );
    assert_eq!(
        refused(|request| request.method = "GET".into()),
        Some(Refusal::MethodNotAllowed)
    );
}

#[test]
fn without_a_webhook_there_is_none() {
    let connector = Setup::new().build(json!({})).expect("settings fit");
    assert_eq!(connector.receive(&request(DELIVERY)).err(), Some(Refusal::NotFound));
}
