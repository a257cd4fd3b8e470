//! Reading the settings: the file first by itself, for errors with lines, then with the environment on top.

use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat};
use priem_sdk::registry::{suggest, unknown};

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
    let text = std::fs::read_to_string(path).map_err(|error| SettingsError::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    parse(&text, path, std::env::vars())
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
        serde_saphyr::from_str::<Settings>(text).map_err(|error| in_file(text, path, &error))?;
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
    Config::builder()
        .add_source(File::from_str(text, FileFormat::Yaml))
        .add_source(environment)
        .build()
        .and_then(Config::try_deserialize)
        .map_err(|error| {
            let problem = error.to_string();
            SettingsError::Wrong {
                place: format!("environment ({})", named.join(", ")),
                problem: suggest(&problem).unwrap_or(problem),
            }
        })
}

fn in_file(text: &str, path: &Path, error: &serde_saphyr::Error) -> SettingsError {
    let error = error.without_snippet();
    let line = error.location().map(|location| location.line());
    let place = match line {
        Some(line) => format!("{}:{line}", path.display()),
        None => path.display().to_string(),
    };
    let mut problem = match error {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => unknown(field, expected),
        other => other.to_string(),
    };
    if let Some(source) = line.and_then(|line| text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)) {
        problem.push_str(&format!("\n    {}", source.trim_end()));
    }
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
    fn connector_settings_keep_their_names() {
        let text = "connectors:\n  tg-main:\n    type: telegram\n    Token: {env: X}\n";
        let settings = parse_with(text, &[]).unwrap();
        assert_eq!(settings.connectors["tg-main"].kind, "telegram");
        assert!(settings.connectors["tg-main"].settings.contains_key("Token"));
        assert_eq!(line_of(text, &["connectors", "tg-main", "Token"]), 4);
    }
}
