//! Names of authors, which deliveries may leave out: asked for in batches, remembered, never waited for.
//!
//! Only the application's token can ask. What fails leaves the name empty.

use std::collections::{BTreeSet, HashMap};

use parking_lot::Mutex;
use priem_sdk::{Message, message::AuthorKind};

use super::client::{NAMES_AT_ONCE, Rest};

/// Names remembered; beyond that all are forgotten and asked for again.
const MOST_NAMES: usize = 50_000;

/// Who is called how. `None`: the platform does not say (a deleted account).
#[derive(Debug, Default)]
pub(super) struct Names {
    people: Mutex<HashMap<String, Option<String>>>,
    groups: Mutex<HashMap<String, Option<String>>>,
}

impl Names {
    /// Fills the names that are missing. Cancel-safe: what was learnt stays.
    pub async fn fill(&self, rest: &Rest, messages: &mut [Message]) {
        for (kind, method, known) in [
            (AuthorKind::Person, "users.getInfo", &self.people),
            (AuthorKind::Community, "group.getInfo", &self.groups),
        ] {
            let asked: BTreeSet<String> = messages
                .iter()
                .filter_map(|message| nameless(message, kind))
                .filter(|id| !known.lock().contains_key(*id))
                .map(str::to_owned)
                .collect();
            let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
            for batch in asked.chunks(NAMES_AT_ONCE) {
                let Ok(found) = rest.names(method, batch).await else {
                    break;
                };
                let mut known = known.lock();
                if known.len() > MOST_NAMES {
                    known.clear();
                }
                known.extend(batch.iter().map(|id| ((*id).to_owned(), None)));
                for named in found {
                    if let (Some(id), Some(name)) = (named.uid.text(), named.shown()) {
                        known.insert(id.to_owned(), Some(name));
                    }
                }
            }
            let known = known.lock();
            for message in messages.iter_mut() {
                let name = nameless(message, kind).and_then(|id| known.get(id)?.clone());
                if let Some(name) = name {
                    message.data.author.name = Some(name);
                }
            }
        }
    }
}

/// Id of an author of this kind without a name.
fn nameless(message: &Message, kind: AuthorKind) -> Option<&str> {
    let author = &message.data.author;
    if author.kind != kind || author.name.is_some() {
        return None;
    }
    let id = author.external_id.as_deref()?;
    // Ids go into a list with commas.
    (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())).then_some(id)
}
