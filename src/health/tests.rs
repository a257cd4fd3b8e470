//! Health, without a listener.

use jiff::ToSpan;

use super::*;

#[test]
fn ready_only_when_everything_awaited_is_set() {
    let health = Health::new(&["journal", "connectors"]);
    let now = Timestamp::now();
    assert!(!health.report(now).ready);
    health.set("journal", Condition::Ready);
    let report = health.report(now);
    assert_eq!((report.ready, report.not_met.len()), (false, 1));
    assert_eq!(report.not_met[0].condition, "connectors");
    health.set("connectors", Condition::Ready);
    assert!(health.report(now).ready);
    health.set(
        "journal",
        Condition::NotReady {
            why: "disk full".into(),
        },
    );
    assert!(!health.report(now).ready);
}

#[test]
fn a_broker_that_is_down_degrades_only() {
    let health = Health::new(&[]);
    health.set(
        "broker",
        Condition::Degraded {
            why: "connection refused".into(),
        },
    );
    let report = health.report(Timestamp::now());
    assert!(report.ready);
    assert_eq!(report.degraded[0].condition, "broker");
}

#[test]
fn a_hung_core_loop_is_not_live() {
    let health = Health::new(&[]);
    let now = Timestamp::now();
    assert!(health.is_live(now));
    assert!(!health.is_live(now + 2.minutes()));
}

#[test]
fn nobody_writes_is_not_we_cannot_hear() {
    let health = Health::new(&[]);
    let poll = health.source("telegram", &stream("updates", "", StreamKind::Poll));
    let hook = health.source("vk", &stream("callback", "", StreamKind::Webhook));
    let states = |now| -> Vec<SourceState> { health.report(now).sources.iter().map(|s| s.state).collect() };
    let start = Timestamp::now();
    assert_eq!(states(start), [SourceState::Hearing, SourceState::Hearing]);
    assert_eq!(states(start + 2.hours()), [SourceState::Deaf, SourceState::Silent]);

    poll.exchanged(true);
    hook.exchanged(true);
    // Two hours later the poller still exchanges, but brings nothing new.
    let later = start + 2.hours();
    poll.last_exchange.store(later.as_millisecond(), Ordering::Relaxed);
    assert_eq!(states(later), [SourceState::Quiet, SourceState::Silent]);

    poll.set_trouble(Some("credentials refused".into()));
    let report = health.report(start);
    assert_eq!(report.sources[0].state, SourceState::Deaf);
    assert_eq!(report.degraded[0].condition, "source telegram/updates");
    assert!(report.ready);
    poll.set_trouble(None);
    assert_eq!(states(start)[0], SourceState::Hearing);
}

fn stream(name: &'static str, key: &str, kind: StreamKind) -> Stream {
    Stream {
        name,
        key: key.into(),
        kind,
    }
}

#[test]
fn a_thousand_streams_make_one_line_with_the_first_troubles() {
    let health = Health::new(&[]);
    let sources: Vec<Arc<Source>> = (0..1000)
        .map(|key| health.source("vk", &stream("longpoll", &format!("{key:04}"), StreamKind::Poll)))
        .collect();
    for source in &sources {
        source.exchanged(true);
    }
    let now = Timestamp::now();
    assert_eq!(health.report(now).sources.len(), 1);
    assert_eq!(health.report(now).sources[0].state, SourceState::Hearing);

    for source in &sources[100..107] {
        source.set_trouble(Some("credentials refused".into()));
    }
    let report = health.report(now);
    let line = &report.sources[0];
    assert_eq!(
        (line.streams, line.deaf, line.state),
        (1000, 7, SourceState::PartlyDeaf)
    );
    let keys: Vec<&str> = line.troubles.iter().map(|trouble| trouble.key.as_str()).collect();
    assert_eq!(keys, ["0100", "0101", "0102", "0103", "0104"]);
    assert!(report.ready);
    assert_eq!(report.degraded.len(), 1, "one finding for all of them");
    assert!(
        report.degraded[0]
            .why
            .starts_with("7 of 1000 streams are not heard: 0100: ")
    );
}
