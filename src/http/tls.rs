//! The certificate of the webhook listener, read again when its files change.
//!
//! A certificate that can't be used never replaces one that works: the old one goes on and the log says why. HTTP/2
//! is not offered: platforms and reverse proxies speak HTTP/1.1 to webhooks, and less is exposed.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum_server::tls_rustls::RustlsConfig;
use parking_lot::Mutex;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_util::sync::CancellationToken;

use super::{ListenError, TlsSettings};

/// What tells one state of a file from another.
type Stamp = (Option<SystemTime>, u64);

/// The certificate in use. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Certificates {
    config: RustlsConfig,
    certificate: PathBuf,
    key: PathBuf,
    check_every: Duration,
    loaded: Arc<Mutex<Option<(Stamp, Stamp)>>>,
}

impl Certificates {
    /// Reads the certificate. Relative paths start from `base_dir`.
    ///
    /// # Errors
    /// [`ListenError`] naming the file and the cure.
    pub(super) fn load(settings: &TlsSettings, base_dir: &Path) -> Result<Self, ListenError> {
        priem_sdk::http::install_crypto_provider();
        let certificate = base_dir.join(&settings.certificate);
        let key = base_dir.join(&settings.key);
        let stamps = stamps(&certificate, &key);
        let config = server_config(&certificate, &key)?;
        Ok(Self {
            config: RustlsConfig::from_config(config),
            certificate,
            key,
            check_every: Duration::from_secs(settings.check_every_s.get().into()),
            loaded: Arc::new(Mutex::new(stamps)),
        })
    }

    /// Reads the files again and uses them for new connections.
    ///
    /// # Errors
    /// [`ListenError`] when they can't be used; the old certificate goes on.
    pub fn reload(&self) -> Result<(), ListenError> {
        let stamps = stamps(&self.certificate, &self.key);
        let config = server_config(&self.certificate, &self.key)?;
        self.config.reload_from_config(config);
        *self.loaded.lock() = stamps;
        Ok(())
    }

    /// Reads the files again when they have changed; says whether a new certificate is in use.
    ///
    /// # Errors
    /// As [`Self::reload`]; the next call tries again.
    pub fn reload_if_changed(&self) -> Result<bool, ListenError> {
        if stamps(&self.certificate, &self.key) == *self.loaded.lock() {
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

fn stamps(certificate: &Path, key: &Path) -> Option<(Stamp, Stamp)> {
    let stamp = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok(), metadata.len()))
    };
    Some((stamp(certificate)?, stamp(key)?))
}

fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, ListenError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unusable("webhooks.tls.certificate", certificate, &error))?;
    if chain.is_empty() {
        return Err(unusable(
            "webhooks.tls.certificate",
            certificate,
            &"no certificate in it",
        ));
    }
    let private_key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("webhooks.tls.key", key, &error))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private_key)
        .map_err(|error| unusable("webhooks.tls", certificate, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn unusable(key: &'static str, path: &Path, why: &dyn std::fmt::Display) -> ListenError {
    ListenError::new(
        key,
        format!(
            "{} can't be used: {why}; give PEM files of one certificate and its key",
            path.display()
        ),
    )
}
