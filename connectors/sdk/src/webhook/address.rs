//! Addresses of webhooks: the unguessable path in the settings, and what of a registered address may be shown.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::ConfigError,
    secret::{Secret, SecretRef},
};

/// The unguessable part of the webhook's address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HookPath {
    /// Kept elsewhere.
    Secret(SecretRef),
    /// Written in the configuration.
    Plain(String),
}

impl HookPath {
    /// The path itself; a relative path of a file starts from `base_dir`, the settings file's folder.
    ///
    /// # Errors
    /// [`ConfigError`] naming the setting's dotted `key` when it is kept elsewhere and can't be read there.
    pub fn read_for(&self, key: &str, base_dir: &Path) -> Result<Secret<String>, ConfigError> {
        match self {
            Self::Plain(path) => Ok(Secret::new(path.clone())),
            Self::Secret(reference) => reference.read_for(key, base_dir),
        }
    }
}

/// Host of an address, with its port: the path may be somebody's secret.
pub fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn only_the_host_is_shown() {
        for (url, host) in [
            ("https://a.example.ru/secret", "a.example.ru"),
            ("https://a.example.ru:8443?x=secret", "a.example.ru:8443"),
            ("https://user:secret@a.example.ru/", "a.example.ru"),
            ("a.example.ru/secret", "a.example.ru"),
            ("", ""),
        ] {
            assert_eq!(host_of(url), host);
        }
    }
}
