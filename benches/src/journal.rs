//! A journal of years: three million decisions and half a million stored items on disk, and one that is full.
//!
//! Everything is made through the journal's own interface, with decisions that the built-in rules make of invented
//! texts. The longest commit is measured from outside, as the longest wait for `flush` while items come and go: an upper
//! bound. Figures depend on the disk and on what else the machine does.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use clap::Args;
use jiff::Timestamp;
use priem::{
    journal::{DecisionRecord, End, Journal, JournalError, JournalSettings, Record, Settlement, store::Store},
    telemetry::Metrics,
};
use priem_city::voices::Crowd;
use priem_rules::RuleSet;
use priem_sdk::{
    Item, NormalizeError,
    contract::ConnectorId,
    message::{EventType, Kind, Message, MessageData, Regime},
};
use rusqlite::Connection;
use serde::Serialize;
use uuid::Uuid;

/// Items appended and settled together while a journal is made.
const TOGETHER: u64 = 2_000;
/// Bytes of a stored item.
const BODY: usize = 1_900;
/// Items a second while latency is measured.
const RATE: u64 = 500;
/// Items on hold for `quarantine list`.
const HELD: u64 = 1_000;
/// Different decisions.
const DECISIONS: usize = 4_096;

/// Arguments of `journal`.
#[derive(Debug, Args)]
pub struct JournalArgs {
    /// The last line is one JSON document
    #[arg(long)]
    json: bool,
    /// A hundredth of the numbers
    #[arg(long)]
    quick: bool,
    /// Folder for the journals, a few gigabytes; removed afterwards
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Figures {
    append_p99_ms: f64,
    longest_commit_ms: f64,
    why_ms: f64,
    quarantine_list_ms: f64,
    bytes_per_decision: f64,
    bytes_per_message: f64,
    decision_us: f64,
    full_refusal_p99_ms: f64,
    full_watchdog_gap_s: f64,
    full_recovery_s: f64,
}

/// Measures and prints.
///
/// # Errors
/// When a journal can't be made.
pub async fn run(arguments: JournalArgs) -> anyhow::Result<()> {
    let folder = match &arguments.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let scale = if arguments.quick { 100 } else { 1 };
    let (decisions, items, waiting) = (3_000_000 / scale, 500_000 / scale, 600_000 / scale);
    let routings = routings();
    let mut maker = Maker::new(&routings);

    let big = folder.path().join("big");
    let begun = Instant::now();
    maker.settled(&big, decisions - items, true).await?;
    let decision_us = begun.elapsed().as_secs_f64() * 1e6 / (decisions - items) as f64;
    eprintln!(
        "{} decisions made, {:.0} s",
        decisions - items,
        begun.elapsed().as_secs_f64()
    );
    maker.settled(&big, items, false).await?;
    maker.held(&big).await?;
    eprintln!("{items} with their items, {:.0} s", begun.elapsed().as_secs_f64());
    let (bytes_per_decision, bytes_per_message) = sizes(&big, decisions, items)?;
    let (append_p99_ms, longest_commit_ms) = maker.under_load(&big, if arguments.quick { 3 } else { 30 }).await?;
    let (why_ms, quarantine_list_ms) = maker.looks(&big)?;
    std::fs::remove_dir_all(&big)?;

    let full = maker.full(&folder.path().join("full"), waiting).await?;
    let figures = Figures {
        append_p99_ms,
        longest_commit_ms,
        why_ms,
        quarantine_list_ms,
        bytes_per_decision,
        bytes_per_message,
        decision_us,
        full_refusal_p99_ms: full.refusal_p99_ms,
        full_watchdog_gap_s: full.watchdog_gap_s,
        full_recovery_s: full.recovery_s,
    };
    for (name, value, target) in [
        ("p99 of an append, ms", figures.append_p99_ms, ""),
        ("longest commit, ms", figures.longest_commit_ms, "≤ 150"),
        ("why, ms", figures.why_ms, "≤ 20"),
        ("quarantine list, ms", figures.quarantine_list_ms, ""),
        ("bytes a decision", figures.bytes_per_decision, "≤ 800"),
        ("bytes a delivered message, all tables", figures.bytes_per_message, ""),
        ("append, settle and forget, µs a message", figures.decision_us, ""),
        ("p99 of a refusal when full, ms", figures.full_refusal_p99_ms, "≤ 20"),
        ("watchdog gap when full, s", figures.full_watchdog_gap_s, "≤ 3"),
        ("accepts again after the broker is back, s", figures.full_recovery_s, ""),
    ] {
        println!("{name:<42} {value:>10.3} {target:>8}");
    }
    if arguments.json {
        println!("{}", serde_json::to_string(&figures)?);
    }
    Ok(())
}

/// Decisions of the built-in rules about invented texts.
fn routings() -> Vec<Bytes> {
    let rules = RuleSet::starter();
    let mut crowd = Crowd::new(1, 5_000);
    let now = Timestamp::now();
    let made = (0..DECISIONS).map(|number| {
        let mut data = MessageData::new("telegram", Kind::Comment, Regime::OpenSourceMessage);
        data.body.text = crowd.voice().text.into();
        let mut message = Message::new(EventType::Received, data);
        let later = now + jiff::SignedDuration::from_mins(number as i64);
        let decision = rules.decide(&mut message, later);
        Bytes::from(serde_json::to_vec(decision.main()).expect("a routing is JSON"))
    });
    made.collect()
}

struct Maker<'a> {
    routings: &'a [Bytes],
    next: u64,
    /// Event and external id of some items, first to last.
    samples: Vec<(Uuid, String)>,
}

struct Full {
    refusal_p99_ms: f64,
    watchdog_gap_s: f64,
    recovery_s: f64,
}

impl<'a> Maker<'a> {
    fn new(routings: &'a [Bytes]) -> Self {
        Self {
            routings,
            next: 0,
            samples: Vec::new(),
        }
    }

    fn items(&mut self, count: u64, bytes: usize) -> Vec<Item> {
        let first = self.next;
        self.next += count;
        (first..self.next)
            .map(|number| Item {
                external_id: name(number),
                revision: Some("0".into()),
                fingerprint: None,
                conversation: None,
                format: "bench",
                body: Bytes::from(vec![b'x'; bytes]),
                problem: None,
            })
            .collect()
    }

    fn end(&self, record: &Record) -> Settlement {
        let decision = DecisionRecord {
            event_id: event(&record.raw.external_id),
            event: "ru.priem.message.received.v1",
            outcome: "published",
            channel: "telegram".into(),
            queue: "mcu.roads".into(),
            routing: self.routings[record.seq as usize % self.routings.len()].clone(),
        };
        Settlement {
            position: record.position,
            seq: record.seq,
            end: End::Delivered {
                decisions: vec![decision],
                parked: None,
            },
        }
    }

    /// Settled items; what they were is `forgotten`, or kept in full size.
    async fn settled(&mut self, dir: &Path, count: u64, forgotten: bool) -> anyhow::Result<()> {
        let journal = open(dir, u32::from(!forgotten) * 30, u64::MAX)?;
        let connector = ConnectorId::new("telegram-bot");
        let (mut position, mut left) = (0, count);
        while left > 0 {
            let some = left.min(TOGETHER);
            left -= some;
            let items = self.items(some, if forgotten { 10 } else { BODY });
            let sample = (items[0].external_id.clone(), event(&items[0].external_id));
            self.samples.push((sample.1, sample.0));
            journal.append(&connector, "updates", items, None).await?;
            let mut taken = 0;
            while taken < some {
                let records = journal.pending_after(position, TOGETHER as usize).await?;
                taken += records.len() as u64;
                position = records.last().map_or(position, |record| record.position);
                let ends = records.iter().map(|record| self.end(record)).collect();
                journal.settle(ends).await?;
            }
            if forgotten {
                for _ in 0..TOGETHER / 400 {
                    journal.tick().await?;
                }
            }
        }
        journal.flush().await?;
        Ok(())
    }

    async fn held(&mut self, dir: &Path) -> anyhow::Result<()> {
        let journal = open(dir, 30, u64::MAX)?;
        let mut items = self.items(HELD, BODY);
        for item in &mut items {
            item.problem = Some(NormalizeError::new("bad_row", "a row of two cells"));
        }
        journal
            .append(&ConnectorId::new("exports"), "inbox", items, None)
            .await?;
        Ok(())
    }

    /// p99 of an append and the longest commit, while items come and are settled and the journal is swept.
    async fn under_load(&mut self, dir: &Path, seconds: u64) -> anyhow::Result<(f64, f64)> {
        let journal = open(dir, 30, u64::MAX)?;
        let connector = ConnectorId::new("telegram-bot");
        let until = Instant::now() + Duration::from_secs(seconds);
        let flushing = tokio::spawn(longest_flush(journal.clone(), until, Duration::from_millis(2)));
        let ticking = tokio::spawn({
            let journal = journal.clone();
            async move {
                while Instant::now() < until {
                    journal.tick().await?;
                    let look = journal.clone();
                    tokio::task::spawn_blocking(move || look.observe()).await??;
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                anyhow::Ok(())
            }
        });
        let mut pace = tokio::time::interval(Duration::from_micros(1_000_000 / RATE));
        let (mut appends, mut position) = (Vec::new(), 0);
        while Instant::now() < until {
            pace.tick().await;
            let (sender, connector, items) = (journal.clone(), connector.clone(), self.items(1, BODY));
            appends.push(tokio::spawn(async move {
                let begun = Instant::now();
                sender.append(&connector, "updates", items, None).await?;
                Ok::<_, JournalError>(begun.elapsed())
            }));
            if appends.len() % 64 == 0 {
                let records = journal.pending_after(position, 512).await?;
                position = records.last().map_or(position, |record| record.position);
                journal
                    .settle(records.iter().map(|record| self.end(record)).collect())
                    .await?;
            }
        }
        let mut times = Vec::with_capacity(appends.len());
        for append in appends {
            times.push(append.await??);
        }
        ticking.await??;
        Ok((
            milliseconds(percentile(&mut times, 0.99)),
            milliseconds(flushing.await??),
        ))
    }

    /// The slowest of many `why` (by event id, by id at the source), and `quarantine list`.
    fn looks(&self, dir: &Path) -> anyhow::Result<(f64, f64)> {
        let mut whys = Vec::new();
        let step = (self.samples.len() / 50).max(1);
        for (event, name) in self.samples.iter().step_by(step) {
            for wanted in [&event.to_string(), name] {
                let begun = Instant::now();
                let store = Store::open(dir)?;
                let found = store.decisions(wanted)?;
                store.unsettled(wanted)?;
                whys.push(begun.elapsed());
                ensure!(found.len() == 1, "{wanted} has {} decisions", found.len());
            }
        }
        let begun = Instant::now();
        let held = Store::open(dir)?.held()?;
        ensure!(held.len() as u64 == HELD);
        Ok((milliseconds(percentile(&mut whys, 1.0)), milliseconds(begun.elapsed())))
    }

    /// A journal full of what waits, with the broker away, and then back.
    async fn full(&mut self, dir: &Path, waiting: u64) -> anyhow::Result<Full> {
        let limit = waiting * (BODY as u64 + 100);
        let journal = open(dir, 30, limit)?;
        let connector = ConnectorId::new("telegram-bot");
        let mut stored = 0;
        let error = loop {
            let items = self.items(TOGETHER.min(waiting / 10), BODY);
            let count = items.len();
            match journal.append(&connector, "updates", items, None).await {
                Ok(_) => stored += count,
                Err(error) => break error,
            }
        };
        ensure!(matches!(error, JournalError::Full { .. }), "{error}");
        eprintln!("full with {stored} waiting");
        let until = Instant::now() + Duration::from_secs(10);
        let flushing = tokio::spawn(longest_flush(journal.clone(), until, Duration::from_millis(50)));
        let mut refusals = Vec::new();
        let mut ticked = Instant::now();
        while Instant::now() < until {
            let items = self.items(1, BODY);
            let begun = Instant::now();
            let refused = journal.append(&connector, "updates", items, None).await;
            refusals.push(begun.elapsed());
            ensure!(refused.is_err(), "it is full");
            if ticked.elapsed() > Duration::from_secs(1) {
                ticked = Instant::now();
                journal.tick().await?;
                journal.observe()?;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let gap = flushing.await??;
        // The broker is back.
        let begun = Instant::now();
        let mut position = 0;
        let recovery = loop {
            let records = journal.pending_after(position, 512).await?;
            position = records.last().map_or(position, |record| record.position);
            journal
                .settle(records.iter().map(|record| self.end(record)).collect())
                .await?;
            let items = self.items(1, BODY);
            if journal.append(&connector, "updates", items, None).await.is_ok() {
                break begun.elapsed();
            }
            ensure!(begun.elapsed() < Duration::from_secs(300), "it accepts again");
        };
        Ok(Full {
            refusal_p99_ms: milliseconds(percentile(&mut refusals, 0.99)),
            watchdog_gap_s: gap.as_secs_f64(),
            recovery_s: recovery.as_secs_f64(),
        })
    }
}

fn open(dir: &Path, raw_days: u32, max_bytes: u64) -> anyhow::Result<Journal> {
    let settings = JournalSettings {
        dir: dir.to_owned(),
        raw_days,
        max_bytes,
        min_free_bytes: 0,
        ..JournalSettings::default()
    };
    Journal::open(&settings, &Metrics::new()).context("opening a journal")
}

/// The longest time between two answers of the writer.
async fn longest_flush(journal: Journal, until: Instant, pause: Duration) -> anyhow::Result<Duration> {
    let mut longest = Duration::ZERO;
    while Instant::now() < until {
        let begun = Instant::now();
        journal.flush().await?;
        longest = longest.max(begun.elapsed());
        tokio::time::sleep(pause).await;
    }
    Ok(longest)
}

/// Bytes a decision takes in its tables and indexes, and bytes all tables take for each delivered message.
fn sizes(dir: &Path, decisions: u64, items: u64) -> anyhow::Result<(f64, f64)> {
    let connection = Connection::open(dir.join(priem::journal::FILE_NAME))?;
    let bytes = |condition: &str| -> rusqlite::Result<f64> {
        connection.query_row(
            &format!("SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE {condition}"),
            [],
            |row| row.get::<_, i64>(0).map(|bytes| bytes as f64),
        )
    };
    let of_decisions = bytes("name GLOB 'settled*' OR name GLOB 'key_*' OR name IN ('phrase', 'book', 'outlet')")?;
    let kept = bytes("name <> 'raw'")? / decisions as f64;
    let item = bytes("name = 'raw'")? / items as f64;
    Ok((of_decisions / decisions as f64, kept + item))
}

fn name(number: u64) -> String {
    format!("-1001234567890:{number}")
}

fn event(external_id: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, external_id.as_bytes())
}

fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * share).round() as usize]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
