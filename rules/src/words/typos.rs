//! Words with one letter wrong: missing, superfluous, replaced, or two neighbours swapped.
//!
//! Only for words a rule marks with «~», long ones, and with the first letter right: «переход» is one letter from
//! «перевод», «освещение» from «освящение», and only the author of the rule knows whether that matters.
//!
//! A single mistake leaves either the beginning or the end of a word whole, so words are filed under both; the few
//! found there are compared letter by letter.

use foldhash::HashMap;

/// Fewest letters of a word that may have a typo.
pub(crate) const SHORTEST: usize = 6;

/// A beginning or an end of a word: whether it is an end, and its letters.
type Piece = (bool, Box<str>);

/// Words that are found with a typo, each with what stands for it.
#[derive(Debug)]
pub(crate) struct Typos<T> {
    known: HashMap<Box<str>, T>,
    /// The words that have a piece.
    pieces: HashMap<Piece, Vec<(Box<str>, T)>>,
}

impl<T> Default for Typos<T> {
    fn default() -> Self {
        Self {
            known: HashMap::default(),
            pieces: HashMap::default(),
        }
    }
}

impl<T: Copy + PartialEq> Typos<T> {
    /// Whether no word is filed.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The fact of a word that is filed.
    pub(crate) fn known(&self, word: &str) -> Option<T> {
        self.known.get(word).copied()
    }

    /// Files a word under spellings any of which may have a typo: its stem and itself.
    pub(crate) fn insert(&mut self, word: &str, stem: &str, fact: T) {
        self.known.insert(word.into(), fact);
        let mut spellings = vec![word, stem];
        spellings.dedup();
        for spelling in spellings {
            let length = whole_part(spelling.chars().count());
            for (is_end, piece) in [(false, first(spelling, length)), (true, last(spelling, length))] {
                let words = self.pieces.entry((is_end, piece.into())).or_default();
                words.push((spelling.into(), fact));
            }
        }
    }

    /// Adds the facts of every filed word that `word` may be.
    pub(crate) fn find(&self, word: &str, out: &mut Vec<T>) {
        let letters = word.chars().count();
        let Some(initial) = word.chars().next().filter(|_| letters + 2 >= SHORTEST) else {
            return;
        };
        // The filed word may be one letter shorter, as long, or one letter longer.
        let lengths = [
            whole_part(letters.saturating_sub(1)),
            whole_part(letters),
            whole_part(letters + 1),
        ];
        for (at, &length) in lengths.iter().enumerate() {
            if lengths[..at].contains(&length) {
                continue;
            }
            for key in [(false, first(word, length)), (true, last(word, length))] {
                let Some(filed) = self.pieces.get(&(key.0, Box::from(key.1))) else {
                    continue;
                };
                for (spelling, fact) in filed {
                    let near = spelling.starts_with(initial) && strsim::osa_distance(spelling, word) <= 1;
                    if near && !out.contains(fact) {
                        out.push(*fact);
                    }
                }
            }
        }
    }
}

/// Letters at either end of which one mistake spares one: the letter or two in the middle belong to neither, so that
/// a swap over the middle spares both.
fn whole_part(letters: usize) -> usize {
    letters.saturating_sub(1) / 2
}

fn first(word: &str, letters: usize) -> &str {
    word.char_indices().nth(letters).map_or(word, |(at, _)| &word[..at])
}

fn last(word: &str, letters: usize) -> &str {
    let skipped = word.chars().count().saturating_sub(letters);
    word.char_indices().nth(skipped).map_or("", |(at, _)| &word[at..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn finds(filed: &str, word: &str) -> bool {
        let mut typos = Typos::default();
        typos.insert(filed, filed, 7);
        let mut out = Vec::new();
        typos.find(word, &mut out);
        out == [7]
    }

    #[test]
    fn one_letter_may_be_wrong_and_not_the_first() {
        for word in [
            "поликлиник",
            "поликлинк",
            "полликлиник",
            "палеклиник",
            "поилклиник",
            "поликлникк",
        ] {
            let wanted = strsim::osa_distance("поликлиник", word) <= 1;
            assert_eq!(finds("поликлиник", word), wanted, "{word}");
        }
        assert!(finds("поликлиник", "поликлинник"));
        assert!(!finds("остановка", "установка"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_pieces_miss_no_single_mistake(word in "[а-д]{6,10}", at in 1usize..10, letter in prop::char::range('а', 'д'), how in 0..4) {
            let mut letters: Vec<char> = word.chars().collect();
            let at = at.min(letters.len() - 1);
            match how {
                0 => { letters.remove(at); }
                1 => letters.insert(at, letter),
                2 => letters[at] = letter,
                _ => if at + 1 < letters.len() { letters.swap(at, at + 1) },
            }
            let wrong: String = letters.into_iter().collect();
            prop_assert!(finds(&word, &wrong), "{word} {wrong}");
        }
    }
}
