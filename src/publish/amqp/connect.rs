//! One connection to the broker: address, credentials, TLS, time limits.
//!
//! lapin runs a thread per connection and has no time limit of its own, so the socket is kept beside it: closing the
//! socket ends the thread whatever it waits for. Nothing here prints an address with a password in it.

use std::{net::Shutdown, os::fd::AsFd, sync::Arc, time::Duration};

use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties,
    tcp::{AMQPUriTcpExt, Identity, OwnedIdentity, OwnedTLSConfig, RustlsConnector, TLSConfig},
    uri::{AMQPScheme, AMQPUri, SASLMechanism},
};
use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::publish::{
    PublishError,
    settings::{AmqpSettings, AmqpTlsSettings, Auth},
};

/// Limit for reaching the broker and for the whole handshake.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);

/// A broker's address with everything needed to log in.
#[derive(Clone)]
pub(super) struct Target {
    uri: AMQPUri,
    tls: Tls,
    connection_name: String,
}

#[derive(Clone)]
enum Tls {
    /// The authorities of the system, perhaps with a client certificate.
    System(OwnedTLSConfig),
    /// Only the given authorities.
    Pinned(Arc<rustls::ClientConfig>),
}

impl Target {
    /// Reads address, secrets and certificates.
    pub(super) fn read(settings: &AmqpSettings) -> Result<Self, PublishError> {
        let mut uri = parse(&address(settings)?)?;
        if let Some(user) = &settings.user {
            uri.authority.userinfo.username.clone_from(user);
        }
        if let Some(password) = &settings.password {
            let password = password
                .read()
                .map_err(|error| PublishError::settings("amqp.password", error))?;
            uri.authority.userinfo.password.clone_from(password.expose());
        }
        if settings.auth == Auth::External {
            uri.query.auth_mechanism = Some(SASLMechanism::External);
        }
        uri.query.heartbeat.get_or_insert(settings.heartbeat_seconds);
        let tls = match uri.scheme {
            AMQPScheme::AMQP => Tls::System(OwnedTLSConfig::default()),
            AMQPScheme::AMQPS => tls(&settings.tls)?,
        };
        Ok(Self {
            uri,
            tls,
            connection_name: settings.connection_name.clone(),
        })
    }

    /// Host and port, for messages.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.uri.authority.host, self.uri.authority.port)
    }
}

fn address(settings: &AmqpSettings) -> Result<String, PublishError> {
    match (&settings.url, &settings.url_secret) {
        (Some(url), None) => Ok(url.expose().to_owned()),
        (None, Some(secret)) => {
            let secret = secret
                .read()
                .map_err(|error| PublishError::settings("amqp.url_secret", error))?;
            Ok(secret.expose().clone())
        }
        (Some(_), Some(_)) => Err(PublishError::settings(
            "amqp.url",
            "give either url or url_secret, not both",
        )),
        (None, None) => Err(PublishError::settings(
            "amqp.url",
            "is missing; give an address such as amqp://user@host:5672/%2f, or url_secret",
        )),
    }
}

/// Parses an address. What the parser says is not shown: it may quote the address.
fn parse(url: &str) -> Result<AMQPUri, PublishError> {
    let wrong = || {
        PublishError::settings(
            "amqp.url",
            "is no address; expected amqp://user@host:5672/%2f or amqps://…",
        )
    };
    let mut uri: AMQPUri = url.parse().map_err(|_| wrong())?;
    // The parser silently turns an IPv6 address into `localhost`.
    let authority = url.split_once("://").map(|(_, rest)| rest).unwrap_or(url);
    let authority = authority.split(['/', '?']).next().unwrap_or(authority);
    let host = authority.rsplit_once('@').map(|(_, host)| host).unwrap_or(authority);
    if let Some((address, _)) = host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        uri.authority.host = address.to_owned();
    }
    if uri.vhost.is_empty() {
        // `amqp://host/` names the virtual host "", which hardly anybody has and many write.
        uri.vhost = "/".into();
    }
    Ok(uri)
}

fn tls(settings: &AmqpTlsSettings) -> Result<Tls, PublishError> {
    let certificate = match (&settings.certificate_file, &settings.key) {
        (Some(file), Some(key)) => {
            let pem = std::fs::read(file)
                .map_err(|error| PublishError::settings("amqp.tls.certificate_file", format!("{file:?}: {error}")))?;
            let key = key
                .read()
                .map_err(|error| PublishError::settings("amqp.tls.key", error))?;
            Some((pem, key.expose().as_bytes().to_vec()))
        }
        (None, None) => None,
        _ => {
            return Err(PublishError::settings(
                "amqp.tls",
                "certificate_file and key need each other",
            ));
        }
    };
    let Some(ca_file) = &settings.ca_file else {
        let identity = certificate.map(|(pem, key)| OwnedIdentity::PKCS8 { pem, key });
        return Ok(Tls::System(OwnedTLSConfig {
            identity,
            cert_chain: None,
        }));
    };
    let wrong_authorities = |why: String| PublishError::settings("amqp.tls.ca_file", format!("{ca_file:?}: {why}"));
    let mut roots = rustls::RootCertStore::empty();
    for authority in CertificateDer::pem_file_iter(ca_file).map_err(|error| wrong_authorities(error.to_string()))? {
        let authority = authority.map_err(|error| wrong_authorities(error.to_string()))?;
        roots
            .add(authority)
            .map_err(|error| wrong_authorities(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong_authorities("holds no PEM certificate".into()));
    }
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the ring provider has suites for the default protocol versions")
        .with_root_certificates(roots);
    let config = match certificate {
        None => builder.with_no_client_auth(),
        Some((pem, key)) => {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
            let chain = chain.map_err(|error| PublishError::settings("amqp.tls.certificate_file", error))?;
            let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| {
                PublishError::settings("amqp.tls.key", "holds no PEM private key (PKCS#8, PKCS#1 or SEC1)")
            })?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| PublishError::settings("amqp.tls.certificate_file", error))?
        }
    };
    Ok(Tls::Pinned(Arc::new(config)))
}

/// A connection and the socket below it. Dropping it closes the socket, which ends lapin's thread.
pub(super) struct Link {
    pub(super) connection: Connection,
    socket: Socket,
}

impl Link {
    /// Says good-bye in good order, within a short time.
    pub(super) async fn close(&self) {
        // The peer may be gone or deaf; the socket is closed in any case.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.connection.close(200, "OK".into())).await;
        self.socket.shut();
    }
}

/// A second handle on the connection's socket, for closing it.
#[derive(Clone, Default)]
struct Socket(Arc<Mutex<Option<std::net::TcpStream>>>);

impl Socket {
    fn shut(&self) {
        if let Some(socket) = self.0.lock().take() {
            // Fails only when the connection is gone already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.socket.shut();
    }
}

/// Connects and logs in, within [`CONNECT_LIMIT`]. The error is a text for people.
pub(super) async fn connect(target: &Target) -> Result<Link, String> {
    let runtime = lapin::runtime::default_runtime().map_err(|error| error.to_string())?;
    let properties = ConnectionProperties::default()
        .with_connection_name(target.connection_name.as_str().into())
        .with_client_property("product".into(), "priem".into())
        .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
    let socket = Socket::default();
    let (kept, tls) = (socket.clone(), target.tls.clone());
    let connecting = Connection::connector(
        target.uri.clone(),
        runtime,
        async move |uri: AMQPUri, runtime| {
            let mut plain = uri.clone();
            plain.scheme = AMQPScheme::AMQP;
            let stream = match plain.connect_with_config_async(TLSConfig::default(), &runtime).await? {
                AsyncTcpStream::Plain(stream) => stream,
                _ => unreachable!("a connection without TLS is plain"),
            };
            stream.get_ref().set_nodelay(true)?;
            *kept.0.lock() = Some(std::net::TcpStream::from(
                stream.get_ref().as_fd().try_clone_to_owned()?,
            ));
            let stream = AsyncTcpStream::Plain(stream);
            let secured = match (uri.scheme, &tls) {
                (AMQPScheme::AMQP, _) => stream,
                (AMQPScheme::AMQPS, Tls::System(config)) => {
                    stream.into_tls(&uri.authority.host, borrowed(config)).await?
                }
                (AMQPScheme::AMQPS, Tls::Pinned(config)) => {
                    stream
                        .into_rustls(&RustlsConnector::from(config.clone()), &uri.authority.host)
                        .await?
                }
            };
            Ok(secured)
        },
        properties,
    );
    match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
        Ok(Ok(connection)) => Ok(Link { connection, socket }),
        Ok(Err(error)) => {
            socket.shut();
            Err(explain(&error, target))
        }
        Err(_) => {
            socket.shut();
            Err(format!(
                "{} does not answer within {} s",
                target.place(),
                CONNECT_LIMIT.as_secs()
            ))
        }
    }
}

fn borrowed(config: &OwnedTLSConfig) -> TLSConfig<'_, '_, '_> {
    TLSConfig {
        identity: config.identity.as_ref().map(|identity| match identity {
            OwnedIdentity::PKCS8 { pem, key } => Identity::PKCS8 { pem, key },
            OwnedIdentity::PKCS12 { der, password } => Identity::PKCS12 { der, password },
        }),
        cert_chain: None,
    }
}

/// The broker's own words with the cure for what is usual.
fn explain(error: &lapin::Error, target: &Target) -> String {
    let place = target.place();
    let text = error.to_string();
    let user = &target.uri.authority.userinfo.username;
    if text.contains("ACCESS_REFUSED") || text.contains("ACCESS-REFUSED") {
        return format!(
            "{place} refuses user {user:?}: check amqp.user, amqp.password and the user's rights on virtual host {:?}",
            target.uri.vhost
        );
    }
    if text.contains("NOT_ALLOWED") || text.contains("NOT-ALLOWED") {
        return format!(
            "{place} has no virtual host {:?}, or user {user:?} may not enter it",
            target.uri.vhost
        );
    }
    format!("{place}: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::settings::BrokerUrl;

    fn target(url: &str) -> Result<Target, PublishError> {
        Target::read(&AmqpSettings {
            url: Some(BrokerUrl::new(url)),
            ..AmqpSettings::default()
        })
    }

    #[test]
    fn an_ipv6_address_is_kept() {
        let target = target("amqp://u:p@[2001:db8::1]:5673/%2f").expect("a target");
        assert_eq!(target.place(), "2001:db8::1:5673");
        assert_eq!(target.uri.vhost, "/");
    }

    #[test]
    fn an_error_never_quotes_the_password() {
        for url in [
            "amqp://u:s3cret@h:port/",
            "u:s3cret@h",
            "http://u:s3cret@h/",
            "amqp:s3cret",
        ] {
            let error = target(url).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(
                error.starts_with("amqp.url") && !error.contains("s3cret"),
                "{url}: {error}"
            );
        }
    }
}
