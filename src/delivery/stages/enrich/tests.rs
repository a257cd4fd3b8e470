//! Look-ups that work, hang, panic and cheat, in a lane of their own.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use jiff::Timestamp;
use priem_sdk::{
    CheckReport, ConnectorError, MessageData, NormalizeError, RawItem, Stream,
    message::{Kind, Regime},
};

use super::*;
use priem_rules::RuleSet;

use crate::{delivery::stages::normalise, journal::Record};

/// Fills in a name for every message, unless told otherwise.
#[derive(Default)]
struct Names {
    looks_up: bool,
    hangs: bool,
    panics: bool,
    cheats: bool,
    calls: AtomicUsize,
}

#[async_trait::async_trait]
impl Connector for Names {
    fn streams(&self) -> Vec<Stream> {
        Vec::new()
    }

    async fn check(&self, _: &Cx) -> Result<CheckReport, ConnectorError> {
        Ok(CheckReport::default())
    }

    fn normalize(&self, raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
        match raw.external_id.as_str() {
            "bad" => Err(NormalizeError::new("bad", "bad")),
            "none" => Ok(Vec::new()),
            _ => Ok(vec![
                raw.message(EventType::Received, data()),
                raw.message(EventType::Updated, data()),
            ]),
        }
    }

    fn enriches(&self) -> bool {
        self.looks_up
    }

    async fn enrich(&self, _: &Cx, messages: &mut [Message]) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        messages[0].data.author.name = Some("first".into());
        assert!(!self.panics, "asked to");
        if self.hangs {
            return std::future::pending().await;
        }
        if self.cheats {
            messages.reverse();
        }
        for message in messages {
            message.data.author.name = Some("known".into());
        }
    }
}

fn data() -> MessageData {
    MessageData::new("vk", Kind::Comment, Regime::OpenSourceMessage)
}

fn record(position: i64, connector: &str, external_id: &str) -> Arc<Record> {
    Arc::new(Record {
        position,
        seq: position,
        stream: "updates".into(),
        conversation: None,
        raw: RawItem {
            connector: ConnectorId::new(connector),
            external_id: external_id.into(),
            revision: "0".into(),
            ordinal: 0,
            format: "names".into(),
            body: bytes::Bytes::new(),
            received_at: Timestamp::UNIX_EPOCH,
        },
    })
}

fn connectors(names: &Arc<Names>) -> Arc<Connectors> {
    let connector = Arc::clone(names) as Arc<dyn Connector>;
    Arc::new(HashMap::from([(ConnectorId::new("vk"), connector)]))
}

fn processor(names: &Arc<Names>) -> Processor {
    Processor::new(connectors(names), Arc::new(RuleSet::starter()), Metrics::new())
}

fn lane(names: &Arc<Names>) -> Lane {
    Lane {
        cx: Cx {
            id: ConnectorId::new("vk"),
            take_over: false,
        },
        connector: Arc::clone(names) as Arc<dyn Connector>,
        metrics: Metrics::new(),
        limit: Duration::from_millis(20),
        circuit: Circuit::default(),
    }
}

/// Items as the first stage leaves them.
fn normalised(names: &Arc<Names>, ids: &[&str]) -> Vec<Parcel> {
    let processor = processor(names);
    let records = ids.iter().zip(0..).map(|(id, position)| record(position, "vk", id));
    let mut parcels: Vec<Parcel> = records.map(Parcel::new).collect();
    for parcel in &mut parcels {
        normalise::run(&processor, parcel, Timestamp::UNIX_EPOCH);
    }
    parcels
}

/// Names by item.
fn names(parcels: &[Parcel]) -> Vec<Vec<Option<&str>>> {
    let mut names = Vec::new();
    for parcel in parcels {
        let letters = parcel.letters.iter();
        names.push(
            letters
                .map(|letter| letter.message.data.author.name.as_deref())
                .collect(),
        );
    }
    names
}

#[tokio::test]
async fn every_item_comes_back_with_its_own_messages() {
    let source = Arc::new(Names::default());
    let mut parcels = normalised(&source, &["1", "bad", "none", "2"]);
    lane(&source).look_up(&mut parcels).await;
    let positions: Vec<i64> = parcels.iter().map(|parcel| parcel.record.position).collect();
    assert_eq!(positions, [0, 1, 2, 3]);
    let two = || vec![Some("known"), Some("known")];
    assert_eq!(names(&parcels), [two(), vec![], vec![], two()]);
    for parcel in &parcels {
        for letter in &parcel.letters {
            assert_eq!(letter.message.data.external.id, parcel.record.raw.external_id);
        }
    }
    assert_eq!(source.calls.load(Ordering::SeqCst), 1, "one call for the batch");
}

#[tokio::test]
async fn a_look_up_that_hangs_costs_its_limit_once_and_then_nothing() {
    let source = Arc::new(Names {
        hangs: true,
        ..Names::default()
    });
    let mut lane = lane(&source);
    let mut first = normalised(&source, &["1", "2"]);
    lane.look_up(&mut first).await;
    assert_eq!(
        names(&first),
        [[Some("first"), None], [None, None]],
        "nothing is lost, and what came in time stays"
    );
    for _ in 0..3 {
        let mut next = normalised(&source, &["1", "2"]);
        lane.look_up(&mut next).await;
        assert_eq!(names(&next), [[None, None], [None, None]]);
    }
    assert_eq!(source.calls.load(Ordering::SeqCst), 1);
    let counted = |result| lane.metrics.enrichments.with_label_values(&["vk", result]).get();
    assert_eq!((counted("timeout"), counted("skipped"), counted("ok")), (1, 3, 0));
}

#[tokio::test]
async fn a_panic_costs_nobody_a_message() {
    let source = Arc::new(Names {
        panics: true,
        ..Names::default()
    });
    let mut lane = lane(&source);
    let mut parcels = normalised(&source, &["1", "2"]);
    lane.look_up(&mut parcels).await;
    assert_eq!(names(&parcels).concat().len(), 4);
    assert_eq!(lane.metrics.enrichments.with_label_values(&["vk", "panic"]).get(), 1);
}

#[tokio::test]
async fn messages_that_changed_places_are_normalised_anew() {
    let source = Arc::new(Names {
        cheats: true,
        ..Names::default()
    });
    let mut parcels = normalised(&source, &["1", "2"]);
    lane(&source).look_up(&mut parcels).await;
    let processor = processor(&source);
    for parcel in &mut parcels {
        normalise::run(&processor, parcel, Timestamp::UNIX_EPOCH);
    }
    assert_eq!(names(&parcels), [[None, None], [None, None]]);
    let ids = |parcel: &Parcel| -> BTreeSet<String> {
        let letters = parcel.letters.iter();
        letters.map(|letter| letter.message.data.external.id.clone()).collect()
    };
    assert_eq!(ids(&parcels[1]), BTreeSet::from(["2".to_owned()]));
}

#[test]
fn the_pause_without_look_ups_grows_and_ends() {
    let mut circuit = Circuit::default();
    assert!(!circuit.is_open());
    let pauses: Vec<u64> = (0..9).map(|_| circuit.open().as_secs()).collect();
    assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 300]);
    assert!(circuit.is_open());
    circuit.close();
    assert_eq!((circuit.is_open(), circuit.open().as_secs()), (false, 2));
}

#[tokio::test]
async fn others_do_not_wait_for_a_lane() {
    let connectors = HashMap::from([
        (
            ConnectorId::new("vk"),
            Arc::new(Names {
                looks_up: true,
                hangs: true,
                ..Names::default()
            }) as Arc<dyn Connector>,
        ),
        (ConnectorId::new("tg"), Arc::new(Names::default()) as Arc<dyn Connector>),
    ]);
    let (lanes, mut looked_up, parts) = open(&Arc::new(connectors), &Metrics::new());
    for part in parts {
        tokio::spawn(part.work);
    }
    let mixed = [record(0, "vk", "1"), record(1, "tg", "2"), record(2, "vk", "3")];
    let mut parcels: Vec<Parcel> = mixed.into_iter().map(Parcel::new).collect();
    let positions = |parcels: &[Parcel]| -> Vec<i64> { parcels.iter().map(|parcel| parcel.record.position).collect() };
    lanes.take(&mut parcels).await;
    assert_eq!(positions(&parcels), [1]);
    assert_eq!(positions(&looked_up.next().await), [0, 2]);
}
