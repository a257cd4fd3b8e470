//! Parts of a source that we no longer hear, though the source itself answers: a bot put out of a chat, rights taken from
//! it, a connection switched off. The platform says so once; nothing comes from there any more, and nobody would notice.
//!
//! The platform won't say it again to a process that starts anew: the host keeps [`Unheard::written`] and gives it back.
//! Whoever left a chat on purpose need not hear of it for ever: after [`TOLD_FOR`] it is forgotten.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::contract::ConnectorId;

/// Parts that are told one by one; more than that is another trouble.
const MOST: usize = 1000;
/// How long a part is told.
pub const TOLD_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What one connector no longer hears, by a key of its own.
#[derive(Debug, Default)]
pub struct Unheard(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    parts: BTreeMap<String, Part>,
    changes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    why: String,
    /// When the platform said so, by our clock.
    since: Timestamp,
}

impl Unheard {
    /// The platform says that we no longer hear a part. `why` names it and the cure, without a citizen's data.
    pub fn lost(&self, connector: &ConnectorId, part: &str, why: String) {
        let mut state = self.0.lock();
        let known = state.parts.get(part);
        if known.is_some_and(|known| known.why == why) || (known.is_none() && state.parts.len() >= MOST) {
            return;
        }
        warn!(%connector, part, why, "a part of the source is not heard any more");
        let since = Timestamp::now();
        state.parts.insert(part.to_owned(), Part { why, since });
        state.changes += 1;
    }

    /// Something came from a part, or we were let in again.
    pub fn heard(&self, connector: &ConnectorId, part: &str) {
        let mut state = self.0.lock();
        // Nearly always there is nothing.
        if !state.parts.is_empty() && state.parts.remove(part).is_some() {
            info!(%connector, part, "a part of the source is heard again");
            state.changes += 1;
        }
    }

    /// Forgets parts that are not to be heard any more: they were taken out of the settings.
    pub fn retain(&self, mut is_wanted: impl FnMut(&str) -> bool) {
        self.0.lock().retain(|part, _| is_wanted(part));
    }

    /// What is not heard now.
    pub fn told(&self) -> Vec<String> {
        self.0.lock().parts.values().map(|part| part.why.clone()).collect()
    }

    /// How many parts that are.
    pub fn count(&self) -> usize {
        self.0.lock().parts.len()
    }

    /// A number that grows with every change, that of parts told for long enough too.
    pub fn changes(&self) -> u64 {
        let mut state = self.0.lock();
        if !state.parts.is_empty() {
            let now = Timestamp::now();
            state.retain(|_, part| now.duration_since(part.since) < TOLD_FOR);
        }
        state.changes
    }

    /// Everything, for [`Unheard::restore`].
    pub fn written(&self) -> String {
        serde_json::to_string(&self.0.lock().parts).expect("texts and times can be written")
    }

    /// Takes over what an earlier process had [written](Self::written). What is not understood is told again when the
    /// platform says it again.
    pub fn restore(&self, written: &str) {
        let earlier: BTreeMap<String, Part> = serde_json::from_str(written).unwrap_or_default();
        let mut state = self.0.lock();
        for (part, what) in earlier {
            state.parts.entry(part).or_insert(what);
        }
    }
}

impl State {
    fn retain(&mut self, mut keep: impl FnMut(&str, &Part) -> bool) {
        let before = self.parts.len();
        self.parts.retain(|name, part| keep(name, part));
        self.changes += u64::from(self.parts.len() != before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_told_until_it_is_heard() {
        let (unheard, connector) = (Unheard::default(), ConnectorId::new("a"));
        unheard.heard(&connector, "chat 5");
        unheard.lost(&connector, "chat 5", "put out of chat 5".into());
        unheard.lost(&connector, "chat 6", "put out of chat 6".into());
        assert_eq!(unheard.told(), ["put out of chat 5", "put out of chat 6"]);
        unheard.heard(&connector, "chat 5");
        assert_eq!(unheard.told(), ["put out of chat 6"]);
        for chat in 0..2 * MOST {
            unheard.lost(&connector, &chat.to_string(), "put out".into());
        }
        assert_eq!((unheard.told().len(), unheard.count()), (MOST, MOST));
    }

    #[test]
    fn a_process_that_starts_anew_knows_what_was_lost_before() {
        let (before, after, connector) = (Unheard::default(), Unheard::default(), ConnectorId::new("a"));
        assert_eq!((before.changes(), before.written()), (0, "{}".into()));
        before.lost(&connector, "chat 5", "put out of chat 5".into());
        before.lost(&connector, "chat 5", "put out of chat 5".into());
        before.lost(&connector, "chat 6", "put out of chat 6".into());
        assert_eq!(before.changes(), 2);
        after.restore("not ours");
        after.restore(&before.written());
        assert_eq!((after.told(), after.changes()), (before.told(), 0));
        after.retain(|part| part != "chat 5");
        assert_eq!(
            (after.told(), after.changes()),
            (vec!["put out of chat 6".to_owned()], 1)
        );
        after.heard(&connector, "chat 6");
        assert_eq!((after.count(), after.changes()), (0, 2));
    }

    #[test]
    fn what_was_left_on_purpose_is_forgotten_at_last() {
        let day = SignedDuration::from_hours(24);
        let part = |age: SignedDuration| Part {
            why: "put out".into(),
            since: Timestamp::now() - age,
        };
        let parts = BTreeMap::from([("old", part(TOLD_FOR + day)), ("young", part(TOLD_FOR - day))]);
        let unheard = Unheard::default();
        unheard.restore(&serde_json::to_string(&parts).expect("written"));
        assert_eq!((unheard.changes(), unheard.count()), (1, 1));
        assert!(unheard.written().contains("young"));
    }
}
