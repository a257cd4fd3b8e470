//! Settings of an OK connector, and what can be said about them without asking anybody.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use priem_sdk::{
    BuildContext, ConfigError, Secret, SecretRef,
    bot::{Mode, OwnWords, in_range},
    http::{HttpClientSettings, require_safe_address},
    webhook::{Hook, SourceNetworks},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::session::{Renewal, Session};

/// The public API server.
const PUBLIC_API: &str = "https://api.ok.ru";
/// Questions for vanished comments at most, each time discussions are read again.
const MOST_PROBES: u64 = 1000;
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
        in_range("discussions.probes", self.discussions.probes, 0..=MOST_PROBES)?;
        in_range("first_days", self.first_days, 0..=365)?;
        in_range("discussions.recheck_days", self.discussions.recheck_days, 0..=60)?;
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

    /// Reads the groups' tokens, in the order of the groups.
    pub(super) fn read_tokens(&self, context: &BuildContext) -> Result<Vec<Option<Secret<String>>>, ConfigError> {
        let read = |(index, group): (usize, &GroupSettings)| {
            context.secret_if(&format!("groups.{index}.token"), group.token.as_ref())
        };
        self.groups.iter().enumerate().map(read).collect()
    }

    /// Reads the application's secrets.
    pub(super) fn read_application(&self, context: &BuildContext) -> Result<Option<Credentials>, ConfigError> {
        let Some(application) = &self.application else {
            return Ok(None);
        };
        let read = |key: &str, reference: &Option<SecretRef>| {
            context.secret_if(&format!("application.{key}"), reference.as_ref())
        };
        let secret = read("secret", &application.secret)?;
        let session_secret = read("session_secret", &application.session_secret)?;
        let first = match read("access_token", &application.access_token)? {
            Some(token) => Some(
                Session::new(token, session_secret, secret.as_ref())
                    .ok_or_else(|| ConfigError::new("application.secret", "needed to sign calls"))?,
            ),
            None => None,
        };
        let refresh_token = read("refresh_token", &application.refresh_token)?;
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

    /// Reads the webhook's secret and builds its address. Each group has one of its own below it, because a delivery may
    /// not name the group.
    pub(super) fn read_hook(&self, context: &BuildContext) -> Result<Option<Hook>, ConfigError> {
        let (Mode::Webhook, Some(webhook)) = (self.mode, &self.webhook) else {
            return Ok(None);
        };
        let path = context.secret("webhook.path", &webhook.path)?;
        let base = context.require_hooks_base("webhook", "poll")?;
        if self.api_url == PUBLIC_API && !base.starts_with("https://") {
            return Err(ConfigError::new(
                "mode",
                "webhook: the address is the only secret of a delivery, so `http.webhooks.public_url` must be https",
            ));
        }
        Hook::new(base, &path, webhook.source_networks.clone()).map(Some)
    }
}
