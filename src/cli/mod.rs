//! The command line: one file a subcommand, exit codes 0 done, 1 a finding, 2 usage, 3 environment, 4 a fault of our own.

// What people see goes through `output`, which lets no control character through.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod check;
mod connectors;
mod demo;
mod files;
mod journal;
mod output;
mod quarantine;
mod reload;
mod rules;
mod run;
mod schema;
mod why;

use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, Subcommand};

use crate::{
    attachments::StoreError,
    journal::JournalError,
    runtime::build::BuildError,
    settings::{self, Settings, SettingsError},
};

/// Everything is as it should be.
pub const DONE: u8 = 0;
/// The command worked and found something wrong.
pub const FINDING: u8 = 1;
/// The command line or the settings are wrong.
pub const USAGE: u8 = 2;
/// Files, network or rights are in the way.
pub const ENVIRONMENT: u8 = 3;
/// A part of the daemon ended again and again, or can't be made anew while it runs: a bug; start it afresh.
pub const FAULT: u8 = 4;

/// Where the settings are looked for, in this order, when `--config` is not given.
const PLACES: &[&str] = &["priem.yaml", "/etc/priem/priem.yaml"];

const AFTER_HELP: &str = "\
First steps:
  priem demo                       watch a simulated city go through the real daemon
  priem check -c priem.yaml        prove tokens, rights, rules and the broker before starting
  priem run -c priem.yaml          start
  priem why ID                     why a message went where it went

Exit codes: 0 done, 1 a finding (something is wrong with what was looked at), 2 usage or settings, 3 environment,
4 a fault of priem itself (the daemon ends to be started afresh).";

/// Intake of citizens' messages: every channel in, one schema, auto-rules, RabbitMQ out.
#[derive(Debug, Parser)]
#[command(name = "priem", version, about, after_help = AFTER_HELP, propagate_version = true)]
pub struct Cli {
    /// Settings file [default: ./priem.yaml, then /etc/priem/priem.yaml]
    #[arg(short, long, global = true, env = "PRIEM_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the daemon and stay in the foreground
    Run(run::RunArgs),
    /// Start a simulated city and the real daemon, and show what came in, where it went and why
    Demo(demo::DemoArgs),
    /// Prove settings, rules, tokens, rights and the broker, without changing anything
    Check(check::CheckArgs),
    /// Kinds of connectors and their settings
    #[command(subcommand)]
    Connectors(connectors::ConnectorsCommand),
    /// Files of exports: look at one before it is imported
    Files(files::FilesArgs),
    /// Auto-rules (автоправила): check, test, lint, measure, compare, learn, explain
    Rules(rules::RulesArgs),
    /// Let the running daemon read its rules again, without a stop
    Reload(reload::ReloadArgs),
    /// Why a message went where it went («почему сюда?»)
    Why(why::WhyArgs),
    /// Items that could not be understood, or that no queue took
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
    /// The journal: counts, consistency, export
    #[command(subcommand)]
    Journal(journal::JournalCommand),
    /// JSON Schemas of what goes in and out
    #[command(subcommand)]
    Schema(schema::SchemaCommand),
    /// Completions for a shell, on standard output
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// The manual page, on standard output
    Man,
}

/// Parses the command line and does what it says. Gives the exit code.
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(USAGE);
        }
    };
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            if is_broken_pipe(&error) {
                return DONE;
            }
            output::say!("error: {}", chain(&error));
            code_of(&error)
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<u8> {
    let config = cli.config.as_deref();
    match cli.command {
        Command::Run(arguments) => run::run(arguments, &config_path(config)?),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Check(arguments) => check::run(arguments, &config_path(config)?),
        Command::Connectors(command) => connectors::run(command),
        Command::Files(arguments) => files::run(arguments, &|| rules_dir(config)),
        Command::Rules(arguments) => rules::run(arguments, rules_dir(config)?.as_deref(), config),
        Command::Reload(arguments) => reload::run(arguments, &settings_of(config)?),
        Command::Why(arguments) => why::run(arguments, &settings_of(config)?),
        Command::Quarantine(command) => quarantine::run(command, &settings_of(config)?),
        Command::Journal(command) => journal::run(command, &settings_of(config)?),
        Command::Schema(command) => schema::run(command),
        Command::Completions { shell } => {
            // Generating panics when it can't write, so it does not write to the pipe itself.
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "priem", &mut text);
            std::io::Write::write_all(&mut std::io::stdout(), &text)?;
            Ok(DONE)
        }
        Command::Man => {
            clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout())?;
            Ok(DONE)
        }
    }
}

/// The settings file that was named, or the first one there is.
fn config_path(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    PLACES
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .ok_or_else(|| {
            anyhow::anyhow!(
                "no settings file: looked for {}; name one with --config FILE, or start from config/priem.yaml",
                PLACES.join(" and ")
            )
        })
}

/// The settings, with paths made absolute from the file's folder.
fn settings_of(named: Option<&Path>) -> anyhow::Result<Settings> {
    let path = config_path(named)?;
    let mut settings = settings::load(&path)?;
    settings.start_paths_from(&settings::absolute(path.parent().unwrap_or_else(|| Path::new("."))));
    Ok(settings)
}

/// The rules folder of the settings, when there are settings at all.
fn rules_dir(named: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    match config_path(named) {
        Ok(_) => Ok(settings_of(named)?.rules.dir),
        Err(_) => Ok(None),
    }
}

fn code_of(error: &anyhow::Error) -> u8 {
    let settings = error
        .downcast_ref::<SettingsError>()
        .or(match error.downcast_ref::<BuildError>() {
            Some(BuildError::Settings(error)) => Some(error),
            Some(BuildError::Rules(_) | BuildError::Attachments(StoreError::Settings(_))) => return USAGE,
            Some(BuildError::Publish(error)) if error.is_mistake => return USAGE,
            _ => None,
        });
    if let Some(JournalError::TooNew { .. }) = error.downcast_ref::<JournalError>() {
        return USAGE;
    }
    match settings {
        Some(SettingsError::Wrong { .. }) => USAGE,
        _ => ENVIRONMENT,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| match cause.downcast_ref::<serde_json::Error>() {
            Some(json) => json.io_error_kind(),
            None => cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind),
        })
        .any(|kind| kind == std::io::ErrorKind::BrokenPipe)
}

/// An error and its causes, each said once.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_said_once() {
        let error = anyhow::anyhow!("disk full")
            .context("a.yaml: disk full")
            .context("reading");
        assert_eq!(chain(&error), "reading: a.yaml: disk full");
    }

    #[test]
    fn a_closed_pipe_is_known_in_json_too() {
        struct Closed;
        impl std::io::Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let error = serde_json::to_writer(Closed, &1).unwrap_err();
        assert!(is_broken_pipe(&error.into()));
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
