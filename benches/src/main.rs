//! Speed and memory, as ratios against ceilings measured in the same run.

mod ceiling;
mod cpu;
mod daemon;
mod drain;
mod duplicates;
mod import;
mod instructions;
mod isolation;
mod journal;
mod mapping;
mod outage;
mod report;
mod rows;
mod sender;
mod sources;
mod start;
mod throughput;
mod updates;
mod webhook;

use std::process::ExitCode;

use bytes::Bytes;
use clap::{Parser, Subcommand};
use priem_city::broker::Broker;

use ceiling::Shape;

/// Unconfirmed messages per channel, as in the daemon's defaults.
const WINDOW: u16 = 64;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Everything the project promises about speed and memory
    Throughput(throughput::ThroughputArgs),
    /// Instructions of the daemon for a delivered message, by callgrind; independent of what else the machine does
    Instructions(instructions::InstructionsArgs),
    /// A thousand VK communities and two hundred bots on one daemon: memory, processor, limits of calls
    Sources(sources::SourcesArgs),
    /// What looking for duplicates costs, for ordinary messages and for a flood of one text
    Duplicates(duplicates::DuplicatesArgs),
    /// One queue in trouble (full, deleted, without rights, silent): what it costs the messages of the others
    Isolation(isolation::IsolationArgs),
    /// A journal of millions of decisions: appends, commits, `why`, bytes; and a full one
    Journal(journal::JournalArgs),
    /// The way of a row from a file into the journal, stage by stage, against a plain reader
    Rows(rows::RowsArgs),
    /// A record through a manifest's filters against the same mapping in Rust
    Mapping(mapping::MappingArgs),
    #[command(name = outage::BARE, hide = true)]
    BareAxum { port: u16 },
    /// The plain lapin publisher against Priem's publisher, interleaved.
    Publish {
        /// Messages per measurement.
        #[arg(long, default_value_t = 60_000)]
        count: usize,
        /// Bytes per message.
        #[arg(long, default_value_t = 1500)]
        body: usize,
        /// Interleaved rounds; the medians are printed.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    // A measured daemon is a child process of this program: see `daemon`.
    let name = std::env::args_os().next();
    if name.is_some_and(|name| std::path::Path::new(&name).file_name() == Some(daemon::NAME.as_ref())) {
        return Ok(ExitCode::from(priem::cli::main()));
    }
    let what = Arguments::parse().what;
    if let What::BareAxum { port } = what {
        outage::serve(port)?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match what {
            What::Throughput(arguments) => throughput::run(arguments).await,
            What::Instructions(arguments) => instructions::run(arguments).await,
            What::Sources(arguments) => sources::run(arguments).await,
            What::Duplicates(arguments) => duplicates::run(arguments).await,
            What::Isolation(arguments) => isolation::run(arguments).await,
            What::Journal(arguments) => journal::run(arguments).await,
            What::Rows(arguments) => rows::run(arguments).await,
            What::Mapping(arguments) => mapping::run(&arguments),
            What::Publish { count, body, rounds } => publish(count, body, rounds).await,
            What::BareAxum { .. } => Ok(()),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn publish(count: usize, body: usize, rounds: usize) -> anyhow::Result<()> {
    let broker = Broker::start().await?;
    ceiling::prepare(&broker).await?;
    let body = Bytes::from(vec![b'x'; body]);
    // The first run warms the broker up and is not counted.
    ceiling::plain(&broker, Shape::Bare, WINDOW.into(), &body, count / 4).await?;
    let (mut bare, mut full, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        bare.push(ceiling::plain(&broker, Shape::Bare, WINDOW.into(), &body, count).await?);
        full.push(ceiling::plain(&broker, Shape::Full, WINDOW.into(), &body, count).await?);
        ours.push(ceiling::publisher(&broker, 4, WINDOW, &body, count).await?);
    }
    let (bare, full, ours) = (median(&mut bare), median(&mut full), median(&mut ours));
    println!("plain, bare messages:  {bare:.0} msg/s");
    println!("plain, full messages:  {full:.0} msg/s, {:.2} of bare", full / bare);
    println!(
        "publisher:             {ours:.0} msg/s, {:.2} of bare, {:.2} of full",
        ours / bare,
        ours / full
    );
    Ok(())
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
