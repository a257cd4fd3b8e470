//! A private RabbitMQ node that a test may stop, kill and start again without touching any other broker.
//!
//! Invariants: every file of the node lives in a temporary folder of its own; its ports listen on loopback only; the
//! node, its `epmd` and everything they start form one process group, which dies with the process that started it,
//! even after a panic or `kill -9` (`node.rs` says how).

mod node;
mod queues;

use std::{
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

use lapin::{Connection, ConnectionProperties};

use node::{Node, Ports};
pub use queues::Delivered;

/// How long a node may take to come up. It needs about five seconds on an idle machine; test machines are not idle.
const START_LIMIT: Duration = Duration::from_secs(120);
/// Pause between two attempts to shake hands.
const START_PAUSE: Duration = Duration::from_millis(100);
/// Fresh ports are tried this many times when somebody takes one between choosing it and listening on it.
const PORT_ATTEMPTS: u32 = 4;

/// Why the private broker does not run.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// RabbitMQ is not installed.
    #[error("rabbitmq-server is not installed; install it with: apt-get install rabbitmq-server")]
    NotInstalled,
    /// `rabbitmqctl` failed.
    #[error("rabbitmqctl of the private RabbitMQ node: {0}")]
    Ctl(String),
    /// The node did not come up.
    #[error("the private RabbitMQ node did not come up: {0}")]
    NotStarted(String),
    /// A file or process operation failed.
    #[error("the private RabbitMQ node: {0}")]
    Io(#[from] std::io::Error),
    /// The node refused an operation of a test.
    #[error("the private RabbitMQ node refused: {0}")]
    Amqp(#[from] lapin::Error),
}

/// What a node should have beyond the plain AMQP listener.
#[derive(Debug, Clone, Default)]
pub struct BrokerOptions {
    /// Adds an AMQPS listener that asks for client certificates.
    pub tls: Option<TlsFiles>,
    /// Lines for `rabbitmq.conf`.
    pub config: String,
}

/// PEM files of an AMQPS listener.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Authority that signs the clients' certificates.
    pub authority: PathBuf,
    /// The listener's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A running private RabbitMQ node; it is killed when the value is dropped.
pub struct Broker {
    node: Node,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("url", &self.amqp_url())
            .finish_non_exhaustive()
    }
}

impl Broker {
    /// Starts a node and waits until it answers an AMQP handshake.
    ///
    /// # Errors
    /// [`BrokerError::NotInstalled`] with the cure, or the end of the node's log.
    pub async fn start() -> Result<Self, BrokerError> {
        Self::start_with(BrokerOptions::default()).await
    }

    /// Starts a node with more than the plain listener.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub async fn start_with(options: BrokerOptions) -> Result<Self, BrokerError> {
        let mut attempt = 1;
        loop {
            let mut broker = Self {
                node: Node::prepare(Ports::choose()?, &options)?,
            };
            broker.node.spawn()?;
            match broker.wait_until_ready().await {
                Ok(()) => return Ok(broker),
                Err(BrokerError::NotStarted(why)) if why.contains("eaddrinuse") && attempt < PORT_ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Address with the default user: `amqp://guest:guest@127.0.0.1:…/%2f`.
    pub fn amqp_url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.node.ports.amqp)
    }

    /// Address of the AMQPS listener; it answers only when [`BrokerOptions::tls`] was given.
    pub fn amqps_url(&self) -> String {
        format!("amqps://guest:guest@localhost:{}/%2f", self.node.ports.amqps)
    }

    /// Whether the node's process lives.
    pub fn is_running(&self) -> bool {
        self.node.is_running()
    }

    /// Runs `rabbitmqctl` against the node.
    ///
    /// # Errors
    /// With what it printed.
    pub fn ctl(&self, arguments: &[&str]) -> Result<(), BrokerError> {
        self.node.ctl(arguments)
    }

    /// Stops the node in good order and waits until it is gone.
    ///
    /// # Errors
    /// When the node can't be signalled.
    pub async fn stop(&mut self) -> Result<(), BrokerError> {
        self.node.terminate()?;
        let deadline = Instant::now() + START_LIMIT;
        while self.node.server_lives() && Instant::now() < deadline {
            tokio::time::sleep(START_PAUSE).await;
        }
        self.node.kill();
        Ok(())
    }

    /// Freezes the node: connections stay open and nothing is answered any more.
    ///
    /// # Errors
    /// When the node can't be signalled.
    pub fn freeze(&self) -> Result<(), BrokerError> {
        self.node.freeze(true)
    }

    /// Lets a frozen node go on.
    ///
    /// # Errors
    /// When the node can't be signalled.
    pub fn thaw(&self) -> Result<(), BrokerError> {
        self.node.freeze(false)
    }

    /// Kills the node (`kill -9`) and waits until it is gone.
    pub fn kill(&mut self) {
        self.node.kill();
    }

    /// Starts a stopped or killed node on its old ports with its old data.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub async fn start_again(&mut self) -> Result<(), BrokerError> {
        self.node.kill();
        self.node.spawn()?;
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&self) -> Result<(), BrokerError> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            // lapin costs a thread for each attempt, so ask it only once somebody listens.
            if tokio::net::TcpStream::connect(("127.0.0.1", self.node.ports.amqp))
                .await
                .is_ok()
                && let Ok(connection) = Connection::connect(&self.amqp_url(), ConnectionProperties::default()).await
            {
                // The answer proved that the node is ready; how the connection ends does not matter.
                let _ = connection.close(200, "OK".into()).await;
                return Ok(());
            }
            if !self.node.is_running() {
                return Err(BrokerError::NotStarted(format!(
                    "it stopped by itself\n{}",
                    self.node.log_tail()
                )));
            }
            if Instant::now() > deadline {
                return Err(BrokerError::NotStarted(format!(
                    "no AMQP handshake within {} s\n{}",
                    START_LIMIT.as_secs(),
                    self.node.log_tail()
                )));
            }
            tokio::time::sleep(START_PAUSE).await;
        }
    }
}
