//! How to fetch a file that a message names: what [`Connector::file`](crate::contract::Connector::file) gives to the
//! attachment store.
//!
//! Tokens live in these addresses and headers, so both are [`Secret`]s: whoever fetches exposes them to the connection
//! and to nothing else.

use std::{borrow::Cow, path::PathBuf};

use crate::{message::Attachment, secret::Secret};

/// Where a file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSource {
    /// Fetch it so.
    Fetch(FileRequest),
    /// The platform does not give it, and asking again would not help: why, bounded and in `snake_case` (`too_large`,
    /// `gone`).
    Unavailable(&'static str),
}

/// A GET request for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRequest {
    /// Address; may hold a token.
    pub url: Secret<String>,
    /// Further headers; they are not sent along when the answer points to another host.
    pub headers: Vec<(Cow<'static, str>, Secret<String>)>,
    /// The host stands in the connector's settings, written by the operator: it may be an internal one. Otherwise the
    /// address came with a message, from a stranger.
    pub trusted_host: bool,
    /// What the connection to a trusted host needs beyond the usual. Never used for another host.
    pub tls: Option<FileTls>,
}

/// Certificates for the connection to a connector's own server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct FileTls {
    /// PEM file with the certificate to show to the server, its chain and its private key.
    pub client_certificate: Option<PathBuf>,
    /// PEM files with authorities to trust besides those of the system.
    pub extra_root_certificates: Vec<PathBuf>,
}

impl FileRequest {
    /// An address a message named.
    pub fn named_by_message(url: impl Into<String>) -> Self {
        Self {
            url: Secret::new(url.into()),
            headers: Vec::new(),
            trusted_host: false,
            tls: None,
        }
    }
}

impl FileSource {
    /// The public address of an attachment, when it has one.
    pub fn public(attachment: &Attachment) -> Option<Self> {
        let url = attachment.url.as_ref().filter(|_| !attachment.needs_token)?;
        Some(Self::Fetch(FileRequest::named_by_message(url)))
    }
}
