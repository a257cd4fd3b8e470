//! Everything a channel connector needs, and nothing about the daemon that hosts it.
//!
//! - [`message`]: the message schema, version 1 (CloudEvents 1.0).
//! - [`bot`]: what the settings of bots share.
//! - [`conformance`]: proof that a connector keeps the contract.
//! - [`context`]: what a connector may know about where it lives.
//! - [`contract`]: the four verbs of a [`Connector`] and the data they exchange.
//! - [`error`]: errors that say what the host must do.
//! - [`mod@file`]: how to fetch a file that a message names.
//! - [`http`]: the HTTP client.
//! - [`in_hand`]: a note of what the process may die over.
//! - [`json`]: JSON as platforms send it.
//! - [`language`]: the language of a text, by its letters.
//! - [`registry`]: how a connector introduces itself.
//! - [`secret`]: secrets by reference, never printed.
//! - [`html`], [`text`], [`utf16`]: markup of sources turned into plain text.
//! - [`unheard`]: parts of a source that are not heard any more.
//! - [`webhook`]: proving the sender of a webhook.
//!
//! A connector sees its protocol only: not the journal, not the broker, not metrics.

pub mod bot;
pub mod conformance;
pub mod context;
pub mod contract;
pub mod error;
pub mod file;
pub mod http;
pub mod in_hand;
pub mod json;
pub mod language;
pub mod registry;
pub mod secret;
pub mod unheard;
pub mod unread;
pub mod utf16;
pub mod webhook;

pub use context::BuildContext;
pub use contract::{
    Admission, CheckFinding, CheckReport, Connector, Cursor, Cx, HookRequest, Item, Page, RawItem, Receipt, Reply,
    Stream, StreamKind, Wait,
};
pub use error::{ConfigError, ConnectorError, NormalizeError, Refusal};
pub use file::{FileRequest, FileSource};
pub use http::{HttpClient, HttpClientSettings, HttpOptions, HttpRequest, HttpResponse, Retry};
/// The message schema: a connector needs this crate alone.
pub use priem_message as message;
pub use priem_message::{EventType, Message, MessageData, html, text};
pub use registry::ConnectorType;
pub use secret::{Secret, SecretRef};
