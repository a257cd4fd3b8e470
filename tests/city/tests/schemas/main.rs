//! Payloads of the simulators against the platforms' own schemas, so that a simulator and a connector can't share one
//! error.
//!
//! The schemas belong to others and are no part of this repository: `PRIEM_CHANNEL_SCHEMAS` names the folder with
//! `vk/`, `telegram/`, `max/` and `ok/` in it. Where the variable is not set, the tests say that nothing was compared.
//!
//! A new channel needs a file with a reader of its dialect (or uses one that is here: [`openapi`] for OpenAPI) and a
//! list of the places where the service is known to differ from its schema, each with its reason. A difference that is
//! not listed fails, and so does a listed one that no longer occurs.

mod ok;
mod openapi;
mod shape;
mod telegram;
mod vk;
mod vk_dialect;

use std::{collections::BTreeSet, io::Write, path::PathBuf};

use serde_json::Value;

/// Names the folder with the schemas.
const VARIABLE: &str = "PRIEM_CHANNEL_SCHEMAS";

/// The schemas of a channel; none, and a line on the terminal, where they are not at hand.
fn folder(channel: &str) -> Option<PathBuf> {
    let found = std::env::var_os(VARIABLE).map(|root| PathBuf::from(root).join(channel));
    if found.is_none() {
        // Straight to the terminal: the test harness swallows what is printed by tests that pass.
        let line =
            format!("{VARIABLE} is not set: payloads of the {channel} simulator are NOT compared with schemas\n");
        std::io::stderr().write_all(line.as_bytes()).expect("stderr");
    }
    found
}

fn read_json(path: &std::path::Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares what was found wrong with what is known to differ.
fn settle(found: BTreeSet<String>, known: &[(&str, &str)]) {
    let known: BTreeSet<String> = known.iter().map(|(what, _)| (*what).to_owned()).collect();
    let new: Vec<&String> = found.difference(&known).collect();
    let gone: Vec<&String> = known.difference(&found).collect();
    assert!(new.is_empty(), "differs from the schema: {new:#?}");
    assert!(gone.is_empty(), "listed as different, yet no longer seen: {gone:#?}");
}
