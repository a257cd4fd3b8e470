//! The engine from rule files to decisions: what the language promises, what authors are told, properties over random
//! sets.

mod mistakes;
pub(crate) mod properties;
mod semantics;
mod speed;
mod territories;
