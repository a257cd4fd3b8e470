//! Fetching one file from wherever a stranger says it is.
//!
//! For every hop, the first and each redirect: the scheme is http or https and never gets weaker; the host is on the list;
//! the port is allowed; an address written out is checked here, a name is resolved by [`Guarded`], which hands only
//! checked addresses to the connection, so what was checked is what is connected to and a name that changes its answer
//! gains nothing. The platform's own API, from the connector's settings, is trusted on its own origin only.

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use priem_sdk::{ConfigError, FileRequest};
use reqwest::{
    Certificate, Client, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER},
    redirect,
};

use super::{
    AttachmentSettings,
    address::Guard,
    certificates::OwnClients,
    files::{Files, Part},
};

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 5;
/// Longest wait for a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// What a file is called when its server does not say.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// A file that came whole and has no name yet.
pub(super) struct Fetched<'a> {
    pub part: Part<'a>,
    pub mime: String,
}

/// Why there is no file. Reasons are bounded and in `snake_case`: metric labels and answers to handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FetchError {
    /// Trying again may help.
    Again {
        reason: &'static str,
        /// The server named a pause.
        after: Option<Duration>,
    },
    /// It will not.
    Never { reason: &'static str },
}

fn again(reason: &'static str) -> FetchError {
    FetchError::Again { reason, after: None }
}

fn never(reason: &'static str) -> FetchError {
    FetchError::Never { reason }
}

/// Fetches files.
pub(super) struct Fetcher {
    /// Connects to checked addresses only.
    guarded: Client,
    /// For the platforms' own APIs.
    trusting: Client,
    /// For those of them that need certificates of their own.
    own: OwnClients,
    guard: Guard,
    hosts: Vec<String>,
    ports: Vec<u16>,
    types: Vec<String>,
    max_bytes: u64,
    timeout: Duration,
    idle_timeout: Duration,
}

impl Fetcher {
    /// Reads the extra certificates; makes no connection.
    ///
    /// # Errors
    /// [`ConfigError`] naming `extra_root_certificates`.
    pub fn new(settings: &AttachmentSettings) -> Result<Self, ConfigError> {
        Self::with_lookup(settings, Arc::new(SystemLookup))
    }

    pub(super) fn with_lookup(settings: &AttachmentSettings, lookup: Arc<dyn Lookup>) -> Result<Self, ConfigError> {
        priem_sdk::http::install_crypto_provider();
        let guard = Guard::new(settings.allow_networks.clone());
        let certificates = certificates(settings)?;
        let client = || builder(certificates.clone());
        let built = |builder: reqwest::ClientBuilder| {
            builder
                .build()
                .map_err(|error| ConfigError::new("", format!("the HTTP client can't be built: {error}")))
        };
        let resolver = Guarded {
            guard: guard.clone(),
            lookup,
        };
        Ok(Self {
            guarded: built(client().dns_resolver(Arc::new(resolver)))?,
            trusting: built(client())?,
            own: OwnClients::new(certificates.clone()),
            guard,
            hosts: settings.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            ports: settings.ports.clone(),
            types: settings.types.iter().map(|one| one.to_ascii_lowercase()).collect(),
            max_bytes: settings.max_bytes,
            timeout: settings.timeout(),
            idle_timeout: settings.idle_timeout(),
        })
    }

    /// Fetches a file. `claimed_type` is what the platform said of it.
    ///
    /// # Errors
    /// [`FetchError`]; nothing of the file is left then. No error holds an address.
    pub async fn fetch<'a>(
        &self,
        request: &FileRequest,
        claimed_type: Option<&str>,
        files: &'a Files,
        name: &str,
    ) -> Result<Fetched<'a>, FetchError> {
        let work = self.fetch_in_time(request, claimed_type, files, name);
        tokio::time::timeout(self.timeout, work)
            .await
            .unwrap_or(Err(again("timeout")))
    }

    async fn fetch_in_time<'a>(
        &self,
        request: &FileRequest,
        claimed_type: Option<&str>,
        files: &'a Files,
        name: &str,
    ) -> Result<Fetched<'a>, FetchError> {
        let response = self.follow(request).await?;
        let claimed = response.content_length().unwrap_or(0);
        if claimed > self.max_bytes {
            return Err(never("too_large"));
        }
        let mime = self.type_of(&response, claimed_type)?;
        files.room_for(claimed).map_err(|_| again("disk_full"))?;
        let part = files.begin(name).await.map_err(|_| again("disk_error"))?;
        let part = self.read_body(response, part).await?;
        if part.bytes() == 0 {
            return Err(again("empty"));
        }
        Ok(Fetched { part, mime })
    }

    async fn read_body<'a>(&self, mut response: Response, mut part: Part<'a>) -> Result<Part<'a>, FetchError> {
        loop {
            let chunk = tokio::time::timeout(self.idle_timeout, response.chunk())
                .await
                .map_err(|_| again("timeout"))?
                .map_err(|_| again("broken_off"))?;
            let Some(chunk) = chunk else { return Ok(part) };
            if part.bytes() + chunk.len() as u64 > self.max_bytes {
                return Err(never("too_large"));
            }
            part.write(&chunk).await.map_err(|error| disk(&error))?;
        }
    }

    /// The answer that holds the file, after redirects.
    async fn follow(&self, request: &FileRequest) -> Result<Response, FetchError> {
        let mut url = Url::parse(request.url.expose()).map_err(|_| never("bad_address"))?;
        let home = url.origin();
        for _ in 0..=MOST_REDIRECTS {
            let is_home = request.trusted_host && url.origin() == home;
            if !is_home {
                self.check(&url)?;
            }
            let client = match (&request.tls, is_home) {
                (Some(tls), true) => self.own.client(tls).map_err(|_| again("bad_certificate"))?,
                (None, true) => self.trusting.clone(),
                (_, false) => self.guarded.clone(),
            };
            // Headers may hold a token: they go where the connector sent them and nowhere else.
            let headers = if url.origin() == home {
                headers(request)?
            } else {
                HeaderMap::new()
            };
            let sent = client.get(url.clone()).headers(headers).send();
            let response = tokio::time::timeout(self.idle_timeout + CONNECT_TIMEOUT, sent)
                .await
                .map_err(|_| again("timeout"))?
                .map_err(|error| failure(&error))?;
            match response.status().as_u16() {
                200 => return Ok(response),
                301 | 302 | 303 | 307 | 308 => url = next(&url, &response)?,
                429 | 503 => {
                    return Err(FetchError::Again {
                        reason: "busy",
                        after: pause(response.headers()),
                    });
                }
                // The token ran out before its time: the connector gives another one at the next attempt.
                401 if is_home => return Err(again("unauthorized")),
                401 | 403 => return Err(never("forbidden")),
                404 | 410 | 451 => return Err(never("gone")),
                408 | 425 | 500.. => return Err(again("server_error")),
                _ => return Err(never("bad_answer")),
            }
        }
        Err(never("too_many_redirects"))
    }

    /// Whether a stranger may send us there, as far as the address itself tells.
    fn check(&self, url: &Url) -> Result<(), FetchError> {
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
            return Err(never("bad_address"));
        }
        let host = url.host_str().ok_or(never("bad_address"))?.trim_end_matches('.');
        if !self.hosts.iter().any(|pattern| fits(pattern, host)) {
            return Err(never("host_not_listed"));
        }
        if !url
            .port_or_known_default()
            .is_some_and(|port| self.ports.contains(&port))
        {
            return Err(never("port_not_listed"));
        }
        // `Url` has turned every way to write an address (0x7f.1, 2130706433) into the usual one.
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match literal {
            Ok(address) if !self.guard.permits(address) => Err(never("address_refused")),
            _ => Ok(()),
        }
    }

    fn type_of(&self, response: &Response, claimed: Option<&str>) -> Result<String, FetchError> {
        let said = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let essence = |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let said = said.map(essence).filter(|text| !text.is_empty());
        let said = said.unwrap_or_else(|| UNKNOWN_TYPE.to_owned());
        if !self.types.iter().any(|pattern| fits_type(pattern, &said)) {
            return Err(never("type_not_listed"));
        }
        // A server that does not know is helped by the platform, when that type is one we keep.
        let claimed = claimed.map(essence).filter(|claimed| {
            let is_known = self.types.iter().any(|pattern| fits_type(pattern, claimed));
            said == UNKNOWN_TYPE && is_known && HeaderValue::from_str(claimed).is_ok()
        });
        Ok(claimed.unwrap_or(said))
    }
}

/// What all clients have in common: no redirect is followed unseen.
pub(super) fn builder(certificates: Vec<Certificate>) -> reqwest::ClientBuilder {
    Client::builder()
        .user_agent(concat!("priem/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .referer(false)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .tls_certs_merge(certificates)
}

fn headers(request: &FileRequest) -> Result<HeaderMap, FetchError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| never("bad_address"))?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| never("bad_address"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Where a redirect leads. Never from https to http.
fn next(url: &Url, response: &Response) -> Result<Url, FetchError> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let target = location
        .and_then(|location| url.join(location).ok())
        .ok_or(never("bad_redirect"))?;
    if url.scheme() == "https" && target.scheme() != "https" {
        return Err(never("bad_redirect"));
    }
    Ok(target)
}

fn fits(pattern: &str, host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    match pattern.strip_prefix("*.") {
        Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.')),
        None => pattern == "*" || pattern == host,
    }
}

fn fits_type(pattern: &str, said: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => said.starts_with(start),
        None => pattern == said,
    }
}

fn pause(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(24 * 60 * 60)))
}

/// The disk did not take it: that is our trouble, not the file's.
pub(super) fn disk(error: &std::io::Error) -> FetchError {
    again(match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => "disk_full",
        _ => "disk_error",
    })
}

/// The address is not looked at: it may hold a token.
fn failure(error: &reqwest::Error) -> FetchError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<Refused>() {
            return never("address_refused");
        }
        cause = error.source();
    }
    again(if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "no_connection"
    } else {
        "broken_off"
    })
}

/// Every address of a name is one we don't talk to.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to no public address")]
struct Refused;

/// Finds the addresses of a name.
pub(super) trait Lookup: Send + Sync {
    /// As the system's resolver does.
    fn lookup(&self, name: String) -> futures::future::BoxFuture<'static, std::io::Result<Vec<IpAddr>>>;
}

struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> futures::future::BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Hands only checked addresses to the connection.
struct Guarded {
    guard: Guard,
    lookup: Arc<dyn Lookup>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, found) = (self.guard.clone(), self.lookup.lookup(name.as_str().to_owned()));
        Box::pin(async move {
            let found = found.await?;
            let permitted: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| guard.permits(*address))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if permitted.is_empty() {
                return Err(Refused.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

fn certificates(settings: &AttachmentSettings) -> Result<Vec<Certificate>, ConfigError> {
    let mut certificates = Vec::new();
    for path in &settings.extra_root_certificates {
        let wrong = |what: String| {
            ConfigError::new(
                "extra_root_certificates",
                format!("{} {what}; give a readable PEM file", path.display()),
            )
        };
        let pem = std::fs::read(path).map_err(|error| wrong(format!("can't be read: {error}")))?;
        let bundle = Certificate::from_pem_bundle(&pem).map_err(|_| wrong("is not PEM".into()))?;
        if bundle.is_empty() {
            return Err(wrong("holds no certificate".into()));
        }
        certificates.extend(bundle);
    }
    Ok(certificates)
}
