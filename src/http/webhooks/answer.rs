//! One request: who sends it, by its head; its body; who sends it, for good; the journal; the answer.

use std::{
    net::{IpAddr, SocketAddr},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use axum::{
    body::{Body, Bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use axum_server::tls::TlsInfo;
use jiff::Timestamp;
use priem_sdk::{Admission, HookRequest, Refusal, Reply};
use tokio::time::timeout;

use super::{Hook, Shared, body};
use crate::{
    http::tls::certificate_sha256,
    intake::NotAccepted,
    listener::{Connection, ConnectionState, peer},
};

/// When the platform should send again what could not be stored, seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("30");
/// Said with 415.
const NO_ENCODINGS: &str = "bodies with a Content-Encoding are not read; send the body as it is\n";

/// A request that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    status: StatusCode,
    /// Bounded, for counters.
    reason: &'static str,
    /// Set when the sender was not proven.
    refusal: Option<Refusal>,
}

impl Refused {
    pub(super) fn new(status: StatusCode, reason: &'static str) -> Self {
        Self {
            status,
            reason,
            refusal: None,
        }
    }

    /// Asks the platform to send again later.
    pub(super) fn again(reason: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
        Self {
            refusal: Some(refusal),
            ..Self::new(status, refusal.kind())
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                (self.status, [(header::RETRY_AFTER, RETRY_AFTER_SECONDS)]).into_response()
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                (self.status, [(header::ACCEPT_ENCODING, "identity")], NO_ENCODINGS).into_response()
            }
            status => status.into_response(),
        }
    }
}

fn response(reply: Reply) -> Response {
    // A connector that names an impossible status is wrong about the answer, not about what was stored.
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let has_body = !reply.body.is_empty();
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = status;
    if has_body {
        let content_type = HeaderValue::from_static(reply.content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    response
}

/// Answers one request and counts it.
pub(super) async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let table = shared.hooks.table.load_full();
    let metrics = &shared.hooks.metrics;
    let found = request.uri().path().strip_prefix("/hooks/").map(|path| {
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        (table.get(name), rest.to_owned())
    });
    let connection = shared.gate.connection(from);
    let Some((Some(hook), path)) = found else {
        set_state(connection.as_deref(), ConnectionState::Stranger);
        metrics.refused.with_label_values(&["unknown", "not_found"]).inc();
        metrics.webhook_answers.with_label_values(&["unknown", "404"]).inc();
        body::drain(request.into_body());
        return StatusCode::NOT_FOUND.into_response();
    };
    let proof = Proof {
        connection: connection.as_deref(),
    };
    let sender = peer::sender(from.ip(), request.headers(), &shared.settings.trusted_proxies);
    let outcome = answer(&shared, hook, path, sender, request, &proof).await;
    proof.answered();
    let name = hook.id.as_str();
    if let Err(refused) = &outcome {
        metrics.refused.with_label_values(&[name, refused.reason]).inc();
        if let Some(refusal) = refused.refusal {
            hook.refusals.note(name, refusal, sender, Instant::now());
        }
    }
    let response = outcome.map_or_else(Refused::into_response, response);
    match response.status() {
        StatusCode::OK => hook.answered_ok.inc(),
        status => metrics
            .webhook_answers
            .with_label_values(&[name, status.as_str()])
            .inc(),
    }
    response
}

fn set_state(connection: Option<&Connection>, state: ConnectionState) {
    if let Some(connection) = connection {
        connection.set_state(state);
    }
}

/// Keeps the place of a connection while a proven request is worked on.
struct Proof<'c> {
    connection: Option<&'c Connection>,
}

impl Proof<'_> {
    /// The sender is proven.
    fn given(&self) {
        set_state(self.connection, ConnectionState::Busy);
    }

    /// It is not, or not yet.
    fn missing(&self) {
        set_state(self.connection, ConnectionState::Stranger);
    }

    fn answered(&self) {
        if let Some(connection) = self.connection {
            connection.answered();
        }
    }
}

async fn answer(
    shared: &Shared,
    hook: &Hook,
    path: String,
    sender: IpAddr,
    request: Request,
    proof: &Proof<'_>,
) -> Result<Reply, Refused> {
    let settings = &shared.settings;
    let (head, body) = request.into_parts();
    let mut request = HookRequest {
        method: head.method.as_str().to_owned(),
        path,
        query: head.uri.query().unwrap_or_default().to_owned(),
        peer: sender,
        headers: head.headers,
        certificate_sha256: head
            .extensions
            .get::<Arc<TlsInfo>>()
            .and_then(|tls| certificate_sha256(tls)),
        received_at: Timestamp::now(),
        body: Bytes::new(),
    };
    let admission = of_connector(hook, 0, || hook.connector.admit(&request)).inspect_err(|_| proof.missing());
    let admission = match admission {
        Ok(admission) => admission,
        Err(refused) => {
            body::drain(body);
            return Err(refused);
        }
    };
    match admission {
        Admission::Proven => proof.given(),
        Admission::ProofInBody => proof.missing(),
    }
    if is_encoded(&request.headers) {
        body::drain(body);
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_encoding"));
    }
    let mut held = shared.budget.body(peer::share_of(request.peer), admission);
    request.body = body::read(body, settings, &mut held).await?;
    let Ok(_place) = shared.places.try_acquire() else {
        return Err(Refused::again("overloaded"));
    };
    let received = of_connector(hook, request.body.len(), || hook.connector.receive(&request));
    let receipt = received.inspect_err(|_| proof.missing())?;
    proof.given();
    let has_items = !receipt.items.is_empty();
    if has_items {
        let stored = shared.intake.accept(&hook.id, &hook.stream, receipt.items);
        match timeout(settings.store_timeout(), stored).await {
            Ok(Ok(())) => {}
            Ok(Err(NotAccepted::Full)) => return Err(Refused::again("journal_full")),
            Ok(Err(NotAccepted::Unavailable)) => return Err(Refused::again("journal_unavailable")),
            // Stored or not, the platform sends again, and what is stored already counts as a duplicate.
            Err(_) => return Err(Refused::again("journal_slow")),
        }
    }
    hook.was_called(&shared.hooks.metrics, has_items);
    Ok(receipt.reply)
}

/// What the connector says; a panic in it costs this request only.
fn of_connector<T>(hook: &Hook, bytes: usize, ask: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refused> {
    match catch_unwind(AssertUnwindSafe(ask)) {
        Ok(said) => said.map_err(Refused::from),
        Err(_) => {
            tracing::error!(connector = %hook.id, bytes, "connector panicked on a webhook request");
            Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "panic"))
        }
    }
}

/// Whether a body is packed, in a way we don't unpack: a small body may unpack to any size.
fn is_encoded(headers: &HeaderMap) -> bool {
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    encodings.map(HeaderValue::as_bytes).any(|value| {
        let value = value.trim_ascii();
        !value.is_empty() && !value.eq_ignore_ascii_case(b"identity")
    })
}
