//! `check`: what VK says of keys, rights, events and servers, in words with a cure.

use super::*;

fn healthy(call: &Heard) -> Value {
    match call.method.as_str() {
        "groups.getById" => {
            let id: i64 = call
                .param("access_token")
                .trim_start_matches("vk1.a.communitytoken")
                .parse()
                .unwrap_or(0);
            json!({"response": {"groups": [{"id": id, "name": "Двор"}]}})
        }
        "groups.getTokenPermissions" => json!({"response": {"mask": 266_240, "permissions": [
            {"name": "messages", "setting": 4096}, {"name": "manage", "setting": 262_144}]}}),
        "groups.getLongPollSettings" => {
            let events: serde_json::Map<String, Value> = super::super::event::WANTED
                .iter()
                .map(|name| ((*name).to_owned(), 1.into()))
                .collect();
            json!({"response": {"is_enabled": true, "api_version": "5.199", "events": events}})
        }
        "wall.get" => json!({"response": {"count": 0, "items": []}}),
        _ => json!({"error": {"error_code": 3, "error_msg": "Unknown method passed"}}),
    }
}

/// `outcome what: detail` of every finding.
async fn found(more: Value, script: impl Fn(&Heard) -> Option<Value> + Send + Sync + 'static) -> Vec<String> {
    found_by(&planted(), more, script).await
}

async fn found_by(
    setup: &Planted,
    more: Value,
    script: impl Fn(&Heard) -> Option<Value> + Send + Sync + 'static,
) -> Vec<String> {
    let vk = Vk::start(move |call| script(call).unwrap_or_else(|| healthy(call))).await;
    let settings = testing::over(json!({"catch_up": {"token": setup.file("service")}}), &more);
    let report = setup
        .against(vk.api_url(), settings)
        .check(&cx())
        .await
        .expect("a report");
    let changes = vk
        .heard()
        .into_iter()
        .filter(|call| call.method.contains(".set") || call.method.contains(".add"));
    assert_eq!(changes.count(), 0, "check changes nothing");
    let line = |finding: &priem_sdk::CheckFinding| format!("{} {}: {}", finding.outcome, finding.what, finding.detail);
    report.findings.iter().map(line).collect()
}

#[tokio::test]
async fn a_healthy_community_is_told_in_four_lines() {
    let lines = found(json!({}), |_| None).await;
    assert_eq!(
        lines,
        [
            "ok token: 190700001: «Двор»",
            "ok rights: 190700001: manage, messages",
            "ok events: 190700001: all 24 types are on",
            "ok catch_up: service key, reads walls and discussions",
        ]
    );
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let answer =
        |method: &'static str, answer: Value| move |call: &Heard| (call.method == method).then(|| answer.clone());
    let off = json!({"response": {"is_enabled": true, "api_version": "5.90", "events": {"message_new": 1}}});
    let lines = found(json!({}), answer("groups.getLongPollSettings", off))
        .await
        .join("\n");
    assert!(
        lines.contains("warning events: 190700001: events come in the old version 5.90"),
        "{lines}"
    );
    assert!(
        lines.contains("switched off and never sent: message_edit, wall_post_new"),
        "{lines}"
    );
    let none = json!({"response": {"is_enabled": false, "events": {}}});
    let lines = found(json!({}), answer("groups.getLongPollSettings", none))
        .await
        .join("\n");
    assert!(
        lines.contains("failed events: 190700001: Long Poll is switched off"),
        "{lines}"
    );
    let poor = json!({"response": {"permissions": [{"name": "messages", "setting": 4096}]}});
    let lines = found(json!({}), answer("groups.getTokenPermissions", poor))
        .await
        .join("\n");
    assert!(
        lines.contains("failed rights: 190700001: the key lacks «управление сообществом»"),
        "{lines}"
    );
    // The answer of versions before 5.139 is a list.
    let foreign = json!({"response": [{"id": 5, "name": "Чужие"}]});
    let lines = found(json!({}), answer("groups.getById", foreign)).await.join("\n");
    assert!(
        lines.contains("failed token: 190700001: the key belongs to community 5"),
        "{lines}"
    );
    let dead = json!({"error": {"error_code": 5, "error_msg": "User authorization failed"}});
    let lines = found(json!({}), answer("groups.getById", dead)).await.join("\n");
    assert!(lines.contains("failed token: 190700001: VK refused"), "{lines}");
    let group_key = json!({"error": {"error_code": 27, "error_msg": "Group authorization failed"}});
    let lines = found(json!({}), answer("wall.get", group_key)).await.join("\n");
    assert!(lines.contains("failed rights: catch_up: VK refused"), "{lines}");
}

#[tokio::test]
async fn a_callback_server_is_looked_at() {
    for (status, outcome) in [
        ("ok", "ok callback"),
        ("failed", "failed callback"),
        ("wait", "warning callback"),
    ] {
        let more = json!({"mode": "callback", "callback": {"secret": {"file": "secret"}}});
        let lines = found(more, move |call| match call.method.as_str() {
            "groups.getCallbackServers" => Some(json!({"response": {"count": 1, "items": [
                {"id": 4, "url": "https://priem.example.ru/hooks/vk-city", "status": status, "secret_key": "x"}]}})),
            "groups.getCallbackSettings" => Some(json!({"response": {"api_version": "5.199", "events": {}}})),
            _ => None,
        })
        .await
        .join("\n");
        assert!(
            lines.contains(outcome) && lines.contains("switched off and never sent"),
            "{lines}"
        );
    }
}

#[tokio::test]
async fn many_communities_share_a_line_and_the_bad_one_stands_out() {
    let setup = planted();
    let list: String = (1..=30).map(|id| format!("{id};{}\n", token(id))).collect();
    setup.write("list", &list);
    let dead = token(7);
    let lines = found_by(
        &setup,
        json!({"communities": [], "communities_list": setup.file("list")}),
        move |call| {
            (call.param("access_token") == dead).then(|| json!({"error": {"error_code": 5, "error_msg": "no"}}))
        },
    )
    .await;
    assert_eq!(lines[0], "failed token: 7: VK refused");
    assert_eq!(lines[1], "ok communities: 29 of 30 as they should be");
}
