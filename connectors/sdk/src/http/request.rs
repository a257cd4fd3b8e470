//! A request, built step by step. Mistakes in it surface at `send`, without quoting what was wrong.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use bytes::Bytes;
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde::Serialize;

use crate::secret::Secret;

/// Whether the client itself may try again at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retry {
    /// One attempt: for requests that change something, and for long polls.
    #[default]
    None,
    /// Two quick further attempts after a failed or cut connection and after 502, 503, 504 without `Retry-After`.
    Idempotent,
}

/// A request for [`HttpClient::send`](super::HttpClient::send). `Debug` shows the method and the host only.
#[derive(Clone)]
pub struct HttpRequest {
    pub(super) method: Method,
    /// `None` when the address could not be parsed; it is not kept, for it may hold a token.
    pub(super) url: Option<Url>,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    pub(super) timeout: Option<Duration>,
    /// Hash of what the rate limit counts by, so that the limiter keeps no tokens.
    pub(super) limit_key: u64,
    pub(super) retry: Retry,
    /// First mistake made while building.
    pub(super) problem: Option<String>,
}

impl HttpRequest {
    /// A GET request.
    pub fn get(url: impl AsRef<str>) -> Self {
        Self::new(Method::GET, url.as_ref())
    }

    /// A POST request, with an empty body until one is set.
    pub fn post(url: impl AsRef<str>) -> Self {
        Self::new(Method::POST, url.as_ref())
    }

    /// A DELETE request.
    pub fn delete(url: impl AsRef<str>) -> Self {
        Self::new(Method::DELETE, url.as_ref())
    }

    /// A request with a method by its name (`PUT`), for connectors whose settings name it.
    pub fn with_method(method: &str, url: impl AsRef<str>) -> Self {
        match Method::from_bytes(method.as_bytes()) {
            Ok(method) => Self::new(method, url.as_ref()),
            Err(_) => Self::get(url).with_problem("the request method is not one HTTP allows".into()),
        }
    }

    fn new(method: Method, url: &str) -> Self {
        let parsed = Url::parse(url).ok().filter(|url| url.has_host());
        let problem = parsed
            .is_none()
            .then(|| "the request address is not a valid http(s) address".to_owned());
        Self {
            method,
            url: parsed,
            headers: HeaderMap::new(),
            body: None,
            timeout: None,
            limit_key: 0,
            retry: Retry::None,
            problem,
        }
    }

    /// Adds parameters to the query string, encoded.
    #[must_use]
    pub fn query<'a>(mut self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        if let Some(url) = &mut self.url {
            url.query_pairs_mut().extend_pairs(pairs);
        }
        self
    }

    /// Sets a JSON body and its content type.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.body("application/json", body),
            // The error of a serializer may quote the value.
            Err(_) => self.with_problem("the request body can't be written as JSON".into()),
        }
    }

    /// Sets a body `application/x-www-form-urlencoded`.
    #[must_use]
    pub fn form<'a>(self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        // `Url` brings the encoder; its crate is not worth a dependency of its own.
        let mut holder = Url::parse("http://form/").expect("a constant address");
        holder.query_pairs_mut().extend_pairs(pairs);
        let body = holder.query().unwrap_or_default().to_owned();
        self.body("application/x-www-form-urlencoded", body)
    }

    /// Sets a body of any type.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = Some(body.into());
        self
    }

    /// Sets a header. Its value is marked sensitive: nothing prints it.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let parsed = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(value.as_bytes()),
        );
        match parsed {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                self.headers.insert(name, value);
                self
            }
            _ => self.with_problem(format!("the header {name:?} has a name or value HTTP does not allow")),
        }
    }

    /// Sets the longest wait for the whole answer of one attempt (a long poll needs more than the platform's own).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Names what the rate limit counts by besides the host: the token. Only a hash of it is kept.
    #[must_use]
    pub fn limit_key(mut self, key: &Secret<String>) -> Self {
        let mut hasher = DefaultHasher::new();
        key.expose().hash(&mut hasher);
        self.limit_key = hasher.finish();
        self
    }

    /// Allows the client to try again at once.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Host, for messages to operators.
    pub(super) fn host(&self) -> &str {
        self.url.as_ref().and_then(Url::host_str).unwrap_or("?")
    }

    fn with_problem(mut self, problem: String) -> Self {
        self.problem.get_or_insert(problem);
        self
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("host", &self.host())
            .finish_non_exhaustive()
    }
}
