//! `priem run`: the daemon in the foreground, stopped by SIGTERM or Ctrl-C.

use std::{path::Path, time::Duration};

use clap::Args;
use tracing::{error, info};

use super::{DONE, FAULT, USAGE, output};
use crate::{
    publish::{self, settings::PublishSettings},
    runtime::{Daemon, Options, build::Built, registry},
    telemetry::{self, Metrics},
};

const AFTER_HELP: &str = "\
Starts without a broker connection too: messages wait in the journal and drain by themselves.
Signals: SIGTERM and Ctrl-C stop in order (sources, then what is on its way, then the journal); SIGHUP reads the
rules again (see `priem reload`).";

/// Longest time to stop in order after a fault.
const FAULT_STOP_LIMIT: Duration = Duration::from_secs(15);

/// Arguments of `priem run`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct RunArgs {
    /// Replace somebody else's registration at a platform (a foreign Telegram webhook)
    #[arg(long)]
    take_over: bool,
}

/// Runs until a signal.
pub fn run(arguments: RunArgs, config: &Path) -> anyhow::Result<u8> {
    let built = Built::from_file(config, registry())?;
    let publishing = PublishSettings {
        amqp: built.settings.amqp.clone(),
        ndjson: built.settings.ndjson.clone(),
    };
    if let Err(error) = publish::refuse_system_journal(&publishing, std::env::var("JOURNAL_STREAM").ok().as_deref()) {
        output::say!("error: {error}");
        return Ok(USAGE);
    }
    telemetry::logs(&built.settings.log, &publish::LOG_DIRECTIVES)?;
    raise_descriptors();
    info!(config = %config.display(), version = env!("CARGO_PKG_VERSION"), "starting");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let options = Options {
            take_over: arguments.take_over,
            ..Options::default()
        };
        let daemon = Daemon::start(built, options, Metrics::new()).await?;
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        let webhooks = daemon
            .webhook_address()
            .map_or_else(|| "off".to_owned(), |address| address.to_string());
        info!(admin = %daemon.admin_address(), webhooks, "listening");
        let failed = tokio::select! {
            signal = stop_signal(&daemon) => {
                info!(signal = signal?, "stopping");
                None
            }
            why = daemon.failed() => Some(why),
        };
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        let Some(why) = failed else {
            daemon.stop().await;
            return Ok(DONE);
        };
        error!(why, "ending after a fault");
        // What is broken may not stop in order; systemd must not wait for it.
        let _ = tokio::time::timeout(FAULT_STOP_LIMIT, daemon.stop()).await;
        Ok(FAULT)
    })
}

/// Takes all file descriptors we may have: the usual soft limit of 1 024 is kept for programs that use `select`.
fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Not allowed: the listeners take fewer connections then.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Waits for a signal to stop; meanwhile SIGHUP reloads the rules.
async fn stop_signal(daemon: &Daemon) -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok("SIGTERM"),
            _ = interrupt.recv() => return Ok("SIGINT"),
            // What became of it is logged and counted.
            _ = hang_up.recv() => drop(daemon.reload_rules().await),
        }
    }
}
