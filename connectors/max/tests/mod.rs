//! Tests of the connector: golden files, hostile input, and life against the simulated Bot API server.

mod fixtures;

use priem_sdk::{EventType, Item, RawItem};

use crate::testing;

fn raw(item: Item) -> RawItem {
    testing::raw("max-main", item)
}
