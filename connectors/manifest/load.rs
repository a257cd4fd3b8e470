//! Reading a manifest: errors name file, line, key and the cure.

use std::path::{Path, PathBuf};

use priem_sdk::{
    ConfigError,
    registry::{self, explain, unknown},
};
use serde::Deserialize as _;
use serde_json::Value;

use super::{
    config::ManifestSettings,
    jq::{Filter, FilterError},
    mapping::Mapping,
    model::Manifest,
    proving,
};

/// Least memory for filters: what a short record needs.
const LEAST_FILTER_BYTES: u64 = 1024 * 1024;
/// Longest manifest, bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

/// A manifest that can be used, and where it stands.
#[derive(Debug)]
pub struct Loaded {
    /// What it says, with the settings put over it.
    pub manifest: Manifest,
    /// Its filters, compiled.
    pub mapping: Mapping,
    /// The folder paths in it start from.
    pub folder: PathBuf,
}

impl Loaded {
    /// Runs the fixtures inside.
    pub fn prove(&self) -> proving::Outcome {
        proving::prove(&self.manifest, &self.mapping)
    }
}

/// Why a manifest can't be used: `file:line: key: problem`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read.
    #[error("{0}")]
    Unreadable(String),
    /// The file is wrong.
    #[error("{0}")]
    Wrong(String),
    /// The settings of the entry don't fit the manifest.
    #[error("{0}")]
    Entry(ConfigError),
}

impl LoadError {
    /// The same as an error of the connector's entry.
    pub fn into_config_error(self) -> ConfigError {
        match self {
            Self::Entry(error) => error,
            Self::Unreadable(problem) | Self::Wrong(problem) => ConfigError::new("manifest", problem),
        }
    }
}

/// Reads a manifest file as it stands.
///
/// # Errors
/// See [`LoadError`].
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    load_with(&ManifestSettings::new(path))
}

/// Reads the manifest of an entry, whose path was made absolute before.
///
/// # Errors
/// See [`LoadError`].
pub fn load_with(settings: &ManifestSettings) -> Result<Loaded, LoadError> {
    let path = &settings.manifest;
    let unreadable = |problem: String| LoadError::Unreadable(format!("{}: {problem}", path.display()));
    let size = std::fs::metadata(path)
        .map_err(|error| unreadable(error.to_string()))?
        .len();
    if size > LONGEST {
        return Err(unreadable(format!(
            "has {size} bytes; a manifest has {LONGEST} at most"
        )));
    }
    if settings.max_filter_bytes < LEAST_FILTER_BYTES {
        let problem = format!("must be {LEAST_FILTER_BYTES} at least; leave the key out for the usual 268435456");
        return Err(LoadError::Entry(ConfigError::new("max_filter_bytes", problem)));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    let source = Source { path, text: &text };
    let mut manifest = source.parse()?;
    let as_it_stands: Value = serde_saphyr::from_str(&text).map_err(|error| source.wrong_yaml(".", &error))?;
    if let Some(section) = settings.section_without_use(&as_it_stands) {
        let problem = format!("the manifest {} has no such section to change", path.display());
        return Err(LoadError::Entry(ConfigError::new(section, problem)));
    }
    let mut changed = as_it_stands.clone();
    settings.put_over(&mut changed);
    if changed != as_it_stands {
        manifest = registry::settings(changed).map_err(LoadError::Entry)?;
    }
    if let Some((key, problem)) = manifest.mistake() {
        return Err(source.wrong(key, &problem));
    }
    for (key, filter) in manifest.further_filters() {
        let compiled = Filter::compile(filter, key);
        compiled.map_err(|error| source.wrong_filter(&error))?;
    }
    if let Some(hook) = &manifest.webhook
        && !(200..300).contains(&hook.reply.status)
    {
        return Err(source.wrong(
            "webhook.reply.status",
            "must be 2xx: the reply is sent when everything is stored",
        ));
    }
    let mapping = Mapping::new(&manifest, settings.max_filter_bytes).map_err(|error| source.wrong_filter(&error))?;
    source.tables_exist(&manifest)?;
    let folder = path.parent().unwrap_or_else(|| Path::new(".")).to_owned();
    Ok(Loaded {
        manifest,
        mapping,
        folder,
    })
}

/// What a reader of YAML says, without the place (it stands in front) and with the cure where that is known.
fn plainly(problem: &str) -> String {
    let said = match problem.rsplit_once(" at line ") {
        Some((said, place)) if place.contains("column") => said,
        _ => problem,
    };
    let said = said.strip_prefix("unknown variant ").map_or_else(
        || said.to_owned(),
        |rest| {
            let (given, known) = rest.split_once(", expected ").unwrap_or((rest, ""));
            let known = known.strip_prefix("one of ").unwrap_or(known);
            let word = given.trim_matches('`');
            let near = known
                .split(", ")
                .map(|known| known.trim_matches('`'))
                .map(|known| (strsim::damerau_levenshtein(word, known), known))
                .filter(|(distance, known)| *distance <= known.len().max(word.len()) / 2)
                .min();
            match near {
                Some((_, near)) => format!("unknown value {given}, did you mean `{near}`? Known: {known}"),
                None => format!("unknown value {given}, known: {known}"),
            }
        },
    );
    for (grammar, cure) in [
        (
            "expected mapping start",
            "expected keys with values (`key: value`) here",
        ),
        (
            "expected sequence start",
            "expected a list (`[ … ]`, or lines with `- `) here",
        ),
    ] {
        if said == grammar {
            return cure.into();
        }
    }
    if said.contains("while parsing") || said.contains("while scanning") {
        return format!("{said}; look at the indentation and the quotes of this line and the one before");
    }
    said
}

/// The file that is being read.
struct Source<'s> {
    path: &'s Path,
    text: &'s str,
}

impl Source<'_> {
    fn parse(&self) -> Result<Manifest, LoadError> {
        let mut track = serde_path_to_error::Track::new();
        let parsed: Result<Manifest, _> = serde_saphyr::with_deserializer_from_str(self.text, |deserializer| {
            Manifest::deserialize(serde_path_to_error::Deserializer::new(deserializer, &mut track))
        });
        parsed.map_err(|error| self.wrong_yaml(&track.path().to_string(), &error))
    }

    fn wrong_yaml(&self, key: &str, error: &serde_saphyr::Error) -> LoadError {
        let error = error.without_snippet();
        let line = error.location().map(|location| location.line());
        let problem = match error {
            serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => unknown(field, expected),
            other => {
                // A mistake in the grammar stands at a key nobody knows yet.
                let key = key.trim_end_matches(['?', '.']);
                let (key, problem) = explain(key, plainly(&other.to_string()));
                match key.as_str() {
                    "" => problem,
                    _ if problem.starts_with("unknown key") => problem,
                    key => format!("{key}: {problem}"),
                }
            }
        };
        self.at(line, &problem)
    }

    fn wrong(&self, key: &str, problem: &str) -> LoadError {
        let line = self.line_of(key);
        match key {
            "" => self.at(None, problem),
            key => self.at(line, &format!("{key}: {problem}")),
        }
    }

    /// A filter is mostly a block that begins below its key: its own lines are counted on from there.
    fn wrong_filter(&self, error: &FilterError) -> LoadError {
        let line = self.line_of(&error.what).map(|key| {
            let written = self.text.lines().nth(key as usize - 1).unwrap_or_default();
            let value = written.split_once(':').map_or("", |(_, value)| value.trim_start());
            let block = value.starts_with(['|', '>']);
            match error.line {
                0 => key,
                inside if block => key + inside as u64,
                inside => key + inside as u64 - 1,
            }
        });
        self.at(line, &error.to_string())
    }

    fn at(&self, line: Option<u64>, problem: &str) -> LoadError {
        LoadError::Wrong(match line {
            Some(line) => format!("{}:{line}: {problem}", self.path.display()),
            None => format!("{}: {problem}", self.path.display()),
        })
    }

    /// A filter that asks for a table nobody wrote would find nothing for ever, and silently.
    fn tables_exist(&self, manifest: &Manifest) -> Result<(), LoadError> {
        let known: Vec<&str> = manifest.tables.keys().map(String::as_str).collect();
        for (number, line) in (1..).zip(self.text.lines()) {
            let code = line.split(" # ").next().unwrap_or_default();
            if code.trim_start().starts_with('#') {
                continue;
            }
            for call in ["lookup(\"", "status(\""] {
                let mut names = code.split(call).skip(1).filter_map(|rest| rest.split('"').next());
                let missing = names.find(|name| !known.contains(name) && !name.contains('\\'));
                if let Some(name) = missing {
                    let near = known
                        .iter()
                        .map(|table| (strsim::damerau_levenshtein(name, table), table))
                        .filter(|(distance, table)| *distance <= table.len().max(name.len()) / 2)
                        .min();
                    let cure = match near {
                        Some((_, table)) => format!("did you mean `{table}`?"),
                        None => "add it under `tables:`".into(),
                    };
                    return Err(self.at(Some(number), &format!("there is no table `{name}`, {cure}")));
                }
            }
        }
        Ok(())
    }

    /// Line of a dotted key; of the nearest key around it, when it is not written on a line of its own.
    fn line_of(&self, key: &str) -> Option<u64> {
        let mut wanted = key.split('.').peekable();
        let mut nearest: Option<(u64, usize)> = None;
        for (number, line) in (1..).zip(self.text.lines()) {
            let Some(name) = wanted.peek() else { break };
            let code = line.trim_start();
            let indent = line.len() - code.len();
            if code.is_empty() || code.starts_with('#') {
                continue;
            }
            match nearest {
                // Past the end of the key it would stand below.
                Some((_, outer)) if indent <= outer => break,
                None if indent > 0 => continue,
                _ => {}
            }
            if code.strip_prefix(*name).is_some_and(|rest| rest.starts_with(':')) {
                wanted.next();
                nearest = Some((number, indent));
            }
        }
        nearest.map(|(number, _)| number)
    }
}
