//! Which message a key belongs to: in memory, bounded in bytes, rebuilt from the journal at the start.
//!
//! A slot has 8 bytes: 32 bits of the key and what they lead to. It may lead to a wrong message once in a long while, so
//! whoever asks reads what it leads to and compares. In shards, so that growing never takes long; a full shard forgets
//! the older half of what it holds.

/// Shards; a key's top bits choose.
const SHARD_BITS: u32 = 6;
/// Slots of a shard, at most: 64 MiB in all.
const MOST_BITS: u32 = 17;
const LEAST_BITS: u32 = 4;
/// Marks a slot whose entry was taken back. Nothing leads there.
const GONE: u64 = u64::MAX;

/// To what a key leads. Numbers count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A message with its keys.
    Twin(u32),
    /// What was decided about an object.
    Link(u32),
    /// A row that an older version of Priem wrote.
    Old,
}

impl Place {
    /// Numbers above this do not fit.
    pub(super) const MOST: u32 = (1 << 30) - 2;

    fn pack(self) -> u32 {
        match self {
            Self::Twin(number) => number,
            Self::Link(number) => 1 << 30 | number,
            Self::Old => 2 << 30,
        }
    }

    fn unpack(packed: u32) -> Self {
        let number = packed & ((1 << 30) - 1);
        match packed >> 30 {
            0 => Self::Twin(number),
            1 => Self::Link(number),
            _ => Self::Old,
        }
    }
}

/// What is of no use any more.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Floors {
    /// Messages with lower numbers are forgotten.
    pub(super) twin: u32,
    /// Decisions with lower numbers are.
    pub(super) link: u32,
}

impl Floors {
    fn are_below(self, slot: u64) -> bool {
        match place(slot) {
            Place::Twin(number) => number >= self.twin,
            Place::Link(number) => number >= self.link,
            Place::Old => true,
        }
    }
}

/// See the module.
pub(super) struct Index {
    shards: Vec<Shard>,
    most_bits: u32,
    pub(super) floors: Floors,
    /// Whether entries were forgotten before their time, for want of room.
    pub(super) overflowed: bool,
}

#[derive(Clone)]
struct Shard {
    slots: Vec<u64>,
    /// Slots that are not empty, those of entries taken back included.
    taken: usize,
}

impl Index {
    pub(super) fn new() -> Self {
        Self::of_size(MOST_BITS)
    }

    fn of_size(most_bits: u32) -> Self {
        let shard = Shard {
            slots: vec![0; 1 << LEAST_BITS],
            taken: 0,
        };
        Self {
            shards: vec![shard; 1 << SHARD_BITS],
            most_bits,
            floors: Floors::default(),
            overflowed: false,
        }
    }

    /// Places the key may lead to.
    pub(super) fn find(&self, key: u64) -> impl Iterator<Item = Place> {
        let shard = &self.shards[shard_of(key)];
        let print = print(key);
        shard
            .probe(print)
            .map(|at| shard.slots[at])
            .take_while(|slot| *slot != 0)
            .filter(move |slot| *slot != GONE && slot >> 32 == u64::from(print))
            .map(place)
    }

    /// Remembers a place of a key, beside those it has.
    pub(super) fn insert(&mut self, key: u64, place: Place) {
        let (floors, most_bits) = (self.floors, self.most_bits);
        let shard = &mut self.shards[shard_of(key)];
        if (shard.taken + 1) * 4 > shard.slots.len() * 3 {
            self.overflowed |= shard.make_room(floors, most_bits);
        }
        shard.put(u64::from(print(key)) << 32 | u64::from(place.pack()));
    }

    /// Takes back what [`Index::insert`] did.
    pub(super) fn remove(&mut self, key: u64, place: Place) {
        let slot = u64::from(print(key)) << 32 | u64::from(place.pack());
        let shard = &mut self.shards[shard_of(key)];
        let found = shard
            .probe(print(key))
            .take_while(|at| shard.slots[*at] != 0)
            .find(|at| shard.slots[*at] == slot);
        if let Some(at) = found {
            shard.slots[at] = GONE;
        }
    }

    /// Bytes it takes.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.slots.len() * 8).sum()
    }
}

impl Shard {
    /// Slots where an entry may be, in order.
    fn probe(&self, print: u32) -> impl Iterator<Item = usize> + use<> {
        let count = self.slots.len();
        let first = (print >> (32 - count.trailing_zeros())) as usize;
        (first..count).chain(0..first)
    }

    fn put(&mut self, slot: u64) {
        let free = self.probe((slot >> 32) as u32).find(|at| self.slots[*at] == 0);
        self.slots[free.expect("a shard is never full")] = slot;
        self.taken += 1;
    }

    /// Leaves out what is of no use and grows when that is not enough. Says whether something was lost.
    fn make_room(&mut self, floors: Floors, most_bits: u32) -> bool {
        let mut kept: Vec<u64> = self
            .slots
            .iter()
            .copied()
            .filter(|slot| *slot != 0 && *slot != GONE)
            .collect();
        kept.retain(|slot| floors.are_below(*slot));
        let mut count = self.slots.len();
        let mut lost = false;
        if kept.len() * 2 > count {
            if count < 1 << most_bits {
                count *= 2;
            } else {
                // Old ones first, then by number: lower numbers came before.
                let age = |slot: &u64| match place(*slot) {
                    Place::Old => 0,
                    Place::Twin(number) | Place::Link(number) => number,
                };
                let half = kept.len() / 2;
                kept.select_nth_unstable_by_key(half, age);
                kept.drain(..half);
                lost = true;
            }
        }
        self.slots.clear();
        self.slots.resize(count, 0);
        self.taken = 0;
        for slot in kept {
            self.put(slot);
        }
        lost
    }
}

fn shard_of(key: u64) -> usize {
    (key >> (64 - SHARD_BITS)) as usize
}

/// The bits of a key that are kept; the first of them choose the slot.
fn print(key: u64) -> u32 {
    (key >> (32 - SHARD_BITS)) as u32
}

fn place(slot: u64) -> Place {
    Place::unpack(slot as u32)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Spreads a small number over 64 bits.
    fn key(number: u64) -> u64 {
        (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn has(index: &Index, number: u64, place: Place) -> bool {
        index.find(key(number)).any(|found| found == place)
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(steps in proptest::collection::vec((any::<bool>(), 0_u64..400), 1..1500)) {
            let (mut index, mut model) = (Index::new(), HashMap::new());
            for (at, (inserts, number)) in steps.into_iter().enumerate() {
                let at = u32::try_from(at).unwrap() + 1;
                if inserts {
                    let place = if number % 2 == 0 { Place::Twin(at) } else { Place::Link(at) };
                    if let Some(before) = model.insert(number, place) {
                        index.remove(key(number), before);
                    }
                    index.insert(key(number), place);
                } else if let Some(place) = model.remove(&number) {
                    index.remove(key(number), place);
                }
                prop_assert_eq!(index.find(key(number)).next(), model.get(&number).copied());
            }
            for (number, place) in model {
                prop_assert!(has(&index, number, place));
            }
            prop_assert!(!index.overflowed);
        }
    }

    #[test]
    fn stays_within_its_bytes_and_keeps_the_newest() {
        let mut index = Index::of_size(8);
        let count = 100_000;
        for number in 1..=count {
            index.insert(key(number), Place::Twin(u32::try_from(number).unwrap()));
        }
        assert!(index.overflowed);
        assert_eq!(index.bytes(), 8 << (8 + SHARD_BITS));
        let kept = |numbers: std::ops::RangeInclusive<u64>| {
            numbers
                .filter(|number| has(&index, *number, Place::Twin(u32::try_from(*number).unwrap())))
                .count()
        };
        assert_eq!(kept(count - 2_000..=count), 2_001, "the newest");
        assert_eq!(kept(1..=2_000), 0, "the oldest");
    }

    #[test]
    fn what_is_forgotten_makes_room() {
        let mut index = Index::of_size(8);
        for number in 1..=100_000_u32 {
            index.floors.twin = number.saturating_sub(1_000);
            index.insert(key(number.into()), Place::Twin(number));
        }
        assert!(!index.overflowed, "only dead ones went");
    }
}
