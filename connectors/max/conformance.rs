//! What the conformance kit examines: the fixtures as items, proven and unproven deliveries, and a scripted server
//! on loopback that holds a queue as the Bot API does.

use std::sync::LazyLock;

use bytes::Bytes;
use http::HeaderValue;
use priem_sdk::{
    HookRequest,
    conformance::{
        BoxFuture, Expected, HookSample, ItemSample, Planted, PollSubject, Sample, ScriptedAnswer, ScriptedRequest,
        Subject, faults, samples,
    },
};
use serde_json::{Value, json};

use super::{SECRET_HEADER, UPDATES, split};

/// A token that belongs to nobody, a path secret and a header secret.
pub(super) const TOKEN: &str = "planted-token-of-a-bot-f9LHodD0cOLjFRE4xMNj";
pub(super) const PATH: &str = "planted-path-0123456789abcdef";
pub(super) const SECRET: &str = "planted-header-0123456789abcdef";
/// An address inside the platform's published networks.
pub(super) const PLATFORM: [u8; 4] = [185, 16, 150, 1];

static SAMPLES: &[Sample] = samples![
    Expected::Messages(1) =>
        "dialog_text", "dialog_edited", "dialog_removed_message", "dialog_without_chat_id", "group_text",
        "group_mentions", "group_reply", "group_without_sender", "channel_post", "comment", "comment_removed",
        "forward_pure", "forward_null_body", "photos", "voice", "file", "contact", "location", "new_attachment",
        "bot_started";
    Expected::Nothing => "group_from_bot", "callback", "bot_removed", "dialog_cleared", "permissions_changed";
    Expected::Quarantine("unknown_content") => "keyboard_only";
    Expected::Quarantine("unknown_kind") => "unknown_kind";
];

/// Those that also come as webhook deliveries: the shapes that differ for `receive`.
const DELIVERED: [&str; 4] = ["dialog_edited", "comment_removed", "forward_null_body", "unknown_kind"];

/// The updates of the scripted queue.
static QUEUE: LazyLock<Vec<Value>> = LazyLock::new(|| SAMPLES.iter().map(Sample::json).collect());

/// A bot that polls, by the least settings.
pub(super) fn planted() -> Planted {
    let secrets = [("token", TOKEN), ("path", PATH), ("secret", SECRET)];
    let settings = json!({
        "token": {"file": "token"}, "poll": {"timeout_s": 1, "least_pause_ms": 0},
        "http": {"requests_per_second": 10_000},
    });
    Planted::new(super::TYPE, "max-main", &secrets, settings)
}

/// The settings that make it take webhooks.
pub(super) fn by_webhook(enforce_source_networks: bool) -> Value {
    let enforce = enforce_source_networks;
    let webhook = json!({"path": {"file": "path"}, "secret": {"file": "secret"}, "enforce_source_networks": enforce});
    json!({"mode": "webhook", "webhook": webhook})
}

pub(super) fn subject() -> Subject {
    let mut subject = planted().subject(by_webhook(true));
    subject.add_items(SAMPLES, |_, body| split::update(body).item);
    let history = include_str!("fixtures/history_message.json");
    subject.items.push(ItemSample {
        name: "history_message",
        item: split::message(Bytes::from_static(history.as_bytes())).item,
        expected: Expected::Messages(1),
    });
    subject.add_hooks(SAMPLES, &DELIVERED, |sample| {
        HookSample::new(sample.name, sample.bytes(), prove)
            .not_without(SECRET_HEADER)
            .not_by_another_path()
            .not_from_another_network()
    });
    subject.poller = Some(|| server(queue));
    subject.faults = faults![server;
        "429", |_| refuse(429, "too.many.requests", "Too many requests") => "rate_limited";
        "401", |_| refuse(401, "verify.token", "Invalid access_token") => "auth_rejected";
        "405 because of a webhook", |_| refuse(405, "method.not.allowed", "Webhook is set") => "misconfigured";
        "500", |_| refuse(500, "internal", "Internal error") => "transient";
        "a proxy's page", |_| ScriptedAnswer::text(502, "<html>Bad Gateway</html>") => "transient";
        "a page that says 200", |_| ScriptedAnswer::text(200, "<html>please log in</html>") => "transient";
    ];
    subject
}

pub(super) fn prove(body: Bytes) -> HookRequest {
    let mut request = HookRequest::post(PATH, body).with_header(SECRET_HEADER, HeaderValue::from_static(SECRET));
    request.peer = PLATFORM.into();
    request
}

fn server(script: fn(&ScriptedRequest) -> ScriptedAnswer) -> BoxFuture<PollSubject> {
    planted().polls(UPDATES, QUEUE.len(), script)
}

fn refuse(status: u16, code: &str, message: &str) -> ScriptedAnswer {
    ScriptedAnswer::json(&json!({"code": code, "message": message})).with_status(status)
}

/// `GET /updates` over [`QUEUE`], ten at a time, by marker; the first marker is 0.
fn queue(request: &ScriptedRequest) -> ScriptedAnswer {
    if request.target.starts_with("/subscriptions") {
        return ScriptedAnswer::json(&json!({"subscriptions": []}));
    }
    let marker = request.param("marker").and_then(|marker| marker.parse::<usize>().ok());
    let due: Vec<&Value> = match marker {
        Some(from) => QUEUE.iter().skip(from).take(10).collect(),
        None => Vec::new(),
    };
    ScriptedAnswer::json(&json!({"updates": due, "marker": marker.unwrap_or(0) + due.len()}))
}
