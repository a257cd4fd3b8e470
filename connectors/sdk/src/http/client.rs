//! Sending: the rate limit, the quick retries, the bounded body, and errors without addresses.

use std::{
    error::Error,
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use backon::{ExponentialBuilder, Retryable};
use bytes::{Bytes, BytesMut};
use governor::{Quota, RateLimiter, clock::DefaultClock, state::keyed::HashMapStateStore};
use jiff::Timestamp;
use reqwest::{Certificate, Identity, Proxy, Response, Url, redirect};

use super::{
    HttpOptions, HttpRequest, HttpResponse, Retry,
    hold::{Cut, Hold},
    install_crypto_provider,
    response::retry_after,
};
use crate::error::{ConfigError, ConnectorError};

/// Redirects inside one host that are followed.
const MOST_REDIRECTS: usize = 5;
/// What a claimed `Content-Length` may make us allocate before the bytes are there.
const MOST_PREALLOCATED: usize = 64 * 1024;
/// Limit keys beyond which the limiter forgets those that are idle.
const MOST_LIMIT_KEYS: usize = 1024;

/// Answers of those who stand between us and a platform and have waited long enough.
const OF_A_GATEWAY: [u16; 4] = [408, 502, 504, 524];

type Limiter = RateLimiter<(String, u64), HashMapStateStore<(String, u64)>, DefaultClock>;

/// The HTTP client. Cheap to clone; clones share connections and the rate limit. `Debug` shows its limits only.
#[derive(Clone)]
pub struct HttpClient {
    inner: reqwest::Client,
    limiter: Option<Arc<Limiter>>,
    timeout: Duration,
    max_response_bytes: usize,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("timeout", &self.timeout)
            .field("max_response_bytes", &self.max_response_bytes)
            .finish_non_exhaustive()
    }
}

/// Why an attempt did not end well, and whether a quick second one makes sense.
enum Failure {
    Error { error: ConnectorError, stage: Stage },
    Answer(HttpResponse),
}

/// How far an attempt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nobody was reached.
    Connecting,
    /// The connection broke off.
    Waiting,
    /// It took its time, or another attempt would not help.
    Over,
}

impl HttpClient {
    /// Builds a client. Reads the extra certificates; makes no connection.
    ///
    /// # Errors
    /// [`ConfigError`] naming `extra_root_certificates`, `client_certificate`, `proxy` or `user_agent`.
    pub fn new(options: HttpOptions) -> Result<Self, ConfigError> {
        install_crypto_provider();
        let mut builder = reqwest::Client::builder()
            .user_agent(&options.user_agent)
            .connect_timeout(options.connect_timeout)
            .referer(false)
            .redirect(redirect::Policy::custom(stay_on_one_host))
            .tls_certs_merge(extra_certificates(&options)?);
        if let Some(path) = &options.client_certificate {
            builder = builder.identity(identity(path)?);
        }
        builder = match &options.proxy {
            // The environment's proxies are switched off: what counts stands in the settings.
            None => builder.no_proxy(),
            Some(address) => builder.proxy(proxy(address)?),
        };
        let inner = builder
            .build()
            .map_err(|error| ConfigError::new("", format!("the HTTP client can't be built: {}", reason(error))))?;
        let limiter = options
            .requests_per_second
            .map(|rate| Arc::new(RateLimiter::hashmap(Quota::per_second(rate).allow_burst(options.burst))));
        Ok(Self {
            inner,
            limiter,
            timeout: options.timeout,
            max_response_bytes: options.max_response_bytes,
        })
    }

    /// Sends a request and reads the whole answer. Waits for the rate limit first. Cancel-safe.
    ///
    /// # Errors
    /// [`ConnectorError::Transient`] when there was no complete answer within time and size limits;
    /// [`ConnectorError::Misconfigured`] when the request itself can't be built. Statuses are not errors here.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let attempt = || self.once(&request);
        let outcome = match request.retry {
            Retry::None => attempt().await,
            Retry::Idempotent => {
                let pauses = ExponentialBuilder::default()
                    .with_min_delay(Duration::from_millis(100))
                    .with_max_times(2)
                    .with_jitter();
                attempt.retry(pauses).when(worth_another_attempt).await
            }
        };
        match outcome {
            Ok(response) | Err(Failure::Answer(response)) => Ok(response),
            Err(Failure::Error { error, .. }) => Err(error),
        }
    }

    /// Sends a request that the platform holds while it has nothing to tell; `None` when something on the way cut it
    /// before that: it may be made again at once, and [`Hold::now`] may be shorter then. Cancel-safe.
    ///
    /// # Errors
    /// As [`HttpClient::send`].
    pub async fn send_held(&self, request: HttpRequest, hold: &Hold) -> Result<Option<HttpResponse>, ConnectorError> {
        let began = Instant::now();
        let host = request.host().to_owned();
        let outcome = self.once(&request).await;
        let after = began.elapsed();
        let outcome = match outcome {
            Ok(response) | Err(Failure::Answer(response)) => Ok(response),
            Err(Failure::Error {
                error,
                stage: Stage::Waiting,
            }) => Err(error),
            Err(Failure::Error { error, .. }) => return Err(error),
        };
        let is_cut = match &outcome {
            Ok(response) => OF_A_GATEWAY.contains(&response.status) && response.retry_after.is_none(),
            Err(_) => true,
        };
        if !is_cut {
            hold.answered(after);
            return outcome.map(Some);
        }
        match hold.broke_off(began + after, after) {
            Cut::Trouble => return outcome.map(Some),
            Cut::Passing => {}
            Cut::Shortened(now) => tracing::warn!(
                host,
                cut_after_s = after.as_secs(),
                now_s = now.as_secs(),
                "something on the way cuts long polls before the platform answers; from now on they are shorter"
            ),
        }
        Ok(None)
    }

    async fn once(&self, request: &HttpRequest) -> Result<HttpResponse, Failure> {
        match (&request.url, &request.problem) {
            (Some(url), None) => self.attempt(request, url).await,
            (_, problem) => {
                let hint = problem.clone().unwrap_or_else(|| "the request has no address".into());
                Err(Failure::Error {
                    error: ConnectorError::Misconfigured { hint },
                    stage: Stage::Over,
                })
            }
        }
    }

    async fn attempt(&self, request: &HttpRequest, url: &Url) -> Result<HttpResponse, Failure> {
        self.wait_for_limit(request).await;
        let sent = Instant::now();
        let timeout = request.timeout.unwrap_or(self.timeout);
        let mut builder = self
            .inner
            .request(request.method.clone(), url.clone())
            .headers(request.headers.clone())
            .timeout(timeout);
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let host = request.host();
        let answer = builder.send().await.map_err(|error| failure(host, timeout, error))?;
        let status = answer.status().as_u16();
        let retry_after = retry_after(answer.headers(), Timestamp::now());
        let headers = answer.headers().clone();
        let body = self.read_body(answer, host, timeout).await?;
        let response = HttpResponse {
            status,
            retry_after,
            headers,
            body,
            took: sent.elapsed(),
        };
        match status {
            502..=504 => Err(Failure::Answer(response)),
            _ => Ok(response),
        }
    }

    async fn wait_for_limit(&self, request: &HttpRequest) {
        let Some(limiter) = &self.limiter else { return };
        if limiter.len() > MOST_LIMIT_KEYS {
            limiter.retain_recent();
        }
        limiter
            .until_key_ready(&(request.host().to_owned(), request.limit_key))
            .await;
    }

    async fn read_body(&self, mut answer: Response, host: &str, timeout: Duration) -> Result<Bytes, Failure> {
        let limit = self.max_response_bytes;
        let too_large = || Failure::Error {
            error: ConnectorError::transient(format_args!("{host}: the answer is larger than {limit} bytes")),
            stage: Stage::Over,
        };
        let claimed = answer
            .content_length()
            .map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
        if claimed > limit {
            return Err(too_large());
        }
        let mut body = BytesMut::with_capacity(claimed.min(MOST_PREALLOCATED));
        while let Some(chunk) = answer.chunk().await.map_err(|error| failure(host, timeout, error))? {
            if body.len() + chunk.len() > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

fn worth_another_attempt(failure: &Failure) -> bool {
    match failure {
        Failure::Error { stage, .. } => *stage != Stage::Over,
        // A platform that names the pause gets it from the host, not a quick retry from us.
        Failure::Answer(response) => response.retry_after.is_none(),
    }
}

/// Says what happened without the address. Timeouts are not retried at once: they have cost their time already.
fn failure(host: &str, timeout: Duration, error: reqwest::Error) -> Failure {
    if error.is_timeout() && !error.is_connect() {
        return Failure::Error {
            error: ConnectorError::transient(format_args!("{host}: no complete answer within {timeout:?}")),
            stage: Stage::Over,
        };
    }
    let (what, stage) = if error.is_connect() {
        ("connection failed", Stage::Connecting)
    } else if error.is_body() || error.is_decode() {
        ("the answer broke off", Stage::Waiting)
    } else {
        ("the request failed", Stage::Waiting)
    };
    Failure::Error {
        error: ConnectorError::transient(format_args!("{host}: {what}: {}", reason(error))),
        stage,
    }
}

/// The innermost cause. The layers above it repeat the address or say nothing of use.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Follows redirects inside one scheme, host and port; anything else is handed back as the answer it is.
fn stay_on_one_host(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let same_host = attempt
        .previous()
        .last()
        .is_some_and(|previous| previous.origin() == attempt.url().origin());
    if same_host && attempt.previous().len() <= MOST_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

fn extra_certificates(options: &HttpOptions) -> Result<Vec<Certificate>, ConfigError> {
    let mut certificates = Vec::new();
    for path in &options.extra_root_certificates {
        let problem = |what: String| {
            ConfigError::new(
                "extra_root_certificates",
                format!("{} {what}; give a readable PEM file", path.display()),
            )
        };
        let pem = std::fs::read(path).map_err(|error| problem(format!("can't be read: {error}")))?;
        let bundle =
            Certificate::from_pem_bundle(&pem).map_err(|error| problem(format!("is not PEM: {}", reason(error))))?;
        if bundle.is_empty() {
            return Err(problem("holds no certificate".into()));
        }
        certificates.extend(bundle);
    }
    Ok(certificates)
}

/// The certificate we show and its key, from one PEM file. Nothing of the file is quoted: the key is in it.
fn identity(path: &Path) -> Result<Identity, ConfigError> {
    let problem = |what: String| {
        ConfigError::new(
            "client_certificate",
            format!(
                "{} {what}; give one PEM file with the certificate, its chain and its private key without a password",
                path.display()
            ),
        )
    };
    let pem = std::fs::read(path).map_err(|error| problem(format!("can't be read: {error}")))?;
    Identity::from_pem(&pem).map_err(|_| problem("holds no certificate with its key".into()))
}

/// The proxy; its address is not quoted, for it may hold a password.
fn proxy(address: &str) -> Result<Proxy, ConfigError> {
    let wrong = |problem: &str| ConfigError::new("proxy", format!("{problem}; write http://host:port"));
    let url = Url::parse(address).map_err(|_| wrong("not an address"))?;
    if !["http", "https", "socks5", "socks5h"].contains(&url.scheme()) {
        return Err(wrong("the scheme must be http, https, socks5 or socks5h"));
    }
    Proxy::all(url).map_err(|_| wrong("not an address of a proxy"))
}
