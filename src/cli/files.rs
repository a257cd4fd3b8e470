//! `priem files`: looks at export files without importing them.

mod report;

use std::path::{Path, PathBuf};

use priem_connectors::files::{
    FilesSettings,
    config::{DelimiterSetting, EncodingSetting},
    headers,
    probe::{self, ProbeReport},
};

use super::{DONE, ENVIRONMENT, FINDING, USAGE, output};

/// Look at export files.
#[derive(Debug, clap::Args)]
pub struct FilesArgs {
    #[command(subcommand)]
    command: FilesCommand,
}

#[derive(Debug, clap::Subcommand)]
enum FilesCommand {
    /// Show what a file is, what its columns mean and what would become of its rows. Imports nothing.
    ///
    /// Exit code 0: all rows are good. 1: the file was not understood or has bad rows. 3: there is no such file.
    Probe(ProbeArgs),
    /// Print in Russian which headers are known, with all their spellings: what to ask the operator of a system for
    ///
    /// Exit code 0: printed. 2: there is no such mapping.
    Columns(ColumnsArgs),
    /// Show what yesterday's exports would become: rows understood, sectors and recipients, terms, likely duplicates
    ///
    /// Takes a folder with exports of «Инцидент менеджмент», ПОС, «Управляем вместе», 59-ФЗ and votes, each told by its
    /// headers. Needs no broker, no tokens and no settings, and changes nothing.
    Report(report::ReportArgs),
}

#[derive(Debug, clap::Args)]
struct ProbeArgs {
    /// XLSX or CSV file.
    file: PathBuf,
    /// Print the report as JSON, the first messages in full.
    #[arg(long)]
    json: bool,
    /// How many of the first rows to show as messages.
    #[arg(long, default_value_t = 3, value_name = "N")]
    rows: usize,
    /// What the file is: incident, pos, uv, fz59, votes, mss, or auto (by its headers); `--column` needs a name
    #[arg(long, default_value = "incident", value_name = "NAME")]
    mapping: String,
    /// Time zone of the dates in the file.
    #[arg(long, default_value = "Asia/Yekaterinburg", value_name = "ZONE")]
    zone: String,
    /// Encoding of a CSV: auto, utf-8, windows-1251.
    #[arg(long, default_value = "auto", value_parser = encoding)]
    encoding: EncodingSetting,
    /// Delimiter of a CSV: auto, `;`, `,`, tab.
    #[arg(long, default_value = "auto", value_parser = delimiter)]
    delimiter: DelimiterSetting,
    /// For files without a header row, once per column: `--column A=number --column AI=text`.
    #[arg(long = "column", value_name = "LETTER=FIELD", value_parser = column)]
    columns: Vec<(String, String)>,
}

#[derive(Debug, clap::Args)]
struct ColumnsArgs {
    /// What kind of file: incident, pos, uv, fz59, votes, mss, or auto (all of them)
    #[arg(default_value = "auto", value_name = "MAPPING")]
    mapping: String,
}

fn encoding(text: &str) -> Result<EncodingSetting, String> {
    serde_json::from_value(text.into()).map_err(|_| "one of auto, utf-8, windows-1251".into())
}

fn delimiter(text: &str) -> Result<DelimiterSetting, String> {
    serde_json::from_value(text.into()).map_err(|_| "one of auto, ;, ,, tab".into())
}

fn column(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(letter, field)| (letter.trim().to_owned(), field.trim().to_owned()))
        .ok_or_else(|| "write it like AI=text".into())
}

/// Runs the command; the exit code on success. `rules_dir` gives the rules folder of the settings, when there are any.
///
/// # Errors
/// When the report can't be printed.
pub fn run(args: FilesArgs, rules_dir: &dyn Fn() -> anyhow::Result<Option<PathBuf>>) -> anyhow::Result<u8> {
    match args.command {
        FilesCommand::Probe(args) => run_probe(args),
        FilesCommand::Columns(args) => run_columns(&args),
        FilesCommand::Report(args) => report::run(&args, rules_dir),
    }
}

fn run_columns(args: &ColumnsArgs) -> anyhow::Result<u8> {
    let Some(text) = headers::known(&args.mapping) else {
        let known = headers::names().join(", ");
        output::say!("unknown mapping `{}`, known: {known}", args.mapping);
        return Ok(USAGE);
    };
    output::lines(&text)?;
    Ok(DONE)
}

fn run_probe(args: ProbeArgs) -> anyhow::Result<u8> {
    if let Err(error) = std::fs::File::open(&args.file) {
        output::say!("{}: {error}", args.file.display());
        return Ok(ENVIRONMENT);
    }
    if !args.file.is_file() {
        output::say!("{}: not a file", args.file.display());
        return Ok(ENVIRONMENT);
    }
    let mut settings = FilesSettings::new(".");
    settings.mapping = args.mapping;
    settings.zone = args.zone;
    settings.encoding = args.encoding;
    settings.delimiter = args.delimiter;
    settings.columns = args.columns.into_iter().collect();
    let report = match look(&args.file, &settings, args.rows) {
        Ok(report) => report,
        Err(error) => {
            output::say!("{error}");
            return Ok(USAGE);
        }
    };
    if args.json {
        output::json(&report)?;
    } else {
        output::lines(&report.render())?;
    }
    Ok(if report.is_clean() { DONE } else { FINDING })
}

/// Reads the file, with a progress bar when somebody watches.
fn look(file: &Path, settings: &FilesSettings, rows: usize) -> Result<ProbeReport, priem_sdk::ConfigError> {
    let bar = output::progress("{bar:40} {bytes}/{total_bytes} {eta}");
    let report = probe::probe(file, settings, rows, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    report
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        files: FilesArgs,
    }

    fn exit_code(arguments: &[&str]) -> u8 {
        let cli = Cli::try_parse_from([&["priem", "probe"], arguments].concat()).expect("arguments");
        run(cli.files, &|| Ok(None)).expect("runs")
    }

    #[test]
    fn the_headers_of_a_known_mapping_are_printed() {
        let columns = |arguments: &[&str]| {
            let cli = Cli::try_parse_from([&["priem", "columns"], arguments].concat()).expect("arguments");
            run(cli.files, &|| Ok(None)).expect("runs")
        };
        assert_eq!(
            (columns(&["pos"]), columns(&[]), columns(&["poz"])),
            (DONE, DONE, USAGE)
        );
    }

    #[test]
    fn exit_codes_tell_what_was_found() {
        let folder = tempfile::tempdir().expect("folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("write");
            path.to_str().expect("a path").to_owned()
        };
        let good = write("good.csv", "Номер инцидента;Тема;Текст инцидента\n770001;Ямы;Яма\n");
        let bad_row = write("bad.csv", "Номер инцидента;Тема;Текст инцидента\n;Ямы;Яма\n");
        let headerless = write("none.csv", "770001;Ямы;Яма\n");
        assert_eq!(exit_code(&[&good]), DONE);
        assert_eq!(exit_code(&[&good, "--json", "--rows", "1"]), DONE);
        assert_eq!(exit_code(&[&bad_row]), FINDING);
        assert_eq!(exit_code(&[&headerless]), FINDING);
        assert_eq!(
            exit_code(&[&headerless, "--column", "A=number", "--column", "C=text"]),
            DONE
        );
        assert_eq!(exit_code(&[&good, "--zone", "Perm"]), USAGE);
        assert_eq!(
            exit_code(&[folder.path().join("no.csv").to_str().expect("a path")]),
            ENVIRONMENT
        );
    }
}
