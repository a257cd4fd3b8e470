//! Secrets a sender must show, in a header or in the path.
//!
//! Only a hash of the secret is kept for comparing. Comparing hashes takes the same time for any guess of one length
//! and tells nothing about the length or the beginning of the right answer.

use std::fmt;

use data_encoding::HEXLOWER;
use rustls::crypto::ring;
use subtle::ConstantTimeEq;

use crate::{
    error::{ConfigError, Refusal},
    secret::Secret,
};

/// Shortest path secret: 22 characters of the alphabet below hold 131 bits.
const SHORTEST_PATH_SECRET: usize = 22;
/// A random secret of that length has far more different characters; `aaaa…` or `abcabc…` has not.
const LEAST_VARIETY: usize = 10;
/// Random bytes in a generated secret.
const GENERATED_BYTES: usize = 32;

/// A secret both sides know, ready for comparing in constant time.
#[derive(Clone)]
pub struct SharedSecret {
    hash: [u8; 32],
}

impl SharedSecret {
    /// Prepares a secret.
    pub fn new(secret: &Secret<String>) -> Self {
        Self {
            hash: *blake3::hash(secret.expose().as_bytes()).as_bytes(),
        }
    }

    /// Whether `given` is the secret.
    pub fn matches(&self, given: &[u8]) -> bool {
        blake3::hash(given).as_bytes().ct_eq(&self.hash).into()
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A secret that stands in the webhook's path, for platforms that can show none in a header.
#[derive(Debug, Clone)]
pub struct PathSecret(SharedSecret);

impl PathSecret {
    /// Takes a path secret from the settings; `key` is its dotted key, for the error.
    ///
    /// # Errors
    /// [`ConfigError`] when it is short, monotonous or holds characters that don't stand in a path as they are.
    pub fn new(secret: &Secret<String>, key: &str) -> Result<Self, ConfigError> {
        let text = secret.expose();
        let cure = "make a new one, for example with `openssl rand -hex 32`";
        if let Some(position) = text.bytes().position(|byte| !is_plain(byte)) {
            return Err(ConfigError::new(
                key,
                format!("character {} is none of A-Z a-z 0-9 - _; {cure}", position + 1),
            ));
        }
        if text.len() < SHORTEST_PATH_SECRET {
            return Err(ConfigError::new(
                key,
                format!(
                    "{} characters can be guessed, at least {SHORTEST_PATH_SECRET} are needed; {cure}",
                    text.len()
                ),
            ));
        }
        let variety = (0..=u8::MAX).filter(|byte| text.as_bytes().contains(byte)).count();
        if variety < LEAST_VARIETY {
            return Err(ConfigError::new(
                key,
                format!(
                    "only {variety} different characters can be guessed, at least {LEAST_VARIETY} are needed; {cure}"
                ),
            ));
        }
        Ok(Self(SharedSecret::new(secret)))
    }

    /// Lets only requests through whose path is the secret.
    ///
    /// # Errors
    /// [`Refusal::WrongPath`] for any other.
    pub fn require(&self, path: &str) -> Result<(), Refusal> {
        if self.matches(path) {
            Ok(())
        } else {
            Err(Refusal::WrongPath)
        }
    }

    /// Whether `path`, without surrounding slashes, is the secret.
    pub fn matches(&self, path: &str) -> bool {
        self.0.matches(path.trim_matches('/').as_bytes())
    }
}

/// Whether a byte stands in a path and in a header as it is.
pub(super) fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// A fresh secret: 64 hex digits from the system's random source, fit for a path and for a header.
///
/// # Panics
/// When the system has no random source.
pub fn generate_secret() -> Secret<String> {
    let mut bytes = [0; GENERATED_BYTES];
    ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .expect("the system has a random source");
    Secret::new(HEXLOWER.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_secret(text: &str) -> Result<PathSecret, ConfigError> {
        PathSecret::new(&Secret::new(text.to_owned()), "webhook.path_secret")
    }

    #[test]
    fn a_generated_secret_is_good_and_never_the_same() {
        let secret = generate_secret();
        let path = PathSecret::new(&secret, "x").expect("good");
        assert!(path.matches(secret.expose()) && path.matches(&format!("/{}/", secret.expose())));
        assert!(!path.matches(generate_secret().expose()));
        assert!(!format!("{path:?}").contains(secret.expose().as_str()));
    }

    #[test]
    fn a_guessable_path_is_refused_with_the_cure_and_without_the_secret() {
        for (text, part) in [
            ("kazan-2026", "10 characters"),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "only 1 different"),
            ("abcabcabcabcabcabcabcabcabcabc", "only 3 different"),
            ("0123456789abcdef/0123456789abcdef", "character 17 is none"),
        ] {
            let error = path_secret(text).expect_err(text);
            assert_eq!(error.key, "webhook.path_secret");
            let shown = error.to_string();
            assert!(shown.contains(part) && shown.contains("openssl rand"), "{shown}");
            assert!(!shown.contains(text), "{shown}");
        }
    }
}
