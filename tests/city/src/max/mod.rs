//! A MAX Bot API server in a box.
//!
//! It answers as the real one does: the marker of `GET /updates` points at the next expected update and sending it
//! forgets everything before it; no marker gives the last update only; answers hold 100 updates at most and wait 30
//! seconds at most; polling is refused while a webhook is subscribed; webhooks accumulate, only status 200 within 30
//! seconds counts, a failed delivery comes again after 60 s and then after pauses 2.5 times as long, and 8 hours
//! without a success end the subscription. Payloads lack what real ones lack. It shares no code with the connector.
//! What a client does wrong is written down in [`MaxCity::violations`].
//!
//! Time is simulated: [`Options::second`] says how long a second lasts, [`MaxCity::advance`] jumps. Limits on the pace
//! of requests count in real time, because a client paces itself by the real clock.

mod feed;
mod hooks;
mod methods;
mod polling;
mod state;
#[cfg(test)]
mod tests;
mod time;

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

pub use feed::{Act, Entry, Place, Written};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{runtime::Handle, task::JoinHandle};

/// How the server behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Real duration of a simulated second: shorter makes holds, retries and pauses fast.
    pub second: Duration,
    /// Take webhooks over plain http and on any port.
    pub allow_http_webhooks: bool,
    /// Requests a token may make in a (real) second.
    pub requests_per_second: usize,
    /// Long polls a token may make in a (real) second.
    pub polls_per_second: usize,
    /// While a webhook is subscribed, polling stays empty instead of being refused with 405: both were seen.
    pub silent_polls_beside_webhook: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            second: Duration::from_secs(1),
            allow_http_webhooks: true,
            requests_per_second: 30,
            polls_per_second: 2,
            silent_polls_beside_webhook: false,
        }
    }
}

/// Trouble made on purpose: for the next calls of any bot, the next polls or the next deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 429, with `Retry-After` when seconds are named.
    RateLimit {
        /// How often.
        times: u32,
        /// Seconds to name.
        retry_after: Option<u64>,
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
    /// The answer takes this many simulated seconds.
    Slow {
        /// How often.
        times: u32,
        /// Simulated seconds.
        seconds: u32,
    },
    /// A poll's answer holds updates the server was told it could forget; a delivery is made twice.
    Duplicate {
        /// How often.
        times: u32,
    },
    /// A poll is answered at once, with what there is.
    AtOnce {
        /// How often.
        times: u32,
    },
    /// An answer of a poll carries a null marker.
    NullMarker {
        /// How often.
        times: u32,
    },
    /// Two neighbouring deliveries change places.
    Disorder {
        /// How often.
        times: u32,
    },
}

impl Fault {
    fn times(&mut self) -> &mut u32 {
        match self {
            Self::RateLimit { times, .. }
            | Self::Html502 { times }
            | Self::Html200 { times }
            | Self::ServerError { times }
            | Self::CutConnection { times }
            | Self::Slow { times, .. }
            | Self::Duplicate { times }
            | Self::NullMarker { times }
            | Self::AtOnce { times }
            | Self::Disorder { times } => times,
        }
    }

    /// Whether it concerns any call, not only polls or deliveries.
    fn is_of_calls(&self) -> bool {
        !matches!(
            self,
            Self::Duplicate { .. } | Self::NullMarker { .. } | Self::AtOnce { .. } | Self::Disorder { .. }
        )
    }
}

type SharedBot = Arc<Mutex<state::Bot>>;

/// What all bots share.
struct City {
    options: Options,
    clock: time::Clock,
    bots: Mutex<HashMap<String, SharedBot>>,
    faults: Mutex<VecDeque<Fault>>,
    /// The platform is down: connections end without an answer, nothing is delivered.
    down: tokio::sync::watch::Sender<bool>,
    violations: Mutex<Vec<String>>,
    runtime: Handle,
    http: reqwest::Client,
}

impl City {
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

    fn violate(&self, what: impl Into<String>) {
        self.violations.lock().push(what.into());
    }
}

/// The server, listening on loopback until it is dropped.
pub struct MaxCity {
    city: Arc<City>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl MaxCity {
    /// Starts the server.
    ///
    /// # Errors
    /// When no port is free or the HTTP client for webhooks can't be built.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        // An error only says that a provider is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(std::io::Error::other)?;
        let city = Arc::new(City {
            clock: time::Clock::new(options.second),
            options,
            bots: Mutex::default(),
            faults: Mutex::default(),
            down: tokio::sync::watch::Sender::new(false),
            violations: Mutex::default(),
            runtime: Handle::current(),
            http,
        });
        let router = methods::router(Arc::clone(&city));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "the MAX simulator stopped");
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
        let mut bots = self.city.bots.lock();
        let next_id = 900_000_001 + i64::try_from(bots.len()).unwrap_or(0);
        let state = bots
            .entry(token.to_owned())
            .or_insert_with(|| Arc::new(Mutex::new(state::Bot::new(next_id))));
        Bot {
            city: Arc::clone(&self.city),
            state: Arc::clone(state),
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
        self.city.clock.advance(by);
        for bot in self.city.bots.lock().values() {
            bot.lock().touch();
        }
    }

    /// Takes the platform down or up again. While it is down nothing answers and nothing is delivered; people go on
    /// writing.
    pub fn set_down(&self, down: bool) {
        self.city.down.send_replace(down);
    }

    /// What clients did that they must not do.
    pub fn violations(&self) -> Vec<String> {
        self.city.violations.lock().clone()
    }
}

impl Drop for MaxCity {
    fn drop(&mut self) {
        self.server.abort();
        for bot in self.city.bots.lock().values() {
            bot.lock().subscriptions.clear();
        }
    }
}

/// A bot of the city, as its citizens and its owner see it. [`feed`](Bot::write) methods make people act.
#[derive(Clone)]
pub struct Bot {
    city: Arc<City>,
    state: SharedBot,
}

impl std::fmt::Debug for Bot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bot")
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}

impl Bot {
    /// Hands an update to whoever listens: the webhooks that are subscribed, else the queue of long polling.
    pub fn push(&self, update: &Value) {
        self.push_raw(update.to_string());
    }

    /// The same with bytes as they are, for updates no honest server would send.
    pub fn push_raw(&self, body: impl Into<axum::body::Bytes>) {
        hooks::hand_over(&self.city, &self.state, body.into());
    }

    /// Revokes the token (or gives it back).
    pub fn revoke(&self, revoked: bool) {
        let mut state = self.state.lock();
        state.revoked = revoked;
        state.touch();
    }

    /// Subscribes a webhook as another program would.
    pub fn add_foreign_webhook(&self, url: &str) {
        let mut state = self.state.lock();
        state.foreign.insert(url.to_owned());
        let at = self.city.clock.milliseconds();
        state.subscriptions.push(state::Subscription::new(url, None, None, at));
        state.touch();
    }

    /// From now on the client may remove webhooks of others (it was told to take over).
    pub fn allow_take_over(&self) {
        self.state.lock().foreign.clear();
    }

    /// Forgets a subscription, as the platform does after hours of failures.
    pub fn drop_webhooks(&self) {
        let mut state = self.state.lock();
        while let Some(url) = state.subscriptions.first().map(|one| one.url.clone()) {
            state.unsubscribe(&url);
        }
    }

    /// Limits the kinds a subscription brings, as an earlier version of the program may have asked for.
    pub fn narrow_webhooks(&self, kinds: &[&str]) {
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        for subscription in &mut self.state.lock().subscriptions {
            subscription.update_types = Some(kinds.clone());
        }
    }

    /// Addresses of the webhooks that are subscribed.
    pub fn webhook_urls(&self) -> Vec<String> {
        self.state
            .lock()
            .subscriptions
            .iter()
            .map(|one| one.url.clone())
            .collect()
    }

    /// Subscriptions the platform has ended after 8 hours of failures.
    pub fn dropped_subscriptions(&self) -> usize {
        self.state.lock().dropped_subscriptions
    }

    /// Adds a group or channel the bot is in, with what it may do there.
    pub fn add_chat(&self, id: i64, kind: &str, title: &str, permissions: &[&str]) {
        let chat = state::Chat {
            kind: kind.to_owned(),
            title: title.to_owned(),
            status: "active".into(),
            is_admin: !permissions.is_empty(),
            permissions: permissions.iter().map(|one| (*one).to_owned()).collect(),
        };
        self.state.lock().chats.insert(id, chat);
    }

    /// Puts a film where `GET /videos/{token}` finds it; without an address it is still being converted.
    pub fn add_video(&self, token: &str, url: Option<&str>) {
        let url = url.map(str::to_owned);
        self.state.lock().videos.insert(token.to_owned(), url);
    }

    /// The bot is removed from a chat.
    pub fn remove_from_chat(&self, id: i64) {
        if let Some(chat) = self.state.lock().chats.get_mut(&id) {
            chat.status = "removed".into();
        }
    }

    /// From now on nothing of these chats is sent; it stays in their history (channel posts were seen to be missing).
    pub fn silence(&self, chat: i64) {
        self.state.lock().silent.insert(chat);
    }

    /// What people did so far, in order: each entry is one event a daemon that works publishes once.
    pub fn ledger(&self) -> Vec<Entry> {
        self.state.lock().ledger.clone()
    }

    /// Updates that wait: in the queue of long polling, and deliveries not yet taken.
    pub fn pending(&self) -> usize {
        let state = self.state.lock();
        state.queue.len() + state.undelivered
    }

    /// Updates a client has acknowledged or answered with 200.
    pub fn delivered(&self) -> u64 {
        self.state.lock().delivered
    }

    /// Updates nobody fetched within a day, and deliveries given up.
    pub fn lost(&self) -> u64 {
        self.state.lock().lost
    }

    /// How often a call was made, by `GET /updates` and the like, ids left out (`GET /chats/{}`).
    pub fn calls(&self, call: &str) -> usize {
        self.state.lock().calls.get(call).copied().unwrap_or(0)
    }

    /// Whether a long poll waits.
    pub fn is_polled(&self) -> bool {
        self.state.lock().polls_running > 0
    }

    /// Waits until a condition holds.
    pub async fn wait_until(&self, mut holds: impl FnMut(&Self) -> bool) {
        let mut changed = self.state.lock().changed.subscribe();
        while !holds(self) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}
