//! Finds the few conditions a message could fulfil, without looking at the others.
//!
//! Every condition is filed under facts one of which must hold for it to hold: of all such sets the one that the
//! fewest other conditions share. A condition without such a set («текст не содержит …») is looked at always.

use foldhash::HashMap;

use crate::engine::condition::Condition;
use crate::engine::facts::Facts;
use crate::engine::term::Term;
use crate::engine::vocabulary::FactId;

/// An index over a list of conditions; answers with positions in that list.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Facts, ascending, each with where its positions begin in `filed`; they end where those of the next one begin. Half
    /// the size of a map, and the few dozen facts of a message are found in it as fast.
    starts: Vec<(FactId, u32)>,
    filed: Vec<u32>,
    always: Vec<u32>,
}

impl Index {
    /// Files conditions; `None` always holds.
    pub(crate) fn build<'a>(conditions: impl Iterator<Item = Option<&'a Condition>> + Clone) -> Self {
        let mut uses: HashMap<FactId, usize> = HashMap::default();
        for condition in conditions.clone().flatten() {
            count_uses(condition, &mut uses);
        }
        let mut index = Self::default();
        let mut entries: Vec<(FactId, u32)> = Vec::new();
        for (position, condition) in (0u32..).zip(conditions) {
            match condition.and_then(|condition| anchor(condition, &uses)) {
                Some(anchor) => entries.extend(anchor.facts.into_iter().map(|fact| (fact, position))),
                None => index.always.push(position),
            }
        }
        entries.sort_unstable();
        entries.dedup();
        index.filed.reserve_exact(entries.len());
        for group in entries.chunk_by(|a, b| a.0 == b.0) {
            index.starts.push((group[0].0, count(&index.filed)));
            index.filed.extend(group.iter().map(|(_, position)| position));
        }
        index.starts.shrink_to_fit();
        index
    }

    /// Positions of every condition that may hold, ascending, each once. What is not among them does not hold.
    pub(crate) fn candidates(&self, facts: &Facts<'_>) -> Vec<u32> {
        let mut found = self.always.clone();
        if !self.starts.is_empty() {
            for fact in facts.distinct() {
                found.extend_from_slice(self.filed_under(fact));
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Index {
    fn filed_under(&self, fact: FactId) -> &[u32] {
        let Ok(at) = self.starts.binary_search_by_key(&fact, |(known, _)| *known) else {
            return &[];
        };
        let start = self.starts[at].1 as usize;
        let end = self
            .starts
            .get(at + 1)
            .map_or(self.filed.len(), |(_, next)| *next as usize);
        &self.filed[start..end]
    }
}

/// Rule sets of four billion entries do not fit memory.
fn count(list: &[u32]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

fn count_uses(condition: &Condition, uses: &mut HashMap<FactId, usize>) {
    let mut add = |facts: &[FactId]| {
        for &fact in facts {
            *uses.entry(fact).or_default() += 1;
        }
    };
    match condition {
        Condition::Is(test) => add(&test.wanted),
        Condition::Text(terms) => terms.iter().flat_map(Term::needs).for_each(add),
        Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| count_uses(part, uses)),
        Condition::Not(_) | Condition::Today(_) | Condition::Context(_) => {}
    }
}

/// Facts one of which must hold, and how many conditions use them.
struct Anchor {
    facts: Vec<FactId>,
    cost: usize,
}

fn anchor(condition: &Condition, uses: &HashMap<FactId, usize>) -> Option<Anchor> {
    let priced = |facts: &[FactId]| Anchor {
        cost: facts.iter().map(|fact| uses.get(fact).copied().unwrap_or(0)).sum(),
        facts: facts.to_vec(),
    };
    match condition {
        Condition::Is(test) => Some(priced(&test.wanted)),
        Condition::Text(terms) => union(
            terms
                .iter()
                .map(|term| term.needs().map(priced).min_by_key(|anchor| anchor.cost)),
        ),
        Condition::All(parts) => parts
            .iter()
            .filter_map(|part| anchor(part, uses))
            .min_by_key(|anchor| anchor.cost),
        Condition::Any(parts) => union(parts.iter().map(|part| anchor(part, uses))),
        Condition::Not(_) | Condition::Today(_) | Condition::Context(_) => None,
    }
}

/// One of several may hold, so all their facts are needed.
fn union(anchors: impl Iterator<Item = Option<Anchor>>) -> Option<Anchor> {
    let mut all = Anchor {
        facts: Vec::new(),
        cost: 0,
    };
    for anchor in anchors {
        let anchor = anchor?;
        all.facts.extend(anchor.facts);
        all.cost += anchor.cost;
    }
    Some(all)
}
