//! From many clues to one answer: the most trusted clue sets the bounds, the others may only narrow it.
//!
//! Clues come in the order of trust. One that contradicts what is known so far changes nothing. When several territories
//! stay possible, the answer is the smallest one that holds them all; it is told by the clue that first led there.

use priem_message::{PlacePrecision, TerritoryFoundBy as FoundBy};

use super::text::Mention;
use super::{Found, Gazetteer, Id, Sought};

/// Candidates so far, from the most trusted clue on.
#[derive(Clone)]
pub(super) struct Search<'g> {
    gazetteer: &'g Gazetteer,
    best: Vec<Found>,
    answer: Option<Found>,
    precision: PlacePrecision,
}

impl<'g> Search<'g> {
    /// Nothing is known yet.
    pub(super) fn new(gazetteer: &'g Gazetteer) -> Self {
        Self {
            gazetteer,
            best: Vec::new(),
            answer: None,
            precision: PlacePrecision::Unknown,
        }
    }

    /// Takes the next clue, which names one of `ids`. It can narrow what earlier clues said, not contradict it: then it
    /// changes nothing and the answer is no.
    pub(super) fn narrow(&mut self, by: FoundBy, saw: &str, ids: &[Id]) -> bool {
        let clue = |territory: Id| Found {
            territory,
            by,
            saw: saw.to_owned(),
        };
        // A point lies in a city and in its district: the district says it all.
        let is_wider = |id: Id| {
            by == FoundBy::Point
                && ids
                    .iter()
                    .any(|&other| other != id && self.gazetteer.is_inside(other, id))
        };
        let ids: Vec<Id> = ids.iter().copied().filter(|&id| !is_wider(id)).collect();
        if self.best.is_empty() {
            self.best = ids.into_iter().map(clue).collect();
            self.settle();
            return true;
        }
        let mut narrowed: Vec<Found> = Vec::new();
        for earlier in &self.best {
            for &id in &ids {
                let found = if self.gazetteer.is_inside(earlier.territory, id) {
                    earlier.clone()
                } else if self.gazetteer.is_inside(id, earlier.territory) {
                    clue(id)
                } else {
                    continue;
                };
                if !narrowed.iter().any(|known| known.territory == found.territory) {
                    narrowed.push(found);
                }
            }
        }
        let is_consistent = !narrowed.is_empty();
        if is_consistent {
            self.best = narrowed;
            self.settle();
        }
        is_consistent
    }

    /// Takes what one text names. Places that contradict each other are all candidates: «из Мотовилихи в Закамск».
    pub(super) fn narrow_by_text(&mut self, mentions: Vec<Mention>) {
        let mut readings: Vec<Self> = Vec::new();
        for Mention {
            by,
            saw,
            ids,
            precision,
        } in mentions
        {
            let is_taken = ids.is_empty() || readings.iter_mut().any(|reading| reading.narrow(by, &saw, &ids)) || {
                let mut reading = self.clone();
                let is_consistent = reading.narrow(by, &saw, &ids);
                readings.extend(is_consistent.then_some(reading));
                is_consistent
            };
            if is_taken && is_more_exact(precision, self.precision) {
                self.precision = precision;
            }
        }
        if !readings.is_empty() {
            self.best = readings.into_iter().flat_map(|reading| reading.best).collect();
            self.settle();
        }
    }

    /// Keeps the answer and its clue as long as it stays the same.
    fn settle(&mut self) {
        let candidates = self.best.iter().map(|found| found.territory);
        let Some(territory) = self.gazetteer.common(candidates) else {
            self.answer = None;
            return;
        };
        if self.answer.as_ref().is_some_and(|answer| answer.territory == territory) {
            return;
        }
        self.answer = self.best.first().map(|first| Found {
            territory,
            ..first.clone()
        });
    }

    /// The answer; `given` is how exact the fields of the message are.
    pub(super) fn answer(self, given: PlacePrecision) -> Sought {
        Sought {
            found: self.answer,
            precision: is_more_exact(self.precision, given).then_some(self.precision),
        }
    }
}

/// The variants stand from the most exact to the least.
fn is_more_exact(one: PlacePrecision, other: PlacePrecision) -> bool {
    (one as u8) < (other as u8)
}
