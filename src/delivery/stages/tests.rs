//! The list is the order, and an item that makes a stage panic pays alone.

use std::{collections::HashMap, sync::Arc};

use futures::FutureExt;
use priem_sdk::{
    CheckReport, Connector, ConnectorError, Cx, EventType, Message, MessageData, NormalizeError, RawItem, Stream,
    contract::ConnectorId,
    message::{Kind, Regime},
};

use super::*;
use crate::{
    delivery::parcel::Processed,
    journal::{End, Record},
    telemetry::Metrics,
};
use priem_rules::RuleSet;

/// A message for every item.
struct Plain;

#[async_trait::async_trait]
impl Connector for Plain {
    fn streams(&self) -> Vec<Stream> {
        Vec::new()
    }

    async fn check(&self, _: &Cx) -> Result<CheckReport, ConnectorError> {
        Ok(CheckReport::default())
    }

    fn normalize(&self, raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
        let data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
        Ok(vec![raw.message(EventType::Received, data)])
    }
}

fn processor() -> Processor {
    let plain: Arc<dyn Connector> = Arc::new(Plain);
    let connectors = HashMap::from([(ConnectorId::new("bot"), plain)]);
    Processor::new(Arc::new(connectors), Arc::new(RuleSet::starter()), Metrics::new())
}

fn parcel(id: &str) -> Parcel {
    Parcel::new(Arc::new(Record {
        position: 1,
        seq: 1,
        stream: "updates".into(),
        conversation: None,
        raw: RawItem {
            connector: ConnectorId::new("bot"),
            external_id: id.into(),
            revision: "0".into(),
            ordinal: 0,
            format: "update".into(),
            body: bytes::Bytes::new(),
            received_at: Timestamp::UNIX_EPOCH,
        },
    }))
}

fn batch(ids: &[&str]) -> Batch {
    Batch {
        parcels: ids.iter().map(|id| parcel(id)).collect(),
        now: Timestamp::UNIX_EPOCH,
        is_enriched: false,
    }
}

/// Ids of the items that go on, and reasons of those that don't.
fn ends(parcels: &[Parcel]) -> (Vec<&str>, Vec<String>) {
    let (mut open, mut ended) = (Vec::new(), Vec::new());
    for parcel in parcels {
        match &parcel.end {
            None => open.push(parcel.record.raw.external_id.as_str()),
            Some(End::Quarantined { reason, why }) => ended.push(format!("{reason}: {why}")),
            Some(other) => panic!("{other:?}"),
        }
    }
    (open, ended)
}

#[test]
fn the_order_is_lawful() {
    let order = [
        "normalise",
        "enrich",
        "link",
        "follow",
        "route",
        "attachments",
        "deadlines",
        "privacy",
        "encode",
    ];
    assert_eq!(names().collect::<Vec<_>>(), order);
    assert_eq!(together().last().map(|stage| stage.name), Some("follow"));
    assert_eq!(rest().first().map(|stage| stage.name), Some("route"));
}

#[tokio::test]
async fn an_item_goes_the_whole_way() {
    let processor = processor();
    let mut batch = batch(&["1"]);
    gather(&processor, &mut batch).await;
    let mut parcel = batch.parcels.pop().expect("it is not looked up");
    finish(&processor, &mut parcel, batch.now);
    let (_, Processed::Publish(publication)) = parcel.done() else {
        panic!("it is published")
    };
    assert_eq!((publication.messages.len(), publication.decisions.len()), (1, 1));
    let Processed::Publish(alone) = processor.process(&self::parcel("1").record, batch.now) else {
        panic!("it is published")
    };
    assert_eq!(alone.messages[0].body, publication.messages[0].body);
}

/// A reminder that says of no message where it went.
struct Lost;

#[async_trait::async_trait]
impl Connector for Lost {
    fn streams(&self) -> Vec<Stream> {
        Vec::new()
    }

    async fn check(&self, _: &Cx) -> Result<CheckReport, ConnectorError> {
        Ok(CheckReport::default())
    }

    fn normalize(&self, raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
        let data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
        Ok(vec![raw.message(EventType::DeadlineOverdue, data)])
    }
}

#[test]
fn what_goes_to_nobody_is_settled_at_once() {
    let lost: Arc<dyn Connector> = Arc::new(Lost);
    let connectors = HashMap::from([(ConnectorId::new("bot"), lost)]);
    let processor = Processor::new(Arc::new(connectors), Arc::new(RuleSet::starter()), Metrics::new());
    let processed = processor.process(&parcel("1").record, Timestamp::UNIX_EPOCH);
    let Processed::End(End::Delivered { decisions, parked }) = processed else {
        panic!("nobody would tell that nothing is published");
    };
    assert_eq!((decisions.len(), decisions[0].outcome, parked), (1, "ignored", None));
}

fn poison(_: &Processor, parcel: &mut Parcel, _: Timestamp) {
    assert_ne!(parcel.record.raw.external_id, "2", "asked to");
}

#[test]
fn an_item_that_makes_a_stage_panic_is_quarantined() {
    let processor = processor();
    let stages = [
        Stage::each("normalise", normalise::run),
        Stage::each("poison", poison),
        Stage::each("route", route::run),
    ];
    let mut parcels = batch(&["1", "2", "3"]).parcels;
    for parcel in &mut parcels {
        walk(&stages, &processor, parcel, Timestamp::UNIX_EPOCH);
    }
    let (open, ended) = ends(&parcels);
    assert_eq!(open, ["1", "3"]);
    assert_eq!(ended, ["panic: stage poison panicked; please report it as a bug"]);
    assert!(parcels[1].letters[0].routes.is_empty(), "no later stage saw it");
    assert_eq!(
        processor.metrics.quarantined.with_label_values(&["bot", "panic"]).get(),
        1
    );
}

#[tokio::test]
async fn a_batch_pays_for_one_item_only() {
    let processor = processor();
    let mut batch = batch(&["1", "2", "3"]);
    let stage = Stage::together("ask", |processor, batch| {
        async move {
            tokio::task::yield_now().await;
            for parcel in &mut batch.parcels {
                poison(processor, parcel, batch.now);
            }
        }
        .boxed()
    });
    let Work::Together(work) = stage.work else {
        unreachable!()
    };
    at_once(stage.name, work, &processor, &mut batch).await;
    let (open, ended) = ends(&batch.parcels);
    assert_eq!(open, ["1", "3"]);
    assert_eq!(ended, ["panic: stage ask panicked; please report it as a bug"]);
}
