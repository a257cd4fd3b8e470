//! Items handed to the publisher and not settled.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use parking_lot::Mutex;
use priem_sdk::contract::ConnectorId;

use super::parcel::Publication;
use crate::{
    journal::{DecisionRecord, Record},
    publish::Outgoing,
};

/// Bits of a token that number the messages of one item.
const MESSAGE_BITS: u32 = 16;

/// Items on their way, by [`item_of`] their tokens.
pub(super) type InFlight = Arc<Mutex<HashMap<u64, Flight>>>;

/// An item on its way.
pub(super) struct Flight {
    pub position: i64,
    pub seq: i64,
    pub connector: ConnectorId,
    pub received_at: Timestamp,
    pub occurred: Option<Timestamp>,
    /// Messages the publisher has not told of.
    pub left: usize,
    pub decisions: Vec<DecisionRecord>,
    pub parked: Option<String>,
}

/// Notes an item as on its way and puts its messages to the others.
pub(super) fn launch(in_flight: &InFlight, record: &Record, publication: Publication, messages: &mut Vec<Outgoing>) {
    let Publication {
        messages: own,
        decisions,
        watched: _,
        occurred,
    } = publication;
    let flight = Flight {
        position: record.position,
        seq: record.seq,
        connector: record.raw.connector.clone(),
        received_at: record.raw.received_at,
        occurred,
        left: own.len(),
        decisions,
        parked: None,
    };
    in_flight.lock().insert(item_of(token(record.position, 0)), flight);
    for (number, mut message) in own.into_iter().enumerate() {
        message.token = token(record.position, number);
        messages.push(message);
    }
}

/// A token names an item by its position and a message by its number in the item.
fn token(position: i64, number: usize) -> u64 {
    ((position as u64) << MESSAGE_BITS) | (number as u64 & ((1 << MESSAGE_BITS) - 1))
}

/// The item a token belongs to.
pub(super) fn item_of(token: u64) -> u64 {
    token >> MESSAGE_BITS
}

/// Which message of its item a token means.
pub(super) fn number_of(token: u64) -> usize {
    (token & ((1 << MESSAGE_BITS) - 1)) as usize
}
