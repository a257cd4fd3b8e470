//! Proposes rules from labelled history, as YAML for a human to edit. Nothing is applied.
//!
//! The history is split by a seed: rules are learnt from one part and measured on the other, which they never saw; how
//! far a list may grow is chosen inside the learning part. Same data, same seed, same proposal.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    corpus::Corpus,
    decision_list::{self, Limits, List},
    evaluate::{percent, share},
    history::{self, Labelled},
    labels::LabelMap,
};
use crate::RuleSet;

/// How to learn.
#[derive(Debug, Clone)]
pub struct LearnSettings {
    /// Seed of the split.
    pub seed: u64,
    /// Part of the history held back for measuring, 0.05 to 0.9.
    pub holdout: f64,
    /// Whether what no rule takes gets the commonest sector.
    pub catch_all: bool,
}

/// What was learnt.
#[derive(Debug, Clone, Serialize)]
pub struct Proposal {
    /// Rows that count and that the base leaves open.
    pub rows: usize,
    /// Rows learnt from.
    pub learnt_from: usize,
    /// Rows held back.
    pub held_back: usize,
    /// Share of the rows held back that the rules decide.
    pub coverage: f64,
    /// Of those, share decided right.
    pub precision: f64,
    /// Share of all rows held back that are decided right.
    pub accuracy: f64,
    /// The rules in order.
    pub rules: Vec<Proposed>,
    /// A file with them.
    pub yaml: String,
}

/// One rule.
#[derive(Debug, Clone, Serialize)]
pub struct Proposed {
    /// Its id.
    pub id: String,
    /// Sector it sets.
    pub sector: String,
    /// Themes of the starter set, any of which is enough; with words, both must hold; empty for a rule of words alone.
    pub themes: Vec<String>,
    /// Words, any of which is enough; empty with themes and for the last rule, which takes everything left.
    pub any: Vec<String>,
    /// Words that rule it out.
    pub none: Vec<String>,
    /// Rows held back that it decides.
    pub decided: usize,
    /// Of those, right ones.
    pub right: usize,
    /// right / decided.
    pub precision: f64,
}

/// Fewest rows that can be learnt from.
const FEWEST_ROWS: usize = 20;
/// Parts of the learning part, to choose the limits.
const FOLDS: usize = 4;
/// Limits that are tried: support, smoothing, each with every trust, with and without exceptions from themes.
const TRIED: [(usize, f64); 4] = [(2, 1.0), (2, 2.0), (2, 4.0), (3, 2.0)];
/// Trust in themes, and exceptions from them, that are tried.
const TRUSTS: [(f64, bool); 4] = [(0.0, false), (0.6, false), (0.0, true), (0.6, true)];

/// Learns. With `base`, only from what those rules leave undecided, as an addition to them.
///
/// # Errors
/// When there is too little to learn from.
pub fn learn(
    history: &[Labelled],
    labels: &LabelMap,
    base: Option<&RuleSet>,
    settings: &LearnSettings,
) -> Result<Proposal, String> {
    let open: Vec<Labelled> = history
        .iter()
        .filter(|item| base.is_none_or(|base| is_open(base, item)))
        .cloned()
        .collect();
    let corpus = Corpus::new(&open, labels, 2, base.is_none());
    if corpus.docs.len() < FEWEST_ROWS {
        return Err(format!(
            "мало сообщений с метками: {}, нужно хотя бы {FEWEST_ROWS}",
            corpus.docs.len()
        ));
    }
    let mut order: Vec<usize> = (0..corpus.docs.len()).collect();
    fastrand::Rng::with_seed(settings.seed).shuffle(&mut order);
    let held = ((corpus.docs.len() as f64 * settings.holdout.clamp(0.05, 0.9)).round() as usize).max(1);
    let (back, part) = order.split_at(held);
    let limits = choose(&corpus, part);
    let list = decision_list::learn(&corpus, part, limits);
    Ok(propose(&corpus, &list, part.len(), back, base, settings))
}

fn is_open(base: &RuleSet, item: &Labelled) -> bool {
    let mut message = history::message(&item.text);
    base.decide(&mut message, Timestamp::UNIX_EPOCH).main().sector.is_none()
}

/// The limits that do best when each quarter of the learning part is predicted from the others.
fn choose(corpus: &Corpus, part: &[usize]) -> Limits {
    let score = |limits: Limits| -> f64 {
        let folds = (0..FOLDS).map(|fold| {
            let pick = |inside: bool| -> Vec<usize> {
                let chosen = part.iter().enumerate().filter(|(at, _)| (at % FOLDS == fold) == inside);
                chosen.map(|(_, doc)| *doc).collect()
            };
            decision_list::learn(corpus, &pick(false), limits).accuracy(corpus, &pick(true))
        });
        folds.sum()
    };
    let tried = TRUSTS.iter().flat_map(|&(trust, refine)| {
        TRIED.map(|(support, smoothing)| Limits {
            support,
            smoothing,
            trust,
            refine,
        })
    });
    let tried: Vec<Limits> = tried.collect();
    let mut best = (tried[0], f64::MIN);
    for limits in tried {
        let found = score(limits);
        if found > best.1 {
            best = (limits, found);
        }
    }
    best.0
}

/// Neighbouring steps of one sector without forbidden words make one rule.
fn propose(
    corpus: &Corpus,
    list: &List,
    learnt_from: usize,
    back: &[usize],
    base: Option<&RuleSet>,
    settings: &LearnSettings,
) -> Proposal {
    let mut rules: Vec<Proposed> = Vec::new();
    let mut rule_of_step = Vec::new();
    for step in &list.steps {
        let sector = corpus.sectors[step.sector].clone();
        let word = corpus.written[step.word].clone();
        let is_theme = corpus.theme(step.word).is_some();
        let (mut themes, any) = if is_theme {
            (vec![word], Vec::new())
        } else {
            (Vec::new(), vec![word])
        };
        themes.extend(step.theme.map(|theme| corpus.written[theme].clone()));
        match rules.last_mut() {
            Some(last)
                if last.sector == sector
                    && last.none.is_empty()
                    && step.none.is_empty()
                    && step.theme.is_none()
                    && last.themes.is_empty() != is_theme
                    && last.any.is_empty() == is_theme =>
            {
                last.themes.extend(themes);
                last.any.extend(any);
            }
            _ => rules.push(Proposed {
                id: format!("learnt-{:03}-{sector}", rules.len() + 1),
                sector,
                themes,
                any,
                none: step
                    .none
                    .iter()
                    .map(|&feature| corpus.written[feature].clone())
                    .collect(),
                decided: 0,
                right: 0,
                precision: 0.0,
            }),
        }
        rule_of_step.push(rules.len() - 1);
    }
    if settings.catch_all {
        rules.push(Proposed {
            id: "learnt-rest".into(),
            sector: corpus.sectors[list.rest].clone(),
            themes: Vec::new(),
            any: Vec::new(),
            none: Vec::new(),
            decided: 0,
            right: 0,
            precision: 0.0,
        });
    }
    let (mut decided, mut right) = (0, 0);
    for &at in back {
        let doc = &corpus.docs[at];
        let (sector, step) = list.decide(doc);
        let rule = match step {
            Some(step) => rule_of_step[step],
            None if settings.catch_all => rules.len() - 1,
            None => continue,
        };
        let is_right = doc.accepted.contains(&sector);
        decided += 1;
        right += usize::from(is_right);
        rules[rule].decided += 1;
        rules[rule].right += usize::from(is_right);
    }
    rules
        .iter_mut()
        .for_each(|rule| rule.precision = share(rule.right, rule.decided));
    let mut proposal = Proposal {
        rows: corpus.docs.len(),
        learnt_from,
        held_back: back.len(),
        coverage: share(decided, back.len()),
        precision: share(right, decided),
        accuracy: share(right, back.len()),
        rules,
        yaml: String::new(),
    };
    proposal.yaml = yaml(&proposal, base, settings);
    proposal
}

fn yaml(proposal: &Proposal, base: Option<&RuleSet>, settings: &LearnSettings) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "# Предложение правил по размеченной истории. Само не применяется: прочтите, исправьте, уберите лишнее.\n#\n\
         # Выучено на {} сообщениях, проверено на {} других (seed {}): решает {}, точность {}, верно из всех {}.\n\
         # Порядок важен: действует первое подошедшее правило. В словах могут остаться местные названия: уберите их.",
        proposal.learnt_from,
        proposal.held_back,
        settings.seed,
        percent(proposal.coverage),
        percent(proposal.precision),
        percent(proposal.accuracy)
    );
    out.push_str("version: 1\n");
    if proposal.rules.iter().any(|rule| !rule.themes.is_empty()) {
        out.push_str(
            "# Списки слов стартового набора под именами его правил: что в них, видно в 20-text.yaml.\n\
             include: [themes]\n",
        );
    }
    out.push_str("\nclassify:\n");
    for rule in &proposal.rules {
        let _ = writeln!(
            out,
            "  # Проверка: решило {}, верно {} ({}).",
            rule.decided,
            rule.right,
            percent(rule.precision)
        );
        let name = name_of(rule);
        let _ = writeln!(out, "  - id: {}\n    name: {}", rule.id, quoted(&name));
        write_condition(&mut out, rule);
        let _ = writeln!(out, "    set: {{ sector: {} }}", quoted(&rule.sector));
    }
    if base.is_none() {
        out.push_str(
            "\n# Чтобы файл можно было проверить отдельно. В рабочем наборе этот раздел уже есть: здесь его удалите.\n\
             route:\n  id: learnt-root\n  name: Координатор\n  to: { organisation: МЦУ }\n  queue: mcu.coordinator\n",
        );
    }
    out
}

fn name_of(rule: &Proposed) -> String {
    if !rule.themes.is_empty() {
        let known = crate::themes().iter().filter(|theme| rule.themes.contains(&theme.id));
        let names: Vec<&str> = known.map(|theme| theme.name.as_str()).collect();
        let names = names.join("; ");
        return match rule.any.first() {
            Some(word) => format!("{names}, по слову: {word}"),
            None => names,
        };
    }
    match rule.any.first() {
        Some(word) => format!("По словам: {word}"),
        None => "Всё остальное".to_owned(),
    }
}

fn write_condition(out: &mut String, rule: &Proposed) {
    if rule.themes.is_empty() && rule.any.is_empty() {
        return;
    }
    out.push_str("    when:\n");
    match rule.themes.as_slice() {
        [] => {}
        [one] => {
            let _ = writeln!(out, "      use: {one}");
        }
        several => {
            out.push_str("      any:\n");
            for theme in several {
                let _ = writeln!(out, "        - use: {theme}");
            }
        }
    }
    if rule.any.is_empty() && rule.none.is_empty() {
        return;
    }
    out.push_str("      text:\n");
    if !rule.any.is_empty() {
        let _ = writeln!(out, "        any: [{}]", list(&rule.any));
    }
    if !rule.none.is_empty() {
        let _ = writeln!(out, "        none: [{}]", list(&rule.none));
    }
}

fn list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    words.join(", ")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Labelled> {
        let texts = [
            ("большая яма возле рынка", "roads"),
            ("снова ямы около моста", "roads"),
            ("не горит фонарь", "light"),
            ("фонари погасли вчера", "light"),
            ("течёт кран", "housing"),
            ("мокрый подвал", "housing"),
        ];
        let mut rows = Vec::new();
        for (at, (text, label)) in texts.iter().cycle().take(60).enumerate() {
            rows.push(Labelled {
                row: at as u64 + 2,
                text: (*text).into(),
                label: (*label).into(),
            });
        }
        rows
    }

    fn settings(seed: u64) -> LearnSettings {
        LearnSettings {
            seed,
            holdout: 0.5,
            catch_all: true,
        }
    }

    #[test]
    fn the_proposal_is_a_rule_set_that_does_what_was_measured() {
        let proposal = learn(&rows(), &LabelMap::identity(), None, &settings(1)).expect("a proposal");
        assert!(proposal.accuracy > 0.99, "{proposal:?}");
        let rules = RuleSet::parse(&[("learnt.yaml".into(), proposal.yaml.clone())]).expect("valid rules");
        let found = super::super::evaluate::evaluate(&rules, &rows(), &LabelMap::identity(), 0);
        assert!(found.accuracy > 0.99, "{found:?}\n{}", proposal.yaml);
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let yaml = |seed| {
            learn(&rows(), &LabelMap::identity(), None, &settings(seed))
                .expect("a proposal")
                .yaml
        };
        assert_eq!(yaml(3), yaml(3));
    }

    #[test]
    fn with_a_base_only_what_it_leaves_open_is_learnt() {
        let base = RuleSet::parse(&[(
            "base.yaml".into(),
            "version: 1\nclassify:\n  - { id: pit, name: Я, when: { text: яма }, set: { sector: roads } }\nroute: { id: r, \
             name: К, to: { organisation: М }, queue: q }\n"
                .into(),
        )])
        .expect("valid rules");
        let proposal = learn(&rows(), &LabelMap::identity(), Some(&base), &settings(1)).expect("a proposal");
        assert_eq!(proposal.rows, 40);
        assert!(proposal.rules.iter().all(|rule| rule.sector != "roads"), "{proposal:?}");
    }

    #[test]
    fn too_little_is_said() {
        assert!(learn(&rows()[..5], &LabelMap::identity(), None, &settings(1)).is_err());
    }
}
