//! What the conformance kit examines: samples, planted secrets, a scripted list on loopback, troubles.

use bytes::Bytes;
use priem_sdk::conformance::{
    BoxFuture, Expected, ItemSample, Planted, PollSubject, ScriptedAnswer, ScriptedRequest, Subject, faults,
};
use serde_json::{Value, json};

use super::{MESSAGES, item};

/// Messages in the scripted list.
const LISTED: usize = 12;
/// Messages in one answer.
const PAGE: usize = 5;

/// The subject.
pub fn subject() -> Subject {
    let mut subject = planted().subject(json!({"api_url": "http://127.0.0.1:9"}));
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
    subject.poller = Some(|| server(answer));
    subject.faults = faults![server;
        "429", |_| ScriptedAnswer::text(429, "{}") => "rate_limited";
        "401", |_| ScriptedAnswer::text(401, "{}") => "auth_rejected";
        "a page of a proxy", |_| ScriptedAnswer::text(502, "<html>Bad Gateway</html>") => "transient";
    ];
    subject
}

/// The connector as the daemon builds it, with a planted token.
fn planted() -> Planted {
    let secrets = [("token", "planted-token-of-newchannel-2b7e15")];
    let settings = json!({"token": {"file": "token"}, "every": "1ms"});
    Planted::new(super::TYPE, "newchannel", &secrets, settings)
}

fn server(script: fn(&ScriptedRequest) -> ScriptedAnswer) -> BoxFuture<PollSubject> {
    planted().polls(MESSAGES, LISTED, script)
}

fn wire(number: usize) -> Value {
    json!({
        "id": number, "text": format!("<p>Яма № {number}</p>"), "created": "2026-03-02T08:10:00Z",
        "author": {"id": 5, "name": "Анна Примерова"},
    })
}

fn answer(request: &ScriptedRequest) -> ScriptedAnswer {
    let after = request
        .param("after")
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    let last = LISTED.min(after + PAGE);
    ScriptedAnswer::json(&json!({"messages": (after + 1..=last).map(wire).collect::<Vec<_>>()}))
}
