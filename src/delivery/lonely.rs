//! Parts without words that have gone alone and are not settled yet, or were a moment ago: words that come late look here.
//!
//! Bounded, and lost with the process: what is settled is found in the journal.

use std::collections::HashMap;

use priem_sdk::{contract::ConnectorId, message::Routing};

/// Parts remembered, at most; then all are forgotten.
const MOST: usize = 8_192;
/// How long words are waited for, in seconds.
const SECONDS: i64 = 3_600;

/// A conversation of a connector.
pub(super) type Place = (ConnectorId, String);

/// See the module.
#[derive(Default)]
pub(super) struct Lonely {
    parts: HashMap<Place, Vec<Part>>,
    count: usize,
}

struct Part {
    seq: i64,
    /// Seconds since 1970.
    at: i64,
    went: Routing,
}

impl Lonely {
    /// A part goes alone.
    pub(super) fn note(&mut self, place: Place, seq: i64, at: i64, went: Routing) {
        if self.count >= MOST {
            *self = Self::default();
        }
        let parts = self.parts.entry(place).or_default();
        let before = parts.len();
        parts.retain(|part| part.seq != seq && at - part.at < SECONDS);
        parts.push(Part { seq, at, went });
        self.count = self.count + parts.len() - before;
    }

    /// Whether a conversation has some.
    pub(super) fn knows(&self, place: &Place) -> bool {
        self.parts.contains_key(place)
    }

    /// Where a part went.
    pub(super) fn went(&self, place: &Place, seq: i64) -> Option<&Routing> {
        let part = self.parts.get(place)?.iter().find(|part| part.seq == seq)?;
        Some(&part.went)
    }
}
