//! The poller against the ПОС simulator and against a scripted server.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State as Shares},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use parking_lot::Mutex;
use priem_city::pos::{Account, Appeal, Fault, Options, PosCity};
use serde_json::json;

use super::*;

/// Records by their `id`; another body is another version.
struct Plain;

impl Records for Plain {
    fn read(&self, body: &Bytes) -> Result<Value, NormalizeError> {
        priem_sdk::webhook::parse_json_bounded(body)
    }

    fn item(&self, record: Value) -> Item {
        let body = Bytes::from(record.to_string());
        Item {
            external_id: record["id"].to_string(),
            revision: None,
            fingerprint: Some(priem_sdk::contract::fingerprint([body.as_ref()])),
            conversation: None,
            format: "manifest.record",
            body,
            problem: None,
        }
    }
}

pub(super) fn poller(settings: Value) -> Poller {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, secret) in [
        ("password", "pass word"),
        ("client-secret", "client-secret"),
        ("key", "k3y-of-tests"),
    ] {
        std::fs::write(folder.path().join(name), secret).expect("write");
    }
    let settings: PollSettings = serde_json::from_value(settings).expect("fits");
    Poller::new(&settings, folder.path(), Arc::new(Plain)).expect("settings")
}

/// What the host holds.
#[derive(Default)]
pub(super) struct Host {
    cursor: Cursor,
    pub(super) stored: BTreeSet<String>,
    commits: usize,
}

impl Host {
    /// One turn of the host's loop; whether a walk has ended.
    pub(super) async fn turn(&mut self, poller: &Poller) -> Result<bool, ConnectorError> {
        let page = poller.poll(&self.cursor).await?;
        self.stored
            .extend(page.items.iter().map(|item| item.external_id.clone()));
        self.commits += usize::from(!page.items.is_empty() || page.next != self.cursor);
        self.cursor = page.next;
        poller.acknowledge(&self.cursor).await?;
        Ok(page.wait != Wait::Now)
    }

    /// Turns until a walk ends.
    pub(super) async fn walk(&mut self, poller: &Poller) {
        while !self.turn(poller).await.expect("a good turn") {}
    }
}

async fn pos(calls_per_token: u32) -> (PosCity, Poller) {
    let account = Account {
        client_id: "edms".into(),
        client_secret: "client-secret".into(),
        username: "city".into(),
        password: "pass word".into(),
    };
    let options = Options {
        account,
        calls_per_token,
        claimed_life: 300,
    };
    let city = PosCity::start(options).await.expect("a simulator");
    let poller = poller(json!({
        "base_url": city.base_url(),
        "http": {"requests_per_second": 10_000},
        "auth": {
            "kind": "oauth2", "grant": "password", "token_url": "/user-service/oauth/token", "client_id": "edms",
            "client_secret": {"file": "client-secret"}, "username": "city", "password": {"file": "password"},
            "form": {"scope": "any"}
        },
        "request": {"path": "/appeal-service/edms"}, "items": ".content",
        "paging": {"kind": "spring", "page_size": 4}, "every": "5s",
        "acknowledge": {
            "id": ".id", "request": {"method": "POST", "path": "/appeal-service/edms/{id}/mark-accepted"}
        }
    }));
    (city, poller)
}

fn appeals(count: usize) -> impl Iterator<Item = Appeal> {
    (0..count).map(|number| Appeal {
        text: format!("Яма на дороге ({number})"),
        ..Appeal::default()
    })
}

#[tokio::test]
async fn a_shifting_list_is_drained_and_nothing_else_is_acknowledged() {
    let (city, poller) = pos(7).await;
    for appeal in appeals(23) {
        city.submit(&appeal);
    }
    city.submit_while_reading(appeals(5));
    let submitted = city.submitted();
    city.refuse(submitted[20], true);
    let mut host = Host::default();
    while city.waiting() > 1 {
        host.walk(&poller).await;
    }
    let all: BTreeSet<String> = city.submitted().iter().map(u64::to_string).collect();
    assert_eq!((host.stored, all.len()), (all, 28));
    assert_eq!(city.accepted().len(), 27, "each once, the refused one never");
    assert!(
        city.refusals() > 0 && city.calls("token") > 5,
        "tokens wore out on the way"
    );
    assert_eq!(city.violations(), [""; 0]);
    // An acknowledgement that becomes possible is made up for.
    city.refuse(submitted[20], false);
    host.stored = BTreeSet::new();
    host.walk(&poller).await;
    assert_eq!(city.waiting(), 0);
    // A quiet list costs no commits.
    host.walk(&poller).await;
    let commits = host.commits;
    host.walk(&poller).await;
    assert_eq!(host.commits, commits);
}

#[tokio::test]
async fn a_page_of_refused_rows_does_not_hide_the_others() {
    let (city, poller) = pos(1000).await;
    let ids: Vec<u64> = appeals(12).map(|appeal| city.submit(&appeal)).collect();
    // The list is newest first: the whole first page is refused.
    for id in &ids[7..] {
        city.refuse(*id, true);
    }
    let mut host = Host::default();
    host.walk(&poller).await;
    host.walk(&poller).await;
    assert_eq!((host.stored.len(), city.waiting()), (12, 5));
}

#[tokio::test]
async fn troubles_are_decisions_and_a_refused_token_is_fetched_once() {
    let (city, poller) = pos(1000).await;
    for appeal in appeals(3) {
        city.submit(&appeal);
    }
    let mut host = Host::default();
    for (fault, kind) in [
        (Fault::ServerError, "transient"),
        (Fault::Html200, "transient"),
        (Fault::Busy(7), "rate_limited"),
    ] {
        city.fault(fault);
        let error = host.turn(&poller).await.expect_err(kind);
        assert_eq!(error.kind(), kind);
        assert!(!error.to_string().contains("pos-token"), "{error}");
    }
    // The client itself makes three quick attempts where the connection or a proxy failed.
    for fault in [Fault::Cut, Fault::Html502] {
        (0..3).for_each(|_| city.fault(fault));
        assert_eq!(host.turn(&poller).await.expect_err("trouble").kind(), "transient");
    }
    city.fault(Fault::ExpiredToken);
    city.fault(Fault::ExpiredToken);
    assert_eq!(
        host.turn(&poller).await.expect_err("refused twice").kind(),
        "auth_rejected"
    );
    city.fault(Fault::ExpiredToken);
    host.walk(&poller).await;
    assert_eq!((host.stored.len(), city.waiting()), (3, 0));
}

#[tokio::test]
async fn a_wrong_password_needs_a_human() {
    let (city, _) = pos(5).await;
    let poller = poller(json!({
        "base_url": city.base_url(), "request": {"path": "/appeal-service/edms"},
        "auth": {
            "kind": "oauth2", "grant": "password", "token_url": "/user-service/oauth/token", "client_id": "edms",
            "client_secret": {"file": "key"}, "username": "city", "password": {"file": "key"}
        }
    }));
    let error = poller.poll(&Cursor::start()).await.expect_err("refused");
    let text = format!("{error} {error:?} {poller:?}");
    assert_eq!(error.kind(), "auth_rejected");
    assert!(text.contains("invalid_grant") && !text.contains("k3y"), "{text}");
}

/// A scripted server: answers by the path and query, and notes every request with its `authorization` and body.
#[derive(Clone)]
struct Script {
    answer: fn(&str) -> Answer,
    heard: Arc<Mutex<Vec<String>>>,
}

pub(super) struct Answer(pub(super) u16, pub(super) Value, pub(super) Option<String>);

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(link) = self.2 {
            headers.insert("link", link.parse().expect("a header"));
        }
        let status = StatusCode::from_u16(self.0).expect("a status");
        (status, headers, self.1.to_string()).into_response()
    }
}

pub(super) fn ok(value: Value) -> Answer {
    Answer(200, value, None)
}

pub(super) async fn serve(answer: fn(&str) -> Answer) -> (String, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::default());
    let script = Script {
        answer,
        heard: Arc::clone(&heard),
    };
    let handler = |Shares(script): Shares<Script>, request: Request| async move {
        let target = request.uri().to_string();
        let headers = request.headers();
        let proof = headers
            .get("x-key")
            .or(headers.get("authorization"))
            .and_then(|value| value.to_str().ok())
            .unwrap_or("-");
        let mut noted = format!("{} {target} {proof}", request.method());
        let body = axum::body::to_bytes(request.into_body(), 100_000)
            .await
            .expect("a body");
        if !body.is_empty() {
            noted = format!("{noted} {}", String::from_utf8_lossy(&body));
        }
        script.heard.lock().push(noted);
        (script.answer)(&target)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let router = Router::new().fallback(handler).with_state(script);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), heard)
}

fn with(base_url: &str, settings: Value) -> Poller {
    let mut whole = json!({
        "base_url": base_url, "request": {"path": "/list"}, "http": {"requests_per_second": 10_000},
        "auth": {"kind": "api_key", "header": "X-Key", "key": {"file": "key"}}
    });
    let object = whole.as_object_mut().expect("an object");
    object.extend(settings.as_object().expect("an object").clone());
    poller(whole)
}

#[tokio::test]
async fn links_are_followed_on_the_same_host_only() {
    let (base, heard) = serve(|target| match target {
        "/list" => Answer(
            200,
            json!([{"id": 1}]),
            Some("</list?page=0>; rel=\"prev\", </list?page=2>; rel=\"next\"".into()),
        ),
        "/list?page=2" => Answer(200, json!([{"id": 2}]), Some("<?page=3>; rel=\"next\"".into())),
        _ => Answer(
            200,
            json!([{"id": 3}]),
            Some("<http://127.0.0.1:1/steal>; rel=\"next\"".into()),
        ),
    })
    .await;
    let poller = with(&base, json!({"items": ".[]", "paging": {"kind": "next_link"}}));
    let mut host = Host::default();
    for _ in 0..2 {
        assert!(!host.turn(&poller).await.expect("a page"));
    }
    let error = host.turn(&poller).await.expect_err("elsewhere");
    assert!(
        error.kind() == "misconfigured" && !error.to_string().contains("127.0.0.1:1"),
        "{error}"
    );
    assert_eq!(
        *heard.lock(),
        [
            "GET /list k3y-of-tests",
            "GET /list?page=2 k3y-of-tests",
            "GET /list?page=3 k3y-of-tests"
        ]
    );
}

#[tokio::test]
async fn the_mark_moves_when_a_walk_has_ended_and_looks_back() {
    let (base, heard) = serve(|target| {
        ok(if target.contains("offset=0") {
            json!({"rows": [{"id": 1, "at": "2026-06-01T10:00:00Z"}, {"id": 2, "at": "2026-06-01T12:00:00Z"}]})
        } else {
            json!({"rows": []})
        })
    })
    .await;
    let poller = with(
        &base,
        json!({
            "request": {"path": "/list", "query": {"from": "{since}"}}, "items": ".rows[]",
            "paging": {"kind": "offset", "page_size": 2},
            "incremental": {"mark": ".at", "overlap": "10m", "start": "2026-01-01T00:00:00Z"}
        }),
    );
    let mut host = Host::default();
    host.turn(&poller).await.expect("a page");
    host.turn(&poller).await.expect("the end");
    host.turn(&poller).await.expect("the next walk");
    let heard = heard.lock().clone();
    assert!(
        heard[0].contains("from=2026-01-01T00%3A00%3A00Z&offset=0&limit=2"),
        "{heard:?}"
    );
    assert!(heard[1].contains("from=2026-01-01T00%3A00%3A00Z&offset=2"), "{heard:?}");
    assert!(heard[2].contains("from=2026-06-01T11%3A50%3A00Z&offset=0"), "{heard:?}");
}

#[tokio::test]
async fn a_feed_of_changes_goes_on_from_its_last_word() {
    let (base, heard) = serve(|target| match target {
        "/list" => ok(json!({"rows": [{"id": 1}], "next": "w1"})),
        _ => ok(json!({"rows": [], "next": "w1"})),
    })
    .await;
    let settings = json!({"items": ".rows", "paging": {"kind": "cursor", "next": ".next", "keep": true}});
    let poller = with(&base, settings);
    let mut host = Host::default();
    host.walk(&poller).await;
    host.walk(&poller).await;
    assert_eq!(
        *heard.lock(),
        [
            "GET /list k3y-of-tests",
            "GET /list?cursor=w1 k3y-of-tests",
            "GET /list?cursor=w1 k3y-of-tests"
        ]
    );
}

#[tokio::test]
async fn cards_are_fetched_and_a_broken_one_stops_the_others_not_for_ever() {
    let (base, _) = serve(|target| match target {
        "/list" => ok(json!([{"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}])),
        "/card/1" => ok(json!({"text": "слово"})),
        "/card/2" => Answer(404, json!({}), None),
        "/card/4" => Answer(403, json!({}), None),
        _ => Answer(500, json!({}), None),
    })
    .await;
    let follow_up = json!([{"id": ".id", "request": {"path": "/card/{id}"}, "into": "card"}]);
    let poller = with(&base, json!({"follow_up": follow_up}));
    let (mut failed, mut kinds) = (0, Vec::new());
    let page = loop {
        match poller.poll(&Cursor::start()).await {
            Ok(page) => break page,
            Err(error) => kinds.push(error.kind()),
        }
        failed += 1;
        assert!(failed < 20, "for ever");
    };
    let cards: Vec<Value> = page
        .items
        .iter()
        .map(|item| serde_json::from_slice::<Value>(&item.body).expect("JSON")["card"].clone())
        .collect();
    assert_eq!(cards, [json!({"text": "слово"}), Value::Null, Value::Null, Value::Null]);
    assert_eq!(kinds, [["transient"; 5], ["auth_rejected"; 5]].concat());
    assert_eq!(page.wait, Wait::For(Duration::from_secs(60)));
}

#[tokio::test]
async fn a_page_can_be_acknowledged_in_one_request() {
    let (base, heard) = serve(|target| match target {
        "/list" => ok(json!([{"id": "a"}, {"id": "b"}, {"text": "no id"}])),
        _ => ok(json!({})),
    })
    .await;
    let acknowledge = json!({
        "id": ".id", "removes": false,
        "request": {"method": "POST", "path": "/done", "body": {"json": {"ids": "{ids}"}}}
    });
    let poller = with(&base, json!({"acknowledge": acknowledge}));
    let mut host = Host::default();
    host.walk(&poller).await;
    // After a crash between commit and acknowledgement it comes again.
    poller.acknowledge(&host.cursor).await.expect("harmless");
    let told = "POST /done k3y-of-tests {\"ids\":[\"a\",\"b\"]}";
    assert_eq!(*heard.lock(), ["GET /list k3y-of-tests", told, told]);
}

#[test]
fn settings_that_cannot_work_name_their_key() {
    for (settings, key) in [
        (json!({"request": {"path": "/x"}}), "base_url"),
        (
            json!({"base_url": "http://pos.example.ru", "request": {"path": "/x"}}),
            "base_url",
        ),
        (
            json!({"base_url": "https://x.ru", "request": {"path": "/x/{since}"}}),
            "incremental",
        ),
        (
            json!({"base_url": "https://x.ru", "request": {"path": "/x"}, "incremental": {"mark": ".a"}}),
            "request",
        ),
        (
            json!({"base_url": "https://x.ru", "request": {"path": "/x"}, "every": "0s"}),
            "every",
        ),
        (
            json!({"base_url": "https://x.ru", "request": {"path": "/x"}, "paging": {"kind": "spring", "page_size": 0}}),
            "paging.page_size",
        ),
        (
            json!({"base_url": "https://x.ru", "request": {"path": "/x"}, "auth": {"kind": "bearer", "token": {"file": "no"}}}),
            "auth.token",
        ),
        (
            json!({
                "base_url": "https://x.ru", "request": {"path": "/x"},
                "acknowledge": {"id": ".id", "request": {"path": "/done"}}
            }),
            "acknowledge.request",
        ),
    ] {
        let settings: PollSettings = serde_json::from_value(settings).expect("fits");
        let folder = tempfile::tempdir().expect("a folder");
        let error = Poller::new(&settings, folder.path(), Arc::new(Plain)).expect_err(key);
        assert_eq!(error.key, key, "{error}");
    }
}
