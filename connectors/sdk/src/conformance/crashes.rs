//! The process dies between any two steps of a poll, and in the middle of them: nothing is lost, nothing doubled.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;

use super::{
    PollSubject, PollerFactory, Subject,
    host::{Fate, Heard, Ledger, Plan, Quiet, Toll, cut_off},
    report::Recorder,
};
use crate::{
    contract::{Connector, Page, StreamKind, Wait},
    error::ConnectorError,
};

pub(super) const CHECK: &str = "poll.crashes";
/// Single deaths tried at most; more places are sampled evenly.
const MOST_PLACES: usize = 40;
/// Runs with a death at every third place.
const STORMS: u64 = 6;
/// Turns after which a run counts as endless.
const MOST_TURNS: usize = 5_000;
/// Transient errors in a row that the host sits out.
const PATIENCE: u32 = 5;
/// The host keeps pauses, within reason.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// No verb may take longer than this.
const LONGEST_VERB: Duration = Duration::from_secs(60);

pub(super) async fn examine(subject: &Subject, recorder: &mut Recorder) {
    let polls = subject
        .connector
        .streams()
        .iter()
        .any(|stream| stream.kind == StreamKind::Poll);
    match subject.poller {
        Some(poller) => {
            let outcome = everywhere(subject, poller).await;
            recorder.record(CHECK, outcome);
        }
        None if polls => recorder.record(CHECK, Err("there is a polled stream and nothing to poll".into())),
        None => recorder.not_applicable(CHECK, "the subject has no polled stream"),
    }
}

async fn everywhere(subject: &Subject, poller: PollerFactory) -> Result<String, String> {
    let mut undisturbed = Fate::new(Plan::Never);
    let steady = read(&poller().await, &mut undisturbed).await?;
    let places = undisturbed.passed();
    let mut toll = Toll::default();
    for place in (0..places).step_by(places.div_ceil(MOST_PLACES).max(1)) {
        let plan = Plan::Once(place);
        run(subject, poller, plan, &steady, &mut toll)
            .await
            .map_err(|why| format!("a death at place {place}: {why}"))?;
    }
    for seed in 0..STORMS {
        let plan = Plan::Often(Rng::with_seed(seed));
        run(subject, poller, plan, &steady, &mut toll)
            .await
            .map_err(|why| format!("many deaths, seed {seed}: {why}"))?;
    }
    Ok(format!("{} items each time; {}", steady.len(), toll.describe()))
}

async fn run(
    subject: &Subject,
    poller: PollerFactory,
    plan: Plan,
    steady: &Ledger,
    toll: &mut Toll,
) -> Result<(), String> {
    let mut fate = Fate::new(plan);
    let source = poller().await;
    let stored = read(&source, &mut fate).await;
    let places: Vec<&str> = fate.deaths.keys().copied().collect();
    let outcome = stored.and_then(|stored| stored.same_as(steady, subject.connector.as_ref(), &source.cx.id));
    toll.add(&fate);
    outcome.map_err(|why| format!("{}: {why}", places.join(", ")))
}

/// Reads a source to its end as the host does, and starts again after every death.
async fn read(source: &PollSubject, fate: &mut Fate) -> Result<Ledger, String> {
    let mut ledger = Ledger::default();
    let mut alive: Option<Arc<dyn Connector>> = None;
    let mut troubles = 0;
    // A walk goes on where the cursor stands, whoever takes it up: deaths don't begin it anew.
    let mut quiet = Quiet::from(&ledger.cursor);
    for turn in 0..MOST_TURNS {
        let connector = match &alive {
            Some(connector) => Arc::clone(connector),
            None => {
                let started = (source.open)();
                if !ledger.cursor.is_start() {
                    acknowledge(source, started.as_ref(), &ledger).await?;
                }
                if fate.strikes("after the start") {
                    continue;
                }
                Arc::clone(alive.insert(started))
            }
        };
        if fate.strikes("while polling") {
            cut_off(connector.poll(&source.cx, source.stream, &ledger.cursor), turn % 4).await?;
            alive = None;
            continue;
        }
        let page = match poll(source, connector.as_ref(), &ledger).await {
            Ok(page) => page,
            Err(ConnectorError::Transient { .. }) if troubles < PATIENCE => {
                troubles += 1;
                tokio::time::sleep(LONGEST_PAUSE).await;
                continue;
            }
            Err(error) => return Err(format!("poll failed: {error}")),
        };
        troubles = 0;
        if fate.strikes("between the poll and the commit") {
            alive = None;
            continue;
        }
        if fate.strikes("in a refused commit") {
            continue;
        }
        let idle = page.items.is_empty() && page.next == ledger.cursor;
        if idle && ledger.len() >= source.items {
            return finished(ledger, source);
        }
        let (known, asked_at) = (ledger.len(), ledger.cursor.clone());
        ledger.commit(&page.items, Some(&page.next))?;
        let heard = quiet.after(&page, &asked_at, ledger.len() > known);
        if heard == Heard::Silence && ledger.len() >= source.items {
            return finished(ledger, source);
        }
        if fate.strikes("between the commit and the acknowledgement") {
            alive = None;
            continue;
        }
        if fate.strikes("while acknowledging") {
            cut_off(
                connector.acknowledge(&source.cx, source.stream, &ledger.cursor),
                turn % 4,
            )
            .await?;
            alive = None;
            continue;
        }
        acknowledge(source, connector.as_ref(), &ledger).await?;
        if fate.strikes("after the acknowledgement") {
            alive = None;
            continue;
        }
        if let Wait::For(pause) = page.wait {
            tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
        }
    }
    Err(format!(
        "{} of {} items after {MOST_TURNS} turns",
        ledger.len(),
        source.items
    ))
}

fn finished(ledger: Ledger, source: &PollSubject) -> Result<Ledger, String> {
    if ledger.len() == source.items {
        return Ok(ledger);
    }
    Err(format!("{} different items instead of {}", ledger.len(), source.items))
}

async fn poll(source: &PollSubject, connector: &dyn Connector, ledger: &Ledger) -> Result<Page, ConnectorError> {
    let polled = connector.poll(&source.cx, source.stream, &ledger.cursor);
    let waited = tokio::time::timeout(LONGEST_VERB, polled).await;
    waited.unwrap_or_else(|_| Err(ConnectorError::transient("no answer for a minute")))
}

async fn acknowledge(source: &PollSubject, connector: &dyn Connector, ledger: &Ledger) -> Result<(), String> {
    let acknowledged = connector.acknowledge(&source.cx, source.stream, &ledger.cursor);
    match tokio::time::timeout(LONGEST_VERB, acknowledged).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("acknowledge failed: {error}")),
        Err(_) => Err(format!("acknowledge took longer than {LONGEST_VERB:?}")),
    }
}
