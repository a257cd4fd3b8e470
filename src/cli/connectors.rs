//! `priem connectors list|schema`: straight from the registry.

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
                let known: Vec<_> = registry().iter().map(|kind| kind.name).collect();
                eprintln!("error: no connector type `{kind}`; known: {}", known.join(", "));
                return Ok(USAGE);
            };
            if example {
                output::lines(found.example)?;
            } else {
                output::json(&(found.schema)())?;
            }
        }
    }
    Ok(DONE)
}
