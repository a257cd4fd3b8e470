//! What the conformance kit examines: the fixtures as items, proven and unproven deliveries, and a scripted server
//! on loopback that holds a queue as the Bot API does.

use std::sync::LazyLock;

use bytes::Bytes;
use http::HeaderValue;
use priem_sdk::{
    HookRequest,
    conformance::{
        BoxFuture, Expected, HookSample, Planted, PollSubject, Sample, ScriptedAnswer, ScriptedRequest, Subject,
        faults, samples,
    },
};
use serde_json::{Value, json};

use super::{SECRET_HEADER, STREAM, split};

/// A token of the right shape that belongs to nobody, a path secret and a secret token.
pub(super) const TOKEN: &str = "7700990011:AAplantedPlantedPlantedPlantedPlante";
pub(super) const PATH: &str = "planted-path-0123456789abcdef";
pub(super) const SECRET_TOKEN: &str = "planted-header-0123456789abcdef";
/// An address inside Telegram's documented networks.
pub(super) const TELEGRAM: [u8; 4] = [149, 154, 167, 220];

static SAMPLES: &[Sample] = samples![
    Expected::Messages(1) =>
        "private_text", "private_entities", "private_edited", "private_message_id_zero", "group_text",
        "group_anonymous_admin", "discussion_comment", "channel_post", "channel_post_edited", "channel_direct",
        "business_incoming", "guest_message", "forward_from_channel", "album_first", "album_second", "video", "document",
        "contact", "venue", "poll", "rich_message";
    Expected::Messages(2) => "business_deleted";
    Expected::Nothing =>
        "discussion_automatic_forward", "business_outgoing", "business_connection", "service_pinned", "my_chat_member";
    Expected::Quarantine("unknown_content") => "new_content";
    Expected::Quarantine("unknown_kind") => "unknown_kind";
];

/// Those that also come as webhook deliveries: the shapes that differ for `receive`.
const DELIVERED: [&str; 4] = ["private_edited", "business_deleted", "rich_message", "unknown_kind"];

/// The updates of the scripted queue.
static QUEUE: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let update = |(index, sample): (usize, &Sample)| {
        let mut update = sample.json();
        update["update_id"] = (1000 + index).into();
        update
    };
    SAMPLES.iter().enumerate().map(update).collect()
});

/// A bot that polls, by the least settings.
pub(super) fn planted() -> Planted {
    let secrets = [("token", TOKEN), ("path", PATH), ("secret", SECRET_TOKEN)];
    let settings = json!({
        "token": {"file": "token"}, "poll": {"timeout_s": 1}, "http": {"requests_per_second": 10_000},
    });
    Planted::new(super::TYPE, "telegram-main", &secrets, settings)
}

/// The settings that make it take webhooks.
pub(super) fn by_webhook() -> Value {
    json!({"mode": "webhook", "webhook": {"path": {"file": "path"}, "secret_token": {"file": "secret"}}})
}

pub(super) fn subject() -> Subject {
    let mut subject = planted().subject(by_webhook());
    subject.add_items(SAMPLES, |_, body| split::split(body).item);
    subject.add_hooks(SAMPLES, &DELIVERED, |sample| {
        HookSample::new(sample.name, sample.bytes(), prove)
            .not_without(SECRET_HEADER)
            .not_by_another_path()
            .not_from_another_network()
    });
    subject.poller = Some(|| server(updates));
    subject.faults = faults![server;
        "429 with retry_after", |_| ScriptedAnswer::text(429, r#"{"ok":false,"error_code":429,
            "description":"Too Many Requests: retry after 3","parameters":{"retry_after":3}}"#) => "rate_limited";
        "401", |_| refuse(401, "Unauthorized") => "auth_rejected";
        "404 of a malformed token", |_| refuse(404, "Not Found") => "auth_rejected";
        "409 because of a webhook", |_| refuse(409, "Conflict: can't use getUpdates method while webhook is active")
            => "misconfigured";
        "409 because of another poller", |_| refuse(409, "Conflict: terminated by other getUpdates request")
            => "transient";
        "a proxy's page", |_| ScriptedAnswer::text(502, "<html>Bad Gateway</html>") => "transient";
        "a page that says 200", |_| ScriptedAnswer::text(200, "<html>please log in</html>") => "transient";
    ];
    subject
}

pub(super) fn prove(body: Bytes) -> HookRequest {
    let mut request = HookRequest::post(PATH, body).with_header(SECRET_HEADER, HeaderValue::from_static(SECRET_TOKEN));
    request.peer = TELEGRAM.into();
    request
}

fn server(script: fn(&ScriptedRequest) -> ScriptedAnswer) -> BoxFuture<PollSubject> {
    planted().polls(STREAM, QUEUE.len(), script)
}

fn refuse(status: u16, description: &str) -> ScriptedAnswer {
    let refusal = json!({"ok": false, "error_code": status, "description": description});
    ScriptedAnswer::json(&refusal).with_status(status)
}

/// getUpdates over [`QUEUE`], ten at a time, by offset.
fn updates(request: &ScriptedRequest) -> ScriptedAnswer {
    let arguments: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let offset = arguments["offset"].as_i64().unwrap_or(0);
    let due = QUEUE
        .iter()
        .filter(|update| update["update_id"].as_i64() >= Some(offset));
    let due: Vec<&Value> = due.take(10).collect();
    ScriptedAnswer::json(&json!({"ok": true, "result": due}))
}
