//! How a connector introduces itself. Config schema, reference page, `check` and the conformance run come from here.

use std::sync::Arc;

use priem_yaml::nearest;

use crate::{conformance::Subject, context::BuildContext, contract::Connector, error::ConfigError};

/// One kind of connector, as listed in `connectors/lib.rs`.
pub struct ConnectorType {
    /// Name in the configuration (`type: telegram`): the folder's name.
    pub name: &'static str,
    /// Title for people, in Russian where the channel has a Russian name.
    pub title: &'static str,
    /// One sentence: what it brings in and how.
    pub summary: &'static str,
    /// JSON Schema of its settings.
    pub schema: fn() -> schemars::Schema,
    /// A commented YAML example of one entry below `connectors:`.
    pub example: &'static str,
    /// Builds a connector from its settings. Must not do network I/O.
    pub build: Build,
    /// What the conformance kit examines: a connector with planted secrets and samples of what its source sends.
    pub conformance: fn() -> Subject,
}

/// Builds a connector from its settings.
pub type Build = fn(serde_json::Value, &BuildContext) -> Result<Arc<dyn Connector>, ConfigError>;

impl std::fmt::Debug for ConnectorType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectorType")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Deserialises a connector's settings; the error names the key and, for a misspelt one, the nearest known.
///
/// # Errors
/// [`ConfigError`] with the dotted key.
pub fn settings<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let (key, problem) = explain(&path, error.into_inner().to_string());
        ConfigError::new(key, problem)
    })
}

/// From serde's path and problem to the dotted key and a problem with its cure. Never quotes an address with a
/// password in it.
pub fn explain(path: &str, problem: String) -> (String, String) {
    let mut key = if path == "." { String::new() } else { path.to_owned() };
    if let Some(missing) = problem
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next())
    {
        if !key.is_empty() {
            key.push('.');
        }
        key.push_str(missing);
    }
    let problem = match suggest(&problem) {
        Some(suggestion) => suggestion,
        None if problem.contains("://") || problem.contains('@') => {
            "the value is of a wrong kind (not shown: it may hold a password)".into()
        }
        None if problem.contains("duration") => format!("{problem}; write it like 5s"),
        None => problem,
    };
    (key, problem)
}

/// A problem with the key in front, from serde's path and words.
pub fn with_key(path: &str, problem: String) -> String {
    let (key, problem) = explain(path, problem);
    match key.as_str() {
        "" => problem,
        _ if problem.starts_with("unknown key") => problem,
        key => format!("{key}: {problem}"),
    }
}

/// Turns serde's "unknown field `x`, expected one of …" into "unknown key, did you mean `y`?", and the same of a word that
/// is none of those a setting takes.
pub fn suggest(problem: &str) -> Option<String> {
    let (rest, is_value) = match problem.strip_prefix("unknown field `") {
        Some(rest) => (rest, false),
        None => (problem.strip_prefix("unknown variant `")?, true),
    };
    let (word, rest) = rest.split_once('`')?;
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    Some(match is_value {
        true => unknown_value(word, &known),
        false => unknown(word, &known),
    })
}

/// Names the known key nearest to a misspelt one, or all of them when none is near.
pub fn unknown(key: &str, known: &[&str]) -> String {
    match nearest(key, known.iter().copied()) {
        Some(name) => format!("unknown key `{key}`, did you mean `{name}`?"),
        None => format!("unknown key `{key}`, known keys: {}", known.join(", ")),
    }
}

/// The same for a value of which only some words are known.
pub fn unknown_value(word: &str, known: &[&str]) -> String {
    let all = known.join(", ");
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("unknown value `{word}`, did you mean `{near}`? Known: {all}"),
        None => format!("unknown value `{word}`, known: {all}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        token: String,
        #[serde(default)]
        poll_timeout: u32,
    }

    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code)]
    struct Outer {
        secret: crate::SecretRef,
        inner: Inner,
    }

    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code)]
    struct Inner {
        pause: jiff::SignedDuration,
    }

    #[test]
    fn the_key_is_the_path_and_never_the_value() {
        let wrong = |value| settings::<Outer>(value).expect_err("wrong settings");
        let error = wrong(serde_json::json!({"secret": "7000001:HUNTER", "inner": {"pause": "5s"}}));
        assert_eq!(
            (error.key.as_str(), error.problem.as_str()),
            ("secret", crate::secret::SECRET_RULE)
        );
        let error = wrong(serde_json::json!({"secret": {"env": "X"}, "inner": {"pause": 5}}));
        assert_eq!(error.key, "inner.pause");
        assert!(error.problem.ends_with("; write it like 5s"), "{error}");
        let error = wrong(serde_json::json!({"secret": {"env": "X"}, "inner": {}}));
        assert_eq!(error.key, "inner.pause");
    }

    #[test]
    fn a_misspelt_key_gets_the_nearest_known_one() {
        let error = settings::<Sample>(serde_json::json!({"token": "x", "pol_timeout": 1})).expect_err("misspelt");
        assert_eq!(
            error.to_string(),
            "pol_timeout: unknown key `pol_timeout`, did you mean `poll_timeout`?"
        );
    }
}
