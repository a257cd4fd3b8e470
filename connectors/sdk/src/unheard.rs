//! Parts of a source that we no longer hear, though the source itself answers: a bot put out of a chat, rights taken from
//! it, a connection switched off. The platform says so once; nothing comes from there any more, and nobody would notice.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tracing::{info, warn};

use crate::contract::ConnectorId;

/// Parts that are told one by one; more than that is another trouble.
const MOST: usize = 1000;

/// What one connector no longer hears, by a key of its own.
#[derive(Debug, Default)]
pub struct Unheard(Mutex<BTreeMap<String, String>>);

impl Unheard {
    /// The platform says that we no longer hear a part. `why` names it and the cure, without a citizen's data.
    pub fn lost(&self, connector: &ConnectorId, part: &str, why: String) {
        let mut parts = self.0.lock();
        if parts.get(part) == Some(&why) || (parts.len() >= MOST && !parts.contains_key(part)) {
            return;
        }
        warn!(%connector, part, why, "a part of the source is not heard any more");
        parts.insert(part.to_owned(), why);
    }

    /// Something came from a part, or we were let in again.
    pub fn heard(&self, connector: &ConnectorId, part: &str) {
        let mut parts = self.0.lock();
        // Nearly always there is nothing.
        if !parts.is_empty() && parts.remove(part).is_some() {
            info!(%connector, part, "a part of the source is heard again");
        }
    }

    /// What is not heard now.
    pub fn told(&self) -> Vec<String> {
        self.0.lock().values().cloned().collect()
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
        assert_eq!(unheard.told().len(), MOST);
    }
}
