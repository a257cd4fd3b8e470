//! Priem: citizens' messages in from every channel, one schema, auto-rules, RabbitMQ out.
//!
//! The flow, in one direction: connectors → [`intake`] → [`journal`] → [`routing`] → [`publish`].

pub mod cli;
pub mod intake;
pub mod journal;
pub mod publish;
pub mod routing;
pub mod telemetry;
