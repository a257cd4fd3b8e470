//! The VK network in a box: the method API, the Bots Long Poll server and the sender of the Callback API, for as many
//! communities as wanted.
//!
//! It answers as the real one does: errors under HTTP status 200, a `ts` that moves on empty answers, keys that expire,
//! a history that ends, kinds of events that are off and never come, callback servers that must confirm and answer
//! exactly `ok`, tokens of three kinds that may do different things, `execute` with partial errors, limits counted for
//! each token in real time. It shares no code with the connector. What a client does wrong is written down in
//! [`VkCity::violations`]; what citizens wrote, in [`VkCity::ledger`].
//!
//! Time is simulated: [`Options::second`] says how long a second lasts, [`VkCity::advance`] jumps.

mod announce;
mod callback;
mod changes;
mod comments;
mod community;
mod deeds;
mod events;
mod execute;
mod faults;
mod ledger;
mod life;
mod longpoll;
mod methods;
mod network;
mod server;
mod state;
#[cfg(test)]
mod tests;
mod tokens;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

pub use community::{CallbackStatus, Community};
pub use deeds::Words;
pub use events::{KINDS, VERSION};
pub use faults::{CALLBACK, Fault, LONG_POLL, Outage};
pub use ledger::{Entry, Place, Written};
pub use life::Life;
pub use methods::{MethodFacts, methods};
use parking_lot::Mutex;
pub use tokens::{TokenKind, TokenUse};
use tokio::task::JoinHandle;

use crate::telegram::Person;

/// How the network behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Real duration of a simulated second: shorter makes holds, retries and expiry fast. Limits of calls a second are
    /// counted in real time all the same.
    pub second: Duration,
    /// Take callback servers over plain http.
    pub allow_http_callbacks: bool,
    /// Simulated seconds for which a key of the long poll server is good.
    pub key_seconds: f64,
    /// Simulated seconds for which the long poll history is kept.
    pub history_seconds: i64,
    /// Events of a community that are kept.
    pub history_events: usize,
    /// Most events in one answer.
    pub batch: usize,
    /// Owners of comments and deleters as the official schema names them (`owner_id`, `user_id`), not as the service
    /// sends them (`post_owner_id`, `deleter_id`).
    pub as_in_schema: bool,
    /// Every object of an event carries fields nobody has heard of.
    pub unknown_fields: bool,
    /// Port on loopback; 0 for any free one.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            second: Duration::from_secs(1),
            allow_http_callbacks: true,
            key_seconds: 3600.0,
            history_seconds: 3 * 3600,
            history_events: 10_000,
            batch: 100,
            as_in_schema: false,
            unknown_fields: false,
            port: 0,
        }
    }
}

/// Somebody who writes: a person, or a community by its negative id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citizen {
    /// Id.
    pub id: i64,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
}

impl Citizen {
    /// A person with a name.
    pub fn new(id: i64, first_name: &str, last_name: &str) -> Self {
        Self {
            id,
            first_name: first_name.to_owned(),
            last_name: last_name.to_owned(),
        }
    }

    /// Another community that writes under its own name.
    pub fn community(id: i64) -> Self {
        Self::new(-id, "", "")
    }
}

impl From<&Person> for Citizen {
    fn from(person: &Person) -> Self {
        Self::new(
            person.id,
            &person.first_name,
            person.last_name.as_deref().unwrap_or_default(),
        )
    }
}

/// The network, listening on loopback until it is dropped.
pub struct VkCity {
    network: Arc<network::Network>,
    server: JoinHandle<()>,
}

impl VkCity {
    /// Starts the servers: methods, long poll and callback sender share one address.
    ///
    /// # Errors
    /// When the port is taken or the HTTP client for callbacks can't be built.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        // An error only says that a provider is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", options.port)).await?;
        let address: SocketAddr = listener.local_addr()?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(std::io::Error::other)?;
        let network = Arc::new(network::Network::new(options, address, http));
        let router = server::router(Arc::clone(&network));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "the VK simulator stopped");
            }
        });
        Ok(Self { network, server })
    }

    /// What a client sets as the address of the API; methods are under `/method/`.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.network.address)
    }

    /// A community by its positive id, made when it does not exist yet: long poll on, every kind of event on.
    pub fn community(&self, id: i64) -> Community {
        self.community_made(id, false)
    }

    /// A community as the platform sets it up: long poll off, no kind of event on.
    pub fn muted_community(&self, id: i64) -> Community {
        self.community_made(id, true)
    }

    fn community_made(&self, id: i64, muted: bool) -> Community {
        let mut communities = self.network.communities.lock();
        let state = communities
            .entry(id)
            .or_insert_with(|| Arc::new(Mutex::new(state::Community::new(id, muted))));
        Community {
            network: Arc::clone(&self.network),
            state: Arc::clone(state),
            id,
        }
    }

    /// Makes a token known. A community token has the rights manage, messages, photos and wall.
    pub fn add_token(&self, token: &str, kind: TokenKind) {
        let mut tokens = self.network.tokens.lock();
        tokens.insert(token.to_owned(), tokens::Token::new(kind));
    }

    /// Sets the rights of a community token, by name.
    pub fn set_rights(&self, token: &str, rights: &[&'static str]) {
        if let Some(token) = self.network.tokens.lock().get_mut(token) {
            token.rights = rights.iter().copied().collect();
        }
    }

    /// Refuses every call of a token with this error (5 for a revoked one), or takes it again.
    pub fn refuse_token(&self, token: &str, code: Option<i64>) {
        if let Some(token) = self.network.tokens.lock().get_mut(token) {
            token.refused_with = code;
        }
        self.network.touch();
    }

    /// Calls of a method one token may make in a day; above it error 29. The platform does not disclose its numbers.
    pub fn set_daily_limit(&self, method: &str, calls: u64) {
        self.network.daily_limits.lock().insert(method.to_owned(), calls);
    }

    /// Names a person for `users.get`. Who writes something is named by that.
    pub fn know(&self, person: &Citizen) {
        self.network.people.lock().insert(person.id, person.clone());
    }

    /// Makes trouble; several faults come one after the other.
    pub fn fault(&self, fault: Fault) {
        self.network.add_fault(fault);
    }

    /// Takes back the faults that have not struck.
    pub fn clear_faults(&self) {
        self.network.clear_faults();
    }

    /// Takes the platform down until [`VkCity::recover`]. Citizens go on writing; nothing is delivered.
    pub fn outage(&self, outage: Outage) {
        self.network.set_outage(Some(outage));
    }

    /// Ends an outage.
    pub fn recover(&self) {
        self.network.set_outage(None);
    }

    /// Lets simulated time pass at once.
    pub fn advance(&self, by: Duration) {
        self.network.advance(by);
    }

    /// Simulated Unix seconds.
    pub fn now(&self) -> f64 {
        self.network.now()
    }

    /// Everything that was written, in order of writing.
    pub fn ledger(&self) -> Vec<Entry> {
        self.network.ledger.lock().entries().to_vec()
    }

    /// How much was written in each kind of place.
    pub fn ledger_counts(&self) -> BTreeMap<&'static str, usize> {
        self.network.ledger.lock().counts()
    }

    /// What clients did that they must not do.
    pub fn violations(&self) -> Vec<String> {
        self.network.violations()
    }

    /// How the tokens were used.
    pub fn token_uses(&self) -> BTreeMap<String, TokenUse> {
        let tokens = self.network.tokens.lock();
        let used = tokens.iter().map(|(text, token)| {
            let used = TokenUse {
                kind: token.kind,
                requests: token.requests,
                calls: token.calls.clone(),
                most_in_a_second: token.most_in_a_second,
                times_too_fast: token.times_too_fast,
            };
            (text.clone(), used)
        });
        used.collect()
    }

    /// How often a method was called with any token, inside `execute` or not.
    pub fn calls(&self, method: &str) -> u64 {
        let tokens = self.network.tokens.lock();
        tokens.values().filter_map(|token| token.calls.get(method)).sum()
    }

    /// Long polls that wait right now, over all communities.
    pub fn polls_running(&self) -> u64 {
        let communities = self.network.all();
        communities.iter().map(|one| u64::from(one.lock().polls_running)).sum()
    }

    /// Waits until a condition on this network holds.
    pub async fn wait_until(&self, holds: impl Fn(&Self) -> bool) {
        let mut changed = self.network.changed.subscribe();
        while !holds(self) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Drop for VkCity {
    fn drop(&mut self) {
        self.server.abort();
        // Senders that wait for their next attempt end with the servers they deliver to.
        for community in self.network.all() {
            community.lock().servers.clear();
        }
        self.network.set_outage(None);
    }
}
