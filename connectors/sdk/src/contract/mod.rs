//! The connector contract: four verbs, a few optional ones, and the small data they exchange.
//!
//! Acknowledgement, in one place:
//! - the host stores the items of a [`Page`] **and** its cursor in one journal commit, then calls `poll` with that
//!   cursor; a platform that takes the next request for a confirmation (Telegram's `offset`) is thereby confirmed
//!   only after the commit;
//! - the host answers a webhook with [`Receipt::reply`] only after the journal commit of its items;
//! - [`Connector::acknowledge`] is called only after the journal commit.
//!
//! A connector never sleeps, retries, spawns or keeps its cursor: the host does.

mod hook;
mod item;
mod page;
mod report;

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

pub use hook::{Admission, HookRequest, Receipt, Reply};
pub use item::{Item, RawItem, fingerprint};
pub use page::{LeftAlone, Page, Progress, Wait};
pub use report::{CheckFinding, CheckReport};

use crate::{
    error::{ConnectorError, NormalizeError, Refusal},
    file::FileSource,
    message::{Attachment, Message},
    unheard::Unheard,
};

/// Name of one configured connector: `[a-z0-9-]`, at most 64 characters, unique in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConnectorId(Arc<str>);

impl ConnectorId {
    /// Wraps a name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Position in a stream. Opaque for the host; empty before the first commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor(pub String);

impl Cursor {
    /// The position before anything was read.
    pub fn start() -> Self {
        Self::default()
    }

    /// Whether nothing was read yet.
    pub fn is_start(&self) -> bool {
        self.0.is_empty()
    }
}

/// One independent source of items inside a connector, with its own cursor and pace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Bounded name: a metric label (`updates`, `walls`).
    pub name: &'static str,
    /// Which source inside this entry (a community's id); empty when there is only one. Never a metric label, shown to
    /// operators: no secret, nobody's name.
    pub key: String,
    /// How items arrive.
    pub kind: StreamKind,
}

impl Stream {
    /// The only stream of its sort.
    pub fn new(name: &'static str, kind: impl Into<StreamKind>) -> Self {
        Self::keyed(name, "", kind)
    }

    /// One of several streams of a sort.
    pub fn keyed(name: &'static str, key: impl Into<String>, kind: impl Into<StreamKind>) -> Self {
        Self {
            name,
            key: key.into(),
            kind: kind.into(),
        }
    }

    /// The stream's identity inside its connector, `name` or `name/key`: names its cursor in the journal, for ever.
    pub fn id(&self) -> String {
        if self.key.is_empty() {
            return self.name.to_owned();
        }
        format!("{}/{}", self.name, self.key)
    }
}

/// Something that one connector has for itself; see [`Connector::claims`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Key of the setting that names it.
    pub key: &'static str,
    /// What it is, in one spelling for all connectors that name the same.
    pub what: String,
}

/// How the items of a stream arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// The host calls [`Connector::poll`].
    Poll,
    /// The platform calls us; the host calls [`Connector::receive`].
    Webhook,
}

/// What the host lends to the asynchronous verbs.
#[derive(Debug, Clone)]
pub struct Cx {
    /// Name of this connector.
    pub id: ConnectorId,
    /// The operator allowed us to replace somebody else's registration (`--take-over`).
    pub take_over: bool,
}

impl Cx {
    /// For the connector of this name, without leave to take over.
    pub fn new(id: ConnectorId) -> Self {
        Self { id, take_over: false }
    }
}

/// A channel. See the module for the rules on acknowledgement.
#[async_trait::async_trait]
pub trait Connector: Send + Sync {
    /// The streams of this instance, fixed for its life.
    fn streams(&self) -> Vec<Stream>;

    /// What no other connector of this installation may use as well: a folder, a queue of the platform. The host refuses
    /// settings in which two name the same.
    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }

    /// Proves credentials and asks the platform for its own view. Changes nothing remote.
    ///
    /// # Errors
    /// Only when nothing could be found out at all; everything else is a finding.
    async fn check(&self, cx: &Cx) -> Result<CheckReport, ConnectorError>;

    /// Makes the platform send to us (webhook registration); see [`Connector::subscribe_stream`] for when. Must be
    /// idempotent and must never touch somebody else's registration unless [`Cx::take_over`] is set.
    ///
    /// # Errors
    /// [`ConnectorError::Misconfigured`] when somebody else's registration is in the way.
    async fn subscribe(&self, _cx: &Cx) -> Result<(), ConnectorError> {
        Ok(())
    }

    /// The same for one stream, by its id. Override it when streams are registered one by one, each with credentials of
    /// its own: the refusal of one then is the trouble of that one only.
    ///
    /// The host calls it for every webhook stream, at start and every [`Connector::subscription_period`]; for a polled
    /// stream at start and after [`ConnectorError::Misconfigured`], and only in a connector without webhook streams.
    ///
    /// # Errors
    /// As [`Connector::subscribe`].
    async fn subscribe_stream(&self, cx: &Cx, _stream: &str) -> Result<(), ConnectorError> {
        self.subscribe(cx).await
    }

    /// How often a webhook's registration is renewed at least: shorter than the time after which the platform drops a
    /// receiver. The host keeps it between a second and ten minutes.
    fn subscription_period(&self) -> Duration {
        Duration::from_secs(600)
    }

    /// Fetches what is new after `cursor` in the stream with this id ([`Stream::id`]). The host stores items and
    /// [`Page::next`] together.
    ///
    /// Cancel-safe: the host drops the future at shutdown and asks again later with the same cursor.
    ///
    /// # Errors
    /// A decision for the host; the cursor stays where it was.
    async fn poll(&self, _cx: &Cx, _stream: &str, _cursor: &Cursor) -> Result<Page, ConnectorError> {
        Err(ConnectorError::Unsupported("poll"))
    }

    /// What the last poll saw and left alone for ever. The host asks after every good poll, shows it in health and counts
    /// it. No I/O.
    fn left_alone(&self) -> Option<LeftAlone> {
        None
    }

    /// Parts of the source that are not heard though it answers (a chat the bot was put out of), each with its cure. Shown
    /// in health and counted for as long as they are told there; the host keeps them over a restart. No citizen's data.
    fn unheard(&self) -> Option<&Unheard> {
        None
    }

    /// Looks at the head of a request, before a byte of its body is read: path, method, network, secrets in headers.
    /// The host then answers a stranger at once, and a body whose sender is proven never waits for room behind those of
    /// strangers. Without it every body is read before anything is known. No I/O.
    ///
    /// # Errors
    /// A [`Refusal`] that [`Connector::receive`] would give too, whatever the body.
    fn admit(&self, _head: &HookRequest) -> Result<Admission, Refusal> {
        Ok(Admission::ProofInBody)
    }

    /// Proves the sender and splits the body. No I/O, no unbounded allocation. Proves everything itself, also what
    /// [`Connector::admit`] has looked at.
    ///
    /// # Errors
    /// A [`Refusal`]: the sender is not proven and nothing is stored.
    fn receive(&self, _request: &HookRequest) -> Result<Receipt, Refusal> {
        Err(Refusal::NotFound)
    }

    /// Pure: the same raw item gives the same messages for ever. An empty list means "known and of no interest".
    ///
    /// # Errors
    /// The host quarantines the item whole with the reason.
    fn normalize(&self, raw: &RawItem) -> Result<Vec<Message>, NormalizeError>;

    /// What a stored item says to those who answer it, also when it is not published (a post of the body itself). Pure.
    fn answered(&self, raw: &RawItem) -> Option<Message> {
        self.normalize(raw).ok()?.into_iter().next()
    }

    /// Tells the source that everything up to `cursor` is stored (moving a file, ПОС `mark-accepted`). Called only
    /// after the journal commit; called again after a crash, so it must be idempotent.
    ///
    /// # Errors
    /// The host tries again later.
    async fn acknowledge(&self, _cx: &Cx, _stream: &str, _cursor: &Cursor) -> Result<(), ConnectorError> {
        Ok(())
    }

    /// How many items of the page just stored were left out because they are older than what is known ([`Page::as_of`]).
    /// Called after the commit and before [`Connector::acknowledge`]; not called again after a crash.
    fn left_out(&self, _stream: &str, _older: usize) {}

    /// How to fetch the file of an attachment, asked anew for each attempt: addresses expire. May call the platform
    /// (Telegram's `getFile`). Tokens stay inside the [`FileSource`].
    ///
    /// # Errors
    /// A decision for the host: it asks again later, whatever the variant.
    async fn file(&self, _cx: &Cx, attachment: &Attachment) -> Result<FileSource, ConnectorError> {
        Ok(FileSource::public(attachment).unwrap_or(FileSource::Unavailable("no_address")))
    }

    /// Whether [`Connector::enrich`] does anything; fixed for the connector's life.
    fn enriches(&self) -> bool {
        false
    }

    /// Best effort, after the journal and before routing: fills what the platform does not send with its events (names
    /// of authors), in batches, cached inside the connector. May leave a field empty; never changes which messages there
    /// are, their order, or what identifies them: the host drops the changes to a message whose identity moved.
    ///
    /// Cancel-safe: the host drops the future after a time limit and goes on with what is filled in by then.
    async fn enrich(&self, _cx: &Cx, _messages: &mut [Message]) {}
}
