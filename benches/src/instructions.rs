//! Instructions of the daemon for a delivered message, counted by callgrind: the same on a busy machine as on a quiet one.
//!
//! The real daemon with its defaults, a child process under valgrind: first it takes updates by webhook while the broker
//! is away, then another one delivers a full journal to a real broker. Apart, because the batches that form when both
//! happen at once depend on the moment. Each is run with few and with many messages and the difference counts: what
//! starting, connecting and stopping cost falls out. The figure of the repository (`instructions.json`) is what the
//! newest build may cost; it is raised on purpose only.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use clap::Args;
use priem_city::broker::Broker;
use serde::{Deserialize, Serialize};

use crate::{
    daemon::{Daemon, Installation, QUEUE, Target},
    sender::Sender,
};

/// Growth that fails the comparison, and shrinkage that asks for a new figure, in percent.
const TOLERANCE_PERCENT: u64 = 3;
/// Messages of the short run; enough for every lazily built table, and to fill what waits for an absent broker.
const FEW: u64 = 2_000;
/// How many more the long run has.
const MORE: u64 = 3_000;
/// Pause between two looks at the queue.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// An address where no platform listens.
const NOWHERE: &str = "http://127.0.0.1:9";

/// What to do with the count.
#[derive(Debug, Args)]
pub struct InstructionsArgs {
    /// Compare with the figure of this file and fail when more than 3 % were added
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Write the figure into this file: on purpose, with the reason in the commit
    #[arg(long, value_name = "FILE", conflicts_with = "against")]
    write: Option<PathBuf>,
    /// Rounds at most; the cheapest counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// The committed figure.
#[derive(Debug, Serialize, Deserialize)]
struct Figure {
    /// Instructions of the daemon for a message, webhook to confirmation.
    instructions_per_message: u64,
}

/// Counts, and compares or writes.
///
/// # Errors
/// When valgrind is missing, the daemon fails, or the count has grown.
pub async fn run(arguments: InstructionsArgs) -> anyhow::Result<()> {
    let broker = Broker::start().await?;
    let (mut accept, mut deliver) = (u64::MAX, u64::MAX);
    for _ in 0..arguments.rounds.max(1) {
        let (taking, giving) = (accepting().await?, delivering(&broker).await?);
        eprintln!("instructions a message: {taking} to take it in, {giving} to deliver it");
        (accept, deliver) = (accept.min(taking), deliver.min(giving));
        // A further round can only find it cheaper.
        if let Some(path) = &arguments.against
            && compare(accept + deliver, path).is_ok()
        {
            break;
        }
    }
    let figure = Figure {
        instructions_per_message: accept + deliver,
    };
    println!("{}", serde_json::to_string(&figure)?);
    if let Some(path) = &arguments.write {
        std::fs::write(path, serde_json::to_string_pretty(&figure)? + "\n")?;
    }
    if let Some(path) = &arguments.against {
        println!("{}", compare(figure.instructions_per_message, path)?);
    }
    Ok(())
}

/// Fails when a message costs more than the committed figure and the tolerance.
fn compare(measured: u64, path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let committed: Figure = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let allowed = committed.instructions_per_message;
    let change = 100.0 * (measured as f64 / allowed as f64 - 1.0);
    let raise = format!(
        "cargo run --release -p benches -- instructions --write {}",
        path.display()
    );
    ensure!(
        100 * measured <= (100 + TOLERANCE_PERCENT) * allowed,
        "a message costs {change:.1} % more instructions than {} allows ({measured} against {allowed}). Find what grew \
         (valgrind --tool=callgrind), or raise the figure on purpose and say why in the commit: {raise}",
        path.display(),
    );
    Ok(match 100 * measured < (100 - TOLERANCE_PERCENT) * allowed {
        true => format!("{:.1} % cheaper than {}; keep it: {raise}", -change, path.display()),
        false => format!("{change:+.1} % against {}", path.display()),
    })
}

/// Instructions to take a message in: request, a commit of its own, answer. The broker is away, so nothing else goes on.
async fn accepting() -> anyhow::Result<u64> {
    let count = async |messages| {
        let installation = Installation::new(&Target::Amqp("amqp://guest:guest@127.0.0.1:1/%2f"), NOWHERE)?;
        let daemon = Counted::start(&installation).await?;
        let sender = Sender::new(installation.hooks(), Installation::hook_path(), 0);
        sender.send(messages, 1).await?;
        ensure!(sender.refused() == 0, "the daemon refused {} updates", sender.refused());
        daemon.stop().await
    };
    difference(count).await
}

/// Instructions to deliver a stored message: from the journal through rules and encoding to the broker's confirmation.
async fn delivering(broker: &Broker) -> anyhow::Result<u64> {
    let url = broker.amqp_url();
    let count = async |messages| {
        let installation = Installation::new(&Target::Amqp(&url), NOWHERE)?;
        installation.fill(messages).await?;
        // Nothing of the run before; at first there is no queue.
        let _ = broker.purge(QUEUE).await;
        let daemon = Counted::start(&installation).await?;
        // The broker is asked, not the daemon: an answer would be work of its own. The daemon makes the queue.
        while !broker
            .depth(QUEUE)
            .await
            .is_ok_and(|depth| u64::from(depth) >= messages)
        {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        daemon.stop().await
    };
    difference(count).await
}

/// What each of [`MORE`] messages costs beyond a run with [`FEW`]: starting and stopping fall out.
async fn difference(count: impl AsyncFn(u64) -> anyhow::Result<u64>) -> anyhow::Result<u64> {
    let few = count(FEW).await?;
    Ok(count(FEW + MORE).await?.saturating_sub(few) / MORE)
}

/// A daemon below callgrind.
struct Counted<'a> {
    daemon: Daemon<'a>,
    out: PathBuf,
}

impl<'a> Counted<'a> {
    async fn start(installation: &'a Installation) -> anyhow::Result<Self> {
        let out = installation.folder().join("callgrind.out");
        let wrapper = [
            "valgrind".to_owned(),
            "--tool=callgrind".to_owned(),
            format!("--callgrind-out-file={}", out.display()),
        ];
        let daemon = installation.start_under(&wrapper).await?;
        Ok(Self { daemon, out })
    }

    /// Ends the daemon in order; gives all its instructions.
    async fn stop(self) -> anyhow::Result<u64> {
        self.daemon.stop().await?;
        total(&std::fs::read_to_string(&self.out).with_context(|| self.out.display().to_string())?)
    }
}

/// The total of a callgrind profile.
fn total(profile: &str) -> anyhow::Result<u64> {
    let line = profile.lines().find_map(|line| line.strip_prefix("totals:"));
    match line.map(|line| line.trim().parse()) {
        Some(Ok(total)) => Ok(total),
        _ => bail!("callgrind wrote no total"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_beyond_the_tolerance_fails_and_less_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("figure.json");
        std::fs::write(&path, r#"{"instructions_per_message": 1000}"#).expect("written");
        assert!(compare(1030, &path).is_ok());
        assert!(compare(500, &path).is_ok());
        let error = compare(1031, &path).expect_err("grown").to_string();
        assert!(error.contains("3.1 % more"), "{error}");
    }

    #[test]
    fn the_total_of_a_profile_is_found() {
        assert_eq!(total("events: Ir\nfn=(1)\n1 2\ntotals: 42\n").expect("there"), 42);
        assert!(total("events: Ir\n").is_err());
    }
}
