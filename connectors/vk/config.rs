//! Settings of a VK connector, and what can be said about them without asking anybody.

use std::num::NonZeroU32;

use priem_sdk::{
    ConfigError, SecretRef,
    bot::{OwnWords, in_range},
    http::{HttpClientSettings, require_safe_address},
    webhook::SourceNetworks,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The public API.
pub(super) const PUBLIC_API: &str = "https://api.vk.com";

/// Communities of VK: messages to them, posts and comments on their walls, discussions, photos and videos.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VkSettings {
    /// How events come: `longpoll` needs no public address, `callback` needs one and `callback:` below, `walls` hears no
    /// events and reads open walls only (communities whose keys we don't have).
    #[serde(default)]
    pub mode: Mode,
    /// Communities, each with its key.
    #[serde(default)]
    pub communities: Vec<CommunitySettings>,
    /// A secret with further communities, one a line: `id ; key ; name ; callback secret ; confirmation code`, the last
    /// three may be left out; empty lines and lines with `#` are skipped. For hundreds of communities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub communities_list: Option<SecretRef>,
    /// Long polling; used in `mode: longpoll`.
    #[serde(default)]
    pub longpoll: LongPollSettings,
    /// Callback API; required in `mode: callback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<CallbackSettings>,
    /// Reading again what events may have missed.
    #[serde(default)]
    pub catch_up: CatchUpSettings,
    /// Switch on Long Poll and the event types we need where they are off. Without it `check` only names them.
    #[serde(default)]
    pub switch_on_events: bool,
    /// What becomes of the community's own posts, comments and answers: they are not citizens' words.
    #[serde(default)]
    pub own_words: OwnWords,
    /// Ask VK for the names of authors: its events carry only ids.
    #[serde(default = "yes")]
    pub author_names: bool,
    /// Address of the API; another one for a proxy or a test. Plain http only on loopback.
    #[serde(default = "default_api_url")]
    pub api_url: String,
    /// The HTTP client: proxy, extra certificates, rate. Without a rate of its own: 16 calls a second with a community's
    /// key, 2 with a service key or a user's token, somewhat below VK's limits of 20 and 3.
    #[serde(default)]
    pub http: HttpClientSettings,
}

/// How events come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// We ask (Bots Long Poll), one stream a community.
    #[default]
    Longpoll,
    /// VK calls us (Callback API), one address for all communities.
    Callback,
    /// No events: walls are read from time to time.
    Walls,
}

/// One community.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommunitySettings {
    /// Number of the community, positive: 123 of `club123` or `public123`.
    pub id: i64,
    /// Name for `check` and logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The community's key with the rights «управление» and «сообщения»; not needed in `mode: walls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// Secret key of the callback server, when it differs from `callback.secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_secret: Option<SecretRef>,
    /// The line VK wants back when it confirms the server. Asked for with the key when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<String>,
}

/// Long polling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LongPollSettings {
    /// How long VK holds a call when nothing is new, seconds, 1 to 90.
    pub wait_s: u64,
}

impl Default for LongPollSettings {
    fn default() -> Self {
        Self { wait_s: 25 }
    }
}

/// Callback API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallbackSettings {
    /// Secret key VK repeats in every event: 1 to 50 characters. For all communities that have none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
    /// Last part of the webhook's address, below `/hooks/<connector>/`: at least 22 of `A-Z a-z 0-9 _ -`, random. Not
    /// needed for proof: without it the address ends with the connector's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<SecretRef>,
    /// Register the server with every community whose key we have, and switch on the event types we need.
    #[serde(default)]
    pub register: bool,
    /// Networks deliveries may come from. VK documents none: any unless set.
    #[serde(default)]
    pub source_networks: SourceNetworks,
}

/// Reading again what events may have missed, and what no event tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CatchUpSettings {
    /// A service key of an application or a user's token: community keys can't read walls. Without it walls, comments and
    /// discussions that were missed stay missed.
    pub token: Option<SecretRef>,
    /// Whose token it is. Photos, videos, products and suggested posts take a user's only.
    pub token_kind: CatchUpToken,
    /// Pause between two rounds over all walls, minutes.
    pub walls_every_min: NonZeroU32,
    /// Pause between two rounds over all dialogues, minutes.
    pub messages_every_min: NonZeroU32,
    /// Newest posts of every wall and newest discussions whose comments are looked at, 1 to 100.
    pub posts: u32,
    /// How far back the very first round goes, hours.
    pub first_look_h: u32,
    /// Read discussions.
    pub boards: bool,
    /// Read comments below photos (user's token).
    pub photos: bool,
    /// Read comments below videos (user's token).
    pub videos: bool,
    /// Read comments below products (user's token). VK does not tell how many a product has, so each of the `posts`
    /// newest products costs a call in every round.
    pub market: bool,
    /// Read suggested posts (token of a user who manages the communities).
    pub suggested: bool,
}

impl Default for CatchUpSettings {
    fn default() -> Self {
        Self {
            token: None,
            token_kind: CatchUpToken::Service,
            walls_every_min: NonZeroU32::new(15).unwrap_or(NonZeroU32::MIN),
            messages_every_min: NonZeroU32::new(60).unwrap_or(NonZeroU32::MIN),
            posts: 30,
            first_look_h: 24,
            boards: true,
            photos: true,
            videos: true,
            market: false,
            suggested: false,
        }
    }
}

/// Whose token `catch_up.token` is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatchUpToken {
    /// Service key of an application: open walls, comments, discussions.
    #[default]
    Service,
    /// A person's token: also photos, videos and products; calls go in batches of 25.
    User,
}

fn default_api_url() -> String {
    PUBLIC_API.into()
}

fn yes() -> bool {
    true
}

impl VkSettings {
    /// Everything that can be wrong without reading secrets or asking anybody.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        require_safe_address("api_url", &self.api_url, PUBLIC_API)?;
        in_range("longpoll.wait_s", self.longpoll.wait_s, 1..=90)?;
        in_range("catch_up.posts", self.catch_up.posts, 1..=100)?;
        if self.communities.is_empty() && self.communities_list.is_none() {
            return Err(ConfigError::new(
                "communities",
                "no community is listed: name them here or in `communities_list`",
            ));
        }
        match self.mode {
            Mode::Callback if self.callback.is_none() => Err(ConfigError::new(
                "callback",
                "mode: callback needs `callback` with `secret`",
            )),
            Mode::Walls if self.catch_up.token.is_none() => Err(ConfigError::new(
                "catch_up.token",
                "mode: walls needs a service key or a user's token: community keys can't read walls",
            )),
            _ => self.validate_user_only(),
        }
    }

    fn validate_user_only(&self) -> Result<(), ConfigError> {
        if self.catch_up.suggested && self.catch_up.token_kind != CatchUpToken::User {
            return Err(ConfigError::new(
                "catch_up.suggested",
                "suggested posts are shown to a person only: set token_kind: user, or remove this key",
            ));
        }
        Ok(())
    }
}
