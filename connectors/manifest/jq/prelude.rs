//! Which named filters exist: the pure part of jq's standard library, and Priem's own.

use std::sync::LazyLock;

use jaq_core::{load::parse::Def, native::Fun};

use super::{
    guard::{self, Kind},
    natives, regex, stdlib,
};

/// Filters of the standard library that look outside, write somewhere, or end the program, and those made of them.
/// `localtime` and its kin read the zone of the machine.
pub(super) const IMPURE: [&str; 13] = [
    "input",
    "inputs",
    "now",
    "env",
    "halt",
    "halt_error",
    "localtime",
    "strflocaltime",
    "debug",
    "debug_empty",
    "stderr",
    "stderr_empty",
    "input_filename",
];

static DEFINITIONS: LazyLock<Vec<Def<&'static str>>> = LazyLock::new(|| {
    jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs())
        .filter(|definition| !IMPURE.contains(&definition.name))
        .chain(stdlib::definitions())
        .map(guard::instrument_definition)
        .collect()
});

/// Definitions every filter stands behind.
pub(super) fn definitions<'s>() -> impl Iterator<Item = Def<&'s str>> {
    let shorten = |definition: Def<&'static str>| -> Def<&'s str> { definition };
    gates().into_iter().chain(DEFINITIONS.iter().cloned()).map(shorten)
}

fn gates() -> Vec<Def<&'static str>> {
    jaq_core::load::parse(natives::GATES, |parser| parser.defs()).unwrap_or_default()
}

/// Native filters.
pub(super) fn natives() -> impl Iterator<Item = Fun<Kind>> {
    jaq_core::funs()
        .chain(jaq_std::funs())
        .filter(|(name, _, _)| !IMPURE.contains(name) && !regex::NAMES.contains(name))
        .map(|(name, arguments, native)| {
            let gated = natives::GATED.iter().find(|(open, _)| *open == name);
            (gated.map_or(name, |(_, behind)| behind), arguments, native)
        })
        .chain(guard::steps())
        .chain(natives::natives())
        .chain(regex::natives())
        .chain(stdlib::natives())
}

/// Names and numbers of arguments of everything that can be called, for "did you mean".
pub(super) fn names() -> Vec<(String, usize)> {
    let defined = definitions().map(|definition| (definition.name.to_owned(), definition.args.len()));
    let native = natives().map(|(name, arguments, _)| (name.to_owned(), arguments.len()));
    defined
        .chain(native)
        .filter(|(name, _)| !name.starts_with("__"))
        .collect()
}
