//! Systems that call us: «Управляем вместе», МСС and a source of votes by signed webhooks. None of the three has a public
//! description; the shapes are those the shipped manifests assume, to be confirmed in a pilot.
//!
//! A sender signs `timestamp.body` with HMAC-SHA-256, sends again until it hears 2xx (a new signature each time), sends
//! things twice, out of order, alone and in batches. [`Dress`] is what a stranger may try. It shares no code with the
//! connector; [`day`] makes the traffic.

pub mod day;
mod sign;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;

/// Longest wait for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// Pause before a delivery is tried again.
const PAUSE: Duration = Duration::from_millis(25);

/// A request as it goes over the line. The same one can be sent again: a replay.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The body.
    pub body: Bytes,
    /// `X-Timestamp`, when there is one.
    pub timestamp: Option<String>,
    /// `X-Signature`, when there is one.
    pub signature: Option<String>,
}

/// How a request looks to the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dress {
    /// As it should.
    Proper,
    /// Without a signature.
    Unsigned,
    /// Signed with a key nobody gave out.
    WrongKey,
    /// Changed after it was signed.
    Tampered,
    /// The time says now, the signature was made over an older one.
    Redated,
    /// The sender's clock differs, seconds. Also what a replay looks like so much later.
    Skewed(i64),
}

/// A system that calls us. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct HookSender {
    http: reqwest::Client,
    url: Arc<str>,
    key: Arc<str>,
    delivered: Arc<AtomicUsize>,
    attempts: Arc<AtomicUsize>,
}

impl HookSender {
    /// A sender to an address with a key.
    ///
    /// # Errors
    /// When no HTTP client can be built.
    pub fn new(url: &str, key: &str) -> Result<Self, reqwest::Error> {
        // Whoever comes second finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().timeout(ANSWER_TIME).build()?,
            url: url.into(),
            key: key.into(),
            delivered: Arc::default(),
            attempts: Arc::default(),
        })
    }

    /// Makes a request ready, as of now.
    pub fn sign(&self, body: &Bytes, dress: Dress) -> Signed {
        let now = Timestamp::now().as_second();
        let (written, signed) = match dress {
            Dress::Skewed(by) => (now + by, now + by),
            Dress::Redated => (now, now - 3600),
            _ => (now, now),
        };
        let key = match dress {
            Dress::WrongKey => "a key that nobody gave out",
            _ => &self.key,
        };
        let signature = sign::signature(key, signed, body);
        let body = match dress {
            Dress::Tampered => [body, &b" "[..]].concat().into(),
            _ => body.clone(),
        };
        let is_signed = dress != Dress::Unsigned;
        Signed {
            body,
            timestamp: is_signed.then(|| written.to_string()),
            signature: is_signed.then_some(signature),
        }
    }

    /// Sends once: the status, or nothing when there was no answer.
    pub async fn send(&self, signed: &Signed) -> Option<u16> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        let mut request = self.http.post(&*self.url).header("content-type", "application/json");
        for (name, value) in [("x-timestamp", &signed.timestamp), ("x-signature", &signed.signature)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let answer = request.body(signed.body.clone()).send().await.ok()?;
        let status = answer.status().as_u16();
        // An answer that breaks off is none.
        answer.bytes().await.ok()?;
        Some(status)
    }

    /// Sends until the receiver says 2xx, with a new signature each time.
    pub async fn deliver(&self, body: &Bytes) {
        loop {
            let signed = self.sign(body, Dress::Proper);
            if matches!(self.send(&signed).await, Some(200..=299)) {
                self.delivered.fetch_add(1, Ordering::Relaxed);
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Requests that were answered with 2xx.
    pub fn delivered(&self) -> usize {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Requests made.
    pub fn attempts(&self) -> usize {
        self.attempts.load(Ordering::Relaxed)
    }
}
