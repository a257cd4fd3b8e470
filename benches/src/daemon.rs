//! The daemon under test: a child process with settings in YAML, as a user would run it.
//!
//! The child is this very program: called by the name `priem` it is the daemon's command line and nothing else (see
//! `main`), so that a measurement never meets an older binary.

use std::{
    io::Write as _,
    net::TcpListener,
    ops::Range,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use priem::{
    journal::{Journal, JournalSettings},
    runtime::{build::Built, registry},
    telemetry::Metrics,
};
use priem_sdk::{Connector, Item, contract::ConnectorId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cpu;

/// Name under which this program is the daemon.
pub const NAME: &str = "priem";
/// Connector that takes Telegram webhooks.
pub const CONNECTOR: &str = "telegram";
/// Secret last part of the webhook's address.
pub const HOOK_PATH: &str = "bench-path-0123456789abcdef0123456789abcdef";
/// What Telegram repeats in a header.
pub const HOOK_SECRET: &str = "bench-secret-0123456789abcdef";
/// Queue that takes everything.
pub const QUEUE: &str = "priem.messages";
/// Items stored at once when a journal is filled.
const FILL: u64 = 2_000;
/// Pause between two looks at a metric: short against what is measured, long against what a look costs.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(300);

/// Where messages go.
pub enum Target<'a> {
    /// To a broker with this address.
    Amqp(&'a str),
    /// The same, with more settings of `amqp`.
    AmqpWith(&'a str, &'a str),
    /// To a file in the installation's folder, synced as by default.
    File,
}

/// A folder with settings, and later a journal.
pub struct Installation {
    folder: tempfile::TempDir,
    admin: u16,
    hooks: u16,
}

impl Installation {
    /// The installation of most measurements: a bot by webhook, and a folder of exports.
    ///
    /// # Errors
    /// When files can't be written.
    pub fn new(target: &Target<'_>, telegram_api: &str) -> anyhow::Result<Self> {
        let secrets = [
            ("token", "7000001:bench-bot-AAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            ("hook-path", HOOK_PATH),
            ("hook-secret", HOOK_SECRET),
        ];
        let secrets = secrets.map(|(name, text)| (name.to_owned(), text.to_owned()));
        Self::with(target, &secrets, |place| {
            format!(
                "  {CONNECTOR}:
    type: telegram
    mode: webhook
    token: {{ file: {place}/token }}
    api_url: {telegram_api}
    webhook:
      path: {{ file: {place}/hook-path }}
      secret_token: {{ file: {place}/hook-secret }}
      source_networks: []
{}",
                exports(place)
            )
        })
    }

    /// An installation with these secrets, and the connectors that `connectors` writes for their folder.
    ///
    /// # Errors
    /// When files can't be written.
    pub fn with(
        target: &Target<'_>,
        secrets: &[(String, String)],
        connectors: impl FnOnce(&str) -> String,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (admin, hooks) = (free_port()?, free_port()?);
        for (name, text) in secrets {
            std::fs::write(folder.path().join(name), text)?;
        }
        let broker = match target {
            Target::Amqp(url) => format!("amqp: {{ url: \"{url}\" }}"),
            Target::AmqpWith(url, more) => format!("amqp: {{ url: \"{url}\", {more} }}"),
            Target::File => "ndjson: { path: out.ndjson }".to_owned(),
        };
        let settings = format!(
            "version: 1
journal: {{ dir: journal }}
http:
  admin: {{ listen: 127.0.0.1:{admin} }}
  webhooks: {{ listen: 127.0.0.1:{hooks}, public_url: http://127.0.0.1:{hooks} }}
{broker}
log: {{ level: info }}
connectors:
{}",
            connectors(&folder.path().display().to_string())
        );
        std::fs::write(folder.path().join("priem.yaml"), settings)?;
        Ok(Self { folder, admin, hooks })
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Port of the webhooks.
    pub fn hooks(&self) -> u16 {
        self.hooks
    }

    /// Path of the webhook.
    pub fn hook_path() -> String {
        format!("/hooks/{CONNECTOR}/{HOOK_PATH}")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("priem.yaml")
    }

    /// Adds a line to the settings.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn set(&self, line: &str) -> anyhow::Result<()> {
        let mut settings = std::fs::File::options().append(true).open(self.config())?;
        Ok(writeln!(settings, "{line}")?)
    }

    /// The settings, rules and connectors, as the daemon would build them.
    ///
    /// # Errors
    /// When the daemon would refuse them.
    pub fn built(&self) -> anyhow::Result<Built> {
        Ok(Built::from_file(&self.config(), registry())?)
    }

    /// The connector of the webhook.
    ///
    /// # Errors
    /// When it can't be built.
    pub fn connector(&self) -> anyhow::Result<Arc<dyn Connector>> {
        let built = self.built()?;
        let connector = built.connectors.get(&ConnectorId::new(CONNECTOR));
        Ok(Arc::clone(connector.context("the connector of the benchmarks")?))
    }

    /// Opens the journal in this process; the daemon must not run.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn journal(&self) -> anyhow::Result<Journal> {
        let settings: JournalSettings = self.built()?.settings.journal;
        Ok(Journal::open(&settings, &Metrics::new())?)
    }

    /// Stores updates as pending, with the daemon stopped.
    ///
    /// # Errors
    /// When the journal refuses.
    pub async fn fill(&self, count: u64) -> anyhow::Result<()> {
        self.fill_with(count, crate::updates::items).await
    }

    /// The same with other items: `make` gives those of some numbers.
    ///
    /// # Errors
    /// When the journal refuses.
    pub async fn fill_with(
        &self,
        count: u64,
        make: impl Fn(&dyn Connector, Range<u64>) -> anyhow::Result<Vec<Item>>,
    ) -> anyhow::Result<()> {
        let (journal, connector) = (self.journal()?, self.connector()?);
        let id = ConnectorId::new(CONNECTOR);
        let mut from = 0;
        while from < count {
            let to = (from + FILL).min(count);
            let items = make(connector.as_ref(), from..to)?;
            journal.append(&id, "webhook", items, None).await?;
            from = to;
        }
        Ok(())
    }

    /// Takes over the journal of another installation, which must be at rest.
    ///
    /// # Errors
    /// When it can't be copied.
    pub fn copy_journal_of(&self, other: &Self) -> anyhow::Result<()> {
        let (from, to) = (other.folder().join("journal"), self.folder().join("journal"));
        std::fs::create_dir_all(&to)?;
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
        Ok(())
    }

    /// Starts the daemon and waits until it is ready.
    ///
    /// # Errors
    /// When it ends instead.
    pub async fn start(&self) -> anyhow::Result<Daemon<'_>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg0(NAME);
        self.spawn(command, Duration::from_millis(1)).await
    }

    /// The same below another program (`valgrind …`), which starts it in its turn.
    ///
    /// # Errors
    /// When it ends instead, or there is no such program.
    pub async fn start_under(&self, program: &[String]) -> anyhow::Result<Daemon<'_>> {
        let (name, arguments) = program.split_first().context("a program")?;
        // Such programs pass on no name of their own choosing: the link has it.
        let daemon = self.folder.path().join(NAME);
        if !daemon.exists() {
            std::os::unix::fs::symlink(std::env::current_exe()?, &daemon)?;
        }
        let mut command = Command::new(name);
        command.args(arguments).arg(daemon);
        // Each look is work of the daemon, too.
        self.spawn(command, Duration::from_millis(500)).await
    }

    async fn spawn(&self, mut command: Command, look_every: Duration) -> anyhow::Result<Daemon<'_>> {
        let log = std::fs::File::create(self.folder.path().join("log"))?;
        let since = Instant::now();
        let child = command
            .arg("--config")
            .arg(self.config())
            .arg("run")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} does not start", command.get_program().display()))?;
        let mut daemon = Daemon {
            child,
            installation: self,
            start: Duration::ZERO,
        };
        loop {
            if matches!(daemon.get("/health/ready").await, Ok((200, _))) {
                daemon.start = since.elapsed();
                return Ok(daemon);
            }
            if daemon.child.try_wait()?.is_some() || since.elapsed() > PATIENCE {
                bail!("the daemon did not become ready\n{}", daemon.log());
            }
            tokio::time::sleep(look_every).await;
        }
    }
}

/// The connector of a folder of exports.
pub fn exports(place: &str) -> String {
    format!(
        "  exports:
    type: files
    folder: {place}/exports
    mapping: incident
    settle: 0s
    every: 1s
"
    )
}

/// A running daemon; killed when dropped.
pub struct Daemon<'a> {
    child: Child,
    installation: &'a Installation,
    /// From starting the process to readiness.
    pub start: Duration,
}

impl Daemon<'_> {
    async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.installation.admin)).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let status = answer.get(9..12).context("no status line")?.parse()?;
        Ok((status, answer))
    }

    /// Sum of a metric over its labels.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn metric(&self, name: &str) -> anyhow::Result<u64> {
        let (_, text) = self.get("/metrics").await.with_context(|| self.log())?;
        Ok(sum(&text, name))
    }

    /// Reads a metric every few milliseconds until `enough` says so; gives when and how much, the first of each value
    /// only.
    ///
    /// # Errors
    /// When the daemon does not answer or never gets there.
    pub async fn watch(
        &self,
        name: &str,
        mut enough: impl FnMut(u64, &str) -> bool,
    ) -> anyhow::Result<Vec<(Instant, u64)>> {
        let started = Instant::now();
        let mut seen: Vec<(Instant, u64)> = Vec::new();
        loop {
            let (_, text) = self.get("/metrics").await.with_context(|| self.log())?;
            let value = sum(&text, name);
            if seen.last().is_none_or(|(_, last)| *last != value) {
                seen.push((Instant::now(), value));
            }
            if enough(value, &text) {
                return Ok(seen);
            }
            if started.elapsed() > PATIENCE {
                bail!("{name} stays at {value}\n{}", self.log());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Memory in megabytes (10⁶ bytes): resident now, and the most so far.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn memory_mb(&self) -> anyhow::Result<(f64, f64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| -> anyhow::Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib: f64 = line.context("no such line")?.trim().trim_end_matches(" kB").parse()?;
            Ok(kib * 1024.0 / 1e6)
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// Processor time used so far.
    pub fn cpu(&self) -> Duration {
        cpu::of_process(self.child.id())
    }

    /// Asks the daemon to end in order and waits for it.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let asked = Instant::now();
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("the daemon ended with {status}\n{}", self.log()),
                None if asked.elapsed() > PATIENCE => bail!("the daemon does not stop\n{}", self.log()),
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// End of the daemon's log.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.installation.folder().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // What it held is thrown away with its folder.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sum of the samples of a metric in the text format.
pub fn sum(text: &str, name: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum::<f64>() as u64
}

/// An address where no broker is.
///
/// # Errors
/// When no port is free.
pub fn nobody() -> std::io::Result<String> {
    Ok(format!("amqp://guest:guest@127.0.0.1:{}/%2f", free_port()?))
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
