//! Settings of an OK connector, and what can be said about them without asking anybody.

use std::{collections::BTreeSet, path::Path};

use jiff::SignedDuration;
use priem_sdk::{
    ConfigError, Secret, SecretRef,
    http::{HttpClientSettings, require_safe_address},
    webhook::{PathSecret, SourceNetworks},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::session::{Renewal, Session};

/// The public API server.
const PUBLIC_API: &str = "https://api.ok.ru";
/// Questions for vanished comments at most, each time discussions are read again.
const MOST_PROBES: u32 = 1000;
/// Networks deliveries come from, as the documentation of `graph.user.subscribe` lists them.
const OK_NETWORKS: [&str; 3] = ["217.20.145.192/28", "217.20.151.160/28", "217.20.153.48/28"];

/// Groups of Одноклассники: what citizens write to them privately, their topics and the comments there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OkSettings {
    /// The groups to listen to; one entry may hold many.
    pub groups: Vec<GroupSettings>,
    /// How private messages come: `webhook` needs a public address and `webhook:` below, `poll` reads the history
    /// only. The history is read in both modes: it brings what a delivery missed.
    #[serde(default)]
    pub mode: Mode,
    /// Webhook; required in `mode: webhook`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookSettings>,
    /// How often the history of private messages is looked at (`30s`).
    #[serde(default = "default_history_every")]
    #[schemars(with = "String")]
    pub history_every: SignedDuration,
    /// The application that reads topics and comments. Without it only private messages are heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationSettings>,
    /// Topics and comments; used with `application`.
    #[serde(default)]
    pub discussions: DiscussionSettings,
    /// How far back the very first look goes, days, 0 to 365.
    #[serde(default = "default_first_days")]
    pub first_days: u32,
    /// What becomes of words written on behalf of the listed group itself: they are not a citizen's.
    #[serde(default)]
    pub own_words: OwnWords,
    /// Address of the API server. Plain http only on loopback.
    #[serde(default = "default_api_url")]
    pub api_url: String,
    /// The HTTP client: proxy, extra certificates, rate (1 request a second for each token when absent).
    #[serde(default)]
    pub http: HttpClientSettings,
}

/// How private messages come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// We ask for the history of chats.
    #[default]
    Poll,
    /// OK calls us, and we still look at the history.
    Webhook,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSettings {
    /// Id of the group: the digits in `https://ok.ru/group/<id>`, as text.
    pub id: String,
    /// Name for `check`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The group's own token, for private messages. Without it this group's messages are not heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
}

/// Webhook. OK signs nothing: the path and the networks are the proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// The unguessable part of the webhook's address, below `/hooks/<connector>/`: at least 22 of `A-Z a-z 0-9 _ -`,
    /// random (`openssl rand -hex 32`).
    pub path: SecretRef,
    /// Networks deliveries may come from: OK's documented ones unless set. An empty list turns the test off.
    #[serde(default = "default_source_networks")]
    pub source_networks: SourceNetworks,
}

/// The application and the account it speaks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplicationSettings {
    /// Public key of the application (`application_key`), from the e-mail after its registration. No secret.
    pub key: String,
    /// Secret key of the application. Needed unless `session_secret` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
    /// OAuth token of an administrator of the groups. May be left out when `refresh_token` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<SecretRef>,
    /// Renews an access token that has expired (error 102). Needs `id` and `secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<SecretRef>,
    /// Number of the application (`application_id`), from the same e-mail. Needed with `refresh_token` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `session_secret_key`, when the token came with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_secret: Option<SecretRef>,
}

/// Topics and comments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DiscussionSettings {
    /// How often each group is looked at (`60s`). A quiet look costs two calls for each group.
    #[schemars(with = "String")]
    pub every: SignedDuration,
    /// Also take the topics themselves, not only the comments.
    pub topics: bool,
    /// How often recent discussions are read again, for edits and removals that OK does not announce (`30m`).
    #[schemars(with = "String")]
    pub recheck_every: SignedDuration,
    /// Which discussions are read again: those with activity in so many days, 0 to 60.
    pub recheck_days: u32,
    /// How many comments that are no longer listed are asked for by their ids each time discussions are read again, one
    /// call each: only so a removed comment is told from one OK merely does not show. 0 to 1000; 0 asks for none, then
    /// only removals OK lists are noticed.
    pub probes: u32,
}

impl Default for DiscussionSettings {
    fn default() -> Self {
        Self {
            every: SignedDuration::from_secs(60),
            topics: true,
            recheck_every: SignedDuration::from_mins(30),
            recheck_days: 2,
            probes: 20,
        }
    }
}

/// What becomes of words written on behalf of the group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OwnWords {
    /// Stored, not published.
    #[default]
    Skip,
    /// Published with author kind `staff`.
    Publish,
}

fn default_api_url() -> String {
    PUBLIC_API.into()
}

fn default_history_every() -> SignedDuration {
    SignedDuration::from_secs(30)
}

fn default_first_days() -> u32 {
    3
}

fn default_source_networks() -> SourceNetworks {
    SourceNetworks::published(&OK_NETWORKS)
}

/// The webhook with its secret read. Each group has an address of its own, because a delivery may not name the group.
#[derive(Debug, Clone)]
pub(super) struct Hook {
    /// The unguessable part of the path, to compare with.
    pub path: PathSecret,
    /// Networks deliveries may come from.
    pub source_networks: SourceNetworks,
    /// The addresses OK calls, up to the unguessable part.
    pub base: String,
    /// The same with the unguessable part and a slash.
    secret_base: Secret<String>,
}

impl Hook {
    /// `base` is the address up to the unguessable part.
    pub fn new(base: String, path: &Secret<String>, source_networks: SourceNetworks) -> Result<Self, ConfigError> {
        Ok(Self {
            path: PathSecret::new(path, "webhook.path")?,
            source_networks,
            secret_base: Secret::new(format!("{base}{}/", path.expose())),
            base,
        })
    }

    /// The address OK calls for a group.
    pub fn url(&self, group: &str) -> Secret<String> {
        Secret::new(format!("{}{group}", self.secret_base.expose()))
    }

    /// Whether an address was made by this very connector, maybe with another path secret.
    pub fn is_ours(&self, url: &str) -> bool {
        url.starts_with(&self.base)
    }
}

/// What the application's calls need.
pub(super) struct Credentials {
    pub key: String,
    /// What calls begin with; none when a renewal makes the first.
    pub first: Option<Session>,
    pub renewal: Option<Renewal>,
}

impl ApplicationSettings {
    fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, problem: &str| Err(ConfigError::new(format!("application.{key}"), problem));
        match (&self.access_token, &self.refresh_token) {
            (None, None) => wrong("access_token", "needed, or a `refresh_token` to get one with"),
            (_, Some(_)) if self.id.as_ref().is_none_or(String::is_empty) => wrong(
                "id",
                "needed with `refresh_token`: the application_id of the registration e-mail",
            ),
            (_, Some(_)) if self.secret.is_none() => wrong(
                "secret",
                "needed with `refresh_token`: OK renews tokens for the application only",
            ),
            _ if self.secret.is_none() && self.session_secret.is_none() => wrong(
                "secret",
                "needed to sign calls, unless the token came with a session secret: then give `session_secret`",
            ),
            _ => Ok(()),
        }
    }
}

impl OkSettings {
    /// Everything that can be wrong without asking anybody.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        require_safe_address("api_url", &self.api_url, PUBLIC_API)?;
        self.validate_groups()?;
        let pauses = [
            ("history_every", self.history_every),
            ("discussions.every", self.discussions.every),
            ("discussions.recheck_every", self.discussions.recheck_every),
        ];
        if let Some((key, _)) = pauses.iter().find(|(_, pause)| !pause.is_positive()) {
            return Err(ConfigError::new(*key, "must be longer than nothing; write it like 60s"));
        }
        if self.discussions.probes > MOST_PROBES {
            return Err(ConfigError::new(
                "discussions.probes",
                format!("{} is out of range: 0 to {MOST_PROBES} calls", self.discussions.probes),
            ));
        }
        for (key, days, most) in [
            ("first_days", self.first_days, 365),
            ("discussions.recheck_days", self.discussions.recheck_days, 60),
        ] {
            if days > most {
                return Err(ConfigError::new(
                    key,
                    format!("{days} is out of range: 0 to {most} days"),
                ));
            }
        }
        if self.mode == Mode::Webhook && self.webhook.is_none() {
            return Err(ConfigError::new("webhook", "mode: webhook needs `webhook` with `path`"));
        }
        self.application.as_ref().map_or(Ok(()), ApplicationSettings::validate)
    }

    fn validate_groups(&self) -> Result<(), ConfigError> {
        if self.groups.is_empty() {
            return Err(ConfigError::new(
                "groups",
                "nobody would be heard: list at least one group",
            ));
        }
        let mut seen = BTreeSet::new();
        for (index, group) in self.groups.iter().enumerate() {
            let wrong = |problem: String| Err(ConfigError::new(format!("groups.{index}.id"), problem));
            if group.id.is_empty() || group.id.len() > 20 || !group.id.bytes().all(|byte| byte.is_ascii_digit()) {
                return wrong("write the digits of https://ok.ru/group/<id>, as text".into());
            }
            if !seen.insert(group.id.as_str()) {
                return wrong(format!("{} is listed twice", group.id));
            }
            if group.token.is_none() && self.application.is_none() {
                return Err(ConfigError::new(
                    format!("groups.{index}.token"),
                    "without it and without `application` nothing of this group would be heard: give one of them",
                ));
            }
        }
        if self.mode == Mode::Webhook && self.groups.iter().all(|group| group.token.is_none()) {
            return Err(ConfigError::new(
                "mode",
                "webhook needs at least one group with a `token`",
            ));
        }
        Ok(())
    }

    /// Makes relative paths of secrets start from the settings file's folder.
    pub(super) fn start_paths_from(&mut self, base_dir: &Path) {
        let application = self.application.iter_mut().flat_map(|application| {
            [
                application.access_token.as_mut(),
                application.refresh_token.as_mut(),
                application.secret.as_mut(),
                application.session_secret.as_mut(),
            ]
        });
        let groups = self.groups.iter_mut().map(|group| group.token.as_mut());
        let webhook = self.webhook.iter_mut().map(|webhook| Some(&mut webhook.path));
        for reference in application.chain(groups).chain(webhook).flatten() {
            *reference = reference.starting_from(base_dir);
        }
    }

    /// Reads the groups' tokens, in the order of the groups.
    pub(super) fn read_tokens(&self) -> Result<Vec<Option<Secret<String>>>, ConfigError> {
        let read = |(index, group): (usize, &GroupSettings)| {
            let token = group.token.as_ref().map(SecretRef::read).transpose();
            token.map_err(|error| ConfigError::new(format!("groups.{index}.token"), error.to_string()))
        };
        self.groups.iter().enumerate().map(read).collect()
    }

    /// Reads the application's secrets.
    pub(super) fn read_application(&self) -> Result<Option<Credentials>, ConfigError> {
        let Some(application) = &self.application else {
            return Ok(None);
        };
        let read = |key: &str, reference: &SecretRef| {
            reference
                .read()
                .map_err(|error| ConfigError::new(format!("application.{key}"), error.to_string()))
        };
        let read_any = |key: &str, reference: &Option<SecretRef>| {
            let reference = reference.as_ref();
            reference.map(|reference| read(key, reference)).transpose()
        };
        let secret = read_any("secret", &application.secret)?;
        let session_secret = read_any("session_secret", &application.session_secret)?;
        let first = match read_any("access_token", &application.access_token)? {
            Some(token) => Some(
                Session::new(token, session_secret, secret.as_ref())
                    .ok_or_else(|| ConfigError::new("application.secret", "needed to sign calls"))?,
            ),
            None => None,
        };
        let refresh_token = read_any("refresh_token", &application.refresh_token)?;
        let renewal = match (refresh_token, &application.id, secret) {
            (Some(refresh_token), Some(id), Some(secret)) => Some(Renewal::new(id, secret, refresh_token)),
            _ => None,
        };
        Ok(Some(Credentials {
            key: application.key.clone(),
            first,
            renewal,
        }))
    }

    /// Reads the webhook's secret and builds its address.
    pub(super) fn read_hook(&self, id: &str, public_url: Option<&str>) -> Result<Option<Hook>, ConfigError> {
        let (Mode::Webhook, Some(webhook)) = (self.mode, &self.webhook) else {
            return Ok(None);
        };
        let path = webhook
            .path
            .read()
            .map_err(|error| ConfigError::new("webhook.path", error.to_string()))?;
        let Some(public_url) = public_url else {
            return Err(ConfigError::new(
                "mode",
                "webhook needs the public address of the listener: set `http.webhooks.public_url`, or use mode: poll",
            ));
        };
        if self.api_url == PUBLIC_API && !public_url.starts_with("https://") {
            return Err(ConfigError::new(
                "mode",
                "webhook: the address is the only secret of a delivery, so `http.webhooks.public_url` must be https",
            ));
        }
        let base = format!("{}/hooks/{id}/", public_url.trim_end_matches('/'));
        Hook::new(base, &path, webhook.source_networks.clone()).map(Some)
    }
}
