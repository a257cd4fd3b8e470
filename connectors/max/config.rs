//! Settings of a MAX connector, and what can be said about them without asking anybody.

use std::{collections::HashSet, path::Path, time::Duration};

use priem_sdk::{
    ConfigError, Secret, SecretRef,
    http::{HttpClientSettings, require_safe_address},
    webhook::{HookPath, PathSecret, SharedSecret, SourceNetworks},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::normalize::Policy;

/// The platform's Bot API server. Earlier ones (`botapi.max.ru`, `platform-api.max.ru`) were switched off.
pub(super) const PUBLIC_API: &str = "https://platform-api2.max.ru";
/// Networks deliveries come from, as schema 0.0.32 names them.
const MAX_NETWORKS: [&str; 4] = [
    "185.16.150.0/30",
    "185.16.150.84/30",
    "185.16.150.152/30",
    "185.16.150.192/30",
];

/// A bot that citizens write to, or that sits in their groups and channels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxSettings {
    /// Token from the partner cabinet (business.max.ru). Full authority over the bot: keep it in a credential or a file.
    pub token: SecretRef,
    /// How updates come. The platform recommends `webhook` for production; `poll` needs no public address.
    #[serde(default)]
    pub mode: Mode,
    /// Address of the Bot API server. Plain http only on loopback.
    #[serde(default = "default_api_url")]
    pub api_url: String,
    /// Long polling; used in `mode: poll`.
    #[serde(default)]
    pub poll: PollSettings,
    /// Webhook; required in `mode: webhook`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookSettings>,
    /// Groups and channels: `check` looks at the bot's rights there, their history is read from the start.
    #[serde(default)]
    pub chats: Vec<ChatSettings>,
    /// Take in only the groups and channels listed in `chats`; private messages always pass.
    #[serde(default)]
    pub only_listed_chats: bool,
    /// What becomes of messages other bots write: they are not a citizen's words.
    #[serde(default)]
    pub bots: Bots,
    /// Reading the history of known chats, for what was not delivered.
    #[serde(default)]
    pub history: HistorySettings,
    /// The HTTP client: proxy, extra certificates (the platform's chain ends at the Russian Trusted Root CA), rate (15
    /// requests a second when absent; the platform allows 30).
    #[serde(default)]
    pub http: HttpClientSettings,
}

/// How updates come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// We ask (`GET /updates`).
    #[default]
    Poll,
    /// MAX calls us.
    Webhook,
}

/// Long polling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PollSettings {
    /// How long the server holds a call when nothing is new, seconds, 0 to 90; it cuts more than 30 to 30.
    pub timeout_s: u64,
    /// Most updates in one answer, 1 to 1000; the server gives no more than 100.
    pub limit: u32,
    /// Pause from an answer to the next call, milliseconds; the platform allows two calls a second.
    pub least_pause_ms: u64,
}

impl Default for PollSettings {
    fn default() -> Self {
        Self {
            timeout_s: 30,
            limit: 100,
            least_pause_ms: 510,
        }
    }
}

/// Webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Last part of the webhook's address, below `/hooks/<connector>/`: at least 22 of `A-Z a-z 0-9 _ -`, random
    /// (`openssl rand -hex 32`). Change it together with `secret`: a subscription keeps the secret it was made with.
    pub path: HookPath,
    /// What MAX repeats in `X-Max-Bot-Api-Secret`: 5 to 256 of `A-Z a-z 0-9 _ -`.
    pub secret: SecretRef,
    /// Networks deliveries come from: the platform's published ones unless set. An empty list turns the test off.
    #[serde(default = "default_source_networks")]
    pub source_networks: SourceNetworks,
    /// Refuse deliveries from elsewhere. Off: they are taken when path and secret are right, and a warning is logged,
    /// because the published list has changed before.
    #[serde(default)]
    pub enforce_source_networks: bool,
}

/// A group or channel the bot is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatSettings {
    /// Id of the chat: negative for groups and channels.
    pub id: i64,
    /// Name for `check`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What becomes of other bots' messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bots {
    /// Stored, not published.
    #[default]
    Skip,
    /// Published with author kind `community` and the mark `from_bot`.
    Publish,
}

/// Reading the history of known chats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HistorySettings {
    /// Whether the history is read at all.
    pub enabled: bool,
    /// How often groups and channels are read, seconds, at least 60. Dialogues are read after a start and after the
    /// platform had dropped our subscription.
    pub every_s: u64,
    /// How far back a chat is read when it is read for the first time, hours, up to 8760.
    pub look_back_h: u64,
    /// Chats that are remembered, those heard from last, 1 to 10000.
    pub most_chats: usize,
}

impl Default for HistorySettings {
    fn default() -> Self {
        Self {
            enabled: true,
            every_s: 600,
            look_back_h: 24,
            most_chats: 1000,
        }
    }
}

fn default_api_url() -> String {
    PUBLIC_API.into()
}

fn default_source_networks() -> SourceNetworks {
    SourceNetworks::published(&MAX_NETWORKS)
}

/// The webhook with its secrets read.
#[derive(Debug, Clone)]
pub(super) struct Hook {
    /// The unguessable part of the path, to compare with.
    pub path: PathSecret,
    /// The header's value, to compare with.
    pub header: SharedSecret,
    /// The header's value, to register.
    pub secret: Secret<String>,
    /// Networks deliveries come from.
    pub source_networks: SourceNetworks,
    /// Whether deliveries from elsewhere are refused.
    pub enforce_source_networks: bool,
    /// The full address MAX calls.
    pub url: Secret<String>,
}

impl Hook {
    /// Looks at the secrets. `base` is the address up to the unguessable part.
    pub(super) fn new(
        base: &str,
        path: &Secret<String>,
        secret: Secret<String>,
        settings: &WebhookSettings,
    ) -> Result<Self, ConfigError> {
        let matcher = PathSecret::new(path, "webhook.path")?;
        let text = secret.expose();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !(5..=256).contains(&text.len()) || !text.bytes().all(is_plain) {
            return Err(ConfigError::new(
                "webhook.secret",
                "MAX takes 5 to 256 of A-Z a-z 0-9 _ -: make one with `openssl rand -hex 32`",
            ));
        }
        Ok(Self {
            path: matcher,
            header: SharedSecret::new(&secret),
            secret,
            source_networks: settings.source_networks.clone(),
            enforce_source_networks: settings.enforce_source_networks,
            url: Secret::new(format!("{base}{}", path.expose())),
        })
    }
}

impl MaxSettings {
    /// Everything that can be wrong without asking anybody.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        require_safe_address("api_url", &self.api_url, PUBLIC_API)?;
        in_range("poll.timeout_s", self.poll.timeout_s, 0, 90)?;
        in_range("poll.limit", self.poll.limit.into(), 1, 1000)?;
        in_range("history.every_s", self.history.every_s, 60, 86_400)?;
        in_range("history.look_back_h", self.history.look_back_h, 0, 8_760)?;
        in_range("history.most_chats", self.history.most_chats as u64, 1, 10_000)?;
        for (index, chat) in self.chats.iter().enumerate() {
            if chat.id >= 0 {
                return Err(ConfigError::new(
                    format!("chats.{index}.id"),
                    format!("{} is not a group or channel: their ids are negative", chat.id),
                ));
            }
        }
        if self.only_listed_chats && self.chats.is_empty() {
            return Err(ConfigError::new(
                "only_listed_chats",
                "no group or channel would be heard: list them in `chats` or remove this key",
            ));
        }
        if self.mode == Mode::Webhook && self.webhook.is_none() {
            return Err(ConfigError::new(
                "webhook",
                "mode: webhook needs `webhook` with `path` and `secret`",
            ));
        }
        Ok(())
    }

    /// Makes relative paths of secrets start from the settings file's folder.
    pub(super) fn start_paths_from(&mut self, base_dir: &Path) {
        self.token = self.token.starting_from(base_dir);
        if let Some(webhook) = &mut self.webhook {
            webhook.secret = webhook.secret.starting_from(base_dir);
            webhook.path = webhook.path.starting_from(base_dir);
        }
    }

    /// Reads the token. Its shape is not documented; it goes into a header, so it must be visible ASCII.
    pub(super) fn read_token(&self) -> Result<Secret<String>, ConfigError> {
        let token = self
            .token
            .read()
            .map_err(|error| ConfigError::new("token", error.to_string()))?;
        let text = token.expose();
        let is_bearer = text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer "));
        if text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(token);
        }
        let problem = if is_bearer {
            "starts with `Bearer`: MAX wants the token alone"
        } else {
            "does not hold a bot token: one word of visible Latin characters, as the partner cabinet shows it"
        };
        Err(ConfigError::new("token", format!("{} {problem}", self.token.place())))
    }

    /// Reads the webhook's secrets and builds its address.
    pub(super) fn read_hook(&self, base: Option<&str>) -> Result<Option<Hook>, ConfigError> {
        let (Mode::Webhook, Some(webhook)) = (self.mode, &self.webhook) else {
            return Ok(None);
        };
        let path = webhook.path.read("webhook.path")?;
        let secret = webhook
            .secret
            .read()
            .map_err(|error| ConfigError::new("webhook.secret", error.to_string()))?;
        let Some(base) = base else {
            return Err(ConfigError::new(
                "mode",
                "webhook needs the public address of the listener: set `http.webhooks.public_url`, or use mode: poll",
            ));
        };
        if self.api_url == PUBLIC_API {
            reachable_by_max(base)?;
        }
        Hook::new(base, &path, secret, webhook).map(Some)
    }

    /// What normalising needs.
    pub(super) fn policy(&self) -> Policy {
        let listed = self.chats.iter().map(|chat| chat.id);
        Policy {
            only_chats: self.only_listed_chats.then(|| listed.collect::<HashSet<i64>>()),
            bots: self.bots == Bots::Publish,
        }
    }
}

impl PollSettings {
    /// Pause from an answer to the next call.
    pub(super) fn least_pause(&self) -> Duration {
        Duration::from_millis(self.least_pause_ms)
    }
}

/// Address of every webhook of this connector, up to the unguessable part.
pub(super) fn base_of(id: &str, public_url: &str) -> String {
    format!("{}/hooks/{id}/", public_url.trim_end_matches('/'))
}

fn in_range(key: &str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::new(
        key,
        format!("{value} is out of range: {least} to {most}"),
    ))
}

/// The platform calls https only, on port 443 only, and wants the port left out.
fn reachable_by_max(base: &str) -> Result<(), ConfigError> {
    let wrong = |problem: &str| Err(ConfigError::new("mode", format!("webhook: {problem}")));
    let Some(rest) = base.strip_prefix("https://") else {
        return wrong("MAX calls https only, but `http.webhooks.public_url` is not https");
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains(':') {
        return wrong("MAX calls port 443 only, and `http.webhooks.public_url` must not name a port");
    }
    Ok(())
}
