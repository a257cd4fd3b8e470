//! The stem of a word: what its forms share.

use rust_stemmers::{Algorithm, Stemmer};

/// Words longer than this, in letters, are not stemmed: no Russian word is, and noise should not fill the memory.
const LONGEST_WORD: usize = 40;

/// Snowball stem of a folded word; `None` for what is too long to be a word.
pub(crate) fn stem(word: &str) -> Option<String> {
    if word.chars().nth(LONGEST_WORD).is_some() {
        return None;
    }
    Some(Stemmer::create(Algorithm::Russian).stem(word).into_owned())
}
