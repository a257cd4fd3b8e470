//! A peer that speaks enough AMQP 0-9-1 to be taken for a broker, and falls silent where a test wants it to.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What it never answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silent {
    /// Opening a channel.
    Channel,
    /// Declaring an exchange.
    Exchange,
    /// Declaring a queue.
    Queue,
    /// Binding a queue.
    Binding,
    /// Confirm mode.
    Select,
    /// Closing a channel or the connection.
    Close,
}

/// See the module.
pub struct FakeBroker {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl FakeBroker {
    /// Listens on a free port.
    pub async fn start(silent: Silent) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    // The client hangs up.
                    let _ = serve(stream, silent).await;
                });
            }
        });
        Self { address, connections }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.address)
    }

    /// How many clients came.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Answers methods by (class, method) with (class, method, arguments).
async fn serve(mut stream: TcpStream, silent: Silent) -> std::io::Result<()> {
    let mut protocol = [0; 8];
    stream.read_exact(&mut protocol).await?;
    let start = [&[0, 9, 0, 0, 0, 0][..], &long("PLAIN"), &long("en_US")].concat();
    stream.write_all(&method(0, 10, 10, &start)).await?;
    loop {
        let mut head = [0; 7];
        stream.read_exact(&mut head).await?;
        let channel = u16::from_be_bytes([head[1], head[2]]);
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        let mut payload = vec![0; size + 1];
        stream.read_exact(&mut payload).await?;
        if head[0] != 1 {
            continue;
        }
        let called = (
            u16::from_be_bytes([payload[0], payload[1]]),
            u16::from_be_bytes([payload[2], payload[3]]),
        );
        let (asked, answer) = match called {
            (10, 11) => (None, method(0, 10, 30, &[7, 255, 0, 2, 0, 0, 0, 60])),
            (10, 40) => (None, method(0, 10, 41, &[0])),
            (10, 50) => (Some(Silent::Close), method(0, 10, 51, &[])),
            (20, 10) => (Some(Silent::Channel), method(channel, 20, 11, &[0, 0, 0, 0])),
            (20, 40) => (Some(Silent::Close), method(channel, 20, 41, &[])),
            (40, 10) => (Some(Silent::Exchange), method(channel, 40, 11, &[])),
            (50, 10) => (
                Some(Silent::Queue),
                method(channel, 50, 11, &[1, b'q', 0, 0, 0, 0, 0, 0, 0, 0]),
            ),
            (40, 40) => (None, method(channel, 40, 51, &[])),
            (50, 20) => (Some(Silent::Binding), method(channel, 50, 21, &[])),
            (50, 50) => (None, method(channel, 50, 51, &[])),
            (85, 10) => (Some(Silent::Select), method(channel, 85, 11, &[])),
            _ => continue,
        };
        if asked != Some(silent) {
            stream.write_all(&answer).await?;
        }
    }
}

fn method(channel: u16, class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    let mut frame = vec![1];
    frame.extend_from_slice(&channel.to_be_bytes());
    frame.extend_from_slice(&(arguments.len() as u32 + 4).to_be_bytes());
    frame.extend_from_slice(&class.to_be_bytes());
    frame.extend_from_slice(&method.to_be_bytes());
    frame.extend_from_slice(arguments);
    frame.push(0xCE);
    frame
}

fn long(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}
