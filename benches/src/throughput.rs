//! The whole run: one broker, ceilings in between, every part a few times.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use priem::{
    delivery::{Processed, Processor},
    journal::Record,
    telemetry::Metrics,
};
use priem_city::{broker::Broker, telegram::TelegramCity};
use priem_sdk::{RawItem, contract::ConnectorId};

use crate::{
    ceiling::{self, Shape},
    cpu,
    daemon::{self, CONNECTOR, Installation, Target},
    drain, import, outage,
    report::{Figures, median},
    start, webhook,
};

/// Arguments of `throughput`.
#[derive(Debug, Args)]
pub struct ThroughputArgs {
    /// Print the figures as one line of JSON, last
    #[arg(long)]
    json: bool,
    /// Small sizes: a look at whether everything works, no figures to quote
    #[arg(long)]
    quick: bool,
    /// Only these parts
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Part>,
    /// Rounds of every part; medians count
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Rows of an imported file [default: 200000, with --quick 10000]
    #[arg(long)]
    rows: Option<u64>,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Part {
    /// Draining a full journal
    Drain,
    /// Webhooks at full speed
    Webhook,
    /// Answers at a steady pace
    Steady,
    /// Accepting without a broker
    Outage,
    /// Import of a workbook and a text file
    Import,
    /// Start and memory
    Start,
}

/// How much is done.
struct Sizes {
    ceiling: usize,
    drain: u64,
    flood: Duration,
    slice: Duration,
    rows: u64,
    million: u64,
    rounds: usize,
}

impl Sizes {
    fn of(arguments: &ThroughputArgs) -> Self {
        if arguments.quick {
            return Self {
                ceiling: 20_000,
                drain: 20_000,
                flood: Duration::from_secs(3),
                slice: Duration::from_secs(2),
                rows: arguments.rows.unwrap_or(10_000),
                million: 50_000,
                rounds: 1,
            };
        }
        Self {
            ceiling: 100_000,
            drain: 200_000,
            flood: Duration::from_secs(10),
            slice: Duration::from_secs(5),
            rows: arguments.rows.unwrap_or(200_000),
            million: 1_000_000,
            rounds: arguments.rounds.max(1),
        }
    }
}

/// Measures and prints.
///
/// # Errors
/// When a part can't be measured.
pub async fn run(arguments: ThroughputArgs) -> anyhow::Result<()> {
    let sizes = Sizes::of(&arguments);
    let parts: BTreeSet<Part> = if arguments.only.is_empty() {
        Part::value_variants().iter().copied().collect()
    } else {
        arguments.only.iter().copied().collect()
    };
    let mut figures = Figures::default();
    let city = TelegramCity::start(Default::default()).await?;
    let bench = Bench {
        telegram: city.api_url(),
        sizes,
    };
    if parts.contains(&Part::Start) {
        bench.start(&mut figures).await.context("start")?;
    }
    if parts.contains(&Part::Import) {
        bench.import(&mut figures).await.context("import")?;
    }
    if parts.contains(&Part::Outage) {
        bench.outage(&mut figures).await.context("outage")?;
    }
    let with_broker = [Part::Drain, Part::Webhook, Part::Steady, Part::Start];
    if with_broker.iter().any(|part| parts.contains(part)) {
        let broker = Broker::start().await?;
        bench.with_broker(&broker, &parts, &mut figures).await?;
    }
    let figures = figures.rounded();
    if arguments.json {
        println!("{}", serde_json::to_string(&figures)?);
    } else {
        figures.print();
    }
    Ok(())
}

struct Bench {
    telegram: String,
    sizes: Sizes,
}

impl Bench {
    fn installation(&self, target: &Target<'_>) -> anyhow::Result<Installation> {
        Installation::new(target, &self.telegram)
    }

    async fn start(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let nobody = daemon::nobody()?;
        let mut empty = Vec::new();
        for _ in 0..self.sizes.rounds {
            // A new folder every time: the journal is made, not found.
            empty.extend(start::starts(&self.installation(&Target::Amqp(&nobody))?, 1).await?);
        }
        eprintln!("start with an empty journal: {empty:.0?} ms");
        let full = self.installation(&Target::Amqp(&nobody))?;
        full.fill(self.sizes.million).await?;
        let million = start::starts(&full, self.sizes.rounds).await?;
        eprintln!("start with {} pending, no broker: {million:.0?} ms", self.sizes.million);
        figures.start_ms = Some(median(&empty));
        figures.start_million_ms = Some(median(&million));
        Ok(())
    }

    async fn import(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let mut peak: f64 = 0.0;
        for (name, format, figure) in [
            ("XLSX", import::XLSX, &mut figures.import_xlsx_rows_per_s),
            ("CSV", import::CSV, &mut figures.import_csv_rows_per_s),
        ] {
            let mut rates = Vec::new();
            for _ in 0..self.sizes.rounds {
                let installation = self.installation(&Target::File)?;
                let import = import::measure(&installation, format, self.sizes.rows).await?;
                eprintln!(
                    "import {name}: {:.0} rows/s stored, {:.0} rows/s published, peak {:.0} MB, file {:.0} MB",
                    import.rows_per_s, import.published_per_s, import.peak_mb, import.file_mb
                );
                rates.push(import.rows_per_s);
                peak = peak.max(import.peak_mb);
            }
            *figure = Some(median(&rates));
        }
        figures.import_peak_mb = Some(peak);
        Ok(())
    }

    async fn outage(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let nobody = daemon::nobody()?;
        let mut ratios = Vec::new();
        for _ in 0..self.sizes.rounds {
            let installation = self.installation(&Target::Amqp(&nobody))?;
            let round = outage::measure(&installation, self.sizes.flood).await?;
            let ratio = round.accepted_per_s / round.bare_per_s;
            eprintln!(
                "outage: {:.0} req/s accepted, {} refused, bare axum {:.0} req/s, ratio {ratio:.2}",
                round.accepted_per_s, round.refused, round.bare_per_s
            );
            anyhow::ensure!(
                round.refused == 0,
                "{} requests were refused without a broker",
                round.refused
            );
            ratios.push(ratio);
        }
        figures.outage_accept_ratio = Some(median(&ratios));
        Ok(())
    }

    async fn with_broker(&self, broker: &Broker, parts: &BTreeSet<Part>, figures: &mut Figures) -> anyhow::Result<()> {
        let url = broker.amqp_url();
        let target = Target::Amqp(&url);
        if parts.contains(&Part::Start) {
            let idle = start::idle(&self.installation(&target)?).await?;
            eprintln!("idle: {idle:.1} MB");
            figures.idle_mb = Some(idle);
        }
        if parts.contains(&Part::Steady) {
            let (whole, bare) = (self.installation(&target)?, self.installation(&Target::File)?);
            let mut ratios = Vec::new();
            for pair in webhook::steady(&whole, &bare, 2 * self.sizes.rounds, self.sizes.slice).await? {
                let ratio = pair.answer_p99.as_secs_f64() / pair.commit_p99.as_secs_f64();
                eprintln!(
                    "steady: p99 of an answer {:.2?}, of a bare commit {:.2?}, ratio {ratio:.2}",
                    pair.answer_p99, pair.commit_p99
                );
                ratios.push(ratio);
            }
            figures.webhook_p99_ratio = Some(median(&ratios));
        }
        let (drains, floods) = (parts.contains(&Part::Drain), parts.contains(&Part::Webhook));
        if drains || floods {
            self.against_ceiling(broker, drains, floods, figures).await?;
        }
        Ok(())
    }

    /// Ceiling, drain, ceiling, flood, ceiling … Each figure is divided by the mean of its two neighbours.
    async fn against_ceiling(
        &self,
        broker: &Broker,
        drains: bool,
        floods: bool,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let url = broker.amqp_url();
        let target = Target::Amqp(&url);
        let full = self.installation(&target)?;
        full.fill(self.sizes.drain).await?;
        let body = Bytes::from(vec![b'x'; mean_body(&full)?]);
        eprintln!("mean body: {} bytes", body.len());
        ceiling::prepare(broker).await?;
        let plain = Plain::fastest(broker, body, self.sizes.ceiling).await?;
        let mut ceilings = vec![plain.measure().await?];
        let (mut drain_ratios, mut flood_ratios) = (Vec::new(), Vec::new());
        for _ in 0..self.sizes.rounds {
            if drains {
                let installation = self.installation(&target)?;
                installation.copy_journal_of(&full)?;
                let drain = drain::measure(&installation).await?;
                broker.purge(daemon::QUEUE).await?;
                let ratio = plain.share(drain.messages_per_s, &mut ceilings).await?;
                eprintln!(
                    "drain: {:.0} msg/s, ratio {ratio:.2}; µs a message: daemon {:.0}, broker {:.0}",
                    drain.messages_per_s, drain.cpu_us.0, drain.cpu_us.1
                );
                drain_ratios.push(ratio);
            }
            if floods {
                let installation = self.installation(&target)?;
                let flood = webhook::flood(&installation, self.sizes.flood).await?;
                broker.purge(daemon::QUEUE).await?;
                let sustained = flood.confirmed_per_s.min(flood.accepted_per_s);
                let ratio = plain.share(sustained, &mut ceilings).await?;
                eprintln!(
                    "webhook: {:.0} req/s accepted, {:.0} msg/s confirmed, {} refused, ratio {ratio:.2}; µs a request: \
                     daemon {:.0}, broker {:.0}, sender {:.0}",
                    flood.accepted_per_s,
                    flood.confirmed_per_s,
                    flood.refused,
                    flood.cpu_us.0,
                    flood.cpu_us.1,
                    flood.cpu_us.2
                );
                flood_ratios.push(ratio);
            }
        }
        figures.ceiling_msgs_per_s = Some(median(&ceilings));
        figures.drain_ratio = drains.then(|| median(&drain_ratios));
        figures.webhook_ratio = floods.then(|| median(&flood_ratios));
        Ok(())
    }
}

/// The plain publisher with the faster of two windows.
struct Plain<'a> {
    broker: &'a Broker,
    body: Bytes,
    count: usize,
    window: usize,
}

impl<'a> Plain<'a> {
    /// Warms up, looks which window is faster, and says what the contract's exchange, properties and headers cost.
    async fn fastest(broker: &'a Broker, body: Bytes, count: usize) -> anyhow::Result<Self> {
        ceiling::plain(broker, Shape::Bare, 64, &body, count / 4).await?;
        let mut best = (0.0, 64);
        for (shape, window) in [(Shape::Bare, 64), (Shape::Bare, 256), (Shape::Full, 64)] {
            let rate = ceiling::plain(broker, shape, window, &body, count / 2).await?;
            eprintln!("plain publisher, {shape:?} messages, 4 × {window}: {rate:.0} msg/s");
            if shape == Shape::Bare && rate > best.0 {
                best = (rate, window);
            }
        }
        Ok(Self {
            broker,
            body,
            count,
            window: best.1,
        })
    }

    async fn measure(&self) -> anyhow::Result<f64> {
        let (broker, client) = (cpu::of_broker(), cpu::of_this_process());
        let rate = ceiling::plain(self.broker, Shape::Bare, self.window, &self.body, self.count).await?;
        let each = |now: Duration, before| cpu::micros_each(now.saturating_sub(before), self.count as u64);
        eprintln!(
            "ceiling: {rate:.0} msg/s; µs a message: publisher {:.0}, broker {:.0}",
            each(cpu::of_this_process(), client),
            each(cpu::of_broker(), broker)
        );
        Ok(rate)
    }

    /// A rate by the mean of the ceiling before it and one measured now.
    async fn share(&self, rate: f64, ceilings: &mut Vec<f64>) -> anyhow::Result<f64> {
        let before = ceilings[ceilings.len() - 1];
        let after = self.measure().await?;
        ceilings.push(after);
        Ok(rate / ((before + after) / 2.0))
    }
}

/// Mean bytes of what the daemon publishes.
fn mean_body(installation: &Installation) -> anyhow::Result<usize> {
    const SAMPLE: u64 = 2_000;
    let built = installation.built()?;
    let id = ConnectorId::new(CONNECTOR);
    let connector = built.connectors.get(&id).context("the connector of the benchmarks")?;
    let items = crate::updates::items(connector.as_ref(), 0..SAMPLE)?;
    let connectors = std::sync::Arc::new(built.connectors.clone());
    let processor = Processor::new(connectors, built.rules.clone(), Metrics::new());
    let (mut bytes, mut messages) = (0, 0);
    let now = Timestamp::now();
    for item in items {
        let record = Record {
            position: 1,
            seq: 1,
            stream: "webhook".into(),
            conversation: item.conversation,
            raw: RawItem {
                connector: id.clone(),
                external_id: item.external_id,
                revision: item.revision.unwrap_or_default(),
                ordinal: 0,
                format: item.format.to_owned(),
                body: item.body,
                received_at: now,
            },
        };
        let Processed::Publish(publication) = processor.process(&record, now) else {
            anyhow::bail!("an update of the benchmarks gives no message");
        };
        messages += publication.messages.len();
        bytes += publication.messages.iter().map(|one| one.body.len()).sum::<usize>();
    }
    Ok(bytes / messages)
}
