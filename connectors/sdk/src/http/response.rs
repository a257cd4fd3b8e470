//! An answer, read whole and within the limit.

use std::{fmt, time::Duration};

use bytes::Bytes;
use jiff::{Timestamp, fmt::rfc2822};
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::{error::ConnectorError, json, webhook::describe};

/// Pause after a 429 that does not say how long to wait.
const UNNAMED_PAUSE: Duration = Duration::from_secs(30);
/// Of the time a platform was asked to wait: one that answers within this part of it did not wait at all, the way there
/// and back took that long.
const AT_ONCE: u32 = 200;
/// The way takes that long, however short the wait.
const THERE_AND_BACK: Duration = Duration::from_millis(100);
/// No platform is taken at its word beyond a day: a wrong clock must not silence a channel for years.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// An answer of a platform. `Debug` shows its status and size only.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`, given in seconds or as a date, counted from the arrival of the answer; at most a day.
    pub retry_after: Option<Duration>,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// From the moment the request went out; our own rate limit is not in it.
    pub took: Duration,
}

impl HttpResponse {
    /// Whether the platform, asked to hold the call for so long, did not hold it at all.
    pub fn is_hasty(&self, hold: Duration) -> bool {
        self.took < (hold / AT_ONCE).max(THERE_AND_BACK).min(hold / 4)
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Reads the body as JSON. The status is not looked at.
    ///
    /// # Errors
    /// [`ConnectorError::Transient`] when the body is not the JSON expected (proxies answer with HTML); the body is
    /// not quoted.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, ConnectorError> {
        json::from_slice(&self.body).map_err(|error| {
            ConnectorError::transient(format_args!(
                "the answer is not the JSON expected (status {}, {} bytes): {}",
                self.status,
                self.body.len(),
                describe(&error),
            ))
        })
    }

    /// Something on the way answered (a proxy with its page): the body is not JSON of `whose`.
    pub fn from_another(&self, whose: &str) -> ConnectorError {
        ConnectorError::transient(format_args!(
            "the answer is not {whose}'s JSON (status {}, {} bytes): something on the way answered",
            self.status,
            self.body.len()
        ))
    }

    /// The usual meaning of a status, for connectors whose platform gives it no meaning of its own.
    ///
    /// # Errors
    /// 401, 403 → [`ConnectorError::AuthRejected`]; 429, and 503 with `Retry-After` → [`ConnectorError::RateLimited`];
    /// 408, 421, 425, 5xx and 3xx (a redirect that was not followed) → [`ConnectorError::Transient`]; any other
    /// status outside 2xx → [`ConnectorError::Misconfigured`].
    pub fn error_for_status(self) -> Result<Self, ConnectorError> {
        let status = self.status;
        Err(match (status, self.retry_after) {
            (200..=299, _) => return Ok(self),
            (401 | 403, _) => ConnectorError::AuthRejected {
                hint: format!("the platform answered {status}: check the token and its rights"),
            },
            (429, wait) => ConnectorError::RateLimited {
                retry_after: wait.unwrap_or(UNNAMED_PAUSE),
            },
            (503, Some(retry_after)) => ConnectorError::RateLimited { retry_after },
            (300..=399, _) => ConnectorError::transient(format_args!(
                "the platform answered {status}: a redirect that is not followed"
            )),
            (408 | 421 | 425 | 500.., _) => ConnectorError::transient(format_args!("the platform answered {status}")),
            _ => ConnectorError::Misconfigured {
                hint: format!("the platform answered {status}: check the address and the settings of this connector"),
            },
        })
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("bytes", &self.body.len())
            .finish()
    }
}

/// `Retry-After` as a pause from `now`; a date in the past is no pause.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = rfc2822::parse(text).ok()?.timestamp();
            Duration::try_from(at.duration_since(now)).unwrap_or_default()
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Option<Duration> {
        let now: Timestamp = "2026-06-01T12:00:00Z".parse().expect("instant");
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().expect("header value"));
        retry_after(&headers, now)
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_more_than_a_day() {
        assert_eq!(parse("7"), Some(Duration::from_secs(7)));
        assert_eq!(parse("Mon, 01 Jun 2026 12:01:30 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(parse("Mon, 01 Jun 2026 11:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parse("18446744073709551615"), Some(LONGEST_PAUSE));
        assert_eq!(parse("soon"), None);
        assert_eq!(parse("-1"), None);
    }

    #[test]
    fn an_answer_sooner_than_the_way_takes_was_not_waited_for() {
        let hasty = |took, hold| {
            let response = HttpResponse {
                status: 200,
                retry_after: None,
                headers: HeaderMap::new(),
                body: Bytes::new(),
                took: Duration::from_millis(took),
            };
            response.is_hasty(Duration::from_secs(hold))
        };
        assert!(hasty(60, 2) && hasty(120, 25) && hasty(250, 60));
        assert!(!hasty(150, 2) && !hasty(200, 25) && !hasty(0, 0));
    }

    #[test]
    fn statuses_become_decisions() {
        let kind = |status, retry_after| {
            let response = HttpResponse {
                status,
                retry_after,
                headers: HeaderMap::new(),
                body: Bytes::new(),
                took: Duration::ZERO,
            };
            response.error_for_status().map_or_else(|error| error.kind(), |_| "ok")
        };
        for (status, expected) in [
            (200, "ok"),
            (204, "ok"),
            (302, "transient"),
            (400, "misconfigured"),
            (401, "auth_rejected"),
            (403, "auth_rejected"),
            (404, "misconfigured"),
            (408, "transient"),
            (421, "transient"),
            (429, "rate_limited"),
            (500, "transient"),
            (503, "transient"),
        ] {
            assert_eq!(kind(status, None), expected, "{status}");
        }
        assert_eq!(kind(503, Some(Duration::from_secs(5))), "rate_limited");
    }
}
