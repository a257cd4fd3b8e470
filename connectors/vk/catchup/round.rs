//! The cursor of a catch-up stream: where a round stands and what it still has to read.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use priem_sdk::{ConnectorError, Cursor};
use serde::{Deserialize, Serialize};

use super::{super::communities::Communities, task::Task};

/// A round over all communities. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Round {
    /// Nothing older is ever taken in.
    pub floor: i64,
    /// Everything older was read by earlier rounds, but for the communities in `behind`.
    pub since: i64,
    /// When this round began; `None` between rounds.
    begun: Option<i64>,
    /// When the newest round began.
    pub last_begun: Option<i64>,
    /// Only these communities: they lost events, and the next whole round is not due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    only: Option<BTreeSet<i64>>,
    /// The last community taken up.
    #[serde(default)]
    pub at: i64,
    /// What is still to be read of those taken up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub todo: Vec<Task>,
    /// Communities that could not be read, and since when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    unread: BTreeMap<i64, i64>,
    /// Those of this round.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    still_unread: BTreeMap<i64, i64>,
}

impl Round {
    /// Reads a cursor; an empty one starts at `floor`.
    pub fn read(cursor: &Cursor, floor: i64) -> Result<Self, ConnectorError> {
        if cursor.is_start() {
            return Ok(Self {
                floor,
                since: floor,
                begun: None,
                last_begun: None,
                only: None,
                at: 0,
                todo: Vec::new(),
                unread: BTreeMap::new(),
                still_unread: BTreeMap::new(),
            });
        }
        serde_json::from_str(&cursor.0).map_err(|error| ConnectorError::Misconfigured {
            hint: format!("the stored cursor is not one of catch-up ({error})"),
        })
    }

    /// The cursor to store.
    pub fn write(&self) -> Cursor {
        Cursor(serde_json::to_string(self).expect("numbers, lists and maps with integer keys are JSON"))
    }

    /// Whether no round is under way.
    pub fn is_over(&self) -> bool {
        self.begun.is_none()
    }

    /// Begins a whole round.
    pub fn begin(&mut self, now: i64) {
        self.begun = Some(now);
        self.last_begun = Some(now);
        self.only = None;
        self.at = 0;
    }

    /// Begins a round over a few communities; it moves no horizon.
    pub fn begin_only(&mut self, now: i64, only: BTreeSet<i64>) {
        self.begun = Some(now);
        self.only = Some(only);
        self.at = 0;
    }

    /// Ends the round: after a whole one the next starts where this one began, a little earlier.
    pub fn end(&mut self, overlap: i64) {
        let Some(begun) = self.begun.take() else { return };
        if self.only.take().is_some() {
            self.unread.append(&mut self.still_unread);
            return;
        }
        self.since = (begun - overlap).max(self.floor);
        self.unread = std::mem::take(&mut self.still_unread);
    }

    /// The community after the last one taken up.
    pub fn next_community(&self, communities: &Communities) -> Option<i64> {
        let after = (Bound::Excluded(self.at), Bound::Unbounded);
        let wanted = |id: &i64| self.only.as_ref().is_none_or(|only| only.contains(id));
        communities.range(after).map(|(id, _)| *id).find(wanted)
    }

    /// Since when a community is unread.
    pub fn since_of(&self, group: i64) -> i64 {
        self.unread.get(&group).copied().unwrap_or(self.since)
    }

    /// A community could not be read in this round.
    pub fn behind(&mut self, group: i64) {
        let since = self.since_of(group);
        self.still_unread.insert(group, since);
    }
}
