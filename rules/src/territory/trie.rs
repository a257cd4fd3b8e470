//! Phrases as ways through a tree of numbered words: the longest phrase at a place is found in as many steps as it has
//! words, however many phrases there are.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::HashMap;

use crate::words::{memo::Memo, stem::stem};

/// Number of a word stem.
type Word = u32;
/// Number of a node; 0 is the root.
type Node = u32;

/// Phrases of word stems, each with a list of what it may mean.
#[derive(Debug)]
pub(super) struct Trie<T> {
    words: HashMap<Box<str>, Word>,
    steps: HashMap<(Node, Word), Node>,
    meanings: Vec<Vec<T>>,
    /// Tells the tries of one process apart in the memo.
    serial: u64,
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            words: HashMap::default(),
            steps: HashMap::default(),
            meanings: vec![Vec::new()],
            serial: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl<T> Trie<T> {
    /// Adds a meaning to a phrase of folded words.
    pub(super) fn add(&mut self, phrase: &[String], meaning: T) {
        let mut node: Node = 0;
        for word in phrase {
            let next = count(self.words.len());
            let word = *self.words.entry(stem_or_itself(word).into_boxed_str()).or_insert(next);
            let next = count(self.meanings.len());
            node = *self.steps.entry((node, word)).or_insert(next);
            if node == next {
                self.meanings.push(Vec::new());
            }
        }
        self.meanings[node as usize].push(meaning);
    }

    /// Whether there is no phrase.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Numbers of the words that any phrase has; `None` for the others.
    pub(super) fn number(&self, folded: &str) -> Option<Word> {
        MEMO.with_borrow_mut(|memo| {
            memo.serve(self.serial);
            if let Some(number) = memo.get(folded) {
                return *number;
            }
            let number = self.words.get(stem_or_itself(folded).as_str()).copied();
            memo.keep(folded, number);
            number
        })
    }

    /// The longest phrase that begins here: how many words it has, and what it may mean.
    pub(super) fn longest(&self, words: impl Iterator<Item = Option<Word>>) -> Option<(usize, &[T])> {
        let mut node: Node = 0;
        let mut best = None;
        for (length, word) in (1..).zip(words) {
            let Some(&next) = word.and_then(|word| self.steps.get(&(node, word))) else {
                break;
            };
            node = next;
            let meanings = &self.meanings[node as usize];
            if !meanings.is_empty() {
                best = Some((length, meanings.as_slice()));
            }
        }
        best
    }
}

fn stem_or_itself(folded: &str) -> String {
    stem(folded).unwrap_or_else(|| folded.to_owned())
}

/// Gazetteers of four billion words do not fit memory.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

thread_local! {
    /// Numbers of words.
    static MEMO: RefCell<Memo<Option<Word>>> = RefCell::new(Memo::default());
}
