//! What the conformance kit examines: the fixtures as items, proven and unproven deliveries of the Callback API, and a
//! scripted VK on loopback that holds events by `ts`, as Bots Long Poll does.

use std::sync::LazyLock;

use bytes::Bytes;
use priem_sdk::{
    HookRequest, Refusal,
    conformance::{
        BoxFuture, Expected, HookSample, Planted, PollSubject, Sample, ScriptedAnswer, ScriptedRequest, Subject,
        faults, samples,
    },
};
use serde_json::{Value, json};

use super::split;

/// A community's key, the secret key of its callback server, and a service key.
pub(super) const TOKEN: &str = "vk1.a.plantedPlantedPlantedPlantedPlanted";
pub(super) const SECRET: &str = "planted-callback-0123456789abcdef";
pub(super) const SERVICE: &str = "plantedServiceKeyplantedServiceKey";
/// The community of the fixtures.
pub(super) const GROUP: i64 = 190_700_001;
/// The stream of that community.
const STREAM: &str = "longpoll/190700001";
/// Events in one answer of the scripted long poll.
const AT_ONCE: usize = 7;

/// What must become of them when nothing is stored yet.
static SAMPLES: &[Sample] = samples![
    Expected::Messages(1) =>
        "message_private", "message_flat", "message_chat", "message_forwarded", "message_geo", "message_files",
        "message_edit", "post_citizen", "post_suggested", "post_geo", "post_shared", "post_unknown_attachment",
        "comment_minimal", "comment_in_thread", "comment_edited", "comment_deleted", "board_answer", "board_deleted",
        "photo_comment", "photo_comment_deleted", "video_comment", "market_comment", "seen_post";
    Expected::Nothing => "message_service", "message_reply", "post_own", "comment_own", "like", "seen_deleted";
    Expected::Quarantine("unknown_content") => "message_empty";
    Expected::Quarantine("old_api_version") => "old_version";
    Expected::Quarantine("unknown_kind") => "unknown_kind";
];

/// Those that also come as deliveries: the shapes that differ for `receive`.
const DELIVERED: [&str; 4] = ["message_private", "comment_minimal", "comment_deleted", "unknown_kind"];

/// The events of the scripted long poll: everything VK itself would send.
static EVENTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let pushed = SAMPLES.iter().filter(|sample| !sample.name.starts_with("seen_"));
    pushed.map(Sample::json).collect()
});

/// A community that is polled, by the least settings.
pub(super) fn planted() -> Planted {
    let secrets = [("token", TOKEN), ("secret", SECRET), ("service", SERVICE)];
    let settings = json!({
        "communities": [{"id": GROUP, "token": {"file": "token"}}],
        "longpoll": {"wait_s": 1}, "http": {"requests_per_second": 10_000},
    });
    Planted::new(super::TYPE, "vk-city", &secrets, settings)
}

pub(super) fn subject() -> Subject {
    let community = json!({"id": GROUP, "token": {"file": "token"}, "confirmation": "7a1b2c3d"});
    let mut subject = planted().subject(json!({
        "mode": "callback", "communities": [community], "callback": {"secret": {"file": "secret"}},
        "catch_up": {"token": {"file": "service"}},
        // An address of this machine where nobody listens.
        "api_url": "http://127.0.0.1:9",
    }));
    subject.add_items(SAMPLES, |_, body| split::item(body));
    subject.add_hooks(SAMPLES, &DELIVERED, delivery);
    subject.hooks.push(confirmation());
    subject.poller = Some(|| server(events));
    subject.faults = faults![server;
        "the key was revoked", |request| refuse(request, 5) => "auth_rejected";
        "too many calls in a second", |request| refuse(request, 6) => "rate_limited";
        "flood control", |request| refuse(request, 9) => "rate_limited";
        "internal error", |request| refuse(request, 10) => "transient";
        "captcha", |request| refuse(request, 14) => "misconfigured";
        "the right to manage is missing", |request| refuse(request, 15) => "misconfigured";
        "not for this kind of token", |request| refuse(request, 27) => "misconfigured";
        "rate limit of the method", |request| refuse(request, 29) => "rate_limited";
        "an error nobody knows", |request| refuse(request, 99_999) => "transient";
        "a proxy's page", |_| ScriptedAnswer::text(502, "<html>please log in</html>") => "transient";
        "a page that says 200", |_| ScriptedAnswer::text(200, "<html>please log in</html>") => "transient";
    ];
    subject
}

/// A delivery, whose proof stands in its body.
fn proven(name: &'static str, event: &Value) -> HookSample {
    HookSample {
        proof_in_body: true,
        ..HookSample::new(name, event.to_string().into(), |body| HookRequest::post("", body))
    }
}

fn delivery(sample: &Sample) -> HookSample {
    let with = |key: &str, value: Value| {
        let mut event = sample.json();
        event["secret"] = SECRET.into();
        event[key] = value;
        event
    };
    let body = |event: Value| move |request: &mut HookRequest| request.body = Bytes::from(event.to_string());
    proven(sample.name, &with("secret", SECRET.into()))
        .twin("no secret", Refusal::Unauthenticated, body(sample.json()))
        .twin("wrong secret", Refusal::Forbidden, body(with("secret", "guess".into())))
        .twin(
            "another community",
            Refusal::Forbidden,
            body(with("group_id", 5.into())),
        )
}

fn confirmation() -> HookSample {
    let event = |group: i64| json!({"type": "confirmation", "group_id": group});
    let wrong = json!({"type": "confirmation", "group_id": GROUP, "secret": "guess"});
    let body = |event: Value| move |request: &mut HookRequest| request.body = Bytes::from(event.to_string());
    HookSample {
        items: 0,
        ..proven("confirmation", &event(GROUP))
    }
    .twin("another community", Refusal::Forbidden, body(event(5)))
    .twin("wrong secret", Refusal::Forbidden, body(wrong))
}

fn server(script: fn(&ScriptedRequest) -> ScriptedAnswer) -> BoxFuture<PollSubject> {
    planted().polls(STREAM, EVENTS.len(), script)
}

/// The token is repeated in the words, as it must not be by us.
fn refuse(request: &ScriptedRequest, code: i64) -> ScriptedAnswer {
    let token = request.param("access_token").unwrap_or_default();
    ScriptedAnswer::json(&json!({"error": {
        "error_code": code,
        "error_msg": format!("refused for {token}"),
        "request_params": [{"key": "access_token", "value": token}],
    }}))
}

/// Long poll over [`EVENTS`].
fn events(request: &ScriptedRequest) -> ScriptedAnswer {
    let method = request.target.strip_prefix("/method/");
    ScriptedAnswer::json(&match method.unwrap_or_default() {
        "groups.getLongPollServer" => {
            json!({"response": {"server": format!("http://{}/lp", request.host), "key": "k+e=y", "ts": "0"}})
        }
        "users.get" => json!({"response": [{"id": 501_700_001, "first_name": "Анна", "last_name": "Жукова",
            "screen_name": "anna_zh"}]}),
        "groups.getById" => json!({"response": {"groups": [{"id": GROUP, "name": "Жители Нагорного"}]}}),
        _ if request.param("key").as_deref() != Some("k+e=y") => json!({"failed": 2}),
        // The new `ts` is a number here and a string in the answer of the server: both happen.
        _ => {
            let after: usize = request.param("ts").and_then(|ts| ts.parse().ok()).unwrap_or(0);
            let updates: Vec<&Value> = EVENTS.iter().skip(after).take(AT_ONCE).collect();
            json!({"ts": after + updates.len(), "updates": updates})
        }
    })
}
