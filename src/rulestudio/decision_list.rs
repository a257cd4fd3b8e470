//! An ordered list of small conditions: words and pairs of words, the strongest evidence first, with a few words that
//! rule a step out.
//!
//! Evidence is how much a word raises the odds of a sector over its share among all messages, counted on all of the
//! learning part: counting only on what earlier steps left was measurably worse on a few hundred messages.
//!
//! Deterministic: ties go to the order of the words.

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
    /// Weight of the sector's share among all messages in the smoothed precision of a word, in messages.
    pub(super) smoothing: f64,
}

/// Least share of right decisions of a word, smoothed.
const LEAST_PRECISION: f64 = 0.5;
/// Width of a tier of evidence, in logarithms of odds.
const TIER: f64 = 0.5;
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
    for mut step in ranked(corpus, docs, &share, limits) {
        if !left.iter().any(|&at| step.takes(&corpus.docs[at])) {
            continue;
        }
        forbid(corpus, &left, &mut step, limits);
        left.retain(|&at| !step.takes(&corpus.docs[at]));
        steps.push(step);
    }
    List { steps, rest }
}

/// Every word good enough, the strongest evidence first. Within one tier of evidence the steps of a sector stand
/// together, so that they make one readable rule.
fn ranked(corpus: &Corpus, docs: &[usize], share: &[f64], limits: Limits) -> Vec<Step> {
    let (features, sectors) = (corpus.written.len(), corpus.sectors.len());
    let mut total = vec![0u32; features];
    let mut right = vec![0u32; features * sectors];
    let mut first = vec![0u32; features * sectors];
    for doc in docs.iter().map(|&at| &corpus.docs[at]) {
        for &feature in &doc.features {
            total[feature] += 1;
            first[feature * sectors + doc.accepted[0]] += 1;
            for &sector in &doc.accepted {
                right[feature * sectors + sector] += 1;
            }
        }
    }
    let mut found: Vec<(i64, usize, f64, Step)> = Vec::new();
    for feature in (0..features).filter(|&feature| total[feature] as usize >= limits.support) {
        let n = f64::from(total[feature]);
        for sector in 0..sectors {
            let (right, first) = (right[feature * sectors + sector], first[feature * sectors + sector]);
            if first == 0 || f64::from(first) < n * 0.5 && f64::from(first) / n < LIFT * share[sector] {
                continue;
            }
            let precision = (f64::from(right) + limits.smoothing * share[sector]) / (n + limits.smoothing);
            if precision < LEAST_PRECISION {
                continue;
            }
            let evidence = odds(precision) - odds(share[sector]);
            let tier = (evidence / TIER).floor() as i64;
            let step = Step {
                word: feature,
                none: Vec::new(),
                sector,
            };
            found.push((tier, sector, evidence, step));
        }
    }
    found.sort_by(|a, b| {
        let by_tier = b.0.cmp(&a.0).then(a.1.cmp(&b.1));
        by_tier.then(b.2.total_cmp(&a.2)).then(a.3.word.cmp(&b.3.word))
    });
    found.into_iter().map(|(_, _, _, step)| step).collect()
}

/// Logarithm of the odds.
fn odds(share: f64) -> f64 {
    let share = share.clamp(1e-6, 1.0 - 1e-6);
    (share / (1.0 - share)).ln()
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
