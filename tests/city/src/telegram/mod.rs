//! A Telegram Bot API server in a box.
//!
//! It answers as the real one does: an offset confirms, a limit is clamped, an unknown offset means the head of the
//! queue, a second poller ends the first with 409, a webhook and polling exclude each other, updates die after 24
//! hours, a webhook is called lane by lane with retries. It shares no code with the connector. What a client does
//! wrong is written down in [`TelegramCity::violations`].
//!
//! Time is simulated: [`Options::second`] says how long a second lasts, [`TelegramCity::advance`] jumps.

mod feed;
mod hooks;
mod life;
mod methods;
mod polling;
mod state;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

pub use feed::{Person, Sent};
pub use life::{Act, Expected, Life};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{runtime::Handle, task::JoinHandle};

use crate::clock::Clock;

/// How the server behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Real duration of a simulated second: shorter makes holds, retries and pauses fast.
    pub second: Duration,
    /// Take webhooks over plain http and on any port, as a self-hosted server does.
    pub allow_http_webhooks: bool,
    /// Port on loopback; 0 for any free one.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            second: Duration::from_secs(1),
            allow_http_webhooks: true,
            port: 0,
        }
    }
}

/// Trouble made on purpose, for the next calls of any bot (or the next deliveries, for `Duplicate`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 429 with `parameters.retry_after` and the header.
    RateLimit {
        /// How often.
        times: u32,
        /// Seconds to name.
        retry_after: u64,
    },
    /// 429 with the header only, as a proxy in front sends it.
    RateLimitHeader {
        /// How often.
        times: u32,
        /// Seconds to name.
        retry_after: u64,
    },
    /// A proxy's HTML page with status 502.
    Html502 {
        /// How often.
        times: u32,
    },
    /// A proxy's HTML page with status 200.
    Html200 {
        /// How often.
        times: u32,
    },
    /// The server's own 500.
    ServerError {
        /// How often.
        times: u32,
    },
    /// The answer breaks off in the middle.
    CutConnection {
        /// How often.
        times: u32,
    },
    /// Something on the way has less patience than the poll: its page with 504 after so many simulated seconds.
    Impatient {
        /// How often.
        times: u32,
        /// Its patience.
        seconds: u32,
    },
    /// A poll is answered at once, with what there is.
    AtOnce {
        /// How often.
        times: u32,
    },
    /// A confirmation is forgotten: getUpdates brings the same updates again; a delivery is made twice.
    Duplicate {
        /// How often.
        times: u32,
    },
}

impl Fault {
    fn times(&mut self) -> &mut u32 {
        match self {
            Self::RateLimit { times, .. }
            | Self::RateLimitHeader { times, .. }
            | Self::Html502 { times }
            | Self::Html200 { times }
            | Self::ServerError { times }
            | Self::CutConnection { times }
            | Self::Impatient { times, .. }
            | Self::AtOnce { times }
            | Self::Duplicate { times } => times,
        }
    }
}

/// What all bots share.
struct City {
    options: Options,
    clock: Mutex<Clock>,
    bots: Mutex<HashMap<String, Arc<Mutex<state::Bot>>>>,
    faults: Mutex<VecDeque<Fault>>,
    /// Calls with tokens nobody has: the real server throttles probing.
    probes: Mutex<VecDeque<f64>>,
    violations: Mutex<Vec<String>>,
    runtime: Handle,
    http: reqwest::Client,
}

impl City {
    fn now(&self) -> f64 {
        self.clock.lock().now()
    }

    fn unix(&self) -> i64 {
        self.now() as i64
    }

    /// Real duration of simulated seconds.
    fn real(&self, seconds: f64) -> Duration {
        self.options.second.mul_f64(seconds.max(0.0))
    }

    /// Takes the next fault that `fits`.
    fn take_fault(&self, fits: fn(&Fault) -> bool) -> Option<Fault> {
        let mut faults = self.faults.lock();
        let index = faults.iter().position(fits)?;
        let fault = faults.get_mut(index)?;
        let taken = *fault;
        *fault.times() -= 1;
        if *fault.times() == 0 {
            faults.remove(index);
        }
        Some(taken)
    }
}

/// The server, listening on loopback until it is dropped.
pub struct TelegramCity {
    city: Arc<City>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl TelegramCity {
    /// Starts the server.
    ///
    /// # Errors
    /// When the port is taken or the HTTP client for webhooks can't be built.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        // An error only says that a provider is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", options.port)).await?;
        let address = listener.local_addr()?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(std::io::Error::other)?;
        let city = Arc::new(City {
            clock: Mutex::new(Clock::new(options.second)),
            options,
            bots: Mutex::default(),
            faults: Mutex::default(),
            probes: Mutex::default(),
            violations: Mutex::default(),
            runtime: Handle::current(),
            http,
        });
        let router = methods::router(Arc::clone(&city));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "the Telegram simulator stopped");
            }
        });
        Ok(Self { city, address, server })
    }

    /// What a client sets as the address of the Bot API.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A bot by its token, made when it does not exist yet.
    pub fn bot(&self, token: &str) -> Bot {
        let state = Arc::clone(self.city.bots.lock().entry(token.to_owned()).or_insert_with(|| {
            let id = token.split(':').next().and_then(|id| id.parse().ok()).unwrap_or(1);
            Arc::new(Mutex::new(state::Bot::new(id, format!("city_{id}_bot"), 100_001)))
        }));
        Bot {
            city: Arc::clone(&self.city),
            state,
        }
    }

    /// Makes trouble; several faults come one after the other.
    pub fn fault(&self, mut fault: Fault) {
        if *fault.times() > 0 {
            self.city.faults.lock().push_back(fault);
        }
    }

    /// Lets simulated time pass at once.
    pub fn advance(&self, by: Duration) {
        self.city.clock.lock().advance(by);
    }

    /// What clients did that they must not do.
    pub fn violations(&self) -> Vec<String> {
        let mut all = self.city.violations.lock().clone();
        for bot in self.city.bots.lock().values() {
            all.extend(bot.lock().violations.iter().cloned());
        }
        all
    }
}

impl Drop for TelegramCity {
    fn drop(&mut self) {
        self.server.abort();
        for bot in self.city.bots.lock().values() {
            bot.lock().webhook_generation += 1;
        }
    }
}

/// A bot of the city, as its citizens and its owner see it. The `send_…` methods feed it.
#[derive(Clone)]
pub struct Bot {
    city: Arc<City>,
    state: Arc<Mutex<state::Bot>>,
}

impl std::fmt::Debug for Bot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bot")
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}

impl Bot {
    /// Puts an update into the queue; the server gives it its id. `None` when its kind was not asked for.
    pub fn push(&self, update: Value) -> Option<i64> {
        let now = self.city.unix();
        let (update_id, seq) = self.state.lock().push(update, now)?;
        hooks::dispatch(&self.city, &self.state, seq);
        Some(update_id)
    }

    /// Puts bytes into the queue as they are, for updates no honest server would send.
    pub fn push_raw(&self, body: impl Into<axum::body::Bytes>) {
        let now = self.city.unix();
        let seq = self.state.lock().push_raw(body.into(), now);
        hooks::dispatch(&self.city, &self.state, seq);
    }

    /// A smaller server: a method is answered with this status, as one that it does not know.
    pub fn lack(&self, method: &str, status: u16) {
        self.state.lock().lacking.insert(method.to_ascii_lowercase(), status);
    }

    /// Goes on with these update ids, as the server does after a week without updates.
    pub fn restart_ids(&self, at: i64) {
        self.state.lock().next_update_id = at;
    }

    /// Revokes the token (or gives it back).
    pub fn revoke(&self, revoked: bool) {
        let mut state = self.state.lock();
        state.revoked = revoked;
        state.wake.notify_waiters();
    }

    /// Switches privacy mode.
    pub fn set_privacy(&self, on: bool) {
        self.state.lock().reads_groups = !on;
    }

    /// Registers a webhook as another program would.
    pub fn set_foreign_webhook(&self, url: &str) {
        let webhook = state::Webhook {
            url: url.to_owned(),
            secret_token: None,
            max_connections: 40,
        };
        self.state.lock().webhook = Some(webhook);
    }

    /// Address of the webhook that is set.
    pub fn webhook_url(&self) -> Option<String> {
        self.state.lock().webhook.as_ref().map(|webhook| webhook.url.clone())
    }

    /// Puts a file where `getFile` finds it.
    pub fn add_file(&self, file_id: &str, content: impl Into<axum::body::Bytes>) {
        self.state.lock().files.insert(file_id.to_owned(), content.into());
    }

    /// Adds a chat the bot knows, with its own status there.
    pub fn add_chat(&self, chat: Value, status: &str) {
        let id = chat["id"].as_i64().unwrap_or_default();
        let mut state = self.state.lock();
        state.chats.insert(id, chat);
        state.memberships.insert(id, status.to_owned());
    }

    /// Makes a group a supergroup with another id.
    pub fn migrate_chat(&self, from: i64, to: i64) {
        self.state.lock().migrated.insert(from, to);
    }

    /// Updates that wait.
    pub fn pending(&self) -> usize {
        self.state.lock().queue.len()
    }

    /// Updates confirmed by an offset or by a 2xx.
    pub fn delivered(&self) -> u64 {
        self.state.lock().delivered
    }

    /// Updates given to the client, repetitions included: in answers of getUpdates, and in deliveries answered 2xx.
    pub fn handed_out(&self) -> u64 {
        self.state.lock().handed_out
    }

    /// Updates dropped because nobody fetched them in 24 hours.
    pub fn expired(&self) -> u64 {
        let now = self.city.unix();
        let mut state = self.state.lock();
        state.expire(now);
        state.expired
    }

    /// How often a method was called.
    pub fn calls(&self, method: &str) -> usize {
        self.state
            .lock()
            .calls
            .get(&method.to_ascii_lowercase())
            .copied()
            .unwrap_or(0)
    }

    /// The kinds of updates asked for last.
    pub fn allowed_updates(&self) -> Option<Vec<String>> {
        self.state.lock().allowed.clone()
    }

    /// Whether a getUpdates waits right now.
    pub fn is_polled(&self) -> bool {
        self.state.lock().poll_running
    }

    /// Waits until a condition on this bot holds.
    pub async fn wait_until(&self, holds: impl Fn(&Self) -> bool) {
        let mut changed = self.state.lock().changed.subscribe();
        while !holds(self) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}
