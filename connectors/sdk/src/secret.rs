//! Secrets come by reference (systemd credential, file, environment) and are never printed.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::error::ConfigError;

/// What is said instead of a value that stands where the name of a place belongs.
pub const SECRET_RULE: &str =
    "a secret is named by reference, never written here: { file: PATH }, { credential: NAME } or { env: NAME }";

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

/// Longest words of a platform that are passed on, characters.
const LONGEST_WORDS: usize = 200;

/// A platform's words as they may stand in a log: without secrets, and not too many of them.
pub fn cleaned(words: &str, secrets: &[&Secret<String>]) -> String {
    let without = |words: String, secret: &&Secret<String>| words.replace(secret.expose().as_str(), "***");
    let words = secrets.iter().fold(words.to_owned(), without);
    words.chars().take(LONGEST_WORDS).collect()
}

/// Where a secret is kept. Exactly one of the three; the secret itself never stands in the configuration.
///
/// ```yaml
/// token: { credential: telegram-token }   # systemd LoadCredential=telegram-token:/etc/priem/secrets/telegram-token
/// token: { file: /etc/priem/secrets/telegram-token }
/// token: { env: TELEGRAM_TOKEN }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretRef {
    /// Name of a systemd credential (a file in `$CREDENTIALS_DIRECTORY`).
    Credential(String),
    /// Path of a file whose content, without surrounding white space, is the secret.
    File(PathBuf),
    /// Name of an environment variable.
    Env(String),
}

/// By hand, because serde's own errors quote what they found, and what is found here by mistake is the secret itself.
impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(Quiet)? {
            Some(reference) => Ok(reference),
            None => Err(de::Error::custom(SECRET_RULE)),
        }
    }
}

/// Takes any value without quoting it; `None` when it is not a reference.
struct Quiet;

impl<'de> de::Visitor<'de> for Quiet {
    type Value = Option<SecretRef>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reference to a secret")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Word, Word>()? {
            entries.push((key.0, value.0));
        }
        let (Some((Some(key), Some(value))), true) = (entries.pop(), entries.is_empty()) else {
            return Ok(None);
        };
        Ok(match key.as_str() {
            "credential" => Some(SecretRef::Credential(value)),
            "file" => Some(SecretRef::File(value.into())),
            "env" => Some(SecretRef::Env(value)),
            _ => None,
        })
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<de::IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A word of a reference; `None` for anything else, which is taken without quoting it.
struct Word(Option<String>);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any {
            Text(String),
            Number(i64),
            Other(de::IgnoredAny),
        }
        Ok(Self(match Any::deserialize(deserializer)? {
            Any::Text(text) => Some(text),
            Any::Number(number) => Some(number.to_string()),
            Any::Other(_) => None,
        }))
    }
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

    /// The secret of a setting: a relative path starts from `base_dir`, the settings file's folder.
    ///
    /// # Errors
    /// [`ConfigError`] naming the setting's dotted `key` when it can't be read.
    pub fn read_for(&self, key: &str, base_dir: &Path) -> Result<Secret<String>, ConfigError> {
        self.starting_from(base_dir)
            .read()
            .map_err(|error| ConfigError::new(key, error.to_string()))
    }

    /// The same reference with a relative path of a file starting from `base_dir`, the settings file's folder.
    #[must_use]
    pub fn starting_from(&self, base_dir: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(base_dir.join(path)),
            other => other.clone(),
        }
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
    fn words_of_a_platform_are_cleaned_and_bounded() {
        let (one, two) = (Secret::new("123:abc".to_owned()), Secret::new("key".to_owned()));
        let words = format!("bad token 123:abc, bad key, {}", "я".repeat(500));
        let cleaned = cleaned(&words, &[&one, &two]);
        assert!(cleaned.starts_with("bad token ***, bad ***, я"), "{cleaned}");
        assert_eq!(cleaned.chars().count(), LONGEST_WORDS);
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_quoted() {
        for written in [
            r#""7000001:HUNTER""#,
            "7000001",
            "-7.5",
            "true",
            r#"["HUNTER"]"#,
            r#"{"HUNTER": "x"}"#,
            r#"{"file": ["HUNTER"]}"#,
            r#"{"file": "HUNTER", "env": "HUNTER"}"#,
            "{}",
        ] {
            let error = serde_json::from_str::<SecretRef>(written)
                .expect_err(written)
                .to_string();
            assert!(error.starts_with(SECRET_RULE), "{error}");
            assert!(!error.contains("HUNTER") && !error.contains('7'), "{error}");
        }
        let reference: SecretRef = serde_json::from_str(r#"{"env": "TOKEN"}"#).expect("a reference");
        assert_eq!(reference, SecretRef::Env("TOKEN".into()));
    }

    #[test]
    fn a_relative_path_starts_from_the_settings() {
        let reference = SecretRef::File("secrets/token".into()).starting_from(Path::new("/etc/priem"));
        assert_eq!(reference, SecretRef::File("/etc/priem/secrets/token".into()));
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
