//! Runs the tests that stand beside the rules.

mod junit;

use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;

use priem_message::{DeadlineBasis, DeadlineStage, Message, Topic};
use serde::Serialize;

use crate::engine::compiled::Compiled;
use crate::engine::decision::{self, Decision};
use crate::engine::fields::{Field, RULES_CLASSIFIER};
use crate::engine::model::collect_heads;
use crate::engine::model::table_or_self;
use crate::language::cases::{Expected, TestCase, instant, parse_local};
use crate::language::include;

/// Result of the tests of a rule set.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TestReport {
    /// Tests that were run.
    pub total: usize,
    /// Those that failed.
    pub failures: Vec<TestFailure>,
    /// Ids of rules, routes and deadlines that no test touches.
    pub untested: Vec<String>,
    /// How many tests each rule, route and deadline of the files took part in, in their order.
    pub coverage: Vec<Coverage>,
    /// Names of all tests with their file, in their order.
    #[serde(skip)]
    pub(crate) names: Vec<(PathBuf, u32, String)>,
}

/// A rule, route or deadline, and the tests it took part in.
#[derive(Debug, Clone, Serialize)]
pub struct Coverage {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Tests in whose main decision it had a part.
    pub tests: usize,
}

/// A test that failed.
#[derive(Debug, Clone, Serialize)]
pub struct TestFailure {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// Its line.
    pub line: u32,
    /// What differs, in Russian.
    pub differences: Vec<String>,
    /// Why the rules decided so, in Russian.
    pub explanation: Vec<String>,
}

impl TestReport {
    /// Whether every test passed.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// The report as Russian text.
    pub fn render_ru(&self) -> String {
        let mut out = String::new();
        for failure in &self.failures {
            let _ = writeln!(
                out,
                "✗ {}:{}: тест «{}»",
                failure.file.display(),
                failure.line,
                failure.name
            );
            failure.differences.iter().for_each(|line| {
                let _ = writeln!(out, "    {line}");
            });
            let _ = writeln!(out, "    почему так:");
            failure.explanation.iter().for_each(|line| {
                let _ = writeln!(out, "      {line}");
            });
        }
        let _ = writeln!(out, "Тестов: {}, не прошло: {}", self.total, self.failures.len());
        if !self.untested.is_empty() {
            let _ = writeln!(out, "Не проверены ни одним тестом: {}", self.untested.join(", "));
        }
        out
    }

    /// Which entry took part in how many tests, as a Russian table.
    pub fn render_coverage_ru(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{:>7}  запись", "тестов");
        for Coverage { id, name, tests } in &self.coverage {
            let _ = writeln!(out, "{tests:>7}  {id}: {name}");
        }
        let touched = self.coverage.iter().filter(|entry| entry.tests > 0).count();
        let _ = writeln!(out, "Проверено тестами записей: {touched} из {}", self.coverage.len());
        out
    }
}

/// Runs every test.
pub(crate) fn run(rules: &Compiled, tests: &[TestCase]) -> TestReport {
    let mut report = TestReport::default();
    let mut touched: HashMap<String, usize> = HashMap::new();
    for case in tests {
        report.total += 1;
        let mut message = case.message.clone();
        let received = message.data.times.received;
        let decision = decision::decide(rules, &mut message, received);
        for id in &decision.main().matched {
            *touched.entry(id.clone()).or_default() += 1;
        }
        let place = &case.origin;
        report
            .names
            .push((place.file.as_ref().clone(), place.line, case.name.clone()));
        let differences: Vec<String> = case
            .expect
            .iter()
            .filter_map(|expected| difference(rules, expected, &message, &decision))
            .collect();
        if !differences.is_empty() {
            report.failures.push(failure(case, differences, &decision));
        }
    }
    // What stands in the files themselves, not in the parts they include.
    let own = rules
        .heads()
        .into_iter()
        .filter(|head| !include::is_part(&head.origin.file));
    report.coverage = own
        .map(|head| Coverage {
            id: head.id.clone(),
            name: head.name.clone(),
            tests: touched.get(&head.id).copied().unwrap_or(0),
        })
        .collect();
    let untested = report.coverage.iter().filter(|entry| entry.tests == 0);
    report.untested = untested.map(|entry| entry.id.clone()).collect();
    report
}

fn failure(case: &TestCase, differences: Vec<String>, decision: &Decision) -> TestFailure {
    TestFailure {
        name: case.name.clone(),
        file: case.origin.file.as_ref().clone(),
        line: case.origin.line,
        differences,
        explanation: decision.main().explanation.clone(),
    }
}

/// What differs from the expectation, if anything.
fn difference(rules: &Compiled, expected: &Expected, message: &Message, decision: &Decision) -> Option<String> {
    let actual = actual(rules, expected, message, decision);
    let wanted = &expected.values;
    let key = match expected.stage {
        Some(stage) => format!("{} «{}»", expected.key, stage.ru()),
        None => expected.key.to_owned(),
    };
    let agrees = match expected.key {
        // Lists of which the test names some.
        "tags" | "flags" | "rules" if !wanted.is_empty() => wanted.iter().all(|value| actual.contains(value)),
        _ => actual == *wanted,
    };
    let got = if actual.is_empty() {
        "а не получили"
    } else {
        "получили"
    };
    (!agrees).then(|| format!("{key}: ожидали {}, {got} {}", shown(wanted), shown(&actual)))
}

fn shown(values: &[String]) -> String {
    if values.is_empty() {
        "ничего".to_owned()
    } else {
        format!("«{}»", values.join(", "))
    }
}

fn actual(rules: &Compiled, expected: &Expected, message: &Message, decision: &Decision) -> Vec<String> {
    let main = decision.main();
    let one = |value: &Option<String>| value.iter().cloned().collect();
    match expected.key {
        "sector" => one(&main.sector),
        "territory" => one(&main.territory),
        "territory_found_by" => main
            .territory_found_by
            .iter()
            .map(|by| by.as_str().to_owned())
            .collect(),
        "place_precision" => main
            .place_precision
            .iter()
            .map(|precision| precision.as_str().to_owned())
            .collect(),
        "topic" => {
            let topic = message
                .data
                .topic
                .iter()
                .filter(|topic| topic.classifier == RULES_CLASSIFIER);
            topic.map(Topic::path_text).collect()
        }
        "tags" => main.tags.clone(),
        "flags" => {
            let mut flags = Vec::new();
            Field::Flags.visit(message, &mut |flag| flags.push(flag.to_owned()));
            flags
        }
        "hint" => one(&message.data.legal.hint),
        "route" => {
            let route = chosen_route(rules, main.matched.as_slice());
            // A test may name the table and leave the row open: rows move.
            let names_table = expected.values.iter().any(|id| *id == table_or_self(&route));
            vec![if names_table {
                table_or_self(&route).to_owned()
            } else {
                route
            }]
        }
        "organisation" => vec![main.recipient.organisation.clone()],
        "role" => one(&main.recipient.role),
        "queue" => vec![main.queue.clone()],
        "deadline_policy" => one(&main.deadline_policy),
        "personal_data" => one(&main.personal_data),
        "priority" => vec![main.priority.to_string()],
        "review" => vec![main.review_required.to_string()],
        "also" => decision.routes.iter().skip(1).map(|copy| copy.queue.clone()).collect(),
        "rules" => main.matched.clone(),
        "deadlines" => expected
            .stage
            .and_then(|stage| basis_word(message, stage))
            .into_iter()
            .collect(),
        _ => expected
            .stage
            .map(|stage| due(rules, expected, message, stage))
            .unwrap_or_default(),
    }
}

/// The last of the matched ids that is a route.
fn chosen_route(rules: &Compiled, matched: &[String]) -> String {
    let routes: Vec<&str> = route_ids(rules);
    matched
        .iter()
        .rev()
        .find(|id| routes.contains(&table_or_self(id)))
        .cloned()
        .unwrap_or_default()
}

fn basis_word(message: &Message, stage: DeadlineStage) -> Option<String> {
    let deadline = message.data.deadlines.iter().find(|deadline| deadline.stage == stage)?;
    match deadline.basis {
        DeadlineBasis::Source => Some("source".into()),
        _ => deadline.rule.clone(),
    }
}

/// The deadline, printed as the test writes it when they agree.
fn due(rules: &Compiled, expected: &Expected, message: &Message, stage: DeadlineStage) -> Vec<String> {
    let Some(deadline) = message.data.deadlines.iter().find(|deadline| deadline.stage == stage) else {
        return Vec::new();
    };
    let zone = &rules.zone;
    let wanted = expected.values.first().and_then(|written| parse_local(written));
    if wanted.is_some_and(|at| instant(zone, at) == deadline.due_at) {
        return expected.values.clone();
    }
    vec![
        zone.zone
            .to_datetime(deadline.due_at)
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
    ]
}

/// Ids of the routes that are no rows.
fn route_ids(rules: &Compiled) -> Vec<&str> {
    let mut ids = Vec::new();
    collect_heads(&rules.route, &mut |head| ids.push(head.id.as_str()));
    ids
}
