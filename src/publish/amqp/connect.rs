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

use super::refusal::{Peer, Refusal};
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
    answer_within: Duration,
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
        fits(&uri, settings)?;
        if let Some(user) = &settings.user {
            uri.authority.userinfo.username.clone_from(user);
        }
        if let Some(reference) = &settings.password {
            let password = reference
                .read()
                .map_err(|error| PublishError::secret("amqp.password", reference, error))?;
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
            answer_within: Duration::from_secs(settings.answer_seconds.into()),
        })
    }

    /// Whom we talk to.
    pub(super) fn peer(&self) -> Peer {
        Peer {
            place: self.place(),
            host: self.uri.authority.host.clone(),
            user: self.uri.authority.userinfo.username.clone(),
            vhost: self.uri.vhost.clone(),
            is_tls: self.uri.scheme == AMQPScheme::AMQPS,
        }
    }

    /// Host and port, for messages.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.uri.authority.host, self.uri.authority.port)
    }
}

fn address(settings: &AmqpSettings) -> Result<String, PublishError> {
    match (&settings.url, &settings.url_secret) {
        (Some(url), None) => Ok(url.expose().to_owned()),
        (None, Some(reference)) => {
            let secret = reference
                .read()
                .map_err(|error| PublishError::secret("amqp.url_secret", reference, error))?;
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

/// Looks whether the settings can work, without reading a file or asking anybody.
pub(super) fn validate(settings: &AmqpSettings) -> Result<(), PublishError> {
    if settings.url_secret.is_none() || settings.url.is_some() {
        let uri = parse(&address(settings)?)?;
        fits(&uri, settings)?;
    }
    both_or_none(&settings.tls)
}

/// TLS is asked for where there is TLS.
fn fits(uri: &AMQPUri, settings: &AmqpSettings) -> Result<(), PublishError> {
    if uri.scheme == AMQPScheme::AMQP && settings.tls != AmqpTlsSettings::default() {
        return Err(PublishError::settings(
            "amqp.tls",
            "is set, but the address begins with amqp://, which is not encrypted: write amqps:// (port 5671), or take \
             amqp.tls out",
        ));
    }
    Ok(())
}

/// Parses an address. What the parser says is not shown: it may quote the address.
fn parse(url: &str) -> Result<AMQPUri, PublishError> {
    let wrong = |more: &str| {
        PublishError::settings(
            "amqp.url",
            format!("is no address; expected amqp://user@host:5672/%2f or amqps://…{more}"),
        )
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong(""))?;
    if !matches!(scheme.to_ascii_lowercase().as_str(), "amqp" | "amqps") {
        return Err(wrong(""));
    }
    // A password that is not percent-encoded would be cut at its first `#`, `/` or `?`, and the front of it taken for
    // a host, which everybody may see.
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let is_encoded = |text: &str| {
        text.split('%').skip(1).all(|after| {
            let digits = after.as_bytes().first_chunk::<2>();
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        })
    };
    if rest.contains('#')
        || rest.matches('@').count() > 1
        || rest.contains('@') != authority.contains('@')
        || !is_encoded(rest)
    {
        return Err(wrong(
            "; a password with @ : / ? # % in it is written percent-encoded (%40 %3A %2F %3F %23 %25), or better given \
             by amqp.password, as it is",
        ));
    }
    let host = authority.rsplit_once('@').map(|(_, host)| host).unwrap_or(authority);
    let (name, port) = match host.strip_prefix('[') {
        Some(host) => host.split_once(']').ok_or_else(|| wrong(""))?,
        None => host.find(':').map(|colon| host.split_at(colon)).unwrap_or((host, "")),
    };
    let port_is_well = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if name.is_empty() || !port_is_well {
        return Err(wrong("; host and port are not well"));
    }
    let mut uri: AMQPUri = url.parse().map_err(|_| wrong(""))?;
    // The parser silently turns an IPv6 address into `localhost`.
    if host.starts_with('[') {
        uri.authority.host = name.to_owned();
    }
    if uri.vhost.is_empty() {
        // `amqp://host/` names the virtual host "", which hardly anybody has and many write.
        uri.vhost = "/".into();
    }
    Ok(uri)
}

fn both_or_none(settings: &AmqpTlsSettings) -> Result<(), PublishError> {
    if settings.certificate_file.is_some() == settings.key.is_some() {
        return Ok(());
    }
    Err(PublishError::settings(
        "amqp.tls",
        "certificate_file and key need each other",
    ))
}

fn tls(settings: &AmqpTlsSettings) -> Result<Tls, PublishError> {
    both_or_none(settings)?;
    let certificate = match (&settings.certificate_file, &settings.key) {
        (Some(file), Some(key)) => {
            let pem = std::fs::read(file).map_err(|error| {
                let what = "the client certificate and its chain (PEM)";
                PublishError::file("amqp.tls.certificate_file", file, what, error)
            })?;
            let key = key
                .read()
                .map_err(|error| PublishError::secret("amqp.tls.key", key, error))?;
            Some((pem, key.expose().as_bytes().to_vec()))
        }
        _ => None,
    };
    let Some(ca_file) = &settings.ca_file else {
        let identity = certificate.map(|(pem, key)| OwnedIdentity::PKCS8 { pem, key });
        return Ok(Tls::System(OwnedTLSConfig {
            identity,
            cert_chain: None,
        }));
    };
    let wrong_authorities = |why: String| {
        let what = "the certificate of the authority that signed the broker's (PEM, -----BEGIN CERTIFICATE-----)";
        PublishError::file("amqp.tls.ca_file", ca_file, what, why)
    };
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
    pub(super) peer: Peer,
    answer_within: Duration,
    socket: Socket,
}

impl Link {
    /// Waits for the broker's answer, but not for ever. `action` says for what, for people.
    pub(super) async fn answer<T>(
        &self,
        action: &str,
        answer: impl Future<Output = lapin::Result<T>>,
    ) -> Result<lapin::Result<T>, Refusal> {
        let answered = tokio::time::timeout(self.answer_within, answer).await;
        answered.map_err(|_| Refusal::silence(action, self.answer_within.as_secs(), &self.peer))
    }

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

/// Connects and logs in, within [`CONNECT_LIMIT`].
pub(super) async fn connect(target: &Target) -> Result<Link, Refusal> {
    let peer = target.peer();
    let runtime = lapin::runtime::default_runtime().map_err(|error| Refusal::said(&error.to_string(), &peer))?;
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
        Ok(Ok(connection)) => Ok(Link {
            connection,
            peer,
            answer_within: target.answer_within,
            socket,
        }),
        Ok(Err(error)) => {
            socket.shut();
            Err(Refusal::of(&error, &peer))
        }
        Err(_) => {
            socket.shut();
            Err(Refusal::silence("the handshake", CONNECT_LIMIT.as_secs(), &peer))
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
    fn a_password_may_be_encoded_and_a_virtual_host_left_out() {
        let encoded = target("AMQP://priem:12%233%2f%40%3f%25@h:5673/t").expect("a target");
        assert_eq!(encoded.uri.authority.userinfo.password, "12#3/@?%");
        assert_eq!((encoded.place().as_str(), encoded.uri.vhost.as_str()), ("h:5673", "t"));
        assert_eq!(target("amqp://priem:x@h").expect("a target").uri.vhost, "/");
    }

    #[test]
    fn tls_is_refused_where_there_is_none() {
        let mut settings: AmqpSettings =
            serde_json::from_str(r#"{"url":"amqp://u@h/","tls":{"ca_file":"/no/such.pem"}}"#).expect("settings");
        let error = validate(&settings).expect_err("not encrypted");
        assert!(error.key == "amqp.tls" && error.problem.contains("amqps://"), "{error}");
        settings.url = Some(BrokerUrl::new("amqps://u@h/"));
        assert_eq!(validate(&settings), Ok(()));
    }

    #[test]
    fn an_error_never_quotes_the_password() {
        for url in [
            "amqp://u:s3cret@h:port/",
            "u:s3cret@h",
            "http://u:s3cret@h/",
            "amqp:s3cret",
            "amqp://u:s3cret",
            "amqp://u:s3cret#4@h:5672/t",
            "amqp://u:s3cret@5/w@h:5672/t",
            "amqp://u:12/s3cret@h/t",
            "amqp://u:12?s3cret@h/t",
            "amqp://u:50%s3cret@h/t",
            "amqp://u:s3cret@:5672/t",
            "amqp://u:s3cret@h:0/t",
            "amqp://u:s3cret@h:99999/t",
        ] {
            let error = target(url).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(
                error.starts_with("amqp.url: is no address") && !error.contains("s3cret"),
                "{url}: {error}"
            );
        }
    }
}
