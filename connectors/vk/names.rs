//! Names of authors: VK's events carry only ids.
//!
//! Asked for in batches, cached, best effort: an empty name is no trouble. Any community's key may ask about anybody, so
//! the work goes round among the keys and no single one carries it. No lock is held while VK is asked, so a dropped
//! future leaves nothing behind.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use priem_sdk::Message;
use tracing::debug;

use super::{
    api::{Group, Groups, User},
    client::{Call, Client, Trouble},
    token::Token,
};

/// Ids in one call: VK takes 1 000 people and 500 communities.
const MOST_IDS: usize = 500;
/// Names kept in each of the two generations.
const GENERATION: usize = 20_000;
/// A generation is replaced after this time: people change their names.
const GENERATION_AGE: Duration = Duration::from_secs(24 * 3600);
/// Keys tried for one batch.
const MOST_KEYS: usize = 3;

/// A name; everything empty when VK knows none (a deleted page).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Name {
    name: Option<String>,
    username: Option<String>,
}

/// Two generations: the older one goes when the younger is full or old.
#[derive(Debug)]
struct Cache {
    young: HashMap<i64, Name>,
    old: HashMap<i64, Name>,
    since: Instant,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Names {
    tokens: Vec<Arc<Token>>,
    turn: AtomicUsize,
    cache: Mutex<Cache>,
}

impl Cache {
    fn get(&self, id: i64) -> Option<&Name> {
        self.young.get(&id).or_else(|| self.old.get(&id))
    }

    fn insert(&mut self, id: i64, name: Name) {
        if self.young.len() >= GENERATION || self.since.elapsed() > GENERATION_AGE {
            self.old = std::mem::take(&mut self.young);
            self.since = Instant::now();
        }
        self.young.insert(id, name);
    }
}

impl Names {
    /// `tokens` take turns.
    pub fn new(tokens: Vec<Arc<Token>>) -> Self {
        Self {
            tokens,
            turn: AtomicUsize::new(0),
            cache: Mutex::new(Cache {
                young: HashMap::new(),
                old: HashMap::new(),
                since: Instant::now(),
            }),
        }
    }

    /// Whether there is anybody to ask.
    pub fn can_ask(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Fills the names that are missing, from the cache and from VK.
    pub async fn fill(&self, client: &Client, messages: &mut [Message]) {
        let unknown: BTreeSet<i64> = {
            let cache = self.cache.lock();
            messages
                .iter()
                .filter_map(nameless)
                .filter(|id| cache.get(*id).is_none())
                .collect()
        };
        let people: Vec<i64> = unknown.iter().copied().filter(|id| *id > 0).collect();
        let communities: Vec<i64> = unknown.iter().copied().filter(|id| *id < 0).collect();
        for ids in people.chunks(MOST_IDS) {
            self.learn(
                client,
                ids,
                Call::new(
                    "users.get",
                    [("user_ids", joined(ids)), ("fields", "screen_name".into())],
                ),
            )
            .await;
        }
        for ids in communities.chunks(MOST_IDS) {
            self.learn(client, ids, Call::new("groups.getById", [("group_ids", joined(ids))]))
                .await;
        }
        let cache = self.cache.lock();
        for message in messages {
            if let Some(known) = nameless(message).and_then(|id| cache.get(id)) {
                message.data.author.name.clone_from(&known.name);
                message.data.author.username.clone_from(&known.username);
            }
        }
    }

    async fn learn(&self, client: &Client, ids: &[i64], call: Call) {
        for _ in 0..MOST_KEYS.min(self.tokens.len()) {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.tokens.len();
            match ask(client, &self.tokens[turn], &call).await {
                Ok(mut found) => {
                    let mut cache = self.cache.lock();
                    for id in ids {
                        // Whom VK does not name is not asked for again.
                        cache.insert(*id, found.remove(id).unwrap_or_default());
                    }
                    return;
                }
                // Another key may still be good; trouble on the line is everybody's.
                Err(Trouble::Refused { error, .. }) => debug!(code = error.code, "names were refused"),
                Err(Trouble::Decision(error)) => {
                    debug!(%error, "names can't be asked for");
                    return;
                }
            }
        }
    }
}

/// The author's id, when the name is missing.
fn nameless(message: &Message) -> Option<i64> {
    let author = &message.data.author;
    if author.name.is_some() {
        return None;
    }
    author
        .external_id
        .as_deref()?
        .parse()
        .ok()
        .filter(|id| *id != 0 && *id != i64::MIN)
}

fn joined(ids: &[i64]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| id.unsigned_abs().to_string()).collect();
    ids.join(",")
}

async fn ask(client: &Client, token: &Token, call: &Call) -> Result<HashMap<i64, Name>, Trouble> {
    if call.method == "users.get" {
        let users: Vec<User> = client.call(token, call).await?;
        return Ok(users.into_iter().map(|user| (user.id, person(user))).collect());
    }
    let groups: Groups = client.call(token, call).await?;
    Ok(groups
        .into_list()
        .into_iter()
        .map(|group| (-group.id, community(group)))
        .collect())
}

fn person(user: User) -> Name {
    if user.deactivated.is_some() {
        return Name::default();
    }
    let name = format!("{} {}", user.first_name, user.last_name);
    let name = name.trim();
    Name {
        name: (!name.is_empty()).then(|| name.to_owned()),
        username: user.screen_name.filter(|screen| *screen != format!("id{}", user.id)),
    }
}

fn community(group: Group) -> Name {
    let plain = [format!("club{}", group.id), format!("public{}", group.id)];
    Name {
        name: (!group.name.is_empty()).then_some(group.name),
        username: group.screen_name.filter(|screen| !plain.contains(screen)),
    }
}
