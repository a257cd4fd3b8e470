//! Settings of a Telegram connector, and what can be said about them without asking anybody.

use priem_sdk::{
    BuildContext, ConfigError, Secret, SecretRef,
    bot::{Mode, OwnWords, in_range, require_chats},
    http::{HttpClientSettings, require_safe_address},
    webhook::{Hook, HookPath, SourceNetworks, host_of},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SECRET_HEADER, normalize::Policy};

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
    pub business_outgoing: OwnWords,
    /// Also ask for messages in which the bot was summoned into a chat it is no member of.
    #[serde(default)]
    pub guest_messages: bool,
    /// The HTTP client: proxy, extra certificates, rate (5 requests a second when absent).
    #[serde(default)]
    pub http: HttpClientSettings,
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

fn default_api_url() -> String {
    PUBLIC_API.into()
}

fn default_max_connections() -> u32 {
    40
}

fn default_source_networks() -> SourceNetworks {
    SourceNetworks::published(&TELEGRAM_NETWORKS)
}

impl TelegramSettings {
    /// Everything that can be wrong without asking anybody.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        require_safe_address("api_url", &self.api_url, PUBLIC_API)?;
        in_range("poll.timeout_s", self.poll.timeout_s, 1..=50)?;
        in_range("poll.limit", self.poll.limit, 1..=100)?;
        require_chats(self.chats.iter().map(|chat| chat.id), self.only_listed_chats)?;
        match (&self.webhook, self.mode) {
            (None, Mode::Webhook) => Err(ConfigError::new(
                "webhook",
                "mode: webhook needs `webhook` with `path` and `secret_token`",
            )),
            (Some(webhook), _) => in_range("webhook.max_connections", webhook.max_connections, 1..=100),
            (None, Mode::Poll) => Ok(()),
        }
    }

    /// Reads the token and looks at its shape.
    pub(super) fn read_token(&self, context: &BuildContext) -> Result<Secret<String>, ConfigError> {
        let token = context.secret("token", &self.token)?;
        let has_shape = token.expose().split_once(':').is_some_and(|(id, key)| {
            let is_of_key = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            !id.is_empty()
                && id.bytes().all(|byte| byte.is_ascii_digit())
                && key.len() >= 30
                && key.bytes().all(is_of_key)
        });
        if has_shape {
            return Ok(token);
        }
        Err(ConfigError::new(
            "token",
            format!(
                "{} does not hold a bot token: it reads like 123456789:AAE…, as @BotFather shows it",
                self.token.starting_from(&context.base_dir).place()
            ),
        ))
    }

    /// Reads the webhook's secrets and builds its address; with it the secret to register.
    pub(super) fn read_hook(&self, context: &BuildContext) -> Result<Option<(Hook, Secret<String>)>, ConfigError> {
        let (Mode::Webhook, Some(webhook)) = (self.mode, &self.webhook) else {
            return Ok(None);
        };
        let path = context.hook_path("webhook.path", &webhook.path)?;
        let secret = context.secret("webhook.secret_token", &webhook.secret_token)?;
        let base = context.require_hooks_base("webhook", "poll")?;
        if self.api_url == PUBLIC_API {
            reachable_by_telegram(&base)?;
        }
        let hook = Hook::new(base, &path, webhook.source_networks.clone())?.with_header(
            SECRET_HEADER,
            &secret,
            ("webhook.secret_token", "Telegram", 1),
        )?;
        Ok(Some((hook, secret)))
    }

    /// What normalising needs.
    pub(super) fn policy(&self) -> Policy {
        let listed = self
            .chats
            .iter()
            .flat_map(|chat| chat.formerly.iter().copied().chain([chat.id]));
        Policy {
            only_chats: self.only_listed_chats.then(|| listed.collect()),
            business_outgoing: self.business_outgoing == OwnWords::Publish,
        }
    }
}

/// The public server calls https only, on four ports.
fn reachable_by_telegram(base: &str) -> Result<(), ConfigError> {
    let wrong = |problem: String| Err(ConfigError::new("mode", format!("webhook: {problem}")));
    if !base.starts_with("https://") {
        return wrong("Telegram calls https only, but `http.webhooks.public_url` is not https".into());
    }
    let port = match host_of(base).rsplit_once(':') {
        Some((_, port)) => port.parse().unwrap_or(0),
        None => 443,
    };
    if WEBHOOK_PORTS.contains(&port) {
        return Ok(());
    }
    wrong(format!(
        "Telegram calls ports 443, 80, 88 and 8443 only, but `http.webhooks.public_url` has {port}"
    ))
}
