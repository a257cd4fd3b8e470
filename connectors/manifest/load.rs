//! Reading a manifest: errors name file, line, key and the cure.

use std::path::{Path, PathBuf};

use priem_sdk::{
    ConfigError,
    message::CommonStatus,
    registry::{self, unknown, unknown_value, with_key},
};
use priem_yaml::{Cause, Node, Problem, Wrong};
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
    let source = Source::read(path, &text)?;
    let mut manifest = source.parse()?;
    let as_it_stands = Value::deserialize(&source.tree).map_err(|wrong| source.wrong_value(".", wrong))?;
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

/// The file that is being read.
struct Source<'s> {
    path: &'s Path,
    text: &'s str,
    tree: Node,
}

impl<'s> Source<'s> {
    fn read(path: &'s Path, text: &'s str) -> Result<Self, LoadError> {
        let tree = priem_yaml::parse(text).map_err(|not_yaml| {
            let cure = match &not_yaml.problem {
                Problem::Grammar(_) => "; look at the indentation and the quotes of this line and the one before",
                _ => "",
            };
            let (line, problem) = (not_yaml.line, not_yaml.problem);
            LoadError::Wrong(format!("{}:{line}: {problem}{cure}", path.display()))
        })?;
        Ok(Self { path, text, tree })
    }

    fn parse(&self) -> Result<Manifest, LoadError> {
        let mut track = serde_path_to_error::Track::new();
        let parsed = Manifest::deserialize(serde_path_to_error::Deserializer::new(&self.tree, &mut track));
        parsed.map_err(|wrong| self.wrong_value(&track.path().to_string(), wrong))
    }

    fn wrong_value(&self, key: &str, wrong: Wrong) -> LoadError {
        let problem = match wrong.cause {
            Cause::UnknownKey { key, known } => unknown(&key, known),
            Cause::UnknownWord { word, known } => with_key(key, unknown_value(&word, known)),
            Cause::Other(problem) => with_key(key, problem),
        };
        self.at(wrong.line, &problem)
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
            let first = if value.starts_with(['|', '>']) { key + 1 } else { key };
            match u32::try_from(error.line).unwrap_or(0) {
                0 => key,
                inside => first + inside - 1,
            }
        });
        self.at(line, &error.to_string())
    }

    fn at(&self, line: Option<u32>, problem: &str) -> LoadError {
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
                    let cure = match priem_yaml::nearest(name, known.iter().copied()) {
                        Some(table) => format!("did you mean `{table}`?"),
                        None => "add it under `tables:`".into(),
                    };
                    return Err(self.at(Some(number), &format!("there is no table `{name}`, {cure}")));
                }
            }
            for name in code
                .split("status(\"")
                .skip(1)
                .filter_map(|rest| rest.split('"').next())
            {
                self.has_statuses(name, manifest)?;
            }
        }
        Ok(())
    }

    /// A table of statuses holds words of the schema: any other would hold up each message that has it.
    fn has_statuses(&self, name: &str, manifest: &Manifest) -> Result<(), LoadError> {
        for (code, word) in manifest.tables.get(name).into_iter().flatten() {
            let Some(word) = word.as_str().filter(|word| word.parse::<CommonStatus>().is_err()) else {
                continue;
            };
            let line = self.tree.line_of(&["tables", name, code]);
            let problem = unknown_value(word, &CommonStatus::WORDS);
            return Err(self.at(Some(line), &format!("tables.{name}.{code}: {problem}")));
        }
        Ok(())
    }

    /// Line of a dotted key, or of the nearest key around it that is there.
    fn line_of(&self, key: &str) -> Option<u32> {
        let keys: Vec<&str> = key.split('.').collect();
        self.tree.get(keys.first()?)?;
        Some(self.tree.line_of(&keys))
    }
}
