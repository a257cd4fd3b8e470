//! Одноклассники in a box: the Graph API of groups with its webhooks, and the signed REST API of an application.
//!
//! It answers as far as the public documentation and recorded answers tell: errors under HTTP 200, lists and whole
//! answers that are missing when there is nothing, Moscow wall times, history newest first with `from` as the later
//! bound, a webhook without any proof that is tried again until it is dropped after eight hours. It shares no code with
//! the connector. What a client does wrong (a false signature, two calls at once with one token, a write, somebody
//! else's subscription removed, …) is written down in [`OkCity::violations`].
//!
//! Time is simulated: [`Options::second`] says how long a second lasts, [`OkCity::advance`] jumps.

mod feed;
mod graph;
mod habits;
mod hooks;
mod ledger;
mod oauth;
mod rest;
mod serve;
mod sign;
mod state;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc, time::Duration};

pub use feed::{Group, Sent};
pub use habits::Damage;
pub use ledger::{Act, Place, Word};
use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::Semaphore, sync::watch, task::JoinHandle};

/// Deliveries made at the same time.
const DELIVERIES_AT_ONCE: usize = 8;

/// How the platform behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Real duration of a simulated second.
    pub second: Duration,
    /// Port on loopback; 0 for any free one.
    pub port: u16,
    /// Comments in one page at most; the platform's own limit is 100.
    pub comments_per_page: usize,
    /// Comments inside a page come newest first; the documentation does not say.
    pub newest_first: bool,
    /// Comments carry `date_ms` too.
    pub millis: bool,
    /// Calls a real second with one token beyond which they are refused and counted as a violation.
    pub most_calls_per_second: Option<usize>,
    /// What is not there is written all the same, as null.
    pub nulls: bool,
    /// The last page of a list leads back to the first.
    pub endless_lists: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            second: Duration::from_secs(1),
            port: 0,
            comments_per_page: 100,
            newest_first: true,
            millis: false,
            most_calls_per_second: None,
            nulls: false,
            endless_lists: false,
        }
    }
}

/// Trouble made on purpose, for the next calls or deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub trouble: Trouble,
    /// How often.
    pub times: u32,
}

/// Kinds of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// An error of the platform under HTTP 200.
    Code(i64),
    /// The same under HTTP 400.
    CodeWithStatus(i64),
    /// A proxy's page with status 502.
    Html502,
    /// A proxy's page with status 200.
    Html200,
    /// The answer breaks off in the middle.
    Cut,
    /// The answer comes after so many simulated seconds.
    Slow(u32),
    /// The answer is `null`.
    Null,
    /// A delivery is made twice. For deliveries only.
    Twice,
    /// A delivery comes only after so many simulated seconds, later ones overtake it. For deliveries only.
    Late(u32),
}

impl Trouble {
    fn is_of_deliveries(self) -> bool {
        matches!(self, Self::Twice | Self::Late(_))
    }
}

/// The platform inside.
struct City {
    options: Options,
    clock: Mutex<state::Clock>,
    world: Mutex<state::World>,
    deliveries: Semaphore,
    changed: watch::Sender<u64>,
    runtime: Handle,
    http: reqwest::Client,
}

impl City {
    fn millis(&self) -> i64 {
        self.clock.lock().millis()
    }

    /// Real duration of simulated seconds.
    fn real(&self, seconds: f64) -> Duration {
        self.options.second.mul_f64(seconds.max(0.0))
    }

    /// Tells those who wait for a condition.
    fn touch(&self) {
        self.changed.send_modify(|version| *version += 1);
    }
}

/// An application, as its owner registers it.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Public key.
    pub key: String,
    /// Secret key.
    pub secret: String,
    /// OAuth token of an administrator of all groups.
    pub access_token: String,
    /// `session_secret_key`, when the token comes with one; otherwise it is derived.
    pub session_secret: Option<String>,
}

/// The platform, listening on loopback until it is dropped.
pub struct OkCity {
    city: Arc<City>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl OkCity {
    /// Starts the platform.
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
            clock: Mutex::new(state::Clock::new(options.second)),
            options,
            world: Mutex::default(),
            deliveries: Semaphore::new(DELIVERIES_AT_ONCE),
            changed: watch::Sender::new(0),
            runtime: Handle::current(),
            http,
        });
        let router = serve::router(Arc::clone(&city));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "the OK simulator stopped");
            }
        });
        Ok(Self { city, address, server })
    }

    /// What a client sets as the address of the API.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Registers the application whose token may read all groups.
    pub fn register(&self, registration: Registration) {
        let session_secret = registration
            .session_secret
            .unwrap_or_else(|| sign::session_secret(&registration.access_token, &registration.secret));
        self.city.world.lock().application = Some(state::Application {
            key: registration.key,
            secret: registration.secret,
            access_token: registration.access_token,
            session_secret,
            revoked: false,
            expired: Vec::new(),
            refresh: None,
            forbidden: Vec::new(),
        });
    }

    /// A group by its id, made when it does not exist yet.
    pub fn group(&self, id: &str, token: &str) -> Group {
        let group = state::Group {
            id: id.to_owned(),
            title: format!("Группа {id}"),
            token: token.to_owned(),
            revoked: false,
            chats: Default::default(),
            subscriptions: Vec::new(),
        };
        self.city.world.lock().groups.entry(id.to_owned()).or_insert(group);
        Group::new(Arc::clone(&self.city), id)
    }

    /// Revokes the application's token (or gives it back).
    pub fn revoke_application(&self, revoked: bool) {
        if let Some(application) = &mut self.city.world.lock().application {
            application.revoked = revoked;
        }
    }

    /// From now on this refresh token renews the access token of the application of this number.
    pub fn grant_refresh(&self, application_id: &str, refresh_token: &str) {
        if let Some(application) = &mut self.city.world.lock().application {
            application.refresh = Some((application_id.to_owned(), refresh_token.to_owned()));
        }
    }

    /// Takes away the right to these methods.
    pub fn forbid(&self, methods: &[&str]) {
        if let Some(application) = &mut self.city.world.lock().application {
            application.forbidden = methods.iter().map(|method| (*method).to_owned()).collect();
        }
    }

    /// Removing somebody else's subscription is no violation from now on.
    pub fn allow_take_over(&self) {
        self.city.world.lock().may_take_over = true;
    }

    /// Makes trouble; several faults come one after the other.
    pub fn fault(&self, trouble: Trouble, times: u32) {
        let mut world = self.city.world.lock();
        let queue = if trouble.is_of_deliveries() {
            &mut world.delivery_faults
        } else {
            &mut world.faults
        };
        if times > 0 {
            queue.push_back(Fault { trouble, times });
        }
    }

    /// The whole platform goes down or comes back: meanwhile no call is answered, and what would have been delivered is
    /// never delivered.
    pub fn outage(&self, down: bool) {
        self.city.world.lock().outage = down;
    }

    /// Lets simulated time pass at once.
    pub fn advance(&self, by: Duration) {
        self.city.clock.lock().skew += i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let now = self.city.millis();
        self.city.world.lock().drop_dead(now);
    }

    /// What clients did that they must not do.
    pub fn violations(&self) -> Vec<String> {
        self.city.world.lock().violations.clone()
    }

    /// Everything citizens did, oldest first.
    pub fn ledger(&self) -> Vec<Word> {
        self.city.world.lock().ledger.clone()
    }

    /// How often a method (`discussions.getComments`, `graph/chats`) was called.
    pub fn calls(&self, method: &str) -> usize {
        self.city.world.lock().calls.get(method).copied().unwrap_or(0)
    }

    /// Deliveries answered with 200, repetitions included.
    pub fn delivered(&self) -> u64 {
        self.city.world.lock().delivered
    }

    /// Deliveries under way or waiting for another attempt.
    pub fn open_deliveries(&self) -> usize {
        self.city.world.lock().open_deliveries
    }

    /// Subscriptions dropped after hours of failures.
    pub fn dropped_subscriptions(&self) -> usize {
        self.city.world.lock().dropped_subscriptions
    }

    /// Waits until a condition holds.
    pub async fn wait_until(&self, holds: impl Fn(&Self) -> bool) {
        let mut changed = self.city.changed.subscribe();
        while !holds(self) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Drop for OkCity {
    fn drop(&mut self) {
        self.server.abort();
        for group in self.city.world.lock().groups.values_mut() {
            group.subscriptions.clear();
        }
    }
}
