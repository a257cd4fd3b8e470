//! Webhook deliveries: who is let in, and what the answer is.

use priem_sdk::Refusal;

use super::*;

const UPDATE: &str = include_str!("../fixtures/dialog_text.json");

#[test]
fn a_proven_delivery_is_one_item_and_exactly_200() {
    let connector = planted().connector(by_webhook(false));
    let receipt = connector.receive(&prove(UPDATE.into())).expect("taken");
    assert_eq!((receipt.items.len(), receipt.reply.status), (1, 200));
    assert_eq!(receipt.items[0].problem, None);
    let receipt = connector.receive(&prove("<html>".into())).expect("taken");
    assert_eq!(
        receipt.items[0].problem.as_ref().map(|problem| problem.reason),
        Some("not_json")
    );
    assert_eq!(receipt.reply.status, 200);
}

#[test]
fn another_network_is_a_warning_or_a_refusal_as_the_settings_say() {
    let mut from_elsewhere = prove(UPDATE.into());
    from_elsewhere.peer = [192, 0, 2, 7].into();
    let receive = |enforced: bool| planted().connector(by_webhook(enforced)).receive(&from_elsewhere);
    assert!(receive(false).is_ok());
    assert_eq!(receive(true).err(), Some(Refusal::ForeignNetwork));
}

#[test]
fn in_polling_mode_there_is_no_webhook() {
    let connector = planted().connector(json!({}));
    assert_eq!(connector.receive(&prove(UPDATE.into())).err(), Some(Refusal::NotFound));
}
