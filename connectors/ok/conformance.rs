//! What the conformance kit examines: the fixtures as items, proven and unproven deliveries, and a scripted API on
//! loopback with topics, a discussion of two pages and one below a photo.

use std::sync::LazyLock;

use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};
use priem_sdk::{
    HookRequest, Item, Refusal,
    conformance::{
        BoxFuture, Expected, HookSample, Planted, PollSubject, Sample, ScriptedAnswer, ScriptedRequest, Subject,
        faults, samples,
    },
};
use serde_json::{Value, json};

use super::split;

/// Two groups and their tokens.
pub(super) const GROUP: &str = "57000000000001";
pub(super) const OTHER: &str = "57000000000002";
pub(super) const TOKEN: &str = "tkn-planted-group-0123456789abcdef";
pub(super) const OTHER_TOKEN: &str = "tkn-planted-other-0123456789abcdef";
/// What the application's account needs.
pub(super) const ACCESS_TOKEN: &str = "tkn-planted-access-0123456789abcdef";
pub(super) const APP_SECRET: &str = "PLANTEDAPPSECRET0123456789";
pub(super) const REFRESH_TOKEN: &str = "tkn-planted-refresh-0123456789abcdef";
/// A path secret.
pub(super) const PATH: &str = "planted-path-0123456789abcdef";
/// An address inside OK's documented networks.
pub(super) const OK: [u8; 4] = [217, 20, 145, 200];
const STREAM: &str = "discussions/57000000000001";
/// Comments below the scripted topic: more than one page.
const COMMENTS: usize = 130;
/// Discussion of the samples.
const DISCUSSION: &str = "62190641299501";

static SAMPLES: &[Sample] = samples![
    Expected::Messages(1) =>
        "message_text", "message_old_form", "message_thin", "message_attachments", "message_place",
        "message_token_in_url", "message_reply", "message_markup", "message_from_other_group", "comment_text",
        "comment_millis", "comment_reply", "comment_without_name", "comment_anonymous", "comment_from_other_group",
        "comment_attachment_only", "comment_old_date", "comment_new_type", "topic_text", "topic_rich",
        "topic_on_moderation";
    Expected::Nothing =>
        "message_own", "message_callback", "message_chat_system", "comment_own", "comment_removed", "comment_vanished",
        "topic_own";
    Expected::Quarantine("unknown_kind") => "message_unknown_type";
    Expected::Quarantine("unknown_content") => "message_empty", "comment_empty", "topic_empty";
];

/// Those that also come as webhook deliveries: the shapes that differ for `receive`.
const DELIVERED: [&str; 4] = [
    "message_text",
    "message_thin",
    "message_attachments",
    "message_callback",
];

/// An item of a fixture, by the first word of its name.
pub(super) fn item_of(name: &str, body: Bytes) -> Item {
    match name.split('_').next() {
        Some("comment") => split::comment(GROUP, "GROUP_TOPIC", DISCUSSION, body),
        Some("topic") => split::topic(GROUP, body),
        _ => split::message(GROUP, body),
    }
}

/// Two groups that are polled and an application, by the least settings.
pub(super) fn planted() -> Planted {
    let secrets = [
        ("one", TOKEN),
        ("two", OTHER_TOKEN),
        ("access", ACCESS_TOKEN),
        ("application", APP_SECRET),
        ("refresh", REFRESH_TOKEN),
        ("path", PATH),
    ];
    let settings = json!({
        "groups": [{"id": GROUP, "name": "Нагорный", "token": {"file": "one"}}, {"id": OTHER, "token": {"file": "two"}}],
        "application": {"key": "CBATEST", "secret": {"file": "application"}, "access_token": {"file": "access"}},
        "discussions": {"every": "1ms", "recheck_every": "24h"},
        "history_every": "1ms",
        "http": {"requests_per_second": 10_000},
    });
    Planted::new(super::TYPE, "ok-groups", &secrets, settings)
}

/// The settings that make them take webhooks.
pub(super) fn by_webhook() -> Value {
    json!({"mode": "webhook", "webhook": {"path": {"file": "path"}}})
}

pub(super) fn subject() -> Subject {
    let mut subject = planted().subject(by_webhook());
    subject.add_items(SAMPLES, item_of);
    subject.add_hooks(SAMPLES, &DELIVERED, |sample| {
        let at = |path: String| move |request: &mut HookRequest| request.path = path;
        HookSample::new(sample.name, sample.bytes(), prove)
            .twin("no path", Refusal::WrongPath, at(String::new()))
            .twin("wrong path", Refusal::WrongPath, at(format!("{PATH}x/{GROUP}")))
            .twin("no group", Refusal::WrongPath, at(PATH.into()))
            .twin("no secret", Refusal::WrongPath, at(GROUP.into()))
            .twin(
                "another group",
                Refusal::WrongPath,
                at(format!("{PATH}/57000000000009")),
            )
            .not_from_another_network()
    });
    subject.poller = Some(|| server(answer));
    subject.faults = faults![server;
        "2 under 200", |_| refuse(2) => "transient";
        "11 under 200", |_| refuse(11) => "rate_limited";
        "8 under 400", |_| refuse(8).with_status(400) => "rate_limited";
        "102 under 200", |_| refuse(102) => "auth_rejected";
        "104 under 401", |_| refuse(104).with_status(401) => "auth_rejected";
        "10 under 200", |_| refuse(10) => "misconfigured";
        "a code nobody listed", |_| refuse(77_777) => "transient";
        "a proxy's page", |_| ScriptedAnswer::text(502, "<html>please log in</html>") => "transient";
        "a page that says 200", |_| ScriptedAnswer::text(200, "<html>please log in</html>") => "transient";
    ];
    subject
}

pub(super) fn prove(body: Bytes) -> HookRequest {
    let mut request = HookRequest::post(format!("{PATH}/{GROUP}"), body);
    request.peer = OK.into();
    request
}

fn refuse(code: i64) -> ScriptedAnswer {
    ScriptedAnswer::json(&json!({"error_code": code, "error_msg": "SCRIPTED", "error_data": null}))
}

fn server(script: fn(&ScriptedRequest) -> ScriptedAnswer) -> BoxFuture<PollSubject> {
    // Two topics, one of them the group's own; comments below a topic and below a photo.
    planted().polls(STREAM, 2 + COMMENTS + 3, script)
}

/// The moment the scripted world stopped: one for all answers, recent enough for a first look.
static NOW: LazyLock<i64> = LazyLock::new(|| Timestamp::now().as_second() - 3600);

/// Moscow wall time, seconds before the end.
fn wall(before: usize) -> String {
    let seconds = *NOW - i64::try_from(before).unwrap_or(0);
    let at = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let moscow = TimeZone::get("Europe/Moscow").expect("the bundled time zones hold Moscow");
    at.to_zoned(moscow).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn answer(request: &ScriptedRequest) -> ScriptedAnswer {
    let parameter = |name: &str| request.param(name).unwrap_or_default();
    ScriptedAnswer::json(&match parameter("method").as_str() {
        "stream.get" => topics(),
        "discussions.getList" => json!({"discussions": [
            {"object_id": "61", "object_type": "GROUP_TOPIC", "total_comments_count": COMMENTS,
             "last_activity_date": wall(0), "ref_objects": [{"id": GROUP, "type": "GROUP"}]},
            {"object_id": "71", "object_type": "GROUP_PHOTO", "total_comments_count": "3",
             "last_activity_date": wall(0), "ref_objects": [{"id": GROUP, "type": "GROUP"}]},
            {"object_id": "81", "object_type": "GROUP_TOPIC", "total_comments_count": 9,
             "last_activity_date": wall(0), "ref_objects": [{"id": "57000000000009", "type": "GROUP"}]},
        ]}),
        "discussions.getComments" => {
            let all = if parameter("discussionId") == "61" { COMMENTS } else { 3 };
            comments(all, parameter("anchor").parse().unwrap_or(0))
        }
        _ => Value::Null,
    })
}

fn topics() -> Value {
    let topic = |id: &str, author: &str| {
        json!({"id": id, "author_ref": author, "created_ms": *NOW * 1000,
            "media": [{"type": "text", "text": "Дерево упало"}]})
    };
    let own = format!("group:{GROUP}");
    json!({"feeds": [], "entities": {"media_topics": [topic("61", "user:1"), topic("62", &own)]}})
}

/// A page of comments, newest first, after `skipped` of them.
fn comments(all: usize, skipped: usize) -> Value {
    let list: Vec<Value> = (skipped..all.min(skipped + 100))
        .map(|number| {
            json!({"id": format!("c{number}"), "author_id": "1", "text": format!("слово {number}"),
                "date": wall(number), "type": "ACTIVE_MESSAGE"})
        })
        .collect();
    if list.is_empty() {
        return Value::Null;
    }
    json!({"comments": list, "anchor": (skipped + 100).to_string()})
}
