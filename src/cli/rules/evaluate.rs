//! `priem rules evaluate`: rules against labelled history.

use std::{io::Write, path::PathBuf};

use anyhow::Result;
use clap::Args;

use super::{DONE, ENVIRONMENT, load, report_errors};
use crate::cli::output;
use priem_rules::studio::{
    evaluate::evaluate,
    history::{self, Labelled},
    labels::LabelMap,
};

/// Which rows, which columns, what the labels mean.
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// CSV or XLSX file with a header row; it holds personal data and is only read
    #[arg(long, value_name = "FILE")]
    pub(super) data: PathBuf,
    /// Header of the column with the texts (plain or HTML)
    #[arg(long, value_name = "NAME")]
    pub(super) text_column: String,
    /// Header of the column with the labels
    #[arg(long, value_name = "NAME")]
    pub(super) label_column: String,
    /// What the labels mean in sectors, as config/examples/pos-sector-labels.yaml; without it labels are ids of sectors
    #[arg(long, value_name = "FILE")]
    pub(super) labels: Option<PathBuf>,
}

impl HistoryArgs {
    /// Reads both files, or tells in Russian why not.
    pub(super) fn read(&self) -> Result<(Vec<Labelled>, LabelMap), String> {
        let labels = match &self.labels {
            Some(path) => LabelMap::load(path)?,
            None => LabelMap::identity(),
        };
        Ok((
            history::read(&self.data, &self.text_column, &self.label_column)?,
            labels,
        ))
    }
}

/// Arguments of `priem rules evaluate`.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:
  priem rules evaluate --data messages.csv --text-column text_html --label-column sector_code \\
      --labels config/examples/pos-sector-labels.yaml
  priem rules evaluate --data history.xlsx --text-column Текст --label-column Отрасль --rules config/rules --json

coverage = decided / rows, precision = right / decided, accuracy = right / rows.
--excerpts prints wrongly decided texts; they are masked by shape only, treat them as personal data.")]
pub(super) struct EvaluateArgs {
    #[command(flatten)]
    history: HistoryArgs,
    /// Folder with rule files (*.yaml)
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Show up to N wrong decisions with masked texts
    #[arg(long, value_name = "N", default_value_t = 0)]
    excerpts: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(out: &mut dyn Write, args: &EvaluateArgs, default: Option<&std::path::Path>) -> Result<u8> {
    let rules = match load(args.rules.as_deref(), default) {
        Ok(rules) => rules,
        Err(errors) => return report_errors(out, &errors, args.json),
    };
    let (history, labels) = match args.history.read() {
        Ok(read) => read,
        Err(error) => {
            output::say!("{error}");
            return Ok(ENVIRONMENT);
        }
    };
    let found = evaluate(&rules, &history, &labels, args.excerpts);
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&found)?)?;
    } else {
        write!(out, "{}", found.render_ru())?;
    }
    Ok(DONE)
}
