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

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    error::{ConnectorError, NormalizeError, Refusal},
    file::FileSource,
    language,
    message::{Attachment, EventType, Flags, Message, MessageData},
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

/// One thing a source gave us, before anything in it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Identity of the object in the source (`chat:message`, incident number).
    pub external_id: String,
    /// Exact name of this version, when the source gives one. `None`: the journal tells versions apart by
    /// `fingerprint` alone and numbers them.
    pub revision: Option<String>,
    /// Hash of what a reader would see. When it equals that of the newest stored version of the object, the item
    /// changes nothing and is dropped as unchanged. `None`: never compared.
    pub fingerprint: Option<[u8; 16]>,
    /// Items with the same conversation are published in the order of their arrival.
    pub conversation: Option<String>,
    /// Bounded name of the body's shape, for `normalize` (`telegram.update`, `files.row`).
    pub format: &'static str,
    /// The item as the source gave it.
    pub body: Bytes,
    /// Set when the item can't be understood already on arrival: it is stored and quarantined with this reason.
    pub problem: Option<NormalizeError>,
}

impl Item {
    /// An item nothing is known about: its identity is the hash of its bytes, and it goes to quarantine.
    pub fn malformed(format: &'static str, body: Bytes, problem: NormalizeError) -> Self {
        let hash = blake3::hash(&body);
        Self {
            external_id: format!("blake3:{}", &hash.to_hex()[..32]),
            revision: Some("0".into()),
            fingerprint: None,
            conversation: None,
            format,
            body,
            problem: Some(problem),
        }
    }
}

/// Hash for [`Item::fingerprint`] over the parts a reader would see; part boundaries count.
pub fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut out = [0; 16];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    out
}

/// A stored item, as `normalize` sees it again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawItem {
    /// Which connector took it in.
    pub connector: ConnectorId,
    /// [`Item::external_id`].
    pub external_id: String,
    /// [`Item::revision`], or the one the journal gave: `c` and the first 16 hex digits of the fingerprint, followed
    /// by `.N` when the object has had that content before.
    pub revision: String,
    /// How many versions of the object were stored before this one; 0 for the first.
    pub ordinal: u32,
    /// [`Item::format`].
    pub format: String,
    /// [`Item::body`].
    pub body: Bytes,
    /// When the journal took it.
    pub received_at: Timestamp,
}

impl RawItem {
    /// The event of a stored version. `is_first`: the source gives it as the first version of the object, not as an edit.
    ///
    /// Platforms keep no order: a first version may come after its edit or removal. It is published as what it is,
    /// `received`, and marked [`Flags::OUT_OF_ORDER`]: the newest text stays the one that counts. An edit of what never
    /// came is `received` too.
    pub fn version(&self, is_first: bool, flags: &mut Flags) -> EventType {
        if self.ordinal == 0 {
            return EventType::Received;
        }
        if !is_first {
            return EventType::Updated;
        }
        flags.set(Flags::OUT_OF_ORDER);
        EventType::Received
    }

    /// Builds a message about this very item: `external.id`, `external.revision` and `times.received` are filled
    /// from the item, unless `data` already names another object, and `body.language` from the letters of the text.
    pub fn message(&self, event: EventType, mut data: MessageData) -> Message {
        if data.external.id.is_empty() {
            data.external.id.clone_from(&self.external_id);
        }
        if data.external.revision.is_empty() {
            data.external.revision.clone_from(&self.revision);
        }
        if data.body.language.is_none() {
            data.body.language = language::detect(&data.body.text).map(str::to_owned);
        }
        data.connector = self.connector.to_string();
        data.times.received = self.received_at;
        Message::new(event, data)
    }
}

/// What one `poll` brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// New items, oldest first.
    pub items: Vec<Item>,
    /// Where to go on once the items are stored.
    pub next: Cursor,
    /// When to ask again.
    pub wait: Wait,
    /// Work that stands around this page, for progress on long imports.
    pub progress: Option<Progress>,
    /// The platform says that events before [`Page::next`] were lost: what is known about the loss. The host alarms and
    /// counts it, stores page and cursor as usual, and at once wakes the other polled streams of the connector, those
    /// with the same key first, to catch up. Told again and again without a sound answer in between, it is one gap.
    pub gap: Option<String>,
    /// How long the platform was asked to hold the call while it has nothing to tell (a long poll). When it gives nothing
    /// much earlier than that, again and again, the host asks with growing pauses.
    pub hold: Option<Duration>,
}

/// What lies at a source and is never read, however long one waits: somebody must act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAlone {
    /// How many there are.
    pub count: u64,
    /// What they are, why they are not read, and the cure. Holds no citizen's data.
    pub why: String,
}

/// When the host should poll again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wait {
    /// At once: there is more, or the call itself waits (long poll).
    #[default]
    Now,
    /// After this pause. The host makes it four minutes at most: a longer silence counts as deafness.
    For(Duration),
}

/// Progress of a long import. Holds no citizen's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is being read (a file name).
    pub what: String,
    /// Rows or bytes done.
    pub done: u64,
    /// Rows or bytes in all, when known.
    pub total: Option<u64>,
    /// `rows` or `bytes`.
    pub unit: &'static str,
}

/// A webhook request, as the host hands it over. `Debug` shows neither headers nor body.
#[derive(Clone)]
pub struct HookRequest {
    /// HTTP method, upper case.
    pub method: String,
    /// Path below `/hooks/<connector>/`, without a leading slash, as it came (percent signs are not decoded).
    pub path: String,
    /// Query string without `?`.
    pub query: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Address of the sender, trusted proxies already taken off.
    pub peer: IpAddr,
    /// SHA-256 of the certificate the sender proved to hold in the TLS handshake, in DER, and which the host checked
    /// against its authorities. None without TLS, without a certificate, and behind a proxy that ends TLS.
    pub certificate_sha256: Option<[u8; 32]>,
    /// When the host took the request, for proofs that hold for a while only: a connector has no clock.
    pub received_at: Timestamp,
    /// The whole body; its size was limited by the host. Empty for [`Connector::admit`]: it is not read yet.
    pub body: Bytes,
}

impl HookRequest {
    /// A POST from loopback without query and headers, taken at the Unix epoch; the other fields are set on it.
    pub fn post(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            method: "POST".into(),
            path: path.into(),
            query: String::new(),
            headers: HeaderMap::new(),
            peer: IpAddr::from([127, 0, 0, 1]),
            certificate_sha256: None,
            received_at: Timestamp::UNIX_EPOCH,
            body: body.into(),
        }
    }

    /// The same request with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Value of a header by its name; `None` too when the value is not plain ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl fmt::Debug for HookRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookRequest")
            .field("method", &self.method)
            .field("peer", &self.peer)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What the head of a webhook request proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The sender: [`Connector::receive`] takes this request whatever the body is.
    Proven,
    /// Nothing yet: the proof, or a part of it, is in the body.
    ProofInBody,
}

/// A proven webhook request, split into items, with the exact answer the platform needs after they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What the body held; a body that can't be understood is one [`Item::malformed`].
    pub items: Vec<Item>,
    /// The answer that means success to the platform.
    pub reply: Reply,
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, when there is a body.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// 200 with an empty body.
    pub fn ok() -> Self {
        Self {
            status: 200,
            content_type: "text/plain",
            body: Bytes::new(),
        }
    }
}

/// What `check` found, for people and for exit codes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CheckReport {
    /// Findings in the order they were made.
    pub findings: Vec<CheckFinding>,
}

impl CheckReport {
    /// Adds something that is as it should be.
    pub fn ok(&mut self, what: &'static str, detail: impl Into<String>) {
        self.push("ok", what, detail, None);
    }

    /// Adds something that works but should be looked at, with the cure.
    pub fn warn(&mut self, what: &'static str, detail: impl Into<String>, cure: impl Into<String>) {
        self.push("warning", what, detail, Some(cure.into()));
    }

    /// Adds something that does not work, with the cure.
    pub fn fail(&mut self, what: &'static str, detail: impl Into<String>, cure: impl Into<String>) {
        self.push("failed", what, detail, Some(cure.into()));
    }

    /// Whether anything failed.
    pub fn failed(&self) -> bool {
        self.findings.iter().any(|finding| finding.outcome == "failed")
    }

    fn push(&mut self, outcome: &'static str, what: &'static str, detail: impl Into<String>, cure: Option<String>) {
        self.findings.push(CheckFinding {
            outcome,
            what,
            detail: detail.into(),
            cure,
        });
    }
}

/// One line of a [`CheckReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckFinding {
    /// `ok`, `warning` or `failed`.
    pub outcome: &'static str,
    /// What was looked at (`token`, `webhook`, `pending`).
    pub what: &'static str,
    /// What was seen.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
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
    /// in health for as long as they are told here; no citizen's data. No I/O.
    fn unheard(&self) -> Vec<String> {
        Vec::new()
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
