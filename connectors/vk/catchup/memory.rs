//! What a running process remembers so as not to ask again: how many comments a post, a thread or a discussion had.
//!
//! Marks count only after the journal has stored what was read with them; until then they wait under their cursor.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::reading::Mark;

/// Marks beyond this are forgotten all together: the next round reads more, nothing else happens.
const MOST_MARKS: usize = 300_000;
/// Marks of unfinished posts wait for the batch that finishes them; this many cursors wait at most.
const MOST_WAITING: usize = 4;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// By community, then by what the mark stands for.
    known: HashMap<i64, HashMap<u64, i64>>,
    count: usize,
    waiting: Vec<(String, Vec<Mark>)>,
}

impl Memory {
    /// Whether nothing was added since the mark was stored.
    pub fn knows(&self, mark: &Mark) -> bool {
        let inner = self.0.lock();
        let of_community = inner.known.get(&mark.group);
        of_community.and_then(|known| known.get(&key(mark))) == Some(&mark.state)
    }

    /// Keeps marks until the journal has stored this cursor.
    pub fn await_commit(&self, cursor: &str, marks: Vec<Mark>) {
        let mut inner = self.0.lock();
        inner.waiting.retain(|(known, _)| known != cursor);
        if inner.waiting.len() >= MOST_WAITING {
            inner.waiting.remove(0);
        }
        if !marks.is_empty() {
            inner.waiting.push((cursor.to_owned(), marks));
        }
    }

    /// The journal has stored this cursor: the tasks its marks stand for are in it and will be done.
    pub fn believe(&self, cursor: &str) {
        let mut inner = self.0.lock();
        let Some(at) = inner.waiting.iter().position(|(known, _)| known == cursor) else {
            return;
        };
        let (_, marks) = inner.waiting.remove(at);
        if inner.count + marks.len() > MOST_MARKS {
            inner.known.clear();
            inner.count = 0;
        }
        for mark in marks {
            let known = inner
                .known
                .entry(mark.group)
                .or_default()
                .insert(key(&mark), mark.state);
            inner.count += usize::from(known.is_none());
        }
    }

    /// Believes nothing any more about a community.
    pub fn forget(&self, group: i64) {
        let mut inner = self.0.lock();
        if let Some(forgotten) = inner.known.remove(&group) {
            inner.count -= forgotten.len();
        }
        for (_, marks) in &mut inner.waiting {
            marks.retain(|mark| mark.group != group);
        }
    }
}

fn key(mark: &Mark) -> u64 {
    let hash = blake3::hash(mark.name.as_bytes());
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_count_after_the_commit_and_not_after_a_gap() {
        let memory = Memory::default();
        let mark = |state| Mark {
            group: 9,
            name: "wall-9_1".into(),
            state,
        };
        memory.await_commit("a", vec![mark(3)]);
        assert!(!memory.knows(&mark(3)));
        memory.believe("another");
        assert!(!memory.knows(&mark(3)));
        memory.believe("a");
        assert!(memory.knows(&mark(3)) && !memory.knows(&mark(4)));
        memory.forget(8);
        assert!(memory.knows(&mark(3)), "another community's gap");
        memory.forget(9);
        assert!(!memory.knows(&mark(3)));
    }
}
