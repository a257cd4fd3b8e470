//! The certificate of the webhook listener, read again when its files change.
//!
//! Also asks senders for certificates, when authorities for them are named; what a sender showed is in the request.
//!
//! A certificate that can't be used never replaces one that works: the old one goes on and the log says why. HTTP/2
//! is not offered: platforms and reverse proxies speak HTTP/1.1 to webhooks, and less is exposed.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum_server::{tls::TlsInfo, tls_rustls::RustlsConfig};
use parking_lot::Mutex;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio_util::sync::CancellationToken;

use super::{ListenError, TlsSettings};

/// What tells one state of a file from another.
type Stamp = (Option<SystemTime>, u64);

/// The files a listener reads.
#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// The certificate in use. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Certificates {
    config: RustlsConfig,
    files: Arc<Files>,
    check_every: Duration,
    loaded: Arc<Mutex<Option<Vec<Stamp>>>>,
}

impl Certificates {
    /// Reads the certificate. Relative paths start from `base_dir`.
    ///
    /// # Errors
    /// [`ListenError`] naming the file and the cure.
    pub fn load(settings: &TlsSettings, base_dir: &Path) -> Result<Self, ListenError> {
        priem_sdk::http::install_crypto_provider();
        let files = Files {
            certificate: base_dir.join(&settings.certificate),
            key: base_dir.join(&settings.key),
            client_ca: settings.client_ca.as_ref().map(|path| base_dir.join(path)),
        };
        let stamps = files.stamps();
        let config = files.server_config()?;
        Ok(Self {
            config: RustlsConfig::from_config(config),
            files: Arc::new(files),
            check_every: Duration::from_secs(settings.check_every_s.get().into()),
            loaded: Arc::new(Mutex::new(stamps)),
        })
    }

    /// Reads the files again and uses them for new connections.
    ///
    /// # Errors
    /// [`ListenError`] when they can't be used; the old certificate goes on.
    pub fn reload(&self) -> Result<(), ListenError> {
        let stamps = self.files.stamps();
        let config = self.files.server_config()?;
        self.config.reload_from_config(config);
        *self.loaded.lock() = stamps;
        Ok(())
    }

    /// Reads the files again when they have changed; says whether a new certificate is in use.
    ///
    /// # Errors
    /// As [`Self::reload`]; the next call tries again.
    pub fn reload_if_changed(&self) -> Result<bool, ListenError> {
        if self.files.stamps() == *self.loaded.lock() {
            return Ok(false);
        }
        self.reload().map(|()| true)
    }

    /// Looks at the files from time to time until `stop`.
    pub(super) async fn watch(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(self.check_every);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let certificates = self.clone();
            // Reading files blocks; a failed join means that the runtime is shutting down.
            let Ok(outcome) = tokio::task::spawn_blocking(move || certificates.reload_if_changed()).await else {
                return;
            };
            match outcome {
                Ok(true) => tracing::info!("certificate reloaded"),
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "certificate not reloaded, the old one goes on"),
            }
        }
    }

    pub(super) fn rustls_config(&self) -> RustlsConfig {
        self.config.clone()
    }
}

impl Files {
    fn stamps(&self) -> Option<Vec<Stamp>> {
        let paths = [&self.certificate, &self.key].into_iter().chain(&self.client_ca);
        let stamp = |path: &PathBuf| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok(), metadata.len()))
        };
        paths.map(stamp).collect()
    }

    fn server_config(&self) -> Result<Arc<ServerConfig>, ListenError> {
        let chain = certificates("webhooks.tls.certificate", &self.certificate, PAIR)?;
        let private_key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| unusable("webhooks.tls.key", &self.key, &error, PAIR))?;
        let verifier = match &self.client_ca {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(path) => verifier(path)?,
        };
        let mut config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, private_key)
            .map_err(|error| unusable("webhooks.tls", &self.certificate, &error, PAIR))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// The certificates of a PEM file, at least one.
fn certificates(key: &'static str, path: &Path, cure: &str) -> Result<Vec<CertificateDer<'static>>, ListenError> {
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(key, path, &error, cure))?;
    if found.is_empty() {
        return Err(unusable(key, path, &"no certificate in it", cure));
    }
    Ok(found)
}

/// Checks what senders show. Who shows nothing gets in: platforms with other proofs share the listener.
fn verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, ListenError> {
    const KEY: &str = "webhooks.tls.client_ca";
    const CURE: &str = "give a PEM file with the certificates of the authorities that senders' certificates come from";
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(KEY, path, CURE)? {
        authorities
            .add(certificate)
            .map_err(|error| unusable(KEY, path, &error, CURE))?;
    }
    WebPkiClientVerifier::builder(Arc::new(authorities))
        .allow_unauthenticated()
        .build()
        .map_err(|error| unusable(KEY, path, &error, CURE))
}

/// SHA-256 of the certificate that the sender of a request showed, if any.
pub(super) fn certificate_sha256(connection: &TlsInfo) -> Option<[u8; 32]> {
    let shown = connection.peer_certificates.first()?;
    let digest = ring::digest::digest(&ring::digest::SHA256, shown);
    digest.as_ref().try_into().ok()
}

const PAIR: &str = "give PEM files of one certificate and its key";

fn unusable(key: &'static str, path: &Path, why: &dyn std::fmt::Display, cure: &str) -> ListenError {
    ListenError::new(key, format!("{} can't be used: {why}; {cure}", path.display()))
}
