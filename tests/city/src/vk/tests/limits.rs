//! Limits and trouble of the method API, and what a client must not do about them.

use super::*;

#[tokio::test]
async fn calls_are_counted_for_each_token_and_second() {
    let caller = caller(Options::default()).await;
    for _ in 0..3 {
        caller.call(SERVICE, "users.get", json!({"user_ids": 900})).await;
    }
    // All within a moment: a slow machine would have to take 0.9 s for four calls to spoil this.
    assert_eq!(caller.error(SERVICE, "users.get", json!({"user_ids": 900})).await, 6);
    for _ in 0..4 {
        caller.call(TOKEN, "users.get", json!({"user_ids": 900})).await;
    }
    let uses = caller.city.token_uses();
    assert_eq!((uses[SERVICE].requests, uses[SERVICE].times_too_fast), (4, 1));
    assert_eq!((uses[TOKEN].requests, uses[TOKEN].times_too_fast), (4, 0));
    assert_eq!(
        caller.city.violations(),
        ["too many requests a second with a service token"]
    );
}

#[tokio::test]
async fn a_daily_limit_counts_calls_inside_execute_too() {
    let caller = caller(Options::default()).await;
    caller.city.set_daily_limit("users.get", 2);
    let code = r#"return [API.users.get({"user_ids":"900"}),API.users.get({"user_ids":"900"}),API.users.get({})];"#;
    let envelope = caller.envelope(USER, "execute", json!({"code": code})).await;
    assert_eq!(envelope["execute_errors"][0]["error_code"], 29);
    assert!(caller.city.violations().is_empty());
    assert_eq!(caller.error(USER, "users.get", json!({})).await, 29);
    assert_eq!(
        caller.city.violations(),
        ["users.get: called again soon after it was told to wait"]
    );
    assert_eq!(caller.city.calls("users.get"), 4);
}

#[tokio::test]
async fn a_captcha_or_a_flood_wants_a_long_rest() {
    let caller = caller(fast()).await;
    caller.city.fault(Fault::api_error(14).on("users.get"));
    let error = &caller.envelope(TOKEN, "users.get", json!({"user_ids": 900})).await["error"];
    assert!(
        error["captcha_sid"].is_string() && error["redirect_uri"].is_string(),
        "{error}"
    );
    caller.city.advance(Duration::from_secs(31));
    caller.call(TOKEN, "users.get", json!({"user_ids": 900})).await;
    assert!(caller.city.violations().is_empty(), "{:?}", caller.city.violations());
    caller.city.fault(Fault::api_error(9).with_token(TOKEN));
    assert_eq!(caller.error(TOKEN, "users.get", json!({"user_ids": 900})).await, 9);
    caller.call(SERVICE, "users.get", json!({"user_ids": 900})).await;
    assert!(caller.city.violations().is_empty(), "another token may go on");
}

#[tokio::test]
async fn errors_repeat_the_request() {
    let caller = caller(fast()).await;
    let error = &caller.envelope("nobody", "wall.get", json!({"owner_id": -GROUP})).await["error"];
    let pairs = error["request_params"].as_array().expect("a list");
    assert!(
        pairs.contains(&json!({"key": "access_token", "value": "nobody"})),
        "secrets and all"
    );
    assert!(pairs.contains(&json!({"key": "method", "value": "wall.get"})));
}

#[tokio::test]
async fn what_a_client_must_not_do_is_written_down() {
    let caller = caller(fast()).await;
    assert_eq!(
        caller
            .error(TOKEN, "messages.send", json!({"peer_id": 7, "message": "ок"}))
            .await,
        3
    );
    assert_eq!(
        caller
            .error(SERVICE, "board.getComments", json!({"group_id": GROUP}))
            .await,
        100
    );
    caller
        .call(
            SERVICE,
            "wall.get",
            json!({"owner_id": -GROUP, "count": 101, "speed": 1}),
        )
        .await;
    let old = caller.envelope(USER, "users.get", json!({"v": "5.92"})).await;
    assert!(old["response"].is_array());
    let all = caller.city.violations().join("\n");
    for expected in [
        "messages.send: no business",
        "topic_id is missing",
        "count 101 is above 100",
        "\"speed\" is unknown",
        "version 5.92",
    ] {
        assert!(all.contains(expected), "{expected}: {all}");
    }
}

#[tokio::test]
async fn while_the_platform_is_down_nobody_is_answered() {
    let caller = caller(fast()).await;
    caller.city.outage(Outage::ApiError(10));
    assert_eq!(caller.error(TOKEN, "users.get", json!({})).await, 10);
    caller.city.outage(Outage::Html(504));
    let url = format!("{}/method/users.get", caller.city.api_url());
    assert_eq!(
        caller.http.get(&url).send().await.expect("an answer").status().as_u16(),
        504
    );
    caller.city.outage(Outage::Silent);
    let waiting = caller.http.get(&url).timeout(Duration::from_millis(50)).send().await;
    assert!(waiting.expect_err("no answer").is_timeout());
    caller.city.recover();
    caller.call(TOKEN, "users.get", json!({})).await;
}

#[tokio::test]
async fn a_thousand_communities_are_cheap() {
    let caller = caller(fast()).await;
    let communities: Vec<Community> = (1000..2000).map(|id| caller.city.community(id)).collect();
    for community in &communities {
        community.write(&citizen(), "Яма");
    }
    assert_eq!(caller.city.ledger_counts()["dialog"], 1000);
    let ids: Vec<String> = (1000..1500).map(|id| id.to_string()).collect();
    let groups = caller
        .call(SERVICE, "groups.getById", json!({"group_ids": ids.join(",")}))
        .await;
    assert_eq!(groups["groups"].as_array().map(Vec::len), Some(500));
}
