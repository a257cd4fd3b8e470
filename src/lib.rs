//! Priem: citizens' messages in from every channel, one schema, auto-rules, RabbitMQ out.
//!
//! The flow, in one direction: connectors → [`intake`] → [`journal`] → [`routing`] → [`publish`]. [`runtime`] puts it
//! together; [`http`] listens for webhooks and shows health and metrics; [`cli`] is what people type.

pub mod cli;
pub mod http;
pub mod intake;
pub mod journal;
pub mod publish;
pub mod routing;
pub mod runtime;
pub mod settings;
pub mod telemetry;

/// Messages are allocated on one thread and freed on another, many thousand a second; the system's allocator spends
/// about a seventh of the daemon's time on that (see `docs/performance.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
