//! What an operator can set about duplicates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Messages on one matter that came by several ways (an incident about a comment that was read directly; the same
/// complaint in two systems). They are linked, never dropped, and each keeps its clocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DuplicateSettings {
    /// Look for them. Costs one more commit of the journal for each batch of messages.
    pub enabled: bool,
    /// Days within which the same words are the same matter.
    pub window_days: u32,
    /// Letters and digits a text must have to be compared: short ones («Когда?») are alike by chance.
    pub least_letters: usize,
    /// Which of them goes where the rules say.
    pub route: DuplicateRoute,
    /// For `route: prefer`: channels, the most wanted first. One that is not named comes last.
    pub prefer: Vec<String>,
    /// For `route: first` and `prefer`: routing key of all the others, for information.
    pub information_queue: Option<String>,
}

impl Default for DuplicateSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            window_days: 30,
            least_letters: 30,
            route: DuplicateRoute::All,
            prefer: Vec::new(),
            information_queue: None,
        }
    }
}

/// Which duplicates go where the rules say; the others go to `information_queue`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateRoute {
    /// All of them, marked.
    #[default]
    All,
    /// The one that came first.
    First,
    /// The first, and a later one of a channel that is wanted more than all before it.
    Prefer,
}

impl DuplicateSettings {
    /// Checks what no single key can tell.
    ///
    /// # Errors
    /// Key below `duplicates`, and what is wrong with its cure.
    pub fn validate(&self) -> Result<(), (&'static str, &'static str)> {
        let needs_queue = self.route != DuplicateRoute::All;
        if needs_queue
            && self
                .information_queue
                .as_ref()
                .is_none_or(|queue| queue.trim().is_empty())
        {
            return Err((
                "information_queue",
                "`route: first` and `route: prefer` need it: the routing key of duplicates, for example mcu.duplicates; \
                 bind a queue to it",
            ));
        }
        if self.route == DuplicateRoute::Prefer && self.prefer.is_empty() {
            return Err((
                "prefer",
                "`route: prefer` needs channels in order, for example [ pos, vk ]",
            ));
        }
        if self.window_days == 0 {
            return Err((
                "window_days",
                "must be at least 1; to switch off, set duplicates.enabled: false",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_together_is_named() {
        let wrong = |change: fn(&mut DuplicateSettings)| {
            let mut settings = DuplicateSettings::default();
            change(&mut settings);
            settings.validate().map_err(|(key, _)| key)
        };
        assert_eq!(wrong(|_| {}), Ok(()));
        assert_eq!(wrong(|s| s.route = DuplicateRoute::First), Err("information_queue"));
        assert_eq!(wrong(|s| s.window_days = 0), Err("window_days"));
        assert_eq!(
            wrong(|s| {
                s.route = DuplicateRoute::Prefer;
                s.information_queue = Some("q".into());
            }),
            Err("prefer")
        );
    }
}
