//! Автоправила: where a citizen's message goes, and why.
//!
//! A pure function `(message, rules, now) -> decision`: no clock, no I/O (only [`RuleSet::load`] reads files), no
//! async. Three steps over YAML files that МЦУ staff read:
//!
//! 1. `classify`: all entries that hold contribute; the first to set a field wins;
//! 2. `route`: a tree; the first sibling that holds wins, children inherit, the root takes the rest;
//! 3. `deadlines`: per stage the first entry that holds; a deadline of the source stays.
//!
//! How it is fast: everything any rule asks about is a numbered *fact* (`vocabulary`). A message becomes the list of
//! its facts once: one pass over the words, each stemmed at most once. An inverted index (`index`) names the few
//! rules that those facts could fulfil. So the cost follows the length of the message, not the number of rules.
//!
//! How it is explained: decision and explanation are made from the same `verdict`.

mod calendar;
mod cases;
mod clock;
mod compile;
mod condition;
mod dates;
mod decision;
mod error;
mod explain;
mod facts;
mod fields;
mod include;
mod index;
mod junit;
mod keys;
mod layout;
mod lint;
mod load;
mod model;
mod moment;
mod named;
pub(crate) mod normal;
mod places;
mod read_calendar;
mod read_condition;
mod read_deadlines;
mod read_rules;
mod read_territories;
mod read_tests;
mod reader;
mod schema;
mod tables;
mod term;
mod themes;
mod typos;
mod verdict;
pub(crate) mod vocabulary;
mod warnings;

#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod semantics;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod territory_tests;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use priem_sdk::message::Message;

pub use cases::{Coverage, TestFailure, TestReport};
pub use condition::Check;
pub use decision::Decision;
pub(crate) use decision::stage_ru;
pub use error::{RuleError, RuleErrors};
pub use explain::{Explanation, RouteStep, RuleTrace, TerritoryTrace};
pub use lint::{Finding, Level, Witness};
pub use schema::json_schema;
pub use themes::{Theme, themes};

use compile::Compiled;
use condition::Sight;
use model::{Head, Route};
use tables::Tables;
use verdict::Verdict;

/// A compiled, immutable set of rules. Share it between threads behind an `Arc`; a reload swaps the whole set.
#[derive(Debug)]
pub struct RuleSet {
    compiled: Compiled,
    version: String,
}

/// Hex digits of the version.
const VERSION_DIGITS: usize = 12;

impl RuleSet {
    /// Loads every `*.yaml` of a folder, in the order of their names, and the tables they name.
    ///
    /// # Errors
    /// Everything wrong in any file, in Russian, with file, line and cure.
    pub fn load(dir: &Path) -> Result<Self, RuleErrors> {
        let files = load::folder(dir)?;
        let tables = Tables::read(&files);
        Self::build(&files, &tables)
    }

    /// Compiles files given as (path, text). The paths only name the files in messages; tables are not read.
    ///
    /// # Errors
    /// Everything wrong in any file, in Russian, with file, line and cure.
    pub fn parse(files: &[(PathBuf, String)]) -> Result<Self, RuleErrors> {
        Self::build(files, &Tables::default())
    }

    fn build(files: &[(PathBuf, String)], tables: &Tables) -> Result<Self, RuleErrors> {
        let files = include::expand(files);
        let compiled = compile::compile(&files, tables)?;
        Ok(Self {
            compiled,
            version: version_of(&files, tables),
        })
    }

    /// The set that ships with Priem (`config/rules`), for a daemon without a rules folder.
    ///
    /// # Panics
    /// Never in a build whose tests pass: they compile this set.
    pub fn starter() -> Self {
        let files = STARTER.map(|(path, text)| (PathBuf::from(path), text.to_owned()));
        match Self::parse(&files) {
            Ok(rules) => rules,
            Err(errors) => panic!("the built-in rules are valid: {errors}"),
        }
    }

    /// The first 12 hex digits of the BLAKE3 hash over names and texts of the files.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Decides a message, and writes into it what rules contribute: topic (classifier `rules`, when the source gave
    /// none), flags, legal hint, deadlines. `message.data.routing` is left to the caller: there may be several.
    ///
    /// Deciding again gives the same decision. `now` starts the clocks of a message without any time of its own.
    pub fn decide(&self, message: &mut Message, now: Timestamp) -> Decision {
        let (decision, changes) = {
            let mut facts = self.compiled.vocabulary.facts_at(message, now);
            let verdict = Verdict::reach(&self.compiled, message, &mut facts, now);
            let sight = Sight {
                message,
                facts: &facts,
                decided: &verdict.decided,
            };
            let decision = decision::make(self, &verdict, &sight);
            let changes = decision::Changes::of(&verdict, &decision);
            (decision, changes)
        };
        changes.apply(message);
        decision
    }

    /// Every step of the decision: what each rule that was looked at saw, wanted, and why not.
    pub fn explain(&self, message: &Message, now: Timestamp) -> Explanation {
        explain::explain(self, message, now)
    }

    /// What one rule, route or deadline sees in a message («почему не это правило?»). `None` for an unknown id.
    pub fn why(&self, message: &Message, now: Timestamp, id: &str) -> Option<RuleTrace> {
        explain::why(self, message, now, id)
    }

    /// Runs the tests that stand beside the rules.
    pub fn run_tests(&self) -> TestReport {
        cases::run(self)
    }

    /// Ids of all rules, routes, tables and deadlines: the closed set of values of the metric label `rule`. A row of a
    /// table is none of them: `matched` names the table before it.
    pub fn rule_ids(&self) -> impl Iterator<Item = &str> {
        let mut ids: Vec<&str> = self
            .compiled
            .classify
            .iter()
            .map(|rule| rule.head.id.as_str())
            .collect();
        collect_heads(&self.compiled.route, &mut |head| ids.push(head.id.as_str()));
        ids.extend(self.compiled.deadlines.iter().map(|rule| rule.head.id.as_str()));
        ids.into_iter()
    }

    /// Names of policies for personal data that rules and routes give, each once.
    pub fn personal_data_names(&self) -> std::collections::BTreeSet<&str> {
        let rules = self.compiled.classify.iter();
        let mut names: std::collections::BTreeSet<&str> = rules
            .filter_map(|rule| rule.set.handling.as_ref()?.personal_data.as_deref())
            .collect();
        collect_routes(&self.compiled.route, &mut |route| {
            names.extend(route.target.personal_data.as_deref());
        });
        names
    }

    /// What stands in the files themselves, not in the parts they include.
    fn own_heads(&self) -> impl Iterator<Item = &Head> {
        let mut heads: Vec<&Head> = self.compiled.classify.iter().map(|rule| &rule.head).collect();
        collect_heads(&self.compiled.route, &mut |head| heads.push(head));
        heads.extend(self.compiled.deadlines.iter().map(|rule| &rule.head));
        heads.into_iter().filter(|head| !include::is_part(&head.origin.file))
    }

    /// What looks like a slip and is no error, in Russian, with file and line: a channel nobody knows.
    pub fn warnings(&self) -> Vec<String> {
        warnings::find(self)
    }

    /// Proves dead, shadowed and conflicting entries, routes that only the default catches, useless and suspicious words.
    /// Each finding about messages brings one, and the engine has confirmed it.
    pub fn lint(&self) -> Vec<Finding> {
        lint::run(self)
    }

    /// The id of a rule, route or deadline that `word` most likely meant.
    pub fn nearest_id(&self, word: &str) -> Option<&str> {
        error::nearest(word, self.rule_ids())
    }

    /// The rule that set the sector of a decision of this set: the first that matched and sets one.
    pub fn sector_rule(&self, decision: &Decision) -> Option<&str> {
        let matched = &decision.main().matched;
        let mut rules = self.compiled.classify.iter().filter(|rule| rule.set.sector.is_some());
        rules
            .find(|rule| matched.contains(&rule.head.id))
            .map(|rule| rule.head.id.as_str())
    }

    /// Russian name of a sector; the id itself when the files declare none.
    pub fn sector_name<'a>(&'a self, id: &'a str) -> &'a str {
        let mut sectors = self.compiled.sectors.iter();
        sectors.find(|(known, _)| known == id).map_or(id, |(_, name)| name)
    }

    /// The tables: id, name, number of rows.
    pub fn tables(&self) -> Vec<(&str, &str, usize)> {
        let mut tables: Vec<(&str, &str, usize)> = Vec::new();
        collect_routes(&self.compiled.route, &mut |route| {
            let Some(table) = &route.table else { return };
            match tables.iter_mut().find(|(id, ..)| *id == table.id) {
                Some((.., rows)) => *rows += 1,
                None => tables.push((&table.id, &table.name, 1)),
            }
        });
        tables
    }

    /// Ids of the routes that are no rows.
    fn route_ids(&self) -> Vec<&str> {
        let mut ids = Vec::new();
        collect_heads(&self.compiled.route, &mut |head| ids.push(head.id.as_str()));
        ids
    }
}

/// Files of the starter set, in the order of their names.
const STARTER: [(&str, &str); 4] = [
    (
        "config/rules/10-sectors.yaml",
        include_str!("../../config/rules/10-sectors.yaml"),
    ),
    (
        "config/rules/20-text.yaml",
        include_str!("../../config/rules/20-text.yaml"),
    ),
    (
        "config/rules/30-routes.yaml",
        include_str!("../../config/rules/30-routes.yaml"),
    ),
    (
        "config/rules/40-deadlines.yaml",
        include_str!("../../config/rules/40-deadlines.yaml"),
    ),
];

/// Calls `visit` with the stem and the written form of every word of a text, as rules see them. Words too long to be one
/// are left out.
pub fn each_word(text: &str, mut visit: impl FnMut(&str, &str)) {
    normal::for_each_word(text, |word, span| {
        if let Some(stem) = vocabulary::stem(word) {
            visit(&stem, &text[span.start..span.end]);
        }
    });
}

fn collect_routes<'r>(route: &'r Route, visit: &mut dyn FnMut(&'r Route)) {
    visit(route);
    for child in &route.children {
        collect_routes(child, visit);
    }
}

/// Heads of all routes, of a table instead of its rows.
fn collect_heads<'r>(route: &'r Route, visit: &mut dyn FnMut(&'r Head)) {
    visit(&route.head);
    let mut last: Option<&str> = None;
    for child in &route.children {
        match &child.table {
            Some(table) if last == Some(&table.id) => {}
            Some(table) => {
                visit(table);
                last = Some(&table.id);
            }
            None => collect_heads(child, visit),
        }
    }
}

fn version_of(files: &[(PathBuf, String)], tables: &Tables) -> String {
    let mut hasher = blake3::Hasher::new();
    for (path, text) in files {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        for part in [name.as_bytes(), text.as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    tables.hash_into(&mut hasher);
    hasher.finalize().to_hex().as_str()[..VERSION_DIGITS].to_owned()
}
