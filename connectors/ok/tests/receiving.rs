//! The webhook: who is believed, and that nothing of theirs is lost.

use priem_sdk::Refusal;

use super::*;

const DELIVERY: &str = r#"{"sender":{"user_id":"user:9"},"recipient":{"chat_id":"chat:C1"},
    "message":{"text":"яма","seq":91563512905728042,"mid":"mid:C1.0145"},"timestamp":1788000000123}"#;

fn connector() -> Arc<dyn Connector> {
    planted().connector(by_webhook())
}

#[test]
fn a_proven_delivery_is_taken_under_the_group_of_its_path() {
    let connector = connector();
    let receipt = connector.receive(&prove(DELIVERY.into())).expect("proven");
    assert_eq!(receipt.items[0].external_id, format!("{GROUP}/mid:C1.0145"));
    assert_eq!((receipt.reply.status, receipt.reply.body.len()), (200, 0));
    let mut other = prove(DELIVERY.into());
    other.path = format!("/{PATH}/{OTHER}/");
    let receipt = connector.receive(&other).expect("proven");
    assert_eq!(receipt.items[0].external_id, format!("{OTHER}/mid:C1.0145"));
}

#[test]
fn what_is_proven_but_not_understood_is_kept_and_accepted() {
    for body in [
        "<html>",
        "[]",
        "",
        "{}",
        "{\"webhookType\":\"DREAM\"}",
        "{\"message\":1}",
    ] {
        let receipt = connector().receive(&prove(body.into())).expect("proven");
        assert_eq!(receipt.reply.status, 200);
        assert_eq!(receipt.items[0].body, body);
    }
}

#[test]
fn without_a_webhook_there_is_none() {
    let connector = planted().connector(json!({}));
    assert_eq!(
        connector.receive(&prove(DELIVERY.into())).err(),
        Some(Refusal::NotFound)
    );
}
