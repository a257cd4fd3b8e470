//! Settings of a Telegram connector, and what can be said about them without asking anybody.

use std::{collections::HashSet, path::Path};

use priem_sdk::{
    ConfigError, Secret, SecretRef,
    http::{HttpClientSettings, require_safe_address},
    webhook::{HookPath, PathSecret, SharedSecret, SourceNetworks},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::normalize::Policy;

/// The public Bot API server.
pub(super) const PUBLIC_API: &str = "https://api.telegram.org";
/// Ports the public server delivers webhooks to.
const WEBHOOK_PORTS: [u16; 4] = [443, 80, 88, 8443];
/// Networks deliveries come from, as Telegram's webhook guide documents them.
const TELEGRAM_NETWORKS: [&str; 2] = ["149.154.160.0/20", "91.108.4.0/22"];

/// A bot that citizens write to, that sits in their groups, or that serves an official's business account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TelegramSettings {
    /// Token from @BotFather. Full authority over the bot: keep it in a credential or a file.
    pub token: SecretRef,
    /// How updates come: `poll` needs no public address, `webhook` needs one and `webhook:` below.
    #[serde(default)]
    pub mode: Mode,
    /// Address of the Bot API server; another one only for a self-hosted server. Plain http only on loopback.
    #[serde(default = "default_api_url")]
    pub api_url: String,
    /// Long polling; used in `mode: poll`.
    #[serde(default)]
    pub poll: PollSettings,
    /// Webhook; required in `mode: webhook`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookSettings>,
    /// Groups, channels and discussion groups whose rights `check` looks at.
    #[serde(default)]
    pub chats: Vec<ChatSettings>,
    /// Take in only the groups and channels listed in `chats`; private and business messages always pass.
    #[serde(default)]
    pub only_listed_chats: bool,
    /// What becomes of messages the owner of a connected business account writes: they are not a citizen's words.
    #[serde(default)]
    pub business_outgoing: BusinessOutgoing,
    /// Also ask for messages in which the bot was summoned into a chat it is no member of.
    #[serde(default)]
    pub guest_messages: bool,
    /// The HTTP client: proxy, extra certificates, rate (5 requests a second when absent).
    #[serde(default)]
    pub http: HttpClientSettings,
}

/// How updates come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// We ask (`getUpdates`).
    #[default]
    Poll,
    /// Telegram calls us.
    Webhook,
}

/// Long polling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PollSettings {
    /// How long the server holds a call when nothing is new, seconds, 1 to 50.
    pub timeout_s: u64,
    /// Most updates in one answer, 1 to 100.
    pub limit: u32,
}

impl Default for PollSettings {
    fn default() -> Self {
        Self {
            timeout_s: 50,
            limit: 100,
        }
    }
}

/// Webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Last part of the webhook's address, below `/hooks/<connector>/`: at least 22 of `A-Z a-z 0-9 _ -`, random
    /// (`openssl rand -hex 32`). A secret by reference, or written here when `secret_token` is what you rely on.
    pub path: HookPath,
    /// What Telegram repeats in `X-Telegram-Bot-Api-Secret-Token`: 1 to 256 of `A-Z a-z 0-9 _ -`.
    pub secret_token: SecretRef,
    /// Deliveries Telegram makes at the same time, 1 to 100.
    #[serde(default = "default_max_connections")]
    pub max_connections: u32,
    /// Networks deliveries may come from: Telegram's documented ones unless set. An empty list turns the test off
    /// (a self-hosted server, a proxy that hides the sender).
    #[serde(default = "default_source_networks")]
    pub source_networks: SourceNetworks,
}

/// A group or channel the bot is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatSettings {
    /// Id of the chat: negative; supergroups and channels start with -100.
    pub id: i64,
    /// Name for `check`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Ids the chat had before it became a supergroup: they stay valid for stored messages.
    #[serde(default)]
    pub formerly: Vec<i64>,
}

/// What becomes of outgoing messages of a business account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BusinessOutgoing {
    /// Stored, not published.
    #[default]
    Skip,
    /// Published with author kind `staff`.
    Publish,
}

fn default_api_url() -> String {
    PUBLIC_API.into()
}

fn default_max_connections() -> u32 {
    40
}

fn default_source_networks() -> SourceNetworks {
    SourceNetworks::published(&TELEGRAM_NETWORKS)
}

/// The webhook with its secrets read.
#[derive(Debug, Clone)]
pub(super) struct Hook {
    /// The unguessable part of the path, to compare with.
    pub path: PathSecret,
    /// The header's value, to compare with.
    pub header: SharedSecret,
    /// The header's value, to register.
    pub secret_token: Secret<String>,
    /// Deliveries at the same time.
    pub max_connections: u32,
    /// Networks deliveries may come from.
    pub source_networks: SourceNetworks,
    /// The address Telegram calls, up to the unguessable part.
    pub base: String,
    /// The full address Telegram calls.
    pub url: Secret<String>,
}

impl Hook {
    /// Looks at the secrets. `base` is the address up to the unguessable part.
    pub(super) fn new(
        base: String,
        path: &Secret<String>,
        secret_token: Secret<String>,
        settings: &WebhookSettings,
    ) -> Result<Self, ConfigError> {
        let matcher = PathSecret::new(path, "webhook.path")?;
        let token = secret_token.expose();
        if token.is_empty() || token.len() > 256 || !token.bytes().all(is_token_byte) {
            return Err(ConfigError::new(
                "webhook.secret_token",
                "Telegram takes 1 to 256 of A-Z a-z 0-9 _ -: make one with `openssl rand -hex 32`",
            ));
        }
        Ok(Self {
            path: matcher,
            header: SharedSecret::new(&secret_token),
            secret_token,
            max_connections: settings.max_connections,
            source_networks: settings.source_networks.clone(),
            url: Secret::new(format!("{base}{}", path.expose())),
            base,
        })
    }
}

impl TelegramSettings {
    /// Everything that can be wrong without asking anybody.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        require_safe_address("api_url", &self.api_url, PUBLIC_API)?;
        in_range("poll.timeout_s", self.poll.timeout_s, 1, 50)?;
        in_range("poll.limit", self.poll.limit.into(), 1, 100)?;
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
        match (&self.webhook, self.mode) {
            (None, Mode::Webhook) => Err(ConfigError::new(
                "webhook",
                "mode: webhook needs `webhook` with `path` and `secret_token`",
            )),
            (Some(webhook), _) => in_range("webhook.max_connections", webhook.max_connections.into(), 1, 100),
            (None, Mode::Poll) => Ok(()),
        }
    }

    /// Makes relative paths of secrets start from the settings file's folder.
    pub(super) fn start_paths_from(&mut self, base_dir: &Path) {
        self.token = self.token.starting_from(base_dir);
        if let Some(webhook) = &mut self.webhook {
            webhook.secret_token = webhook.secret_token.starting_from(base_dir);
            webhook.path = webhook.path.starting_from(base_dir);
        }
    }

    /// Reads the token and looks at its shape.
    pub(super) fn read_token(&self) -> Result<Secret<String>, ConfigError> {
        let token = self
            .token
            .read()
            .map_err(|error| ConfigError::new("token", error.to_string()))?;
        let has_shape = token.expose().split_once(':').is_some_and(|(id, key)| {
            !id.is_empty()
                && id.bytes().all(|byte| byte.is_ascii_digit())
                && key.len() >= 30
                && key.bytes().all(is_token_byte)
        });
        if has_shape {
            return Ok(token);
        }
        Err(ConfigError::new(
            "token",
            format!(
                "{} does not hold a bot token: it reads like 123456789:AAE…, as @BotFather shows it",
                self.token.place()
            ),
        ))
    }

    /// Reads the webhook's secrets and builds its address.
    pub(super) fn read_hook(&self, id: &str, public_url: Option<&str>) -> Result<Option<Hook>, ConfigError> {
        let (Mode::Webhook, Some(webhook)) = (self.mode, &self.webhook) else {
            return Ok(None);
        };
        let path = webhook.path.read("webhook.path")?;
        let secret_token = webhook
            .secret_token
            .read()
            .map_err(|error| ConfigError::new("webhook.secret_token", error.to_string()))?;
        let Some(public_url) = public_url else {
            return Err(ConfigError::new(
                "mode",
                "webhook needs the public address of the listener: set `http.webhooks.public_url`, or use mode: poll",
            ));
        };
        if self.api_url == PUBLIC_API {
            reachable_by_telegram(public_url)?;
        }
        let base = format!("{}/hooks/{id}/", public_url.trim_end_matches('/'));
        Hook::new(base, &path, secret_token, webhook).map(Some)
    }

    /// What normalising needs.
    pub(super) fn policy(&self) -> Policy {
        let listed = self
            .chats
            .iter()
            .flat_map(|chat| chat.formerly.iter().copied().chain([chat.id]));
        Policy {
            only_chats: self.only_listed_chats.then(|| listed.collect::<HashSet<i64>>()),
            business_outgoing: self.business_outgoing == BusinessOutgoing::Publish,
        }
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn in_range(key: &str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::new(
        key,
        format!("{value} is out of range: Telegram takes {least} to {most}"),
    ))
}

/// The public server calls https only, on four ports.
fn reachable_by_telegram(public_url: &str) -> Result<(), ConfigError> {
    let Some(rest) = public_url.strip_prefix("https://") else {
        return Err(ConfigError::new(
            "mode",
            "webhook: Telegram calls https only, but `http.webhooks.public_url` is not https",
        ));
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let port = match authority.rsplit_once(':') {
        Some((_, port)) => port.parse().unwrap_or(0),
        None => 443,
    };
    if WEBHOOK_PORTS.contains(&port) {
        return Ok(());
    }
    Err(ConfigError::new(
        "mode",
        format!("webhook: Telegram calls ports 443, 80, 88 and 8443 only, but `http.webhooks.public_url` has {port}"),
    ))
}
