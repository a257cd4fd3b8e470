//! Settings.

use jiff::SignedDuration;
use priem_sdk::{
    ConfigError, SecretRef,
    http::{HttpClientSettings, require_safe_address},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// newchannel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewchannelSettings {
    /// Address of the server. Plain http only on loopback.
    pub api_url: String,
    /// Token of our account.
    pub token: SecretRef,
    /// Pause when nothing new came.
    #[serde(default = "every_minute")]
    #[schemars(with = "String")]
    pub every: SignedDuration,
    /// The HTTP client: proxy, extra certificates, rate.
    #[serde(default)]
    pub http: HttpClientSettings,
}

impl NewchannelSettings {
    /// Looks at the settings without doing anything.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        require_safe_address("api_url", &self.api_url, "https://newchannel.example.ru")?;
        if !self.every.is_positive() {
            return Err(ConfigError::new("every", "must be longer than nothing, like 1m"));
        }
        Ok(())
    }
}

fn every_minute() -> SignedDuration {
    SignedDuration::from_secs(60)
}
