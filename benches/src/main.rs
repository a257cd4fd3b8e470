//! Speed and memory, as ratios against ceilings measured in the same run.

mod ceiling;
mod daemon;
mod drain;
mod import;
mod outage;
mod report;
mod sender;
mod start;
mod throughput;
mod updates;
mod webhook;

use std::process::ExitCode;

use bytes::Bytes;
use clap::{Parser, Subcommand};
use priem_city::broker::Broker;

use ceiling::Handing;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Everything the project promises about speed and memory
    Throughput(throughput::ThroughputArgs),
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
    if std::env::args_os().next().is_some_and(|name| name == daemon::NAME) {
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
    let plain = [
        (Handing::OneByOne, 64),
        (Handing::OneByOne, 256),
        (Handing::Pipelined, 64),
        (Handing::Pipelined, 256),
    ];
    let ours = [(4, 64), (4, 128), (4, 256)];
    let mut plain_rates = vec![Vec::new(); plain.len()];
    let mut our_rates = vec![Vec::new(); ours.len()];
    // The first run warms the broker up and is not counted.
    ceiling::plain(&broker, Handing::OneByOne, 64, &body, count / 4).await?;
    for _ in 0..rounds {
        for index in 0..plain.len().max(ours.len()) {
            if let Some((handing, window)) = plain.get(index) {
                plain_rates[index].push(ceiling::plain(&broker, *handing, *window, &body, count).await?);
            }
            if let Some((channels, window)) = ours.get(index) {
                our_rates[index].push(ceiling::publisher(&broker, *channels, *window, &body, count).await?);
            }
        }
    }
    let mut best = f64::MIN;
    for ((handing, window), rates) in plain.iter().zip(&mut plain_rates) {
        let rate = median(rates);
        best = best.max(rate);
        println!("plain {handing:?}, 4 × {window}: {rate:.0} msg/s");
    }
    for ((channels, window), rates) in ours.iter().zip(&mut our_rates) {
        let rate = median(rates);
        println!(
            "publisher, {channels} × {window}: {rate:.0} msg/s, {:.2} of the ceiling",
            rate / best
        );
    }
    Ok(())
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
