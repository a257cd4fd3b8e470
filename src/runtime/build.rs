//! From settings to parts: connectors, rules. No network I/O; every error names the file, the key and the cure.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use priem_sdk::{BuildContext, ConnectorType, Stream, StreamKind, contract::ConnectorId};

use priem_rules::{RuleErrors, RuleSet};

use crate::{
    attachments::{AttachmentSettings, StoreError},
    http::ListenError,
    intake::Connectors,
    journal::JournalError,
    privacy::Policy,
    publish::{self, PublishError},
    settings::{self, Settings, SettingsError},
    telemetry,
};

/// Everything needed to start, checked.
pub struct Built {
    /// The settings.
    pub settings: Settings,
    /// Relative paths start from here.
    pub base_dir: PathBuf,
    /// Connectors by name; disabled ones are left out.
    pub connectors: Connectors,
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// What of personal data goes out.
    pub privacy: Arc<Policy>,
    /// First 12 hex digits of the hash of the settings file.
    pub config_hash: String,
}

/// Why the daemon can't be built or started.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Rules.
    #[error("{0}")]
    Rules(#[from] RuleErrors),
    /// Journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Publisher.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The attachment store.
    #[error(transparent)]
    Attachments(#[from] StoreError),
    /// Listeners.
    #[error("http.{0}")]
    Http(#[from] ListenError),
}

impl Built {
    /// Reads the settings file and builds what it names. Relative paths start from the file's folder.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn from_file(path: &Path, registry: &[ConnectorType]) -> Result<Self, BuildError> {
        let text = settings::read(path)?;
        let settings = settings::parse(&text, path, std::env::vars())?;
        Self::from_settings(settings, &text, path, registry)
    }

    /// Builds what the settings name. `text` and `path` are only for hashes, error messages and relative paths.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn from_settings(
        mut settings: Settings,
        text: &str,
        path: &Path,
        registry: &[ConnectorType],
    ) -> Result<Self, BuildError> {
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let base = &settings::absolute(folder);
        settings.start_paths_from(base);
        if let Err(problems) = settings.http.validate() {
            let (key, problem) = &problems[0];
            let keys: Vec<&str> = ["http"].into_iter().chain(key.split('.')).collect();
            let place = settings::place_of(text, path, &keys);
            return Err(SettingsError::Wrong {
                place,
                problem: format!("http.{key}: {problem}"),
            }
            .into());
        }
        if let Some(Err(error)) = settings.attachments.as_ref().map(AttachmentSettings::validate) {
            let keys: Vec<&str> = ["attachments"].into_iter().chain(error.key.split('.')).collect();
            let place = settings::place_of(text, path, &keys);
            let problem = format!("attachments.{error}");
            return Err(SettingsError::Wrong { place, problem }.into());
        }
        if let Some(Err(error)) = settings.amqp.as_ref().map(publish::validate) {
            let keys: Vec<&str> = error.key.split('.').collect();
            let place = settings::place_of(text, path, &keys);
            let problem = error.to_string();
            return Err(SettingsError::Wrong { place, problem }.into());
        }
        if let Err((key, problem)) = settings.duplicates.validate() {
            let place = settings::place_of(text, path, &["duplicates", key]);
            let problem = format!("duplicates.{key}: {problem}");
            return Err(SettingsError::Wrong { place, problem }.into());
        }
        if let Err((key, problem)) = settings.deadlines.validate() {
            let place = settings::place_of(text, path, &["deadlines", key]);
            let problem = format!("deadlines.{key}: {problem}");
            return Err(SettingsError::Wrong { place, problem }.into());
        }
        if let Err(error) = telemetry::filter(&settings.log, &publish::LOG_DIRECTIVES) {
            let place = settings::place_of(text, path, &["log", "level"]);
            let problem = error.to_string();
            return Err(SettingsError::Wrong { place, problem }.into());
        }
        let connectors = connectors(&settings, text, path, base, registry)?;
        let rules = Arc::new(match &settings.rules.dir {
            Some(dir) => RuleSet::load(dir)?,
            None => RuleSet::starter(),
        });
        let privacy = Policy::compile(
            &settings.privacy,
            &|id| rules.rule_ids().any(|known| known == id),
            &|id| rules.nearest_id(id).map(str::to_owned),
        );
        let privacy = privacy.map_err(|error| {
            let keys: Vec<&str> = ["privacy"].into_iter().chain(error.key.split('.')).collect();
            SettingsError::Wrong {
                place: settings::place_of(text, path, &keys),
                problem: format!("privacy.{error}"),
            }
        })?;
        let is_rule = |id: &str| rules.rule_ids().any(|known| known == id);
        if let Some(problem) = privacy
            .misfits(&is_rule, rules.personal_data_names())
            .into_iter()
            .next()
        {
            let place = settings::place_of(text, path, &["privacy", "overrides"]);
            return Err(SettingsError::Wrong { place, problem }.into());
        }
        let config_hash = blake3::hash(text.as_bytes()).to_hex()[..12].to_owned();
        Ok(Self {
            base_dir: base.to_owned(),
            settings,
            connectors,
            rules,
            privacy: Arc::new(privacy),
            config_hash,
        })
    }
}

fn connectors(
    settings: &Settings,
    text: &str,
    path: &Path,
    base: &Path,
    registry: &[ConnectorType],
) -> Result<Connectors, SettingsError> {
    let mut built = Connectors::new();
    let mut claimed: HashMap<String, &str> = HashMap::new();
    for (name, entry) in settings.connectors.iter().filter(|(_, entry)| entry.enabled) {
        let wrong = |key: &str, problem: String| {
            let keys: Vec<&str> = ["connectors", name]
                .into_iter()
                .chain(key.split('.').filter(|k| !k.is_empty()))
                .collect();
            SettingsError::Wrong {
                place: settings::place_of(text, path, &keys),
                problem: format!("{}: {problem}", keys.join(".")),
            }
        };
        if !is_name(name) {
            return Err(wrong("", "use a-z, 0-9 and -, at most 64 characters".into()));
        }
        let Some(kind) = registry.iter().find(|kind| kind.name == entry.kind) else {
            let known: Vec<&str> = registry.iter().map(|kind| kind.name).collect();
            return Err(wrong(
                "type",
                format!("`{}` is not known; known types: {}", entry.kind, known.join(", ")),
            ));
        };
        let id = ConnectorId::new(name.as_str());
        let context = BuildContext {
            id: id.clone(),
            base_dir: base.to_owned(),
            public_url: settings
                .http
                .webhooks
                .as_ref()
                .and_then(|webhooks| webhooks.public_url.clone()),
        };
        let connector = (kind.build)(serde_json::Value::Object(entry.settings.clone()), &context)
            .map_err(|error| wrong(&error.key, error.problem))?;
        let webhook = |stream: &Stream| stream.kind == StreamKind::Webhook;
        if settings.http.webhooks.is_none() && connector.streams().iter().any(webhook) {
            let problem = "is called by its platform, and nobody listens: add a listener (`http: { webhooks: { listen: \
                           …, public_url: … } }`), or leave out what makes it a webhook";
            return Err(wrong("", problem.into()));
        }
        for claim in connector.claims() {
            if let Some(first) = claimed.get(&claim.what) {
                let what = claim.what;
                let problem = format!(
                    "connectors.{first} has {what} already, everything in it would come twice; name another or remove one"
                );
                return Err(wrong(claim.key, problem));
            }
            claimed.insert(claim.what, name);
        }
        built.insert(id, connector);
    }
    Ok(built)
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
