//! A year in fast motion: messages come, are delivered and swept for 365 days of a clock of its own. The journal stays
//! under its limit and refuses nothing, and no commit does more work in December than in February.
//!
//! Everything is scaled alike: 100 messages a day in 1/500 of the default size are 50 000 in all of it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use bytes::Bytes;
use priem_sdk::{Item, contract::ConnectorId};
use uuid::Uuid;

use super::{DecisionRecord, End, Journal, JournalSettings, Reading, Settlement, plan, retention::Class, store::Store};
use crate::telemetry::Metrics;

const DAY: i64 = 86_400_000_000;
const DAYS: i64 = 365;
const SCALE: u64 = 500;
/// Times a day that messages come, are settled, and are swept.
const TIMES: i64 = 10;
/// Messages each time.
const TOGETHER: i64 = 10;
/// Steps of SQLite's machine in one commit, at most.
const MOST_STEPS: u64 = 300_000;

fn event(number: i64) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &number.to_be_bytes())
}

fn item(number: i64) -> Item {
    Item {
        external_id: format!("id-{number}"),
        revision: Some("1".into()),
        fingerprint: Some([number as u8; 16]),
        conversation: None,
        format: "test",
        body: Bytes::from(vec![b'x'; 1_900]),
        problem: None,
    }
}

/// A routing as rules make them: some sentences of some hundred, one with a date.
fn routing(number: i64) -> Bytes {
    let sentence = |rule: i64| {
        let rule = rule % 300;
        format!(
            "\"Правило «Правило номер {rule}» (rule-{rule}): в тексте есть «слово {rule}» → отрасль «Отрасль {rule}».\""
        )
    };
    let text = format!(
        "{{\"sector\":\"s{}\",\"recipient\":{{\"organisation\":\"Отраслевой блок\"}},\"queue\":\"q\",\"priority\":4,\
         \"rules_version\":\"49952f97287c\",\"explanation\":[{},{},{},\"Срок «ответ»: до {:02}.{:02}.2026 по правилу «Ответ» (answer).\"]}}",
        number % 20,
        sentence(number),
        sentence(number * 7),
        sentence(number * 13),
        1 + number % 28,
        1 + number % 12,
    );
    text.into()
}

/// What a year left.
struct Year {
    metrics: Metrics,
    /// Steps of the longest commit of the second month, and of the last.
    early: u64,
    late: u64,
    store: Store,
    _folder: tempfile::TempDir,
}

async fn live(max_bytes: u64) -> Year {
    let folder = tempfile::tempdir().unwrap();
    let settings = JournalSettings {
        dir: folder.path().to_owned(),
        max_bytes,
        min_free_bytes: 0,
        ..JournalSettings::default()
    };
    let now = Arc::new(AtomicI64::new(20_000 * DAY));
    let clock = Arc::clone(&now);
    let metrics = Metrics::new();
    let journal = Journal::open_at(&settings, &metrics, move || {
        let now = clock.load(Ordering::Relaxed);
        Reading {
            wall: now,
            running: now,
        }
    })
    .unwrap();
    let store = Store::open(folder.path()).unwrap();
    let connector = ConnectorId::new("a");
    let (mut number, mut position, mut early, mut late) = (0, 0, 0, 0);
    for day in 0..DAYS {
        let mut longest = 0;
        for _ in 0..TIMES {
            now.fetch_add(DAY / TIMES, Ordering::Relaxed);
            let items = (0..TOGETHER).map(|more| item(number + more)).collect();
            number += TOGETHER;
            let mut before = plan::STEPS.load(Ordering::Relaxed);
            let mut step = || {
                let now = plan::STEPS.load(Ordering::Relaxed);
                longest = longest.max(now - before);
                before = now;
            };
            journal
                .append(&connector, "s", items, None)
                .await
                .expect("nothing waits: nothing is refused");
            step();
            let records = journal.pending_after(position, TOGETHER as usize).await.unwrap();
            position = records.last().unwrap().position;
            let ends = records.iter().map(|record| Settlement {
                position: record.position,
                seq: record.seq,
                end: End::Delivered {
                    decisions: vec![DecisionRecord {
                        event_id: event(record.seq - 1),
                        event: "received",
                        outcome: "published",
                        channel: "test".into(),
                        queue: "q".into(),
                        routing: routing(record.seq),
                    }],
                    parked: None,
                },
            });
            journal.settle(ends.collect()).await.unwrap();
            journal.flush().await.unwrap();
            step();
            journal.tick().await.unwrap();
            journal.flush().await.unwrap();
            step();
        }
        journal.observe().unwrap();
        // Without the log beside it, which is folded in real time.
        let bytes = metrics.journal_bytes.get() - metrics.journal_log_bytes.get();
        assert!(bytes as u64 <= max_bytes, "day {day}: {bytes} bytes");
        assert_eq!(metrics.journal_writable.get(), 1, "day {day}");
        assert!(longest <= MOST_STEPS, "day {day}: a commit of {longest} steps");
        match day {
            30..60 => early = longest.max(early),
            335.. => late = longest.max(late),
            _ => {}
        }
    }
    Year {
        metrics,
        early,
        late,
        store,
        _folder: folder,
    }
}

fn given_up(metrics: &Metrics, class: Class) -> u64 {
    metrics.journal_evicted.with_label_values(&[class.as_str()]).get()
}

fn on_day(day: i64) -> String {
    event(day * TIMES * TOGETHER).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_of_the_default_size_keeps_everything_for_its_time() {
    let year = live((10 << 30) / SCALE).await;
    for class in Class::ALL {
        assert_eq!(given_up(&year.metrics, class), 0, "{}", class.as_str());
    }
    let stats = year.store.stats().unwrap();
    let a_day = TIMES * TOGETHER;
    assert!(
        (29 * a_day..32 * a_day).contains(&stats.raw_items),
        "{}",
        stats.raw_items
    );
    let decided: i64 = stats.decisions.iter().map(|line| line.events).sum();
    assert!((179 * a_day..200 * a_day).contains(&decided), "{decided}");
    assert!(
        (179 * a_day..220 * a_day).contains(&stats.known_objects),
        "{}",
        stats.known_objects
    );
    assert_eq!(year.store.decisions(&on_day(200)).unwrap().len(), 1);
    assert_eq!(year.store.decisions(&on_day(100)).unwrap().len(), 0, "after 180 days");
    assert_eq!(
        year.store.decisions(&format!("id-{}", 200 * a_day)).unwrap().len(),
        1,
        "its item is gone"
    );
    assert!(year.late <= year.early * 2, "{} steps, then {}", year.early, year.late);
    assert_eq!(year.store.verify(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_in_too_little_room_gives_up_the_oldest_and_refuses_nothing() {
    let year = live((10 << 30) / SCALE / 8).await;
    assert!(given_up(&year.metrics, Class::Items) > 0);
    let stats = year.store.stats().unwrap();
    assert!(stats.raw_items < 20 * TIMES * TOGETHER, "{}", stats.raw_items);
    assert_eq!(year.store.decisions(&on_day(360)).unwrap().len(), 1, "the newest stays");
    assert!(year.late <= year.early * 2, "{} steps, then {}", year.early, year.late);
    assert_eq!(year.store.verify(), Vec::<String>::new());
}
