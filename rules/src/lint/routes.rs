//! Routes and deadlines nothing reaches, and sectors that only the default route catches.

use std::collections::HashSet;

use priem_message::Message;

use super::classify::Live;
use super::sample::Samples;
use super::search::{Answer, Search};
use super::{Finding, Level, MOMENT, Witness};
use crate::engine::compiled::Compiled;
use crate::engine::condition::Condition;
use crate::engine::decision::{self, DEFAULT_PRIORITY};
use crate::engine::facts::Facts;
use crate::engine::fields::Field;
use crate::engine::model::collect_routes;
use crate::engine::model::{Head, Route};

/// Rows of a table named in a finding.
const NAMED_ROWS: usize = 10;

/// Checks the tree, the deadlines and the sectors.
pub(super) fn check(rules: &Compiled, samples: &Samples<'_>, live: &Live, findings: &mut Vec<Finding>) {
    let later = Later {
        rules,
        samples,
        decidable: decidable(rules),
    };
    later.descend(&rules.route, &[], &[], findings);
    later.check_deadlines(findings);
    check_default(rules, live, findings);
    check_sectors(rules, live, findings);
}

/// Every value that `classify` may decide.
fn decidable(rules: &Compiled) -> HashSet<(Field, String)> {
    let mut values = HashSet::new();
    for rule in &rules.classify {
        let set = &rule.set;
        values.extend(
            set.sector
                .iter()
                .map(|value| (Field::Sector, Field::Sector.normalise(value))),
        );
        values.extend(
            set.territory
                .iter()
                .map(|value| (Field::Territory, Field::Territory.normalise(value))),
        );
        values.extend(set.tags.iter().map(|value| (Field::Tags, Field::Tags.normalise(value))));
        values.extend(set.priority.map(|value| (Field::Priority, value.to_string())));
        let policy = set
            .handling
            .as_ref()
            .and_then(|handling| handling.deadline_policy.as_deref());
        values.extend(policy.map(|value| (Field::DeadlinePolicy, Field::DeadlinePolicy.normalise(value))));
    }
    // What routes give is there for deadlines; a route itself never sees it.
    values.insert((Field::Priority, DEFAULT_PRIORITY.to_string()));
    collect_routes(&rules.route, &mut |route| {
        let target = &route.target;
        values.extend(target.priority.map(|value| (Field::Priority, value.to_string())));
        let policy = target.deadline_policy.as_deref();
        values.extend(policy.map(|value| (Field::DeadlinePolicy, Field::DeadlinePolicy.normalise(value))));
    });
    values
}

struct Later<'r, 's> {
    rules: &'r Compiled,
    samples: &'s Samples<'r>,
    decidable: HashSet<(Field, String)>,
}

impl<'r> Later<'r, '_> {
    /// Whether a rule sets the value, or the territories of the files may be found in a message.
    fn is_decidable(&self, field: Field, value: &str) -> bool {
        let is_found = field == Field::Territory && self.rules.vocabulary.territories().is_some();
        is_found || self.decidable.contains(&(field, field.normalise(value)))
    }

    fn ask(&self, goal: &[&'r Condition], before: &[&'r Head]) -> Answer {
        let unwanted = |facts: &Facts<'_>| {
            let mut earlier = before.iter().map(|head| head.when.as_ref());
            earlier.find(|when| when.is_none_or(|condition| condition.holds(facts)))
        };
        Search {
            compiled: self.rules,
            samples: self.samples,
            goal: goal.to_vec(),
            unwanted: &unwanted,
            decidable: &|field, value| self.is_decidable(field, value),
        }
        .run()
    }

    /// `goal`: conditions of the route and its parents; `before`: earlier siblings of all of them.
    fn descend(&self, route: &'r Route, goal: &[&'r Condition], before: &[&'r Head], findings: &mut Vec<Finding>) {
        let mut passed: Vec<&'r Head> = before.to_vec();
        self.check_tables(route, findings);
        for child in &route.children {
            // The rows of a table are looked at together.
            if child.table.is_some() {
                passed.push(&child.head);
                continue;
            }
            let mut wanted = goal.to_vec();
            wanted.extend(&child.head.when);
            if self.report(&child.head, &wanted, &passed, "маршрут", findings) {
                self.descend(child, &wanted, &passed, findings);
            }
            passed.push(&child.head);
        }
    }

    /// Rows of the tables of a route that ask for what no rule decides: one finding for a table.
    fn check_tables(&self, route: &'r Route, findings: &mut Vec<Finding>) {
        let rows = route
            .children
            .iter()
            .filter_map(|row| Some((row, row.table.as_deref()?)));
        let rows: Vec<(&Route, &Head)> = rows.collect();
        for table in rows.chunk_by(|(_, one), (_, other)| one.id == other.id) {
            let dead = table
                .iter()
                .filter(|(row, _)| self.is_undecidable(row.head.when.as_ref()));
            let mut lines: Vec<u32> = dead.map(|(row, _)| row.head.origin.line).collect();
            if lines.is_empty() {
                continue;
            }
            lines.sort_unstable();
            let named: Vec<String> = lines.iter().take(NAMED_ROWS).map(u32::to_string).collect();
            let more = match lines.len() - named.len() {
                0 => String::new(),
                more => format!(" и ещё {more}"),
            };
            let (row, head) = table[0];
            let text = format!(
                "строки таблицы {}, которые не сработают никогда: {}{more}. Их территорию или отрасль не ставит ни одно \
                 правило: проверьте написание или добавьте правило",
                row.head.origin.file.display(),
                named.join(", "),
            );
            findings.push(Finding::new(Level::Warning, "dead-rows", &head.origin, &head.id, text));
        }
    }

    /// Whether a row asks for a territory or sector that is never decided.
    fn is_undecidable(&self, when: Option<&Condition>) -> bool {
        match when {
            Some(Condition::All(parts)) => parts.iter().any(|part| self.is_undecidable(Some(part))),
            Some(Condition::Is(test)) if test.field.is_decided(false) => {
                test.written.iter().all(|value| !self.is_decidable(test.field, value))
            }
            _ => false,
        }
    }

    fn check_deadlines(&self, findings: &mut Vec<Finding>) {
        let deadlines = &self.rules.deadlines;
        for (at, rule) in deadlines.iter().enumerate() {
            let earlier = deadlines[..at].iter().filter(|other| other.stage == rule.stage);
            let before: Vec<&Head> = earlier.map(|rule| &rule.head).collect();
            let goal: Vec<&Condition> = rule.head.when.iter().collect();
            self.report(&rule.head, &goal, &before, "срок", findings);
        }
    }

    /// Whether the entry may be reached.
    fn report(
        &self,
        head: &'r Head,
        goal: &[&'r Condition],
        before: &[&'r Head],
        what: &str,
        findings: &mut Vec<Finding>,
    ) -> bool {
        if !matches!(self.ask(goal, before), Answer::Impossible) {
            return true;
        }
        let text = match self.ask(goal, &[]) {
            Answer::Impossible => format!(
                "{what} недостижим: его условие не может выполниться. Проверьте, ставит ли какое-нибудь правило нужную \
                 отрасль, территорию или метку"
            ),
            _ => format!(
                "{what} недостижим: всё, что ему подходит, раньше забирают записи выше. Поставьте его выше или сделайте \
                 их уже"
            ),
        };
        findings.push(Finding::new(Level::Error, "dead-route", &head.origin, &head.id, text));
        false
    }
}

/// Sectors of which some message goes to the default route.
fn check_default(rules: &Compiled, live: &Live, findings: &mut Vec<Finding>) {
    for (sector, name) in sectors(rules, live) {
        let caught = live.get(&sector).into_iter().flatten().find(|message| {
            let mut copy = (*message).clone();
            let decision = decision::decide(rules, &mut copy, MOMENT);
            decision.default_route && decision.main().sector.as_deref() == Some(sector.as_str())
        });
        let Some(message) = caught else { continue };
        let root = &rules.route.head;
        let text = format!(
            "сообщения отрасли «{name}» ловит только маршрут по умолчанию «{}». Добавьте маршрут или впишите отрасль в \
             существующий",
            root.id
        );
        let witness = Witness {
            message: message.clone(),
            shown: shown(message),
            winner: Some(root.id.clone()),
        };
        let finding = Finding::new(Level::Warning, "default-only", &root.origin, &sector, text);
        findings.push(finding.shown_by(Some(witness)));
    }
}

/// Sectors that are declared and set by no rule.
fn check_sectors(rules: &Compiled, live: &Live, findings: &mut Vec<Finding>) {
    for (sector, name) in &rules.sectors {
        let set = rules
            .classify
            .iter()
            .any(|rule| rule.set.sector.as_ref() == Some(sector));
        if set || live.contains_key(sector) {
            continue;
        }
        let text = format!("отрасль «{name}» объявлена, но ни одно правило её не ставит");
        let mut finding = Finding::new(Level::Note, "unused-sector", &rules.route.head.origin, sector, text);
        finding.line = 0;
        findings.push(finding);
    }
}

/// Sectors with their names, in a stable order.
fn sectors(rules: &Compiled, live: &Live) -> Vec<(String, String)> {
    let mut ids: Vec<&String> = live.keys().collect();
    ids.sort_unstable();
    ids.into_iter()
        .map(|id| (id.clone(), rules.sector_name(id).to_owned()))
        .collect()
}

/// A made-up message for people: its text and the fields that are not plain.
pub(super) fn shown(message: &Message) -> String {
    let mut out = format!("«{}»", message.data.body.text);
    for &field in Field::ALL {
        field.visit(message, &mut |value| {
            let is_plain = matches!(
                value,
                "иное" | "direct" | "open_source_message" | "received" | "unknown" | "anonymous" | "person" | "нет"
            );
            if !is_plain {
                out.push_str(&format!("; {}: {value}", field.label()));
            }
        });
    }
    out
}
