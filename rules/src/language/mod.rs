//! The language of rule files: its keys (`keys`), one reader per kind of entry, and `compile`, which makes a set of them.
//!
//! Every error names file, line and cure, and reading goes on after it.

pub(crate) mod calendar;
pub(crate) mod cases;
pub(crate) mod compile;
pub(crate) mod condition;
pub(crate) mod deadlines;
pub(crate) mod error;
pub(crate) mod include;
pub(crate) mod keys;
pub(crate) mod load;
pub(crate) mod named;
pub(crate) mod reader;
pub(crate) mod rules;
pub(crate) mod schema;
pub(crate) mod tables;
pub(crate) mod territories;
pub(crate) mod themes;
pub(crate) mod warnings;
