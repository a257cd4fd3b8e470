//! Priem: citizens' messages in from every channel, one schema, auto-rules, RabbitMQ out.
//!
//! The way of a message, in one direction: connectors → [`intake`] → [`journal`] → [`delivery`] → [`publish`].
//! [`delivery`] is the pipeline with its list of stages, and asks on the way: [`duplicates`] links what came by several
//! ways; [`priem_rules`] decides by the rules, and finds which territory a message is about; [`attachments`] keeps the
//! files that messages name, when asked to; [`deadlines`] tells of clocks that run out; [`privacy`] decides what of
//! personal data leaves. None of them knows the pipeline.
//!
//! Around the way: [`runtime`] puts everything together, watches it, reloads and stops it; [`settings`] reads what an
//! operator can set, each room having its own; [`http`] listens for webhooks and shows health and metrics; [`cli`] is
//! what people type.
//!
//! Below the way, for whoever needs it: [`telemetry`] has the metrics and the logs; [`health`] is what parts say of
//! themselves; `listener` limits what strangers may do to a listening socket; `personal` finds personal data in texts;
//! `private` and `rights` keep files from others; `visible` makes texts of others safe to show.
//!
//! A room imports only rooms on floors below its own: `tests/arrows.rs` lists them and holds it.

pub mod attachments;
pub mod cli;
pub mod deadlines;
pub mod delivery;
pub mod duplicates;
pub mod health;
pub mod http;
pub mod intake;
pub mod journal;
mod listener;
mod personal;
pub mod privacy;
mod private;
pub mod publish;
mod rights;
pub mod runtime;
pub mod settings;
pub mod telemetry;
mod visible;
