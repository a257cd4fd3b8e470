//! `priem journal stats|verify|export|acknowledge`. Works beside a running daemon and without one.

use std::{
    io::{BufWriter, Write},
    path::PathBuf,
};

use clap::Subcommand;

use super::{DONE, FINDING, output};
use crate::{
    journal::{Exported, JournalSettings, stats::Stats, store::Store},
    settings::Settings,
    visible,
};

const AFTER_HELP: &str = "\
Examples:
  priem journal stats --json
  priem journal verify && echo sound
  priem journal export --output items.ndjson
  priem journal export --masked                 to show to somebody else: no words, no ids
  priem journal acknowledge                     a loss was looked into; or: this clock is right

Exit codes: 0 done, 1 `verify` found something wrong or `export` could not read everything, 2 usage or settings, 3 no journal, or a file can't be written.";

/// Arguments of `priem journal`.
#[derive(Debug, Subcommand)]
#[command(after_help = AFTER_HELP)]
pub enum JournalCommand {
    /// How much is stored, pending, on hold; what went where; where each source stands
    Stats {
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Check the database and that no item is forgotten
    Verify {
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Write every stored item as one JSON line; the result holds personal data, unless --masked
    Export {
        /// Without what citizens wrote and without ids: only what came from where, when, and how large
        #[arg(long)]
        masked: bool,
        /// File to write; made readable for its owner only. Without it, standard output
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Say that a person has seen what the journal lost, and that the clock of this computer is right
    Acknowledge {
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
}

/// Looks and prints.
pub fn run(command: JournalCommand, settings: &Settings) -> anyhow::Result<u8> {
    let limits = &settings.journal;
    let mut store = Store::open(&limits.dir)?;
    let mut _copy = None;
    if !store.has_contents() {
        match &command {
            JournalCommand::Export { .. } => {
                output::say!(
                    "the table of contents of the journal is damaged; reading a copy of the journal with the contents kept \
                     in journal.contents"
                );
                let (rescued, copy) = Store::rescued(&limits.dir)?;
                (store, _copy) = (rescued, Some(copy));
            }
            _ => output::say!(
                "the table of contents of the journal is damaged: `priem journal export` still reads its items, from a copy"
            ),
        }
    }
    match command {
        JournalCommand::Stats { json: true } => {
            let mut stats = serde_json::to_value(store.stats()?)?;
            stats["max_bytes"] = limits.max_bytes.into();
            stats["min_free_bytes"] = limits.min_free_bytes.into();
            stats["days_left"] = serde_json::json!(days_left(&store.stats()?, limits));
            output::json(&stats)?;
        }
        JournalCommand::Stats { json: false } => output::lines(&render(&store.stats()?, limits))?,
        JournalCommand::Verify { json } => {
            let problems = store.verify();
            if json {
                output::json(&serde_json::json!({ "ok": problems.is_empty(), "problems": problems }))?;
            } else if problems.is_empty() {
                output::lines("the journal is sound: every stored item is pending, on hold or decided")?;
            } else {
                output::lines(&problems.join("\n"))?;
            }
            return Ok(if problems.is_empty() { DONE } else { FINDING });
        }
        JournalCommand::Export {
            output: Some(path),
            masked,
        } => {
            use std::os::unix::fs::OpenOptionsExt;
            let file = std::fs::File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            let mut out = BufWriter::new(file.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?);
            let exported = store.export(&mut out, masked)?;
            out.into_inner().map_err(|error| error.into_error())?.sync_all()?;
            output::say!("{} items written to {}", exported.items, path.display());
            return Ok(complete(exported));
        }
        JournalCommand::Export { output: None, masked } => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            let exported = store.export(&mut out, masked)?;
            out.flush()?;
            return Ok(complete(exported));
        }
        JournalCommand::Acknowledge { json } => {
            let losses = store.acknowledge()?;
            if json {
                output::json(&losses)?;
            } else {
                for loss in &losses {
                    output::lines(&format!("seen: {}, found {}", loss.what, loss.found_at))?;
                }
                output::lines("the clock of this computer is taken for right from the daemon's next look on")?;
            }
        }
    }
    Ok(DONE)
}

/// Says what an export could not read.
fn complete(exported: Exported) -> u8 {
    if exported.unreadable == 0 {
        return DONE;
    }
    output::say!(
        "{} items were written; {} numbers can't be read, the file is damaged there (some of them may have been removed \
         before); `priem journal verify` says more",
        exported.items,
        exported.unreadable
    );
    FINDING
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Days until the limit at the growth of the last days; `None` when it does not grow or that can't be told yet.
fn days_left(stats: &Stats, limits: &JournalSettings) -> Option<u64> {
    let grows = u64::try_from(stats.grows_by_day?).ok().filter(|grows| *grows > 0)?;
    Some(limits.max_bytes.saturating_sub(stats.bytes) / grows)
}

/// What takes the room and in which order it gives way.
fn room(stats: &Stats, limits: &JournalSettings) -> String {
    let rows: Vec<_> = stats
        .room
        .iter()
        .map(|share| {
            let order = match (share.gives_way, &share.stays) {
                (None, _) => "never".to_owned(),
                (Some(place), None) => place.to_string(),
                (Some(place), Some(stays)) => format!("{place}, never what is {stays}"),
            };
            vec![
                share.class.to_owned(),
                format!("~{}", mebibytes(u64::try_from(share.bytes).unwrap_or(0))),
                share.items.to_string(),
                order,
            ]
        })
        .collect();
    let mut text = output::table(&["ROOM", "SIZE", "ROWS", "GIVES WAY"], &rows);
    let next = stats
        .room
        .iter()
        .find(|share| share.gives_way.is_some() && share.items > 0);
    text.push_str(&match (next, days_left(stats, limits)) {
        (Some(next), Some(days)) => format!(
            "\nat the growth of these days the limit is reached in about {days} days; then the oldest {} go first\n",
            next.class
        ),
        (Some(next), None) => format!("\nat the limit the oldest {} go first\n", next.class),
        (None, _) => "\nnothing would give way: at the limit new items are refused\n".to_owned(),
    });
    if stats.moving_old {
        text.push_str("moving: decisions of an older version are brought into today's form; counts grow meanwhile\n");
    }
    text
}

fn render(stats: &Stats, limits: &JournalSettings) -> String {
    let mut text = format!(
        "stored items     {}{}\nknown objects    {}\npending          {}{}\nparked           {}\nsize             {} of {} ({} %)\ndisk             {} free, {} must stay\n",
        stats.raw_items,
        stats
            .oldest_raw_at
            .as_ref()
            .map(|at| format!(", oldest {at}"))
            .unwrap_or_default(),
        stats.known_objects,
        stats.now.pending,
        if stats.now.pending > 0 {
            format!(", oldest {} s", stats.now.oldest_pending_seconds)
        } else {
            String::new()
        },
        stats.now.parked,
        mebibytes(stats.bytes),
        mebibytes(limits.max_bytes),
        stats.bytes.saturating_mul(100) / limits.max_bytes.max(1),
        mebibytes(stats.free_bytes),
        mebibytes(limits.min_free_bytes),
    );
    let quarantined: i64 = stats.now.quarantined.values().sum();
    text.push_str(&format!("quarantined      {quarantined}\n"));
    for (reason, count) in &stats.now.quarantined {
        text.push_str(&format!("    {}: {count}\n", visible::line(reason)));
    }
    text.push_str(&format!("\n{}", room(stats, limits)));
    let streams: Vec<_> = stats
        .streams
        .iter()
        .map(|stream| vec![stream.connector.clone(), stream.stream.clone(), stream.moved_at.clone()])
        .collect();
    let decisions: Vec<_> = stats
        .decisions
        .iter()
        .map(|line| {
            vec![
                line.channel.clone(),
                line.outcome.clone(),
                line.queue.clone(),
                line.events.to_string(),
            ]
        })
        .collect();
    text.push_str(&format!(
        "\n{}\n",
        output::table(&["SOURCE", "STREAM", "CURSOR MOVED"], &streams)
    ));
    text.push_str(&format!(
        "\n{}",
        output::table(&["CHANNEL", "OUTCOME", "QUEUE", "EVENTS"], &decisions)
    ));
    text
}
