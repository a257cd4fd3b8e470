//! `priem files report DIR`: the first useful hour. Yesterday's exports in, a report in Russian out; nothing is imported.

mod duplicates;
mod gather;
mod html;
mod model;
mod privacy;
mod sections;

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use priem_connectors::files::FilesSettings;

use super::super::{DONE, ENVIRONMENT, FINDING, USAGE, output};
use priem_rules::RuleSet;

use crate::visible;
use gather::Question;
use sections::Section;

const AFTER_HELP: &str = "\
Examples:
  priem files report ./vygruzki                          the report on the terminal
  priem files report ./vygruzki --html report.html       the same as one file for a browser
  priem files report ./vygruzki --rules ./rules --json   with own rules, for programs

Files are told by their headers. Contacts in texts are masked; names of authors are not shown.
Exit codes: 0 everything was understood, 1 files or rows need a hand, 2 usage, 3 the folder can't be read.";

/// Arguments of `priem files report`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct ReportArgs {
    /// Folder with XLSX and CSV files
    folder: PathBuf,
    /// Also write the report as one HTML file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    /// Folder with rule files [default: that of the settings, else the rules built in]
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Classifier files instead of the one built in
    #[arg(long = "classifier", value_name = "FILE")]
    classifiers: Vec<PathBuf>,
    /// Time zone of the dates in the files and of the report
    #[arg(long, default_value = "Asia/Yekaterinburg", value_name = "ZONE")]
    zone: String,
    /// Terms that end within this many days are near
    #[arg(long, default_value_t = 3, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(0..=365))]
    near: u16,
    /// Report as of this moment, `2026-06-20T10:00`, instead of now
    #[arg(long, value_name = "TIME")]
    at: Option<civil::DateTime>,
}

/// Runs the command; the exit code on success.
///
/// # Errors
/// When the settings can't be read, or the report can't be written.
pub fn run(args: &ReportArgs, rules_dir: &dyn Fn() -> anyhow::Result<Option<PathBuf>>) -> anyhow::Result<u8> {
    let Ok(zone) = TimeZone::get(&args.zone) else {
        output::say!(
            "--zone: unknown time zone `{}`, write it like Asia/Yekaterinburg",
            args.zone
        );
        return Ok(USAGE);
    };
    let now = match args.at {
        Some(at) => zone.to_ambiguous_zoned(at).compatible()?.timestamp(),
        None => Timestamp::now(),
    };
    let dir = match &args.rules {
        Some(dir) => Some(dir.clone()),
        None => rules_dir()?,
    };
    let rules = match dir {
        Some(dir) => match RuleSet::load(&dir) {
            Ok(rules) => rules,
            Err(errors) => {
                output::say!("{errors}");
                return Ok(USAGE);
            }
        },
        None => RuleSet::starter(),
    };
    let mut settings = FilesSettings::new(&args.folder);
    settings.mapping = "auto".into();
    settings.zone.clone_from(&args.zone);
    settings.classifiers.clone_from(&args.classifiers);
    let question = Question {
        folder: &args.folder,
        now,
        near: SignedDuration::from_hours(24 * i64::from(args.near)),
        rules: &rules,
        settings: &settings,
        zone: &zone,
    };
    let report = match gather::gather(&question) {
        Ok(Ok(report)) => report,
        Ok(Err(error)) => {
            output::say!("{}: {error}", args.folder.display());
            return Ok(ENVIRONMENT);
        }
        Err(error) => {
            output::say!("{error}");
            return Ok(USAGE);
        }
    };
    if report.files.is_empty() {
        output::say!("{}: no XLSX or CSV files in it", args.folder.display());
        return Ok(ENVIRONMENT);
    }
    let sections = sections::sections(&report);
    if let Some(path) = &args.html {
        output::private_file(path, &html::render(&sections))?;
    }
    if args.json {
        output::json(&report)?;
    } else {
        output::lines(&render(&sections))?;
    }
    Ok(if report.is_clean() { DONE } else { FINDING })
}

/// The report for a terminal.
fn render(sections: &[Section]) -> String {
    let mut out = String::new();
    for section in sections {
        out.push_str(&format!("== {} ==\n", visible::line(&section.title)));
        for note in &section.notes {
            out.push_str(&format!("{}\n", visible::lines(note)));
        }
        if section.rows.is_empty() {
            out.push_str("Нет.\n\n");
            continue;
        }
        out.push_str(&output::table(&section.header, &section.rows));
        out.push_str("\n\n");
    }
    out
}
