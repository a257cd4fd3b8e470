//! The webhook: who is believed, and that nothing of theirs is lost.

use priem_sdk::Refusal;

use super::*;

fn connector() -> Arc<dyn Connector> {
    planted().connector(by_webhook())
}

const UPDATE: &str =
    r#"{"update_id":1,"message":{"message_id":2,"date":1,"chat":{"id":3,"type":"private"},"text":"яма"}}"#;

#[test]
fn a_proven_update_is_taken_and_the_answer_says_nothing() {
    let receipt = connector().receive(&prove(UPDATE.into())).expect("proven");
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
        let receipt = connector().receive(&prove(body.into())).expect("proven");
        assert_eq!(receipt.reply.status, 200);
        assert_eq!(receipt.items[0].body, body);
    }
}

#[test]
fn the_test_of_networks_can_be_switched_off() {
    let mut settings = by_webhook();
    settings["webhook"]["source_networks"] = json!([]);
    let mut request = prove(UPDATE.into());
    request.peer = [192, 0, 2, 7].into();
    assert_eq!(connector().receive(&request).err(), Some(Refusal::ForeignNetwork));
    assert!(planted().connector(settings).receive(&request).is_ok());
}

#[test]
fn in_polling_mode_there_is_no_webhook() {
    let connector = planted().connector(json!({}));
    assert_eq!(connector.receive(&prove(UPDATE.into())).err(), Some(Refusal::NotFound));
}
