//! Groups of digits in a text, and cutting pieces out of it.

use std::ops::Range;

/// Consecutive ASCII digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    /// First byte.
    pub(super) start: usize,
    /// Byte after the last.
    pub(super) end: usize,
}

impl Group {
    pub(super) fn len(self) -> usize {
        self.end - self.start
    }
}

/// All groups of digits; empty, at the cost of one look at the text, when it holds fewer than `least` digits.
pub(super) fn groups(text: &str, least: usize) -> Vec<Group> {
    let bytes = text.as_bytes();
    // Counting all of them is one run of vector instructions; stopping early would not be.
    if bytes.iter().filter(|byte| byte.is_ascii_digit()).count() < least {
        return Vec::new();
    }
    let mut groups = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && bytes[at].is_ascii_digit() {
            at += 1;
        }
        groups.push(Group { start, end: at });
    }
    groups
}

/// Digits of consecutive groups, without what stands between.
pub(super) fn digits(text: &str, groups: &[Group]) -> Vec<u8> {
    let bytes = text.as_bytes();
    let own = groups.iter().flat_map(|group| &bytes[group.start..group.end]);
    own.map(|digit| digit - b'0').collect()
}

/// Up to `characters` characters before a place, not further back than `floor`, in lower case with `е` for `ё`.
pub(super) fn before(text: &str, at: usize, characters: usize, floor: usize) -> String {
    let part = &text[floor.min(at)..at];
    let from = part
        .char_indices()
        .rev()
        .nth(characters.saturating_sub(1))
        .map_or(0, |(index, _)| index);
    part[from..].to_lowercase().replace('ё', "е")
}

/// Up to `characters` characters after a place, in lower case with `е` for `ё`.
pub(super) fn after(text: &str, at: usize, characters: usize) -> String {
    let part: String = text[at..].chars().take(characters).collect();
    part.to_lowercase().replace('ё', "е")
}

/// The text with each range, in order and apart, replaced by its words.
pub(super) fn replace(text: &str, cuts: &[(Range<usize>, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, words) in cuts {
        out.push_str(&text[at..range.start]);
        out.push_str(words);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}
