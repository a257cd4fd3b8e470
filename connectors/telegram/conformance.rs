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
        BoxFuture, Expected, FaultSample, HookSample, ItemSample, PollSubject, ScriptedAnswer, ScriptedServer, Subject,
    },
    contract::ConnectorId,
    http::{HttpClient, HttpOptions},
};
use serde_json::{Value, json};

use super::{SECRET_HEADER, STREAM, Telegram, TelegramSettings, config::Hook, split};

const TOKEN: &str = "7700990011:AAplantedPlantedPlantedPlantedPlante";
const PATH: &str = "planted-path-0123456789abcdef";
const SECRET_TOKEN: &str = "planted-header-0123456789abcdef";
/// An address inside Telegram's documented networks.
const TELEGRAM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(149, 154, 167, 220));

macro_rules! samples {
    ($($name:literal => $expected:expr),+ $(,)?) => {
        &[$(($name, include_str!(concat!("fixtures/", $name, ".json")), $expected)),+]
    };
}

/// Fixtures of every kind, and what must become of them.
static SAMPLES: &[(&str, &str, Expected)] = samples![
    "private_text" => Expected::Messages(1),
    "private_entities" => Expected::Messages(1),
    "private_edited" => Expected::Messages(1),
    "private_message_id_zero" => Expected::Messages(1),
    "group_text" => Expected::Messages(1),
    "group_anonymous_admin" => Expected::Messages(1),
    "discussion_comment" => Expected::Messages(1),
    "discussion_automatic_forward" => Expected::Nothing,
    "channel_post" => Expected::Messages(1),
    "channel_post_edited" => Expected::Messages(1),
    "channel_direct" => Expected::Messages(1),
    "business_incoming" => Expected::Messages(1),
    "business_outgoing" => Expected::Nothing,
    "business_deleted" => Expected::Messages(2),
    "business_connection" => Expected::Nothing,
    "guest_message" => Expected::Messages(1),
    "forward_from_channel" => Expected::Messages(1),
    "album_first" => Expected::Messages(1),
    "album_second" => Expected::Messages(1),
    "video" => Expected::Messages(1),
    "document" => Expected::Messages(1),
    "contact" => Expected::Messages(1),
    "venue" => Expected::Messages(1),
    "poll" => Expected::Messages(1),
    "rich_message" => Expected::Messages(1),
    "service_pinned" => Expected::Nothing,
    "my_chat_member" => Expected::Nothing,
    "new_content" => Expected::Quarantine("unknown_content"),
    "unknown_kind" => Expected::Quarantine("unknown_kind"),
];

/// Those that also come as webhook deliveries: the shapes that differ for `receive`.
const DELIVERED: [&str; 4] = ["private_edited", "business_deleted", "rich_message", "unknown_kind"];

/// The updates of the scripted queue.
static QUEUE: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let update = |(index, (_, text, _)): (usize, &(&str, &str, Expected))| {
        let mut update: Value = serde_json::from_str(text).expect("fixtures are JSON");
        update["update_id"] = (1000 + index).into();
        update
    };
    SAMPLES.iter().enumerate().map(update).collect()
});

/// A bot that takes webhooks; polling is examined with bots of its own.
pub(super) fn subject() -> Subject {
    let connector = bot(json!({"mode": "webhook", "webhook": {"path": PATH, "secret_token": {"env": "unused"}}}));
    let mut subject = Subject::new(Arc::new(connector), id());
    subject.secrets = [TOKEN, PATH, SECRET_TOKEN]
        .map(|secret| Secret::new(secret.to_owned()))
        .into();
    let item = |(name, text, expected): &(&'static str, &'static str, Expected)| ItemSample {
        name,
        item: split::split(Bytes::from_static(text.as_bytes())).item,
        expected: *expected,
    };
    subject.items = SAMPLES.iter().map(item).collect();
    subject.hooks = SAMPLES
        .iter()
        .filter(|(name, _, _)| DELIVERED.contains(name))
        .map(|(name, text, _)| delivery(name, Bytes::from_static(text.as_bytes())))
        .collect();
    subject.poller = Some(|| queue(Script::Queue));
    subject.faults = faults();
    subject
}

fn faults() -> Vec<FaultSample> {
    vec![
        FaultSample {
            name: "429 with retry_after",
            poller: || {
                queue(Script::Fixed(
                    429,
                    r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 3","parameters":{"retry_after":3}}"#,
                ))
            },
            kind: "rate_limited",
        },
        FaultSample {
            name: "401",
            poller: || {
                queue(Script::Fixed(
                    401,
                    r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#,
                ))
            },
            kind: "auth_rejected",
        },
        FaultSample {
            name: "404 of a malformed token",
            poller: || {
                queue(Script::Fixed(
                    404,
                    r#"{"ok":false,"error_code":404,"description":"Not Found"}"#,
                ))
            },
            kind: "auth_rejected",
        },
        FaultSample {
            name: "409 because of a webhook",
            poller: || {
                queue(Script::Fixed(
                    409,
                    r#"{"ok":false,"error_code":409,"description":"Conflict: can't use getUpdates method while webhook is active"}"#,
                ))
            },
            kind: "misconfigured",
        },
        FaultSample {
            name: "409 because of another poller",
            poller: || {
                queue(Script::Fixed(
                    409,
                    r#"{"ok":false,"error_code":409,"description":"Conflict: terminated by other getUpdates request"}"#,
                ))
            },
            kind: "transient",
        },
        FaultSample {
            name: "a proxy's page",
            poller: || queue(Script::Fixed(502, "<html>Bad Gateway</html>")),
            kind: "transient",
        },
        FaultSample {
            name: "a page that says 200",
            poller: || queue(Script::Fixed(200, "<html>please log in</html>")),
            kind: "transient",
        },
    ]
}

fn id() -> ConnectorId {
    ConnectorId::new("telegram-main")
}

/// A bot with planted secrets. Constants fit by construction; a test runs this.
fn bot(more: Value) -> Telegram {
    let mut settings = json!({"token": {"env": "unused"}});
    if let (Some(all), Value::Object(more)) = (settings.as_object_mut(), more) {
        all.extend(more);
    }
    let settings: TelegramSettings = serde_json::from_value(settings).expect("planted settings fit");
    let hook = settings.webhook.as_ref().map(|webhook| {
        let base = format!("https://priem.example.ru/hooks/{}/", id());
        Hook::new(
            base,
            &Secret::new(PATH.into()),
            Secret::new(SECRET_TOKEN.into()),
            webhook,
        )
        .expect("planted secrets fit")
    });
    let http = HttpClient::new(HttpOptions::default()).expect("default options fit");
    Telegram::new(id(), settings, Secret::new(TOKEN.into()), hook, http)
}

fn prove(body: Bytes) -> HookRequest {
    let mut request = HookRequest::post(PATH, body).with_header(SECRET_HEADER, HeaderValue::from_static(SECRET_TOKEN));
    request.peer = TELEGRAM;
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
    /// getUpdates over [`QUEUE`], ten at a time, by offset.
    Queue,
    /// Always this status and body.
    Fixed(u16, &'static str),
}

fn queue(script: Script) -> BoxFuture<PollSubject> {
    Box::pin(async move {
        let server = ScriptedServer::start(move |request| match script {
            Script::Fixed(status, body) => ScriptedAnswer {
                status,
                headers: vec![("content-type", "application/json".into())],
                body: Bytes::from_static(body.as_bytes()),
            },
            Script::Queue => ScriptedAnswer::json(&updates(&serde_json::from_slice(&request.body).unwrap_or_default())),
        });
        let server = server.await.expect("loopback has a free port");
        let api_url = server.url();
        PollSubject {
            open: Box::new(move || Arc::new(bot(json!({"api_url": api_url})))),
            cx: Cx {
                id: id(),
                take_over: false,
            },
            stream: STREAM,
            items: QUEUE.len(),
            keep: Box::new(server),
        }
    })
}

fn updates(arguments: &Value) -> Value {
    let offset = arguments["offset"].as_i64().unwrap_or(0);
    let due = QUEUE
        .iter()
        .filter(|update| update["update_id"].as_i64() >= Some(offset));
    let due: Vec<&Value> = due.take(10).collect();
    json!({"ok": true, "result": due})
}
