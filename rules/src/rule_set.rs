//! A compiled set of rules, and all that can be asked of it.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use priem_message::Message;
use priem_yaml::nearest;

use crate::cases::{self, TestReport};
use crate::engine::compiled::Compiled;
use crate::engine::decision::{self, Decision};
use crate::engine::model::{collect_heads, collect_routes};
use crate::explain::{self, Explanation, RuleTrace};
use crate::language::cases::TestCase;
use crate::language::error::RuleErrors;
use crate::language::tables::Tables;
use crate::language::{compile, include, load, warnings};
use crate::lint::{self, Finding};

/// A compiled, immutable set of rules. Share it between threads behind an `Arc`; a reload swaps the whole set.
#[derive(Debug)]
pub struct RuleSet {
    pub(crate) compiled: Compiled,
    tests: Vec<TestCase>,
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
        let (compiled, tests) = compile::compile(&files, tables, version_of(&files, tables))?;
        Ok(Self { compiled, tests })
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
        &self.compiled.version
    }

    /// Decides a message, and writes into it what rules contribute: topic (classifier `rules`, when the source gave
    /// none), flags, legal hint, deadlines. `message.data.routing` is left to the caller: there may be several.
    ///
    /// Deciding again gives the same decision. `now` starts the clocks of a message without any time of its own.
    pub fn decide(&self, message: &mut Message, now: Timestamp) -> Decision {
        decision::decide(&self.compiled, message, now)
    }

    /// Every step of the decision: what each rule that was looked at saw, wanted, and why not.
    pub fn explain(&self, message: &Message, now: Timestamp) -> Explanation {
        explain::explain(&self.compiled, message, now)
    }

    /// What one rule, route or deadline sees in a message («почему не это правило?»). `None` for an unknown id.
    pub fn why(&self, message: &Message, now: Timestamp, id: &str) -> Option<RuleTrace> {
        explain::why(&self.compiled, message, now, id)
    }

    /// Runs the tests that stand beside the rules.
    pub fn run_tests(&self) -> TestReport {
        cases::run(&self.compiled, &self.tests)
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

    /// What looks like a slip and is no error, in Russian, with file and line: a channel nobody knows.
    pub fn warnings(&self) -> Vec<String> {
        warnings::find(&self.compiled)
    }

    /// Proves dead, shadowed and conflicting entries, routes that only the default catches, useless and suspicious words.
    /// Each finding about messages brings one, and the engine has confirmed it.
    pub fn lint(&self) -> Vec<Finding> {
        lint::run(&self.compiled)
    }

    /// The id of a rule, route or deadline that `word` most likely meant.
    pub fn nearest_id(&self, word: &str) -> Option<&str> {
        nearest(word, self.rule_ids())
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
        self.compiled.sector_name(id)
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
