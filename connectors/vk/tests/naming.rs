//! Names of authors: in batches, once, and never at the cost of a message.

use super::*;

fn message(from: i64) -> priem_sdk::Message {
    let event = json!({"type": "wall_reply_new", "group_id": GROUP, "object":
        {"id": from.abs(), "from_id": from, "text": "слово", "post_id": 1, "post_owner_id": -GROUP}});
    let item = super::super::split::item(event.to_string().into());
    let mut messages =
        super::super::normalize::normalize(&raw(item, 0), super::super::normalize::Policy::default()).expect("known");
    messages.remove(0)
}

fn names(messages: &[priem_sdk::Message]) -> Vec<Option<&str>> {
    messages
        .iter()
        .map(|message| message.data.author.name.as_deref())
        .collect()
}

#[tokio::test]
async fn names_come_in_one_call_and_stay_known() {
    let vk = Vk::start(|call| match call.method.as_str() {
        "users.get" => json!({"response": [
            {"id": 1, "first_name": "Анна", "last_name": "Жукова", "screen_name": "anna_zh"},
            {"id": 2, "first_name": "DELETED", "last_name": "", "deactivated": "deleted"},
            {"id": 4, "first_name": "Олег", "last_name": "", "screen_name": "id4"}]}),
        _ => json!({"response": {"groups": [{"id": 7, "name": "ТСЖ «Заря»", "screen_name": "club7"}]}}),
    })
    .await;
    let connector = planted().against(vk.api_url(), json!({}));
    assert!(connector.enriches());
    let mut messages: Vec<_> = [1, 2, 3, 4, -7, 1].map(message).into();
    let before = messages.clone();
    connector.enrich(&cx(), &mut messages).await;
    assert_eq!(
        names(&messages),
        [
            Some("Анна Жукова"),
            None,
            None,
            Some("Олег"),
            Some("ТСЖ «Заря»"),
            Some("Анна Жукова")
        ]
    );
    assert_eq!(messages[0].data.author.username.as_deref(), Some("anna_zh"));
    assert_eq!(
        (&messages[3].data.author.username, &messages[4].data.author.username),
        (&None, &None)
    );
    assert!(
        messages
            .iter()
            .zip(&before)
            .all(|(after, before)| after.id == before.id)
    );
    let mut again = before;
    connector.enrich(&cx(), &mut again).await;
    assert_eq!(names(&again), names(&messages));
    assert_eq!(
        vk.heard().len(),
        2,
        "unknown and deleted people are not asked for again either"
    );
    assert_eq!(vk.calls("users.get")[0].param("user_ids"), "1,2,3,4");
    assert_eq!(vk.calls("groups.getById")[0].param("group_ids"), "7");
}

#[tokio::test]
async fn one_dead_key_leaves_names_to_the_next_and_no_key_leaves_them_empty() {
    let setup = planted();
    let dead = token(GROUP);
    let vk = Vk::start(move |call| {
        if call.param("access_token") == dead {
            return json!({"error": {"error_code": 5, "error_msg": "no"}});
        }
        json!({"response": [{"id": 1, "first_name": "Анна", "last_name": "Жукова"}]})
    })
    .await;
    let communities = json!([listed(GROUP), listed(GROUP + 1)]);
    let connector = setup.against(vk.api_url(), json!({"communities": communities}));
    let mut messages = vec![message(1)];
    connector.enrich(&cx(), &mut messages).await;
    assert_eq!(names(&messages), [Some("Анна Жукова")]);
    let alone = setup.against(vk.api_url(), json!({}));
    let mut messages = vec![message(1)];
    alone.enrich(&cx(), &mut messages).await;
    assert_eq!(names(&messages), [None]);
    assert!(!setup.against(vk.api_url(), json!({"author_names": false})).enriches());
}
