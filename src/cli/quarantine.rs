//! `priem quarantine list|show|retry|drop`: items that wait for a person. Works beside a running daemon.

use clap::{Args, Subcommand};

use super::{DONE, FINDING, USAGE, output};
use crate::{
    journal::{held::Held, store::Store},
    settings::Settings,
};

const AFTER_HELP: &str = "\
Examples:
  priem quarantine list
  priem quarantine show --raw 1207
  priem quarantine retry --reason unknown_kind     after an update that knows the kind
  priem quarantine retry --all                     after a missing queue was bound

Exit codes: 0 done, 1 an item is not on hold, 2 usage or settings, 3 no journal.";

/// Arguments of `priem quarantine`.
#[derive(Debug, Subcommand)]
#[command(after_help = AFTER_HELP)]
pub enum QuarantineCommand {
    /// What waits, why, and since when; never what citizens wrote
    List {
        /// Only items with this reason (`unknown_kind`, `bad_row`, `unroutable` …)
        #[arg(long)]
        reason: Option<String>,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// One item; its content only with --raw
    Show {
        /// Number from the list
        number: i64,
        /// Print the item as the source gave it: holds personal data
        #[arg(long)]
        raw: bool,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Normalise and route again, under the same ids; a running daemon takes it up within a second
    Retry(Choice),
    /// Give up: the content is removed, the fact stays
    Drop(Choice),
}

/// Which items.
#[derive(Debug, Args)]
pub struct Choice {
    /// Numbers from the list
    #[arg(required_unless_present_any = ["all", "reason"])]
    numbers: Vec<i64>,
    /// Every item on hold
    #[arg(long)]
    all: bool,
    /// Every item with this reason
    #[arg(long)]
    reason: Option<String>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Looks or acts, and prints.
pub fn run(command: QuarantineCommand, settings: &Settings) -> anyhow::Result<u8> {
    let mut store = Store::open(&settings.journal.dir)?;
    match command {
        QuarantineCommand::List { reason, json } => {
            let held: Vec<Held> = store
                .held()?
                .into_iter()
                .filter(|item| reason.as_ref().is_none_or(|reason| item.reason == *reason))
                .collect();
            if json {
                output::json(&held)?;
            } else if held.is_empty() {
                output::lines("nothing is on hold")?;
            } else {
                output::lines(&list(&held))?;
            }
            Ok(DONE)
        }
        QuarantineCommand::Show { number, raw, json } => show(&store, number, raw, json),
        QuarantineCommand::Retry(choice) => act(&mut store, &choice, "made pending again", Store::retry),
        QuarantineCommand::Drop(choice) => act(&mut store, &choice, "dropped", Store::discard),
    }
}

fn list(held: &[Held]) -> String {
    let rows: Vec<_> = held
        .iter()
        .map(|item| {
            vec![
                item.seq.to_string(),
                item.kind.clone(),
                item.reason.clone(),
                item.connector.clone(),
                item.since.clone(),
                item.why.clone(),
            ]
        })
        .collect();
    output::table(&["NUMBER", "STATE", "REASON", "SOURCE", "SINCE", "WHY"], &rows)
}

fn show(store: &Store, number: i64, raw: bool, json: bool) -> anyhow::Result<u8> {
    let Some(item) = store.held()?.into_iter().find(|item| item.seq == number) else {
        eprintln!("error: item {number} is not on hold; `priem quarantine list` shows those that are");
        return Ok(FINDING);
    };
    let record = store.raw(number)?;
    let body = record
        .as_ref()
        .filter(|_| raw)
        .map(|record| String::from_utf8_lossy(&record.raw.body).into_owned());
    if json {
        let mut value = serde_json::to_value(&item)?;
        if let (Some(record), Some(object)) = (&record, value.as_object_mut()) {
            object.insert("format".into(), record.raw.format.clone().into());
            object.insert("received_at".into(), record.raw.received_at.to_string().into());
            object.extend(body.map(|body| ("body".to_owned(), body.into())));
        }
        output::json(&value)?;
        return Ok(DONE);
    }
    let mut text = format!(
        "number    {}\nstate     {}\nreason    {}\nwhy       {}\nsince     {}\nsource    {}\n",
        item.seq, item.kind, item.reason, item.why, item.since, item.connector
    );
    if let Some(record) = &record {
        text.push_str(&format!(
            "format    {}\nreceived  {}\n",
            record.raw.format, record.raw.received_at
        ));
    }
    match body {
        Some(body) => text.push_str(&format!("\n{body}\n")),
        None => text.push_str(&format!("\n{} bytes; --raw prints them (personal data)\n", item.bytes)),
    }
    output::lines(&text)?;
    Ok(DONE)
}

fn act(
    store: &mut Store,
    choice: &Choice,
    done: &str,
    action: impl Fn(&mut Store, i64) -> Result<bool, crate::journal::JournalError>,
) -> anyhow::Result<u8> {
    if choice.all && choice.reason.is_some() {
        eprintln!("error: --all and --reason exclude each other");
        return Ok(USAGE);
    }
    let numbers: Vec<i64> = if choice.numbers.is_empty() {
        let held = store.held()?.into_iter();
        held.filter(|item| choice.reason.as_ref().is_none_or(|reason| item.reason == *reason))
            .map(|i| i.seq)
            .collect()
    } else {
        choice.numbers.clone()
    };
    let (mut acted, mut missing) = (Vec::new(), Vec::new());
    for number in numbers {
        if action(store, number)? {
            acted.push(number)
        } else {
            missing.push(number)
        }
    }
    if choice.json {
        output::json(&serde_json::json!({ "done": acted, "not_on_hold": missing }))?;
    } else {
        output::lines(&format!("{} {done}", acted.len()))?;
        for number in &missing {
            eprintln!("item {number} is not on hold");
        }
    }
    Ok(if missing.is_empty() { DONE } else { FINDING })
}
