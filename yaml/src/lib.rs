//! YAML as Priem reads it everywhere: settings, manifests and rules.
//!
//! - Every key and value knows its line.
//! - A scalar keeps its words. What it means is decided by whoever reads it: `007` is a name for a file, `no` is a column
//!   or "off". So a file never says something else than what is written in it.
//! - `<<` takes in the keys of other mappings, as YAML 1.1 has it; a key of the mapping's own wins.
//! - A byte-order mark is no matter. A key given twice, a second document, and a file that repeats itself without end are
//!   refused with their line ([`NotYaml`], in English and in Russian).
//!
//! What a misspelt name most likely meant ([`nearest`]) is answered here too, for all who read what people write.
//!
//! Rules walk over the tree themselves; settings and manifests read it into types by serde ([`Node`] is a
//! `Deserializer`).

mod nearest;
mod parse;
mod problem;
mod read;
mod scalar;
mod tree;

pub use nearest::nearest;
pub use parse::parse;
pub use problem::{NotYaml, Problem};
pub use read::{Cause, Wrong, from_str};
pub use scalar::{Meaning, Scalar};
pub use tree::{Entry, Key, Node, Value};
