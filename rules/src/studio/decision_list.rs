//! An ordered list of small conditions: words and pairs of words, the strongest evidence first, with a few words that
//! rule a step out.
//!
//! Evidence is how much a word raises the odds of a sector over its share among all messages, counted on all of the
//! learning part: counting only on what earlier steps left was measurably worse on a few hundred messages.
//!
//! Deterministic: ties go to the order of the words.

use std::collections::BTreeMap;

use super::corpus::{Corpus, Doc, Feature};

/// One step of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// The word, pair or theme that must be there.
    pub(super) word: Feature,
    /// A theme that must hold too.
    pub(super) theme: Option<Feature>,
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
    /// Themes right less often than this come after the words.
    pub(super) trust: f64,
    /// Whether words may turn a theme to another sector.
    pub(super) refine: bool,
}

/// Least share of right decisions of a word, smoothed.
const LEAST_PRECISION: f64 = 0.5;
/// Width of a tier of evidence, in logarithms of odds.
const TIER: f64 = 0.5;
/// Words that may rule a step out.
const MOST_FORBIDDEN: usize = 4;
/// Words that may turn a theme to another sector.
const MOST_EXCEPTIONS: usize = 3;
/// By how many messages such a word must be right more often than its theme.
const LEAST_GAIN: usize = 3;
/// Least share of right decisions of such a word.
const LEAST_EXCEPTION: f64 = 0.7;
/// A sector beside the first one of a label counts for a word only when messages that mean it first of all are this many
/// times commoner with the word than without.
const LIFT: f64 = 3.0;

impl Step {
    /// Whether it takes a message.
    pub(super) fn takes(&self, doc: &Doc) -> bool {
        has(doc, self.word)
            && self.theme.is_none_or(|theme| has(doc, theme))
            && !self.none.iter().any(|&word| has(doc, word))
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
    let themes = theme_steps(corpus, docs, &share, limits);
    let (strong, weak): (Vec<_>, Vec<_>) = themes
        .into_iter()
        .partition(|(_, precision)| *precision >= limits.trust);
    for (mut step, _) in strong {
        if limits.refine {
            for exception in exceptions(corpus, &left, &step, limits) {
                left.retain(|&at| !exception.takes(&corpus.docs[at]));
                steps.push(exception);
            }
        }
        forbid(corpus, &left, &mut step, limits);
        left.retain(|&at| !step.takes(&corpus.docs[at]));
        steps.push(step);
    }
    for mut step in ranked(corpus, docs, &share, limits) {
        if !left.iter().any(|&at| step.takes(&corpus.docs[at])) {
            continue;
        }
        forbid(corpus, &left, &mut step, limits);
        left.retain(|&at| !step.takes(&corpus.docs[at]));
        steps.push(step);
    }
    steps.extend(weak.into_iter().map(|(step, _)| step));
    List { steps, rest }
}

/// Words that turn a theme to another sector: with them that sector is right clearly more often than the theme's own.
fn exceptions(corpus: &Corpus, left: &[usize], theme: &Step, limits: Limits) -> Vec<Step> {
    let sectors = corpus.sectors.len();
    let mut left: Vec<usize> = left
        .iter()
        .copied()
        .filter(|&at| theme.takes(&corpus.docs[at]))
        .collect();
    let mut found: Vec<Step> = Vec::new();
    while found.len() < MOST_EXCEPTIONS {
        let mut total = vec![0usize; corpus.first_theme];
        let mut right = vec![0usize; corpus.first_theme * sectors];
        for doc in left.iter().map(|&at| &corpus.docs[at]) {
            for &feature in doc.features.iter().filter(|&&feature| feature < corpus.first_theme) {
                total[feature] += 1;
                doc.accepted
                    .iter()
                    .for_each(|&sector| right[feature * sectors + sector] += 1);
            }
        }
        let candidates = (0..corpus.first_theme).filter(|&word| total[word] > limits.support);
        let candidates = candidates.flat_map(|word| (0..sectors).map(move |sector| (word, sector)));
        let gained = candidates.filter_map(|(word, sector)| {
            let (other, own) = (right[word * sectors + sector], right[word * sectors + theme.sector]);
            let is_clear = other >= own + LEAST_GAIN && other as f64 >= total[word] as f64 * LEAST_EXCEPTION;
            is_clear.then(|| (other - own, word, sector))
        });
        let Some((_, word, sector)) =
            gained.max_by_key(|(gain, word, sector)| (*gain, std::cmp::Reverse((*word, *sector))))
        else {
            break;
        };
        let step = Step {
            word,
            theme: Some(theme.word),
            none: Vec::new(),
            sector,
        };
        left.retain(|&at| !step.takes(&corpus.docs[at]));
        found.push(step);
    }
    found
}

/// A step for every theme that says something about the labels, in the order of the starter set, and its smoothed
/// precision on the messages that no earlier theme takes. What a theme means is found from its own messages and, where
/// they are few, from those of the other themes of its sector.
fn theme_steps(corpus: &Corpus, docs: &[usize], share: &[f64], limits: Limits) -> Vec<(Step, f64)> {
    let sectors = corpus.sectors.len();
    let mut counts: BTreeMap<Feature, (usize, Vec<f64>)> = BTreeMap::new();
    let mut of_sector: BTreeMap<&str, (f64, Vec<f64>)> = BTreeMap::new();
    for doc in docs.iter().map(|&at| &corpus.docs[at]) {
        let taken = doc.features.iter().find_map(|&word| Some((word, corpus.theme(word)?)));
        let Some((feature, theme)) = taken else { continue };
        let own = counts.entry(feature).or_insert_with(|| (0, vec![0.0; sectors]));
        let whole = of_sector
            .entry(&theme.sector)
            .or_insert_with(|| (0.0, vec![0.0; sectors]));
        own.0 += 1;
        whole.0 += 1.0;
        for &sector in &doc.accepted {
            own.1[sector] += 1.0;
            whole.1[sector] += 1.0;
        }
    }
    let mut steps = Vec::new();
    for feature in corpus.first_theme..corpus.written.len() {
        let Some((total, whole)) = corpus
            .theme(feature)
            .and_then(|theme| of_sector.get(theme.sector.as_str()))
        else {
            continue;
        };
        let (n, own) = counts.get(&feature).map_or((0, None), |(n, own)| (*n, Some(own)));
        let expected = |sector: usize| own.map_or(0.0, |own| own[sector]) + whole[sector] / total;
        let Some(best) = (0..sectors).max_by(|&a, &b| {
            let by_count = expected(a).total_cmp(&expected(b));
            by_count.then(share[a].total_cmp(&share[b])).then(b.cmp(&a))
        }) else {
            continue;
        };
        let precision = (expected(best) + limits.smoothing * share[best]) / (n as f64 + 1.0 + limits.smoothing);
        let step = Step {
            word: feature,
            theme: None,
            none: Vec::new(),
            sector: best,
        };
        steps.push((step, precision));
    }
    steps
}

/// Every word good enough, the strongest evidence first. Within one tier of evidence the steps of a sector stand
/// together, so that they make one readable rule.
fn ranked(corpus: &Corpus, docs: &[usize], share: &[f64], limits: Limits) -> Vec<Step> {
    let (features, sectors) = (corpus.first_theme, corpus.sectors.len());
    let mut total = vec![0u32; features];
    let mut right = vec![0u32; features * sectors];
    let mut first = vec![0u32; features * sectors];
    for doc in docs.iter().map(|&at| &corpus.docs[at]) {
        for &feature in doc.features.iter().filter(|&&feature| feature < features) {
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
                theme: None,
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
        let words = corpus.first_theme;
        let mut wrong = vec![0usize; words];
        let mut right = vec![0usize; words];
        let mut kept = 0;
        for doc in left.iter().map(|&at| &corpus.docs[at]).filter(|doc| step.takes(doc)) {
            kept += 1;
            let is_right = doc.accepted.contains(&step.sector);
            let counts = if is_right { &mut right } else { &mut wrong };
            let found = doc.features.iter().filter(|&&feature| feature < words);
            found.for_each(|&feature| counts[feature] += 1);
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
