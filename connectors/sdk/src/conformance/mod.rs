//! The conformance kit: does a connector keep the contract, whatever its source sends?
//!
//! A connector gives a [`Subject`] through its [`ConnectorType`]; [`run`] examines it without any network beyond
//! loopback and returns a [`Report`] that can be printed, asserted in a test or attached to an acceptance protocol. A
//! test over the whole registry runs it; a third party does the same with its own [`ConnectorType`]:
//!
//! ```no_run
//! # async fn example(my_type: &priem_sdk::ConnectorType) {
//! let report = priem_sdk::conformance::run(my_type).await;
//! assert!(!report.failed(), "{report}");
//! # }
//! ```
//!
//! Hostile inputs derive from the samples with a fixed seed: a failure repeats.

mod checks;
mod crashes;
mod deliveries;
mod enrich;
mod hooks;
mod host;
mod logs;
mod mutations;
mod normalize;
mod planted;
mod poll;
mod report;
pub mod schema;
mod server;
mod streams;
mod subject;

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

pub use crate::{faults, samples};
pub use mutations::pointers;
pub use planted::Planted;
pub use report::{CheckResult, Outcome, Report};
pub use server::{ScriptedAnswer, ScriptedRequest, ScriptedServer};
pub use subject::{
    BoxFuture, Expected, FaultSample, HookSample, ItemSample, PollSubject, PollerFactory, Sample, Subject,
};

use crate::{contract::RawItem, registry::ConnectorType};
use report::Recorder;
use tracing::instrument::WithSubscriber;

/// Examines one connector: every check once, in a fixed order.
pub async fn run(kind: &ConnectorType) -> Report {
    let subject = (kind.conformance)();
    let mut recorder = Recorder::new(kind, &subject);
    let listener = logs::Listener::default();
    examine(kind, &subject, &mut recorder)
        .with_subscriber(listener.clone())
        .await;
    for line in listener.lines() {
        recorder.hear("the log", &line);
    }
    recorder.finish(&subject)
}

async fn examine(kind: &ConnectorType, subject: &Subject, recorder: &mut Recorder) {
    streams::examine(kind, subject, recorder).await;
    normalize::examine(kind, subject, recorder);
    hooks::examine(subject, recorder);
    deliveries::examine(kind, subject, recorder);
    poll::examine(subject, recorder).await;
    crashes::examine(subject, recorder).await;
    enrich::examine(subject, recorder).await;
}

/// Runs a pure verb; a panic becomes its message.
fn without_panic<T>(verb: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(verb)).map_err(|panic| format!("panicked: {}", panic_message(panic.as_ref())))
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// An item as the journal would hand it to `normalize`. The moment of storing is fixed: it must not matter.
fn stored(subject: &Subject, item: &crate::contract::Item) -> RawItem {
    RawItem {
        connector: subject.id.clone(),
        external_id: item.external_id.clone(),
        revision: item.revision.clone().unwrap_or_else(|| "c0".into()),
        ordinal: 0,
        format: item.format.to_owned(),
        body: item.body.clone(),
        received_at: jiff::Timestamp::constant(1_780_000_000, 0),
    }
}

#[cfg(test)]
mod tests;
