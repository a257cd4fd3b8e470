//! A platform that sends again until it is answered, a process that dies between any two steps, and deliveries that come
//! twice and in disorder: nothing is lost, nothing doubled.

use std::sync::Arc;

use fastrand::Rng;

use super::{
    HookSample, Subject,
    host::{Fate, Ledger, Plan, Toll},
    report::Recorder,
    without_panic,
};
use crate::{contract::Connector, registry::ConnectorType};

const CRASHES: &str = "receive.crashes";
const DISORDER: &str = "receive.disorder";
/// Runs with a death at every third place.
const STORMS: u64 = 6;
/// Sends after which the platform gives up.
const MOST_SENDS: usize = 1_000;
/// Random orders tried.
const ORDERS: u64 = 8;

pub(super) fn examine(kind: &ConnectorType, subject: &Subject, recorder: &mut Recorder) {
    let samples: Vec<&HookSample> = subject.hooks.iter().filter(|sample| sample.items > 0).collect();
    if samples.is_empty() {
        for check in [CRASHES, DISORDER] {
            recorder.not_applicable(check, "the subject has no samples of deliveries");
        }
        return;
    }
    recorder.record(CRASHES, crashes(kind, subject, &samples));
    recorder.record(DISORDER, disorder(kind, subject, &samples));
}

fn crashes(kind: &ConnectorType, subject: &Subject, samples: &[&HookSample]) -> Result<String, String> {
    let mut undisturbed = Fate::new(Plan::Never);
    let steady = deliver(kind, samples, &mut undisturbed)?;
    let mut toll = Toll::default();
    let once = (0..undisturbed.passed()).map(Plan::Once);
    let often = (0..STORMS).map(|seed| Plan::Often(Rng::with_seed(seed)));
    for plan in once.chain(often) {
        let mut fate = Fate::new(plan);
        let stored = deliver(kind, samples, &mut fate)?;
        toll.add(&fate);
        let places: Vec<&str> = fate.deaths.keys().copied().collect();
        stored
            .same_as(&steady, subject.connector.as_ref(), &subject.id)
            .map_err(|why| format!("{}: {why}", places.join(", ")))?;
    }
    Ok(format!("{} items each time; {}", steady.len(), toll.describe()))
}

fn disorder(kind: &ConnectorType, subject: &Subject, samples: &[&HookSample]) -> Result<String, String> {
    let steady = deliver(kind, samples, &mut Fate::new(Plan::Never))?;
    for seed in 0..ORDERS {
        let mut order = samples.repeat(2);
        Rng::with_seed(seed).shuffle(&mut order);
        let stored = deliver(kind, &order, &mut Fate::new(Plan::Never))?;
        stored
            .same_as(&steady, subject.connector.as_ref(), &subject.id)
            .map_err(|why| format!("order {seed}: {why}"))?;
    }
    Ok(format!("{} deliveries, each twice, in {ORDERS} orders", samples.len()))
}

/// The platform sends each delivery until it is answered.
fn deliver(kind: &ConnectorType, samples: &[&HookSample], fate: &mut Fate) -> Result<Ledger, String> {
    let start = || -> Arc<dyn Connector> { (kind.conformance)().connector };
    let mut ledger = Ledger::default();
    let mut connector = start();
    for sample in samples {
        let failed = |why: String| format!("{:?}: {why}", sample.name);
        let mut sends = 0;
        loop {
            sends += 1;
            if sends > MOST_SENDS {
                return Err(failed(format!("not taken {MOST_SENDS} times")));
            }
            if fate.strikes("before the request is read") {
                connector = start();
                continue;
            }
            let request = (sample.prove)(sample.body.clone());
            let receipt = without_panic(|| connector.receive(&request))
                .map_err(failed)?
                .map_err(|refusal| failed(format!("refused: {refusal}")))?;
            if fate.strikes("between reading and the commit") {
                connector = start();
                continue;
            }
            if fate.strikes("in a refused commit") {
                continue;
            }
            ledger.commit(&receipt.items, None).map_err(failed)?;
            if fate.strikes("between the commit and the answer") {
                connector = start();
                continue;
            }
            break;
        }
    }
    Ok(ledger)
}
