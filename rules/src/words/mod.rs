//! Words of a text as rules and territories compare them: one spelling (`spelling`, `normal`), stems, words with one
//! letter wrong (`typos`), phrases as rule files write them (`phrase`), text typed with the wrong keyboard layout (`layout`).
//!
//! The lowest room: knows neither messages nor rules.

pub(crate) mod layout;
pub(crate) mod memo;
pub(crate) mod normal;
pub(crate) mod phrase;
pub mod spelling;
pub(crate) mod stem;
pub(crate) mod typos;

/// Calls `visit` with the stem and the written form of every word of a text, as rules see them. Words too long to be one
/// are left out.
pub(crate) fn each_word(text: &str, mut visit: impl FnMut(&str, &str)) {
    normal::for_each_word(text, |word, span| {
        if let Some(stem) = stem::stem(word) {
            visit(&stem, &text[span.start..span.end]);
        }
    });
}
