//! Words that are in the list already, and words whose stem or beginning catches others.

use std::collections::BTreeSet;

use super::sample::{Piece, Samples, each_term};
use super::{Finding, Level, MOMENT};
use crate::engine::compiled::Compiled;
use crate::engine::condition::Condition;
use crate::engine::model::Head;
use crate::engine::term::Term;
use crate::words::normal;
use crate::words::stem::stem;

/// Common words and names of places, to see what a beginning or a stem catches besides what was meant.
const COMMON: &str = include_str!("common-words.txt");
/// Endings of verbs: a noun and a verb of one stem are two words.
const VERBS: [&str; 12] = [
    "уется",
    "уются",
    "ует",
    "уют",
    "ать",
    "ять",
    "ить",
    "еть",
    "ался",
    "ает",
    "ают",
    "ует",
];
/// Fewest letters of a stem that is not suspicious by itself.
const SHORT_STEM: usize = 3;
/// Words named in a finding.
const NAMED: usize = 4;

/// Checks the words of every condition of `classify`. A suspicious word is told once, at the first rule that has it.
pub(super) fn check(rules: &Compiled, samples: &Samples<'_>, findings: &mut Vec<Finding>) {
    let mut common = BTreeSet::new();
    normal::for_each_word(COMMON, |word, _| {
        common.insert(word.to_owned());
    });
    let common: Vec<String> = common.into_iter().collect();
    let mut seen = BTreeSet::new();
    for rule in &rules.classify {
        if let Some(when) = &rule.head.when {
            redundant(&rule.head, when, rules, samples, findings);
            each_term(when, &mut |term| {
                suspicious(&rule.head, term, &common, &mut seen, findings)
            });
        }
    }
}

/// A term all of whose texts another term of the same list finds too.
fn redundant(head: &Head, condition: &Condition, rules: &Compiled, samples: &Samples<'_>, findings: &mut Vec<Finding>) {
    match condition {
        Condition::Text(terms) | Condition::Context(terms) => {
            for (at, term) in terms.iter().enumerate() {
                if let Some(wider) = wider(at, terms, rules, samples) {
                    let text = format!(
                        "«{}» лишнее: его уже находит «{}» из того же списка",
                        term.written, wider.written
                    );
                    findings.push(Finding::new(
                        Level::Note,
                        "redundant-word",
                        &head.origin,
                        &head.id,
                        text,
                    ));
                }
            }
        }
        Condition::All(parts) | Condition::Any(parts) => {
            parts
                .iter()
                .for_each(|part| redundant(head, part, rules, samples, findings));
        }
        Condition::Not(part) => redundant(head, part, rules, samples, findings),
        Condition::Is(_) | Condition::Today(_) => {}
    }
}

fn wider<'t>(at: usize, terms: &'t [Term], rules: &Compiled, samples: &Samples<'_>) -> Option<&'t Term> {
    const WAYS: usize = 48;
    let covers = |wide: &Term, narrow: &Term| {
        let (ways, exact) = samples.of_term(narrow, WAYS);
        exact && !ways.is_empty() && ways.iter().all(|way| has(rules, samples, way, wide))
    };
    let mut others = terms.iter().enumerate().filter(|(other, _)| *other != at);
    others
        .find(|(other, wide)| {
            // Of two that mean the same, the later is the extra one.
            covers(wide, &terms[at]) && (*other < at || !covers(&terms[at], wide))
        })
        .map(|(_, wide)| wide)
}

fn has(rules: &Compiled, samples: &Samples<'_>, way: &Piece, term: &Term) -> bool {
    samples
        .build(std::slice::from_ref(way))
        .is_ok_and(|message| term.matches(&rules.vocabulary.facts_at(&message, MOMENT)))
}

fn suspicious(head: &Head, term: &Term, common: &[String], seen: &mut BTreeSet<String>, findings: &mut Vec<Finding>) {
    for word in term.written.split([' ', '|']) {
        if word.starts_with(['=', '.', '…']) || !seen.insert(word.to_lowercase()) {
            continue;
        }
        let mut plain = Vec::new();
        normal::for_each_word(word, |word, _| plain.push(word.to_owned()));
        let Some(last) = plain.last() else { continue };
        let found = if word.ends_with('*') {
            let caught: Vec<&str> = common
                .iter()
                .map(String::as_str)
                .filter(|common| common.starts_with(last.as_str()))
                .collect();
            let stems: BTreeSet<String> = caught.iter().filter_map(|word| stem(word)).collect();
            (stems.len() > 1).then_some(caught)
        } else {
            collisions(last, common)
        };
        if let Some(found) = found {
            let list: Vec<String> = found.iter().take(NAMED).map(|word| format!("«{word}»")).collect();
            let text = format!(
                "«{word}» находит и {}. Если это не то, что нужно, напишите точные формы со знаком «=»",
                list.join(", ")
            );
            findings.push(Finding::new(
                Level::Note,
                "suspicious-word",
                &head.origin,
                &head.id,
                text,
            ));
        }
    }
}

/// Common words with the stem of `word` that are probably other words.
fn collisions<'c>(word: &str, common: &'c [String]) -> Option<Vec<&'c str>> {
    let root = stem(word)?;
    let is_verb = |word: &str| VERBS.iter().any(|ending| word.ends_with(ending));
    let short = root.chars().count() < SHORT_STEM;
    let others: Vec<&str> = common
        .iter()
        .map(String::as_str)
        .filter(|other| *other != word && stem(other).as_deref() == Some(root.as_str()))
        .filter(|other| {
            (is_verb(other) && !is_verb(word)) || (short && other.chars().count() > word.chars().count() + 2)
        })
        .collect();
    (!others.is_empty()).then_some(others)
}
