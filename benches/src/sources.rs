//! Many sources on one daemon: what an idle one costs, that all are heard under load, and that no limit of the
//! platforms is broken. The simulators run in this process and count; the daemon is a child and is measured alone.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::Args;
use priem_city::{
    region::Region,
    vk::{TokenKind, TokenUse},
};
use serde::Serialize;
use serde_json::Value;

use crate::daemon::{self, Daemon, Installation, Target};

/// Pause between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longest wait for any condition.
const PATIENCE: Duration = Duration::from_secs(600);
/// The first catch-up is over when nothing was asked with its token for so long.
const QUIET: Duration = Duration::from_secs(10);

/// Arguments of `sources`.
#[derive(Debug, Args)]
pub struct SourcesArgs {
    /// VK communities, by long poll
    #[arg(long, default_value_t = 1000)]
    communities: usize,
    /// Telegram bots, by long polling
    #[arg(long, default_value_t = 200)]
    bots: usize,
    /// How long the idle daemon is watched, seconds
    #[arg(long, default_value_t = 60)]
    idle: u64,
    /// How long citizens write, seconds
    #[arg(long, default_value_t = 60)]
    load: u64,
    /// Messages a second, over all sources
    #[arg(long, default_value_t = 100)]
    rate: u64,
    /// Print the figures as one line of JSON, last
    #[arg(long)]
    json: bool,
}

/// The figures, under the names they have in JSON.
#[derive(Debug, Serialize)]
struct Figures {
    communities: usize,
    bots: usize,
    /// From readiness until every source is listened to, seconds.
    all_listened_s: f64,
    /// From readiness until the first round over all walls and dialogues is over, seconds.
    first_round_s: f64,
    /// Resident memory of a daemon without these sources, megabytes.
    base_mb: f64,
    /// Resident memory with all sources idle, megabytes.
    idle_mb: f64,
    /// Memory each idle source adds, kilobytes.
    kb_per_idle_source: f64,
    /// Processor used while idle, percent of one core.
    idle_cpu_percent: f64,
    /// Processor each idle source adds, milliseconds a minute.
    cpu_ms_a_minute_per_idle_source: f64,
    /// Messages citizens wrote under load.
    messages: usize,
    /// From the last one written until all were published, seconds.
    all_heard_after_s: f64,
    /// Processor used under load, percent of one core.
    load_cpu_percent: f64,
    /// Most memory so far, megabytes.
    peak_mb: f64,
    /// Most requests within a second with a community's key (the platform takes 20).
    most_a_second_community: usize,
    /// Most requests within a second with the reader's token (the platform takes 3).
    most_a_second_user: usize,
    /// Requests refused because they came too fast.
    too_fast: u64,
    /// Everything else the simulators forbid.
    violations: usize,
}

/// Runs the measurement.
///
/// # Errors
/// When the daemon fails, a message is lost or doubled, or a limit is broken.
pub async fn run(arguments: SourcesArgs) -> anyhow::Result<()> {
    let idle = Duration::from_secs(arguments.idle);
    eprintln!("a daemon without these sources");
    let (base_mb, base_cpu) = {
        let installation = Installation::with(&Target::File, &[], daemon::exports)?;
        let daemon = installation.start().await?;
        tokio::time::sleep(QUIET).await;
        let cpu = cpu_share(&daemon, idle).await;
        (daemon.memory_mb()?.0, cpu)
    };

    eprintln!("{} communities and {} bots", arguments.communities, arguments.bots);
    let mut region = Region::start(arguments.communities, arguments.bots).await?;
    let connectors = |place: &str| format!("{}{}", region.connectors(place), daemon::exports(place));
    let installation = Installation::with(&Target::File, &region.secrets(), connectors)?;
    let daemon = installation.start().await?;
    let ready = Instant::now();
    until("every source is listened to", &daemon, || {
        Ok(region.listened() == region.sources())
    })
    .await?;
    let all_listened_s = ready.elapsed().as_secs_f64();
    let first_round_s = quiet_since(&region).await?.duration_since(ready).as_secs_f64();

    eprintln!("idle for {} s", arguments.idle);
    let idle_cpu = cpu_share(&daemon, idle).await;
    let idle_mb = daemon.memory_mb()?.0;

    eprintln!("{} messages a second for {} s", arguments.rate, arguments.load);
    let out = installation.folder().join("out.ndjson");
    let before = region.written();
    let (since, used) = (Instant::now(), daemon.cpu());
    write(&mut region, arguments.rate, Duration::from_secs(arguments.load)).await;
    let load_cpu = share(daemon.cpu().saturating_sub(used), since.elapsed());
    let last_written = Instant::now();
    until("everything written is published", &daemon, || {
        Ok(region.compare(published(&out)?.values().map(String::as_str)).is_ok())
    })
    .await
    .map_err(
        |error| match published(&out).map(|texts| region.compare(texts.values().map(String::as_str))) {
            Ok(Err(difference)) => error.context(difference),
            _ => error,
        },
    )?;
    let uses = region.vk.token_uses();
    let violations = region.violations();
    let sources = region.sources() as f64;
    let figures = Figures {
        communities: arguments.communities,
        bots: arguments.bots,
        all_listened_s,
        first_round_s,
        base_mb,
        idle_mb,
        kb_per_idle_source: (idle_mb - base_mb) * 1000.0 / sources,
        idle_cpu_percent: idle_cpu * 100.0,
        cpu_ms_a_minute_per_idle_source: (idle_cpu - base_cpu) * 60_000.0 / sources,
        messages: region.written() - before,
        all_heard_after_s: last_written.elapsed().as_secs_f64(),
        load_cpu_percent: load_cpu * 100.0,
        peak_mb: daemon.memory_mb()?.1,
        most_a_second_community: most(&uses, |kind| matches!(kind, TokenKind::Community(_))),
        most_a_second_user: most(&uses, |kind| matches!(kind, TokenKind::User(_))),
        too_fast: uses.values().map(|used| used.times_too_fast).sum(),
        violations: violations.len(),
    };
    print(&figures, arguments.json)?;
    ensure!(
        violations.is_empty(),
        "limits or rules were broken: {:?}",
        &violations[..violations.len().min(5)]
    );
    Ok(())
}

/// Share of one core a process uses for a while.
async fn cpu_share(daemon: &Daemon<'_>, length: Duration) -> f64 {
    let (since, used) = (Instant::now(), daemon.cpu());
    tokio::time::sleep(length).await;
    share(daemon.cpu().saturating_sub(used), since.elapsed())
}

fn share(used: Duration, of: Duration) -> f64 {
    used.as_secs_f64() / of.as_secs_f64()
}

async fn until(what: &str, daemon: &Daemon<'_>, mut holds: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let started = Instant::now();
    while !holds()? {
        ensure!(started.elapsed() < PATIENCE, "in vain: {what}\n{}", daemon.log());
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// When the last method was called, once none was called for a while. Long polls are no methods.
async fn quiet_since(region: &Region) -> anyhow::Result<Instant> {
    let started = Instant::now();
    let calls = || -> u64 { region.vk.token_uses().values().map(|used| used.requests).sum() };
    let (mut last, mut since) = (calls(), Instant::now());
    while since.elapsed() < QUIET {
        ensure!(started.elapsed() < PATIENCE, "the first round does not end");
        tokio::time::sleep(LOOK_EVERY).await;
        let now = calls();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(since)
}

/// Citizens write at an even pace.
async fn write(region: &mut Region, rate: u64, length: Duration) {
    let started = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let mut written = 0;
    while started.elapsed() < length {
        ticks.tick().await;
        let wanted = (started.elapsed().as_secs_f64() * rate as f64) as u64;
        for _ in written..wanted {
            region.write();
        }
        written = wanted;
    }
}

/// Texts by the id of their event: a rule may send copies under the same id.
fn published(out: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let lines = std::fs::read_to_string(out).context("the file of published messages")?;
    let mut texts = BTreeMap::new();
    for line in lines.lines() {
        // The last line may be half written.
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let text = |at: &str| event.pointer(at).and_then(Value::as_str).map(str::to_owned);
        if let (Some(id), Some(words)) = (text("/id"), text("/data/body/text")) {
            texts.insert(id, words);
        }
    }
    Ok(texts)
}

fn most(uses: &BTreeMap<String, TokenUse>, of: impl Fn(TokenKind) -> bool) -> usize {
    let matching = uses.values().filter(|used| of(used.kind));
    matching.map(|used| used.most_in_a_second).max().unwrap_or(0)
}

fn print(figures: &Figures, as_json: bool) -> anyhow::Result<()> {
    let Value::Object(rows) = serde_json::to_value(figures)? else {
        return Ok(());
    };
    for (name, value) in &rows {
        match value.as_f64().filter(|_| value.is_f64()) {
            Some(number) => println!("{name:<34} {number:>12.2}"),
            None => println!("{name:<34} {value:>12}"),
        }
    }
    if as_json {
        println!("{}", serde_json::to_string(figures)?);
    }
    Ok(())
}
