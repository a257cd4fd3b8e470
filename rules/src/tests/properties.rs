//! Properties over random rule sets and messages: the index changes nothing but speed, and the explanation agrees with
//! the decision.

use std::fmt::Write;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use priem_message::{EventType, Kind, Message, MessageData, Regime};
use proptest::prelude::*;

use crate::RuleSet;
use crate::engine::condition::{Condition, Context};
use crate::engine::model::Route;
use crate::engine::verdict::Verdict;

/// Few words and values, so that random rules and messages meet often.
const WORDS: [&str; 9] = [
    "горячая~",
    "яма",
    "снег",
    "=снега",
    "двор*",
    "нет воды",
    "нет ... света",
    "вода|свет",
    "горячая",
];
const TEXT: [&str; 14] = [
    "cytu",
    "горачая",
    "Яма",
    "ямы",
    "СНЕГ",
    "снега",
    "дворы",
    "нет",
    "воды",
    "света",
    "вода",
    "горячей",
    "и",
    "Ямало",
];
const MOMENTS: [&str; 5] = [
    "{ season: \"15.10–14.01\" }",
    "{ hours: \"9:00–10:30\" }",
    "{ weekday: [чт, пт] }",
    "{ older_than: 2 часа }",
    "{ use: named }",
];
const CHANNELS: [&str; 3] = ["telegram", "vk", "incident"];
const PLACES: [&str; 3] = ["Пермь", "Город Пермь", "Березники"];

fn condition(later: bool) -> impl Strategy<Value = String> {
    let words = prop::sample::subsequence(WORDS.to_vec(), 1..4);
    let channels = prop::sample::subsequence(CHANNELS.to_vec(), 1..3);
    let leaf = prop_oneof![
        (words, prop::sample::select(vec!["any", "all", "none"]))
            .prop_map(|(words, how)| format!("{{ text: {{ {how}: [{}] }} }}", words.join(", "))),
        channels.prop_map(|channels| format!("{{ channel: [{}] }}", channels.join(", "))),
        prop::sample::select(PLACES.to_vec()).prop_map(|place| format!("{{ place: {{ municipality: {place} }} }}")),
        prop::sample::select(MOMENTS.to_vec()).prop_map(str::to_owned),
        any::<bool>().prop_map(|known| format!("{{ place: {{ known: {known} }} }}")),
        Just(
            if later {
                "{ sector: [s0, s1] }"
            } else {
                "{ kind: direct }"
            }
            .to_owned()
        ),
        Just(if later { "{ tags: t2 }" } else { "{ author: anonymous }" }.to_owned()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (
                prop::collection::vec(inner.clone(), 1..4),
                prop::sample::select(vec!["any", "all"])
            )
                .prop_map(|(parts, how)| format!("{{ {how}: [{}] }}", parts.join(", "))),
            inner.prop_map(|part| format!("{{ not: {part} }}")),
        ]
    })
}

/// Text of a rule file from random conditions.
fn rule_file(classify: &[String], routes: &[(String, Vec<String>)], deadlines: &[String]) -> String {
    let mut out = String::from(
        "version: 1\nzone: Asia/Yekaterinburg\nconditions: { named: { younger_than: 1 день, text: [снег] } }\nclassify:\n",
    );
    for (at, when) in classify.iter().enumerate() {
        let _ = writeln!(
            out,
            "  - {{ id: c{at}, name: Ц{at}, when: {when}, set: {{ sector: s{at}, tags: [t{at}], stop: {} }} }}",
            at % 3 == 2
        );
    }
    out.push_str("route:\n  id: root\n  name: Корень\n  to: { organisation: МЦУ }\n  queue: q\n  routes:\n");
    for (at, (when, children)) in routes.iter().enumerate() {
        let _ = writeln!(
            out,
            "    - id: r{at}\n      name: М{at}\n      when: {when}\n      queue: q.{at}\n      routes:"
        );
        for (child, when) in children.iter().enumerate() {
            let _ = writeln!(
                out,
                "        - {{ id: r{at}.{child}, name: В{child}, when: {when}, queue: q.{at}.{child} }}"
            );
        }
    }
    out.push_str("deadlines:\n");
    for (at, when) in deadlines.iter().enumerate() {
        let _ = writeln!(
            out,
            "  - {{ id: d{at}, name: С{at}, when: {when}, stage: answer, calendar_hours: {} }}",
            at + 1
        );
    }
    out
}

pub(crate) fn rules() -> impl Strategy<Value = RuleSet> {
    let routes = prop::collection::vec((condition(true), prop::collection::vec(condition(true), 0..3)), 0..4);
    let classify = prop::collection::vec(condition(false), 0..8);
    let deadlines = prop::collection::vec(condition(true), 0..4);
    (classify, routes, deadlines).prop_map(|(classify, routes, deadlines)| {
        let text = rule_file(&classify, &routes, &deadlines);
        RuleSet::parse(&[(PathBuf::from("random.yaml"), text)]).expect("valid rules")
    })
}

pub(crate) fn messages() -> impl Strategy<Value = Message> {
    let text = prop::collection::vec(prop::sample::select(TEXT.to_vec()), 0..8);
    let place = prop::option::of(prop::sample::select(PLACES.to_vec()));
    let age = prop::sample::select(vec![0i64, 1, 5, 30]);
    let parts = (text, prop::sample::select(CHANNELS.to_vec()), place, any::<bool>(), age);
    parts.prop_map(|(text, channel, place, direct, age)| {
        let kind = if direct { Kind::Direct } else { Kind::Post };
        let mut data = MessageData::new(channel, kind, Regime::OpenSourceMessage);
        data.body.text = text.join(" ");
        data.place.municipality = place.map(str::to_owned);
        data.times.received = now() - SignedDuration::from_hours(age);
        Message::new(EventType::Received, data)
    })
}

fn now() -> Timestamp {
    "2026-01-15T05:00:00Z".parse().expect("instant")
}

/// The steps without any index: every condition of every rule is evaluated.
fn naive(rules: &RuleSet, message: &Message) -> (Vec<String>, Vec<String>, Vec<String>) {
    let compiled = &rules.compiled;
    let mut facts = compiled.vocabulary.facts_at(message, now());
    let plain = compiled.vocabulary.facts_at(message, now());
    let holds = |when: &Option<Condition>, facts: &crate::engine::facts::Facts<'_>| {
        when.as_ref().is_none_or(|w| w.holds(facts))
    };
    let fitting = compiled.classify.iter().filter(|rule| holds(&rule.head.when, &plain));
    let mut stopped = false;
    let looked_at = fitting.take_while(|rule| {
        let before = stopped;
        stopped |= rule.set.stop;
        !before
    });
    let classify: Vec<String> = looked_at.map(|rule| rule.head.id.clone()).collect();
    Verdict::reach(compiled, message, &mut facts, now());
    let mut path = vec![compiled.route.head.id.clone()];
    let mut node: &Route = &compiled.route;
    while let Some(child) = node.children.iter().find(|child| holds(&child.head.when, &facts)) {
        path.push(child.head.id.clone());
        node = child;
    }
    let clock = compiled.deadlines.iter().find(|rule| holds(&rule.head.when, &facts));
    (
        classify,
        path,
        clock.map(|rule| rule.head.id.clone()).into_iter().collect(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_changes_nothing_but_speed(rules in rules(), messages in prop::collection::vec(messages(), 1..6)) {
        for message in &messages {
            let (classify, path, clocks) = naive(&rules, message);
            let wanted: Vec<String> = [classify, path, clocks].concat();
            let decision = rules.decide(&mut message.clone(), now());
            prop_assert_eq!(&decision.main().matched, &wanted);
        }
    }

    #[test]
    fn the_explanation_agrees_with_the_decision(rules in rules(), message in messages()) {
        let decision = rules.decide(&mut message.clone(), now());
        let explanation = rules.explain(&message, now());
        prop_assert_eq!(&explanation.routes, &decision.routes);
        prop_assert_eq!(explanation.default_route, decision.default_route);
        prop_assert_eq!(&explanation.deadlines_set, &decision.deadlines);
        let matched = &decision.main().matched;
        for trace in &explanation.classify {
            let stopped = trace.effects.iter().any(|effect| effect.contains("остановило классификацию"));
            prop_assert_eq!(trace.holds && !stopped, matched.contains(&trace.id), "{}", trace.id);
        }
        let chosen: Vec<&String> = explanation.route.iter().filter_map(|step| step.chosen.as_ref()).collect();
        prop_assert!(chosen.iter().all(|id| matched.contains(id)));
        for rule in rules.compiled.classify.iter() {
            let seen = rules.why(&message, now(), &rule.head.id).expect("known");
            let stopped = seen.effects.iter().any(|effect| effect.contains("остановило классификацию"));
            prop_assert_eq!(seen.holds && !stopped, matched.contains(&rule.head.id));
        }
    }

    #[test]
    fn every_check_says_what_the_condition_says(rules in rules(), message in messages()) {
        let facts = rules.compiled.vocabulary.facts(&message);
        let context = Context { message: &message, facts: &facts, decided: &[] };
        for rule in &rules.compiled.classify {
            let when = rule.head.when.as_ref().expect("every random rule has one");
            prop_assert_eq!(when.check(&context).holds, when.holds(&facts));
        }
    }

    #[test]
    fn any_text_is_decided_alike_with_a_cold_and_a_warm_memo(text in "\\PC{0,200}", rules in rules()) {
        let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
        data.body.text = text;
        let message = Message::new(EventType::Received, data);
        let warm = rules.decide(&mut message.clone(), now());
        let again = rules.decide(&mut message.clone(), now());
        let cold = std::thread::scope(|scope| scope.spawn(|| rules.decide(&mut message.clone(), now())).join());
        prop_assert_eq!(&warm, &again);
        prop_assert_eq!(&warm, &cold.expect("no panic"));
    }

    #[test]
    fn any_file_gives_rules_or_errors_and_never_panics(text in "(version: 1\n)?[a-z\\[\\]{}:,\\-а-я $*=\n]{0,120}") {
        let _ = RuleSet::parse(&[(PathBuf::from("random.yaml"), text)]);
    }
}
