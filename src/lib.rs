//! Priem: citizens' messages in from every channel, one schema, auto-rules, RabbitMQ out.
//!
//! The way of a message, in one direction: connectors → [`intake`] → [`journal`] → [`delivery`] → [`publish`].
//! [`delivery`] is the corridor with its list of stages, and asks on the way: [`duplicates`] links what came by several
//! ways; [`routing`] decides by the rules, with `territory` finding which territory a message is about; [`attachments`]
//! keeps the files that messages name, when asked to; [`deadlines`] tells of clocks that run out; [`privacy`] decides
//! what of personal data leaves. None of them knows the corridor.
//!
//! Around the way: [`runtime`] puts everything together, watches it, reloads and stops it; [`rulestudio`] measures,
//! proposes and compares rules; [`http`] listens for webhooks and shows health and metrics; [`cli`] is what people type.

pub mod attachments;
pub mod cli;
pub mod deadlines;
pub mod delivery;
pub mod duplicates;
pub mod http;
pub mod intake;
pub mod journal;
pub mod privacy;
mod private;
pub mod publish;
mod rights;
pub mod routing;
pub mod rulestudio;
pub mod runtime;
pub mod settings;
mod spelling;
pub mod telemetry;
mod territory;
mod visible;
