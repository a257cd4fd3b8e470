//! Items handed to the publisher and not settled.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use parking_lot::Mutex;
use priem_sdk::contract::ConnectorId;

use super::{
    held_back::{HeldBack, PUBLISHED, QueuesInFlight, Room, Visit},
    parcel::Publication,
};
use crate::{
    journal::{DecisionRecord, End, Parked, Record, Settlement},
    publish::Outgoing,
};

/// Bits of a token that number the messages of one item.
const MESSAGE_BITS: u32 = 16;
/// Outcome of a decision whose message is on its way.
const IN_FLIGHT: &str = "in_flight";

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
    /// Of the messages that were handed over, in the order of their tokens.
    pub decisions: Vec<DecisionRecord>,
    pub parked: Option<Parked>,
    /// Other messages of the item wait in the journal for queues that refuse.
    pub aside: bool,
}

impl Flight {
    fn new(record: &Record, occurred: Option<Timestamp>) -> Self {
        Self {
            position: record.position,
            seq: record.seq,
            connector: record.raw.connector.clone(),
            received_at: record.raw.received_at,
            occurred,
            left: 0,
            decisions: Vec::new(),
            parked: None,
            aside: false,
        }
    }

    /// Adds a message on its way; gives its token.
    fn add(&mut self, mut decision: DecisionRecord) -> u64 {
        decision.outcome = IN_FLIGHT;
        self.decisions.push(decision);
        self.left += 1;
        token(self.position, self.decisions.len() - 1)
    }

    fn knows(&self, decision: &DecisionRecord) -> bool {
        let is_same = |known: &DecisionRecord| known.event_id == decision.event_id && known.queue == decision.queue;
        self.decisions.iter().any(is_same)
    }

    /// Its end, when everything is settled.
    pub fn settlement(self) -> Settlement {
        Settlement {
            position: self.position,
            seq: self.seq,
            end: End::Delivered {
                decisions: self.decisions,
                parked: self.parked,
            },
        }
    }
}

impl QueuesInFlight for InFlight {
    fn each(&self, see: &mut dyn FnMut(&str, Timestamp)) {
        for flight in self.lock().values() {
            for decision in flight.decisions.iter().filter(|decision| decision.outcome == IN_FLIGHT) {
                see(&decision.queue, flight.received_at);
            }
        }
    }
}

/// Notes an item as on its way and puts its messages to the others; those for which there is no room stay in the
/// journal.
pub(super) fn launch(
    in_flight: &InFlight,
    held_back: &HeldBack,
    record: &Record,
    publication: Publication,
    mut room: Option<&mut Room>,
    messages: &mut Vec<Outgoing>,
) {
    let mut flight = Flight::new(record, publication.occurred);
    flight.decisions.reserve_exact(publication.decisions.len());
    for (mut message, decision) in publication.messages.into_iter().zip(publication.decisions) {
        if room.as_mut().is_some_and(|room| !room.take(&decision.queue)) {
            flight.aside = true;
            held_back.leave(&decision.queue, record.position, record.raw.received_at);
            continue;
        }
        message.token = flight.add(decision);
        messages.push(message);
    }
    if flight.left > 0 || !flight.aside {
        in_flight.lock().insert(item_of(token(record.position, 0)), flight);
    }
}

/// What came of an item that was read again.
pub(super) enum Again {
    /// It is on its way, or what is left of it waits for other queues.
    Launched,
    /// There was no room for a message of the visited queue.
    NoRoom,
    /// Nothing of it is left to send.
    Ended(Settlement),
}

/// [`launch`] for an item read again, of which other messages may be out or on their way.
pub(super) fn launch_again(
    in_flight: &InFlight,
    held_back: &HeldBack,
    record: &Record,
    publication: Publication,
    (visit, room): (&Visit, &mut Room),
    messages: &mut Vec<Outgoing>,
) -> Again {
    let item = item_of(token(record.position, 0));
    let mut flights = in_flight.lock();
    let mut flight = flights.remove(&item).unwrap_or_else(|| {
        let mut flight = Flight::new(record, publication.occurred);
        let out = held_back.out_of(record.position, &publication.decisions);
        let out = publication.decisions.iter().zip(out).filter(|(_, out)| *out);
        flight.decisions = out.map(|(decision, _)| decision.clone()).collect();
        flight
    });
    flight.aside = false;
    let mut has_room = true;
    for (mut message, decision) in publication.messages.into_iter().zip(publication.decisions) {
        if flight.knows(&decision) {
            continue;
        }
        if !room.take(&decision.queue) {
            flight.aside = true;
            has_room &= decision.queue != visit.queue;
            continue;
        }
        message.token = flight.add(decision);
        messages.push(message);
    }
    if flight.left > 0 {
        flights.insert(item, flight);
    } else if flight.aside {
        held_back.note_partly(flight.position, &flight.decisions);
    } else {
        // Other rules than at first: the message for the queue is gone.
        return Again::Ended(flight.settlement());
    }
    if has_room { Again::Launched } else { Again::NoRoom }
}

/// An item read again has nothing to publish by now; gives its end, unless messages of it are still on their way.
pub(super) fn end_again(in_flight: &InFlight, record: &Record, end: End) -> Option<Settlement> {
    if let Some(flight) = in_flight.lock().get_mut(&item_of(token(record.position, 0))) {
        flight.aside = false;
        return None;
    }
    Some(Settlement {
        position: record.position,
        seq: record.seq,
        end,
    })
}

/// Notes what became of a message; `parked` says why it is not out. Gives the flight when it was the last one.
pub(super) fn settle_message(flights: &mut HashMap<u64, Flight>, token: u64, parked: Option<Parked>) -> Option<Flight> {
    let item = item_of(token);
    let flight = flights.get_mut(&item)?;
    if let Some(decision) = flight.decisions.get_mut(number_of(token)) {
        decision.outcome = if parked.is_some() { "parked" } else { PUBLISHED };
    }
    if parked.is_some() {
        flight.parked = parked;
    }
    flight.left -= 1;
    if flight.left == 0 { flights.remove(&item) } else { None }
}

/// The queue of a message on its way.
pub(super) fn queue_of(flights: &HashMap<u64, Flight>, token: u64) -> Option<&str> {
    let decision = flights.get(&item_of(token))?.decisions.get(number_of(token))?;
    Some(&decision.queue)
}

/// A token names an item by its position and a message by its number in the item.
fn token(position: i64, number: usize) -> u64 {
    ((position as u64) << MESSAGE_BITS) | (number as u64 & ((1 << MESSAGE_BITS) - 1))
}

/// The item a token belongs to.
fn item_of(token: u64) -> u64 {
    token >> MESSAGE_BITS
}

/// Which message of its item a token means.
fn number_of(token: u64) -> usize {
    (token & ((1 << MESSAGE_BITS) - 1)) as usize
}
