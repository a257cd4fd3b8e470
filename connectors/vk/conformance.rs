//! What the conformance kit examines: the fixtures as items, proven and unproven deliveries of the Callback API, and a
//! scripted VK on loopback that holds events by `ts`, as Bots Long Poll does.

use std::sync::{Arc, LazyLock, OnceLock};

use bytes::Bytes;
use priem_sdk::{
    Cx, HookRequest, Secret,
    conformance::{
        BoxFuture, Expected, FaultSample, HookSample, ItemSample, PollSubject, ScriptedAnswer, ScriptedRequest,
        ScriptedServer, Subject,
    },
    contract::ConnectorId,
    http::{HttpClient, HttpOptions},
    webhook::SharedSecret,
};
use serde_json::{Value, json};

use super::{
    Vk, VkSettings,
    callback::Hook,
    client::Client,
    communities::{CallbackSecret, Communities, Community},
    split,
    token::{Token, TokenKind},
};

const TOKEN: &str = "vk1.a.plantedPlantedPlantedPlantedPlanted";
const SECRET: &str = "planted-callback-0123456789abcdef";
const SERVICE: &str = "plantedServiceKeyplantedServiceKey";
/// An address of this machine where nobody listens.
const NOBODY: &str = "http://127.0.0.1:9";
/// The community of the fixtures.
pub(super) const GROUP: i64 = 190_700_001;
/// The stream of that community.
const STREAM: &str = "longpoll/190700001";
/// Events in one answer of the scripted long poll.
const AT_ONCE: usize = 7;

macro_rules! samples {
    ($($name:literal => $expected:expr),+ $(,)?) => {
        &[$(($name, include_str!(concat!("fixtures/", $name, ".json")), $expected)),+]
    };
}

/// Fixtures of every kind, and what must become of them when nothing is stored yet.
static SAMPLES: &[(&str, &str, Expected)] = samples![
    "message_private" => Expected::Messages(1),
    "message_flat" => Expected::Messages(1),
    "message_chat" => Expected::Messages(1),
    "message_forwarded" => Expected::Messages(1),
    "message_geo" => Expected::Messages(1),
    "message_files" => Expected::Messages(1),
    "message_service" => Expected::Nothing,
    "message_reply" => Expected::Nothing,
    "message_edit" => Expected::Messages(1),
    "message_empty" => Expected::Quarantine("unknown_content"),
    "post_citizen" => Expected::Messages(1),
    "post_suggested" => Expected::Messages(1),
    "post_own" => Expected::Nothing,
    "post_geo" => Expected::Messages(1),
    "post_shared" => Expected::Messages(1),
    "post_unknown_attachment" => Expected::Messages(1),
    "comment_minimal" => Expected::Messages(1),
    "comment_in_thread" => Expected::Messages(1),
    "comment_edited" => Expected::Messages(1),
    "comment_deleted" => Expected::Messages(1),
    "comment_own" => Expected::Nothing,
    "board_answer" => Expected::Messages(1),
    "board_deleted" => Expected::Messages(1),
    "photo_comment" => Expected::Messages(1),
    "photo_comment_deleted" => Expected::Messages(1),
    "video_comment" => Expected::Messages(1),
    "market_comment" => Expected::Messages(1),
    "like" => Expected::Nothing,
    "seen_post" => Expected::Messages(1),
    "seen_deleted" => Expected::Nothing,
    "old_version" => Expected::Quarantine("old_api_version"),
    "unknown_kind" => Expected::Quarantine("unknown_kind"),
];

/// Those that also come as deliveries: the shapes that differ for `receive`.
const DELIVERED: [&str; 4] = ["message_private", "comment_minimal", "comment_deleted", "unknown_kind"];

/// The events of the scripted long poll: everything VK itself would send.
static EVENTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let pushed = SAMPLES.iter().filter(|(name, ..)| !name.starts_with("seen_"));
    pushed
        .map(|(_, text, _)| serde_json::from_str(text).expect("fixtures are JSON"))
        .collect()
});

/// A connector that takes deliveries; polling is examined with connectors of its own.
pub(super) fn subject() -> Subject {
    let mut subject = Subject::new(Arc::new(connector("callback", None)), id());
    subject.secrets = [TOKEN, SECRET, SERVICE]
        .map(|secret| Secret::new(secret.to_owned()))
        .into();
    let item = |(name, text, expected): &(&'static str, &'static str, Expected)| ItemSample {
        name,
        item: split::item(Bytes::from_static(text.as_bytes())),
        expected: *expected,
    };
    subject.items = SAMPLES.iter().map(item).collect();
    subject.hooks = SAMPLES
        .iter()
        .filter(|(name, ..)| DELIVERED.contains(name))
        .map(|(name, text, _)| delivery(name, text))
        .collect();
    subject.hooks.push(confirmation());
    subject.poller = Some(|| poller(Script::Events));
    subject.faults = faults();
    subject
}

fn faults() -> Vec<FaultSample> {
    macro_rules! fault {
        ($name:literal, $script:expr, $kind:literal) => {
            FaultSample {
                name: $name,
                poller: || poller($script),
                kind: $kind,
            }
        };
    }
    vec![
        fault!("the key was revoked", Script::Refuse(5), "auth_rejected"),
        fault!("too many calls in a second", Script::Refuse(6), "rate_limited"),
        fault!("flood control", Script::Refuse(9), "rate_limited"),
        fault!("internal error", Script::Refuse(10), "transient"),
        fault!("captcha", Script::Refuse(14), "misconfigured"),
        fault!("the right to manage is missing", Script::Refuse(15), "misconfigured"),
        fault!("not for this kind of token", Script::Refuse(27), "misconfigured"),
        fault!("rate limit of the method", Script::Refuse(29), "rate_limited"),
        fault!("an error nobody knows", Script::Refuse(99_999), "transient"),
        fault!("a proxy's page", Script::Page(502), "transient"),
        fault!("a page that says 200", Script::Page(200), "transient"),
    ]
}

pub(super) fn id() -> ConnectorId {
    ConnectorId::new("vk-city")
}

/// A connector with planted secrets. Constants fit by construction; the kit runs this.
fn connector(mode: &str, api_url: Option<&str>) -> Vk {
    let settings: VkSettings = serde_json::from_value(json!({
        "mode": mode,
        "communities": [{"id": GROUP, "token": {"env": "unused"}}],
        "callback": {"secret": {"env": "unused"}},
        "api_url": api_url.unwrap_or(NOBODY),
        "longpoll": {"wait_s": 1},
    }))
    .expect("planted settings fit");
    let secret = Secret::new(SECRET.to_owned());
    let community = Community {
        id: GROUP,
        name: None,
        token: Some(Token::new(
            Secret::new(TOKEN.into()),
            TokenKind::Community,
            format!("key of community {GROUP}"),
        )),
        callback: Some(CallbackSecret {
            proof: SharedSecret::new(&secret),
            text: secret,
        }),
        confirmation: Some("7a1b2c3d".into()),
    };
    let hook = settings.callback.as_ref().map(|callback| {
        Hook::new(callback, id().as_str(), Some("https://priem.example.ru")).expect("planted settings fit")
    });
    let http = HttpClient::new(HttpOptions::default()).expect("default options fit");
    let client = Client::new(http.clone(), http, &settings.api_url);
    let service = Token::new(
        Secret::new(SERVICE.into()),
        TokenKind::Service,
        "the token of catch_up".into(),
    );
    Vk::new(
        id(),
        settings,
        Communities::from([(GROUP, community)]),
        client,
        hook,
        Some(service),
    )
}

fn with_secret(text: &str, secret: Option<&str>) -> Bytes {
    let mut event: Value = serde_json::from_str(text).expect("fixtures are JSON");
    if let (Some(secret), Some(fields)) = (secret, event.as_object_mut()) {
        fields.insert("secret".into(), secret.into());
    }
    Bytes::from(event.to_string())
}

fn delivery(name: &'static str, text: &'static str) -> HookSample {
    let mut of_another: Value = serde_json::from_str(text).expect("fixtures are JSON");
    of_another["group_id"] = 5.into();
    HookSample {
        name,
        body: with_secret(text, Some(SECRET)),
        prove: |body| HookRequest::post("", body),
        proof_in_body: true,
        items: 1,
        unproven: vec![
            ("no secret", HookRequest::post("", with_secret(text, None))),
            ("wrong secret", HookRequest::post("", with_secret(text, Some("guess")))),
            (
                "another community",
                HookRequest::post("", with_secret(&of_another.to_string(), Some(SECRET))),
            ),
        ],
    }
}

fn confirmation() -> HookSample {
    let body = |group: i64| Bytes::from(json!({"type": "confirmation", "group_id": group}).to_string());
    let wrong = json!({"type": "confirmation", "group_id": GROUP, "secret": "guess"});
    HookSample {
        name: "confirmation",
        body: body(GROUP),
        prove: |body| HookRequest::post("", body),
        proof_in_body: true,
        items: 0,
        unproven: vec![
            ("another community", HookRequest::post("", body(5))),
            ("wrong secret", HookRequest::post("", wrong.to_string())),
        ],
    }
}

/// What the scripted VK does.
#[derive(Clone, Copy)]
enum Script {
    /// Long poll over [`EVENTS`].
    Events,
    /// Every call fails with this code; the token is repeated in the words, as it must not be by us.
    Refuse(i64),
    /// Something on the way answers with its page.
    Page(u16),
}

fn poller(script: Script) -> BoxFuture<PollSubject> {
    Box::pin(async move {
        let address = Arc::new(OnceLock::<String>::new());
        let own = Arc::clone(&address);
        let server =
            ScriptedServer::start(move |request| answer(request, script, own.get().map_or("", String::as_str)))
                .await
                .expect("loopback has a free port");
        let api_url = address.get_or_init(|| server.url()).clone();
        PollSubject {
            open: Box::new(move || Arc::new(connector("longpoll", Some(&api_url)))),
            cx: Cx {
                id: id(),
                take_over: false,
            },
            stream: STREAM,
            items: EVENTS.len(),
            keep: Box::new(server),
        }
    })
}

fn answer(request: &ScriptedRequest, script: Script, own: &str) -> ScriptedAnswer {
    match script {
        Script::Page(status) => ScriptedAnswer {
            status,
            headers: vec![("content-type", "text/html".into())],
            body: "<html>please log in</html>".into(),
        },
        Script::Refuse(code) => {
            let body = String::from_utf8_lossy(&request.body);
            let token = body
                .split('&')
                .find_map(|pair| pair.strip_prefix("access_token="))
                .unwrap_or_default();
            ScriptedAnswer::json(&json!({"error": {
                "error_code": code,
                "error_msg": format!("refused for {token}"),
                "request_params": [{"key": "access_token", "value": token}],
            }}))
        }
        Script::Events if request.target.starts_with("/method/groups.getLongPollServer") => {
            ScriptedAnswer::json(&json!({"response": {"server": format!("{own}/lp"), "key": "k+e=y", "ts": "0"}}))
        }
        Script::Events if request.target.starts_with("/method/users.get") => {
            let author =
                json!({"id": 501_700_001, "first_name": "Анна", "last_name": "Жукова", "screen_name": "anna_zh"});
            ScriptedAnswer::json(&json!({"response": [author]}))
        }
        Script::Events if request.target.starts_with("/method/groups.getById") => {
            ScriptedAnswer::json(&json!({"response": {"groups": [{"id": GROUP, "name": "Жители Нагорного"}]}}))
        }
        Script::Events => ScriptedAnswer::json(&events(&request.target)),
    }
}

/// Events after `ts`. The new `ts` is a number here and a string in the answer of the server: both happen.
fn events(target: &str) -> Value {
    let after = target.split(['?', '&']).find_map(|pair| pair.strip_prefix("ts="));
    let after: usize = after.and_then(|ts| ts.parse().ok()).unwrap_or(0);
    if !target.contains("key=k%2Be%3Dy") {
        return json!({"failed": 2});
    }
    let updates: Vec<&Value> = EVENTS.iter().skip(after).take(AT_ONCE).collect();
    json!({"ts": after + updates.len(), "updates": updates})
}
