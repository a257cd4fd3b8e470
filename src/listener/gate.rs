//! Who may be connected: a place for each connection, given up by those who prove nothing.
//!
//! Invariants:
//! - a connection is a stranger's until a request on it was proven, and again after one was refused;
//! - when all places, or those of one address, are taken, a newcomer gets the place of the stranger who has waited
//!   longest, then of the connection that has been idle longest; never of one whose proven request is worked on;
//! - what was written to a connection must be read within a time, or it ends.

use std::{
    collections::HashMap,
    future::{Ready, ready},
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum_server::accept::Accept;
use ipnet::IpNet;
use parking_lot::Mutex;
use prometheus::{IntCounter, IntGauge};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tracing::warn;

use super::peer;
use crate::telemetry::Metrics;

/// How long what was written may wait for the other side to read it.
pub(crate) const READ_WITHIN: Duration = Duration::from_secs(30);
/// A lack of places is told in the log this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How many connections a listener takes.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// Bounded: a metric label.
    pub(crate) listener: &'static str,
    /// Of everybody.
    pub(crate) most: usize,
    /// Of one address (of one /64 network with IPv6).
    pub(crate) most_per_address: usize,
    /// Reverse proxies: many senders behind one address.
    pub(crate) proxies: Vec<IpNet>,
    /// How long an answer may wait for the other side to read it.
    pub(crate) read_within: Duration,
}

/// The gate of one listener. Cheap to clone; clones share the places.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    places: Places,
    open: Mutex<Open>,
    connections: IntGauge,
    lost_all: IntCounter,
    lost_by_share: IntCounter,
    told: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Open {
    /// Connections so far: the order of their coming.
    count: u64,
    connections: HashMap<SocketAddr, Arc<Connection>>,
    by_address: HashMap<IpAddr, usize>,
}

/// What is known of the sender at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ConnectionState {
    /// Nothing is proven: the first to go.
    Stranger,
    /// Was proven, and asks for nothing now.
    Idle,
    /// A proven request is worked on: stays.
    Busy,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    number: u64,
    /// Whose share it is.
    address: IpAddr,
    state: AtomicU8,
    closing: CancellationToken,
}

impl Connection {
    /// What is known of the sender now.
    pub(crate) fn set_state(&self, state: ConnectionState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// The request was answered: who was proven stays known, and is busy no more.
    pub(crate) fn answered(&self) {
        if self.state.load(Ordering::Relaxed) == ConnectionState::Busy as u8 {
            self.set_state(ConnectionState::Idle);
        }
    }

    /// The order in which places are taken away; `None`: not at all.
    fn rank(&self) -> Option<(u8, u64)> {
        let state = self.state.load(Ordering::Relaxed);
        let may_go = state != ConnectionState::Busy as u8 && !self.closing.is_cancelled();
        may_go.then_some((state, self.number))
    }
}

impl Gate {
    /// A gate, with half the process's file descriptors at most: the journal and the sources need some too.
    pub(crate) fn new(mut places: Places, metrics: &Metrics) -> Self {
        let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let half = descriptors.map_or(usize::MAX, |limit| usize::try_from(limit / 2).unwrap_or(usize::MAX));
        places.most = places.most.min(half).max(1);
        places.most_per_address = places.most_per_address.clamp(1, places.most);
        let lost = |reason| metrics.connections_lost.with_label_values(&[places.listener, reason]);
        Self(Arc::new(Shared {
            connections: metrics.connections.with_label_values(&[places.listener]),
            lost_all: lost("too_many"),
            lost_by_share: lost("address_share"),
            open: Mutex::default(),
            told: Mutex::default(),
            places,
        }))
    }

    /// Name of the listener, in logs and metrics.
    pub(crate) fn name(&self) -> &'static str {
        self.0.places.listener
    }

    /// The connection from this address and port, while it is open.
    pub(crate) fn connection(&self, from: SocketAddr) -> Option<Arc<Connection>> {
        self.0.open.lock().connections.get(&from).cloned()
    }

    /// Gives a place, taking it from somebody else when there is none; `None` when nobody can go.
    fn enter(&self, from: SocketAddr) -> Option<Arc<Connection>> {
        let Shared { places, open, .. } = &*self.0;
        let ip = from.ip().to_canonical();
        let address = peer::share_of(ip);
        let behind_proxy = places.proxies.iter().any(|network| network.contains(&ip));
        let mut open = open.lock();
        let of_address = open.by_address.get(&address).copied().unwrap_or(0);
        let place = if !behind_proxy && of_address >= places.most_per_address {
            self.lose(&self.0.lost_by_share, ip);
            open.take_away(|connection| connection.address == address)
        } else if open.connections.len() >= places.most {
            self.lose(&self.0.lost_all, ip);
            open.take_away(|_| true)
        } else {
            true
        };
        if !place {
            return None;
        }
        open.count += 1;
        let connection = Arc::new(Connection {
            number: open.count,
            address,
            state: AtomicU8::new(ConnectionState::Stranger as u8),
            closing: CancellationToken::new(),
        });
        *open.by_address.entry(address).or_insert(0) += 1;
        open.connections.insert(from, Arc::clone(&connection));
        self.0.connections.inc();
        Some(connection)
    }

    fn leave(&self, from: SocketAddr, number: u64) {
        self.0.open.lock().remove(from, number);
        self.0.connections.dec();
    }

    fn lose(&self, counter: &IntCounter, newcomer: IpAddr) {
        counter.inc();
        let mut told = self.0.told.lock();
        if told.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            return;
        }
        *told = Some(Instant::now());
        let Places {
            listener,
            most,
            most_per_address,
            ..
        } = &self.0.places;
        warn!(
            listener,
            %newcomer,
            most,
            most_per_address,
            "all places of a listener or of one address are taken; connections that prove nothing lose theirs"
        );
    }
}

impl Open {
    /// Closes the connection that is the first to go among some; says whether there was one. Its place is free at once:
    /// the task behind it ends a moment later.
    fn take_away(&mut self, among: impl Fn(&Connection) -> bool) -> bool {
        let candidates = self.connections.iter().filter(|(_, connection)| among(connection));
        let ranked = candidates.filter_map(|(from, connection)| Some((connection.rank()?, *from)));
        let Some(((_, number), from)) = ranked.min_by_key(|(rank, _)| *rank) else {
            return false;
        };
        if let Some(connection) = self.connections.get(&from) {
            connection.closing.cancel();
        }
        self.remove(from, number);
        true
    }

    fn remove(&mut self, from: SocketAddr, number: u64) {
        if self
            .connections
            .get(&from)
            .is_none_or(|connection| connection.number != number)
        {
            return;
        }
        let Some(connection) = self.connections.remove(&from) else {
            return;
        };
        if let Some(count) = self.by_address.get_mut(&connection.address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&connection.address);
            }
        }
    }
}

impl<S> Accept<TcpStream, S> for Gate {
    type Stream = Guarded;
    type Service = S;
    type Future = Ready<io::Result<(Guarded, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let guarded = stream
            .set_nodelay(true)
            .and_then(|()| stream.peer_addr())
            .and_then(|from| {
                let Some(connection) = self.enter(from) else {
                    return Err(io::Error::new(ErrorKind::QuotaExceeded, "no place is free"));
                };
                Ok(Guarded {
                    stream,
                    closing: Box::pin(connection.closing.clone().cancelled_owned()),
                    unread: None,
                    gate: self.clone(),
                    from,
                    number: connection.number,
                })
            });
        ready(guarded.map(|stream| (stream, service)))
    }
}

/// A connection that holds a place.
pub(crate) struct Guarded {
    stream: TcpStream,
    /// Ready when the place was given to somebody else.
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Since when the other side leaves unread what was written.
    unread: Option<Pin<Box<Sleep>>>,
    gate: Gate,
    from: SocketAddr,
    number: u64,
}

impl Guarded {
    fn is_closed(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.closing.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::Error::new(ErrorKind::ConnectionAborted, "the place was given away")),
            Poll::Pending => Ok(()),
        }
    }

    /// Gives the other side some time to read, not for ever.
    fn wait_for_reader<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let time = self.gate.0.places.read_within;
        let unread = self.unread.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        match unread.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the answer is not read"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.gate.leave(self.from, self.number);
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.is_closed(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.is_closed(cx)?;
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Pending => self.wait_for_reader(cx),
            ready => ready,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.is_closed(cx)?;
        match Pin::new(&mut self.stream).poll_write_vectored(cx, pieces) {
            Poll::Pending => self.wait_for_reader(cx),
            ready => ready,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when all that was to be written has been.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unread = None;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
