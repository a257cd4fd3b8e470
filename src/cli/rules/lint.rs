//! `priem rules lint`: what the rules can never do, with messages that show it.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::{DONE, FINDING, load, report_errors};
use priem_rules::Level;

/// Arguments of `priem rules lint`.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:
  priem rules lint config/rules
  priem rules lint --json | jq '.findings[] | select(.level == \"error\")'

Proves dead, shadowed and conflicting entries and routes that only the default catches, and shows a made-up message for
each that the engine has confirmed. What can't be proved in reasonable time is not reported.
Exit codes: 0 no errors (there may be warnings and notes), 1 errors, 3 the folder can't be read.")]
pub(super) struct LintArgs {
    /// Folder with rule files (*.yaml)
    dir: Option<PathBuf>,
    /// Leave notes out
    #[arg(long)]
    no_notes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(out: &mut dyn Write, args: &LintArgs, default: Option<&Path>) -> Result<u8> {
    let rules = match load(args.dir.as_deref(), default) {
        Ok(rules) => rules,
        Err(errors) => return report_errors(out, &errors, args.json),
    };
    let mut findings = rules.lint();
    if args.no_notes {
        findings.retain(|finding| finding.level != Level::Note);
    }
    let count = |level: Level| findings.iter().filter(|finding| finding.level == level).count();
    let (errors, warnings, notes) = (count(Level::Error), count(Level::Warning), count(Level::Note));
    if args.json {
        let answer = json!({
            "ok": errors == 0, "version": rules.version(), "errors": errors, "warnings": warnings, "notes": notes,
            "findings": findings,
        });
        writeln!(out, "{answer}")?;
    } else {
        for finding in &findings {
            writeln!(out, "{}", finding.render_ru())?;
        }
        writeln!(out, "Ошибок: {errors}, предупреждений: {warnings}, замечаний: {notes}")?;
    }
    Ok(if errors == 0 { DONE } else { FINDING })
}
