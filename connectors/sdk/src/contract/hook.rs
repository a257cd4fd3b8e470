//! A request of a sender, what its head proves, and the answer.

use std::{fmt, net::IpAddr};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use super::Item;

/// A webhook request, as the host hands it over. `Debug` shows neither headers nor body.
#[derive(Clone)]
pub struct HookRequest {
    /// HTTP method, upper case.
    pub method: String,
    /// Path below `/hooks/<connector>/`, without a leading slash, as it came (percent signs are not decoded).
    pub path: String,
    /// Query string without `?`.
    pub query: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Address of the sender, trusted proxies already taken off.
    pub peer: IpAddr,
    /// SHA-256 of the certificate the sender proved to hold in the TLS handshake, in DER, and which the host checked
    /// against its authorities. None without TLS, without a certificate, and behind a proxy that ends TLS.
    pub certificate_sha256: Option<[u8; 32]>,
    /// When the host took the request, for proofs that hold for a while only: a connector has no clock.
    pub received_at: Timestamp,
    /// The whole body; its size was limited by the host. Empty for [`Connector::admit`](super::Connector::admit): it is not read yet.
    pub body: Bytes,
}

impl HookRequest {
    /// A POST from loopback without query and headers, taken at the Unix epoch; the other fields are set on it.
    pub fn post(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            method: "POST".into(),
            path: path.into(),
            query: String::new(),
            headers: HeaderMap::new(),
            peer: IpAddr::from([127, 0, 0, 1]),
            certificate_sha256: None,
            received_at: Timestamp::UNIX_EPOCH,
            body: body.into(),
        }
    }

    /// The same request with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Value of a header by its name; `None` too when the value is not plain ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl fmt::Debug for HookRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookRequest")
            .field("method", &self.method)
            .field("peer", &self.peer)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What the head of a webhook request proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The sender: [`Connector::receive`](super::Connector::receive) takes this request whatever the body is.
    Proven,
    /// Nothing yet: the proof, or a part of it, is in the body.
    ProofInBody,
}

/// A proven webhook request, split into items, with the exact answer the platform needs after they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What the body held; a body that can't be understood is one [`Item::malformed`].
    pub items: Vec<Item>,
    /// The answer that means success to the platform.
    pub reply: Reply,
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, when there is a body.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// 200 with an empty body.
    pub fn ok() -> Self {
        Self {
            status: 200,
            content_type: "text/plain",
            body: Bytes::new(),
        }
    }
}
