//! `priem rules preview`: what new rules would change, over the journal or a folder of exports.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use jiff::{SignedDuration, Timestamp, Zoned};
use priem_connectors::{
    CONNECTORS,
    files::{FilesSettings, probe},
};
use priem_sdk::Message;

use super::{DONE, ENVIRONMENT, load, report_errors};
use crate::{cli::output, delivery, journal::store::Store, runtime::build::Built};
use priem_rules::RuleSet;
use priem_rules::studio::{preview::Comparison, preview_page};

/// Stored items read at a time.
const BATCH: usize = 500;

/// Arguments of `priem rules preview`.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:
  priem rules preview new-rules --since 30d
  priem rules preview new-rules --since 30d --html preview.html
  priem rules preview new-rules --folder exports --old config/rules --json

Reads the journal of the settings (beside a running daemon, too), or with --folder the exports (XLSX, CSV of «Инцидент
менеджмент») and NDJSON messages in it. Changes nothing and publishes nothing. Samples are masked by shape only.")]
pub(super) struct PreviewArgs {
    /// Folder with the new rules
    new: PathBuf,
    /// How far back to look: 12h, 30d, 8w
    #[arg(long, default_value = "30d", value_parser = span, value_name = "SPAN")]
    since: SignedDuration,
    /// Folder with exports to look at in place of the journal; --since does not apply
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Rules to compare with; without it, those of the settings, else the built-in ones
    #[arg(long, value_name = "DIR")]
    old: Option<PathBuf>,
    /// Write a page to attach to an approval
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Masked samples per move
    #[arg(long, default_value_t = 3, value_name = "N")]
    samples: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `30d` and the like.
fn span(text: &str) -> Result<SignedDuration, String> {
    let wrong = || "write it like 12h, 30d or 8w".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let number: i64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    let hours = match unit {
        'h' => number,
        'd' => number.saturating_mul(24),
        'w' => number.saturating_mul(24 * 7),
        _ => return Err(wrong()),
    };
    if !(1..=24 * 366 * 20).contains(&hours) {
        return Err("between one hour and twenty years".into());
    }
    Ok(SignedDuration::from_hours(hours))
}

pub(super) fn run(
    out: &mut dyn Write,
    args: &PreviewArgs,
    default: Option<&Path>,
    config: Option<&Path>,
) -> Result<u8> {
    let old = match load(args.old.as_deref(), default) {
        Ok(rules) => rules,
        Err(errors) => return report_errors(out, &errors, args.json),
    };
    let new = match RuleSet::load(&args.new) {
        Ok(rules) => rules,
        Err(errors) => return report_errors(out, &errors, args.json),
    };
    let mut comparison = Comparison::new(&old, &new, args.samples);
    match &args.folder {
        Some(folder) => from_folder(folder, &mut comparison)?,
        None => {
            let config = super::super::config_path(config)?;
            from_journal(&config, Timestamp::now() - args.since, &mut comparison)?;
        }
    }
    let preview = comparison.finish();
    if let Some(path) = &args.html {
        let page = preview_page::html(&preview, &Zoned::now());
        output::private_file(path, &page)?;
    }
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&preview)?)?;
    } else {
        write!(out, "{}", preview_page::text(&preview))?;
    }
    if preview.messages == 0 {
        output::say!("no messages to compare: look further back with --since, or name a folder with --folder");
        return Ok(ENVIRONMENT);
    }
    Ok(DONE)
}

/// Stored items since a moment, normalised again as the daemon would.
fn from_journal(config: &Path, since: Timestamp, comparison: &mut Comparison<'_>) -> Result<()> {
    let built = Built::from_file(config, CONNECTORS)?;
    let store = Store::open(&built.settings.journal.dir)?;
    let mut seq = 0;
    loop {
        let records = store.raw_after(seq, BATCH)?;
        let Some(last) = records.last() else { return Ok(()) };
        seq = last.seq;
        for record in records.iter().filter(|record| record.raw.received_at >= since) {
            match delivery::messages(&built.connectors, record) {
                // Rules have no say in reminders of deadlines.
                Ok(messages) => {
                    let messages = messages.iter().filter(|message| !message.event.is_reminder());
                    messages.for_each(|message| comparison.take(message));
                }
                Err(_) => comparison.unreadable(1),
            }
        }
    }
}

/// Exports and NDJSON files of a folder, in the order of their names.
fn from_folder(folder: &Path, comparison: &mut Comparison<'_>) -> Result<()> {
    let named = || folder.display().to_string();
    let entries = std::fs::read_dir(folder).with_context(named)?;
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()
        .with_context(named)?;
    files.sort();
    let mut known = 0;
    for file in files {
        let extension = file
            .extension()
            .map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("csv" | "xlsx") => {
                let report = probe::probe(&file, &FilesSettings::new("."), usize::MAX, &mut |_, _| {})?;
                if let Some(failure) = &report.failure {
                    bail!("{}: {}", file.display(), failure.why);
                }
                comparison.unreadable(usize::try_from(report.bad_rows).unwrap_or(usize::MAX));
                report.messages.iter().for_each(|message| comparison.take(message));
            }
            Some("ndjson") => {
                let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
                for line in text.lines().filter(|line| !line.trim().is_empty()) {
                    match serde_json::from_str::<Message>(line) {
                        Ok(message) => comparison.take(&message),
                        Err(_) => comparison.unreadable(1),
                    }
                }
            }
            _ => continue,
        }
        known += 1;
    }
    if known == 0 {
        bail!("{}: no .xlsx, .csv or .ndjson file in it", folder.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        assert_eq!(span("30d"), Ok(SignedDuration::from_hours(720)));
        assert_eq!(span("2w"), Ok(SignedDuration::from_hours(336)));
        for wrong in ["", "d", "30", "30x", "-1d", "0h", "30д"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_folder_of_messages_is_compared() {
        let dir = tempfile::tempdir().expect("a folder");
        let message = priem_rules::studio::history::message("Яма на дороге");
        let line = serde_json::to_string(&message).expect("serialises");
        std::fs::write(dir.path().join("a.ndjson"), format!("{line}\nnot a message\n")).expect("written");
        let rules = RuleSet::starter();
        let mut comparison = Comparison::new(&rules, &rules, 1);
        from_folder(dir.path(), &mut comparison).expect("compared");
        let found = comparison.finish();
        assert_eq!((found.messages, found.unreadable, found.moved), (1, 1, 0));
        assert!(from_folder(&dir.path().join("none"), &mut Comparison::new(&rules, &rules, 1)).is_err());
    }
}
