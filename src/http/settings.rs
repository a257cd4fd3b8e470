//! Settings of the listeners, documented where they are defined.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Smallest body limit that makes sense: shorter ones refuse ordinary messages.
const LEAST_BODY_BYTES: usize = 16 * 1024;
/// Largest body limit: bodies are held in memory, many at a time.
const MOST_BODY_BYTES: usize = 64 * 1024 * 1024;

/// The listeners of the daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// Listener for platforms. Leave out when every connector polls.
    pub webhooks: Option<WebhookSettings>,
    /// Listener for metrics and health.
    pub admin: AdminSettings,
}

/// Listener for platforms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// Address and port to listen on. Platforms want 443 or 8443, directly or through a reverse proxy.
    pub listen: SocketAddr,
    /// Certificate for TLS. Leave out only behind a reverse proxy that speaks TLS.
    pub tls: Option<TlsSettings>,
    /// Address under which platforms reach this listener, without a path: `https://priem.example.ru`.
    pub public_url: Option<String>,
    /// Networks of the reverse proxies whose `X-Forwarded-For` is believed. Empty: nobody's.
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
    /// Largest body taken, bytes. Larger ones get 413.
    pub max_body_bytes: usize,
    /// Time a sender has for the TLS handshake, for its first request and for each body, seconds.
    pub request_timeout_s: NonZeroU32,
    /// Time a connection may wait for its next request, seconds. Above the reverse proxy's own, or it meets closed
    /// connections.
    pub idle_timeout_s: NonZeroU32,
    /// Time the journal has for storing a request, seconds. Then the platform is asked to send again.
    pub store_timeout_s: NonZeroU32,
    /// Requests whose body has come and that are worked on at the same time. Further ones get 503 and are sent again by
    /// the platform.
    pub max_concurrent_requests: NonZeroU32,
    /// Memory for bodies that are coming or worked on, bytes; only what has come counts. Beyond it requests get 503 and
    /// are sent again. One address has half of it at most, and so have all senders whose proof is in the body.
    pub max_buffered_bytes: usize,
    /// Open connections at most, and half of the process's file descriptors. Beyond it the connection gives way that has
    /// waited longest without proving anything.
    pub max_connections: NonZeroU32,
    /// Of these, connections of one address (of one /64 network with IPv6). Does not hold for `trusted_proxies`.
    pub max_connections_per_address: NonZeroU32,
    /// Time open requests have at shutdown, seconds.
    pub shutdown_grace_s: NonZeroU32,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)),
            tls: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            max_body_bytes: 1024 * 1024,
            request_timeout_s: seconds(10),
            // nginx keeps idle connections for 60 s.
            idle_timeout_s: seconds(75),
            store_timeout_s: seconds(20),
            max_concurrent_requests: NonZeroU32::new(1024).unwrap_or(NonZeroU32::MAX),
            max_buffered_bytes: 64 * 1024 * 1024,
            max_connections: NonZeroU32::new(4096).unwrap_or(NonZeroU32::MAX),
            // Platforms open up to a hundred from one address.
            max_connections_per_address: NonZeroU32::new(512).unwrap_or(NonZeroU32::MAX),
            shutdown_grace_s: seconds(10),
        }
    }
}

/// Certificate for TLS. The files are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// PEM file with the certificate and its chain, the server's own first.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// PEM file with the authorities of senders' certificates. With it senders are asked for a certificate: one of another
    /// authority or out of date ends the handshake, none at all goes on, and a connector decides whom it lets in
    /// (`client_certificate.fingerprints` in a manifest).
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// How often the files are looked at, seconds.
    #[serde(default = "default_certificate_check")]
    pub check_every_s: NonZeroU32,
}

fn default_certificate_check() -> NonZeroU32 {
    seconds(30)
}

/// Listener for metrics and health. Keep it off public networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Names under which this listener is asked (`priem.mcu.local`), beside `localhost` and addresses. A request for any
    /// other name gets 421: a page in a browser could send it here by a name of its own (DNS rebinding).
    pub host_names: Vec<String>,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)),
            host_names: Vec::new(),
        }
    }
}

impl HttpSettings {
    /// Checks what the types can't say. No I/O.
    ///
    /// # Errors
    /// Each problem as the dotted key below `http` and a sentence with the cure.
    pub fn validate(&self) -> Result<(), Vec<(&'static str, String)>> {
        let mut problems = Vec::new();
        if let Some(name) = self.admin.host_names.iter().find(|name| !is_host_name(name)) {
            let problem = format!("`{name}` is no name of a host: give it without port and path, as `priem.mcu.local`");
            problems.push(("admin.host_names", problem));
        }
        if let Some(webhooks) = &self.webhooks {
            if !(LEAST_BODY_BYTES..=MOST_BODY_BYTES).contains(&webhooks.max_body_bytes) {
                problems.push((
                    "webhooks.max_body_bytes",
                    format!("must lie between {LEAST_BODY_BYTES} and {MOST_BODY_BYTES} bytes"),
                ));
            }
            if webhooks.max_buffered_bytes < webhooks.max_body_bytes {
                problems.push((
                    "webhooks.max_buffered_bytes",
                    "must be at least webhooks.max_body_bytes".into(),
                ));
            }
            if let Some(problem) = webhooks.public_url.as_deref().and_then(public_url_problem) {
                problems.push(("webhooks.public_url", problem.into()));
            }
            if webhooks.listen == self.admin.listen && webhooks.listen.port() != 0 {
                problems.push((
                    "admin.listen",
                    "is taken by webhooks.listen: choose another port".into(),
                ));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

impl WebhookSettings {
    /// [`Self::request_timeout_s`].
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_s.get().into())
    }

    /// [`Self::idle_timeout_s`].
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_s.get().into())
    }

    /// [`Self::store_timeout_s`].
    pub fn store_timeout(&self) -> Duration {
        Duration::from_secs(self.store_timeout_s.get().into())
    }

    /// [`Self::shutdown_grace_s`].
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_s.get().into())
    }
}

fn is_host_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn public_url_problem(url: &str) -> Option<&'static str> {
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return Some("must begin with https:// (or http:// for a test)");
    };
    let host = rest.strip_suffix('/').unwrap_or(rest);
    if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) {
        return Some("must be a bare address such as https://priem.example.ru, without path, query or user");
    }
    None
}

const fn seconds(value: u32) -> NonZeroU32 {
    match NonZeroU32::new(value) {
        Some(value) => value,
        None => NonZeroU32::MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(settings: serde_json::Value) -> Vec<&'static str> {
        let settings: HttpSettings = serde_json::from_value(settings).expect("fits the types");
        let problems = settings.validate().err().unwrap_or_default();
        problems.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn defaults_are_private_and_valid() {
        let settings = HttpSettings::default();
        assert_eq!(settings.admin.listen.to_string(), "127.0.0.1:9464");
        assert!(settings.webhooks.is_none() && settings.validate().is_ok());
        let webhooks = WebhookSettings::default();
        assert_eq!(webhooks.max_body_bytes, 1_048_576);
        assert!(webhooks.listen.ip().is_loopback() && webhooks.trusted_proxies.is_empty());
    }

    #[test]
    fn problems_name_their_keys() {
        assert_eq!(
            keys(serde_json::json!({"webhooks": {
                "listen": "127.0.0.1:9464", "max_body_bytes": 10, "max_buffered_bytes": 9, "public_url": "https://a.ru/hooks",
            }})),
            [
                "webhooks.max_body_bytes",
                "webhooks.max_buffered_bytes",
                "webhooks.public_url",
                "admin.listen"
            ]
        );
        assert!(keys(serde_json::json!({"webhooks": {"public_url": "https://priem.example.ru:8443/"}})).is_empty());
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<HttpSettings>(r#"{"webhooks":{"listn":"0.0.0.0:1"}}"#).is_err());
        assert!(serde_json::from_str::<HttpSettings>(r#"{"webhook":{}}"#).is_err());
    }
}
