//! Our own hearing: what is said when it goes, and a group that is followed under its new number.

use jiff::Timestamp;
use priem_sdk::{
    Cursor,
    conformance::{Planted, ScriptedAnswer, ScriptedServer},
};

use super::*;

const OLD: i64 = -500;
const NEW: i64 = -1_001_777;

fn bot(setup: &Planted, more: Value) -> Arc<dyn Connector> {
    setup.connector(testing::over(by_webhook(), &more))
}

/// Delivers an update; what is stored of it.
fn deliver(connector: &Arc<dyn Connector>, update: &Value) -> Item {
    let request = prove(update.to_string().into());
    connector.receive(&request).expect("proven").items.remove(0)
}

fn told(connector: &Arc<dyn Connector>) -> Vec<String> {
    connector.unheard().expect("Telegram says it").told()
}

fn member(status: &str, before: &str) -> Value {
    json!({"update_id": 1, "my_chat_member": {"chat": {"id": -1_001_500, "type": "supergroup", "title": "Двор"},
        "date": 1, "old_chat_member": {"status": before}, "new_chat_member": {"status": status}}})
}

fn message(chat: i64, kind: &str, more: Value) -> Value {
    let mut message = json!({"message_id": 10, "date": 1, "from": {"id": 7, "first_name": "Анна"},
        "chat": {"id": chat, "type": kind, "title": "Двор"}});
    message
        .as_object_mut()
        .expect("an object")
        .extend(more.as_object().expect("an object").clone());
    json!({"update_id": 2, "message": message})
}

#[test]
fn being_put_out_of_a_chat_is_said_until_something_comes_from_there() {
    let setup = planted();
    let connector = bot(&setup, json!({}));
    for (status, before) in [
        ("kicked", "administrator"),
        ("left", "member"),
        ("member", "administrator"),
    ] {
        deliver(&connector, &member(status, before));
        let said = told(&connector);
        assert!(
            said.len() == 1 && said[0].contains("chat -1001500 «Двор»"),
            "{status}: {said:?}"
        );
        deliver(&connector, &message(-1_001_500, "supergroup", json!({"text": "яма"})));
        assert_eq!(told(&connector), [""; 0], "{status}");
    }
    deliver(&connector, &member("kicked", "member"));
    deliver(&connector, &member("administrator", "left"));
    assert_eq!(told(&connector), [""; 0], "let in again");
    let mut blocked = member("kicked", "member");
    blocked["my_chat_member"]["chat"]["type"] = "private".into();
    deliver(&connector, &blocked);
    assert_eq!(
        told(&connector),
        [""; 0],
        "a person who blocks the bot is nobody we should hear"
    );
}

#[test]
fn a_business_connection_that_is_off_is_said_until_it_is_on() {
    let setup = planted();
    let connector = bot(&setup, json!({}));
    let connection = |enabled: bool| json!({"update_id": 3, "business_connection": {"id": "bc1", "user_chat_id": 9, "is_enabled": enabled}});
    deliver(&connector, &connection(false));
    assert!(told(&connector)[0].contains("business bc1"));
    deliver(&connector, &connection(true));
    assert_eq!(told(&connector), [""; 0]);
}

#[test]
fn a_listed_group_is_followed_under_its_new_number() {
    let setup = planted();
    for told in [
        message(OLD, "group", json!({"migrate_to_chat_id": NEW})),
        message(NEW, "supergroup", json!({"migrate_from_chat_id": OLD})),
    ] {
        let listed = json!({"only_listed_chats": true, "chats": [{"id": OLD, "name": "Двор"}]});
        let connector = bot(&setup, listed.clone());
        let words = message(NEW, "supergroup", json!({"text": "Нет воды"}));
        let before = deliver(&connector, &words);
        assert_eq!(connector.normalize(&raw(before)).expect("known"), [], "not listed");
        deliver(&connector, &told);
        let after = deliver(&connector, &words);
        assert_eq!(
            after.conversation.as_deref(),
            Some("-500"),
            "one conversation with the old group"
        );
        // Whoever reads it later knows nothing of the change.
        let messages = bot(&setup, listed).normalize(&raw(after)).expect("known");
        assert_eq!(messages.len(), 1);
        let foreign = message(NEW - 1, "supergroup", json!({"text": "Нет воды"}));
        let foreign = deliver(&connector, &foreign);
        assert_eq!(connector.normalize(&raw(foreign)).expect("known"), []);
    }
}

#[tokio::test]
async fn a_listed_chat_that_put_us_out_while_we_were_away_is_said() {
    let setup = planted();
    let (city, bot) = city().await;
    bot.add_chat(
        json!({"id": -1_001_500, "type": "supergroup", "title": "Двор"}),
        "kicked",
    );
    let connector = setup.against(city.api_url(), json!({"chats": [{"id": -1_001_500, "name": "Двор"}]}));
    connector
        .poll(&cx(), "updates", &Cursor::start())
        .await
        .expect("a page");
    let said = told(&connector);
    assert!(said.len() == 1 && said[0].contains("chat -1001500"), "{said:?}");
}

#[tokio::test]
async fn a_chat_that_was_taken_out_of_the_settings_is_not_missed() {
    let setup = planted();
    let (city, bot) = city().await;
    bot.add_chat(
        json!({"id": -1_001_500, "type": "supergroup", "title": "Двор"}),
        "administrator",
    );
    let listed = json!({"only_listed_chats": true, "chats": [{"id": -1_001_500, "name": "Двор"}]});
    let connector = setup.against(city.api_url(), listed);
    let earlier: Value = ["chat -1001500", "chat -1001501", "business b"]
        .iter()
        .map(|part| ((*part).to_owned(), json!({"why": part, "since": Timestamp::now()})))
        .collect::<serde_json::Map<_, _>>()
        .into();
    connector.unheard().expect("kept").restore(&earlier.to_string());
    let mut cursor = Cursor::start();
    for _ in 0..2 {
        assert!(told(&connector).contains(&"chat -1001500".to_owned()));
        cursor = connector.poll(&cx(), "updates", &cursor).await.expect("a page").next;
    }
    assert_eq!(told(&connector), ["business b", "chat -1001500"]);
}

#[tokio::test]
async fn a_smaller_server_is_polled_and_says_what_became_of_a_group_while_we_were_away() {
    let setup = planted();
    let server = ScriptedServer::start(|request| {
        if request.target.ends_with("/getChat") {
            let refusal = json!({"ok": false, "error_code": 400, "description": "upgraded",
                "parameters": {"migrate_to_chat_id": NEW}});
            return ScriptedAnswer::json(&refusal).with_status(400);
        }
        if request.target.ends_with("/getUpdates") {
            let words = message(NEW, "supergroup", json!({"text": "Нет воды"}));
            return ScriptedAnswer::json(&json!({"ok": true, "result": [words], "description": null}));
        }
        ScriptedAnswer::json(&json!({"ok": false, "error_code": 500})).with_status(500)
    });
    let server = server.await.expect("a free port");
    let settings = json!({"api_url": server.url(), "only_listed_chats": true, "chats": [{"id": OLD, "name": "Двор"}]});
    let connector = setup.connector(settings);
    connector.subscribe(&cx()).await.expect("getWebhookInfo is not needed");
    let mut page = connector
        .poll(&cx(), "updates", &Cursor::start())
        .await
        .expect("a page");
    let messages = connector.normalize(&raw(page.items.remove(0))).expect("known");
    assert_eq!(messages.len(), 1);
}
