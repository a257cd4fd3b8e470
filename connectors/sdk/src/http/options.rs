//! What can be set about the HTTP client: [`HttpOptions`] in code, [`HttpClientSettings`] in the configuration.

use std::{
    fmt,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{error::ConfigError, secret::SecretRef};

/// Options of an [`HttpClient`](super::HttpClient). `Debug` does not show the proxy: its address may hold a password.
#[derive(Clone)]
pub struct HttpOptions {
    /// `User-Agent` header.
    pub user_agent: String,
    /// Longest wait for a connection, TLS included.
    pub connect_timeout: Duration,
    /// Longest wait for a whole answer, body included; a request may set its own (long polls must).
    pub timeout: Duration,
    /// Largest body that is read, bytes.
    pub max_response_bytes: usize,
    /// Requests a second for each pair of host and limit key; `None`: no limit of our own.
    pub requests_per_second: Option<NonZeroU32>,
    /// Requests that may go at once before the rate applies.
    pub burst: NonZeroU32,
    /// PEM files with certificates to trust besides those of the system (a national or corporate root).
    pub extra_root_certificates: Vec<PathBuf>,
    /// PEM file with the certificate to show to the server and its private key (mutual TLS).
    pub client_certificate: Option<PathBuf>,
    /// Proxy, `http://`, `https://` or `socks5h://`, with user and password when it wants them.
    pub proxy: Option<String>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            user_agent: concat!("priem/", env!("CARGO_PKG_VERSION")).into(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            // The largest page of a known platform (Telegram, 4 MB) several times over.
            max_response_bytes: 16 * 1024 * 1024,
            requests_per_second: None,
            burst: NonZeroU32::MIN,
            extra_root_certificates: Vec::new(),
            client_certificate: None,
            proxy: None,
        }
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("user_agent", &self.user_agent)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("max_response_bytes", &self.max_response_bytes)
            .field("requests_per_second", &self.requests_per_second)
            .field("burst", &self.burst)
            .field("extra_root_certificates", &self.extra_root_certificates)
            .field("client_certificate", &self.client_certificate)
            .field("proxy", &self.proxy.as_ref().map(|_| "***"))
            .finish()
    }
}

/// The HTTP client in a connector's settings. Every key may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpClientSettings {
    /// Longest wait for a connection, seconds (10 when absent).
    pub connect_timeout_s: Option<NonZeroU32>,
    /// Longest wait for an answer, seconds (30 when absent).
    pub timeout_s: Option<NonZeroU32>,
    /// Requests a second to the platform with one token (the connector's own default when absent).
    pub requests_per_second: Option<NonZeroU32>,
    /// PEM files with certificates to trust besides those of the system; relative to the configuration file.
    pub extra_root_certificates: Vec<PathBuf>,
    /// Proxy: `http://host:port`, `https://host:port` or `socks5h://host:port`, without user and password.
    pub proxy: Option<String>,
    /// Where `user:password` for the proxy is kept.
    pub proxy_credentials: Option<SecretRef>,
}

impl HttpClientSettings {
    /// Puts the settings over `defaults` (the connector's own). Relative paths start from `base_dir`.
    ///
    /// # Errors
    /// [`ConfigError`] when the proxy's address or credentials can't be used.
    pub fn apply(&self, defaults: HttpOptions, base_dir: &Path) -> Result<HttpOptions, ConfigError> {
        let seconds = |value: Option<NonZeroU32>, default: Duration| match value {
            Some(value) => Duration::from_secs(value.get().into()),
            None => default,
        };
        Ok(HttpOptions {
            connect_timeout: seconds(self.connect_timeout_s, defaults.connect_timeout),
            timeout: seconds(self.timeout_s, defaults.timeout),
            requests_per_second: self.requests_per_second.or(defaults.requests_per_second),
            extra_root_certificates: self
                .extra_root_certificates
                .iter()
                .map(|path| base_dir.join(path))
                .collect(),
            proxy: self.proxy_address(base_dir)?,
            ..defaults
        })
    }

    /// The proxy's address with its credentials inside.
    fn proxy_address(&self, base_dir: &Path) -> Result<Option<String>, ConfigError> {
        let Some(proxy) = &self.proxy else {
            if self.proxy_credentials.is_some() {
                return Err(ConfigError::new(
                    "proxy_credentials",
                    "given without `proxy`: add `proxy` or remove it",
                ));
            }
            return Ok(None);
        };
        let mut url = reqwest::Url::parse(proxy)
            .map_err(|error| ConfigError::new("proxy", format!("not an address ({error}); write http://host:port")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ConfigError::new(
                "proxy",
                "user and password don't belong here: keep `user:password` in a secret and name it in `proxy_credentials`",
            ));
        }
        if let Some(reference) = &self.proxy_credentials {
            let secret = reference.read_for("proxy_credentials", base_dir)?;
            let (user, password) = secret
                .expose()
                .split_once(':')
                .ok_or_else(|| ConfigError::new("proxy_credentials", "the secret must read `user:password`"))?;
            url.set_username(user)
                .and_then(|()| url.set_password(Some(password)))
                .map_err(|()| ConfigError::new("proxy", "this address can't carry user and password"))?;
        }
        Ok(Some(url.into()))
    }
}
