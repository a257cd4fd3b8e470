//! Deciding: what holds for a message (`facts`), which rules that could fulfil (`index`), what they ask (`condition`,
//! `term`), what came of it (`verdict`) and what travels on (`decision`). Knows no files: `language` builds the `model`.

pub(crate) mod compiled;
pub(crate) mod condition;
pub(crate) mod decision;
pub(crate) mod facts;
pub(crate) mod fields;
pub(crate) mod index;
pub(crate) mod model;
pub(crate) mod moment;
pub(crate) mod places;
pub(crate) mod sentences;
pub(crate) mod term;
pub(crate) mod verdict;
pub(crate) mod vocabulary;
