//! What the settings of bots share: how their updates come, which chats they listen to, what becomes of their own words,
//! and what a number may be. Each platform keeps the rest of its settings to itself.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{contract::StreamKind, error::ConfigError};

/// How what citizens write comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// We ask the platform.
    #[default]
    Poll,
    /// The platform calls us.
    Webhook,
}

impl From<Mode> for StreamKind {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Poll => Self::Poll,
            Mode::Webhook => Self::Webhook,
        }
    }
}

/// What becomes of words written on behalf of the account, community or group itself: they are not a citizen's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OwnWords {
    /// Stored, not published.
    #[default]
    Skip,
    /// Published with author kind `staff`.
    Publish,
}

/// Takes a number within bounds only; `key` is its dotted key, for the error.
///
/// # Errors
/// [`ConfigError`] with the bounds.
pub fn in_range(key: &str, value: impl Into<u64>, bounds: RangeInclusive<u64>) -> Result<(), ConfigError> {
    let value = value.into();
    if bounds.contains(&value) {
        return Ok(());
    }
    let (least, most) = bounds.into_inner();
    Err(ConfigError::new(
        key,
        format!("{value} is out of range: {least} to {most}"),
    ))
}

/// Takes a list of `chats` of groups and channels, whose ids are negative, and `only_listed_chats` when there are some.
///
/// # Errors
/// [`ConfigError`] naming the chat, or the key that would leave nobody to hear.
pub fn require_chats(ids: impl IntoIterator<Item = i64>, only_listed: bool) -> Result<(), ConfigError> {
    let mut is_empty = true;
    for (index, id) in ids.into_iter().enumerate() {
        is_empty = false;
        if id >= 0 {
            return Err(ConfigError::new(
                format!("chats.{index}.id"),
                format!("{id} is not a group or channel: their ids are negative"),
            ));
        }
    }
    if only_listed && is_empty {
        return Err(ConfigError::new(
            "only_listed_chats",
            "no group or channel would be heard: list them in `chats` or remove this key",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_within_their_bounds() {
        assert_eq!(in_range("poll.limit", 100_u32, 1..=100), Ok(()));
        let error = in_range("poll.limit", 0_u32, 1..=100).expect_err("too small");
        assert_eq!(error.to_string(), "poll.limit: 0 is out of range: 1 to 100");
    }

    #[test]
    fn only_groups_and_channels_are_listed() {
        assert_eq!(require_chats([], false), Ok(()));
        assert_eq!(require_chats([-5, -6], true), Ok(()));
        let wrong = |ids: &[i64], only| require_chats(ids.iter().copied(), only).expect_err("wrong").key;
        assert_eq!(wrong(&[-5, 6], false), "chats.1.id");
        assert_eq!(wrong(&[], true), "only_listed_chats");
    }
}
