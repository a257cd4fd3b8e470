//! A compiled rule set: what the files say, ready to decide.

use crate::clock::calendar::Calendar;
use crate::clock::deadline::Zone;
use crate::engine::index::Index;
use crate::engine::model::{ClassifyRule, DeadlineRule, Head, Route, Sectors, collect_heads};
use crate::engine::vocabulary::Vocabulary;

/// Everything a rule set is made of.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// The first digits of the hash over names and texts of the files.
    pub(crate) version: String,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) sectors: Sectors,
    pub(crate) zone: Zone,
    pub(crate) calendar: Calendar,
    pub(crate) classify: Vec<ClassifyRule>,
    pub(crate) classify_index: Index,
    pub(crate) route: Route,
    pub(crate) deadlines: Vec<DeadlineRule>,
    pub(crate) deadline_index: Index,
}

impl Compiled {
    /// Russian name of a sector; the id itself when the files declare none.
    pub(crate) fn sector_name<'a>(&'a self, id: &'a str) -> &'a str {
        let mut sectors = self.sectors.iter();
        sectors.find(|(known, _)| known == id).map_or(id, |(_, name)| name)
    }

    /// Heads of all rules, routes (of a table instead of its rows) and deadlines, in the order of the files.
    pub(crate) fn heads(&self) -> Vec<&Head> {
        let mut heads: Vec<&Head> = self.classify.iter().map(|rule| &rule.head).collect();
        collect_heads(&self.route, &mut |head| heads.push(head));
        heads.extend(self.deadlines.iter().map(|rule| &rule.head));
        heads
    }
}
