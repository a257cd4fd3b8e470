//! HTTP of the simulated network: which door a request knocks at, how its arguments are read, how trouble looks.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::Response,
};
use serde_json::{Value, json};

use super::{
    faults::{Kind, Outage, Place},
    longpoll,
    methods::{self, ApiError, Arguments},
    network::Network,
};

/// Largest request body that is read.
const LARGEST_BODY: usize = 4 * 1024 * 1024;

pub(super) fn router(network: Arc<Network>) -> Router {
    Router::new().fallback(request).with_state(network)
}

async fn request(State(network): State<Arc<Network>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return html(413);
    };
    let path = parts.uri.path();
    if let Some(method) = path.strip_prefix("/method/") {
        let method = method.to_owned();
        return call(&network, &method, &parts, &body).await;
    }
    if let Some(group) = path.strip_prefix("/lp/").and_then(|group| group.parse().ok()) {
        return longpoll::answer(&network, group, &parts).await;
    }
    html(404)
}

async fn call(network: &Arc<Network>, method: &str, parts: &Parts, body: &[u8]) -> Response {
    match network.outage() {
        None => {}
        Some(Outage::ApiError(code)) => return api_answer(Err(ApiError::new(code, "Internal server error"))),
        Some(outage) => return dead(outage).await,
    }
    let arguments = read_arguments(network, method, parts, body);
    let token = arguments.text("access_token").map(str::to_owned);
    let place = Place {
        method,
        group: methods::group_of(network, &arguments, token.as_deref()),
        token: token.as_deref(),
        inner: false,
        events: false,
    };
    let fault = network.take_fault(place);
    match fault {
        None => {}
        Some(Kind::Api { code, subcode }) => {
            let mut error = ApiError::on_purpose(code);
            error.subcode = subcode;
            methods::tell_to_wait(network, token.as_deref(), method, code);
            return api_answer(Err(error.with_request(method, &arguments)));
        }
        Some(Kind::Slow { seconds }) => network.sleep_until(network.now() + seconds).await,
        Some(kind) => return broken(&kind),
    }
    let outcome = methods::call(network, method, &arguments);
    api_answer(outcome.map_err(|error| error.with_request(method, &arguments)))
}

/// Arguments from the query string and a form body; the token also from its header. A JSON body says nothing here.
fn read_arguments(network: &Network, method: &str, parts: &Parts, body: &[u8]) -> Arguments {
    let mut fields: BTreeMap<String, String> = form_pairs(parts.uri.query().unwrap_or_default()).into_iter().collect();
    if fields.contains_key("access_token") {
        network.violate(format!("{method}: the token is in the address"));
    }
    let content_type = content_type(&parts.headers);
    if content_type.starts_with("application/x-www-form-urlencoded") {
        fields.extend(form_pairs(std::str::from_utf8(body).unwrap_or_default()));
    } else if content_type.starts_with("multipart/form-data") {
        network.violate(format!("{method}: multipart bodies are not simulated"));
    } else if !body.is_empty() {
        network.violate(format!("{method}: a body of type {content_type:?} is not understood"));
    }
    let bearer = parts.headers.get(header::AUTHORIZATION);
    if let Some(token) = bearer.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer ")) {
        fields.insert("access_token".into(), token.trim().to_owned());
    }
    Arguments::new(fields)
}

fn content_type(headers: &HeaderMap) -> &str {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// The pairs of a form or of a query string.
pub(super) fn form_pairs(text: &str) -> Vec<(String, String)> {
    // A dummy address lends the decoder of forms.
    match reqwest::Url::parse(&format!("http://form/?{text}")) {
        Ok(url) => url.query_pairs().into_owned().collect(),
        Err(_) => Vec::new(),
    }
}

/// A long poll is a GET without a token.
pub(super) fn check_long_poll_request(network: &Network, parts: &Parts, query: &BTreeMap<String, String>) {
    if parts.method != Method::GET {
        network.violate(format!("a_check by {}", parts.method));
    }
    if query.contains_key("access_token") || parts.headers.contains_key(header::AUTHORIZATION) {
        network.violate("a_check with a token");
    }
}

fn api_answer(outcome: Result<Value, ApiError>) -> Response {
    match outcome {
        // `execute` brings its own envelope, with the errors of its parts.
        Ok(mut answer) if answer.get(methods::ENVELOPE).is_some() => json_answer(&answer[methods::ENVELOPE].take()),
        Ok(answer) => json_answer(&json!({"response": answer})),
        Err(error) => json_answer(&json!({"error": error.object()})),
    }
}

pub(super) fn json_answer(value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn html(status: u16) -> Response {
    let mut response = Response::new(Body::from("<html><body>Bad Gateway</body></html>"));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let html = HeaderValue::from_static("text/html");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    response
}

fn cut() -> Response {
    let pieces: [Result<Bytes, std::io::Error>; 2] = [
        Ok(Bytes::from_static(b"{\"response\":{\"count\":1,")),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ];
    Response::new(Body::from_stream(futures::stream::iter(pieces)))
}

/// What a fault of the transport looks like.
pub(super) fn broken(kind: &Kind) -> Response {
    match kind {
        Kind::Html { status } => html(*status),
        _ => cut(),
    }
}

/// What everybody gets while the platform is down.
pub(super) async fn dead(outage: Outage) -> Response {
    match outage {
        Outage::Html(status) => html(status),
        Outage::ApiError(_) => html(502),
        Outage::Cut => cut(),
        // The client gives up first; the server forgets the request with the connection.
        Outage::Silent => std::future::pending().await,
    }
}
