//! Settings of the drop folder.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use jiff::{SignedDuration, tz::TimeZone};
use priem_sdk::{ConfigError, MessageData, message::CommonStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    classifier::Classifiers,
    layout::Named,
    mapping::{self, Mapping},
    naming::{columns, headers},
};

/// Settings of one drop folder. Inside `folder` Priem keeps `inbox/`, `done/` and `failed/`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesSettings {
    /// The drop folder. People put files into its `inbox/`; Priem moves them to `done/` or `failed/`.
    pub folder: PathBuf,
    /// What the files are: `incident` («Инцидент менеджмент»), `pos` (registry of the ПОС cabinet), `uv` («Управляем
    /// вместе»), `fz59` (registry of обращения), `votes` (results of votes), `mss` (any other monitoring system), or
    /// `auto`: each file by its headers.
    #[serde(default = "default_mapping")]
    pub mapping: String,
    /// IANA time zone of the dates in the files.
    #[serde(default = "default_zone")]
    pub zone: String,
    /// A file is taken when it was not changed for this long (`5s`). `0s`: at once.
    #[serde(default = "default_settle")]
    #[schemars(with = "String")]
    pub settle: SignedDuration,
    /// An XLSX file without its end (still being copied) is waited for this long after its last change (`2m`), then it
    /// is moved to `failed/`.
    #[serde(default = "default_settle_broken")]
    #[schemars(with = "String")]
    pub settle_broken: SignedDuration,
    /// How often to look into `inbox/` when there is nothing to do (`5s`).
    #[serde(default = "default_every")]
    #[schemars(with = "String")]
    pub every: SignedDuration,
    /// Encoding of CSV files.
    #[serde(default)]
    pub encoding: EncodingSetting,
    /// What stands between the cells of CSV files.
    #[serde(default)]
    pub delimiter: DelimiterSetting,
    /// Only for files without a header row: column letter to field, for example `{ A: number, AI: text }`. Field names
    /// are printed by `priem files probe`.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// Headers that the mapping does not know, to field: `{ "Суть вопроса": text }`. They win over the known ones.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Statuses in the words of the source, to the common ones: `{ "На доработке": in_work }`. Common ones: `new`, `moderation`, `routing`, `assigned`,
    /// `in_work`, `answered`, `postponed`, `declined`, `forwarded`, `closed`, `other`.
    #[serde(default)]
    pub statuses: BTreeMap<String, CommonStatus>,
    /// Files with classifiers of topics, one for each classifier at most. Without one for `incident`, the one that
    /// ships with Priem applies.
    #[serde(default)]
    pub classifiers: Vec<PathBuf>,
    /// Larger files are moved to `failed/` unread, bytes.
    #[serde(default = "default_max_file_bytes")]
    pub max_file_bytes: u64,
    /// Rows handed over at once; 1 to 10000.
    #[serde(default = "default_rows_per_page")]
    pub rows_per_page: usize,
}

/// Encoding of CSV files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EncodingSetting {
    /// Found out for each file.
    #[default]
    Auto,
    /// UTF-8, with or without a byte order mark.
    #[serde(rename = "utf-8")]
    Utf8,
    /// Windows-1251.
    #[serde(rename = "windows-1251")]
    Windows1251,
}

/// What stands between the cells of CSV files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DelimiterSetting {
    /// Found out for each file.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// `;`
    #[serde(rename = ";")]
    Semicolon,
    /// `,`
    #[serde(rename = ",")]
    Comma,
    /// The tab character.
    #[serde(rename = "tab")]
    Tab,
}

impl DelimiterSetting {
    /// The byte, unless it must be found out.
    pub fn byte(self) -> Option<u8> {
        match self {
            Self::Auto => None,
            Self::Semicolon => Some(b';'),
            Self::Comma => Some(b','),
            Self::Tab => Some(b'\t'),
        }
    }
}

fn default_mapping() -> String {
    "incident".into()
}
fn default_zone() -> String {
    "Asia/Yekaterinburg".into()
}
fn default_settle() -> SignedDuration {
    SignedDuration::from_secs(5)
}
fn default_settle_broken() -> SignedDuration {
    SignedDuration::from_secs(120)
}
fn default_every() -> SignedDuration {
    SignedDuration::from_secs(5)
}
/// Public programs over exports of «Инцидент менеджмент» take files up to 500 MB (domain reference, 12).
fn default_max_file_bytes() -> u64 {
    500 * 1024 * 1024
}
fn default_rows_per_page() -> usize {
    1000
}

impl FilesSettings {
    /// Settings with the defaults for everything but the folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            mapping: default_mapping(),
            zone: default_zone(),
            settle: default_settle(),
            settle_broken: default_settle_broken(),
            every: default_every(),
            encoding: EncodingSetting::default(),
            delimiter: DelimiterSetting::default(),
            columns: BTreeMap::new(),
            headers: BTreeMap::new(),
            statuses: BTreeMap::new(),
            classifiers: Vec::new(),
            max_file_bytes: default_max_file_bytes(),
            rows_per_page: default_rows_per_page(),
        }
    }

    /// Checks everything that can be checked without touching the disk.
    ///
    /// # Errors
    /// The first key that does not fit, with the cure.
    pub fn validate(&self) -> Result<Checked, ConfigError> {
        let mappings = self.mappings()?;
        let zone = TimeZone::get(&self.zone).map_err(|_| {
            ConfigError::new(
                "zone",
                format!("unknown time zone `{}`, write it like Asia/Yekaterinburg", self.zone),
            )
        })?;
        if !(1..=10_000).contains(&self.rows_per_page) {
            return Err(ConfigError::new("rows_per_page", "must be 1 to 10000"));
        }
        if self.max_file_bytes == 0 {
            return Err(ConfigError::new("max_file_bytes", "must be more than 0"));
        }
        Ok(Checked {
            named: self.named(&mappings)?,
            statuses: self.lower_statuses(),
            mappings,
            classifiers: Classifiers::default(),
            zone,
            settle: duration("settle", self.settle)?,
            settle_broken: duration("settle_broken", self.settle_broken)?,
            every: duration("every", self.every)?,
        })
    }

    /// The same, with the classifier files read.
    ///
    /// # Errors
    /// As [`FilesSettings::validate`], and for a classifier file with its name.
    pub fn open(&self) -> Result<Checked, ConfigError> {
        let mut checked = self.validate()?;
        checked.classifiers = Classifiers::load(&self.classifiers)?;
        Ok(checked)
    }

    fn mappings(&self) -> Result<Vec<&'static Mapping>, ConfigError> {
        if self.mapping == mapping::AUTO {
            let recognisable = mapping::MAPPINGS.iter().filter(|mapping| !mapping.signature.is_empty());
            return Ok(recognisable.copied().collect());
        }
        let mapping = mapping::by_name(&self.mapping).ok_or_else(|| {
            let known: Vec<&str> = mapping::MAPPINGS.iter().map(|m| m.name).collect();
            ConfigError::new(
                "mapping",
                format!(
                    "unknown mapping `{}`, known: {}, {}",
                    self.mapping,
                    known.join(", "),
                    mapping::AUTO
                ),
            )
        })?;
        Ok(vec![mapping])
    }

    fn lower_statuses(&self) -> BTreeMap<String, CommonStatus> {
        let statuses = self.statuses.iter();
        statuses
            .map(|(word, common)| (word.trim().to_lowercase(), *common))
            .collect()
    }

    fn named(&self, mappings: &[&'static Mapping]) -> Result<Named, ConfigError> {
        let &[mapping] = mappings else {
            if let Some(key) = [("columns", &self.columns), ("headers", &self.headers)]
                .iter()
                .find_map(|(key, set)| (!set.is_empty()).then_some(*key))
            {
                return Err(ConfigError::new(
                    key,
                    "needs one kind of file: name it in `mapping` instead of `auto`",
                ));
            }
            return Ok(Named::default());
        };
        Ok(Named {
            columns: columns(&self.columns, mapping)?,
            headers: headers(&self.headers, mapping)?,
        })
    }
}

/// What [`FilesSettings::validate`] found out.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The mapping named in the settings, or all that can be told by their headers.
    pub mappings: Vec<&'static Mapping>,
    /// Columns the settings name.
    pub named: Named,
    /// Classifiers of topics.
    pub classifiers: Classifiers,
    /// Status in the words of the source, in lower case, to the common one.
    pub statuses: BTreeMap<String, CommonStatus>,
    /// Zone of the dates in the files.
    pub zone: TimeZone,
    /// Quiet time before a file is taken.
    pub settle: Duration,
    /// Quiet time before an XLSX without an end is given up.
    pub settle_broken: Duration,
    /// Pause between looks into an empty inbox.
    pub every: Duration,
}

impl Checked {
    /// Gives a status the common name the settings have for one of its words.
    pub fn restate(&self, data: &mut MessageData) {
        let Some(status) = &mut data.status else {
            return;
        };
        let words = status.raw.split(" / ").chain(status.outcome.as_deref());
        let known = words.filter_map(|word| self.statuses.get(&word.to_lowercase())).next();
        if let Some(common) = known {
            status.common = *common;
        }
    }
}

fn duration(key: &str, value: SignedDuration) -> Result<Duration, ConfigError> {
    Duration::try_from(value).map_err(|_| ConfigError::new(key, "must not be negative, write it like 5s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_durations_as_people_write_them() {
        let settings: FilesSettings =
            priem_sdk::registry::settings(serde_json::json!({"folder": "/in", "settle": "1m 30s", "delimiter": "tab"}))
                .expect("settings");
        let checked = settings.validate().expect("valid");
        assert_eq!(checked.settle, Duration::from_secs(90));
        assert_eq!(settings.delimiter.byte(), Some(b'\t'));
    }

    #[test]
    fn a_misspelt_status_is_refused_with_the_nearest_word() {
        let wrong = serde_json::json!({"folder": "/in", "statuses": {"Готово": "close"}});
        let error = priem_sdk::registry::settings::<FilesSettings>(wrong).expect_err("no status");
        assert!(
            error
                .to_string()
                .starts_with("statuses.Готово: unknown value `close`, did you mean `closed`? Known: new, moderation"),
            "{error}"
        );
    }

    #[test]
    fn wrong_values_name_the_key_and_the_cure() {
        let problem = |change: fn(&mut FilesSettings)| {
            let mut settings = FilesSettings::new("/in");
            change(&mut settings);
            settings.validate().expect_err("invalid").to_string()
        };
        assert_eq!(
            problem(|s| s.mapping = "poz".into()),
            "mapping: unknown mapping `poz`, known: incident, pos, uv, fz59, votes, mss, auto"
        );
        assert!(
            problem(|s| {
                s.mapping = "auto".into();
                s.headers.insert("Суть".into(), "text".into());
            })
            .starts_with("headers: needs one kind of file")
        );
        assert!(
            problem(|s| {
                s.headers.insert("СНИЛС заявителя".into(), "tags".into());
            })
            .contains("never taken in")
        );
        assert!(problem(|s| s.zone = "Perm".into()).starts_with("zone: unknown time zone `Perm`"));
        assert!(
            problem(|s| {
                s.columns.insert("A1".into(), "number".into());
            })
            .contains("columns.A1: must be")
        );
        assert!(
            problem(|s| {
                s.columns.insert("A".into(), "numbr".into());
            })
            .contains("known fields: number")
        );
        assert!(
            problem(|s| {
                s.columns.insert("A".into(), "topic".into());
            })
            .contains("`number` or `text`")
        );
        assert!(problem(|s| s.settle = SignedDuration::from_secs(-1)).starts_with("settle: must not"));
    }
}
