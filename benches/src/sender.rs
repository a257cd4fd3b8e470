//! A platform that calls webhooks: keep-alive connections, hand-written HTTP/1.1, as cheap as can be, because it shares
//! the cores with what it measures.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// Keep-alive connections.
pub const CONNECTIONS: u64 = 64;

/// Who is called, and with which update numbers.
#[derive(Debug, Clone)]
pub struct Sender {
    port: u16,
    path: String,
    next: Arc<AtomicU64>,
    accepted: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}

impl Sender {
    /// Calls `http://127.0.0.1:<port><path>`; `first` is the number of the first update.
    pub fn new(port: u16, path: String, first: u64) -> Self {
        Self {
            port,
            path,
            next: Arc::new(AtomicU64::new(first)),
            accepted: Arc::default(),
            refused: Arc::default(),
        }
    }

    /// Requests answered 200 so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Requests answered otherwise so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Sends so many requests, over so many connections, each as fast as answers come.
    ///
    /// # Errors
    /// When a connection breaks.
    pub async fn send(&self, requests: u64, connections: u64) -> anyhow::Result<()> {
        let mut lines = JoinSet::new();
        for number in 0..connections {
            let sender = self.clone();
            let own = requests / connections + u64::from(number < requests % connections);
            lines.spawn(async move {
                let mut line = Line::open(&sender).await?;
                for _ in 0..own {
                    line.call().await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(one) = lines.join_next().await {
            one??;
        }
        Ok(())
    }

    /// Sends as fast as answers come, on every connection, until stopped.
    pub fn saturate(&self) -> Saturation {
        let stop = Arc::new(AtomicBool::new(false));
        let mut connections = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (sender, stop) = (self.clone(), Arc::clone(&stop));
            connections.spawn(async move {
                let mut line = Line::open(&sender).await?;
                while !stop.load(Ordering::Relaxed) {
                    line.call().await?;
                }
                Ok(())
            });
        }
        Saturation { stop, connections }
    }

    /// Sends `rate` requests a second for a while, spread evenly over the connections; gives how long each answer took,
    /// from when the request was due if the connection was late, else from when it was sent.
    ///
    /// # Errors
    /// When a connection breaks.
    pub async fn pace(&self, rate: f64, length: Duration) -> anyhow::Result<Vec<Duration>> {
        let mut connections = JoinSet::new();
        for number in 0..CONNECTIONS {
            let sender = self.clone();
            connections.spawn(async move {
                let mut line = Line::open(&sender).await?;
                let (mut pace, mut took) = (Pace::new(number, rate, length), Vec::new());
                while let Some(since) = pace.next().await {
                    line.call().await?;
                    took.push(since.elapsed());
                }
                anyhow::Ok(took)
            });
        }
        let mut took = Vec::new();
        while let Some(one) = connections.join_next().await {
            took.extend(one??);
        }
        Ok(took)
    }
}

/// The moments at which one of [`CONNECTIONS`] lines has to act.
pub struct Pace {
    due: Instant,
    between: Duration,
    end: Instant,
}

impl Pace {
    /// Line `number` of lines that act `rate` times a second together, for a while.
    pub fn new(number: u64, rate: f64, length: Duration) -> Self {
        let between = Duration::from_secs_f64(CONNECTIONS as f64 / rate);
        let now = Instant::now();
        Self {
            due: now + between.mul_f64(number as f64 / CONNECTIONS as f64),
            between,
            end: now + length,
        }
    }

    /// Waits until it is time to act. Gives the moment to measure from: now, or when it was due if that is past.
    pub async fn next(&mut self) -> Option<Instant> {
        let due = self.due;
        if due >= self.end {
            return None;
        }
        self.due += self.between;
        if Instant::now() > due {
            return Some(due);
        }
        tokio::time::sleep_until(due.into()).await;
        Some(Instant::now())
    }
}

/// Requests under way.
pub struct Saturation {
    stop: Arc<AtomicBool>,
    connections: JoinSet<anyhow::Result<()>>,
}

impl Saturation {
    /// Lets the last requests end.
    ///
    /// # Errors
    /// When a connection broke.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(one) = self.connections.join_next().await {
            one??;
        }
        Ok(())
    }
}

/// One connection.
struct Line<'a> {
    sender: &'a Sender,
    stream: TcpStream,
    head: String,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl<'a> Line<'a> {
    async fn open(sender: &'a Sender) -> anyhow::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, sender.port)).await?;
        stream.set_nodelay(true)?;
        let (path, secret) = (&sender.path, crate::daemon::HOOK_SECRET);
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
             x-telegram-bot-api-secret-token: {secret}\r\ncontent-length: "
        );
        Ok(Self {
            sender,
            stream,
            head,
            request: Vec::new(),
            answer: Vec::new(),
        })
    }

    /// One request and its whole answer.
    async fn call(&mut self) -> anyhow::Result<()> {
        let update = crate::updates::update(self.sender.next.fetch_add(1, Ordering::Relaxed));
        self.request.clear();
        self.request.extend_from_slice(self.head.as_bytes());
        self.request.extend_from_slice(update.len().to_string().as_bytes());
        self.request.extend_from_slice(b"\r\n\r\n");
        self.request.extend_from_slice(update.as_bytes());
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        let end = loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the connection was closed");
            }
            if let Some(end) = find(&self.answer, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = std::str::from_utf8(&self.answer[..end])?.to_ascii_lowercase();
        let length = match head.split("content-length:").nth(1) {
            Some(rest) => rest.lines().next().unwrap_or_default().trim().parse()?,
            None => 0,
        };
        while self.answer.len() < end + length {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the connection was closed inside an answer");
            }
        }
        let status = head.get(9..12).context("no status line")?;
        let counter = if status == "200" {
            &self.sender.accepted
        } else {
            &self.sender.refused
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
