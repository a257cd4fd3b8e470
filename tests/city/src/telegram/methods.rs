//! The methods of the Bot API a receiving client uses, and the ones it must never call.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::{City, Fault, hooks, polling, state};

/// Largest request body that is read.
const LARGEST_BODY: usize = 16 * 1024 * 1024;
/// Largest file the public server gives to bots.
const LARGEST_FILE: usize = 20 * 1024 * 1024;
/// Unknown tokens a minute before probing is throttled.
const PROBES_A_MINUTE: usize = 20;

pub(super) type SharedBot = Arc<Mutex<state::Bot>>;
pub(super) type Outcome = Result<Vec<u8>, Refusal>;

/// A refused call.
pub(super) struct Refusal {
    status: u16,
    description: String,
    parameters: Option<Value>,
}

pub(super) fn refuse(status: u16, description: impl Into<String>) -> Refusal {
    Refusal {
        status,
        description: description.into(),
        parameters: None,
    }
}

pub(super) fn router(city: Arc<City>) -> Router {
    Router::new().fallback(call).with_state(city)
}

async fn call(State(city): State<Arc<City>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(path) = parts.uri.path().strip_prefix("/file/bot") {
        return download(&city, path);
    }
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return answer(Err(refuse(413, "Request Entity Too Large")));
    };
    let Some((token, method)) = parts
        .uri
        .path()
        .strip_prefix("/bot")
        .and_then(|rest| rest.split_once('/'))
    else {
        return answer(Err(refuse(404, "Not Found")));
    };
    let Some(bot) = find_bot(&city, token) else {
        return answer(Err(unknown_token(&city, token)));
    };
    let method = method.to_ascii_lowercase();
    *bot.lock().calls.entry(method.clone()).or_default() += 1;
    bot.lock().touch();
    if bot.lock().revoked {
        return answer(Err(refuse(401, "Unauthorized")));
    }
    if let Some(status) = bot.lock().lacking.get(&method) {
        return answer(Err(refuse(*status, "this server does not know that")));
    }
    if method == "getupdates"
        && let Some(fault) = city.take_fault(|fault| matches!(fault, Fault::Impatient { .. }))
        && let Fault::Impatient { seconds, .. } = fault
    {
        tokio::time::sleep(city.real(f64::from(seconds))).await;
        return broken_answer(fault);
    }
    let spoils = |fault: &Fault| {
        !matches!(
            fault,
            Fault::Duplicate { .. } | Fault::AtOnce { .. } | Fault::Impatient { .. }
        )
    };
    if let Some(fault) = city.take_fault(spoils) {
        return broken_answer(fault);
    }
    let arguments = match arguments(&parts.headers, parts.uri.query(), &body) {
        Ok(arguments) => arguments,
        Err(refusal) => return answer(Err(refusal)),
    };
    answer(match method.as_str() {
        "getupdates" => polling::get_updates(&city, &bot, &arguments).await,
        "getme" => Ok(get_me(&bot.lock()).to_string().into_bytes()),
        "getwebhookinfo" => {
            let now = city.unix();
            let mut state = bot.lock();
            state.expire(now);
            Ok(state.webhook_info().to_string().into_bytes())
        }
        "setwebhook" => set_webhook(&city, &bot, &arguments),
        "deletewebhook" => remove_webhook(&city, &bot, &arguments),
        "getchat" => get_chat(&bot.lock(), &arguments).map(|chat| chat.to_string().into_bytes()),
        "getchatmember" => get_chat_member(&bot.lock(), &arguments).map(|member| member.to_string().into_bytes()),
        "getfile" => get_file(&bot.lock(), &arguments).map(|file| file.to_string().into_bytes()),
        "logout" | "close" => {
            bot.lock().violate(format!("{method} was called"));
            Ok("true".into())
        }
        _ => Err(refuse(404, "Not Found: method not found")),
    })
}

fn find_bot(city: &City, token: &str) -> Option<SharedBot> {
    city.bots.lock().get(token).cloned()
}

/// 401 for a token nobody has, 404 for what is no token at all, 429 for too many of either.
fn unknown_token(city: &City, token: &str) -> Refusal {
    let now = city.now();
    let mut probes = city.probes.lock();
    probes.push_back(now);
    while probes.front().is_some_and(|at| *at < now - 60.0) {
        probes.pop_front();
    }
    if probes.len() > PROBES_A_MINUTE {
        city.violations
            .lock()
            .push("too many unknown tokens in a minute".into());
        return Refusal {
            parameters: Some(json!({"retry_after": 60})),
            ..refuse(429, "Too Many Requests: retry after 60")
        };
    }
    let has_shape = token
        .split_once(':')
        .is_some_and(|(id, key)| id.bytes().all(|byte| byte.is_ascii_digit()) && !key.is_empty());
    if has_shape {
        refuse(401, "Unauthorized: invalid token specified")
    } else {
        refuse(404, "Not Found")
    }
}

/// Arguments of a call from the query string, a form or a JSON object; later ones win.
fn arguments(headers: &HeaderMap, query: Option<&str>, body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let mut arguments = Map::new();
    let mut take_form = |text: &str| {
        for (key, value) in form_pairs(text) {
            arguments.insert(key, Value::String(value));
        }
    };
    take_form(query.unwrap_or_default());
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if content_type.starts_with("application/x-www-form-urlencoded") {
        take_form(std::str::from_utf8(body).unwrap_or_default());
    } else if content_type.starts_with("application/json") && !body.is_empty() {
        match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => arguments.extend(object),
            _ => return Err(refuse(400, "Bad Request: can't parse JSON object")),
        }
    } else if content_type.starts_with("multipart/") {
        return Err(refuse(400, "Bad Request: file uploads are not simulated"));
    }
    Ok(arguments)
}

fn form_pairs(text: &str) -> Vec<(String, String)> {
    // A dummy address lends the decoder of forms.
    match reqwest::Url::parse(&format!("http://form/?{text}")) {
        Ok(url) => url.query_pairs().into_owned().collect(),
        Err(_) => Vec::new(),
    }
}

pub(super) fn integer(arguments: &Map<String, Value>, key: &str) -> Option<i64> {
    match arguments.get(key)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn text<'a>(arguments: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    arguments.get(key).and_then(Value::as_str)
}

fn flag(arguments: &Map<String, Value>, key: &str) -> bool {
    match arguments.get(key) {
        Some(Value::Bool(value)) => *value,
        Some(Value::String(value)) => value.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// A list, given as one or as its JSON text.
pub(super) fn list(arguments: &Map<String, Value>, key: &str) -> Option<Vec<String>> {
    let value = match arguments.get(key)? {
        Value::String(text) => serde_json::from_str(text).ok()?,
        value => value.clone(),
    };
    serde_json::from_value(value).ok()
}

fn get_me(state: &state::Bot) -> Value {
    json!({
        "id": state.id, "is_bot": true, "first_name": "Городской бот", "username": state.username,
        "can_join_groups": true, "can_read_all_group_messages": state.reads_groups,
        "can_connect_to_business": true, "supports_inline_queries": false, "supports_guest_queries": false,
    })
}

fn set_webhook(city: &Arc<City>, bot: &SharedBot, arguments: &Map<String, Value>) -> Outcome {
    let url = text(arguments, "url").unwrap_or_default();
    if url.is_empty() {
        return remove_webhook(city, bot, arguments);
    }
    let parsed = reqwest::Url::parse(url).map_err(|_| refuse(400, "Bad Request: bad webhook: invalid URL"))?;
    if !city.options.allow_http_webhooks {
        if parsed.scheme() != "https" {
            return Err(refuse(
                400,
                "Bad Request: bad webhook: An HTTPS URL must be provided for webhook",
            ));
        }
        if !matches!(parsed.port_or_known_default(), Some(443 | 80 | 88 | 8443)) {
            let why = "Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443";
            return Err(refuse(400, why));
        }
    }
    let secret_token = text(arguments, "secret_token").filter(|secret| !secret.is_empty());
    if let Some(secret) = secret_token {
        if secret.len() > 256 {
            return Err(refuse(400, "Bad Request: secret token is too long"));
        }
        if !secret
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        {
            return Err(refuse(400, "Bad Request: secret token contains unallowed characters"));
        }
    }
    {
        let mut state = bot.lock();
        drop_pending(&mut state, arguments);
        if let Some(kinds) = list(arguments, "allowed_updates") {
            state.allowed = Some(kinds);
        }
        let most = integer(arguments, "max_connections").unwrap_or(40).clamp(1, 100);
        state.webhook = Some(state::Webhook {
            url: url.to_owned(),
            secret_token: secret_token.map(str::to_owned),
            max_connections: most as usize,
        });
        end_poll(&mut state);
    }
    hooks::restart(city, bot);
    Ok("true".into())
}

fn remove_webhook(city: &Arc<City>, bot: &SharedBot, arguments: &Map<String, Value>) -> Outcome {
    {
        let mut state = bot.lock();
        drop_pending(&mut state, arguments);
        state.webhook = None;
        state.touch();
    }
    hooks::restart(city, bot);
    Ok("true".into())
}

fn drop_pending(state: &mut state::Bot, arguments: &Map<String, Value>) {
    if flag(arguments, "drop_pending_updates") {
        state.violate("pending updates were dropped");
        state.keep_last(0);
    }
}

fn end_poll(state: &mut state::Bot) {
    state.poll_generation += 1;
    state.poll_running = false;
    state.poll_ended_by = "terminated by setWebhook request";
    state.wake.notify_waiters();
    state.touch();
}

/// A path for the file; the files of a bot are those it was given by [`super::Bot::add_file`].
fn get_file(state: &state::Bot, arguments: &Map<String, Value>) -> Result<Value, Refusal> {
    let file_id = text(arguments, "file_id").unwrap_or_default();
    let Some(content) = state.files.get(file_id) else {
        let why = "Bad Request: wrong file_id or the file is temporarily unavailable";
        return Err(refuse(400, why));
    };
    if content.len() > LARGEST_FILE {
        return Err(refuse(400, "Bad Request: file is too big"));
    }
    Ok(
        json!({"file_id": file_id, "file_unique_id": file_id, "file_size": content.len(),
        "file_path": format!("photos/{file_id}.jpg")}),
    )
}

/// `<token>/photos/<file_id>.jpg`
fn download(city: &City, path: &str) -> Response {
    let found = path.split_once('/').and_then(|(token, path)| {
        let file_id = path.strip_prefix("photos/")?.strip_suffix(".jpg")?;
        find_bot(city, token)?.lock().files.get(file_id).cloned()
    });
    match found {
        Some(content) => {
            let mut response = Response::new(Body::from(content));
            let jpeg = header::HeaderValue::from_static("image/jpeg");
            response.headers_mut().insert(header::CONTENT_TYPE, jpeg);
            response
        }
        None => answer(Err(refuse(404, "Not Found"))),
    }
}

fn get_chat(state: &state::Bot, arguments: &Map<String, Value>) -> Result<Value, Refusal> {
    let id = integer(arguments, "chat_id").unwrap_or_default();
    if let Some(new) = state.migrated.get(&id) {
        return Err(Refusal {
            parameters: Some(json!({"migrate_to_chat_id": new})),
            ..refuse(400, "Bad Request: group chat was upgraded to a supergroup chat")
        });
    }
    if state.memberships.get(&id).is_some_and(|status| status == "kicked") {
        return Err(refuse(403, "Forbidden: bot was kicked from the supergroup chat"));
    }
    let known = state.chats.get(&id);
    let mut chat = known
        .cloned()
        .ok_or_else(|| refuse(400, "Bad Request: chat not found"))?;
    if let Some(fields) = chat.as_object_mut() {
        // What every chat has, however little a scenario says about it.
        let gifts = json!({"unlimited_gifts": false, "limited_gifts": false, "unique_gifts": false,
            "premium_subscription": false, "gifts_from_channels": false});
        for (name, value) in [
            ("accent_color_id", 0.into()),
            ("max_reaction_count", 11.into()),
            ("accepted_gift_types", gifts),
        ] {
            fields.entry(name).or_insert(value);
        }
    }
    Ok(chat)
}

fn get_chat_member(state: &state::Bot, arguments: &Map<String, Value>) -> Result<Value, Refusal> {
    get_chat(state, arguments)?;
    let chat = integer(arguments, "chat_id").unwrap_or_default();
    if integer(arguments, "user_id") != Some(state.id) {
        return Err(refuse(400, "Bad Request: user not found"));
    }
    match state.memberships.get(&chat).map(String::as_str) {
        Some("kicked") => Err(refuse(403, "Forbidden: bot was kicked from the supergroup chat")),
        Some(status) => Ok(json!({"status": status, "user": {"id": state.id, "is_bot": true, "first_name": "Бот"}})),
        None => Err(refuse(400, "Bad Request: user not found")),
    }
}

fn answer(outcome: Outcome) -> Response {
    match outcome {
        Ok(result) => json_response(200, [&b"{\"ok\":true,\"result\":"[..], &result, b"}"].concat(), None),
        Err(refusal) => {
            let mut body = json!({"ok": false, "error_code": refusal.status, "description": refusal.description});
            let retry_after = refusal
                .parameters
                .as_ref()
                .and_then(|parameters| parameters["retry_after"].as_u64());
            if let Some(parameters) = refusal.parameters {
                body["parameters"] = parameters;
            }
            json_response(refusal.status, body.to_string().into_bytes(), retry_after)
        }
    }
}

fn json_response(status: u16, body: Vec<u8>, retry_after: Option<u64>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn broken_answer(fault: Fault) -> Response {
    let html = |status: u16| {
        let mut response = json_response(status, "<html><body>Bad Gateway</body></html>".into(), None);
        let html = header::HeaderValue::from_static("text/html");
        response.headers_mut().insert(header::CONTENT_TYPE, html);
        response
    };
    match fault {
        Fault::RateLimit { retry_after, .. } => answer(Err(Refusal {
            parameters: Some(json!({"retry_after": retry_after})),
            ..refuse(429, format!("Too Many Requests: retry after {retry_after}"))
        })),
        Fault::RateLimitHeader { retry_after, .. } => json_response(429, "slow down".into(), Some(retry_after)),
        Fault::Html502 { .. } => html(502),
        Fault::Impatient { .. } => html(504),
        Fault::Html200 { .. } => html(200),
        Fault::ServerError { .. } => answer(Err(refuse(500, "Internal Server Error: restart"))),
        Fault::CutConnection { .. } | Fault::Duplicate { .. } | Fault::AtOnce { .. } => {
            let pieces: [Result<Bytes, std::io::Error>; 2] = [
                Ok(Bytes::from_static(b"{\"ok\":true,\"result\":[")),
                Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
            ];
            Response::new(Body::from_stream(futures::stream::iter(pieces)))
        }
    }
}
