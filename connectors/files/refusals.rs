//! Entries of the inbox that are no files of it (links, pipes, second names), on their way out. Thousands of them must
//! not hold up a file, nor cost a listing each:
//!
//! - a page takes many of them, and one look into the folder serves several pages;
//! - looks cost a number of names that grows with the entries, not with their square;
//! - after the entries of one look a file has its turn.

use std::collections::VecDeque;

use super::cursor::Refused;

/// Entries of one page at most; the cursor names them all.
pub const MOST_IN_PAGE: usize = 200;
/// The part of the entries that is told before the folder is looked into again: all looks together then list this many
/// times as many names as there were.
const PART_OF_A_LOOK: usize = 8;

/// Refused entries of the last look that were not told yet.
#[derive(Debug, Default)]
pub struct Refusals {
    waiting: VecDeque<Refused>,
    /// A file has its turn before the next of them.
    file_is_next: bool,
}

impl Refusals {
    /// Takes what a look found, when it is their turn: always when there is no file to read.
    pub fn begin(&mut self, mut found: Vec<Refused>, is_file_ready: bool) {
        self.waiting.clear();
        if std::mem::take(&mut self.file_is_next) && is_file_ready {
            return;
        }
        found.truncate(MOST_IN_PAGE.max(found.len() / PART_OF_A_LOOK));
        self.waiting = found.into();
    }

    /// The next page of them; empty when the folder must be looked into.
    pub fn page(&mut self, most: usize) -> Vec<Refused> {
        let many = self.waiting.len().min(most.clamp(1, MOST_IN_PAGE));
        self.file_is_next |= many > 0;
        self.waiting.drain(..many).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{cursor::Stamp, folder::Refusal};

    fn entries(count: usize) -> Vec<Refused> {
        let entry = |number| Refused {
            file: format!("{number}"),
            stamp: Stamp::default(),
            refusal: Refusal::Link,
        };
        (0..count).map(entry).collect()
    }

    #[test]
    fn the_names_listed_grow_with_the_entries_and_not_with_their_square() {
        for count in [1, 3_000, 100_000] {
            let mut refusals = Refusals::default();
            let (mut left, mut listed, mut pages) = (count, 0, 0);
            while left > 0 {
                listed += left;
                refusals.begin(entries(left), false);
                loop {
                    let told = refusals.page(500).len();
                    if told == 0 {
                        break;
                    }
                    left -= told;
                    pages += 1;
                }
            }
            assert!(listed <= count * (PART_OF_A_LOOK + 1), "{count}: {listed}");
            assert!(pages <= 2 * count / MOST_IN_PAGE + 40, "{count}: {pages}");
        }
    }

    #[test]
    fn a_file_has_its_turn_after_the_entries_of_one_look() {
        let mut refusals = Refusals::default();
        refusals.begin(entries(500), true);
        assert_eq!(refusals.page(500).len(), MOST_IN_PAGE);
        assert!(refusals.page(500).is_empty());
        refusals.begin(entries(300), true);
        assert!(refusals.page(500).is_empty(), "now the file");
        refusals.begin(entries(300), true);
        assert_eq!(refusals.page(7).len(), 7);
    }
}
