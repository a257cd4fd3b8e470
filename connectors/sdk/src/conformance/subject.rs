//! What a connector gives to the kit.

use std::{any::Any, fmt, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::HeaderValue;

use crate::{
    contract::{Connector, ConnectorId, Cx, HookRequest, Item},
    error::Refusal,
    secret::Secret,
};

/// A future of the kit.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// Starts something local to poll (a scripted server, a folder with files), fresh each time.
pub type PollerFactory = fn() -> BoxFuture<PollSubject>;
/// Wraps a body into a request whose proof holds.
pub type Prover = fn(Bytes) -> HookRequest;

/// A connector with planted secrets, and samples of what its source sends.
pub struct Subject {
    /// Built without network; its credentials are [`Self::secrets`].
    pub connector: Arc<dyn Connector>,
    /// Its name.
    pub id: ConnectorId,
    /// Values that must never be said: each secret the settings know, long enough not to occur by chance.
    pub secrets: Vec<Secret<String>>,
    /// Items as the connector itself would make them, of every format and kind.
    pub items: Vec<ItemSample>,
    /// Webhook requests; needed when there is a webhook stream.
    pub hooks: Vec<HookSample>,
    /// Something to poll; needed when there is a polled stream.
    pub poller: Option<PollerFactory>,
    /// Troubles of the source, with the decision each must become.
    pub faults: Vec<FaultSample>,
    /// Checks this connector can't pass, by name, with the reason. A waiver that is not needed fails.
    pub waivers: Vec<(&'static str, &'static str)>,
}

impl Subject {
    /// A subject without samples; the connector adds its own.
    pub fn new(connector: Arc<dyn Connector>, id: ConnectorId) -> Self {
        Self {
            connector,
            id,
            secrets: Vec::new(),
            items: Vec::new(),
            hooks: Vec::new(),
            poller: None,
            faults: Vec::new(),
            waivers: Vec::new(),
        }
    }
}

impl Subject {
    /// Adds fixtures as items; `item` makes one of a fixture's name and bytes.
    pub fn add_items(&mut self, samples: &[Sample], item: impl Fn(&str, Bytes) -> Item) {
        self.items.extend(samples.iter().map(|sample| ItemSample {
            name: sample.name,
            item: item(sample.name, sample.bytes()),
            expected: sample.expected,
        }));
    }

    /// Adds the fixtures of these names as deliveries.
    pub fn add_hooks(&mut self, samples: &[Sample], names: &[&str], hook: impl Fn(&Sample) -> HookSample) {
        self.hooks
            .extend(samples.iter().filter(|sample| names.contains(&sample.name)).map(hook));
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A fixture in a file of its own, and what must become of its item; [`samples!`](crate::samples) lists them.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Name of the file, without its ending.
    pub name: &'static str,
    /// What is in it.
    pub text: &'static str,
    /// What `normalize` must make of it.
    pub expected: Expected,
}

impl Sample {
    /// What is in it, as it comes.
    pub fn bytes(&self) -> Bytes {
        Bytes::from_static(self.text.as_bytes())
    }

    /// The same, read.
    ///
    /// # Panics
    /// When it is no JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.text).expect("fixtures are JSON")
    }
}

/// The JSON files of the folder `fixtures` beside the source, by what must become of them.
#[macro_export]
macro_rules! samples {
    ($($expected:expr => $($name:literal),+;)+) => {
        &[$($($crate::conformance::Sample {
            name: $name,
            text: include_str!(concat!("fixtures/", $name, ".json")),
            expected: $expected,
        }),+),+]
    };
}

/// An item and what must become of it.
#[derive(Debug, Clone)]
pub struct ItemSample {
    /// Name for the report.
    pub name: &'static str,
    /// The item.
    pub item: Item,
    /// What `normalize` must make of it.
    pub expected: Expected,
}

/// What `normalize` must make of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// This many messages.
    Messages(usize),
    /// Nothing: known and of no interest.
    Nothing,
    /// An error with this reason: quarantine.
    Quarantine(&'static str),
}

/// A webhook request and its false twins.
#[derive(Debug, Clone)]
pub struct HookSample {
    /// Name for the report.
    pub name: &'static str,
    /// The body as the platform sends it.
    pub body: Bytes,
    /// Makes a request with a proof that holds for any body.
    pub prove: Prover,
    /// The proof stands inside the body, so that a damaged body may be refused.
    pub proof_in_body: bool,
    /// How many items the sample brings; 0 for a handshake.
    pub items: usize,
    /// Requests that prove nothing or falsely, with the refusal each must get: with 401 or 403.
    pub unproven: Vec<(&'static str, HookRequest, Refusal)>,
}

impl HookSample {
    /// A delivery of one item whose proof stands in its head. Its false twins are to follow.
    pub fn new(name: &'static str, body: Bytes, prove: Prover) -> Self {
        Self {
            name,
            body,
            prove,
            proof_in_body: false,
            items: 1,
            unproven: Vec::new(),
        }
    }

    /// Adds a false twin: the proven request with this change must be refused so.
    #[must_use]
    pub fn twin(mut self, name: &'static str, refusal: Refusal, change: impl FnOnce(&mut HookRequest)) -> Self {
        let mut request = (self.prove)(self.body.clone());
        change(&mut request);
        self.unproven.push((name, request, refusal));
        self
    }

    /// Adds the twin that another path makes.
    #[must_use]
    pub fn not_by_another_path(self) -> Self {
        self.twin("wrong path", Refusal::WrongPath, |request| {
            request.path = "planted-path-of-another-connector".into();
        })
    }

    /// Adds the twin that another network makes.
    #[must_use]
    pub fn not_from_another_network(self) -> Self {
        self.twin("another network", Refusal::ForeignNetwork, |request| {
            request.peer = [203, 0, 113, 9].into();
        })
    }

    /// Adds the twins without the secret in a header and with a guess in its place.
    #[must_use]
    pub fn not_without(self, header: &'static str) -> Self {
        self.twin("no header", Refusal::Unauthenticated, |request| request.headers.clear())
            .twin("wrong header", Refusal::Forbidden, |request| {
                request.headers.insert(header, HeaderValue::from_static("guess"));
            })
    }
}

/// Something local to poll, and a connector that survives restarts.
pub struct PollSubject {
    /// Opens a connector on it, as a start of the daemon does. Called again for every simulated crash.
    pub open: Box<dyn Fn() -> Arc<dyn Connector> + Send + Sync>,
    /// What the host lends.
    pub cx: Cx,
    /// The stream to poll.
    pub stream: &'static str,
    /// How many different items it holds.
    pub items: usize,
    /// Kept alive while polling: servers, temporary folders.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for PollSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollSubject")
            .field("stream", &self.stream)
            .field("items", &self.items)
            .finish_non_exhaustive()
    }
}

/// Troubles of a source. For each its name, what the scripted server says to everything and the
/// [kind](FaultSample::kind) of the error that must come of it; `source` starts such a server
/// ([`PollerFactory`] from a script).
#[macro_export]
macro_rules! faults {
    ($source:path; $($name:literal, $script:expr => $kind:literal;)+) => {
        vec![$($crate::conformance::FaultSample { name: $name, poller: || $source($script), kind: $kind }),+]
    };
}

/// A trouble of the source and the decision it must become.
#[derive(Debug, Clone, Copy)]
pub struct FaultSample {
    /// Name for the report.
    pub name: &'static str,
    /// A source in that trouble.
    pub poller: PollerFactory,
    /// [`ConnectorError::kind`](crate::error::ConnectorError::kind) of the error that must come of the first poll.
    pub kind: &'static str,
}
