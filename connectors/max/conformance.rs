//! What the conformance kit examines: the fixtures as items, proven and unproven deliveries, and a scripted server
//! on loopback that holds a queue as the Bot API does.

use std::{
    net::IpAddr,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use http::HeaderValue;
use priem_sdk::{
    Cx, HookRequest, Secret,
    conformance::{
        BoxFuture, Expected, FaultSample, HookSample, ItemSample, PollSubject, ScriptedAnswer, ScriptedRequest,
        ScriptedServer, Subject,
    },
    contract::ConnectorId,
    http::{HttpClient, HttpOptions},
};
use serde_json::{Value, json};

use super::{Max, MaxSettings, SECRET_HEADER, UPDATES, config::Hook, split};

const TOKEN: &str = "planted-token-of-a-bot-f9LHodD0cOLjFRE4xMNj";
const PATH: &str = "planted-path-0123456789abcdef";
const SECRET: &str = "planted-header-0123456789abcdef";
/// An address inside the platform's published networks.
const PLATFORM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(185, 16, 150, 1));

macro_rules! samples {
    ($($name:literal => $expected:expr),+ $(,)?) => {
        &[$(($name, include_str!(concat!("fixtures/", $name, ".json")), $expected)),+]
    };
}

/// Fixtures of every kind, and what must become of them.
static SAMPLES: &[(&str, &str, Expected)] = samples![
    "dialog_text" => Expected::Messages(1),
    "dialog_edited" => Expected::Messages(1),
    "dialog_removed_message" => Expected::Messages(1),
    "dialog_without_chat_id" => Expected::Messages(1),
    "group_text" => Expected::Messages(1),
    "group_mentions" => Expected::Messages(1),
    "group_reply" => Expected::Messages(1),
    "group_from_bot" => Expected::Nothing,
    "group_without_sender" => Expected::Messages(1),
    "channel_post" => Expected::Messages(1),
    "comment" => Expected::Messages(1),
    "comment_removed" => Expected::Messages(1),
    "forward_pure" => Expected::Messages(1),
    "forward_null_body" => Expected::Messages(1),
    "photos" => Expected::Messages(1),
    "voice" => Expected::Messages(1),
    "file" => Expected::Messages(1),
    "contact" => Expected::Messages(1),
    "location" => Expected::Messages(1),
    "new_attachment" => Expected::Messages(1),
    "keyboard_only" => Expected::Quarantine("unknown_content"),
    "callback" => Expected::Nothing,
    "bot_started" => Expected::Messages(1),
    "bot_removed" => Expected::Nothing,
    "dialog_cleared" => Expected::Nothing,
    "permissions_changed" => Expected::Nothing,
    "unknown_kind" => Expected::Quarantine("unknown_kind"),
];

/// Those that also come as webhook deliveries: the shapes that differ for `receive`.
const DELIVERED: [&str; 4] = ["dialog_edited", "comment_removed", "forward_null_body", "unknown_kind"];

/// The updates of the scripted queue.
static QUEUE: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let update = |(_, text, _): &(&str, &str, Expected)| serde_json::from_str(text).expect("fixtures are JSON");
    SAMPLES.iter().map(update).collect()
});

/// A bot that takes webhooks; polling is examined with bots of its own.
pub(super) fn subject() -> Subject {
    let webhook = json!({"path": PATH, "secret": {"env": "unused"}, "enforce_source_networks": true});
    let connector = bot(json!({"mode": "webhook", "webhook": webhook}));
    let mut subject = Subject::new(Arc::new(connector), id());
    subject.secrets = [TOKEN, PATH, SECRET]
        .map(|secret| Secret::new(secret.to_owned()))
        .into();
    let item = |(name, text, expected): &(&'static str, &'static str, Expected)| ItemSample {
        name,
        item: split::update(Bytes::from_static(text.as_bytes())).item,
        expected: *expected,
    };
    subject.items = SAMPLES.iter().map(item).collect();
    let history = include_str!("fixtures/history_message.json");
    subject.items.push(ItemSample {
        name: "history_message",
        item: split::message(Bytes::from_static(history.as_bytes())).item,
        expected: Expected::Messages(1),
    });
    subject.hooks = SAMPLES
        .iter()
        .filter(|(name, _, _)| DELIVERED.contains(name))
        .map(|(name, text, _)| delivery(name, Bytes::from_static(text.as_bytes())))
        .collect();
    subject.poller = Some(|| server(Script::Queue));
    subject.faults = faults();
    subject
}

fn faults() -> Vec<FaultSample> {
    vec![
        FaultSample {
            name: "429",
            poller: || {
                server(Script::Fixed(
                    429,
                    r#"{"code":"too.many.requests","message":"Too many requests"}"#,
                ))
            },
            kind: "rate_limited",
        },
        FaultSample {
            name: "401",
            poller: || {
                server(Script::Fixed(
                    401,
                    r#"{"code":"verify.token","message":"Invalid access_token"}"#,
                ))
            },
            kind: "auth_rejected",
        },
        FaultSample {
            name: "405 because of a webhook",
            poller: || {
                server(Script::Fixed(
                    405,
                    r#"{"code":"method.not.allowed","message":"Webhook is set"}"#,
                ))
            },
            kind: "misconfigured",
        },
        FaultSample {
            name: "500",
            poller: || server(Script::Fixed(500, r#"{"code":"internal","message":"Internal error"}"#)),
            kind: "transient",
        },
        FaultSample {
            name: "a proxy's page",
            poller: || server(Script::Fixed(502, "<html>Bad Gateway</html>")),
            kind: "transient",
        },
        FaultSample {
            name: "a page that says 200",
            poller: || server(Script::Fixed(200, "<html>please log in</html>")),
            kind: "transient",
        },
    ]
}

fn id() -> ConnectorId {
    ConnectorId::new("max-main")
}

/// A bot with planted secrets. Constants fit by construction; a test runs this.
fn bot(more: Value) -> Max {
    let mut settings = json!({"token": {"env": "unused"}, "poll": {"least_pause_ms": 0}});
    if let (Some(all), Value::Object(more)) = (settings.as_object_mut(), more) {
        all.extend(more);
    }
    let settings: MaxSettings = serde_json::from_value(settings).expect("planted settings fit");
    let base = format!("https://priem.example.ru/hooks/{}/", id());
    let hook = settings.webhook.as_ref().map(|webhook| {
        Hook::new(&base, &Secret::new(PATH.into()), Secret::new(SECRET.into()), webhook).expect("planted secrets fit")
    });
    let http = HttpClient::new(HttpOptions::default()).expect("default options fit");
    Max::new(id(), settings, Secret::new(TOKEN.into()), Some(base), hook, http)
}

fn prove(body: Bytes) -> HookRequest {
    let mut request = HookRequest::post(PATH, body).with_header(SECRET_HEADER, HeaderValue::from_static(SECRET));
    request.peer = PLATFORM;
    request
}

fn delivery(name: &'static str, body: Bytes) -> HookSample {
    let proven = prove(body.clone());
    let mut without_header = proven.clone();
    without_header.headers.clear();
    let mut wrong_path = proven.clone();
    wrong_path.path = "planted-path-of-another-bot".into();
    let mut from_elsewhere = proven.clone();
    from_elsewhere.peer = IpAddr::from([203, 0, 113, 9]);
    HookSample {
        name,
        body,
        prove,
        proof_in_body: false,
        items: 1,
        unproven: vec![
            ("no header", without_header),
            (
                "wrong header",
                proven.with_header(SECRET_HEADER, HeaderValue::from_static("guess")),
            ),
            ("wrong path", wrong_path),
            ("another network", from_elsewhere),
        ],
    }
}

/// What the scripted server answers.
#[derive(Clone, Copy)]
enum Script {
    /// `GET /updates` over [`QUEUE`], ten at a time, by marker; the first marker is 0.
    Queue,
    /// Always this status and body.
    Fixed(u16, &'static str),
}

fn server(script: Script) -> BoxFuture<PollSubject> {
    Box::pin(async move {
        let server = ScriptedServer::start(move |request| match script {
            Script::Queue => ScriptedAnswer::json(&answer(request)),
            Script::Fixed(status, body) => ScriptedAnswer {
                status,
                headers: Vec::new(),
                body: Bytes::from_static(body.as_bytes()),
            },
        });
        let server = server.await.expect("loopback has a free port");
        let api_url = server.url();
        PollSubject {
            open: Box::new(move || Arc::new(bot(json!({"api_url": api_url})))),
            cx: Cx {
                id: id(),
                take_over: false,
            },
            stream: UPDATES,
            items: QUEUE.len(),
            keep: Box::new(server),
        }
    })
}

fn answer(request: &ScriptedRequest) -> Value {
    if request.target.starts_with("/subscriptions") {
        return json!({"subscriptions": []});
    }
    let marker = request
        .target
        .split(['?', '&'])
        .find_map(|pair| pair.strip_prefix("marker="));
    let Some(from) = marker.and_then(|marker| marker.parse::<usize>().ok()) else {
        return json!({"updates": [], "marker": 0});
    };
    let due: Vec<&Value> = QUEUE.iter().skip(from).take(10).collect();
    json!({"updates": due, "marker": from + due.len()})
}
