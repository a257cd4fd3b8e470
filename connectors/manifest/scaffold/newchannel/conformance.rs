//! What the conformance kit examines: samples, planted secrets, a scripted list on loopback, troubles.

use std::sync::Arc;

use bytes::Bytes;
use priem_sdk::{
    Connector, Cx, Secret, SecretRef,
    conformance::{
        BoxFuture, Expected, FaultSample, ItemSample, PollSubject, ScriptedAnswer, ScriptedRequest, ScriptedServer,
        Subject,
    },
    contract::ConnectorId,
};
use serde_json::{Value, json};

use super::{MESSAGES, Newchannel, NewchannelSettings, item};

const TOKEN: &str = "planted-token-of-newchannel-2b7e15";
/// Messages in the scripted list.
const LISTED: u64 = 12;
/// Messages in one answer.
const PAGE: u64 = 5;

/// The subject.
pub fn subject() -> Subject {
    let mut subject = Subject::new(connector("http://127.0.0.1:9"), id());
    subject.secrets = vec![Secret::new(TOKEN.to_owned())];
    let sample = |name, body: Value, expected| ItemSample {
        name,
        item: item(Bytes::from(body.to_string())),
        expected,
    };
    subject.items = vec![
        sample("a whole message", wire(1), Expected::Messages(1)),
        sample("almost nothing", json!({"id": 2}), Expected::Messages(1)),
        sample(
            "a text of another kind",
            json!({"id": 3, "text": [1]}),
            Expected::Quarantine("unexpected_shape"),
        ),
        sample("no id", json!({"text": "Яма"}), Expected::Quarantine("no_id")),
    ];
    subject.poller = Some(|| server(None));
    subject.faults = faults();
    subject
}

fn faults() -> Vec<FaultSample> {
    vec![
        FaultSample {
            name: "429",
            poller: || server(Some((429, "{}"))),
            kind: "rate_limited",
        },
        FaultSample {
            name: "401",
            poller: || server(Some((401, "{}"))),
            kind: "auth_rejected",
        },
        FaultSample {
            name: "a page of a proxy",
            poller: || server(Some((502, "<html>Bad Gateway</html>"))),
            kind: "transient",
        },
    ]
}

fn id() -> ConnectorId {
    ConnectorId::new("newchannel")
}

fn wire(number: u64) -> Value {
    json!({
        "id": number, "text": format!("<p>Яма № {number}</p>"), "created": "2026-03-02T08:10:00Z",
        "author": {"id": 5, "name": "Анна Примерова"},
    })
}

fn connector(api_url: &str) -> Arc<dyn Connector> {
    let settings = NewchannelSettings {
        api_url: api_url.to_owned(),
        token: SecretRef::Env("unused".into()),
        every: jiff::SignedDuration::from_millis(1),
    };
    Arc::new(Newchannel::new(settings, Secret::new(TOKEN.into())).expect("the default client can be built"))
}

fn server(fault: Option<(u16, &'static str)>) -> BoxFuture<PollSubject> {
    Box::pin(async move {
        let server = ScriptedServer::start(move |request| match fault {
            None => ScriptedAnswer::json(&answer(request)),
            Some((status, body)) => ScriptedAnswer {
                status,
                headers: Vec::new(),
                body: Bytes::from_static(body.as_bytes()),
            },
        });
        let server = server.await.expect("loopback has a free port");
        let url = server.url();
        PollSubject {
            open: Box::new(move || connector(&url)),
            cx: Cx {
                id: id(),
                take_over: false,
            },
            stream: MESSAGES,
            items: usize::try_from(LISTED).unwrap_or_default(),
            keep: Box::new(server),
        }
    })
}

fn answer(request: &ScriptedRequest) -> Value {
    let after = request
        .target
        .split(['?', '&'])
        .find_map(|pair| pair.strip_prefix("after="))
        .and_then(|number| number.parse::<u64>().ok())
        .unwrap_or(0);
    let last = LISTED.min(after.saturating_add(PAGE));
    json!({"messages": (after + 1..=last).map(wire).collect::<Vec<_>>()})
}
