//! Priem: citizens' messages in from every channel, one schema, auto-rules, RabbitMQ out.
//!
//! The flow, in one direction: connectors → [`intake`] → [`journal`] → [`routing`] → [`publish`]. [`runtime`] puts it
//! together; [`duplicates`] links what came by several ways; [`deadlines`] tells of clocks that run out; [`privacy`]
//! decides what of personal data leaves; `territory` finds which territory a message is about; [`rulestudio`] measures,
//! proposes and compares rules; [`attachments`] keeps the files that messages name, when asked
//! to; [`http`] listens for webhooks and shows health and metrics; [`cli`] is what people type.

pub mod attachments;
pub mod cli;
pub mod deadlines;
pub mod duplicates;
pub mod http;
pub mod intake;
pub mod journal;
pub mod privacy;
pub mod publish;
pub mod routing;
pub mod rulestudio;
pub mod runtime;
pub mod settings;
pub mod telemetry;
mod territory;
