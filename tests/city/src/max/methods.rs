//! The calls of the Bot API a receiving client makes, and the ones it must never make.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::Response,
};
use serde_json::{Value, json};

use super::{City, Fault, SharedBot, polling, state};

/// Largest request body that is read.
const LARGEST_BODY: usize = 4 * 1024 * 1024;

pub(super) type Outcome = Result<Vec<u8>, Refusal>;

/// A refused call.
pub(super) struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
}

pub(super) fn refuse(status: u16, code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal {
        status,
        code,
        message: message.into(),
    }
}

pub(super) fn router(city: Arc<City>) -> Router {
    Router::new().fallback(call).with_state(city)
}

async fn call(State(city): State<Arc<City>>, request: Request) -> Response {
    if *city.down.borrow() {
        return cut();
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return answer(Err(refuse(413, "proto.payload", "too large")));
    };
    let path = parts.uri.path();
    let arguments = arguments(parts.uri.query().unwrap_or_default());
    let bot = match find_bot(&city, &parts.headers, &arguments) {
        Ok(bot) => bot,
        Err(refusal) => return answer(Err(refusal)),
    };
    let name = name_of(&parts.method, path);
    {
        let mut state = bot.lock();
        *state.calls.entry(name.clone()).or_default() += 1;
        state.touch();
        if state::pace(&mut state.requests) > city.options.requests_per_second {
            city.violate(format!(
                "more than {} requests in a second",
                city.options.requests_per_second
            ));
            return answer(Err(refuse(429, "too.many.requests", "Too many requests")));
        }
        if state.revoked {
            return answer(Err(refuse(401, "verify.token", "Invalid access_token")));
        }
    }
    match city.take_fault(|fault| fault.is_of_calls()) {
        Some(Fault::Slow { seconds, .. }) => {
            let moment = city.clock.seconds() + f64::from(seconds);
            city.clock.sleep_until(moment).await;
        }
        Some(fault) => return broken_answer(fault),
        None => {}
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    let of_chat = |place: usize| path.split('/').nth(place).and_then(|id| id.parse::<i64>().ok());
    let outcome = match name.as_str() {
        "GET /updates" => {
            only(&city, &name, &arguments, &["limit", "timeout", "marker", "types", "v"]);
            let poll = polling::get_updates(&city, &bot, &arguments);
            let mut down = city.down.subscribe();
            tokio::select! {
                outcome = poll => outcome,
                _ = down.wait_for(|down| *down) => return cut(),
            }
        }
        "GET /me" => Ok(me(&bot.lock()).to_string().into_bytes()),
        "GET /subscriptions" => Ok(subscriptions(&bot.lock()).to_string().into_bytes()),
        "POST /subscriptions" => subscribe(&city, &bot, &body),
        "DELETE /subscriptions" => unsubscribe(&city, &bot, &arguments),
        "GET /messages" => {
            only(&city, &name, &arguments, &["chat_id", "from", "to", "count", "v"]);
            messages(&city, &bot.lock(), &arguments)
        }
        "GET /chats/{}" => chat(&bot.lock(), last.parse().ok()),
        "GET /chats/{}/members/me" => membership(&bot.lock(), of_chat(2)),
        _ if parts.method == Method::GET && path.starts_with("/videos/") => video(&bot.lock(), last),
        _ => {
            city.violate(format!("{name} was called"));
            Err(refuse(404, "not.found", "unknown method"))
        }
    };
    answer(outcome)
}

/// `GET /chats/{}/members/me`: numbers in the path are left out.
fn name_of(method: &Method, path: &str) -> String {
    let parts: Vec<&str> = path
        .split('/')
        .map(|part| if part.parse::<i64>().is_ok() { "{}" } else { part })
        .collect();
    format!("{method} {}", parts.join("/"))
}

/// The token stands in `Authorization`, alone.
fn find_bot(city: &City, headers: &HeaderMap, arguments: &HashMap<String, String>) -> Result<SharedBot, Refusal> {
    if arguments.contains_key("access_token") {
        city.violate("the token stands in the query string");
    }
    let unknown = || refuse(401, "verify.token", "Invalid access_token");
    let Some(token) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        city.violate("a call without a token");
        return Err(unknown());
    };
    if token.to_ascii_lowercase().starts_with("bearer") {
        city.violate("the token came with `Bearer`");
    }
    city.bots.lock().get(token).cloned().ok_or_else(unknown)
}

fn arguments(query: &str) -> HashMap<String, String> {
    // A dummy address lends the decoder of forms.
    match reqwest::Url::parse(&format!("http://form/?{query}")) {
        Ok(url) => url.query_pairs().into_owned().collect(),
        Err(_) => HashMap::new(),
    }
}

/// Notes parameters the call does not have.
fn only(city: &City, call: &str, arguments: &HashMap<String, String>, known: &[&str]) {
    for name in arguments.keys().filter(|name| !known.contains(&name.as_str())) {
        city.violate(format!("{call} with the unknown parameter {name}"));
    }
}

fn me(state: &state::Bot) -> Value {
    json!({"user_id": state.id, "first_name": "Городская приёмная", "username": format!("city_{}_bot", state.id),
        "is_bot": true, "last_activity_time": 1_760_000_000_000_i64, "name": "Городская приёмная"})
}

fn subscriptions(state: &state::Bot) -> Value {
    let list: Vec<Value> = state
        .subscriptions
        .iter()
        .map(|one| json!({"url": one.url, "time": one.at, "update_types": one.update_types}))
        .collect();
    json!({"subscriptions": list})
}

fn subscribe(city: &Arc<City>, bot: &SharedBot, body: &[u8]) -> Outcome {
    let Ok(wish) = serde_json::from_slice::<Value>(body) else {
        city.violate("POST /subscriptions without a JSON body");
        return Err(refuse(400, "proto.payload", "Can't deserialize body"));
    };
    let refused = |message: &str| Ok(json!({"success": false, "message": message}).to_string().into_bytes());
    let url = wish["url"].as_str().unwrap_or_default();
    let Ok(parsed) = reqwest::Url::parse(url) else {
        return refused("Invalid url");
    };
    if !city.options.allow_http_webhooks && (parsed.scheme() != "https" || parsed.port().is_some()) {
        return refused("Only https on port 443 is supported");
    }
    let secret = wish["secret"].as_str();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if secret.is_some_and(|secret| !(5..=256).contains(&secret.len()) || !secret.bytes().all(is_plain)) {
        city.violate("POST /subscriptions with an impossible secret");
        return Err(refuse(400, "proto.payload", "secret: does not match pattern"));
    }
    let kinds = wish["update_types"].as_array().map(|kinds| {
        let text = |kind: &Value| kind.as_str().unwrap_or_default().to_owned();
        kinds.iter().map(text).collect::<Vec<String>>()
    });
    let mut state = bot.lock();
    let at = city.clock.milliseconds();
    match state.subscriptions.iter_mut().find(|one| one.url == url) {
        // The same address again: what it is asked for changes, its secret stays until it is removed.
        Some(known) => known.update_types = kinds,
        None => {
            let subscription = state::Subscription::new(url, secret.map(str::to_owned), kinds, at);
            state.subscriptions.push(subscription);
        }
    }
    state.touch();
    Ok(json!({"success": true}).to_string().into_bytes())
}

fn unsubscribe(city: &City, bot: &SharedBot, arguments: &HashMap<String, String>) -> Outcome {
    let Some(url) = arguments.get("url") else {
        city.violate("DELETE /subscriptions without url");
        return Err(refuse(400, "proto.payload", "url is required"));
    };
    let mut state = bot.lock();
    if state.foreign.contains(url) {
        city.violate("somebody else's webhook was removed");
    }
    if state.unsubscribe(url) {
        Ok(json!({"success": true}).to_string().into_bytes())
    } else {
        Ok(json!({"success": false, "message": "No such subscription"})
            .to_string()
            .into_bytes())
    }
}

/// History, newest first. `from` is the newer bound, `to` the older one.
fn messages(city: &City, state: &state::Bot, arguments: &HashMap<String, String>) -> Outcome {
    let number = |key: &str| arguments.get(key).and_then(|text| text.parse::<i64>().ok());
    let count = number("count").unwrap_or(50);
    let (Some(chat), 1..=100) = (number("chat_id"), count) else {
        city.violate("GET /messages with wrong parameters");
        return Err(refuse(400, "proto.payload", "wrong parameters"));
    };
    let (newer, older) = (number("from").unwrap_or(i64::MAX), number("to").unwrap_or(i64::MIN));
    if newer < older {
        city.violate("GET /messages with its bounds the wrong way round");
    }
    if let Some(known) = state.chats.get(&chat) {
        let reads = known.is_admin && known.permissions.iter().any(|one| one == "read_all_messages");
        if known.status != "active" || !reads {
            return Err(refuse(403, "chat.denied", "Access denied"));
        }
    } else if chat < 0 {
        return Err(refuse(404, "chat.not.found", "Chat not found"));
    }
    let messages = state.history.get(&chat).map(Vec::as_slice).unwrap_or_default();
    let inside = |message: &&Value| {
        let at = message["timestamp"].as_i64().unwrap_or_default();
        older <= at && at <= newer
    };
    let limit = usize::try_from(count).unwrap_or(50);
    let list: Vec<&Value> = messages.iter().rev().filter(inside).take(limit).collect();
    Ok(json!({"messages": list}).to_string().into_bytes())
}

/// A film; its addresses are null while it is being converted.
fn video(state: &state::Bot, token: &str) -> Outcome {
    let Some(url) = state.videos.get(token) else {
        return Err(refuse(404, "not.found", "No such video"));
    };
    let urls = url
        .as_ref()
        .map(|url| json!({"mp4_1080": null, "mp4_720": url, "mp4_144": "http://127.0.0.1:9/small"}));
    Ok(
        json!({"token": token, "urls": urls, "width": 1280, "height": 720, "duration": 14})
            .to_string()
            .into_bytes(),
    )
}

fn known(state: &state::Bot, chat: Option<i64>) -> Result<(i64, &state::Chat), Refusal> {
    chat.and_then(|id| Some((id, state.chats.get(&id)?)))
        .ok_or_else(|| refuse(404, "chat.not.found", "Chat not found"))
}

fn chat(state: &state::Bot, chat: Option<i64>) -> Outcome {
    let (id, chat) = known(state, chat)?;
    Ok(
        json!({"chat_id": id, "type": chat.kind, "status": chat.status, "title": chat.title, "icon": null,
        "last_event_time": 1_760_000_000_000_i64, "participants_count": 12, "is_public": false, "description": null})
        .to_string()
        .into_bytes(),
    )
}

fn membership(state: &state::Bot, chat: Option<i64>) -> Outcome {
    let (_, chat) = known(state, chat)?;
    let permissions = if chat.is_admin {
        json!(chat.permissions)
    } else {
        Value::Null
    };
    let mut me = me(state);
    for (key, value) in [
        ("last_access_time", json!(1_760_000_000_000_i64)),
        ("is_owner", json!(false)),
        ("is_admin", json!(chat.is_admin)),
        ("join_time", json!(1_760_000_000_000_i64)),
        ("permissions", permissions),
    ] {
        me[key] = value;
    }
    Ok(me.to_string().into_bytes())
}

fn answer(outcome: Outcome) -> Response {
    match outcome {
        Ok(body) => json_response(200, body, None),
        Err(refusal) => {
            let body = json!({"code": refusal.code, "message": refusal.message});
            json_response(refusal.status, body.to_string().into_bytes(), None)
        }
    }
}

fn json_response(status: u16, body: Vec<u8>, retry_after: Option<u64>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = header::HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// An answer that breaks off.
fn cut() -> Response {
    let pieces: [Result<Bytes, std::io::Error>; 2] = [
        Ok(Bytes::from_static(b"{\"updates\":[")),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ];
    Response::new(Body::from_stream(futures::stream::iter(pieces)))
}

fn broken_answer(fault: Fault) -> Response {
    let html = |status: u16| {
        let mut response = json_response(status, "<html><body>Bad Gateway</body></html>".into(), None);
        let html = header::HeaderValue::from_static("text/html");
        response.headers_mut().insert(header::CONTENT_TYPE, html);
        response
    };
    match fault {
        Fault::RateLimit { retry_after, .. } => {
            let body = json!({"code": "too.many.requests", "message": "Too many requests"});
            json_response(429, body.to_string().into_bytes(), retry_after)
        }
        Fault::Html502 { .. } => html(502),
        Fault::Html200 { .. } => html(200),
        Fault::ServerError { .. } => answer(Err(refuse(500, "internal", "Internal error"))),
        _ => cut(),
    }
}
