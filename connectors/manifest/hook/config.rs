//! What a manifest says about being called: the address, the proofs, what is in a body, what to answer.

use jiff::SignedDuration;
use priem_sdk::{
    SecretRef,
    webhook::{HookPath, SourceNetworks},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::manifest::poll::config::Given;

/// A sender that calls us. The address alone is a proof (an unguessable path); every further proof named here must hold
/// too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookSettings {
    /// Unguessable end of the address `/hooks/<connector>/<path>`: at least 22 characters, better 64
    /// (`openssl rand -hex 32`).
    pub path: HookPath,
    /// Networks the sender calls from; empty: any.
    #[serde(default)]
    pub source_networks: SourceNetworks,
    /// Methods taken.
    #[serde(default = "post")]
    pub methods: Vec<String>,
    /// Signature over the body.
    #[serde(default)]
    pub signature: Option<SignatureSettings>,
    /// Token in `Authorization: Bearer`.
    #[serde(default)]
    pub bearer: Option<SecretRef>,
    /// User and password in `Authorization: Basic`.
    #[serde(default)]
    pub basic: Option<BasicSettings>,
    /// Secret in a header of its own.
    #[serde(default)]
    pub header: Option<HeaderSettings>,
    /// Certificate of the sender (mutual TLS): checked by our own listener, or by a reverse proxy in front of us, which
    /// names it in a header.
    #[serde(default)]
    pub client_certificate: Option<CertificateSettings>,
    /// jq over the body that gives the records, one by one or as one array.
    #[serde(default = "whole_body")]
    pub items: String,
    /// The answer after everything is stored.
    #[serde(default)]
    pub reply: ReplySettings,
}

/// HMAC over the body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignatureSettings {
    /// Hash function.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// Header with the signature.
    pub header: String,
    /// The header is a list `t=…,v1=…`, and the signature stands under this name. May stand there several times.
    #[serde(default)]
    pub field: Option<String>,
    /// How the signature is written.
    #[serde(default)]
    pub encoding: Encoding,
    /// What stands before it (`sha256=`).
    #[serde(default)]
    pub prefix: String,
    /// The key.
    pub secret: SecretRef,
    /// The key before it, as long as senders still use it.
    #[serde(default)]
    pub previous_secret: Option<SecretRef>,
    /// What is signed: `{body}`, and as needed `{timestamp}`, `{method}`, `{path}` (the whole path, with a leading slash).
    #[serde(default = "signed_body")]
    pub signed: String,
    /// When it was signed: a request older or newer than the window is refused, so that nobody plays it again later.
    #[serde(default)]
    pub timestamp: Option<TimestampSettings>,
}

/// Hash function of a signature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// HMAC-SHA-256.
    #[default]
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
    /// HMAC-SHA-1, for senders that know nothing better.
    Sha1,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal, any case.
    #[default]
    Hex,
    /// Base64, usual or for addresses, padded or not.
    Base64,
}

/// When a request was signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimestampSettings {
    /// Header with the time; absent: the header of the signature.
    #[serde(default)]
    pub header: Option<String>,
    /// Name in a list `t=…,v1=…`.
    #[serde(default)]
    pub field: Option<String>,
    /// How the time is written.
    #[serde(default)]
    pub format: TimestampFormat,
    /// Largest difference from our clock.
    #[serde(default = "five_minutes")]
    #[schemars(with = "String")]
    pub window: SignedDuration,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimestampFormat {
    /// Seconds since 1970.
    #[default]
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMillis,
    /// `2026-06-01T12:00:00+05:00`.
    Rfc3339,
}

/// User and password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicSettings {
    /// User.
    pub user: Given,
    /// Password.
    pub password: SecretRef,
}

/// Secret in a header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderSettings {
    /// Name of the header.
    pub name: String,
    /// The secret.
    pub secret: SecretRef,
}

/// The certificate of the sender: `fingerprints` when our own listener asks for it (`http.webhooks.tls.client_ca` in the
/// daemon's settings), `subjects` when a reverse proxy does. The proxy must set the headers on every request (overwriting
/// what came) and be the only way in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateSettings {
    /// SHA-256 of each certificate that may send, hexadecimal, with or without colons
    /// (`openssl x509 -in sender.pem -noout -fingerprint -sha256`). Name the next one beside the old one before it is
    /// renewed.
    #[serde(default)]
    pub fingerprints: Vec<String>,
    /// Header with the outcome of the check (nginx: `$ssl_client_verify`).
    #[serde(default = "verify_header")]
    pub verify_header: String,
    /// Its value for a certificate that holds.
    #[serde(default = "success")]
    pub verified: String,
    /// Header with the name or fingerprint of the certificate (nginx: `$ssl_client_s_dn`, `$ssl_client_fingerprint`).
    #[serde(default = "subject_header")]
    pub subject_header: String,
    /// Values allowed there, whole and exact.
    #[serde(default)]
    pub subjects: Vec<String>,
}

/// The answer after everything is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReplySettings {
    /// Status, 2xx.
    #[schemars(range(min = 200, max = 299))]
    pub status: u16,
    /// Type of the body.
    pub content_type: ContentType,
    /// Body, as it is.
    pub body: String,
    /// jq over the list of records that gives the body instead (the ids taken); a text is sent as it is, anything else
    /// as JSON.
    pub body_jq: Option<String>,
}

impl Default for ReplySettings {
    fn default() -> Self {
        Self {
            status: 200,
            content_type: ContentType::Text,
            body: String::new(),
            body_jq: None,
        }
    }
}

/// Types a reply can have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentType {
    /// `text/plain; charset=utf-8`.
    #[default]
    Text,
    /// `application/json`.
    Json,
    /// `text/xml; charset=utf-8` (SOAP 1.1 too).
    Xml,
    /// `application/soap+xml; charset=utf-8` (SOAP 1.2).
    Soap,
    /// `text/html; charset=utf-8`.
    Html,
}

impl ContentType {
    /// The header's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Xml => "text/xml; charset=utf-8",
            Self::Soap => "application/soap+xml; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
        }
    }
}

fn post() -> Vec<String> {
    vec!["POST".into()]
}

fn whole_body() -> String {
    ".".into()
}

fn signed_body() -> String {
    "{body}".into()
}

fn five_minutes() -> SignedDuration {
    SignedDuration::from_mins(5)
}

fn verify_header() -> String {
    "x-client-verify".into()
}

fn success() -> String {
    "SUCCESS".into()
}

fn subject_header() -> String {
    "x-client-subject".into()
}
