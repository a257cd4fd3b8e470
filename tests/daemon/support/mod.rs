//! A daemon installed into a temporary folder, as a user would: settings in YAML, the real binary, signals, HTTP.
//!
//! [`flow`] adds what runs through it: a load of citizens, a ledger of what was sent, the comparison with what came out.

pub mod channel;
pub mod fake_amqp;
pub mod flow;
pub mod publisher;

use std::{
    net::TcpListener,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// The longest a test waits for anything. Far above what is needed: it only bounds a hanging test.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// An installation and, while started, its process.
pub struct Installation {
    /// Everything is in here.
    pub folder: tempfile::TempDir,
    /// Port of health and metrics.
    pub admin: u16,
    /// Port of webhooks.
    pub hooks: u16,
    process: Option<Child>,
    wrapper: Vec<String>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Installation {
    /// An installation with these settings; `{folder}`, `{admin}` and `{hooks}` are filled in.
    pub fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let installation = Self {
            folder,
            admin: free_port(),
            hooks: free_port(),
            process: None,
            wrapper: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
        };
        installation.configure(settings);
        installation
    }

    /// Writes the settings file.
    pub fn configure(&self, settings: &str) {
        let text = settings
            .replace("{folder}", &self.folder.path().display().to_string())
            .replace("{admin}", &self.admin.to_string())
            .replace("{hooks}", &self.hooks.to_string());
        std::fs::write(self.config(), text).expect("settings are written");
    }

    /// Commands in front of the daemon's own (`prlimit …`).
    pub fn wrap(&mut self, wrapper: &[&str]) {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
    }

    /// Path of the settings file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("priem.yaml")
    }

    /// Folder of the journal, when the settings say `journal: { dir: journal }`.
    pub fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// Starts the daemon and waits until it is ready.
    pub async fn start(&mut self) {
        self.spawn();
        self.ready().await;
    }

    /// The same, with this for its standard error.
    pub async fn start_with_log(&mut self, log: impl Into<Stdio>) {
        self.spawn_with_log(log.into());
        self.ready().await;
    }

    async fn ready(&mut self) {
        let started = Instant::now();
        loop {
            if let Some((200, _)) = self.get("/health/ready").await {
                return;
            }
            if let Some(status) = self
                .process
                .as_mut()
                .and_then(|process| process.try_wait().ok().flatten())
            {
                panic!("priem ended with {status}:\n{}", self.log());
            }
            assert!(started.elapsed() < PATIENCE, "priem is not ready:\n{}", self.log());
            pause().await;
        }
    }

    /// Starts the daemon without waiting.
    pub fn spawn(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("log file");
        self.spawn_with_log(log.into());
    }

    fn spawn_with_log(&mut self, log: Stdio) {
        let binary = env!("CARGO_BIN_EXE_priem").to_owned();
        let mut words = self.wrapper.iter().cloned().chain([binary]);
        let mut command = Command::new(words.next().expect("a command"));
        command
            .args(words)
            .arg("run")
            .arg("--config")
            .arg(self.config())
            .args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().expect("priem starts"));
    }

    /// Sets an environment variable of the daemon.
    pub fn environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Adds arguments after `run --config …`.
    pub fn arguments(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
    }

    /// Writes a secret into a file of the installation, for `{ file: {folder}/secrets/<name> }`.
    pub fn secret(&self, name: &str, value: &str) {
        write(&self.folder.path().join("secrets").join(name), value);
    }

    /// Waits until the daemon ended by itself; its exit code, or 128 and the signal that ended it.
    pub async fn ended(&mut self) -> i32 {
        let mut process = self.process.take().expect("priem was started");
        let started = Instant::now();
        loop {
            if let Some(status) = process.try_wait().expect("wait") {
                let signal = status.signal().unwrap_or_default();
                return status.code().unwrap_or(128 + signal);
            }
            if started.elapsed() > PATIENCE {
                self.process = Some(process);
                panic!("priem does not end:\n{}", self.log());
            }
            pause().await;
        }
    }

    /// Fails the test when the daemon is not running any more.
    pub fn assert_running(&mut self) {
        let ended = self
            .process
            .as_mut()
            .expect("priem was started")
            .try_wait()
            .expect("wait");
        assert_eq!(ended, None, "priem ended:\n{}", self.log());
    }

    /// What `journal stats` says, beside the daemon or without it.
    pub fn stats(&self) -> serde_json::Value {
        json(&self.priem(&["journal", "stats", "--json"]))
    }

    /// Process id of the running daemon.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("priem runs").id()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("SIGKILL");
            process.wait().expect("the process ends");
        }
    }

    /// SIGTERM, and waits for an orderly end.
    pub async fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let done = Command::new("kill")
            .arg("-TERM")
            .arg(process.id().to_string())
            .status()
            .expect("kill");
        assert!(done.success());
        let started = Instant::now();
        loop {
            if let Some(status) = process.try_wait().expect("wait") {
                assert!(status.success(), "priem ended with {status}:\n{}", self.log());
                return;
            }
            assert!(started.elapsed() < PATIENCE, "priem does not stop:\n{}", self.log());
            pause().await;
        }
    }

    /// Runs a subcommand beside the daemon.
    pub fn priem(&self, arguments: &[&str]) -> Output {
        priem(&[arguments, &["--config", &self.config().display().to_string()]].concat())
    }

    /// A GET on the admin listener: status and body, or nothing while nobody listens.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = http()
            .get(format!("http://127.0.0.1:{}{path}", self.admin))
            .send()
            .await
            .ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.text().await.ok()?))
    }

    /// Sum of a metric over all its labels that contain `labels`; 0 while there is none.
    pub async fn metric(&self, name: &str, labels: &str) -> f64 {
        let Some((_, text)) = self.get("/metrics").await else {
            return 0.0;
        };
        text.lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(name) && line.contains(labels))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Waits until a metric reaches a value.
    pub async fn metric_reaches(&self, name: &str, labels: &str, wanted: f64) {
        let started = Instant::now();
        loop {
            let value = self.metric(name, labels).await;
            if value >= wanted {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{name}{{{labels}}} is {value}, not {wanted}:\n{}",
                self.log()
            );
            pause().await;
        }
    }

    /// Everything the daemon logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("priem.log")
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs the command line.
pub fn priem(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_priem"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("priem runs")
}

/// Standard output as text.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Standard output as JSON.
pub fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error} in {}\n{}",
            text(output),
            String::from_utf8_lossy(&output.stderr)
        );
    })
}

/// Waits until a condition holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "in vain: {what}");
        pause().await;
    }
}

/// Gives way between two looks at a condition.
pub async fn pause() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// A port nobody listens on, below the range that outgoing connections take theirs from: it must still be free after a
/// restart.
pub fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| fastrand::u16(15_000..32_000));
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("ports are endless")
}

/// An HTTP client for loopback.
pub fn http() -> &'static reqwest::Client {
    static CLIENT: std::sync::OnceLock<reqwest::Client> = std::sync::OnceLock::new();
    CLIENT.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("a client")
    })
}

/// Writes a file and its folders.
pub fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    std::fs::write(path, text).expect("file");
}
