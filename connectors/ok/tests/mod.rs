//! Tests of the connector: golden files, hostile input, and life against the simulated platform.

mod fixtures;

use jiff::Timestamp;
use priem_sdk::{Item, RawItem, contract::ConnectorId};

fn id() -> ConnectorId {
    ConnectorId::new("ok-groups")
}

fn raw(item: Item) -> RawItem {
    RawItem {
        connector: id(),
        external_id: item.external_id,
        revision: item.revision.unwrap_or_else(|| "c0123456789abcdef".into()),
        ordinal: 0,
        format: item.format.to_owned(),
        body: item.body,
        received_at: Timestamp::from_second(1_788_000_900).expect("instant"),
    }
}
