//! An ordered list of small conditions, learnt greedily: at each step the word or pair of words that is right most often
//! on what is still undecided, with a few words that rule it out.
//!
//! Deterministic: ties go to the wider support, then to the order of the words.

use super::corpus::{Corpus, Doc, Feature};

/// One step of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// The word or pair that must be there.
    pub(super) word: Feature,
    /// None of these may be there.
    pub(super) none: Vec<Feature>,
    /// Position of the sector.
    pub(super) sector: usize,
}

/// A learnt list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct List {
    pub(super) steps: Vec<Step>,
    /// The commonest sector, for what no step takes.
    pub(super) rest: usize,
}

/// What bounds the growth of a list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limits {
    /// Fewest messages a step decides.
    pub(super) support: usize,
    /// Least share of right decisions, smoothed.
    pub(super) precision: f64,
}

/// Weight of the sector's share among all messages in the smoothed precision, in messages.
const SMOOTHING: f64 = 1.0;
/// Words that may rule a step out.
const MOST_FORBIDDEN: usize = 4;
/// A sector beside the first one of a label counts for a word only when messages that mean it first of all are this many
/// times commoner with the word than without.
const LIFT: f64 = 3.0;

impl Step {
    /// Whether it takes a message.
    pub(super) fn takes(&self, doc: &Doc) -> bool {
        has(doc, self.word) && !self.none.iter().any(|&word| has(doc, word))
    }
}

impl List {
    /// The sector of a message and the step that gave it.
    pub(super) fn decide(&self, doc: &Doc) -> (usize, Option<usize>) {
        match self.steps.iter().position(|step| step.takes(doc)) {
            Some(at) => (self.steps[at].sector, Some(at)),
            None => (self.rest, None),
        }
    }

    /// Share of right decisions, the rest included.
    pub(super) fn accuracy(&self, corpus: &Corpus, docs: &[usize]) -> f64 {
        let right = docs.iter().filter(|&&at| {
            let doc = &corpus.docs[at];
            doc.accepted.contains(&self.decide(doc).0)
        });
        right.count() as f64 / docs.len().max(1) as f64
    }
}

fn has(doc: &Doc, word: Feature) -> bool {
    doc.features.binary_search(&word).is_ok()
}

/// Learns a list from some of the messages.
pub(super) fn learn(corpus: &Corpus, docs: &[usize], limits: Limits) -> List {
    let sectors = corpus.sectors.len();
    let mut first = vec![0usize; sectors];
    docs.iter().for_each(|&at| first[corpus.docs[at].accepted[0]] += 1);
    let share: Vec<f64> = first.iter().map(|&n| n as f64 / docs.len().max(1) as f64).collect();
    let rest = (0..sectors)
        .max_by_key(|&s| (first[s], std::cmp::Reverse(s)))
        .unwrap_or(0);
    let mut left: Vec<usize> = docs.to_vec();
    let mut steps = Vec::new();
    while let Some(mut step) = best(corpus, &left, &share, limits) {
        forbid(corpus, &left, &mut step, limits);
        left.retain(|&at| !step.takes(&corpus.docs[at]));
        steps.push(step);
    }
    List { steps, rest }
}

fn best(corpus: &Corpus, left: &[usize], share: &[f64], limits: Limits) -> Option<Step> {
    let (features, sectors) = (corpus.written.len(), corpus.sectors.len());
    let mut total = vec![0u32; features];
    let mut right = vec![0u32; features * sectors];
    let mut first = vec![0u32; features * sectors];
    for &at in left {
        let doc = &corpus.docs[at];
        for &feature in &doc.features {
            total[feature] += 1;
            first[feature * sectors + doc.accepted[0]] += 1;
            for &sector in &doc.accepted {
                right[feature * sectors + sector] += 1;
            }
        }
    }
    let mut found: Option<(f64, u32, Step)> = None;
    for feature in (0..features).filter(|&feature| total[feature] as usize >= limits.support) {
        let n = f64::from(total[feature]);
        for sector in 0..sectors {
            let (right, first) = (right[feature * sectors + sector], first[feature * sectors + sector]);
            if first < 2 || f64::from(first) < n * 0.5 && f64::from(first) / n < LIFT * share[sector] {
                continue;
            }
            let precision = (f64::from(right) + SMOOTHING * share[sector]) / (n + SMOOTHING);
            let better = found
                .as_ref()
                .is_none_or(|(best, most, _)| precision > *best || precision == *best && right > *most);
            if precision >= limits.precision && better {
                let step = Step {
                    word: feature,
                    none: Vec::new(),
                    sector,
                };
                found = Some((precision, right, step));
            }
        }
    }
    found.map(|(_, _, step)| step)
}

/// Adds words that stand in several wrong decisions and in hardly a right one.
fn forbid(corpus: &Corpus, left: &[usize], step: &mut Step, limits: Limits) {
    while step.none.len() < MOST_FORBIDDEN {
        let mut wrong = vec![0usize; corpus.written.len()];
        let mut right = vec![0usize; corpus.written.len()];
        let mut kept = 0;
        for doc in left.iter().map(|&at| &corpus.docs[at]).filter(|doc| step.takes(doc)) {
            kept += 1;
            let is_right = doc.accepted.contains(&step.sector);
            let counts = if is_right { &mut right } else { &mut wrong };
            doc.features.iter().for_each(|&feature| counts[feature] += 1);
        }
        let gain = |feature: Feature| wrong[feature] as isize - 2 * right[feature] as isize;
        let Some(worst) = (0..wrong.len()).max_by_key(|&feature| (gain(feature), std::cmp::Reverse(feature))) else {
            return;
        };
        let removed = wrong[worst] + right[worst];
        if wrong[worst] < 2 || gain(worst) < 2 || worst == step.word || kept < removed + limits.support {
            return;
        }
        step.none.push(worst);
    }
}
