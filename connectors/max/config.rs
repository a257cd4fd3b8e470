//! Settings of a MAX connector, and what can be said about them without asking anybody.

use std::time::Duration;

use priem_sdk::{
    BuildContext, ConfigError, Secret, SecretRef,
    bot::{Mode, in_range, require_chats},
    http::{HttpClientSettings, require_safe_address},
    webhook::{Hook, HookPath, SourceNetworks, host_of},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SECRET_HEADER, normalize::Policy};

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

impl MaxSettings {
    /// Everything that can be wrong without asking anybody.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        require_safe_address("api_url", &self.api_url, PUBLIC_API)?;
        in_range("poll.timeout_s", self.poll.timeout_s, 0..=90)?;
        in_range("poll.limit", self.poll.limit, 1..=1000)?;
        in_range("history.every_s", self.history.every_s, 60..=86_400)?;
        in_range("history.look_back_h", self.history.look_back_h, 0..=8_760)?;
        in_range("history.most_chats", self.history.most_chats as u64, 1..=10_000)?;
        require_chats(self.chats.iter().map(|chat| chat.id), self.only_listed_chats)?;
        if self.mode == Mode::Webhook && self.webhook.is_none() {
            return Err(ConfigError::new(
                "webhook",
                "mode: webhook needs `webhook` with `path` and `secret`",
            ));
        }
        Ok(())
    }

    /// Reads the token. Its shape is not documented; it goes into a header, so it must be visible ASCII.
    pub(super) fn read_token(&self, context: &BuildContext) -> Result<Secret<String>, ConfigError> {
        let token = context.secret("token", &self.token)?;
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
        let place = self.token.starting_from(&context.base_dir).place();
        Err(ConfigError::new("token", format!("{place} {problem}")))
    }

    /// Reads the webhook's secrets and builds its address; with it the secret to register.
    pub(super) fn read_hook(&self, context: &BuildContext) -> Result<Option<(Hook, Secret<String>)>, ConfigError> {
        let (Mode::Webhook, Some(webhook)) = (self.mode, &self.webhook) else {
            return Ok(None);
        };
        let path = context.hook_path("webhook.path", &webhook.path)?;
        let secret = context.secret("webhook.secret", &webhook.secret)?;
        let base = context.require_hooks_base("webhook", "poll")?;
        if self.api_url == PUBLIC_API {
            reachable_by_max(&base)?;
        }
        let refused_from_elsewhere = match webhook.enforce_source_networks {
            true => webhook.source_networks.clone(),
            false => SourceNetworks::default(),
        };
        let hook = Hook::new(base, &path, refused_from_elsewhere)?.with_header(
            SECRET_HEADER,
            &secret,
            ("webhook.secret", "MAX", 5),
        )?;
        Ok(Some((hook, secret)))
    }

    /// What normalising needs.
    pub(super) fn policy(&self) -> Policy {
        let listed = self.chats.iter().map(|chat| chat.id);
        Policy {
            only_chats: self.only_listed_chats.then(|| listed.collect()),
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

/// The platform calls https only, on port 443 only, and wants the port left out.
fn reachable_by_max(base: &str) -> Result<(), ConfigError> {
    let wrong = |problem: &str| Err(ConfigError::new("mode", format!("webhook: {problem}")));
    if !base.starts_with("https://") {
        return wrong("MAX calls https only, but `http.webhooks.public_url` is not https");
    }
    if host_of(base).contains(':') {
        return wrong("MAX calls port 443 only, and `http.webhooks.public_url` must not name a port");
    }
    Ok(())
}
