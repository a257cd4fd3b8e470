//! The way in: which API a request is for, whose token it carries, how often it comes, and trouble made on purpose.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use serde_json::Value;

use super::{City, Trouble, graph, habits, oauth, rest, state};

/// Largest request body that is read.
const LARGEST_BODY: usize = 1024 * 1024;

/// A call, read.
pub(super) struct Call {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    /// Parameters of the address.
    pub query: BTreeMap<String, String>,
    /// Parameters of the address and of a form; the form wins.
    pub parameters: BTreeMap<String, String>,
    pub body: Bytes,
}

impl Call {
    pub fn text(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        self.parameters.get(name)?.parse().ok()
    }
}

pub(super) fn router(city: Arc<City>) -> Router {
    Router::new().fallback(answer).with_state(city)
}

/// Counts a call as under way until it is answered or given up.
struct UnderWay<'a> {
    city: &'a City,
    token: String,
}

impl<'a> UnderWay<'a> {
    fn begin(city: &'a City, token: &str) -> Self {
        let mut world = city.world.lock();
        let count = world.in_flight.entry(token.to_owned()).or_default();
        *count += 1;
        if *count > 1 {
            world.violate("two calls at once with one token");
        }
        Self {
            city,
            token: token.to_owned(),
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut world = self.city.world.lock();
        if let Some(count) = world.in_flight.get_mut(&self.token) {
            *count -= 1;
        }
        drop(world);
        self.city.touch();
    }
}

async fn answer(State(city): State<Arc<City>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return page(413, "too large");
    };
    let query = pairs(parts.uri.query().unwrap_or_default());
    let mut parameters = query.clone();
    let is_form = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    if is_form {
        parameters.extend(pairs(std::str::from_utf8(&body).unwrap_or_default()));
    }
    let call = Call {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        query,
        parameters,
        body,
    };
    let token = call.text("access_token").to_owned();
    let _under_way = UnderWay::begin(&city, &token);
    let fault = {
        let mut world = city.world.lock();
        if world.outage {
            return page(503, "<html>OK is not available</html>");
        }
        if too_fast(&mut world, &city, &token) {
            return json(&city, 200, &state::error(11, "LIMIT_REACHED"));
        }
        world.take_fault()
    };
    match fault.map(|fault| fault.trouble) {
        Some(Trouble::Code(code)) => return json(&city, 200, &state::error(code, "SCRIPTED")),
        Some(Trouble::CodeWithStatus(code)) => return json(&city, 400, &state::error(code, "SCRIPTED")),
        Some(Trouble::Html502) => return page(502, "<html>Bad Gateway</html>"),
        Some(Trouble::Html200) => return page(200, "<html>please log in</html>"),
        Some(Trouble::Null) => return json(&city, 200, &Value::Null),
        Some(Trouble::Cut) => return cut(),
        Some(Trouble::Slow(seconds)) => tokio::time::sleep(city.real(seconds.into())).await,
        Some(Trouble::Twice | Trouble::Late(_)) | None => {}
    }
    match call.path.strip_prefix("/graph/me/") {
        Some(method) => json(&city, 200, &graph::answer(&city, &call, method)),
        None if call.path == "/oauth/token.do" => json(&city, 200, &oauth::answer(&city, &call)),
        None => json(&city, 200, &rest::answer(&city, &call)),
    }
}

/// More calls in the last real second than allowed.
fn too_fast(world: &mut state::World, city: &City, token: &str) -> bool {
    let Some(most) = city.options.most_calls_per_second else {
        return false;
    };
    let now = Instant::now();
    let recent = world.recent.entry(token.to_owned()).or_default();
    while recent
        .front()
        .is_some_and(|at| now.duration_since(*at) > Duration::from_secs(1))
    {
        recent.pop_front();
    }
    recent.push_back(now);
    let is_too_fast = recent.len() > most;
    if is_too_fast {
        world.violate("more calls a second than allowed");
    }
    is_too_fast
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    // A dummy address lends the decoder of forms.
    match reqwest::Url::parse(&format!("http://form/?{text}")) {
        Ok(url) => url.query_pairs().into_owned().collect(),
        Err(_) => BTreeMap::new(),
    }
}

fn json(city: &City, status: u16, value: &Value) -> Response {
    with_type(status, habits::written(city, value), "application/json;charset=utf-8")
}

fn page(status: u16, text: &'static str) -> Response {
    with_type(status, text, "text/html")
}

fn with_type(status: u16, body: impl Into<Body>, kind: &'static str) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn cut() -> Response {
    let pieces: [Result<Bytes, std::io::Error>; 2] = [
        Ok(Bytes::from_static(b"{\"comments\":[")),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ];
    Response::new(Body::from_stream(futures::stream::iter(pieces)))
}
