//! Reading a body within the limits of size, time and memory.

use std::time::Duration;

use axum::{
    body::{Body, BodyDataStream, Bytes, HttpBody},
    http::StatusCode,
};
use futures::StreamExt;
use tokio::time::timeout;

use super::answer::Refused;
use crate::http::{WebhookSettings, budget::Held};

/// How much of a refused body is read and thrown away, so that the sender gets to read the answer before the
/// connection closes. In all, and for how long. Meanwhile the connection gives way to any other.
const DRAIN_BYTES: usize = 16 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Reads a body; its bytes take room as they come. The usual body comes in one piece and is not copied.
pub(super) async fn read(body: Body, settings: &WebhookSettings, held: &mut Held) -> Result<Bytes, Refused> {
    let announced = body.size_hint().lower();
    let mut pieces = body.into_data_stream();
    let outcome = if announced > u64::try_from(settings.max_body_bytes).unwrap_or(u64::MAX) {
        Err(too_large())
    } else {
        let reading = collect(&mut pieces, settings.max_body_bytes, held);
        let slow = |_| Err(Refused::new(StatusCode::REQUEST_TIMEOUT, "timeout"));
        timeout(settings.request_timeout(), reading).await.unwrap_or_else(slow)
    };
    if outcome.is_err() {
        throw_away(pieces);
    }
    outcome
}

async fn collect(pieces: &mut BodyDataStream, limit: usize, held: &mut Held) -> Result<Bytes, Refused> {
    let mut first = Bytes::new();
    let mut rest = Vec::new();
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else {
            return Err(Refused::new(StatusCode::BAD_REQUEST, "broken_body"));
        };
        if first.len() + rest.len() + piece.len() > limit {
            return Err(too_large());
        }
        held.grow(piece.len()).map_err(|none| Refused::again(none.as_str()))?;
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
}

fn too_large() -> Refused {
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large")
}

/// Throws away a bounded part of a body nobody wants while the answer is on its way: a connection closed over unread
/// bytes would be reset, and the sender would never see the answer.
pub(super) fn drain(body: Body) {
    if !body.is_end_stream() {
        throw_away(body.into_data_stream());
    }
}

fn throw_away(mut pieces: BodyDataStream) {
    tokio::spawn(timeout(DRAIN_TIME, async move {
        let mut drained = 0;
        while let Some(Ok(piece)) = pieces.next().await {
            drained += piece.len();
            if drained > DRAIN_BYTES {
                break;
            }
        }
    }));
}
