//! Settings.

use jiff::SignedDuration;
use priem_sdk::{ConfigError, SecretRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// newchannel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewchannelSettings {
    /// Address of the server.
    pub api_url: String,
    /// Token of our account.
    pub token: SecretRef,
    /// Pause when nothing new came.
    #[serde(default = "every_minute")]
    #[schemars(with = "String")]
    pub every: SignedDuration,
}

impl NewchannelSettings {
    /// Looks at the settings without doing anything.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !self.api_url.starts_with("https://") && !self.api_url.starts_with("http://") {
            return Err(ConfigError::new("api_url", "write it like https://host.example.ru"));
        }
        if !self.every.is_positive() {
            return Err(ConfigError::new("every", "must be longer than nothing, like 1m"));
        }
        Ok(())
    }
}

fn every_minute() -> SignedDuration {
    SignedDuration::from_secs(60)
}
