//! From a decided message over the real journal to the event, with a clock of the test's own. A drop of the journal
//! between any two steps stands for a restart; what a lost commit leaves is the state before it.

use std::{collections::HashMap, path::Path, sync::Arc};

use bytes::Bytes;
use jiff::Timestamp;
use priem_sdk::{
    CheckReport, Connector, ConnectorError, Cx, EventType, Item, Message, MessageData, NormalizeError, RawItem, Stream,
    contract::ConnectorId,
    message::{Deadline, DeadlineBasis, DeadlineStage, DeadlineUnit, Kind, Moment, Regime, Status},
};
use serde_json::{Value, json};

use super::{Clocks, DeadlineSettings, Told, Watch, telling::tell_due};
use crate::{
    delivery::{Processed, Processor, Publication},
    journal::{End, Journal, JournalSettings, Record, Settlement},
    telemetry::Metrics,
};
use priem_rules::RuleSet;

const WORDS: &str = "Во дворе яма, звоните 89120000000";

/// A source of rows with a status and a planned date.
struct Registry;

#[async_trait::async_trait]
impl Connector for Registry {
    fn streams(&self) -> Vec<Stream> {
        Vec::new()
    }

    async fn check(&self, _: &Cx) -> Result<CheckReport, ConnectorError> {
        Ok(CheckReport::default())
    }

    fn normalize(&self, raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
        let row: Value = serde_json::from_slice(&raw.body).unwrap();
        let mut data = MessageData::new("pos", Kind::Portal, Regime::PosMessage);
        data.body.text = WORDS.into();
        data.author.name = Some("Иванов Иван".into());
        data.author.contacts.phone = Some("+79120000000".into());
        data.place.text = Some("Ленина, 1".into());
        data.external.conversation = Some("talk".into());
        data.status = row["status"].as_str().map(|common| Status {
            common: common.parse().unwrap(),
            raw: "как в источнике".into(),
            outcome: None,
        });
        data.times.at_source = Some(Moment::from_instant(at(row["since"].as_str().unwrap())));
        data.deadlines.push(Deadline {
            stage: DeadlineStage::Answer,
            due_at: at(row["due"].as_str().unwrap()),
            zone: "Asia/Yekaterinburg".into(),
            basis: DeadlineBasis::Source,
            rule: None,
            unit: DeadlineUnit::CalendarDays,
            internal_due_at: None,
            calendar_missing: false,
        });
        let event = if raw.ordinal == 0 {
            EventType::Received
        } else {
            EventType::Updated
        };
        Ok(vec![raw.message(event, data)])
    }
}

fn at(written: &str) -> Timestamp {
    written.parse().unwrap()
}

fn row(status: &str, due: &str) -> Value {
    json!({ "status": status, "since": "2026-03-01T00:00:00Z", "due": due })
}

/// A daemon without its tasks: each step is taken by the test.
struct Daemon {
    journal: Journal,
    clocks: Clocks,
    processor: Processor,
    metrics: Metrics,
}

impl Daemon {
    fn start(folder: &Path) -> Self {
        let metrics = Metrics::new();
        let settings = JournalSettings {
            dir: folder.join("journal"),
            ..JournalSettings::default()
        };
        let mut connectors: HashMap<ConnectorId, Arc<dyn Connector>> = HashMap::new();
        connectors.insert(ConnectorId::new("pos"), Arc::new(Registry));
        let rules = Arc::new(RuleSet::starter());
        let journal = Journal::open(&settings, &metrics).unwrap();
        Self {
            clocks: Clocks::new(&journal, settings.dedupe_days),
            journal,
            processor: Processor::new(Arc::new(connectors), rules, metrics.clone())
                .with_deadlines(Watch::new(&DeadlineSettings::default())),
            metrics,
        }
    }

    async fn store(&self, id: &str, row: &Value) {
        let item = Item {
            external_id: id.into(),
            revision: Some(row.to_string()),
            fingerprint: None,
            conversation: None,
            format: "row",
            body: Bytes::from(row.to_string()),
            problem: None,
        };
        let connector = ConnectorId::new("pos");
        let stored = self.journal.append(&connector, "rows", vec![item], None).await;
        assert_eq!(stored.unwrap().new, 1);
    }

    async fn pending(&self) -> Vec<Arc<Record>> {
        if self.journal.pending_count() == 0 {
            return Vec::new();
        }
        self.journal.pending_after(0, 100).await.unwrap()
    }

    fn decide(&self, record: &Record, now: &str) -> Publication {
        // The journal's clock is the machine's, the test has its own.
        let mut record = record.clone();
        record.raw.received_at = at(now);
        match self.processor.process(&record, at(now)) {
            Processed::Publish(publication) => publication,
            Processed::End(end) => panic!("{end:?}"),
        }
    }

    /// Takes everything pending its whole way; gives what was published.
    async fn work(&self, now: &str) -> Vec<Value> {
        let mut out = Vec::new();
        for record in self.pending().await {
            let publication = self.decide(&record, now);
            self.clocks.watch(publication.watched).await.unwrap();
            out.extend(publication.messages.iter().map(|message| body(&message.body)));
            let end = End::Delivered {
                decisions: publication.decisions,
                parked: None,
            };
            let settlement = Settlement {
                position: record.position,
                seq: record.seq,
                end,
            };
            self.journal.settle(vec![settlement]).await.unwrap();
        }
        self.journal.flush().await.unwrap();
        out
    }

    async fn tell(&self, now: &str) -> Told {
        let wanted = DeadlineSettings::default().wanted();
        tell_due(&self.clocks, at(now), wanted, &self.metrics).await.unwrap()
    }

    async fn close(self) {
        self.journal.flush().await.unwrap();
    }
}

fn body(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[tokio::test]
async fn a_reminder_says_which_clock_and_goes_where_the_message_went() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path());
    daemon.store("77", &row("new", "2026-03-31T18:59:59Z")).await;
    let original = daemon.work("2026-03-02T00:00:00Z").await.remove(0);

    assert_eq!(daemon.tell("2026-03-28T18:59:58Z").await, Told::default());
    assert_eq!(daemon.tell("2026-03-28T18:59:59Z").await.approaching, 1);
    let approaching = daemon.work("2026-03-28T18:59:59Z").await.remove(0);
    assert_eq!(approaching["type"], "ru.priem.deadline.approaching.v1");
    assert_eq!(approaching["subject"], "77");
    assert_eq!(approaching["time"], "2026-03-28T18:59:59Z");
    let (data, was) = (&approaching["data"], &original["data"]);
    assert_eq!(data["reminder"]["of"], original["id"]);
    assert_eq!(data["reminder"]["revision"], was["external"]["revision"]);
    assert_eq!(data["reminder"]["stage"], "answer");
    assert_eq!(data["reminder"]["due_at"], "2026-03-31T18:59:59Z");
    assert_eq!(data["reminder"]["left_seconds"], 3 * 24 * 3600);
    assert_eq!(data["external"]["conversation"], "talk");
    assert_eq!(data["deadlines"].as_array().unwrap().len(), 1);
    for key in ["queue", "recipient", "sector", "priority", "matched"] {
        assert_eq!(data["routing"][key], was["routing"][key], "{key}");
    }
    let text = approaching.to_string();
    for word in ["яма", "9120000000", "Иванов", "Ленина"] {
        assert!(!text.contains(word), "{word}");
    }
    let by_identity = Message::event_id(
        "pos",
        "77",
        data["external"]["revision"].as_str().unwrap(),
        EventType::DeadlineApproaching,
    );
    assert_eq!(approaching["id"], by_identity.to_string());

    assert_eq!(daemon.tell("2026-04-02T00:00:00Z").await.overdue, 1);
    let overdue = daemon.work("2026-04-02T00:00:00Z").await.remove(0);
    assert_eq!(overdue["type"], "ru.priem.deadline.overdue.v1");
    assert_eq!(overdue["data"]["reminder"]["left_seconds"], -(29 * 3600 + 1));
    assert_eq!(daemon.tell("2027-01-01T00:00:00Z").await, Told::default());
    assert_eq!(daemon.metrics.deadline_events.with_label_values(&["overdue"]).get(), 1);
}

#[tokio::test]
async fn an_answer_at_the_source_ends_it_and_another_date_moves_it() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path());
    for id in ["1", "2", "3"] {
        daemon.store(id, &row("new", "2026-03-31T00:00:00Z")).await;
    }
    daemon.work("2026-03-02T00:00:00Z").await;
    daemon.store("1", &row("answered", "2026-03-31T00:00:00Z")).await;
    daemon.store("2", &row("in_work", "2026-06-30T00:00:00Z")).await;
    daemon.store("3", &row("other", "2026-03-31T00:00:00Z")).await;
    daemon.work("2026-03-03T00:00:00Z").await;
    daemon.tell("2026-04-01T00:00:00Z").await;
    let told = daemon.work("2026-04-01T00:00:00Z").await;
    let subjects: Vec<&str> = told.iter().filter_map(|event| event["subject"].as_str()).collect();
    assert_eq!(subjects, ["3"], "a word that says nothing does not hide what is owed");
    daemon.tell("2026-07-01T00:00:00Z").await;
    assert_eq!(daemon.work("2026-07-01T00:00:00Z").await[0]["subject"], "2");
}

#[tokio::test]
async fn the_first_import_of_an_old_registry_does_not_flood() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path());
    for (id, due) in [
        ("long ago", "2026-03-05T00:00:00Z"),
        ("lately", "2026-03-30T00:00:00Z"),
        ("soon", "2026-04-02T00:00:00Z"),
        ("later", "2026-04-20T00:00:00Z"),
    ] {
        daemon.store(id, &row("new", due)).await;
    }
    daemon
        .store(
            "no status",
            &json!({ "since": "2026-03-01T00:00:00Z", "due": "2026-03-30T00:00:00Z" }),
        )
        .await;
    daemon.work("2026-04-01T00:00:00Z").await;
    daemon.tell("2026-04-01T00:00:00Z").await;
    let told = daemon.work("2026-04-01T00:00:00Z").await;
    let mut told: Vec<(&str, &str)> = told
        .iter()
        .filter_map(|event| Some((event["subject"].as_str()?, event["type"].as_str()?)))
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ("lately", "ru.priem.deadline.overdue.v1"),
            ("soon", "ru.priem.deadline.approaching.v1"),
        ]
    );
    daemon.clocks.observe(&daemon.metrics).unwrap();
    assert_eq!(daemon.metrics.deadlines_open.get(), 4);
}

#[tokio::test]
async fn a_restart_after_any_step_leaves_one_event() {
    const STEPS: usize = 6;
    let mut bodies = Vec::new();
    for restart_before in 0..=STEPS {
        let folder = tempfile::tempdir().unwrap();
        let mut daemon = Some(Daemon::start(folder.path()));
        let mut seen = Vec::new();
        for step in 0..STEPS {
            if step == restart_before
                && let Some(old) = daemon.take()
            {
                old.close().await;
                daemon = Some(Daemon::start(folder.path()));
            }
            let daemon = daemon.as_ref().expect("started");
            match step {
                0 => daemon.store("1", &row("new", "2026-03-31T00:00:00Z")).await,
                // Clocks are noted, and then the process dies before the item is settled.
                1 => {
                    for record in daemon.pending().await {
                        let watched = daemon.decide(&record, "2026-03-02T00:00:00Z").watched;
                        daemon.clocks.watch(watched).await.unwrap();
                    }
                }
                2 => drop(daemon.work("2026-03-02T00:00:00Z").await),
                3 => drop(daemon.tell("2026-04-01T00:00:00Z").await),
                // Published, and then the process dies before that is recorded.
                4 => {
                    for record in daemon.pending().await {
                        let publication = daemon.decide(&record, "2026-04-01T00:00:00Z");
                        seen.extend(publication.messages.iter().map(|message| body(&message.body)));
                    }
                }
                _ => {
                    daemon.tell("2026-04-01T00:00:01Z").await;
                    seen.extend(daemon.work("2026-04-02T00:00:00Z").await);
                }
            }
        }
        let daemon = daemon.take().expect("started");
        daemon.tell("2026-04-03T00:00:00Z").await;
        seen.extend(daemon.work("2026-04-03T00:00:00Z").await);
        assert_eq!(seen.len(), 2, "before and after the lost record: {restart_before}");
        assert_eq!(seen[0]["id"], seen[1]["id"]);
        assert_eq!(seen[0]["data"]["reminder"], seen[1]["data"]["reminder"]);
        bodies.push(seen[0]["id"].clone());
    }
    bodies.dedup();
    assert_eq!(
        bodies.len(),
        1,
        "the id does not depend on when the daemon was restarted"
    );
}

#[test]
fn only_the_two_events_are_about_deadlines() {
    let reminders = EventType::ALL.into_iter().filter(|event| event.is_reminder());
    assert!(reminders.eq([EventType::DeadlineApproaching, EventType::DeadlineOverdue]));
}

#[test]
fn settings_that_make_no_sense_name_their_key() {
    let wrong = DeadlineSettings {
        approaching_hours: 0,
        ..DeadlineSettings::default()
    };
    assert_eq!(wrong.validate().unwrap_err().0, "approaching_hours");
}
