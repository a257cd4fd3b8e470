//! Files, ports and processes of one private RabbitMQ node.
//!
//! A small shell watchdog leads the node's process group and reads from a pipe whose other end only we hold. However
//! our process ends, the kernel closes that pipe, the watchdog sees the end of its input and kills the whole group.
//! (A parent-death signal would follow the *thread* that started the node, and a test's threads come and go.)

use std::{
    fs,
    io::{self, Read, Seek, SeekFrom},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};
use tempfile::TempDir;

use super::{BrokerError, BrokerOptions};

/// Where distributions put the start script that runs as any user (the one in `/usr/sbin` switches users).
const SERVER_SCRIPTS: &[&str] = &[
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "/opt/rabbitmq/sbin/rabbitmq-server",
];

/// Starts a private `epmd`, waits for it (else the node would start one that outlives us), starts the node, and kills
/// everything once our end of the pipe is closed. (While we live we clean up ourselves and this end is never reached.)
const WATCHDOG: &str = r#"
epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 </dev/null >/dev/null 2>&1 &
until epmd -port "$ERL_EPMD_PORT" -names >/dev/null 2>&1; do sleep 0.05; done
{ "$SERVER_SCRIPT" </dev/null >"$CONSOLE" 2>&1; : >"$EXITED"; } &
cat >/dev/null
rm -rf "$FOLDER"
kill -9 0
"#;

/// Ports of a node. Below the usual ephemeral range, so that outgoing connections don't take them while the node is
/// down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) amqp: u16,
    pub(super) amqps: u16,
    distribution: u16,
    epmd: u16,
}

impl Ports {
    /// Chooses four ports nobody listens on now.
    pub(super) fn choose() -> io::Result<Self> {
        let mut held = Vec::new();
        for _ in 0..1000 {
            let port = fastrand::u16(15_000..32_000);
            if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
                held.push((port, listener));
            }
            if let [(amqp, _), (amqps, _), (distribution, _), (epmd, _)] = held[..] {
                return Ok(Self {
                    amqp,
                    amqps,
                    distribution,
                    epmd,
                });
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "no four free ports between 15000 and 32000",
        ))
    }
}

pub(super) struct Node {
    pub(super) ports: Ports,
    name: String,
    script: PathBuf,
    folder: TempDir,
    watchdog: Option<Child>,
}

impl Node {
    /// Writes the node's files; nothing runs yet.
    pub(super) fn prepare(ports: Ports, options: &BrokerOptions) -> Result<Self, BrokerError> {
        static NODES: AtomicU32 = AtomicU32::new(0);
        let script = SERVER_SCRIPTS.iter().map(PathBuf::from).find(|path| path.exists());
        let script = script.ok_or(BrokerError::NotInstalled)?;
        let folder = tempfile::Builder::new().prefix("priem-broker-").tempdir()?;
        let name = format!("priem-{}-{}", std::process::id(), NODES.fetch_add(1, Ordering::Relaxed));
        fs::write(folder.path().join("rabbitmq.conf"), configuration(ports, options))?;
        fs::write(folder.path().join("rabbitmq-env.conf"), "")?;
        fs::write(folder.path().join("enabled_plugins"), "[].\n")?;
        Ok(Self {
            ports,
            name,
            script,
            folder,
            watchdog: None,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn spawn(&mut self) -> Result<(), BrokerError> {
        let _ = fs::remove_file(self.path("exited"));
        let _ = fs::remove_file(self.path("pid"));
        let watchdog = self
            .settings(&mut Command::new("sh"))
            .arg("-c")
            .arg(WATCHDOG)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .env("FOLDER", self.folder.path())
            .env("SERVER_SCRIPT", &self.script)
            .env("CONSOLE", self.path("console.log"))
            .env("EXITED", self.path("exited"))
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1}",
            )
            .spawn()?;
        self.watchdog = Some(watchdog);
        Ok(())
    }

    /// Runs `rabbitmqctl`, with the settings the node was started with.
    pub(super) fn ctl(&self, arguments: &[&str]) -> Result<(), BrokerError> {
        let output = self
            .settings(&mut Command::new(self.script.with_file_name("rabbitmqctl")))
            .args(arguments)
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(BrokerError::Ctl(String::from_utf8_lossy(&said).into_owned()))
    }

    /// Where the node's files are and how its parts find each other.
    fn settings<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .stdin(Stdio::null())
            .env("HOME", self.folder.path())
            .env("LC_ALL", "C.UTF-8")
            .env_remove("NOTIFY_SOCKET")
            .env("ERL_EPMD_PORT", self.ports.epmd.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", self.path("rabbitmq-env.conf"))
            .env("RABBITMQ_CONFIG_FILE", self.path("rabbitmq"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", self.path("advanced.config"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", self.path("config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.path("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", self.path("mnesia"))
            .env("RABBITMQ_LOG_BASE", self.path("log"))
            .env("RABBITMQ_PID_FILE", self.path("pid"))
            .env("RABBITMQ_NODENAME", format!("{}@localhost", self.name))
            .env("RABBITMQ_DIST_PORT", self.ports.distribution.to_string())
    }

    /// Whether the node was started and has neither stopped nor been killed.
    pub(super) fn is_running(&self) -> bool {
        self.watchdog.is_some() && !self.path("exited").exists()
    }

    /// Whether the Erlang machine itself lives, by the pid in its own file.
    pub(super) fn server_lives(&self) -> bool {
        self.server_pid().is_some_and(|pid| test_kill_process(pid).is_ok())
    }

    fn server_pid(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.path("pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }

    /// Asks the node to stop in good order.
    pub(super) fn terminate(&self) -> Result<(), BrokerError> {
        match self.server_pid() {
            Some(pid) if self.watchdog.is_some() => Ok(kill_process(pid, Signal::TERM).map_err(io::Error::from)?),
            _ => Ok(()),
        }
    }

    /// Stops the Erlang machine where it stands, or lets it go on.
    pub(super) fn freeze(&self, frozen: bool) -> Result<(), BrokerError> {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        match self.server_pid() {
            Some(pid) if self.watchdog.is_some() => Ok(kill_process(pid, signal).map_err(io::Error::from)?),
            _ => Ok(()),
        }
    }

    /// Kills the whole group and waits for the watchdog and the Erlang machine to be gone.
    pub(super) fn kill(&mut self) {
        let server = self.server_pid();
        let Some(mut watchdog) = self.watchdog.take() else {
            return;
        };
        if let Some(group) = i32::try_from(watchdog.id()).ok().and_then(Pid::from_raw) {
            // Fails only when the group is gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = watchdog.wait();
        // The machine was the watchdog's grandchild, so somebody else reaps it; a zombie holds no port any more.
        while server.is_some_and(is_alive_and_no_zombie) {
            std::thread::yield_now();
        }
        let _ = fs::remove_file(self.path("pid"));
    }

    /// Whether the node's register of quorum queues, as it is on disk, holds a queue of the default virtual host.
    pub(super) fn registered_on_disk(&self, queue: &str) -> bool {
        let node = format!("{}@localhost", self.name);
        let register = self
            .path("mnesia")
            .join(&node)
            .join("quorum")
            .join(&node)
            .join("names.dets");
        let name = format!("%2F_{queue}");
        let register = fs::read(register).unwrap_or_default();
        register.windows(name.len()).any(|window| window == name.as_bytes())
    }

    /// The last lines the node wrote, for error messages.
    pub(super) fn log_tail(&self) -> String {
        let log = self.path("log").join(format!("{}@localhost.log", self.name));
        format!("{}\n{}", tail(&self.path("console.log")), tail(&log))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

fn is_alive_and_no_zombie(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| {
        stat.rsplit(") ")
            .next()
            .is_some_and(|rest| !rest.starts_with(['Z', 'X']))
    })
}

fn configuration(ports: Ports, options: &BrokerOptions) -> String {
    let mut text = format!(
        "listeners.tcp.1 = 127.0.0.1:{}\nnum_acceptors.tcp = 2\nlog.file.level = warning\nlog.console = false\n",
        ports.amqp
    );
    if let Some(tls) = &options.tls {
        text.push_str(&format!(
            "listeners.ssl.1 = 127.0.0.1:{}\nnum_acceptors.ssl = 2\nssl_options.cacertfile = {}\n\
             ssl_options.certfile = {}\nssl_options.keyfile = {}\nssl_options.verify = verify_peer\n\
             ssl_options.fail_if_no_peer_cert = true\n",
            ports.amqps,
            tls.authority.display(),
            tls.certificate.display(),
            tls.key.display(),
        ));
    }
    text.push_str(&options.config);
    text.push('\n');
    text
}

fn tail(path: &Path) -> String {
    let mut text = Vec::new();
    if let Ok(mut file) = fs::File::open(path) {
        let length = file.metadata().map(|metadata| metadata.len()).unwrap_or(0);
        let _ = file.seek(SeekFrom::Start(length.saturating_sub(2000)));
        let _ = file.read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}
