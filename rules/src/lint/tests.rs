//! What the linter must find, and that everything it says is true.

use std::path::PathBuf;

use proptest::prelude::*;

use super::{Finding, Level, MOMENT};
use crate::RuleSet;
use crate::engine::model::ClassifyRule;
use crate::tests::properties::{messages, rules};

fn lint(text: &str) -> Vec<Finding> {
    let file = (PathBuf::from("rules.yaml"), text.to_owned());
    RuleSet::parse(&[file]).expect("valid rules").lint()
}

fn set(classify: &str) -> String {
    format!(
        "version: 1\nsectors: {{ a: А, b: Б }}\nclassify:\n{classify}route:\n  id: root\n  name: К\n  \
         to: {{ organisation: М }}\n  queue: q\n  routes:\n    \
         - {{ id: all, name: Все, when: {{ sector: [a, b] }}, queue: q.all }}\n"
    )
}

/// Kinds of findings about an entry, but for suspicious words: those depend on the list of common words.
fn kinds(findings: &[Finding], id: &str) -> Vec<&'static str> {
    findings
        .iter()
        .filter(|finding| finding.id == id && finding.kind != "suspicious-word")
        .map(|finding| finding.kind)
        .collect()
}

#[test]
fn a_condition_that_excludes_itself_is_dead() {
    let found = lint(&set(
        "  - { id: dead, name: Д, when: { channel: vk, not: { channel: [vk, ok] } }, set: { sector: a } }\n  \
           - { id: live, name: Ж, when: { text: яма }, set: { sector: b } }\n",
    ));
    assert_eq!(kinds(&found, "dead"), ["dead"]);
    assert_eq!(found[0].level, Level::Error);
    assert_eq!((found[0].line, kinds(&found, "live").len()), (4, 0));
    let two = lint(&set(
        "  - { id: two, name: Д, when: { all: [{ kind: post }, { kind: direct }] }, set: { sector: a } }\n",
    ));
    assert_eq!(kinds(&two, "two"), ["dead"]);
    let every = "not: { kind: [direct, comment, post, review, portal, incident, vote] }";
    let none = lint(&set(&format!(
        "  - {{ id: none, name: Д, when: {{ {every} }}, set: {{ sector: a }} }}\n"
    )));
    assert_eq!(kinds(&none, "none"), ["dead"]);
}

#[test]
fn meaning_is_compared_and_not_text() {
    let found = lint(&set(
        "  - { id: wide, name: Ш, when: { text: [вода, снег] }, set: { sector: a } }\n  \
           - { id: narrow, name: У, when: { text: [нет воды, =снега], channel: vk }, set: { sector: b } }\n  \
           - { id: same, name: Т, when: { text: нет ... воды }, set: { sector: a } }\n  \
           - { id: other, name: Д, when: { text: [водопад] }, set: { sector: b } }\n",
    ));
    assert_eq!(kinds(&found, "narrow"), ["conflict"]);
    assert_eq!(kinds(&found, "same"), ["shadowed"]);
    assert_eq!(kinds(&found, "other"), Vec::<&str>::new());
    let witness = found
        .iter()
        .find(|f| f.id == "narrow")
        .and_then(|f| f.witness.as_ref())
        .expect("a witness");
    assert_eq!(witness.winner.as_deref(), Some("wide"));
}

#[test]
fn what_an_earlier_rule_forbids_lets_a_later_one_live() {
    let found = lint(&set(
        "  - { id: wide, name: Ш, when: { text: { any: [вода], none: [лужа] } }, set: { sector: a } }\n  \
           - { id: narrow, name: У, when: { text: нет воды }, set: { sector: b } }\n",
    ));
    assert_eq!(kinds(&found, "narrow"), Vec::<&str>::new());
}

#[test]
fn rules_that_only_together_forestall_are_found() {
    let found = lint(&set(
        "  - { id: person, name: П, when: { author: [person, legal_entity, community, collective] }, set: { sector: a } }\n  \
           - { id: rest, name: О, when: { author: [anonymous, staff] }, set: { sector: a } }\n  \
           - { id: never, name: Н, when: { text: яма }, set: { sector: b } }\n",
    ));
    assert_eq!(kinds(&found, "never"), ["conflict"]);
}

#[test]
fn useless_forbidden_and_extra_words() {
    let found = lint(&set(
        "  - { id: first, name: П, when: { text: [вода] }, set: { sector: a } }\n  \
           - { id: second, name: В, when: { text: { any: [воды, снег, лёд, талый снег], none: [лед] } }, set: { sector: b } }\n",
    ));
    assert_eq!(
        kinds(&found, "second"),
        ["useless-word", "contradiction", "redundant-word"]
    );
}

#[test]
fn what_a_stop_keeps_from_being_looked_at_is_told() {
    let found = lint(&set(
        "  - { id: spam, name: С, when: { text: реклама }, set: { tags: [spam], stop: true } }\n  \
           - { id: marks, name: М, when: { text: реклама, channel: vk }, set: { tags: [vk] } }\n  \
           - { id: sector, name: О, when: { text: реклама }, set: { sector: a } }\n  \
           - { id: wide, name: Ш, when: { channel: vk }, set: { sector: b } }\n",
    ));
    assert_eq!(kinds(&found, "marks"), ["stopped"]);
    assert_eq!(kinds(&found, "sector"), ["stopped"]);
    assert_eq!(kinds(&found, "wide"), Vec::<&str>::new());
    let witness = found.iter().find_map(|f| f.witness.as_ref()).expect("a witness");
    assert_eq!(witness.winner.as_deref(), Some("spam"));
}

#[test]
fn what_depends_on_the_moment_is_never_called_dead() {
    let text = set(
        "  - { id: night, name: Н, when: { not: { weekday: [чт, пт] } }, set: { sector: a } }\n  \
           - { id: rated, name: О, when: { not: { satisfaction: none } }, set: { sector: b } }\n",
    );
    let found = lint(&text.replace("version: 1\n", "version: 1\nzone: Asia/Yekaterinburg\n"));
    assert_eq!(kinds(&found, "night"), Vec::<&str>::new());
    assert_eq!(kinds(&found, "rated"), Vec::<&str>::new());
}

#[test]
fn routes_that_nothing_reaches_and_sectors_without_a_route() {
    let found = lint(
        "version: 1
sectors: { a: А, b: Б, c: В }
classify:
  - { id: one, name: О, when: { text: яма }, set: { sector: a } }
  - { id: two, name: Д, when: { text: снег }, set: { sector: b } }
route:
  id: root
  name: К
  to: { organisation: М }
  queue: q
  routes:
    - { id: first, name: П, when: { sector: a }, queue: q.a }
    - { id: again, name: Е, when: { sector: a, channel: vk }, queue: q.vk }
    - { id: third, name: Т, when: { sector: c }, queue: q.c }
",
    );
    assert_eq!(kinds(&found, "again"), ["dead-route"]);
    assert_eq!(kinds(&found, "third"), ["dead-route"]);
    assert_eq!(kinds(&found, "b"), ["default-only"]);
    assert_eq!(kinds(&found, "c"), ["unused-sector"]);
    assert_eq!(kinds(&found, "first"), Vec::<&str>::new());
}

#[test]
fn a_stem_or_a_beginning_that_catches_other_words_is_told() {
    let found = lint(&set(
        "  - { id: park, name: П, when: { text: [парк] }, set: { sector: a } }\n  \
           - { id: pit, name: Я, when: { text: [яма*] }, set: { sector: b } }\n",
    ));
    assert!(
        found.iter().any(|f| f.id == "park" && f.text.contains("«паркуются»")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|f| f.id == "pit" && f.text.contains("«ямало»")),
        "{found:?}"
    );
}

#[test]
fn the_starter_set_has_no_errors() {
    let findings = RuleSet::starter().lint();
    let errors: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.level == Level::Error)
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_witness_is_real(rules in rules()) {
        for finding in rules.lint() {
            let Some(witness) = &finding.witness else { continue };
            let decision = rules.decide(&mut witness.message.clone(), MOMENT);
            let winner = witness.winner.as_deref();
            if finding.kind == "default-only" {
                prop_assert!(decision.default_route, "{finding:?}");
                prop_assert_eq!(decision.main().sector.as_deref(), Some(finding.id.as_str()));
            } else if finding.kind == "stopped" {
                prop_assert!(!decision.main().matched.contains(&finding.id), "{finding:?}");
                prop_assert!(decision.main().matched.iter().any(|id| winner == Some(id.as_str())), "{finding:?}");
            } else {
                // An earlier entry may end classification after another has won.
                let matched = &decision.main().matched;
                let stops = |rule: &ClassifyRule| rule.set.stop && matched.iter().any(|id| **id == *rule.head.id);
                let stopped = rules.compiled.classify.iter().any(stops);
                prop_assert!(stopped || matched.contains(&finding.id), "{finding:?}");
                prop_assert_eq!(rules.sector_rule(&decision), winner, "{:?}", finding);
                prop_assert!(winner != Some(finding.id.as_str()), "{finding:?}");
            }
        }
    }

    #[test]
    fn every_proof_holds_on_any_message(rules in rules(), messages in prop::collection::vec(messages(), 1..24)) {
        let findings = rules.lint();
        for message in &messages {
            let decision = rules.decide(&mut message.clone(), MOMENT);
            for finding in &findings {
                match finding.kind {
                    "dead" | "dead-route" | "stopped" => {
                        prop_assert!(!decision.main().matched.contains(&finding.id), "{finding:?} {message:?}");
                    }
                    "conflict" | "shadowed" => {
                        prop_assert!(rules.sector_rule(&decision) != Some(finding.id.as_str()), "{finding:?} {message:?}");
                    }
                    _ => {}
                }
            }
        }
    }
}
