//! The listener for platforms: prove, store, answer, in that order.
//!
//! One handler without middleware: the path is split by hand, headers and body are moved and not copied, connectors
//! are looked up without a lock, and the counter of a good answer is resolved beforehand.

use std::{
    collections::HashMap,
    net::{SocketAddr, TcpListener},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use axum_server::{Handle, accept::NoDelayAcceptor, tls::TlsInfo, tls_rustls::RustlsAcceptor};
use futures::StreamExt;
use jiff::Timestamp;
use priem_sdk::{Connector, HookRequest, Reply, StreamKind, contract::ConnectorId};
use prometheus::{IntCounter, IntGauge};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Accept, Certificates, Health, ListenError, NotAccepted, Source, StreamId, WebhookSettings, listen, peer,
    tls::certificate_sha256,
};
use crate::telemetry::Metrics;

/// When the platform should send again what could not be stored, seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("30");
/// Grain in which the memory of bodies is counted, bytes.
const MEMORY_UNIT: usize = 1024;
/// How much of a refused body is read and thrown away, so that the sender gets to read the answer before the
/// connection closes. In all, and for how long.
const DRAIN_BYTES: usize = 16 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// A connector that takes webhooks, with everything the handler needs at hand.
struct Hook {
    id: ConnectorId,
    stream: StreamId,
    connector: Arc<dyn Connector>,
    source: Arc<Source>,
    /// `priem_webhook_answers_total` with status 200: the hot one.
    answered_ok: IntCounter,
    /// `priem_last_exchange_timestamp_seconds` of the stream.
    last_exchange: IntGauge,
}

type HookTable = HashMap<String, Hook>;

/// The connectors behind `/hooks/…`. Cheap to clone; clones share the table, which a reload replaces whole.
#[derive(Clone)]
pub struct Hooks {
    table: Arc<ArcSwap<HookTable>>,
    metrics: Metrics,
    health: Health,
}

impl Hooks {
    /// A table of connectors by name. Those without a webhook stream are left out: their paths answer 404.
    pub fn new(connectors: HashMap<String, Arc<dyn Connector>>, metrics: Metrics, health: Health) -> Self {
        let hooks = Self {
            table: Arc::default(),
            metrics,
            health,
        };
        hooks.replace(connectors);
        hooks
    }

    /// Puts other connectors in place. Requests under way end with the ones they began with.
    pub fn replace(&self, connectors: HashMap<String, Arc<dyn Connector>>) {
        let table = connectors
            .into_iter()
            .filter_map(|(name, connector)| Some((name.clone(), self.hook(name, connector)?)))
            .collect();
        self.table.store(Arc::new(table));
    }

    fn hook(&self, name: String, connector: Arc<dyn Connector>) -> Option<Hook> {
        let streams = connector.streams();
        let mut webhooks = streams.iter().filter(|stream| stream.kind == StreamKind::Webhook);
        let stream = webhooks.next()?;
        let mut stream_id = StreamId::from(stream);
        if webhooks.next().is_some() {
            // A request does not say which of several registrations it came by.
            stream_id.id = stream.name.into();
        }
        Some(Hook {
            stream: stream_id,
            connector,
            source: self.health.source(&name, stream),
            answered_ok: self.metrics.webhook_answers.with_label_values(&[name.as_str(), "200"]),
            last_exchange: self
                .metrics
                .last_exchange
                .with_label_values(&[name.as_str(), stream.name]),
            id: ConnectorId::new(name),
        })
    }
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.table.load().keys()).finish()
    }
}

/// The listener for platforms.
pub struct WebhookServer {
    listener: TcpListener,
    address: SocketAddr,
    settings: WebhookSettings,
    certificates: Option<Certificates>,
    state: Arc<Shared>,
}

struct Shared {
    hooks: Hooks,
    intake: Arc<dyn Accept>,
    settings: WebhookSettings,
    /// One permit for each request worked on.
    places: Semaphore,
    /// One permit for each [`MEMORY_UNIT`] of a body held.
    memory: Semaphore,
}

impl WebhookServer {
    /// Reads the certificate and opens the listening socket. Relative paths start from `base_dir`.
    ///
    /// # Errors
    /// [`ListenError`] when the address or the certificate can't be used.
    pub fn bind(
        settings: WebhookSettings,
        base_dir: &Path,
        hooks: Hooks,
        intake: Arc<dyn Accept>,
    ) -> Result<Self, ListenError> {
        let certificates = match &settings.tls {
            Some(tls) => Some(Certificates::load(tls, base_dir)?),
            None => None,
        };
        let listener = listen("webhooks.listen", settings.listen)?;
        let address = listener.local_addr().unwrap_or(settings.listen);
        let places = usize::try_from(settings.max_concurrent_requests.get()).unwrap_or(Semaphore::MAX_PERMITS);
        let state = Shared {
            hooks,
            intake,
            settings: settings.clone(),
            places: Semaphore::new(places),
            memory: Semaphore::new((settings.max_buffered_bytes / MEMORY_UNIT).min(Semaphore::MAX_PERMITS)),
        };
        Ok(Self {
            listener,
            address,
            settings,
            certificates,
            state: Arc::new(state),
        })
    }

    /// The address in use, with the port the system chose when the settings say 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate in use, for reloading it on demand.
    pub fn certificates(&self) -> Option<Certificates> {
        self.certificates.clone()
    }

    /// Serves until `stop`, then lets open requests end within the grace time.
    ///
    /// # Errors
    /// When the socket can't be served at all.
    pub async fn run(self, stop: CancellationToken) -> std::io::Result<()> {
        let handle = Handle::new();
        let stopper = {
            let (handle, stop, grace) = (handle.clone(), stop.clone(), self.settings.shutdown_grace());
            tokio::spawn(async move {
                stop.cancelled().await;
                handle.graceful_shutdown(Some(grace));
            })
        };
        let request_timeout = self.settings.request_timeout();
        let mut server = axum_server::from_tcp(self.listener)?
            .acceptor(NoDelayAcceptor::new())
            .handle(handle)
            .http1_only()
            .first_request_timeout(request_timeout)
            .accept_error_handler(|sender: Option<&SocketAddr>, error| match sender {
                // Out of file descriptors, most likely: nobody gets in.
                None => tracing::warn!(%error, "webhook connection not accepted"),
                Some(_) => tracing::debug!(%error, "webhook connection ended before a request"),
            });
        server
            .http_builder()
            .http1()
            .header_read_timeout(self.settings.idle_timeout());
        let service = Router::new()
            .fallback(handle_request)
            .with_state(self.state)
            .into_make_service_with_connect_info::<SocketAddr>();
        let outcome = match self.certificates {
            None => server.serve(service).await,
            Some(certificates) => {
                let config = certificates.rustls_config();
                let watcher = tokio::spawn(certificates.watch(stop));
                let outcome = server
                    .map(|tcp| {
                        RustlsAcceptor::new(config)
                            .handshake_timeout(request_timeout)
                            .acceptor(tcp)
                    })
                    .serve(service)
                    .await;
                watcher.abort();
                outcome
            }
        };
        stopper.abort();
        outcome
    }
}

/// One answer, and what the counters say about it.
struct Answer {
    response: Response,
    /// Why the request was refused, when it was.
    refused: Option<&'static str>,
}

impl Answer {
    fn refused(status: StatusCode, reason: &'static str) -> Self {
        Self {
            response: status.into_response(),
            refused: Some(reason),
        }
    }

    /// Asks the platform to send again later.
    fn again(reason: &'static str) -> Self {
        let mut answer = Self::refused(StatusCode::SERVICE_UNAVAILABLE, reason);
        answer
            .response
            .headers_mut()
            .insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
        answer
    }

    fn reply(reply: Reply) -> Self {
        // A connector that names an impossible status is wrong about the answer, not about what was stored.
        let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
        let has_body = !reply.body.is_empty();
        let mut response = Response::new(Body::from(reply.body));
        *response.status_mut() = status;
        if has_body {
            let content_type = HeaderValue::from_static(reply.content_type);
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        }
        Self {
            response,
            refused: None,
        }
    }
}

async fn handle_request(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let table = shared.hooks.table.load_full();
    let metrics = &shared.hooks.metrics;
    let found = request.uri().path().strip_prefix("/hooks/").map(|path| {
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        (table.get(name), rest.to_owned())
    });
    let Some((Some(hook), path)) = found else {
        metrics.refused.with_label_values(&["unknown", "not_found"]).inc();
        metrics.webhook_answers.with_label_values(&["unknown", "404"]).inc();
        return StatusCode::NOT_FOUND.into_response();
    };
    let answer = answer(&shared, hook, path, connection, request).await;
    let name = hook.id.as_str();
    if let Some(reason) = answer.refused {
        metrics.refused.with_label_values(&[name, reason]).inc();
    }
    match answer.response.status() {
        StatusCode::OK => hook.answered_ok.inc(),
        status => metrics
            .webhook_answers
            .with_label_values(&[name, status.as_str()])
            .inc(),
    }
    answer.response
}

async fn answer(shared: &Shared, hook: &Hook, path: String, connection: SocketAddr, request: Request) -> Answer {
    let Ok(_place) = shared.places.try_acquire() else {
        return Answer::again("overloaded");
    };
    let (head, body) = request.into_parts();
    let Ok(_memory) = shared.memory.try_acquire_many(memory_units(&body, &shared.settings)) else {
        return Answer::again("overloaded");
    };
    let body = match read_body(body, &shared.settings).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let request = HookRequest {
        method: head.method.as_str().to_owned(),
        path,
        query: head.uri.query().unwrap_or_default().to_owned(),
        peer: peer::sender(connection.ip(), &head.headers, &shared.settings.trusted_proxies),
        headers: head.headers,
        certificate_sha256: head
            .extensions
            .get::<Arc<TlsInfo>>()
            .and_then(|tls| certificate_sha256(tls)),
        received_at: Timestamp::now(),
        body,
    };
    let received = catch_unwind(AssertUnwindSafe(|| hook.connector.receive(&request)));
    let receipt = match received {
        Ok(Ok(receipt)) => receipt,
        Ok(Err(refusal)) => {
            let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
            return Answer::refused(status, refusal.kind());
        }
        Err(_) => {
            tracing::error!(connector = %hook.id, bytes = request.body.len(), "connector panicked on a webhook request");
            return Answer::refused(StatusCode::INTERNAL_SERVER_ERROR, "panic");
        }
    };
    let has_items = !receipt.items.is_empty();
    if has_items {
        let stored = shared.intake.accept(&hook.id, &hook.stream, receipt.items);
        match timeout(shared.settings.store_timeout(), stored).await {
            Ok(Ok(())) => {}
            Ok(Err(NotAccepted::Full)) => return Answer::again("journal_full"),
            Ok(Err(NotAccepted::Unavailable)) => return Answer::again("journal_unavailable"),
            // Stored or not, the platform sends again, and what is stored already counts as a duplicate.
            Err(_) => return Answer::again("journal_slow"),
        }
    }
    hook.source.exchanged(has_items);
    hook.last_exchange.set(Timestamp::now().as_second());
    Answer::reply(receipt.reply)
}

/// What a body may take at most: what is announced, or the limit when nothing is.
fn memory_units(body: &Body, settings: &WebhookSettings) -> u32 {
    let most = body.size_hint().upper().and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = most.unwrap_or(usize::MAX).min(settings.max_body_bytes);
    u32::try_from(bytes / MEMORY_UNIT).unwrap_or(u32::MAX)
}

/// Reads a body within the limits of size and time. The usual body comes in one piece and is not copied.
async fn read_body(body: Body, settings: &WebhookSettings) -> Result<Bytes, Answer> {
    let limit = settings.max_body_bytes;
    let announced = body.size_hint().lower();
    let mut pieces = body.into_data_stream();
    if announced > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(too_large(pieces));
    }
    let reading = async {
        let mut first = Bytes::new();
        let mut rest = Vec::new();
        while let Some(piece) = pieces.next().await {
            let Ok(piece) = piece else {
                return Err(Answer::refused(StatusCode::BAD_REQUEST, "broken_body"));
            };
            if first.len() + rest.len() + piece.len() > limit {
                return Err(Answer::refused(StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
            }
            if first.is_empty() {
                first = piece;
            } else {
                rest.extend_from_slice(&piece);
            }
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(Bytes::from([first.as_ref(), &rest].concat()))
    };
    let outcome = timeout(settings.request_timeout(), reading).await;
    match outcome {
        Ok(Err(answer)) if answer.response.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large(pieces)),
        Ok(outcome) => outcome,
        Err(_) => Err(Answer::refused(StatusCode::REQUEST_TIMEOUT, "timeout")),
    }
}

/// Answers 413 and meanwhile throws away a bounded part of what is still coming: a connection closed over unread bytes
/// would be reset, and the sender would never see the answer.
fn too_large(mut pieces: axum::body::BodyDataStream) -> Answer {
    tokio::spawn(timeout(DRAIN_TIME, async move {
        let mut drained = 0;
        while let Some(Ok(piece)) = pieces.next().await {
            drained += piece.len();
            if drained > DRAIN_BYTES {
                break;
            }
        }
    }));
    Answer::refused(StatusCode::PAYLOAD_TOO_LARGE, "too_large")
}
