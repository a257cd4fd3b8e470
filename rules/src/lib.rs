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

pub mod studio;
pub mod words;

mod cases;
mod clock;
mod engine;
mod explain;
mod language;
mod lint;
mod rule_set;
mod territory;
#[cfg(test)]
mod tests;

pub use cases::{Coverage, TestFailure, TestReport};
pub use engine::{condition::Check, decision::Decision};
pub use explain::{Explanation, RouteStep, RuleTrace, TerritoryTrace};
pub use language::{
    error::{RuleError, RuleErrors},
    schema::json_schema,
    themes::{Theme, themes},
};
pub use lint::{Finding, Level, Witness};
pub use rule_set::RuleSet;
