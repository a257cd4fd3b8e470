//! What the conformance kit examines: the manifest that `priem connectors new` writes, over a scripted list, with a
//! webhook, and with what its filters can be given.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use priem_sdk::{
    Cx, HookRequest, Refusal, Secret,
    conformance::{
        BoxFuture, Expected, HookSample, ItemSample, PollSubject, ScriptedAnswer, ScriptedRequest, ScriptedServer,
        Subject, faults,
    },
    contract::ConnectorId,
};
use serde_json::{Value, json};

use super::{ManifestConnector, ManifestSettings, load, poll::Records, scaffold};

const TOKEN: &str = "planted-token-of-a-portal-8f2c1d";
const PATH: &str = "planted-path-0123456789abcdef0123456789abcdef";
const HOOK_TOKEN: &str = "planted-hook-token-0123456789abcdef";
/// Records in the scripted list.
const LISTED: usize = 23;
/// Records in one page of it.
const PAGE: usize = 5;

pub(super) fn subject() -> Subject {
    let connector = connector("http://127.0.0.1:9");
    let mut subject = Subject::new(Arc::clone(&connector) as _, id());
    subject.secrets = [TOKEN, PATH, HOOK_TOKEN]
        .map(|secret| Secret::new(secret.to_owned()))
        .into();
    let sample = |name, record: Value, expected| ItemSample {
        name,
        item: connector.mapping.item(record),
        expected,
    };
    subject.items = vec![
        sample("a whole record", whole(), Expected::Messages(1)),
        sample(
            "almost nothing",
            json!({"id": 7, "status": "UNHEARD_OF"}),
            Expected::Messages(1),
        ),
        sample(
            "fields of other kinds",
            json!({"id": "8", "text": ["x"], "oktmo": {}, "point": 5, "created": false, "due": []}),
            Expected::Messages(1),
        ),
        sample(
            "a mapping that throws",
            json!({"id": 9, "category": "Дороги"}),
            Expected::Quarantine("mapping_failed"),
        ),
        sample(
            "what the schema refuses",
            json!({"id": 10, "link": {"a": 1}}),
            Expected::Quarantine("bad_message"),
        ),
        sample("no id", json!({"text": "Мусор"}), Expected::Quarantine("no_id")),
        sample("no object", json!([1, 2]), Expected::Quarantine("no_id")),
    ];
    subject.hooks = vec![
        hook("one record", &whole(), 1),
        hook("a list", &json!([whole(), {"id": 11}, {"text": "no id"}]), 3),
    ];
    subject.poller = Some(|| server(page));
    subject.faults = faults![server;
        "429", |_| ScriptedAnswer::text(429, "{}") => "rate_limited";
        "401", |_| ScriptedAnswer::text(401, "{}") => "auth_rejected";
        "500", |_| ScriptedAnswer::text(500, "{}") => "transient";
        "a page that says 200", |_| ScriptedAnswer::text(200, "<html>please log in</html>") => "transient";
    ];
    subject
}

fn id() -> ConnectorId {
    ConnectorId::new("portal")
}

fn whole() -> Value {
    json!({
        "id": 101, "link": "https://portal.example.ru/101", "text": "<p>Во дворе яма</p>",
        "author": {"surname": "Примерова", "name": "Анна", "phone": "8 900 000-00-00"},
        "address": "ул. Примерная, 7", "oktmo": 57_701_000, "point": "58.01, 56.25",
        "category": {"id": 5, "name": "Дороги"}, "status": "WORK",
        "created": "2026-03-02T08:10:00Z", "due": "01.04.2026",
    })
}

/// The written manifest with planted secrets. Building reads them, so the folder may go afterwards.
fn connector(base_url: &str) -> Arc<ManifestConnector> {
    let folder = tempfile::tempdir().expect("the temporary folder of the system can be written");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a fresh folder can be written");
    };
    write("portal.yaml", &scaffold::manifest("portal"));
    write("token", TOKEN);
    write("path", PATH);
    write("hook-token", HOOK_TOKEN);
    let mut settings = ManifestSettings::new(folder.path().join("portal.yaml"));
    settings.base_url = Some(base_url.to_owned());
    let fields = |value: Value| value.as_object().cloned().unwrap_or_default();
    settings.poll = fields(json!({
        "every": "1ms",
        "auth": {"token": {"file": "token"}},
        "paging": {"page_size": PAGE},
        "http": {"requests_per_second": 1_000_000},
    }));
    settings.webhook = fields(json!({"path": {"file": "path"}, "bearer": {"file": "hook-token"}}));
    let loaded = load::load_with(&settings).expect("the written manifest is valid");
    Arc::new(ManifestConnector::new(loaded, id().as_str()).expect("planted settings fit"))
}

fn prove(body: Bytes) -> HookRequest {
    let token = HeaderValue::from_str(&format!("Bearer {HOOK_TOKEN}")).expect("a planted token is plain");
    HookRequest::post(PATH, body).with_header("authorization", token)
}

fn hook(name: &'static str, body: &Value, items: usize) -> HookSample {
    HookSample {
        items,
        ..HookSample::new(name, body.to_string().into(), prove)
    }
    .twin("no token", Refusal::Unauthenticated, |request| request.headers.clear())
    .twin("wrong token", Refusal::Forbidden, |request| {
        let guess = HeaderValue::from_static("Bearer guess");
        request.headers.insert("authorization", guess);
    })
    .not_by_another_path()
}

fn server(script: fn(&ScriptedRequest) -> ScriptedAnswer) -> BoxFuture<PollSubject> {
    Box::pin(async move {
        let server = ScriptedServer::start(script).await.expect("loopback has a free port");
        let url = server.url();
        PollSubject {
            open: Box::new(move || connector(&url)),
            cx: Cx::new(id()),
            stream: super::POLLED,
            items: LISTED,
            keep: Box::new(server),
        }
    })
}

fn page(request: &ScriptedRequest) -> ScriptedAnswer {
    let number = request
        .param("page")
        .and_then(|number| number.parse::<usize>().ok())
        .unwrap_or(0);
    let record = |number: usize| json!({"id": number, "text": format!("Запись {number}"), "status": "NEW"});
    let due: Vec<Value> = (1..=LISTED)
        .skip(number.saturating_mul(PAGE))
        .take(PAGE)
        .map(record)
        .collect();
    let is_last = number.saturating_add(1).saturating_mul(PAGE) >= LISTED;
    ScriptedAnswer::json(&json!({"items": due, "last": is_last}))
}
