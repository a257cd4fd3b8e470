//! Look-ups that work, hang, panic and cheat, in a lane of their own.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use jiff::Timestamp;
use priem_sdk::{
    CheckReport, ConnectorError, MessageData, RawItem, Stream,
    message::{Kind, Regime},
};

use super::*;

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

fn lane(names: Names) -> (Lane, Arc<Names>) {
    let names = Arc::new(names);
    let connectors = HashMap::from([(ConnectorId::new("vk"), Arc::clone(&names) as Arc<dyn Connector>)]);
    let lane = Lane {
        cx: Cx {
            id: ConnectorId::new("vk"),
            take_over: false,
        },
        connector: Arc::clone(&names) as Arc<dyn Connector>,
        connectors: Arc::new(connectors),
        metrics: Metrics::new(),
        limit: Duration::from_millis(20),
        circuit: Circuit::default(),
    };
    (lane, names)
}

fn four() -> Vec<Arc<Record>> {
    let ids = ["1", "bad", "none", "2"];
    ids.into_iter()
        .zip(0..)
        .map(|(id, position)| record(position, "vk", id))
        .collect()
}

/// Names by record; `None` for what is quarantined.
fn names(batch: &[Normalized]) -> Vec<Option<Vec<Option<&str>>>> {
    batch
        .iter()
        .map(|(_, said)| {
            let messages = said.as_ref().ok()?.iter();
            Some(messages.map(|message| message.data.author.name.as_deref()).collect())
        })
        .collect()
}

#[tokio::test]
async fn every_record_comes_back_with_its_own_messages() {
    let (mut lane, names_connector) = lane(Names::default());
    let batch = lane.look_up(four()).await;
    let positions: Vec<i64> = batch.iter().map(|(record, _)| record.position).collect();
    assert_eq!(positions, [0, 1, 2, 3]);
    let two = || Some(vec![Some("known"), Some("known")]);
    assert_eq!(names(&batch), [two(), None, Some(vec![]), two()]);
    for (record, said) in &batch {
        for message in said.iter().flatten() {
            assert_eq!(message.data.external.id, record.raw.external_id);
        }
    }
    assert_eq!(
        names_connector.calls.load(Ordering::SeqCst),
        1,
        "one call for the batch"
    );
}

#[tokio::test]
async fn a_look_up_that_hangs_costs_its_limit_once_and_then_nothing() {
    let (mut lane, names_connector) = lane(Names {
        hangs: true,
        ..Names::default()
    });
    let first = lane.look_up(four()).await;
    let filled = |batch: &[Normalized]| batch.iter().flat_map(|(_, said)| said.iter().flatten()).count();
    assert_eq!(filled(&first), 4, "nothing is lost");
    assert_eq!(
        names(&first)[0],
        Some(vec![Some("first"), None]),
        "what came in time stays"
    );
    for _ in 0..3 {
        assert_eq!(filled(&lane.look_up(four()).await), 4);
    }
    assert_eq!(names_connector.calls.load(Ordering::SeqCst), 1);
    let counted = |result| lane.metrics.enrichments.with_label_values(&["vk", result]).get();
    assert_eq!((counted("timeout"), counted("skipped"), counted("ok")), (1, 3, 0));
}

#[tokio::test]
async fn a_panic_costs_nobody_a_message() {
    let (mut lane, _) = lane(Names {
        panics: true,
        ..Names::default()
    });
    let batch = lane.look_up(four()).await;
    assert_eq!(batch.iter().flat_map(|(_, said)| said.iter().flatten()).count(), 4);
    assert_eq!(lane.metrics.enrichments.with_label_values(&["vk", "panic"]).get(), 1);
}

#[tokio::test]
async fn messages_that_changed_places_are_normalised_anew() {
    let (mut lane, _) = lane(Names {
        cheats: true,
        ..Names::default()
    });
    let batch = lane.look_up(four()).await;
    assert_eq!(names(&batch)[0], Some(vec![None, None]));
    let ids: BTreeSet<&str> = batch[3]
        .1
        .iter()
        .flatten()
        .map(|message| message.data.external.id.as_str())
        .collect();
    assert_eq!(ids, BTreeSet::from(["2"]));
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
    let mut enricher = Enricher::start(&Arc::new(connectors), &Metrics::new());
    let mixed = vec![record(0, "vk", "1"), record(1, "tg", "2"), record(2, "vk", "3")];
    let others = enricher.hand_over(mixed).await;
    assert_eq!(others.iter().map(|record| record.position).collect::<Vec<_>>(), [1]);
    let later = enricher.ready().await;
    assert_eq!(
        later.iter().map(|(record, _)| record.position).collect::<Vec<_>>(),
        [0, 2]
    );
}
