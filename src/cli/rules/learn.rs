//! `priem rules learn`: rules proposed from labelled history.

use std::{io::Write, path::PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use super::{DONE, ENVIRONMENT, FINDING, evaluate::HistoryArgs, report_errors};
use crate::cli::output;
use priem_rules::RuleSet;
use priem_rules::studio::learn::{LearnSettings, learn};

/// Arguments of `priem rules learn`.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:
  priem rules learn --data history.csv --text-column Текст --label-column Отрасль > proposal.yaml
  priem rules learn --data history.csv --text-column text --label-column code --labels map.yaml \\
      --base config/rules --output proposal.yaml

The proposal is a file to read and edit; nothing is applied. Words come from citizens' texts: names and numbers are left
out by shape, look again before the file leaves the office. Same data and seed give the same file.")]
pub(super) struct LearnArgs {
    #[command(flatten)]
    history: HistoryArgs,
    /// Propose only for what the rules of this folder leave undecided, as an addition to them
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// Seed of the split into learning and checking
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Part of the history held back to measure the rules on
    #[arg(long, default_value_t = 0.2, value_name = "SHARE")]
    holdout: f64,
    /// Leave out the last rule, which gives the commonest sector to everything no other rule takes
    #[arg(long)]
    no_catch_all: bool,
    /// Write the proposal here; without it, to the standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print figures and rules as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(out: &mut dyn Write, args: &LearnArgs) -> Result<u8> {
    let base = match args.base.as_deref().map(RuleSet::load).transpose() {
        Ok(base) => base,
        Err(errors) => return report_errors(out, &errors, args.json),
    };
    let (history, labels) = match args.history.read() {
        Ok(read) => read,
        Err(error) => {
            output::say!("{error}");
            return Ok(ENVIRONMENT);
        }
    };
    let settings = LearnSettings {
        seed: args.seed,
        holdout: args.holdout,
        catch_all: !args.no_catch_all,
    };
    let proposal = match learn(&history, &labels, base.as_ref(), &settings) {
        Ok(proposal) => proposal,
        Err(error) => {
            output::say!("{error}");
            return Ok(FINDING);
        }
    };
    if let Some(path) = &args.output {
        std::fs::write(path, &proposal.yaml).with_context(|| path.display().to_string())?;
    }
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&proposal)?)?;
    } else if args.output.is_none() {
        write!(out, "{}", proposal.yaml)?;
    }
    Ok(DONE)
}
