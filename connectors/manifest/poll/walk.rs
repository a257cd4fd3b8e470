//! Where a walk through the list stands, and where it goes next. Pure: everything needed to go on is in the cursor.
//!
//! Lists shift while they are read. Three answers to that:
//! - records that leave the list when they are acknowledged: the same page is asked again until it brings nothing new,
//!   so that nothing slips under the records that left; a page of records that stay (their acknowledgement was refused)
//!   is passed by;
//! - the list says how many records it holds and that number shrank: as many pages as may have slipped are read again;
//! - everything else: each walk begins at the beginning (or at the mark less its overlap), so what one walk passed by the
//!   next one finds, and what comes twice is recognised by the journal.
//!
//! The mark moves only when a walk has come to its end: a walk that broke off hides nothing.
//!
//! A list whose pages lead back to a page of the same walk has no end. It is noticed with one remembered page that is
//! moved on at growing distances (Brent's way of finding a cycle): the cursor stays small however long the walk.

use std::collections::BTreeSet;

use priem_sdk::Cursor;
use serde::{Deserialize, Serialize};

/// Pages after which a list counts as endless and the walk ends.
pub const MOST_PAGES: u64 = 100_000;
/// Pages that are asked one after another without a pause.
pub const PAGES_IN_A_TURN: u64 = 1000;
/// Names of records kept while one page is asked again and again.
const MOST_SEEN: usize = 4096;

/// A place in the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The beginning.
    #[default]
    Start,
    /// A page by its number, counted from 0 whatever the source counts from.
    Page(u64),
    /// A window by its first record.
    Offset(u64),
    /// Path and query of a page.
    Link(String),
    /// A word of the source.
    Word(String),
}

/// Everything that goes from one poll to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Where to ask next.
    #[serde(default, skip_serializing_if = "is_start")]
    pub place: Place,
    /// Pages asked in this walk.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pages: u64,
    /// Highest mark of the walks that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<i64>,
    /// Highest mark of this walk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<i64>,
    /// Records in all, as the last page of this walk said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Short names of the records this place brought so far.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub seen: BTreeSet<String>,
    /// Ids to acknowledge once this state is stored: those of the page read last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acknowledge: Vec<String>,
    /// A page of this walk, to know it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail: Option<Trail>,
}

/// A page that was passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// Its number in the walk, from 0.
    page: u64,
    /// Hash of what makes it the same page.
    hash: String,
    /// Pages after which another one is remembered.
    reach: u64,
}

impl Trail {
    /// Passes a page: what to remember from now on, or the page it repeats.
    fn pass(before: Option<&Self>, page: u64, hash: String) -> Result<Self, u64> {
        match before {
            Some(known) if known.hash == hash => Err(known.page),
            Some(known) if page < known.page + known.reach => Ok(known.clone()),
            Some(known) => Ok(Self {
                page,
                hash,
                reach: known.reach * 2,
            }),
            None => Ok(Self { page, hash, reach: 1 }),
        }
    }
}

/// What a page leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is kept for the next page or walk.
    pub state: State,
    /// Whether the walk is over.
    pub ended: bool,
    /// Why it is over before the end of the list.
    pub trouble: Option<String>,
}

fn is_start(place: &Place) -> bool {
    *place == Place::Start
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl State {
    /// Reads a cursor; `None` for one that was not written by this code.
    pub fn read(cursor: &Cursor) -> Option<Self> {
        if cursor.is_start() {
            return Some(Self::default());
        }
        serde_json::from_str(&cursor.0).ok()
    }

    /// The cursor. Equal states give equal cursors; the beginning is the empty cursor.
    pub fn write(&self) -> Cursor {
        if *self == Self::default() {
            return Cursor::start();
        }
        Cursor(serde_json::to_string(self).expect("plain data is written as JSON"))
    }
}

/// How pages follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepping {
    /// There is one page.
    Single,
    /// By number.
    Pages,
    /// By the number of records read.
    Offsets,
    /// The answer says.
    Told {
        /// What it said last is kept for the next walk.
        keep: bool,
    },
}

/// What a page brought, as far as walking is concerned.
#[derive(Debug, Clone, Default)]
pub struct Brought {
    /// Short names of its records.
    pub names: BTreeSet<String>,
    /// How many records, doubles included.
    pub records: u64,
    /// The source says that this is the last page; `None` when it does not say.
    pub is_last: Option<bool>,
    /// Records in all.
    pub total: Option<u64>,
    /// Where the next page is.
    pub told: Option<Place>,
    /// Highest mark among the records.
    pub reached: Option<i64>,
    /// Ids to acknowledge.
    pub acknowledge: Vec<String>,
}

/// The rules of one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// How pages follow each other.
    pub stepping: Stepping,
    /// Records in a full page.
    pub page_size: u64,
    /// Acknowledged records leave the list.
    pub drains: bool,
}

impl Walk {
    /// Whether a place is one this list has; another one is left from a manifest that was changed since.
    pub fn has(&self, place: &Place) -> bool {
        matches!(
            (self.stepping, place),
            (_, Place::Start)
                | (Stepping::Pages, Place::Page(_))
                | (Stepping::Offsets, Place::Offset(_))
                | (Stepping::Told { .. }, Place::Link(_) | Place::Word(_))
        )
    }

    /// What follows a page.
    pub fn step(&self, state: &State, brought: Brought) -> Step {
        let reached = state.reached.max(brought.reached);
        let next = self.next(state, &brought);
        let trail = self.trail(state, &brought, next.as_ref().map(|(place, _)| place));
        let mut after = State {
            mark: state.mark,
            acknowledge: brought.acknowledge,
            ..State::default()
        };
        let trouble = match (&next, &trail) {
            (Some(_), Err(page)) => Some(format!(
                "the list has no end: its page {} leads back to its page {}; compare `paging` with what the source answers",
                state.pages + 1,
                page + 1
            )),
            (Some(_), Ok(_)) if state.pages + 1 >= MOST_PAGES => Some(format!(
                "the list has more than {MOST_PAGES} pages; what follows is not read: ask for larger pages, or only for \
                 what is new (`incremental`)"
            )),
            _ => None,
        };
        match (next, trail) {
            (Some((place, seen)), Ok(trail)) if trouble.is_none() => {
                after.total = match place {
                    Place::Page(_) | Place::Offset(_) => brought.total,
                    _ => None,
                };
                after.place = place;
                after.seen = seen;
                after.pages = state.pages + 1;
                after.reached = reached;
                after.trail = trail;
                Step {
                    state: after,
                    ended: false,
                    trouble,
                }
            }
            _ => {
                if trouble.is_none() {
                    after.mark = state.mark.max(reached);
                }
                if let Stepping::Told { keep: true } = self.stepping {
                    after.place = brought.told.unwrap_or_else(|| state.place.clone());
                }
                Step {
                    state: after,
                    ended: true,
                    trouble,
                }
            }
        }
    }

    /// The page to remember after this one, or the page that comes again.
    fn trail(&self, state: &State, brought: &Brought, next: Option<&Place>) -> Result<Option<Trail>, u64> {
        let hash = |parts: &[&[u8]]| {
            let mut hasher = blake3::Hasher::new();
            for part in parts {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
            hasher.finalize().to_hex()[..16].to_owned()
        };
        let (page, hash) = match (self.stepping, next) {
            (_, None) | (Stepping::Single, _) => return Ok(None),
            // Where the next page is makes it the same page.
            (Stepping::Told { .. }, Some(Place::Link(told) | Place::Word(told))) => {
                (state.pages + 1, hash(&[told.as_bytes()]))
            }
            (Stepping::Told { .. }, Some(_)) => return Ok(None),
            // Numbers never come again; what stands on the page does. Pages that drain, or are read again because the
            // list shrank, bring the same records for a reason.
            (Stepping::Pages | Stepping::Offsets, Some(place)) => {
                let goes_on = match (&state.place, place) {
                    (Place::Page(from), Place::Page(to)) | (Place::Offset(from), Place::Offset(to)) => to > from,
                    (Place::Start, _) => true,
                    _ => false,
                };
                if self.drains || !goes_on || brought.names.is_empty() {
                    return Ok(None);
                }
                let names: Vec<&[u8]> = brought.names.iter().map(String::as_bytes).collect();
                (state.pages, hash(&names))
            }
        };
        Trail::pass(state.trail.as_ref(), page, hash).map(Some)
    }

    /// The next place and what is already known of it; `None` at the end.
    fn next(&self, state: &State, brought: &Brought) -> Option<(Place, BTreeSet<String>)> {
        match self.stepping {
            Stepping::Single => None,
            Stepping::Told { .. } => {
                let told = brought.told.clone()?;
                // A source that repeats itself has nothing further.
                (told != state.place && brought.is_last != Some(true)).then(|| (told, BTreeSet::new()))
            }
            Stepping::Pages | Stepping::Offsets => {
                let slipped = match (state.total, brought.total) {
                    (Some(before), Some(now)) if !self.drains => before.saturating_sub(now),
                    _ => 0,
                };
                if slipped > 0 {
                    return Some((self.onward(&state.place, brought.records, slipped), BTreeSet::new()));
                }
                if brought.records == 0 || brought.is_last == Some(true) {
                    return None;
                }
                let is_new = !brought.names.is_subset(&state.seen);
                if self.drains && is_new && state.seen.len() < MOST_SEEN {
                    return Some((
                        self.here(&state.place),
                        state.seen.union(&brought.names).cloned().collect(),
                    ));
                }
                if self.drains {
                    return Some((self.onward(&state.place, brought.records, 0), BTreeSet::new()));
                }
                // The same records as on the page before: the source does not look at the page number.
                is_new.then(|| (self.onward(&state.place, brought.records, 0), brought.names.clone()))
            }
        }
    }

    /// The place by its number.
    fn here(&self, place: &Place) -> Place {
        match (place, self.stepping) {
            (Place::Start, Stepping::Pages) => Place::Page(0),
            (Place::Start, _) => Place::Offset(0),
            (place, _) => place.clone(),
        }
    }

    fn onward(&self, place: &Place, records: u64, slipped: u64) -> Place {
        let at = match place {
            Place::Page(at) | Place::Offset(at) => *at,
            _ => 0,
        };
        match self.stepping {
            Stepping::Pages => Place::Page((at + 1).saturating_sub(match slipped {
                0 => 0,
                // The page before the one just read, at least: what slipped stands at its end.
                slipped => 1 + slipped.div_ceil(self.page_size.max(1)),
            })),
            _ => Place::Offset(match slipped {
                0 => at + records,
                slipped => at.saturating_sub(slipped),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list whose records may leave between two reads.
    struct List {
        rows: Vec<u32>,
        walk: Walk,
        tells_total: bool,
    }

    impl List {
        fn read(&self, place: &Place) -> Brought {
            let size = usize::try_from(self.walk.page_size).expect("small");
            let from = match place {
                Place::Page(page) => usize::try_from(*page).expect("small") * size,
                Place::Offset(offset) => usize::try_from(*offset).expect("small"),
                _ => 0,
            };
            let rows: Vec<u32> = self.rows.iter().skip(from).take(size).copied().collect();
            Brought {
                records: rows.len() as u64,
                names: rows.iter().map(u32::to_string).collect(),
                acknowledge: rows.iter().map(u32::to_string).collect(),
                reached: rows.iter().max().copied().map(i64::from),
                total: self.tells_total.then_some(self.rows.len() as u64),
                ..Brought::default()
            }
        }

        /// Reads to the end of a walk; `meanwhile` happens after each page. What was read.
        fn walk(&mut self, mut meanwhile: impl FnMut(&mut Vec<u32>, &Brought, u64)) -> (BTreeSet<u32>, State) {
            let mut state = State::default();
            let mut read = BTreeSet::new();
            loop {
                let brought = self.read(&state.place);
                read.extend(brought.names.iter().map(|name| name.parse::<u32>().expect("a number")));
                let kept = brought.clone();
                let Step {
                    state: next,
                    ended,
                    trouble,
                } = self.walk.step(&state, brought);
                assert_eq!(trouble, None);
                let again = State::read(&next.write()).expect("a state");
                assert_eq!(again, next, "the cursor holds everything");
                meanwhile(&mut self.rows, &kept, state.pages);
                state = next;
                if ended {
                    return (read, state);
                }
            }
        }
    }

    fn list(stepping: Stepping, drains: bool) -> List {
        let walk = Walk {
            stepping,
            page_size: 10,
            drains,
        };
        List {
            rows: (0..95).collect(),
            walk,
            tells_total: false,
        }
    }

    #[test]
    fn a_quiet_list_is_read_once_and_its_mark_moves_at_the_end() {
        for stepping in [Stepping::Pages, Stepping::Offsets] {
            let mut list = list(stepping, false);
            let (read, state) = list.walk(|_, _, _| {});
            assert_eq!(read.len(), 95);
            assert_eq!(
                (state.mark, state.reached, &state.place),
                (Some(94), None, &Place::Start)
            );
        }
    }

    #[test]
    fn records_that_leave_when_acknowledged_hide_nothing() {
        for stepping in [Stepping::Pages, Stepping::Offsets] {
            let mut list = list(stepping, true);
            // Three in the first page are never accepted, and new ones keep coming at the front for a while.
            let (read, _) = list.walk(|rows, brought, pages| {
                rows.retain(|row| *row % 33 == 3 || !brought.names.contains(&row.to_string()));
                if pages < 5 {
                    rows.insert(0, 1000 + u32::try_from(pages).expect("small"));
                }
            });
            assert_eq!(read.len(), 100, "{read:?}");
            assert_eq!(list.rows, [3, 36, 69]);
        }
    }

    #[test]
    fn pages_are_read_again_when_the_list_says_it_shrank() {
        for stepping in [Stepping::Pages, Stepping::Offsets] {
            let mut list = list(stepping, false);
            list.tells_total = true;
            let (read, _) = list.walk(|rows, _, pages| {
                if pages == 2 {
                    rows.drain(..13);
                }
            });
            assert_eq!(read.len(), 95, "{read:?}");
        }
    }

    #[test]
    fn a_source_that_ignores_the_page_number_is_no_endless_list() {
        let walk = list(Stepping::Pages, false).walk;
        let same = || Brought {
            records: 10,
            names: (0..10).map(|row| row.to_string()).collect(),
            ..Brought::default()
        };
        let Step { state, ended, .. } = walk.step(&State::default(), same());
        assert!(!ended && state.place == Place::Page(1));
        assert!(walk.step(&state, same()).ended);
    }

    /// Pages that lead in a circle of any length end the walk soon, name both pages, and hide nothing behind the mark.
    #[test]
    fn pages_that_lead_back_end_the_walk_and_name_both() {
        for (before, circle) in [(0, 1), (0, 2), (1, 2), (0, 3), (5, 7), (40, 13), (3, 300)] {
            let walk = Walk {
                stepping: Stepping::Told { keep: false },
                page_size: 0,
                drains: false,
            };
            let place = |page: u64| {
                let page = if page < before {
                    page
                } else {
                    before + (page - before) % circle
                };
                Place::Link(format!("/list?page={page}"))
            };
            let mut state = State::default();
            let mut read = 0;
            let step = loop {
                let brought = Brought {
                    told: Some(place(read + 1)),
                    reached: Some(7),
                    ..Brought::default()
                };
                read += 1;
                let step = walk.step(&state, brought);
                if step.ended {
                    break step;
                }
                let cursor = step.state.write();
                assert!(cursor.0.len() < 200, "the cursor stays small");
                state = State::read(&cursor).expect("a state");
            };
            assert!(read <= 4 * (before + circle) + 4, "{before}, {circle}: {read} pages");
            // A page that names itself is the end of the list for sources that know no better.
            if circle > 1 {
                let trouble = step.trouble.expect("told");
                assert!(trouble.contains("leads back to its page"), "{trouble}");
                assert_eq!(step.state.mark, None, "the mark stays");
            }
        }
    }

    #[test]
    fn numbered_pages_that_come_again_end_the_walk() {
        let walk = list(Stepping::Pages, false).walk;
        let page = |number: u64| Brought {
            records: 2,
            names: (0..2).map(|row| format!("{}", (number % 3) * 2 + row)).collect(),
            ..Brought::default()
        };
        let (mut state, mut number) = (State::default(), 0);
        let trouble = loop {
            let step = walk.step(&state, page(number));
            number += 1;
            if step.ended {
                break step.trouble;
            }
            state = step.state;
        };
        assert!(number < 20 && trouble.is_some(), "{number}: {trouble:?}");
    }

    #[test]
    fn a_word_that_is_kept_begins_the_next_walk() {
        let walk = Walk {
            stepping: Stepping::Told { keep: true },
            page_size: 0,
            drains: false,
        };
        let told = |word: &str| Brought {
            told: Some(Place::Word(word.into())),
            ..Brought::default()
        };
        let Step { state, ended, .. } = walk.step(&State::default(), told("a"));
        assert!(!ended);
        let Step { state, ended, trouble } = walk.step(&state, told("a"));
        assert!(ended && trouble.is_none() && state.place == Place::Word("a".into()));
        let Step { state, ended, .. } = walk.step(&state, Brought::default());
        assert!(ended && state.place == Place::Word("a".into()), "silence keeps it too");
    }

    #[test]
    fn a_foreign_cursor_is_none() {
        assert_eq!(State::read(&Cursor("tg:1".into())), None);
        assert_eq!(State::default().write(), Cursor::start());
    }
}
