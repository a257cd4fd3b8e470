//! `GET /attachments/<event id>/<number>` for handlers of messages: 200 with the file, 202 while it is awaited, 404 for a
//! reference nobody gave (or past its time), 410 with the reason when it was given up.
//!
//! Files come from strangers: they are answered as downloads, never as something a browser would run.

use std::{net::TcpListener, sync::Arc};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use priem_sdk::{ConfigError, webhook::SharedSecret};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{
    Shared,
    queue::{JobId, State as JobState},
    settings::ServeSettings,
};
use crate::listener::{self, Gate, Places, READ_WITHIN, Times};

/// Bytes of a file handed on at once.
const CHUNK: usize = 64 * 1024;

/// Connections: handlers of messages, each with a few.
const PLACES: Places = Places {
    listener: "attachments",
    most: 512,
    most_per_address: 256,
    proxies: Vec::new(),
    read_within: READ_WITHIN,
};

/// The opened listener.
pub(super) struct Server {
    listener: TcpListener,
    token: Option<SharedSecret>,
}

#[derive(Clone)]
struct Service {
    shared: Arc<Shared>,
    token: Option<Arc<SharedSecret>>,
}

impl Server {
    /// Opens the socket and reads the token.
    pub fn bind(settings: &ServeSettings) -> Result<Self, ConfigError> {
        let token = match &settings.token {
            Some(reference) => {
                let token = reference
                    .read()
                    .map_err(|error| ConfigError::new("serve.token", error.to_string()))?;
                Some(SharedSecret::new(&token))
            }
            None => None,
        };
        let listener = TcpListener::bind(settings.listen).map_err(|error| {
            let problem = format!("can't listen on {}: {error}; choose a free address", settings.listen);
            ConfigError::new("serve.listen", problem)
        })?;
        Ok(Self { listener, token })
    }

    /// Serves until `closing`.
    pub async fn run(self, shared: Arc<Shared>, closing: CancellationToken) {
        let gate = Gate::new(PLACES, &shared.metrics);
        let service = Service {
            shared,
            token: self.token.map(Arc::new),
        };
        let router = Router::new()
            .route("/attachments/{event}/{number}", get(give))
            .with_state(service);
        let served = async {
            if let Ok(address) = self.listener.local_addr() {
                info!(%address, "attachments are served");
            }
            listener::server(self.listener, Times::INTERNAL, gate)?
                .serve(router.into_make_service())
                .await
        };
        if let Some(Err(error)) = closing.run_until_cancelled(served).await {
            error!(%error, "the listener for attachments failed");
        }
    }
}

async fn give(
    State(service): State<Service>,
    Path((event, number)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(token) = &service.token {
        let given = headers
            .get(header::AUTHORIZATION)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        let bearer = given.strip_prefix(b"Bearer ").unwrap_or_default();
        if !token.matches(bearer) {
            return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response();
        }
    }
    let (Ok(event), Ok(number)) = (event.parse(), number.parse()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let shared = Arc::clone(&service.shared);
    let state = tokio::task::spawn_blocking(move || shared.queue.state(JobId { event, number })).await;
    match state {
        Ok(Ok(None)) => StatusCode::NOT_FOUND.into_response(),
        Ok(Ok(Some(JobState::Waiting {
            attempts,
            due_at,
            reason,
        }))) => {
            let due_at = jiff::Timestamp::from_millisecond(due_at).ok().map(|at| at.to_string());
            let body = json!({"state": "waiting", "attempts": attempts, "next_attempt_at": due_at, "reason": reason});
            (StatusCode::ACCEPTED, Json(body)).into_response()
        }
        Ok(Ok(Some(JobState::GivenUp { reason }))) => {
            (StatusCode::GONE, Json(json!({"state": "given_up", "reason": reason}))).into_response()
        }
        Ok(Ok(Some(JobState::Stored { hash, bytes, mime }))) => {
            let path = service.shared.files.path_of(&hash);
            match tokio::fs::File::open(path).await {
                Ok(file) => download(file, bytes, &mime),
                Err(error) => {
                    error!(%error, "a stored attachment can't be read");
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                }
            }
        }
        Ok(Err(error)) => {
            error!(%error, "the queue of attachments can't be read");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn download(file: tokio::fs::File, bytes: u64, mime: &str) -> Response {
    let stream = futures::stream::unfold(Some(file), |file| async {
        let mut file = file?;
        let mut chunk = vec![0; CHUNK];
        match file.read(&mut chunk).await {
            Ok(0) => None,
            Ok(read) => {
                chunk.truncate(read);
                Some((Ok(bytes::Bytes::from(chunk)), Some(file)))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    let mime = HeaderValue::from_str(mime).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_TYPE, mime);
    headers.insert(header::CONTENT_LENGTH, bytes.into());
    for (name, value) in [
        (header::CONTENT_DISPOSITION, "attachment"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"),
        (header::CACHE_CONTROL, "private, max-age=86400, immutable"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
