//! The calls of the contour: the ones a receiving client makes, and the ones it must never make.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State as Shares},
    http::{HeaderMap, Method, StatusCode, header},
    response::Response,
};
use serde_json::{Value, json};

use super::{Fault, Shared, Step};

/// Largest request body that is read.
const LARGEST_BODY: usize = 1024 * 1024;
const LIST: &str = "/appeal-service/edms";
const TOKEN: &str = "/user-service/oauth/token";
const FILES: &str = "/file-storage-service/filestorage";

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(call).with_state(shared)
}

async fn call(Shares(shared): Shares<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return refusal(413, "Слишком большой запрос");
    };
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();
    let answer = match (&parts.method, path) {
        (&Method::POST, TOKEN) => token(&shared, &parts.headers, &body),
        _ => match unauthorized(&shared, &parts.headers) {
            Some(answer) => answer,
            None => authorized_call(&shared, &parts.method, path, query, &body).await,
        },
    };
    shared.touch();
    answer
}

async fn authorized_call(shared: &Shared, method: &Method, path: &str, query: &str, body: &Bytes) -> Response {
    let fault = shared.state.lock().faults.pop_front();
    if let Some(fault) = fault {
        return broken_answer(fault);
    }
    let file = path.strip_prefix(FILES).and_then(|rest| rest.strip_prefix('/'));
    let appeal = path.strip_prefix(LIST).and_then(|rest| rest.strip_prefix('/'));
    match (method, file, appeal) {
        (&Method::GET, _, _) if path == LIST => {
            pause_at(shared, Step::List).await;
            list(shared, query)
        }
        (&Method::GET, Some(key), _) => {
            pause_at(shared, Step::File).await;
            file_of(shared, key)
        }
        (&Method::POST, _, Some(rest)) => match rest.strip_suffix("/mark-accepted") {
            Some(id) => accept(shared, id, body).await,
            None => forbidden(shared, method, path),
        },
        _ => forbidden(shared, method, path),
    }
}

/// Waits while calls are held at a step.
async fn pause_at(shared: &Shared, step: Step) {
    let mut held = shared.held.subscribe();
    if !held.borrow().contains(&step) {
        return;
    }
    let _waiting = Waiting::new(shared, step);
    // The sender lives as long as the server.
    let _ = held.wait_for(|held| !held.contains(&step)).await;
}

/// Counts a call that waits, until it goes on or its client is gone.
struct Waiting<'s>(&'s Shared, Step);

impl<'s> Waiting<'s> {
    fn new(shared: &'s Shared, step: Step) -> Self {
        *shared.waiting.lock().entry(step).or_default() += 1;
        shared.touch();
        Self(shared, step)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.0.waiting.lock().get_mut(&self.1) {
            *waiting -= 1;
        }
        self.0.touch();
    }
}

fn token(shared: &Shared, headers: &HeaderMap, body: &Bytes) -> Response {
    let account = &shared.options.account;
    let mut state = shared.state.lock();
    *state.calls.entry("token").or_default() += 1;
    let basic = format!(
        "Basic {}",
        base64(&format!("{}:{}", account.client_id, account.client_secret))
    );
    let form: std::collections::HashMap<String, String> = form(body);
    let field = |name: &str| form.get(name).map(String::as_str);
    let proven = authorization(headers) == Some(basic.as_str())
        && field("grant_type") == Some("password")
        && field("scope") == Some("any")
        && field("username") == Some(account.username.as_str())
        && field("password") == Some(account.password.as_str());
    if !proven {
        return json_answer(
            401,
            &json!({"error": "invalid_grant", "error_description": "Bad credentials"}),
        );
    }
    state.next_token += 1;
    let value = format!("pos-token-{:08}-nobody-may-see", state.next_token);
    state.tokens.insert(value.clone(), shared.options.calls_per_token);
    json_answer(
        200,
        &json!({
            "access_token": value, "token_type": "bearer", "expires_in": shared.options.claimed_life, "scope": "any",
            "surname": "Служебный", "name": "Пользователь", "patronymic": null, "email": "edms@example.ru",
            "system": "edms", "rsId": 1, "userId": 17, "superUser": false, "jti": "00000000-0000-4000-8000-000000000000"
        }),
    )
}

/// The answer to a token that is not good; each call uses a good one up a little.
fn unauthorized(shared: &Shared, headers: &HeaderMap) -> Option<Response> {
    let mut state = shared.state.lock();
    let given = authorization(headers).unwrap_or_default().to_owned();
    if given.starts_with("Basic ") {
        state
            .violations
            .push("the client's secret was sent beside the token call".into());
    }
    let token = given.strip_prefix("Bearer ").unwrap_or_default();
    match state.tokens.get_mut(token) {
        Some(calls) if *calls > 0 => {
            *calls -= 1;
            None
        }
        _ => {
            let body = json!({"error": "invalid_token", "error_description": "Access token expired"});
            Some(json_answer(401, &body))
        }
    }
}

fn list(shared: &Shared, query: &str) -> Response {
    let mut state = shared.state.lock();
    *state.calls.entry("list").or_default() += 1;
    let parameters = form(query.as_bytes());
    let number = |name: &str, default: usize| match parameters.get(name) {
        Some(text) => text.parse::<usize>().ok(),
        None => Some(default),
    };
    let (Some(page), Some(size @ 1..=1000)) = (number("page", 0), number("size", 20)) else {
        state.violations.push("a list with a strange page or size".into());
        return refusal(400, "Неверные параметры страницы");
    };
    let total = state.list.len();
    let ids: Vec<u64> = state.list.iter().skip(page * size).take(size).copied().collect();
    state.listed.extend(&ids);
    let content: Vec<Value> = ids
        .iter()
        .filter_map(|id| Some(state.appeals.get(id)?.row.clone()))
        .collect();
    let pages = total.div_ceil(size);
    let sort = json!({"sorted": true, "unsorted": false, "empty": false});
    let answer = json!({
        "content": content,
        "pageable": {
            "pageNumber": page, "pageSize": size, "offset": page * size, "paged": true, "unpaged": false, "sort": sort
        },
        "totalElements": total, "totalPages": pages, "number": page, "numberOfElements": ids.len(), "size": size,
        "first": page == 0, "last": page + 1 >= pages, "empty": ids.is_empty(), "sort": sort
    });
    // The list shifts before the next page is read.
    if let Some(appeal) = state.arriving.pop_front() {
        state.submit(&appeal, &shared.base_url);
    }
    if let Some(id) = state.leaving.pop_front() {
        state.list.retain(|listed| *listed != id);
    }
    json_answer(200, &answer)
}

fn file_of(shared: &Shared, key: &str) -> Response {
    let mut state = shared.state.lock();
    *state.calls.entry("file").or_default() += 1;
    let Some(bytes) = state.files.get(key).cloned() else {
        return refusal(404, "Файл не найден");
    };
    *state.files_served.entry(key.to_owned()).or_default() += 1;
    let name = key.split_once('-').map_or(key, |(_, name)| name);
    let mut answer = Response::new(Body::from(bytes));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("image/jpeg"));
    if let Ok(value) = header::HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    answer
}

async fn accept(shared: &Shared, id: &str, body: &Bytes) -> Response {
    pause_at(shared, Step::BeforeAccept).await;
    let answer = accept_now(shared, id, body);
    shared.touch();
    pause_at(shared, Step::AfterAccept).await;
    answer
}

fn accept_now(shared: &Shared, id: &str, body: &Bytes) -> Response {
    let mut state = shared.state.lock();
    *state.calls.entry("accept").or_default() += 1;
    if !body.is_empty() {
        state.violations.push("mark-accepted with a body".into());
    }
    let Some(id) = id.parse::<u64>().ok().filter(|id| state.appeals.contains_key(id)) else {
        state
            .violations
            .push("mark-accepted of a message that does not exist".into());
        return refusal(404, "Сообщение не найдено");
    };
    if !state.listed.contains(&id) {
        state
            .violations
            .push(format!("mark-accepted of {id}, which was never given out"));
    }
    if state.refused.contains(&id) {
        state.refusals += 1;
        return refusal(400, "Сообщение находится на согласовании");
    }
    if let Some(stored) = state.appeals.get_mut(&id) {
        stored.is_accepted = true;
    }
    state.list.retain(|listed| *listed != id);
    state.accepted.push(id);
    Response::new(Body::empty())
}

fn forbidden(shared: &Shared, method: &Method, path: &str) -> Response {
    let what = format!("{method} {path}: not a call of a client that only receives");
    shared.state.lock().violations.push(what);
    refusal(403, "Нет доступа")
}

fn broken_answer(fault: Fault) -> Response {
    let status = |code: u16, body: &'static str| {
        let mut answer = Response::new(Body::from(body));
        *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        answer
    };
    match fault {
        Fault::ServerError => refusal(500, "Внутренняя ошибка"),
        Fault::Html502 => status(502, "<html><h1>502 Bad Gateway</h1></html>"),
        Fault::Html200 => status(200, "<html>Технические работы</html>"),
        Fault::Busy(seconds) => {
            let mut answer = status(503, "");
            answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            answer
        }
        Fault::Cut => {
            let pieces = futures::stream::iter([
                Ok(Bytes::from_static(b"{\"content\":[")),
                Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
            ]);
            Response::new(Body::from_stream(pieces))
        }
        Fault::ExpiredToken => json_answer(401, &json!({"error": "invalid_token"})),
    }
}

/// An error as the contour gives it.
fn refusal(status: u16, message: &str) -> Response {
    json_answer(status, &json!({"messages": [message]}))
}

fn json_answer(status: u16, body: &Value) -> Response {
    let mut answer = Response::new(Body::from(body.to_string()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = header::HeaderValue::from_static("application/json;charset=UTF-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()
}

fn form(text: &[u8]) -> std::collections::HashMap<String, String> {
    let text = String::from_utf8_lossy(text);
    let holder = reqwest::Url::parse(&format!("http://form/?{text}"));
    let pairs = holder.iter().flat_map(|url| url.query_pairs().into_owned());
    pairs.collect()
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in text.as_bytes().chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    out
}
