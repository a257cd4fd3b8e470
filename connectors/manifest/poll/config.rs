//! What a manifest says about asking a source: address, proof, request, pages, marks, further requests, confirmation.
//!
//! Nothing here does I/O; secrets are references and stay references until [`Poller`](super::Poller) is built.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::SignedDuration;
use priem_sdk::{ConfigError, HttpClientSettings, Secret, SecretRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A source that is asked over HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PollSettings {
    /// Address of the server, `https://host` with a path in front of all paths below when there is one. Empty in a
    /// profile that is not set up yet.
    #[serde(default)]
    pub base_url: String,
    /// How we prove ourselves.
    #[serde(default)]
    pub auth: AuthSettings,
    /// PEM file with a certificate authority to trust besides those of the system; relative to the manifest.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// PEM file with our certificate, its chain and its private key, shown to the server (mutual TLS).
    #[serde(default)]
    pub client_certificate: Option<PathBuf>,
    /// Time limits, pace, proxy.
    #[serde(default)]
    pub http: HttpClientSettings,
    /// The request that gives a page of the list.
    pub request: RequestSettings,
    /// jq over the answer that gives the records, one by one or as one array.
    #[serde(default = "whole_answer")]
    pub items: String,
    /// How the list is cut into pages.
    #[serde(default)]
    pub paging: PagingSettings,
    /// Ask only for what is new. Absent: the whole list is read each time.
    #[serde(default)]
    pub incremental: Option<IncrementalSettings>,
    /// Pause between two walks through the list.
    #[serde(default = "every_minute")]
    #[schemars(with = "String")]
    pub every: SignedDuration,
    /// Further requests for each record (a card for a row of the list).
    #[serde(default)]
    pub follow_up: Vec<FollowUpSettings>,
    /// Files that records name.
    #[serde(default)]
    pub files: FileSettings,
    /// The request that tells the source what is stored. Sent only after the journal has it.
    #[serde(default)]
    pub acknowledge: Option<AcknowledgeSettings>,
}

/// How we prove ourselves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum AuthSettings {
    /// Not at all, or by `client_certificate` alone.
    #[default]
    None,
    /// User and password in every request.
    Basic {
        /// User.
        user: Given,
        /// Password.
        password: SecretRef,
    },
    /// A token that does not change.
    Bearer {
        /// The token.
        token: SecretRef,
    },
    /// A key in a header or in the query.
    ApiKey {
        /// Name of the header; give this or `query`.
        #[serde(default)]
        header: Option<String>,
        /// Name of the query parameter.
        #[serde(default)]
        query: Option<String>,
        /// The key.
        key: SecretRef,
    },
    /// A token that is fetched, kept until shortly before it expires, and fetched again once when it is refused.
    Oauth2(OauthSettings),
}

/// OAuth 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OauthSettings {
    /// Path below `base_url`, or a whole address when tokens come from another host.
    pub token_url: String,
    /// What the token is asked for with.
    pub grant: Grant,
    /// Client id.
    #[serde(default)]
    pub client_id: Option<Given>,
    /// Client secret.
    #[serde(default)]
    pub client_secret: Option<SecretRef>,
    /// Where id and secret go.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// User, for `grant: password`.
    #[serde(default)]
    pub username: Option<Given>,
    /// Password, for `grant: password`.
    #[serde(default)]
    pub password: Option<SecretRef>,
    /// Refresh token, for `grant: refresh_token`.
    #[serde(default)]
    pub refresh_token: Option<SecretRef>,
    /// File for servers that change the refresh token with every use: the newest one is kept there (mode 0600) and goes
    /// before `refresh_token` after a restart, as long as the server takes it. In a folder the daemon may write, like
    /// `/var/lib/priem/portal-refresh-token`; relative to the manifest.
    #[serde(default)]
    pub refresh_token_store: Option<PathBuf>,
    /// Further fields of the request (`scope`).
    #[serde(default)]
    pub form: BTreeMap<String, String>,
    /// Life of a token when the answer names none.
    #[serde(default = "five_minutes")]
    #[schemars(with = "String")]
    pub expires_in: SignedDuration,
}

/// OAuth 2 grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// User and password.
    Password,
    /// The client itself.
    ClientCredentials,
    /// A refresh token handed out beforehand.
    RefreshToken,
}

impl Grant {
    /// The word in the request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::ClientCredentials => "client_credentials",
            Self::RefreshToken => "refresh_token",
        }
    }
}

/// Where client id and secret go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// Into HTTP Basic.
    #[default]
    Basic,
    /// Into the form, as `client_id` and `client_secret`.
    Form,
}

/// A value written here, or kept elsewhere like a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Given {
    /// Kept elsewhere.
    Secret(SecretRef),
    /// Written in the manifest.
    Plain(String),
}

impl Given {
    /// The value; `key` is its dotted key, for the error. Relative files start from `base_dir`.
    ///
    /// # Errors
    /// When it is empty, or kept elsewhere and can't be read there.
    pub fn read(&self, key: &str, base_dir: &Path) -> Result<Secret<String>, ConfigError> {
        match self {
            Self::Plain(text) if text.is_empty() => Err(ConfigError::new(key, "is empty")),
            Self::Plain(text) => Ok(Secret::new(text.clone())),
            Self::Secret(reference) => reference.read_for(key, base_dir),
        }
    }
}

/// A request. In path, query, headers and body `{name}` stands for a value: `{since}`, `{page}`, `{size}`, `{offset}`,
/// `{limit}`, `{cursor}` in the list, `{id}` in follow-ups, `{id}` or `{ids}` in the acknowledgement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestSettings {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    #[serde(default = "get")]
    pub method: String,
    /// Path below `base_url`, with a leading slash. Values are percent-encoded.
    pub path: String,
    /// Query. A parameter whose value has no known value yet (`{since}` before anything was read) is left out.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Headers. Credentials don't belong here.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Body.
    #[serde(default)]
    pub body: Option<BodySettings>,
}

/// Body of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BodySettings {
    /// JSON. A text that is only `{ids}` becomes the list, one that is only `{page}`, `{size}`, `{offset}` or `{limit}`
    /// a number.
    Json(Value),
    /// Fields of a form.
    Form(BTreeMap<String, String>),
    /// Any text (a SOAP envelope).
    Text {
        /// `Content-Type`.
        content_type: String,
        /// The text; values are escaped for XML when the type says XML.
        text: String,
    },
}

/// How the list is cut into pages. The parameters named here are added to the query, unless the request uses the
/// value itself (`{page}` …).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PagingSettings {
    /// One answer holds all.
    #[default]
    None,
    /// Pages by number.
    Page {
        /// Query parameter of the number.
        #[serde(default = "page")]
        page: String,
        /// Query parameter of the size.
        #[serde(default = "size")]
        size: String,
        /// Records in a page.
        #[serde(default = "page_size")]
        #[schemars(range(min = 1, max = 1000))]
        page_size: u32,
        /// Number of the first page.
        #[serde(default)]
        first: u64,
        /// jq over the answer: is this the last page? Without it the list ends with an empty page.
        #[serde(default)]
        last: Option<String>,
        /// jq over the answer: how many records are there in all? When it shrinks on the way, pages are read again.
        #[serde(default)]
        total: Option<String>,
    },
    /// A window by its first record.
    Offset {
        /// Query parameter of the first record.
        #[serde(default = "offset")]
        offset: String,
        /// Query parameter of the size.
        #[serde(default = "limit")]
        limit: String,
        /// Records in a window.
        #[serde(default = "page_size")]
        #[schemars(range(min = 1, max = 1000))]
        page_size: u32,
        /// As for `page`.
        #[serde(default)]
        total: Option<String>,
    },
    /// Each answer names the address of the next page. It is asked with GET and must be on the same host.
    NextLink {
        /// jq over the answer; absent: the header `Link` with `rel="next"`.
        #[serde(default)]
        next: Option<String>,
    },
    /// Each answer names a word to ask on with.
    Cursor {
        /// Query parameter of the word.
        #[serde(default = "cursor")]
        cursor: String,
        /// jq over the answer; empty or null ends the list.
        next: String,
        /// The last word is kept for the next walk (a feed of changes).
        #[serde(default)]
        keep: bool,
    },
    /// Pages as Spring gives them: `content`, `last`, `totalElements`; numbers from 0.
    Spring {
        /// Query parameter of the number.
        #[serde(default = "page")]
        page: String,
        /// Query parameter of the size.
        #[serde(default = "size")]
        size: String,
        /// Records in a page.
        #[serde(default = "page_size")]
        #[schemars(range(min = 1, max = 1000))]
        page_size: u32,
    },
}

/// Asking only for what is new: `{since}` in the request is the highest mark of a finished walk, less the overlap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncrementalSettings {
    /// jq over a record: its mark (time of change, growing number).
    pub mark: String,
    /// What the mark is.
    #[serde(default)]
    pub kind: MarkKind,
    /// How far to look back behind the highest mark, for records that become visible late. What comes twice is
    /// recognised. Times only.
    #[serde(default = "five_minutes")]
    #[schemars(with = "String")]
    pub overlap: SignedDuration,
    /// The same for numbers.
    #[serde(default)]
    pub overlap_count: u64,
    /// How `{since}` is written.
    #[serde(default)]
    pub write: MarkFormat,
    /// Zone of times written without one.
    #[serde(default)]
    pub zone: Option<String>,
    /// Mark to begin with; absent: from the beginning of the list.
    #[serde(default)]
    pub start: Option<String>,
}

/// What a mark is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// A time: ISO 8601 text.
    #[default]
    Time,
    /// A time in seconds since 1970.
    UnixSeconds,
    /// A time in milliseconds since 1970.
    UnixMillis,
    /// A growing number.
    Number,
}

/// How a time is written into the request. Numbers are written as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MarkFormat {
    /// `2026-06-01T12:00:00Z`.
    #[default]
    Rfc3339,
    /// `2026-06-01T17:00:00`, in `zone`.
    Local,
    /// `2026-06-01`, in `zone`.
    Date,
    /// `01.06.2026`, in `zone`.
    RussianDate,
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMillis,
}

/// A further request for each record. Its answer is put into the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FollowUpSettings {
    /// jq over the record: `{id}` of the request. Nothing: no request for this record.
    pub id: String,
    /// The request.
    pub request: RequestSettings,
    /// Field of the record the answer goes into. `null` when the source does not have it (404, 410).
    pub into: String,
}

/// Files that records name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FileSettings {
    /// Fetch attachments on the host of `base_url` with our credentials. Other hosts never see them.
    pub with_credentials: bool,
}

impl Default for FileSettings {
    fn default() -> Self {
        Self { with_credentials: true }
    }
}

/// Telling the source what is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeSettings {
    /// jq over the record: the id to acknowledge.
    pub id: String,
    /// The request, with `{id}` for each record, or with `{ids}` in a JSON body for all of a page.
    pub request: RequestSettings,
    /// Acknowledged records leave the list: the same page is asked again until it brings nothing new.
    #[serde(default = "yes")]
    pub removes: bool,
    /// jq over the answer: errors in it, whatever the status. Any value but null and false is one.
    #[serde(default = "messages")]
    pub errors: String,
    /// Statuses that mean "acknowledged before": not an error.
    #[serde(default = "settled")]
    pub settled_statuses: Vec<u16>,
}

fn whole_answer() -> String {
    ".".into()
}

fn every_minute() -> SignedDuration {
    SignedDuration::from_secs(60)
}

fn five_minutes() -> SignedDuration {
    SignedDuration::from_mins(5)
}

fn get() -> String {
    "GET".into()
}

fn page() -> String {
    "page".into()
}

fn size() -> String {
    "size".into()
}

fn offset() -> String {
    "offset".into()
}

fn limit() -> String {
    "limit".into()
}

fn cursor() -> String {
    "cursor".into()
}

fn page_size() -> u32 {
    100
}

fn yes() -> bool {
    true
}

fn messages() -> String {
    r#"if type == "object" then (.messages // [])[] else empty end"#.into()
}

fn settled() -> Vec<u16> {
    vec![404, 409, 410]
}
