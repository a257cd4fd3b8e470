//! Ends that nobody asked for: mended, told, and not for ever.

use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::*;

const SHORT: Restarts = Restarts {
    pauses: (Duration::from_millis(20), Duration::from_millis(50)),
    most: 3,
    within: Duration::from_secs(600),
};

fn supervisor() -> (Supervisor, Health, Metrics) {
    let (health, metrics) = (Health::new(&[]), Metrics::new());
    (Supervisor::new(health.clone(), metrics.clone(), SHORT), health, metrics)
}

async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn restarts(metrics: &Metrics, task: &str) -> u64 {
    metrics.task_restarts.with_label_values(&[task]).get()
}

#[tokio::test]
async fn a_task_that_ends_is_told_and_started_again() {
    let (supervisor, health, metrics) = supervisor();
    let group = supervisor.group();
    let (starts, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (counted, wait, closing) = (Arc::clone(&starts), Arc::clone(&go), group.closing().clone());
    group.spawn("clock", OnEnd::Restart, move || {
        let (counted, wait, closing) = (Arc::clone(&counted), Arc::clone(&wait), closing.clone());
        async move {
            match counted.fetch_add(1, Ordering::SeqCst) {
                0 => panic!("a citizen's words"),
                1 => wait.notified().await,
                _ => closing.cancelled().await,
            }
        }
    });
    let report = || health.report(Timestamp::now());
    until(|| !report().ready).await;
    let finding = report().not_met.remove(0);
    assert_eq!(finding.condition, "task clock");
    assert!(
        finding.why.contains("panicked") && !finding.why.contains("citizen"),
        "{finding:?}"
    );
    until(|| report().ready).await;
    assert_eq!((starts.load(Ordering::SeqCst), restarts(&metrics, "clock")), (2, 1));

    go.notify_one();
    until(|| !report().ready).await;
    until(|| report().ready).await;
    assert_eq!((starts.load(Ordering::SeqCst), restarts(&metrics, "clock")), (3, 2));
    assert_eq!(supervisor.tasks(), ["clock"]);
    group.stop().await;
    assert_eq!(restarts(&metrics, "clock"), 2, "an end that was asked for is none");
    assert!(supervisor.tasks().is_empty() && report().ready);
}

#[tokio::test]
async fn a_crash_loop_ends_the_process() {
    let (supervisor, health, metrics) = supervisor();
    let group = supervisor.group();
    group.spawn("loop", OnEnd::Restart, || async { panic!("again") });
    let why = supervisor.failed().await;
    assert!(why.contains("loop") && why.contains("more than 3 restarts"), "{why}");
    assert_eq!(restarts(&metrics, "loop"), 4);
    assert!(!health.report(Timestamp::now()).ready, "until the end");
    group.stop().await;
}

#[tokio::test]
async fn what_cant_be_made_anew_ends_the_process_at_once() {
    let (supervisor, health, _) = supervisor();
    let group = supervisor.group();
    group.spawn("listener", OnEnd::EndProcess, || async {});
    assert!(supervisor.failed().await.contains("listener"));
    assert!(!health.report(Timestamp::now()).ready);
    group.stop().await;
}

#[tokio::test]
async fn a_source_at_fault_stops_nobody_else() {
    let (supervisor, health, metrics) = supervisor();
    let group = supervisor.group();
    let pause = Duration::from_millis(1);
    group.spawn("source", OnEnd::RestartApart(pause), || async { panic!("again") });
    until(|| restarts(&metrics, "source") > 10).await;
    let report = health.report(Timestamp::now());
    assert!(
        report.ready && report.degraded[0].condition == "task source",
        "{report:?}"
    );
    group.stop().await;
}

#[tokio::test]
async fn a_crew_names_the_member_at_fault() {
    let (supervisor, _, _) = supervisor();
    let mut crew = supervisor.crew();
    crew.spawn("feeder", std::future::pending());
    crew.spawn("worker", async { panic!("now") });
    let end = crew.next_end().await.expect("one ended");
    assert!(end.task == "worker" && end.broke.is_some(), "{end:?}");
    assert!(supervisor.kill("feeder") && !supervisor.kill("worker"));
    assert_eq!(crew.next_end().await.expect("it was ended").task, "feeder");
    assert!(crew.next_end().await.is_none() && supervisor.tasks().is_empty());
}
