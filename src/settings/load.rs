//! Reading the settings: the file first by itself, for errors with lines, then with the environment on top.

use std::path::{Path, PathBuf};

use serde::Deserialize as _;

use config::{Config, Environment, File, FileFormat};
use priem_sdk::registry::{explain, unknown};

use super::Settings;

/// Why the settings can't be used. Names the file, the line and the key.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file can't be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is wrong.
    #[error("{place}: {problem}")]
    Wrong {
        /// File, line and column, or the name of an environment variable.
        place: String,
        /// What is wrong and how to mend it.
        problem: String,
    },
}

/// Reads a settings file and the environment.
///
/// # Errors
/// See [`SettingsError`].
pub fn load(path: &Path) -> Result<Settings, SettingsError> {
    parse(&read(path)?, path, std::env::vars())
}

/// The text of a settings file.
///
/// # Errors
/// [`SettingsError::Unreadable`].
pub fn read(path: &Path) -> Result<String, SettingsError> {
    std::fs::read_to_string(path).map_err(|error| SettingsError::Unreadable {
        path: path.to_owned(),
        error,
    })
}

/// Reads settings from text and given variables.
///
/// # Errors
/// See [`SettingsError`].
pub fn parse(
    text: &str,
    path: &Path,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, SettingsError> {
    if !text.trim().is_empty() {
        let mut track = serde_path_to_error::Track::new();
        let parsed: Result<Settings, _> = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
            Settings::deserialize(serde_path_to_error::Deserializer::new(deserializer, &mut track))
        });
        parsed.map_err(|error| in_file(path, &track.path().to_string(), &error))?;
    }
    let variables: std::collections::HashMap<String, String> = variables
        .into_iter()
        .filter(|(name, _)| name.starts_with("PRIEM__"))
        .collect();
    let named: Vec<String> = variables.keys().cloned().collect();
    let environment = Environment::with_prefix("PRIEM")
        .prefix_separator("__")
        .separator("__")
        .try_parsing(true)
        .source(Some(variables));
    let wrong = |key: &str, problem: String| SettingsError::Wrong {
        place: format!("environment ({})", named.join(", ")),
        problem: with_key(key, problem),
    };
    let merged = Config::builder()
        .add_source(File::from_str(text, FileFormat::Yaml))
        .add_source(environment)
        .build()
        .map_err(|error| wrong(".", error.to_string()))?;
    serde_path_to_error::deserialize(merged)
        .map_err(|error| wrong(&error.path().to_string(), error.into_inner().to_string()))
}

/// A folder as an absolute path, for messages that are understood from anywhere.
pub fn absolute(folder: &Path) -> PathBuf {
    // `absolute` refuses the empty path, which here means the working directory.
    std::path::absolute(Path::new(".").join(folder)).unwrap_or_else(|_| folder.to_owned())
}

fn with_key(path: &str, problem: String) -> String {
    let (key, problem) = explain(path, problem);
    match key.as_str() {
        "" => problem,
        _ if problem.starts_with("unknown key") => problem,
        key => format!("{key}: {problem}"),
    }
}

/// Names the line and the key. The line itself is not shown: it may hold a secret that stands in the wrong place.
fn in_file(path: &Path, key: &str, error: &serde_saphyr::Error) -> SettingsError {
    let error = error.without_snippet();
    let place = match error.location() {
        Some(location) => format!("{}:{}", path.display(), location.line()),
        None => path.display().to_string(),
    };
    let problem = match error {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => unknown(field, expected),
        other => with_key(key, other.to_string()),
    };
    SettingsError::Wrong { place, problem }
}

/// Line of a dotted key below a connector's entry, for errors of the connector itself; 1 when it is not found.
pub fn line_of(text: &str, keys: &[&str]) -> usize {
    let mut wanted = keys.iter();
    let mut next = wanted.next();
    let mut found = 1;
    for (number, line) in text.lines().enumerate() {
        let Some(key) = next else { break };
        if line
            .trim_start()
            .strip_prefix(key)
            .is_some_and(|rest| rest.starts_with(':'))
        {
            found = number + 1;
            next = wanted.next();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        parse(text, Path::new("priem.yaml"), variables)
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        let settings = parse_with("", &[]).unwrap();
        assert_eq!(settings.journal.raw_days, 30);
        assert!(settings.amqp.is_none());
    }

    #[test]
    fn the_environment_wins() {
        let settings = parse_with("journal:\n  raw_days: 7\n", &[("PRIEM__JOURNAL__RAW_DAYS", "9")]).unwrap();
        assert_eq!(settings.journal.raw_days, 9);
        let settings = parse_with("", &[("PRIEM__AMQP__URL", "amqp://u:p@broker/%2f")]).unwrap();
        assert!(settings.amqp.is_some());
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line_and_the_nearest_known_one() {
        let error = parse_with("version: 1\njournal:\n  raw_dais: 7\n", &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("priem.yaml:3: unknown key `raw_dais`, did you mean `raw_days`?"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let error = parse_with("", &[("PRIEM__JOURNAL__RAW_DAIS", "9")])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("PRIEM__JOURNAL__RAW_DAIS") && error.contains("did you mean `raw_days`"),
            "{error}"
        );
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_shown() {
        for (key, text) in [
            ("amqp.password", "amqp:\n  password: HUNTER2\n"),
            ("amqp.url_secret", "amqp:\n  url_secret: amqp://u:HUNTER2@h\n"),
            ("amqp.tls.key", "amqp:\n  tls:\n    key: [HUNTER2]\n"),
            ("unknown key `passwrd`", "amqp:\n  passwrd: HUNTER2\n"),
            ("amqp", "amqp: amqp://u:HUNTER2@h\n"),
        ] {
            let error = parse_with(text, &[]).unwrap_err().to_string();
            assert!(
                error.contains(&format!(": {key}")) && !error.contains("HUNTER2"),
                "{error}"
            );
            assert!(error.starts_with("priem.yaml:"), "{error}");
        }
        for variable in [
            "PRIEM__AMQP__PASSWORD",
            "PRIEM__AMQP__TLS__KEY",
            "PRIEM__AMQP__URL_SECRET",
        ] {
            let error = parse_with("", &[(variable, "HUNTER2")]).unwrap_err().to_string();
            assert!(
                error.contains(variable) && error.contains("named by reference"),
                "{error}"
            );
            assert!(error.contains(": amqp.") && !error.contains("HUNTER2"), "{error}");
        }
        let settings = parse_with("", &[("PRIEM__AMQP__PASSWORD__FILE", "/etc/p")]).unwrap();
        assert!(settings.amqp.unwrap().password.is_some());
    }

    #[test]
    fn connector_settings_keep_their_names() {
        let text = "connectors:\n  tg-main:\n    type: telegram\n    Token: {env: X}\n";
        let settings = parse_with(text, &[]).unwrap();
        assert_eq!(settings.connectors["tg-main"].kind, "telegram");
        assert!(settings.connectors["tg-main"].settings.contains_key("Token"));
        assert_eq!(line_of(text, &["connectors", "tg-main", "Token"]), 4);
    }
}
