//! Bots Long Poll: every meaning of `failed`, both forms of `ts`, and the right decision for every kind of trouble.

use std::sync::atomic::{AtomicUsize, Ordering};

use priem_sdk::{ConnectorError, Wait};

use super::*;

const STREAM: &str = "longpoll/190700001";

fn server(key: &str, ts: Value) -> Value {
    json!({"response": {"server": "{own}/lp", "key": key, "ts": ts}})
}

/// A VK whose long poll gives these answers one after another, and the last one for ever.
async fn vk(answers: Vec<Value>) -> Vk {
    let (turn, session) = (AtomicUsize::new(0), AtomicUsize::new(0));
    Vk::start(move |call| match call.method.as_str() {
        "groups.getLongPollServer" => {
            let number = session.fetch_add(1, Ordering::Relaxed);
            server(&format!("key+{number}="), json!("100"))
        }
        "a_check" => {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            answers[turn.min(answers.len() - 1)].clone()
        }
        other => json!({"error": {"error_code": 3, "error_msg": other}}),
    })
    .await
}

fn event(id: i64) -> Value {
    json!({"type": "wall_reply_new", "group_id": GROUP, "event_id": format!("e{id}"), "v": "5.199",
        "object": {"id": id, "from_id": 5, "date": 1_788_000_000, "text": format!("слово {id}"), "post_id": 1, "post_owner_id": -GROUP}})
}

async fn poll(connector: &Arc<dyn Connector>, ts: &str) -> Result<Page, ConnectorError> {
    connector.poll(&cx(), STREAM, &Cursor(ts.into())).await
}

#[tokio::test]
async fn events_come_once_and_ts_goes_on_as_text_or_number() {
    let setup = planted();
    let vk = vk(vec![
        json!({"ts": "103", "updates": [event(1), event(2)]}),
        json!({"ts": 104, "updates": []}),
        json!({"ts": "105", "updates": [event(2), event(3)]}),
    ])
    .await;
    let connector = setup.against(vk.api_url(), json!({}));
    let mut journal = Journal::default();
    let mut cursor = Cursor::start();
    for expected in ["100", "103", "104", "105"] {
        let page = connector.poll(&cx(), STREAM, &cursor).await.expect("a page");
        assert_eq!((page.wait, page.gap.clone()), (Wait::Now, None));
        cursor = journal.commit(&connector, STREAM, page).await;
        assert_eq!(cursor.0, expected);
    }
    assert_eq!(journal.stored.len(), 3);
    assert_eq!(vk.calls("groups.getLongPollServer").len(), 1);
    let asked = vk.calls("a_check");
    assert_eq!(asked[0].param("key"), "key+0=", "the key arrives as it was given");
    assert_eq!(asked[1].param("ts"), "103");
    assert_eq!(
        vk.calls("groups.getLongPollServer")[0].param("access_token"),
        token(GROUP)
    );
}

#[tokio::test]
async fn failed_1_is_a_gap_and_goes_on_where_vk_says() {
    let vk = vk(vec![
        json!({"failed": 1, "ts": 150}),
        json!({"ts": "151", "updates": [event(1)]}),
    ])
    .await;
    let connector = planted().against(vk.api_url(), json!({}));
    let page = poll(&connector, "100").await.expect("a page");
    assert_eq!(
        (page.next.0.as_str(), page.gap.is_some(), page.items.len()),
        ("150", true, 0)
    );
    poll(&connector, "150").await.expect("a page");
    assert_eq!(vk.calls("groups.getLongPollServer").len(), 1, "the session stays");
}

#[tokio::test]
async fn failed_2_takes_a_new_key_and_keeps_the_place() {
    let vk = vk(vec![
        json!({"ts": "101", "updates": []}),
        json!({"failed": 2}),
        json!({"ts": "102", "updates": [event(1)]}),
    ])
    .await;
    let connector = planted().against(vk.api_url(), json!({}));
    poll(&connector, "90").await.expect("a page");
    let page = poll(&connector, "101").await.expect("a page");
    assert_eq!((page.next.0.as_str(), page.gap, page.items.len()), ("102", None, 1));
    let asked = vk.calls("a_check");
    assert_eq!(
        (asked[2].param("key"), asked[2].param("ts")),
        ("key+1=", "101"),
        "not the 100 of the new server"
    );
}

#[tokio::test]
async fn what_fails_again_and_again_is_one_gap_and_one_more_at_its_end() {
    for code in [1, 3] {
        let failed = |ts: i64| json!({"failed": code, "ts": ts});
        let vk = vk(vec![
            json!({"ts": "101", "updates": []}),
            failed(150),
            failed(151),
            failed(152),
            json!({"ts": "160", "updates": [event(1)]}),
        ])
        .await;
        let connector = planted().against(vk.api_url(), json!({}));
        poll(&connector, "90").await.expect("a page");
        let page = poll(&connector, "101").await.expect("a page");
        assert!(page.gap.is_some(), "{code}");
        for _ in 0..2 {
            let error = poll(&connector, &page.next.0)
                .await
                .expect_err("trouble with growing pauses");
            assert_eq!(error.kind(), "transient");
        }
        let end = poll(&connector, &page.next.0).await.expect("a page");
        assert_eq!(
            (end.next.0.as_str(), end.items.len(), end.gap.is_some()),
            ("160", 1, true)
        );
        assert!(vk.calls("groups.getLongPollServer").len() <= 4, "{code}");
    }
}

#[tokio::test]
async fn failed_3_takes_everything_anew_and_is_a_gap() {
    let vk = vk(vec![json!({"failed": 3}), json!({"failed": 3})]).await;
    let connector = planted().against(vk.api_url(), json!({}));
    let page = poll(&connector, "7").await.expect("a page");
    assert_eq!((page.next.0.as_str(), page.gap.is_some()), ("100", true));
    let error = poll(&connector, "100").await.expect_err("it would go round for ever");
    assert_eq!(error.kind(), "transient");
}

#[tokio::test]
async fn what_never_works_never_spins() {
    for (answer, kind) in [
        (json!({"failed": 2}), "transient"),
        (json!({"failed": 77}), "transient"),
        (json!({"failed": 1}), "transient"),
        (
            json!({"failed": 4, "min_version": 1, "max_version": 2}),
            "misconfigured",
        ),
        (json!({"updates": []}), "transient"),
        (json!([]), "transient"),
    ] {
        let vk = vk(vec![answer.clone()]).await;
        let connector = planted().against(vk.api_url(), json!({}));
        // One new session at once is allowed.
        let error = match poll(&connector, "100").await {
            Ok(page) => poll(&connector, &page.next.0).await.expect_err("no page"),
            Err(error) => error,
        };
        assert_eq!(error.kind(), kind, "{answer}");
    }
}

#[tokio::test]
async fn trouble_of_the_line_discards_neither_key_nor_place() {
    let setup = planted();
    let vk = vk(vec![json!({"ts": "101", "updates": []})]).await;
    let connector = setup.against(vk.api_url(), json!({}));
    poll(&connector, "100").await.expect("a page");
    let heard = Arc::clone(&vk.heard);
    drop(vk);
    for _ in 0..2 {
        assert_eq!(
            poll(&connector, "101").await.expect_err("nobody listens").kind(),
            "transient"
        );
    }
    let sessions = heard
        .lock()
        .iter()
        .filter(|call| call.method == "groups.getLongPollServer")
        .count();
    assert_eq!(sessions, 1, "a new one would be asked for first, and nobody answers");
}

#[tokio::test]
async fn one_dead_key_is_the_trouble_of_one_stream() {
    let setup = planted();
    let vk = Vk::start(|call| match call.method.as_str() {
        "a_check" => json!({"ts": "2", "updates": []}),
        _ if call.number("group_id") == GROUP => {
            json!({"error": {"error_code": 5, "error_msg": "User authorization failed"}})
        }
        _ => server("k", json!(1)),
    })
    .await;
    let communities = json!([listed(GROUP), listed(GROUP + 1)]);
    let connector = setup.against(vk.api_url(), json!({"communities": communities}));
    let ids: Vec<String> = connector.streams().iter().map(priem_sdk::Stream::id).collect();
    assert_eq!(ids, ["longpoll/190700001", "longpoll/190700002", "messages"]);
    assert_eq!(
        poll(&connector, "1").await.expect_err("a dead key").kind(),
        "auth_rejected"
    );
    let page = connector
        .poll(&cx(), "longpoll/190700002", &Cursor::start())
        .await
        .expect("a page");
    assert_eq!(page.next.0, "1");
    assert_eq!(
        connector
            .poll(&cx(), "longpoll/5", &Cursor::start())
            .await
            .expect_err("a stranger")
            .kind(),
        "misconfigured"
    );
}

#[tokio::test]
async fn after_a_limit_vk_is_left_alone() {
    let vk = Vk::start(|_| json!({"error": {"error_code": 29, "error_msg": "Rate limit reached"}})).await;
    let connector = planted().against(vk.api_url(), json!({}));
    for _ in 0..5 {
        assert_eq!(poll(&connector, "1").await.expect_err("a limit").kind(), "rate_limited");
    }
    assert_eq!(vk.heard().len(), 1, "the gate is shut for everything this key does");
}

#[tokio::test]
async fn events_are_switched_on_only_when_asked_for() {
    let setup = planted();
    let vk = Vk::start(|call| match call.method.as_str() {
        "groups.getLongPollSettings" => {
            json!({"response": {"is_enabled": 1, "api_version": "5.199", "events": {"message_new": 1, "like_add": 1}}})
        }
        _ => json!({"response": 1}),
    })
    .await;
    setup
        .against(vk.api_url(), json!({}))
        .subscribe_stream(&cx(), STREAM)
        .await
        .expect("nothing to do");
    assert!(vk.heard().is_empty());
    let connector = setup.against(vk.api_url(), json!({"switch_on_events": true}));
    connector.subscribe_stream(&cx(), STREAM).await.expect("switched on");
    let set = vk.calls("groups.setLongPollSettings").pop().expect("a call");
    assert_eq!(
        (
            set.param("enabled"),
            set.param("wall_reply_new"),
            set.param("api_version")
        ),
        ("1", "1", "5.199")
    );
    assert!(!set.params.contains_key("message_new") && !set.params.contains_key("like_add"));
}
