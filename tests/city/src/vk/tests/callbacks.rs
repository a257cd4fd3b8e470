//! The callback sender against a server that answers what a test tells it to.

use std::{collections::VecDeque, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use parking_lot::Mutex;
use tokio::{sync::mpsc, task::JoinHandle};

use super::*;

/// An answer: status, body, `Retry-After`.
type Answer = (u16, String, Option<String>);
/// What came: `X-Retry-Counter`, and the body.
type Came = (Option<String>, Value);

struct Receiver {
    url: String,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    came: mpsc::UnboundedReceiver<Came>,
    server: JoinHandle<()>,
}

type Shared = (Arc<Mutex<VecDeque<Answer>>>, mpsc::UnboundedSender<Came>);

async fn take(State((answers, came)): State<Shared>, headers: HeaderMap, body: String) -> Response {
    let counter = headers
        .get("x-retry-counter")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let answer = answers.lock().pop_front().unwrap_or((200, "ok".into(), None));
    came.send((counter, body)).expect("the test listens");
    let mut response = (StatusCode::from_u16(answer.0).expect("a status"), answer.1).into_response();
    if let Some(pause) = answer.2 {
        response
            .headers_mut()
            .insert("retry-after", pause.parse().expect("a header"));
    }
    response
}

impl Receiver {
    /// Starts, and is confirmed.
    async fn start(caller: &Caller) -> (Self, i64) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let (sender, came) = mpsc::unbounded_channel();
        let answers: Arc<Mutex<VecDeque<Answer>>> = Arc::default();
        let router = Router::new().fallback(take).with_state((Arc::clone(&answers), sender));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        let mut receiver = Self {
            url,
            answers,
            came,
            server,
        };
        receiver.will_answer(200, &caller.community.confirmation());
        let id = caller.community.add_callback_server(&receiver.url, "priem", "tайна");
        caller.has_status(id, "ok").await;
        let (_, body) = receiver.next().await;
        assert_eq!(body["type"], "confirmation");
        (receiver, id)
    }

    fn will_answer(&self, status: u16, body: &str) {
        self.answers.lock().push_back((status, body.to_owned(), None));
    }

    async fn next(&mut self) -> Came {
        self.came.recv().await.expect("the receiver runs")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Caller {
    async fn has_status(&self, id: i64, status: &str) {
        let is_there = |community: &Community| community.callback_status(id).is_some_and(|one| one.status == status);
        self.community.wait_until(is_there).await;
    }

    /// Lets time pass once a delivery waits for its next attempt.
    async fn advance_pause(&self, id: i64, seconds: u64) {
        let waits = |community: &Community| community.callback_status(id).is_some_and(|one| one.waiting == 1);
        self.community.wait_until(waits).await;
        self.city.advance(Duration::from_secs(seconds));
    }

    async fn has_delivered(&self, id: i64, count: u64) {
        let is_there = |community: &Community| community.callback_status(id).is_some_and(|one| one.delivered == count);
        self.community.wait_until(is_there).await;
    }
}

#[tokio::test]
async fn an_event_comes_once_with_the_secret() {
    let caller = caller(fast()).await;
    let (mut receiver, id) = Receiver::start(&caller).await;
    let written = caller.community.write(&citizen(), "Яма");
    let (counter, body) = receiver.next().await;
    assert_eq!(counter, None);
    assert_eq!(body["secret"], "tайна");
    assert_eq!(body["object"]["message"]["text"], "Яма");
    caller.has_delivered(id, 1).await;
    let ledger = caller.city.ledger();
    assert_eq!(ledger[0].written, written);
    assert_eq!(
        ledger[0].announced,
        ["message_new", "message_new"],
        "by long poll and by callback"
    );
    let servers = caller
        .call(TOKEN, "groups.getCallbackServers", json!({"group_id": GROUP}))
        .await;
    assert_eq!(servers["items"][0]["status"], "ok");
    assert!(caller.city.violations().is_empty());
}

#[tokio::test]
async fn a_wrong_confirmation_is_a_failed_server() {
    let caller = caller(fast()).await;
    let (receiver, _) = Receiver::start(&caller).await;
    receiver.will_answer(200, "c0ffee\n");
    let second = caller.community.add_callback_server(&receiver.url, "priem", "");
    caller.has_status(second, "failed").await;
    receiver.will_answer(200, &caller.community.confirmation());
    caller.community.confirm_callback_server(second);
    caller.has_status(second, "ok").await;
}

#[tokio::test]
async fn anything_but_ok_is_tried_again_and_counted() {
    let caller = caller(fast()).await;
    let (mut receiver, id) = Receiver::start(&caller).await;
    for (status, body) in [(500, ""), (200, "OK, записали"), (200, "ok\n"), (204, "ok")] {
        receiver.will_answer(status, body);
    }
    caller.community.post("Пост");
    let mut counters = Vec::new();
    for attempt in 0..5 {
        counters.push(receiver.next().await.0.unwrap_or_default());
        if attempt < 4 {
            caller.advance_pause(id, 1800).await;
        }
    }
    assert_eq!(counters, ["", "1", "2", "3", "4"]);
    caller.has_delivered(id, 1).await;
    let violations = caller.city.violations();
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert!(violations[0].contains("which is not ok"));
}

#[tokio::test]
async fn a_pause_asked_for_is_kept_and_counts_no_attempt() {
    let caller = caller(Options {
        second: Duration::from_secs(1000),
        ..Options::default()
    })
    .await;
    let (mut receiver, id) = Receiver::start(&caller).await;
    receiver
        .answers
        .lock()
        .push_back((503, String::new(), Some("7200".into())));
    caller.community.post("Пост");
    receiver.next().await;
    caller.advance_pause(id, 7000).await;
    assert_eq!(caller.community.callback_status(id).map(|one| one.waiting), Some(1));
    caller.city.advance(Duration::from_secs(201));
    assert_eq!(receiver.next().await.0, None, "the same attempt");
    caller.has_delivered(id, 1).await;
}

#[tokio::test]
async fn a_server_that_never_answers_well_is_given_up() {
    let caller = caller(fast()).await;
    let (mut receiver, id) = Receiver::start(&caller).await;
    for event in 0..3 {
        caller.community.post("Пост");
        for _ in 0..6 {
            receiver.will_answer(500, "");
        }
        for attempt in 0..6 {
            receiver.next().await;
            if attempt < 5 {
                caller.advance_pause(id, 3600).await;
            }
        }
        let is_lost = |community: &Community| community.callback_status(id).is_some_and(|one| one.lost == event + 1);
        caller.community.wait_until(is_lost).await;
    }
    caller.has_status(id, "failed").await;
    caller.community.post("Уже не придёт");
    assert_eq!(caller.community.callback_status(id).map(|one| one.lost), Some(4));
    let settings = caller
        .call(TOKEN, "groups.getCallbackServers", json!({"group_id": GROUP}))
        .await;
    assert_eq!(settings["items"][0]["status"], "failed");
}

#[tokio::test]
async fn forbidden_answers_do_what_they_say_and_are_written_down() {
    let caller = caller(fast()).await;
    let (mut receiver, id) = Receiver::start(&caller).await;
    receiver.will_answer(200, "version 5.81");
    caller.community.write(&citizen(), "Яма");
    receiver.next().await;
    caller.advance_pause(id, 10).await;
    let (_, body) = receiver.next().await;
    assert_eq!(body["v"], "5.81");
    assert_eq!(body["object"]["text"], "Яма", "flat before 5.103");
    receiver.will_answer(200, "remove");
    caller.community.post("Пост");
    caller
        .community
        .wait_until(|community| community.callback_status(id).is_none())
        .await;
    assert_eq!(caller.city.violations().len(), 2);
}

#[tokio::test]
async fn kinds_that_are_off_and_other_versions_are_of_the_server_alone() {
    let caller = caller(fast()).await;
    let (mut receiver, id) = Receiver::start(&caller).await;
    caller.community.switch_callback(id, "wall_post_new", false);
    caller.community.set_callback_version(id, "5.50");
    let mut session = caller.session().await;
    caller.community.post("Пост");
    caller.community.write(&citizen(), "Яма");
    let (_, body) = receiver.next().await;
    assert_eq!(body["type"], "message_new");
    assert!(body["object"]["warning"].is_string(), "{body}");
    assert_eq!(caller.kinds(&mut session).await, ["wall_post_new", "message_new"]);
}

#[tokio::test]
async fn a_delivery_can_come_twice() {
    let caller = caller(fast()).await;
    let (mut receiver, _) = Receiver::start(&caller).await;
    caller.city.fault(Fault::duplicate().on(CALLBACK));
    caller.community.post("Пост");
    let (first, second) = (receiver.next().await, receiver.next().await);
    assert_eq!(first, second);
}
