//! Messages sent on one channel and not yet settled, and whose return is whose.
//!
//! lapin hands a *returned* message to whichever confirmation it completes next, which need not be the confirmation of
//! that message: with `multiple` acknowledgements, or when an earlier message is confirmed between the return and its
//! acknowledgement, a routable message would look returned and an unroutable one delivered. So returns are matched
//! here by message id and routing key. What we may rely on:
//!
//! - the broker sends a message's return before its acknowledgement;
//! - lapin keeps returns in a queue and gives the oldest to each confirmation it completes; a confirmation without a
//!   return therefore proves that the queue was empty at that moment;
//! - a pass over the channel sees every confirmation completed before any confirmation of that pass.
//!
//! Hence a message whose own confirmation came *without* a return is settled at the end of the pass, when all returns
//! handed out before are known; one whose confirmation carried *somebody else's* return waits until a later pass shows
//! an empty queue, or until nothing is outstanding.

use std::{collections::VecDeque, time::Instant};

use uuid::Uuid;

use crate::publish::Outgoing;

/// A message with its place in the order in which its lane got it; it keeps that place however often it is sent.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) arrival: u64,
    pub(super) outgoing: Outgoing,
}

/// What the broker said about one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Ack,
    Nack,
}

/// A message the broker had no queue for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Return {
    pub(super) message_id: Option<Uuid>,
    pub(super) routing_key: String,
    /// Reply code and text.
    pub(super) reason: String,
}

/// How a flight ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Landing {
    Confirmed,
    Returned(String),
    Nacked,
}

/// One message on its way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) letter: Letter,
    pub(super) sent_at: Instant,
    answer: Option<Answer>,
    /// Pass in which the answer arrived together with a return, so that our own return may still be queued.
    doubtful_since: Option<u64>,
    returned: Option<String>,
    landed: bool,
}

/// The messages of one channel, in the order they were sent.
#[derive(Debug, Default)]
pub(super) struct Flights {
    flights: VecDeque<Flight>,
    /// Number of the front flight.
    first: u64,
    unanswered: usize,
    aloft: usize,
    /// Numbers of flights answered and not landed.
    answered: Vec<u64>,
    pass: u64,
    queue_seen_empty: bool,
}

impl Flights {
    /// How many are not settled.
    pub(super) fn aloft(&self) -> usize {
        self.aloft
    }

    /// When the message that waits longest was sent.
    pub(super) fn oldest(&self) -> Option<Instant> {
        // Landed flights leave the front at once.
        self.flights.front().map(|flight| flight.sent_at)
    }

    /// Notes a message as sent; gives its number.
    pub(super) fn depart(&mut self, letter: Letter, now: Instant) -> u64 {
        let flight = Flight {
            letter,
            sent_at: now,
            answer: None,
            doubtful_since: None,
            returned: None,
            landed: false,
        };
        self.flights.push_back(flight);
        self.unanswered += 1;
        self.aloft += 1;
        self.first + self.flights.len() as u64 - 1
    }

    /// Notes the broker's answer to message `number` and the return that lapin attached to it.
    pub(super) fn answer(&mut self, number: u64, answer: Answer, attached: Option<Return>) {
        let doubtful = attached.is_some();
        if let Some(attached) = attached {
            self.apply(attached);
        }
        self.queue_seen_empty |= !doubtful;
        let pass = self.pass;
        let flight = self.flight_mut(number);
        flight.answer = Some(answer);
        flight.doubtful_since = doubtful.then_some(pass);
        self.answered.push(number);
        self.unanswered -= 1;
    }

    /// Ends a pass: hands every message whose fate is now certain to `land`.
    pub(super) fn finish_pass(&mut self, mut land: impl FnMut(Landing, &Flight)) {
        let (pass, queue_seen_empty, nothing_outstanding) = (self.pass, self.queue_seen_empty, self.unanswered == 0);
        let mut doubtful = Vec::new();
        for number in std::mem::take(&mut self.answered) {
            let flight = self.flight_mut(number);
            let certain = flight.returned.is_some()
                || nothing_outstanding
                || flight
                    .doubtful_since
                    .is_none_or(|since| since < pass && queue_seen_empty);
            if !certain {
                doubtful.push(number);
                continue;
            }
            let landing = match (flight.returned.take(), flight.answer) {
                (Some(reason), _) => Landing::Returned(reason),
                (None, Some(Answer::Nack)) => Landing::Nacked,
                (None, _) => Landing::Confirmed,
            };
            flight.landed = true;
            land(landing, flight);
            self.aloft -= 1;
        }
        self.answered = doubtful;
        self.pass += 1;
        self.queue_seen_empty = false;
        while self.flights.front().is_some_and(|flight| flight.landed) {
            self.flights.pop_front();
            self.first += 1;
        }
    }

    /// Everything not settled, in the order it was sent, for sending it again on another channel.
    pub(super) fn abandon(&mut self) -> VecDeque<Letter> {
        let flights = std::mem::take(self).flights;
        flights
            .into_iter()
            .filter(|flight| !flight.landed)
            .map(|flight| flight.letter)
            .collect()
    }

    /// Conversations of the messages for a queue that are in flight, one entry a message.
    pub(super) fn conversations(&self, queue: &str) -> Vec<u64> {
        let aloft = self.flights.iter().filter(|flight| !flight.landed);
        aloft
            .filter(|flight| flight.letter.outgoing.routing_key == queue)
            .map(|flight| flight.letter.outgoing.order_key)
            .collect()
    }

    fn flight_mut(&mut self, number: u64) -> &mut Flight {
        let index = usize::try_from(number - self.first).expect("a channel's window fits into memory");
        &mut self.flights[index]
    }

    fn apply(&mut self, attached: Return) {
        let owner = self.flights.iter_mut().find(|flight| {
            !flight.landed
                && flight.returned.is_none()
                && flight.letter.outgoing.routing_key == attached.routing_key
                && Some(flight.letter.outgoing.event_id) == attached.message_id
        });
        match owner {
            Some(flight) => flight.returned = Some(attached.reason),
            // Can't happen with a broker that keeps to the protocol; the message was confirmed as well, so it would
            // count as published.
            None => tracing::error!(message_id = ?attached.message_id, "the broker returned a message not in flight"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn letter(token: u64) -> Letter {
        let outgoing = Outgoing {
            token,
            event_id: Uuid::from_u128(u128::from(token)),
            event_type: "t",
            order_key: 0,
            routing_key: "k".into(),
            priority: 0,
            timestamp: 0,
            received_at: jiff::Timestamp::UNIX_EPOCH,
            headers: Vec::new(),
            body: Bytes::new(),
        };
        Letter {
            arrival: token,
            outgoing,
        }
    }

    fn return_of(token: u64) -> Return {
        Return {
            message_id: Some(Uuid::from_u128(u128::from(token))),
            routing_key: "k".into(),
            reason: "312 NO_ROUTE".into(),
        }
    }

    /// Ends a pass and notes who landed how.
    fn land(flights: &mut Flights, landed: &mut BTreeMap<u64, Landing>) {
        flights.finish_pass(|landing, flight| {
            let before = landed.insert(flight.letter.outgoing.token, landing);
            assert_eq!(before, None, "message {} lands twice", flight.letter.arrival);
        });
    }

    #[test]
    fn a_return_attached_to_a_neighbour_finds_its_owner() {
        let (mut flights, mut landed) = (Flights::default(), BTreeMap::new());
        for token in 0..3 {
            flights.depart(letter(token), Instant::now());
        }
        // The return of 1 rides on the acknowledgement of 0; then 1 itself is acknowledged.
        flights.answer(0, Answer::Ack, Some(return_of(1)));
        land(&mut flights, &mut landed);
        assert_eq!(landed, BTreeMap::new(), "0 may have been returned as well");
        flights.answer(1, Answer::Ack, None);
        land(&mut flights, &mut landed);
        assert_eq!(landed[&0], Landing::Confirmed);
        assert_eq!(landed[&1], Landing::Returned("312 NO_ROUTE".into()));
        assert_eq!(flights.aloft(), 1);
        let again: Vec<_> = flights
            .abandon()
            .into_iter()
            .map(|letter| letter.outgoing.token)
            .collect();
        assert_eq!(again, [2]);
    }

    /// What the broker does with one message.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Fate {
        Routed,
        Unroutable,
        Refused,
    }

    fn fates() -> impl Strategy<Value = Vec<Fate>> {
        let fate = prop_oneof![4 => Just(Fate::Routed), 3 => Just(Fate::Unroutable), 1 => Just(Fate::Refused)];
        prop::collection::vec(fate, 1..60)
    }

    proptest! {
        /// A model of broker and lapin: returns come at once, answers later and out of order, one by one or for many
        /// at a time; lapin attaches the oldest return to whatever it completes; we look after any number of them.
        #[test]
        fn every_message_lands_once_as_the_broker_decided(fates in fates(), seed in any::<u64>()) {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut flights, mut landed) = (Flights::default(), BTreeMap::new());
            let mut queue: VecDeque<Return> = VecDeque::new();
            let mut waiting: Vec<u64> = Vec::new();
            let mut sent = fates.iter().enumerate();
            loop {
                match sent.next() {
                    Some((token, fate)) => {
                        let token = token as u64;
                        prop_assert_eq!(flights.depart(letter(token), Instant::now()), token);
                        waiting.push(token);
                        if *fate == Fate::Unroutable {
                            queue.push_back(return_of(token));
                        }
                    }
                    None if waiting.is_empty() => break,
                    None => {}
                }
                if !waiting.is_empty() && random.bool() {
                    // lapin completes a `multiple` acknowledgement in no order at all.
                    let many = random.usize(1..=waiting.len().min(8));
                    let mut batch: Vec<_> = waiting.drain(..many).collect();
                    random.shuffle(&mut batch);
                    let mut completed = Vec::new();
                    for token in batch {
                        completed.push((token, queue.pop_front()));
                    }
                    // We may see the confirmations of one pass in any order.
                    random.shuffle(&mut completed);
                    for (token, attached) in completed {
                        let refused = fates[token as usize] == Fate::Refused;
                        flights.answer(token, if refused { Answer::Nack } else { Answer::Ack }, attached);
                    }
                    if random.bool() {
                        land(&mut flights, &mut landed);
                    }
                }
            }
            land(&mut flights, &mut landed);
            prop_assert_eq!(flights.aloft(), 0);
            for (token, fate) in fates.iter().enumerate() {
                let expected = match fate {
                    Fate::Routed => Landing::Confirmed,
                    Fate::Unroutable => Landing::Returned("312 NO_ROUTE".into()),
                    Fate::Refused => Landing::Nacked,
                };
                prop_assert_eq!(landed.get(&(token as u64)), Some(&expected), "message {}", token);
            }
        }
    }
}
