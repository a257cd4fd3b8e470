//! What a connector may know about where it lives, and how it reads what its settings name.

use std::path::PathBuf;

use crate::{
    contract::ConnectorId,
    error::ConfigError,
    http::{HttpClient, HttpClientSettings, HttpOptions},
    secret::{Secret, SecretRef},
    webhook::HookPath,
};

/// What a connector may know about where it lives.
#[derive(Debug, Clone)]
pub struct BuildContext {
    /// Name of this entry in the configuration.
    pub id: ConnectorId,
    /// Folder relative paths in the settings start from (that of the configuration file).
    pub base_dir: PathBuf,
    /// Public address of the webhook listener (`https://priem.example.ru`), when one is configured.
    pub public_url: Option<String>,
}

impl BuildContext {
    /// The secret that the setting `key` refers to.
    ///
    /// # Errors
    /// [`ConfigError`] naming `key` when it can't be read.
    pub fn secret(&self, key: &str, reference: &SecretRef) -> Result<Secret<String>, ConfigError> {
        reference.read_for(key, &self.base_dir)
    }

    /// The same for a setting that may be left out.
    ///
    /// # Errors
    /// As [`BuildContext::secret`].
    pub fn secret_if(&self, key: &str, reference: Option<&SecretRef>) -> Result<Option<Secret<String>>, ConfigError> {
        reference.map(|reference| self.secret(key, reference)).transpose()
    }

    /// The unguessable path that the setting `key` gives or refers to.
    ///
    /// # Errors
    /// As [`BuildContext::secret`].
    pub fn hook_path(&self, key: &str, path: &HookPath) -> Result<Secret<String>, ConfigError> {
        path.read_for(key, &self.base_dir)
    }

    /// The HTTP client of the settings' `http`, over the connector's own `defaults`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key below `http`.
    pub fn http(&self, settings: &HttpClientSettings, defaults: HttpOptions) -> Result<HttpClient, ConfigError> {
        settings
            .apply(defaults, &self.base_dir)
            .and_then(HttpClient::new)
            .map_err(|error| ConfigError::new(format!("http.{}", error.key).trim_end_matches('.'), error.problem))
    }

    /// Where this entry's webhooks are called, up to their last part: `https://priem.example.ru/hooks/<entry>/`.
    pub fn hooks_base(&self) -> Option<String> {
        let public_url = self.public_url.as_deref()?;
        Some(format!("{}/hooks/{}/", public_url.trim_end_matches('/'), self.id))
    }

    /// The same where `mode` can't do without; `instead` is the mode that can.
    ///
    /// # Errors
    /// [`ConfigError`] naming `mode` when the listener has no public address.
    pub fn require_hooks_base(&self, mode: &str, instead: &str) -> Result<String, ConfigError> {
        self.hooks_base().ok_or_else(|| {
            ConfigError::new(
                "mode",
                format!(
                    "{mode} needs the public address of the listener: set `http.webhooks.public_url`, or use mode: {instead}"
                ),
            )
        })
    }
}
