//! `priem schema message|config|rules|manifest`.

use clap::Subcommand;

use super::{DONE, output};
use crate::{runtime::registry, settings};

/// Arguments of `priem schema`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum SchemaCommand {
    /// What is published: CloudEvents with the message, version 1
    Message,
    /// The settings file
    Config,
    /// Files of auto-rules, for editors that check while one writes
    Rules,
    /// Manifests of the connector `manifest`, for editors
    Manifest,
}

/// Prints a schema.
pub fn run(command: SchemaCommand) -> anyhow::Result<u8> {
    output::json(&match command {
        SchemaCommand::Message => priem_sdk::message::json_schema(),
        SchemaCommand::Config => settings::json_schema(registry()),
        SchemaCommand::Rules => priem_rules::json_schema(),
        SchemaCommand::Manifest => priem_connectors::manifest::model::json_schema(),
    })?;
    Ok(DONE)
}
