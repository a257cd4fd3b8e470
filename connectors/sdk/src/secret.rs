//! Secrets come by reference (systemd credential, file, environment) and are never printed.

use std::{fmt, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A value that `Debug` and logs never show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Call it only where the protocol needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret is kept. Exactly one of the three; the secret itself never stands in the configuration.
///
/// ```yaml
/// token: { credential: telegram-token }   # systemd LoadCredential=telegram-token:/etc/priem/secrets/telegram-token
/// token: { file: /etc/priem/secrets/telegram-token }
/// token: { env: TELEGRAM_TOKEN }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretRef {
    /// Name of a systemd credential (a file in `$CREDENTIALS_DIRECTORY`).
    Credential(String),
    /// Path of a file whose content, without surrounding white space, is the secret.
    File(PathBuf),
    /// Name of an environment variable.
    Env(String),
}

/// A secret could not be read. Names the place, never the value.
#[derive(Debug, thiserror::Error)]
#[error("secret {place} {problem}")]
pub struct SecretError {
    place: String,
    problem: String,
}

impl SecretRef {
    /// Reads the secret; surrounding white space is removed.
    ///
    /// # Errors
    /// When the place does not exist, can't be read or holds nothing.
    pub fn read(&self) -> Result<Secret<String>, SecretError> {
        let failed = |problem: String| SecretError {
            place: self.place(),
            problem,
        };
        let text = match self {
            Self::Credential(name) => {
                let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    failed("needs $CREDENTIALS_DIRECTORY, which systemd sets for units with LoadCredential=".into())
                })?;
                std::fs::read_to_string(PathBuf::from(directory).join(name))
                    .map_err(|error| failed(format!("can't be read: {error}")))?
            }
            Self::File(path) => {
                std::fs::read_to_string(path).map_err(|error| failed(format!("can't be read: {error}")))?
            }
            Self::Env(name) => std::env::var(name).map_err(|_| failed("is not set".into()))?,
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(failed("is empty".into()));
        }
        Ok(Secret::new(text.to_owned()))
    }

    /// Where the secret is kept, for messages: `file /etc/…`, `environment variable X`, `credential x`.
    pub fn place(&self) -> String {
        match self {
            Self::Credential(name) => format!("credential {name}"),
            Self::File(path) => format!("file {}", path.display()),
            Self::Env(name) => format!("environment variable {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_value() {
        assert_eq!(format!("{:?}", Secret::new("123:abc")), "***");
    }

    #[test]
    fn a_file_is_trimmed_and_an_empty_one_is_refused() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("token");
        std::fs::write(&path, " 123:abc\n").expect("write");
        let secret = SecretRef::File(path.clone()).read().expect("a readable secret");
        assert_eq!(secret.expose(), "123:abc");
        std::fs::write(&path, "\n").expect("write");
        let error = SecretRef::File(path).read().expect_err("an empty secret").to_string();
        assert!(error.contains("is empty"), "{error}");
    }
}
