//! `priem connectors list|schema|conformance|test|new`: straight from the registry, and manifests.

mod conformance;
mod manifests;

use clap::Subcommand;

use super::{DONE, USAGE, output};
use crate::runtime::registry;

/// Arguments of `priem connectors`.
#[derive(Debug, Subcommand)]
pub enum ConnectorsCommand {
    /// Every kind of connector this build knows
    List {
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// JSON Schema of one kind's settings, or a commented example
    Schema {
        /// Kind of connector, as in `type:`
        kind: String,
        /// A commented YAML entry instead of the schema
        #[arg(long)]
        example: bool,
    },
    /// Examine whether connectors keep the contract: nothing lost or doubled, whatever the source sends and wherever
    /// the process dies. Needs no settings and no network
    Conformance {
        /// Kind of connector, as in `type:`; all of them when left out
        kind: Option<String>,
        /// A list of results in JSON instead of the report
        #[arg(long)]
        json: bool,
    },
    /// Run the fixtures inside manifests: each sample against what the manifest says must come of it
    Test(manifests::TestArgs),
    /// Write a manifest to start from, or the folder of a connector in Rust; both pass their tests as they are
    New(manifests::NewArgs),
}

/// Prints.
pub fn run(command: ConnectorsCommand) -> anyhow::Result<u8> {
    match command {
        ConnectorsCommand::List { json: true } => {
            let list: Vec<_> = registry()
                .iter()
                .map(|kind| serde_json::json!({"type": kind.name, "title": kind.title, "summary": kind.summary}))
                .collect();
            output::json(&list)?;
        }
        ConnectorsCommand::List { json: false } => {
            let rows: Vec<_> = registry()
                .iter()
                .map(|kind| vec![kind.name.into(), kind.title.into(), kind.summary.into()])
                .collect();
            output::lines(&output::table(&["TYPE", "TITLE", "WHAT IT BRINGS"], &rows))?;
        }
        ConnectorsCommand::Schema { kind, example } => {
            let Some(found) = registry().iter().find(|known| known.name == kind) else {
                return Ok(unknown(&kind));
            };
            if example {
                output::lines(found.example)?;
            } else {
                output::json(&(found.schema)())?;
            }
        }
        ConnectorsCommand::Test(arguments) => return manifests::test(&arguments),
        ConnectorsCommand::New(arguments) => return manifests::new(&arguments),
        ConnectorsCommand::Conformance { kind, json } => return conformance::run(kind.as_deref(), json),
    }
    Ok(DONE)
}

/// Says that there is no such kind, and which there are.
fn unknown(kind: &str) -> u8 {
    let known: Vec<_> = registry().iter().map(|kind| kind.name).collect();
    output::say!("error: no connector type `{kind}`; known: {}", known.join(", "));
    USAGE
}
