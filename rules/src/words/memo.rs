//! What was found out about words, remembered per thread. Only speed depends on it: what is remembered is a pure function
//! of the word and of whom it was asked (`serial`).

use foldhash::HashMap;

/// Values of words, for one asker at a time.
#[derive(Debug)]
pub(crate) struct Memo<V> {
    serial: u64,
    words: HashMap<Box<str>, V>,
}

impl<V> Default for Memo<V> {
    fn default() -> Self {
        Self {
            serial: 0,
            words: HashMap::default(),
        }
    }
}

impl<V> Memo<V> {
    /// Words kept before the memo starts over: about 2 MB. Zipf's law fills it with the words that matter at once.
    const CAPACITY: usize = 16_384;
    /// Longest word kept, bytes.
    pub(crate) const LONGEST: usize = 64;

    /// Forgets the words of another asker.
    pub(crate) fn serve(&mut self, serial: u64) {
        if self.serial != serial {
            self.words.clear();
            self.serial = serial;
        }
    }

    /// What is remembered of a word.
    pub(crate) fn get(&self, word: &str) -> Option<&V> {
        self.words.get(word)
    }

    /// Remembers it.
    pub(crate) fn keep(&mut self, word: &str, value: V) {
        if word.len() > Self::LONGEST {
            return;
        }
        if self.words.len() >= Self::CAPACITY {
            self.words.clear();
        }
        self.words.insert(word.into(), value);
    }

    /// The words remembered.
    #[cfg(test)]
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.keys().map(|word| &**word)
    }
}
