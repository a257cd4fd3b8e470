//! The organisation contour ("edms") of ПОС in a box: its shape was seen in public code of regional systems, and is to be
//! confirmed in a pilot.
//!
//! It answers as that code expects: a token by `grant_type=password` with a Basic client, which expires; a list in
//! Spring pages of the messages not yet accepted, newest first, so that it shifts while it is read; files behind the
//! token; `mark-accepted` with an empty body, harmless when repeated; errors as JSON with `messages[]`. It shares no code
//! with the connector. What a client does wrong is written down in [`PosCity::violations`]: calls that would change a
//! message (take to work, answer, upload) above all.
//!
//! Nothing here depends on the clock: tokens expire after a number of calls or on demand, and a call can be held at each
//! step until a test lets it go, so that a client can be killed exactly there.

mod rows;
mod serve;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle};

pub use rows::Appeal;

/// What a client must show for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// OAuth client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// User.
    pub username: String,
    /// Password.
    pub password: String,
}

/// How the server behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whom it knows.
    pub account: Account,
    /// Calls a token is good for.
    pub calls_per_token: u32,
    /// Life the server claims for a token, seconds.
    pub claimed_life: u64,
}

/// A step at which a call can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// A list was asked for.
    List,
    /// A file was asked for.
    File,
    /// An acknowledgement has come and is not yet looked at.
    BeforeAccept,
    /// An acknowledgement is done and not yet answered.
    AfterAccept,
}

/// Trouble made on purpose for the next calls with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server's own 500.
    ServerError,
    /// A proxy's HTML page with status 502.
    Html502,
    /// A proxy's HTML page with status 200.
    Html200,
    /// 503 with a pause, seconds.
    Busy(u64),
    /// The answer breaks off.
    Cut,
    /// The token is not good any more.
    ExpiredToken,
}

/// What a client must never do is found here.
#[derive(Default)]
struct State {
    next_id: u64,
    /// Every message, accepted ones too.
    appeals: BTreeMap<u64, rows::Stored>,
    /// Ids in the order of the list, newest first, without the accepted ones.
    list: Vec<u64>,
    /// Messages that arrive while the list is read: one after each page.
    arriving: VecDeque<Appeal>,
    /// Messages that leave the list while it is read (somebody else took them): one after each page.
    leaving: VecDeque<u64>,
    /// Ids that were given out in a list.
    listed: HashSet<u64>,
    /// Acknowledgements that were taken, in order, repeated ones too.
    accepted: Vec<u64>,
    /// Ids whose acknowledgement is refused with `messages[]`.
    refused: BTreeSet<u64>,
    refusals: usize,
    tokens: HashMap<String, u32>,
    next_token: u64,
    faults: VecDeque<Fault>,
    files: BTreeMap<String, Vec<u8>>,
    files_served: HashMap<String, usize>,
    calls: HashMap<&'static str, usize>,
    violations: Vec<String>,
}

/// What all handlers share.
struct Shared {
    options: Options,
    base_url: String,
    state: Mutex<State>,
    /// Grows with everything that happens.
    changed: watch::Sender<u64>,
    /// Steps at which calls wait.
    held: watch::Sender<HashSet<Step>>,
    /// How many calls wait at each step.
    waiting: Mutex<HashMap<Step, usize>>,
}

impl Shared {
    fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

/// The server, listening on loopback until it is dropped.
pub struct PosCity {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl PosCity {
    /// Starts the server.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address: SocketAddr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            options,
            base_url: format!("http://{address}"),
            state: Mutex::new(State {
                next_id: 7_000_001,
                ..State::default()
            }),
            changed: watch::Sender::new(0),
            held: watch::Sender::new(HashSet::new()),
            waiting: Mutex::default(),
        });
        let router = serve::router(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "the ПОС simulator stopped");
            }
        });
        Ok(Self { shared, server })
    }

    /// What a client sets as the address of the system.
    pub fn base_url(&self) -> &str {
        &self.shared.base_url
    }

    /// A citizen's message arrives. Its id.
    pub fn submit(&self, appeal: &Appeal) -> u64 {
        let id = self.shared.state.lock().submit(appeal, &self.shared.base_url);
        self.shared.touch();
        id
    }

    /// Messages that arrive while the list is read, one after each page.
    pub fn submit_while_reading(&self, appeals: impl IntoIterator<Item = Appeal>) {
        self.shared.state.lock().arriving.extend(appeals);
    }

    /// Messages that somebody else accepts while the list is read, one after each page; they must have been read before.
    pub fn withdraw_while_reading(&self, ids: impl IntoIterator<Item = u64>) {
        self.shared.state.lock().leaving.extend(ids);
    }

    /// A message changes at the source (another deadline, another cabinet); it stays in the list when it was there.
    pub fn change(&self, id: u64, change: impl FnOnce(&mut Value)) {
        if let Some(stored) = self.shared.state.lock().appeals.get_mut(&id) {
            change(&mut stored.row);
        }
        self.shared.touch();
    }

    /// From now on (or no longer) acknowledging this message is refused with `messages[]`.
    pub fn refuse(&self, id: u64, refused: bool) {
        let mut state = self.shared.state.lock();
        if refused {
            state.refused.insert(id);
        } else {
            state.refused.remove(&id);
        }
    }

    /// Makes trouble; several faults come one after the other.
    pub fn fault(&self, fault: Fault) {
        self.shared.state.lock().faults.push_back(fault);
    }

    /// No token is good any more.
    pub fn expire_tokens(&self) {
        self.shared.state.lock().tokens.clear();
    }

    /// Holds calls at a step, from now on.
    pub fn hold(&self, step: Step) {
        self.shared.held.send_modify(|held| {
            held.insert(step);
        });
    }

    /// Lets go what is held at a step.
    pub fn release(&self, step: Step) {
        self.shared.held.send_modify(|held| {
            held.remove(&step);
        });
    }

    /// Whether a call waits at a step.
    pub fn is_held(&self, step: Step) -> bool {
        self.shared
            .waiting
            .lock()
            .get(&step)
            .is_some_and(|waiting| *waiting > 0)
    }

    /// Waits until something holds.
    pub async fn wait_until(&self, holds: impl Fn(&Self) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        while !holds(self) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Ids of all messages that were ever submitted, oldest first.
    pub fn submitted(&self) -> Vec<u64> {
        self.shared.state.lock().appeals.keys().copied().collect()
    }

    /// Messages that nobody has accepted yet.
    pub fn waiting(&self) -> usize {
        self.shared.state.lock().list.len()
    }

    /// Acknowledgements taken, in order, repeated ones too.
    pub fn accepted(&self) -> Vec<u64> {
        self.shared.state.lock().accepted.clone()
    }

    /// Acknowledgements refused with `messages[]`.
    pub fn refusals(&self) -> usize {
        self.shared.state.lock().refusals
    }

    /// How often a file was given out whole, by the end of its address.
    pub fn files_served(&self, name: &str) -> usize {
        self.shared.state.lock().files_served.get(name).copied().unwrap_or(0)
    }

    /// How often a call was made: `token`, `list`, `file`, `accept`.
    pub fn calls(&self, call: &str) -> usize {
        self.shared.state.lock().calls.get(call).copied().unwrap_or(0)
    }

    /// What clients did that they must not do.
    pub fn violations(&self) -> Vec<String> {
        self.shared.state.lock().violations.clone()
    }
}

impl Drop for PosCity {
    fn drop(&mut self) {
        self.server.abort();
    }
}
