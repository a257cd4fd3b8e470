//! `priem reload`: asks the running daemon to read its rules again, and says what became of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::{DONE, ENVIRONMENT, FINDING, output};
use crate::{
    http::{RELOAD_HEADER, RELOAD_PATH, ReloadReport, ReloadResult},
    settings::Settings,
};

const AFTER_HELP: &str = "\
The daemon reads its rules folder again (rules.dir), runs the tests beside the rules and, when all is well, puts the new
set into force between two messages: nothing stops, nothing is lost. A bad set is refused and the one before goes on.
`systemctl reload priem` and SIGHUP do the same. Settings other than rules are read only at start.

Exit codes: 0 the rules of the folder are in force, 1 they are refused, 2 usage or settings, 3 no daemon answers.";

/// The daemon checks ten thousand rules with their tests in seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Arguments of `priem reload`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ReloadArgs {
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Asks and prints.
pub fn run(arguments: ReloadArgs, settings: &Settings) -> anyhow::Result<u8> {
    let address = reachable(settings.http.admin.listen);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = match runtime.block_on(ask(address)) {
        Ok(report) => report,
        Err(error) => {
            output::say!("error: no daemon answers on http.admin.listen {address}: {error:#}; is it running?");
            return Ok(ENVIRONMENT);
        }
    };
    if arguments.json {
        output::json(&serde_json::to_value(&report)?)?;
    } else {
        output::lines(&render(&report))?;
    }
    Ok(match report.result {
        ReloadResult::Applied | ReloadResult::Unchanged => DONE,
        ReloadResult::Refused => FINDING,
    })
}

async fn ask(address: SocketAddr) -> anyhow::Result<ReloadReport> {
    // Somebody else may have chosen a provider in this process: either will do for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let request = client
        .post(format!("http://{address}{RELOAD_PATH}"))
        .header(RELOAD_HEADER, "1");
    let answer = request.send().await?.error_for_status()?;
    let body = answer.bytes().await?;
    serde_json::from_slice(&body).context("the answer is not of a Priem that knows `reload`")
}

/// Where a daemon that listens everywhere is reached on its own machine: only from there it takes the request.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// What МЦУ staff read.
fn render(report: &ReloadReport) -> String {
    let version = &report.version;
    match report.result {
        ReloadResult::Applied => format!("Новые правила действуют: записей {}, версия {version}\n", report.rules),
        ReloadResult::Unchanged => format!("Правила не изменились: записей {}, версия {version}\n", report.rules),
        ReloadResult::Refused => format!(
            "{}\n\nНовые правила не приняты (ошибок: {}); действуют прежние, версия {version}\n",
            report.problems.join("\n"),
            report.problems.len()
        ),
    }
}
