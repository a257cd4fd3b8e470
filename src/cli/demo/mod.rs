//! `priem demo`: a city in a box on loopback, and the real daemon against it, on the code path of `priem run`.

mod city;
mod show;
mod summary;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use jiff::SignedDuration;
use tracing::info;

use self::{city::City, show::Show, summary::Summary};
use super::{DONE, ENVIRONMENT, FINDING, output};
use crate::{
    publish::{self, settings::PublishSettings},
    runtime::{Daemon, Options, build::Built, registry},
    telemetry::{self, LogSettings, Metrics},
};

const AFTER_HELP: &str = "\
The city: a Telegram Bot API server with one bot that is polled and one that calls a webhook, a VK network with one
community, and a folder into which exports of «Инцидент менеджмент» fall as XLSX and CSV. Citizens write, comment,
edit, delete, repeat themselves, send albums and nonsense. Every message is invented.

The arithmetic at the end: sent = published + parked + quarantined + duplicates. Exit code 1 when it does not hold.

Examples:
  priem demo
  priem demo --for 1m --rate 200 --seed 7
  priem demo --amqp amqp://guest:guest@localhost:5672/%2f
  priem demo --keep /tmp/city     then: priem why ID -c /tmp/city/priem.yaml";

/// How long the end of the demo waits for messages on their way.
const PATIENCE: Duration = Duration::from_secs(15);

/// Arguments of `priem demo`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct DemoArgs {
    /// How long the city writes (`20s`, `2m`)
    #[arg(long = "for", default_value = "15s", value_name = "DURATION")]
    length: SignedDuration,
    /// Messages a second, in all
    #[arg(long, default_value_t = 20.0, value_parser = rate)]
    rate: f64,
    /// A broker to publish to; without it, messages go to an NDJSON file
    #[arg(long, value_name = "URL", env = "PRIEM_DEMO_AMQP", hide_env_values = true)]
    amqp: Option<String>,
    /// The same seed gives the same city
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep settings, exports, journal and output in this folder (it must not exist)
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Nothing but one JSON document, on the last line
    #[arg(long)]
    json: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 10_000.0 => Ok(rate),
        _ => Err("a number above 0, at most 10000".into()),
    }
}

/// Runs the demo.
pub fn run(arguments: DemoArgs) -> anyhow::Result<u8> {
    let log = LogSettings {
        level: "warn".into(),
        ..LogSettings::default()
    };
    telemetry::logs(&log, &publish::LOG_DIRECTIVES)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(demo(arguments))
}

async fn demo(arguments: DemoArgs) -> anyhow::Result<u8> {
    let temporary = tempfile::tempdir()?;
    let folder = match &arguments.keep {
        Some(folder) => {
            std::fs::create_dir(folder).map_err(|error| anyhow::anyhow!("{}: {error}", folder.display()))?;
            std::fs::canonicalize(folder)?
        }
        None => temporary.path().to_owned(),
    };
    let mut city = City::start(&folder, &arguments).await?;
    let built = Built::from_file(&city.config, registry())?;
    if let Some(problem) = broker_problem(&built).await {
        output::say!("error: --amqp: {problem}");
        return Ok(ENVIRONMENT);
    }
    let connectors = built.connectors.clone();
    let options = Options {
        pauses: (Duration::from_millis(100), Duration::from_secs(2)),
        tick: Duration::from_secs(1),
        ..Options::default()
    };
    let daemon = Daemon::start(built, options, Metrics::new()).await?;
    info!(folder = %folder.display(), "demo is running");

    let mut show = Show::open(&folder, connectors, arguments.json)?;
    if !arguments.json {
        output::lines(&city.introduction(&arguments))?;
    }
    tokio::select! {
        result = city.live(&arguments) => result?,
        result = show.follow() => result?,
        _ = tokio::signal::ctrl_c() => {}
    }
    let settled = city.settled(&daemon, &mut show, PATIENCE).await?;
    show.look()?;
    let metrics = daemon.metrics.clone();
    daemon.stop().await;

    let summary = Summary::read(&folder, &metrics, city.sent())?;
    if arguments.json {
        output::lines(&serde_json::to_string(&summary)?)?;
    } else {
        output::lines(&summary.render())?;
        if let Some(kept) = &arguments.keep {
            let kept = kept.display();
            output::lines(&format!(
                "Kept in {kept}: journal, quarantine, why and files probe work there (priem why ID -c {kept}/priem.yaml). \
                 The city itself is gone: check and run will not reach it."
            ))?;
        }
    }
    if !settled {
        output::say!(
            "error: after {} s some messages are still on their way; is the broker there?",
            PATIENCE.as_secs()
        );
        return Ok(ENVIRONMENT);
    }
    Ok(if summary.holds() { DONE } else { FINDING })
}

/// What keeps the broker from being used, asked before anything starts. The daemon itself would wait for it.
async fn broker_problem(built: &Built) -> Option<String> {
    let settings = PublishSettings {
        amqp: built.settings.amqp.clone(),
        ndjson: built.settings.ndjson.clone(),
    };
    let report = publish::check(&settings).await;
    let failed = report
        .findings
        .into_iter()
        .find(|finding| finding.outcome == "failed")?;
    Some(format!("{}; {}", failed.detail, failed.cure.unwrap_or_default()))
}
