//! What the conformance kit examines: the fixtures as items, proven and unproven deliveries, and a scripted API on
//! loopback with topics, a discussion of two pages and one below a photo.

use std::{
    net::IpAddr,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};
use priem_sdk::{
    Cx, HookRequest, Item, Secret,
    conformance::{
        BoxFuture, Expected, FaultSample, HookSample, ItemSample, PollSubject, PollerFactory, ScriptedAnswer,
        ScriptedRequest, ScriptedServer, Subject,
    },
    contract::ConnectorId,
    http::{HttpClient, HttpOptions},
};
use serde_json::{Value, json};

use super::{
    Odnoklassniki, OkSettings,
    config::{Credentials, Hook},
    session::Session,
    split,
};

const GROUP: &str = "57000000000001";
const STREAM: &str = "discussions/57000000000001";
const GROUP_TOKEN: &str = "tkn-planted-group-0123456789abcdef";
const ACCESS_TOKEN: &str = "tkn-planted-access-0123456789abcdef";
const SESSION_SECRET: &str = "planted-session-secret-0123456789";
const PATH: &str = "planted-path-0123456789abcdef";
/// An address inside OK's documented networks.
const OK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(217, 20, 145, 200));
/// Comments below the scripted topic: more than one page.
const COMMENTS: usize = 130;
/// Discussion of the samples.
const DISCUSSION: &str = "62190641299501";

macro_rules! samples {
    ($($name:literal => $expected:expr),+ $(,)?) => {
        &[$(($name, include_str!(concat!("fixtures/", $name, ".json")), $expected)),+]
    };
}

/// Fixtures of every kind, and what must become of them.
static SAMPLES: &[(&str, &str, Expected)] = samples![
    "message_text" => Expected::Messages(1),
    "message_old_form" => Expected::Messages(1),
    "message_thin" => Expected::Messages(1),
    "message_attachments" => Expected::Messages(1),
    "message_place" => Expected::Messages(1),
    "message_token_in_url" => Expected::Messages(1),
    "message_reply" => Expected::Messages(1),
    "message_markup" => Expected::Messages(1),
    "message_from_other_group" => Expected::Messages(1),
    "message_own" => Expected::Nothing,
    "message_callback" => Expected::Nothing,
    "message_chat_system" => Expected::Nothing,
    "message_unknown_type" => Expected::Quarantine("unknown_kind"),
    "message_empty" => Expected::Quarantine("unknown_content"),
    "comment_text" => Expected::Messages(1),
    "comment_millis" => Expected::Messages(1),
    "comment_reply" => Expected::Messages(1),
    "comment_without_name" => Expected::Messages(1),
    "comment_anonymous" => Expected::Messages(1),
    "comment_from_other_group" => Expected::Messages(1),
    "comment_own" => Expected::Nothing,
    "comment_attachment_only" => Expected::Messages(1),
    "comment_removed" => Expected::Nothing,
    "comment_vanished" => Expected::Nothing,
    "comment_empty" => Expected::Quarantine("unknown_content"),
    "comment_old_date" => Expected::Messages(1),
    "comment_new_type" => Expected::Messages(1),
    "topic_text" => Expected::Messages(1),
    "topic_rich" => Expected::Messages(1),
    "topic_own" => Expected::Nothing,
    "topic_on_moderation" => Expected::Messages(1),
    "topic_empty" => Expected::Quarantine("unknown_content"),
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

/// A group that takes webhooks; polling is examined with groups of its own.
pub(super) fn subject() -> Subject {
    let connector = groups(json!({"mode": "webhook", "webhook": {"path": {"env": "unused"}}}));
    let mut subject = Subject::new(Arc::new(connector), id());
    subject.secrets = [GROUP_TOKEN, ACCESS_TOKEN, SESSION_SECRET, PATH]
        .map(|secret| Secret::new(secret.to_owned()))
        .into();
    let item = |(name, text, expected): &(&'static str, &'static str, Expected)| ItemSample {
        name,
        item: item_of(name, Bytes::from_static(text.as_bytes())),
        expected: *expected,
    };
    subject.items = SAMPLES.iter().map(item).collect();
    subject.hooks = SAMPLES
        .iter()
        .filter(|(name, _, _)| DELIVERED.contains(name))
        .map(|(name, text, _)| delivery(name, Bytes::from_static(text.as_bytes())))
        .collect();
    subject.poller = Some(|| source(answer));
    subject.faults = faults();
    subject
}

fn faults() -> Vec<FaultSample> {
    fn refuse(code: i64) -> ScriptedAnswer {
        ScriptedAnswer::json(&json!({"error_code": code, "error_msg": "SCRIPTED", "error_data": null}))
    }
    fn page(status: u16) -> ScriptedAnswer {
        ScriptedAnswer {
            status,
            headers: Vec::new(),
            body: Bytes::from_static(b"<html>please log in</html>"),
        }
    }
    let samples: [(&str, PollerFactory, &str); 9] = [
        ("2 under 200", || source(|_| refuse(2)), "transient"),
        ("11 under 200", || source(|_| refuse(11)), "rate_limited"),
        ("8 under 400", || source(|_| refuse(8).with_status(400)), "rate_limited"),
        ("102 under 200", || source(|_| refuse(102)), "auth_rejected"),
        (
            "104 under 401",
            || source(|_| refuse(104).with_status(401)),
            "auth_rejected",
        ),
        ("10 under 200", || source(|_| refuse(10)), "misconfigured"),
        ("a code nobody listed", || source(|_| refuse(77_777)), "transient"),
        ("a proxy's page", || source(|_| page(502)), "transient"),
        ("a page that says 200", || source(|_| page(200)), "transient"),
    ];
    let fault = |(name, poller, kind)| FaultSample { name, poller, kind };
    samples.into_iter().map(fault).collect()
}

fn id() -> ConnectorId {
    ConnectorId::new("ok-groups")
}

/// Groups with planted secrets. Constants fit by construction; a test runs this.
fn groups(more: Value) -> Odnoklassniki {
    let mut settings = json!({
        "groups": [{"id": GROUP, "token": {"env": "unused"}}],
        "application": {"key": "CBAPLANTED", "access_token": {"env": "unused"}, "session_secret": {"env": "unused"}},
        "discussions": {"every": "1ms", "recheck_every": "24h"},
    });
    if let (Some(all), Value::Object(more)) = (settings.as_object_mut(), more) {
        all.extend(more);
    }
    let settings: OkSettings = serde_json::from_value(settings).expect("planted settings fit");
    let hook = settings.webhook.as_ref().map(|webhook| {
        let base = format!("https://priem.example.ru/hooks/{}/", id());
        Hook::new(base, &Secret::new(PATH.into()), webhook.source_networks.clone()).expect("planted secrets fit")
    });
    let application = Credentials {
        key: "CBAPLANTED".into(),
        first: Session::new(
            Secret::new(ACCESS_TOKEN.into()),
            Some(Secret::new(SESSION_SECRET.into())),
            None,
        ),
        renewal: None,
    };
    let http = HttpClient::new(HttpOptions::default()).expect("default options fit");
    let tokens = vec![Some(Secret::new(GROUP_TOKEN.into()))];
    Odnoklassniki::new(settings, tokens, Some(application), hook, http)
}

fn prove(body: Bytes) -> HookRequest {
    let mut request = HookRequest::post(format!("{PATH}/{GROUP}"), body);
    request.peer = OK;
    request
}

fn delivery(name: &'static str, body: Bytes) -> HookSample {
    let proven = prove(body.clone());
    let changed = |path: &str| HookRequest {
        path: path.into(),
        ..proven.clone()
    };
    let mut from_elsewhere = proven.clone();
    from_elsewhere.peer = IpAddr::from([203, 0, 113, 9]);
    HookSample {
        name,
        body,
        prove,
        proof_in_body: false,
        items: 1,
        unproven: vec![
            ("no path", changed("")),
            ("wrong path", changed("planted-path-of-another/57000000000001")),
            ("no group", changed(PATH)),
            ("another group", changed(&format!("{PATH}/57000000000002"))),
            ("another network", from_elsewhere),
        ],
    }
}

fn source(script: fn(&ScriptedRequest) -> ScriptedAnswer) -> BoxFuture<PollSubject> {
    Box::pin(async move {
        let server = ScriptedServer::start(script).await.expect("loopback has a free port");
        let api_url = server.url();
        PollSubject {
            open: Box::new(move || Arc::new(groups(json!({"api_url": api_url})))),
            cx: Cx {
                id: id(),
                take_over: false,
            },
            stream: STREAM,
            // Two topics, one of them the group's own; comments below a topic and below a photo.
            items: 2 + COMMENTS + 3,
            keep: Box::new(server),
        }
    })
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
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let parameter = |name: &str| {
        let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
            .next()
    };
    let anchor = parameter("anchor").unwrap_or_default();
    ScriptedAnswer::json(&match parameter("method").unwrap_or_default().as_str() {
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
            let all = if parameter("discussionId").as_deref() == Some("61") {
                COMMENTS
            } else {
                3
            };
            comments(all, anchor.parse().unwrap_or(0))
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
