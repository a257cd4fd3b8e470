//! The broker is away: how fast the daemon goes on accepting, against a bare axum server that parses the same JSON and
//! keeps nothing. Both are child processes and called by the same sender.

use std::{
    net::Ipv4Addr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use axum::{Json, Router, http::StatusCode, routing::post};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use crate::{daemon::Installation, sender::Sender};

/// Name under which this program is the bare server.
pub const BARE: &str = "bare-axum";
const WARM_UP: Duration = Duration::from_secs(1);

/// Serves `POST /` on a port: parses the body, answers 200.
///
/// # Errors
/// When the port is taken.
pub fn serve(port: u16) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            // A connection without it only answers later.
            let _ = stream.set_nodelay(true);
        });
        let router = Router::new().route("/", post(parse));
        axum::serve(listener, router).await?;
        Ok(())
    })
}

async fn parse(Json(update): Json<Value>) -> StatusCode {
    // What anybody would do with an update at the least.
    if update.get("update_id").is_some() {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    }
}

struct Bare {
    child: Child,
    port: u16,
}

impl Bare {
    async fn start() -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(std::env::current_exe()?)
            .args([BARE, &port.to_string()])
            .stdin(Stdio::null())
            .spawn()?;
        let bare = Self { child, port };
        let since = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            anyhow::ensure!(
                since.elapsed() < Duration::from_secs(30),
                "the bare server does not listen"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(bare)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Rates of one round.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    /// Requests the daemon accepted in a second.
    pub accepted_per_s: f64,
    /// Requests it refused.
    pub refused: u64,
    /// Requests the bare server answered in a second.
    pub bare_per_s: f64,
}

/// One round: the daemon, whose broker is away, then the bare server.
///
/// # Errors
/// When one of them fails.
pub async fn measure(installation: &Installation, length: Duration) -> anyhow::Result<Outage> {
    let (accepted_per_s, refused) = {
        let daemon = installation.start().await?;
        let sender = Sender::new(installation.hooks(), Installation::hook_path(), 0);
        let rate = rate(&sender, length).await.with_context(|| daemon.log())?;
        (rate, sender.refused())
    };
    let bare = Bare::start().await?;
    let sender = Sender::new(bare.port, "/".into(), 0);
    let bare_per_s = rate(&sender, length).await?;
    Ok(Outage {
        accepted_per_s,
        refused,
        bare_per_s,
    })
}

async fn rate(sender: &Sender, length: Duration) -> anyhow::Result<f64> {
    let running = sender.saturate();
    tokio::time::sleep(WARM_UP).await;
    let (since, accepted) = (Instant::now(), sender.accepted());
    tokio::time::sleep(length).await;
    let rate = (sender.accepted() - accepted) as f64 / since.elapsed().as_secs_f64();
    running.stop().await?;
    Ok(rate)
}
