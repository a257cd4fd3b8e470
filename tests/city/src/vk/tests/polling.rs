//! The long poll server: waiting, `ts`, keys, lost history, trouble.

use super::*;

#[tokio::test]
async fn a_poll_waits_for_an_event_and_hands_it_out_to_everybody() {
    let caller = caller(Options::default()).await;
    let session = caller.session().await;
    let (first, second, ()) = tokio::join!(caller.poll(&session, 25), caller.poll(&session, 25), async {
        caller
            .community
            .wait_until(|community| community.polls_running() == 2)
            .await;
        caller.community.write(&citizen(), "Яма на Заречной");
    });
    assert_eq!(first, second);
    let update = &first["updates"][0];
    assert_eq!(update["type"], "message_new");
    assert_eq!(update["group_id"], GROUP);
    assert_eq!(update["v"], VERSION);
    assert_eq!(update["event_id"].as_str().map(str::len), Some(40));
    assert_eq!(update["object"]["message"]["text"], "Яма на Заречной");
    assert_eq!(update["object"]["message"]["conversation_message_id"], 1);
    assert_eq!(caller.community.polls_running(), 0);
    assert!(caller.city.violations().is_empty(), "{:?}", caller.city.violations());
}

#[tokio::test]
async fn ts_moves_on_empty_answers_past_events_that_are_off() {
    let caller = caller(fast()).await;
    let mut session = caller.session().await;
    caller.community.switch("message_new", false);
    caller.community.write(&citizen(), "не услышат");
    let before = session.ts.clone();
    assert_eq!(caller.kinds(&mut session).await, Vec::<String>::new());
    assert_ne!(session.ts, before);
    caller.community.post("Пост");
    assert_eq!(caller.kinds(&mut session).await, ["wall_post_new"]);
    assert_eq!(caller.kinds(&mut session).await, Vec::<String>::new());
    assert_eq!(caller.city.ledger()[0].announced, Vec::<&str>::new());
    caller.community.set_numeric_ts(true);
    assert!(caller.poll(&session, 1).await["ts"].is_u64());
}

#[tokio::test]
async fn a_batch_ends_and_the_rest_comes_with_the_next_poll() {
    let caller = caller(Options { batch: 3, ..fast() }).await;
    let mut session = caller.session().await;
    for number in 0..7 {
        caller.community.write(&citizen(), format!("№ {number}").as_str());
    }
    let mut sizes = Vec::new();
    for _ in 0..4 {
        sizes.push(caller.kinds(&mut session).await.len());
    }
    assert_eq!(sizes, [3, 3, 1, 0]);
}

#[tokio::test]
async fn an_expired_key_keeps_the_ts_good() {
    let caller = caller(fast()).await;
    let mut session = caller.session().await;
    caller.community.write(&citizen(), "до истечения");
    caller.community.expire_keys();
    assert_eq!(caller.poll(&session, 1).await, json!({"failed": 2}));
    session.key = caller.session().await.key;
    assert_eq!(caller.kinds(&mut session).await, ["message_new"]);
    // By itself a key ends after an hour; a poll that waits is told so.
    caller.city.advance(Duration::from_secs(3601));
    assert_eq!(caller.poll(&session, 1).await["failed"], 2);
    for _ in 0..4 {
        caller.poll(&session, 1).await;
    }
    let violations = caller.city.violations();
    assert!(
        violations[0].contains("goes on with a key that was refused"),
        "{violations:?}"
    );
}

#[tokio::test]
async fn lost_history_tells_where_to_go_on() {
    let caller = caller(fast()).await;
    let mut session = caller.session().await;
    caller.community.write(&citizen(), "пропало");
    caller.city.advance(Duration::from_secs(12 * 3600));
    caller.community.write(&citizen(), "есть");
    session.key = caller.session().await.key;
    let answer = caller.poll(&session, 1).await;
    assert_eq!(answer["failed"], 1);
    session.ts = answer["ts"].as_u64().expect("a number").to_string();
    assert_eq!(caller.kinds(&mut session).await, ["message_new"]);
    let dialog = json!({"peer_id": 7});
    let history = caller.call(TOKEN, "messages.getHistory", dialog).await;
    assert_eq!(history["count"], 2, "what polls have lost is still in the dialog");
}

#[tokio::test]
async fn a_server_that_forgot_everything_wants_a_new_start() {
    let caller = caller(fast()).await;
    for _ in 0..5 {
        caller.community.post("Пост");
    }
    let old = caller.session().await;
    caller.community.lose_everything();
    assert_eq!(caller.poll(&old, 1).await, json!({"failed": 3}));
    let new = caller.session().await;
    assert!(new.ts.parse::<u64>().expect("a number") < old.ts.parse().expect("a number"));
    let mixed = Session { ts: old.ts, ..new };
    assert_eq!(caller.poll(&mixed, 1).await["failed"], 1);
    assert!(caller.city.violations()[0].contains("never given out"));
}

#[tokio::test]
async fn faults_of_polls_strike_once_and_only_there() {
    let caller = caller(fast()).await;
    let mut session = caller.session().await;
    caller.city.fault(Fault::failed(7));
    caller.city.fault(Fault::failed(4).of(GROUP));
    caller.city.fault(Fault::failed(4).of(1));
    assert_eq!(caller.poll(&session, 1).await, json!({"failed": 7}));
    assert_eq!(caller.poll(&session, 1).await["max_version"], 3);
    caller.community.write(&citizen(), "а");
    caller.community.post("б");
    caller.city.fault(Fault::disorder());
    let again = session.clone();
    assert_eq!(caller.kinds(&mut session).await, ["wall_post_new", "message_new"]);
    caller.city.fault(Fault::duplicate().on(LONG_POLL));
    session = again;
    assert_eq!(caller.kinds(&mut session).await.len(), 4);
    caller.city.fault(Fault::html(502).on(LONG_POLL));
    let status = caller
        .http
        .get(&session.server)
        .send()
        .await
        .expect("an answer")
        .status();
    assert_eq!(status.as_u16(), 502);
    caller.city.fault(Fault::cut().on(LONG_POLL));
    let answer = caller.http.get(&session.server).send();
    let whole = async { answer.await?.bytes().await };
    assert!(whole.await.is_err());
}

#[tokio::test]
async fn what_a_poll_must_not_do_is_written_down() {
    let caller = caller(fast()).await;
    let session = caller.session().await;
    let wrong = [
        "act=a_check&key=k&ts=1&wait=25&access_token=x".to_owned(),
        format!("act=a_check&key={}&ts=1&wait=25", session.key),
        "key=nobody&ts=1&wait=25".to_owned(),
        "act=a_check&ts=x&wait=100".to_owned(),
    ];
    for query in wrong {
        caller
            .http
            .get(format!("{}?{query}", session.server))
            .send()
            .await
            .expect("an answer");
    }
    let all = caller.city.violations().join("\n");
    for expected in [
        "with a token",
        "not encoded",
        "without act",
        "wait Some(\"100\")",
        "ts Some(\"x\")",
    ] {
        assert!(all.contains(expected), "{expected}: {all}");
    }
}

#[tokio::test]
async fn an_outage_ends_waiting_polls_and_loses_nothing_that_is_kept() {
    let caller = caller(Options::default()).await;
    let mut session = caller.session().await;
    let waiting = caller.poll_status(&session);
    let (status, ()) = tokio::join!(waiting, async {
        caller
            .community
            .wait_until(|community| community.polls_running() == 1)
            .await;
        caller.city.outage(Outage::Html(503));
    });
    assert_eq!(status, 503);
    caller.community.write(&citizen(), "писали и тогда");
    caller.city.advance(Duration::from_secs(1800));
    caller.city.recover();
    assert_eq!(caller.kinds(&mut session).await, ["message_new"]);
}

impl Caller {
    async fn poll_status(&self, session: &Session) -> u16 {
        let request = self.http.get(&session.server).query(&[
            ("act", "a_check"),
            ("key", &session.key),
            ("ts", &session.ts),
            ("wait", "25"),
        ]);
        request.send().await.expect("an answer").status().as_u16()
    }
}
