//! What is remembered of messages on one matter, and how a message is judged by it.
//!
//! On disk, inside the writer's transaction: [`log`](super::log) (messages and decisions in the order of their coming) and
//! [`clusters`](super::clusters). In memory: an [`Index`] of hashes over the log. A message costs a few look-ups in memory
//! and its part of one row at the end of the log, whatever it repeats and however often that was repeated.
//!
//! Invariants:
//! - an object is judged once, by the first version of it; all its events, and an event that is published again after a
//!   crash, carry the same link. What repeats nothing and left no key behind is not written down: judged again, it
//!   repeats nothing;
//! - what leads a cluster never joins another one;
//! - what a failed commit leaves in memory is taken back.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use rusqlite::Connection;
use tracing::warn;

use super::{
    clusters::Clusters,
    floods::Floods,
    index::{Index, Place},
    link::{Candidate, Link, start_of},
    log::{LINKS, Packed, TWINS, Twin, pack_link, unpack_link},
    old,
};
use crate::journal::{Job, Look, Slices, Sweep, Transaction};

const DAY_MICROSECONDS: i64 = 86_400_000_000;
/// A message is remembered so long at least, however short the window: it may wait for publication and be judged again.
const LEAST_DAYS: i64 = 7;
/// Messages read from disk and held, at most.
const MOST_READ: usize = 4_096;

/// The memory, once it was read.
pub(super) type Shared = Arc<Mutex<Option<Memory>>>;

/// See the module.
pub(super) struct Memory {
    index: Index,
    clusters: Clusters,
    /// Numbers in the index count from here.
    base: i64,
    /// Number of the next message.
    next: i64,
    /// Decisions are kept so long, microseconds.
    keep: i64,
    /// The newest item that an older version may have judged.
    old_until: i64,
    /// Messages read from disk.
    read: HashMap<u32, Arc<Twin>>,
    /// Of the transaction under way: messages to be remembered and decisions, in order.
    twins: Vec<(u32, i64, Arc<Twin>)>,
    links: Vec<Packed>,
    /// What it added to the index.
    added: Vec<(u64, Place)>,
    warned: bool,
}

/// What owns a key.
enum Owner {
    Twin(Arc<Twin>),
    Old(old::Owner),
}

impl Memory {
    /// Reads what the journal keeps. `days`: how long decisions are kept.
    pub(super) fn load(connection: &Connection, now: i64, days: u32) -> rusqlite::Result<Self> {
        let firsts = [TWINS.first(connection)?, LINKS.first(connection)?];
        let lasts = [TWINS.last(connection)?, LINKS.last(connection)?];
        let mut memory = Self {
            index: Index::new(),
            clusters: Clusters::default(),
            base: firsts.into_iter().flatten().min().map_or(0, |first| first - 1),
            next: lasts.into_iter().flatten().max().unwrap_or(0) + 1,
            keep: i64::from(days) * DAY_MICROSECONDS,
            old_until: old::newest(connection)?,
            read: HashMap::new(),
            twins: Vec::new(),
            links: Vec::new(),
            added: Vec::new(),
            warned: false,
        };
        let (index, base) = (&mut memory.index, memory.base);
        let short = |number: i64| u32::try_from(number - base).unwrap_or(Place::MOST);
        old::keys(connection, now, |key| index.insert(key, Place::Old))?;
        LINKS.each(connection, |number, bytes| {
            if let Some((object, _)) = unpack_link(bytes) {
                index.insert(object, Place::Link(short(number)));
            }
        })?;
        TWINS.each(connection, |number, bytes| {
            if let Some(twin) = Twin::unpack(bytes) {
                let object = Some(twin.object).filter(|object| *object != 0);
                for key in object.into_iter().chain(twin.keys) {
                    index.insert(key, Place::Twin(short(number)));
                }
            }
        })?;
        Ok(memory)
    }

    /// Finds the links of messages, in their order, and remembers them.
    fn judge_all(&mut self, connection: &Connection, candidates: &[Candidate]) -> rusqlite::Result<Vec<Option<Link>>> {
        // Others of the same transaction may have been here before.
        let (twins_before, links_before) = (self.twins.len(), self.links.len());
        let mut found = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            found.push(self.judge(connection, candidate)?);
        }
        let twins: Vec<Packed> = self.twins[twins_before..]
            .iter()
            .map(|(number, until, twin)| Packed {
                number: self.base + i64::from(*number),
                until: *until,
                bytes: twin.pack(),
            })
            .collect();
        TWINS.append(connection, &twins)?;
        LINKS.append(connection, &self.links[links_before..])?;
        self.clusters.write(connection)?;
        Ok(found)
    }

    fn judge(&mut self, connection: &Connection, candidate: &Candidate) -> rusqlite::Result<Option<Link>> {
        if let Some(decided) = self.decided(connection, candidate)? {
            return Ok(decided);
        }
        let Some(keys) = candidate.keys.as_ref().filter(|_| !candidate.came_before) else {
            return Ok(None);
        };
        let number = u32::try_from(self.next - self.base).unwrap_or(Place::MOST);
        self.next += 1;
        let mut link = None;
        for key in keys {
            if let Some(owner) = self.owner(connection, key.sought, candidate.at)? {
                let (of, cluster) = match &owner {
                    Owner::Twin(twin) => (twin.event, twin.cluster),
                    Owner::Old(owner) => (owner.event, owner.cluster),
                };
                let before = || match &owner {
                    Owner::Twin(twin) => Ok(vec![twin.channel.clone()]),
                    Owner::Old(owner) => old::channels(connection, &owner.cluster),
                };
                let clusters = &mut self.clusters;
                link = Some(Link {
                    channels: clusters.join(connection, cluster, &candidate.channel, candidate.at, before)?,
                    cluster,
                    of,
                    reason: key.reason,
                });
                break;
            }
        }
        let mut new_keys = Vec::new();
        for key in keys {
            if !new_keys.contains(&key.own) && self.owner(connection, key.own, candidate.at)?.is_none() {
                new_keys.push(key.own);
            }
        }
        self.remember(number, candidate, link.as_ref(), new_keys);
        Ok(link)
    }

    fn remember(&mut self, number: u32, candidate: &Candidate, link: Option<&Link>, keys: Vec<u64>) {
        let object = start_of(&candidate.object);
        if let Some(link) = link {
            self.links.push(Packed {
                number: self.base + i64::from(number),
                until: candidate.at.saturating_add(self.keep),
                bytes: pack_link(object, link),
            });
            self.add(object, Place::Link(number));
        }
        let has_keys = candidate.keys.as_ref().is_some_and(|keys| !keys.is_empty());
        if keys.is_empty() && (link.is_some() || !has_keys) {
            return;
        }
        let least = candidate.at.saturating_add(LEAST_DAYS * DAY_MICROSECONDS);
        for key in &keys {
            self.add(*key, Place::Twin(number));
        }
        if link.is_none() {
            self.add(object, Place::Twin(number));
        }
        let twin = Twin {
            object: if link.is_none() { object } else { 0 },
            event: candidate.event_id,
            cluster: link.map_or(candidate.event_id, |link| link.cluster),
            until: candidate.until,
            channel: candidate.channel.clone(),
            keys,
        };
        self.twins.push((number, candidate.until.max(least), Arc::new(twin)));
    }

    fn add(&mut self, key: u64, place: Place) {
        self.index.insert(key, place);
        self.added.push((key, place));
    }

    /// What was decided about an object: `Some(None)` when it repeats nothing.
    fn decided(&mut self, connection: &Connection, candidate: &Candidate) -> rusqlite::Result<Option<Option<Link>>> {
        let object = start_of(&candidate.object);
        let places: Vec<Place> = self.index.find(object).collect();
        for place in places {
            match place {
                Place::Link(number) => {
                    if let Some((found, link)) = self.link(connection, number)?
                        && found == object
                    {
                        return Ok(Some(Some(link)));
                    }
                }
                Place::Twin(number) => {
                    if self.twin(connection, number)?.is_some_and(|twin| twin.object == object) {
                        return Ok(Some(None));
                    }
                }
                Place::Old => {}
            }
        }
        if self.old_until > 0 && (candidate.came_before || candidate.seq <= self.old_until) {
            return old::decided(connection, &candidate.object);
        }
        Ok(None)
    }

    fn owner(&mut self, connection: &Connection, key: u64, at: i64) -> rusqlite::Result<Option<Owner>> {
        let places: Vec<Place> = self.index.find(key).collect();
        for place in places {
            match place {
                Place::Twin(number) => {
                    if let Some(twin) = self.twin(connection, number)?
                        && twin.until >= at
                        && twin.keys.contains(&key)
                    {
                        return Ok(Some(Owner::Twin(twin)));
                    }
                }
                Place::Old => {
                    if let Some(owner) = old::owner(connection, key, at)? {
                        return Ok(Some(Owner::Old(owner)));
                    }
                }
                Place::Link(_) => {}
            }
        }
        Ok(None)
    }

    fn twin(&mut self, connection: &Connection, number: u32) -> rusqlite::Result<Option<Arc<Twin>>> {
        if let Ok(at) = self.twins.binary_search_by_key(&number, |(number, ..)| *number) {
            return Ok(Some(Arc::clone(&self.twins[at].2)));
        }
        if let Some(twin) = self.read.get(&number) {
            return Ok(Some(Arc::clone(twin)));
        }
        let bytes = TWINS.find(connection, self.base + i64::from(number))?;
        let twin = bytes.as_deref().and_then(Twin::unpack).map(Arc::new);
        if let Some(twin) = &twin {
            if self.read.len() >= MOST_READ {
                self.read.clear();
            }
            self.read.insert(number, Arc::clone(twin));
        }
        Ok(twin)
    }

    fn link(&self, connection: &Connection, number: u32) -> rusqlite::Result<Option<(u64, Link)>> {
        let number = self.base + i64::from(number);
        let fresh = self.links.binary_search_by_key(&number, |link| link.number);
        let bytes = match fresh {
            Ok(at) => Some(self.links[at].bytes.clone()),
            Err(_) => LINKS.find(connection, number)?,
        };
        Ok(bytes.as_deref().and_then(unpack_link))
    }

    /// What the transaction added is on disk, or was taken back.
    fn ended(&mut self, committed: bool) {
        if !committed {
            for (key, place) in self.added.drain(..) {
                self.index.remove(key, place);
            }
            // They may hold what was read of the transaction.
            self.read.clear();
            self.clusters.clear();
        }
        self.added.clear();
        self.twins.clear();
        self.links.clear();
        if self.index.overflowed && !self.warned {
            self.warned = true;
            warn!(
                "more messages than duplicates are looked for among; the oldest are forgotten before duplicates.window_days"
            );
        }
    }

    /// Whether `more` messages do not fit into its numbers: it must be read again, which counts from the oldest one kept.
    pub(super) fn is_spent(&self, more: usize) -> bool {
        let used = self.next - self.base;
        used.saturating_add(i64::try_from(more).unwrap_or(i64::MAX)) > i64::from(Place::MOST)
    }

    /// Numbers that are not kept any more.
    fn forget_below(&mut self, twin: Option<i64>, link: Option<i64>) {
        let short = |number: Option<i64>| u32::try_from(number.unwrap_or(self.next) - self.base).unwrap_or(0);
        self.index.floors.twin = short(twin);
        self.index.floors.link = short(link);
    }
}

/// Reads the memory.
pub(super) struct Load {
    pub(super) now: i64,
    pub(super) days: u32,
}

impl Look for Load {
    type Answer = Memory;

    fn look(&self, reader: &Connection) -> rusqlite::Result<Memory> {
        Memory::load(reader, self.now, self.days)
    }
}

/// What each of some messages repeats, in their order. Asked again, the answer is the same.
pub(super) struct Find {
    pub(super) candidates: Vec<Candidate>,
    pub(super) memory: Shared,
}

impl Job for Find {
    type Answer = Vec<Option<Link>>;

    const NAME: &'static str = "look for duplicates";

    fn weight(&self) -> usize {
        self.candidates.len()
    }

    fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<Self::Answer> {
        let mut memory = self.memory.lock();
        let Some(memory) = &mut *memory else {
            return Ok(vec![None; self.candidates.len()]);
        };
        memory.judge_all(transaction.connection(), &self.candidates)
    }

    fn ended(&mut self, committed: bool) {
        if let Some(memory) = &mut *self.memory.lock() {
            memory.ended(committed);
        }
    }
}

/// Forgets messages after their window, decisions and clusters after `days`; ends floods.
pub(super) struct Forget {
    days: u32,
    memory: Shared,
    floods: Arc<Mutex<Floods>>,
    clusters: Slices,
    old_keys: Slices,
    old_kin: Slices,
}

impl Forget {
    pub(super) fn after(days: u32, memory: Shared, floods: Arc<Mutex<Floods>>) -> Self {
        Self {
            days,
            memory,
            floods,
            clusters: Slices::new("cluster", "event_id", "last_at"),
            old_keys: Slices::new("likeness", "key", "until"),
            old_kin: Slices::new("kin", "object", "at"),
        }
    }
}

impl Sweep for Forget {
    fn sweep(&mut self, connection: &Connection, now: i64) -> rusqlite::Result<()> {
        self.floods.lock().calm(now);
        let before = now - i64::from(self.days) * DAY_MICROSECONDS;
        TWINS.forget(connection, now)?;
        LINKS.forget(connection, now)?;
        self.clusters.forget(connection, before)?;
        self.old_keys.forget(connection, now)?;
        self.old_kin.forget(connection, before)?;
        if let Some(memory) = &mut *self.memory.lock() {
            memory.forget_below(TWINS.first(connection)?, LINKS.first(connection)?);
        }
        Ok(())
    }

    fn give_up(&mut self, connection: &Connection) -> rusqlite::Result<Option<usize>> {
        for old in [&mut self.old_keys, &mut self.old_kin] {
            if let Some(removed) = old.give_up(connection, i64::MAX)? {
                return Ok(Some(removed));
            }
        }
        let removed = TWINS.forget(connection, i64::MAX)? + LINKS.forget(connection, i64::MAX)?;
        if let Some(memory) = &mut *self.memory.lock() {
            memory.forget_below(TWINS.first(connection)?, LINKS.first(connection)?);
        }
        if removed > 0 {
            return Ok(Some(removed));
        }
        self.clusters.give_up(connection, i64::MAX)
    }
}

#[cfg(test)]
mod tests;
