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
//!
//! Messages of a queue that does not answer are *set aside*: they stay in flight and take no room of the others. They
//! may even stay on a channel that is used for nothing else any more. The broker looks at the messages of a channel one
//! after the other and confirms a returned one together with those around it; so what is set aside and was left
//! unanswered while later ones were answered has no return to come.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::publish::Outgoing;

/// A message without an answer for this long, while later ones have theirs, is in a queue: it has no return to come.
const RETURNED_BY: Duration = Duration::from_secs(1);

/// A message with its place in the order in which its lane got it; it keeps that place however often it is sent.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) arrival: u64,
    pub(super) outgoing: Outgoing,
}

/// The confirm of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirm {
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

/// What the broker did with a message, as its confirm and its return tell together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BrokerAnswer {
    Confirmed,
    Returned(String),
    Nacked,
}

/// One message on its way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) letter: Letter,
    pub(super) sent_at: Instant,
    confirm: Option<Confirm>,
    /// Pass in which the answer arrived together with a return, so that our own return may still be queued.
    doubtful_since: Option<u64>,
    returned: Option<String>,
    /// It is on the channel in use, not on another one.
    is_here: bool,
}

impl Flight {
    fn new(letter: Letter, sent_at: Instant, is_here: bool) -> Self {
        Self {
            letter,
            sent_at,
            confirm: None,
            doubtful_since: None,
            returned: None,
            is_here,
        }
    }
}

/// The messages of one channel, in the order they were sent.
#[derive(Debug, Default)]
pub(super) struct Flights {
    /// Absent: settled or set aside. The front is always there.
    flights: VecDeque<Option<Flight>>,
    /// Number of the front flight.
    first: u64,
    /// Set aside, by number.
    aside: BTreeMap<u64, Flight>,
    /// Without an answer and not set aside.
    unanswered: usize,
    /// Neither settled nor set aside.
    in_window: usize,
    /// Numbers of flights answered and not settled.
    answered: Vec<u64>,
    /// Greatest number settled on the channel in use.
    settled_up_to: Option<u64>,
    pass: u64,
    queue_seen_empty: bool,
}

impl Flights {
    /// How many take room: neither settled nor set aside.
    pub(super) fn in_window(&self) -> usize {
        self.in_window
    }

    /// How many are set aside.
    pub(super) fn aside(&self) -> usize {
        self.aside.len()
    }

    /// How many of them are on the channel in use.
    pub(super) fn aside_here(&self) -> usize {
        self.aside.values().filter(|flight| flight.is_here).count()
    }

    /// When the message that waits longest was sent, but for those set aside.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.iter().next().map(|flight| flight.sent_at)
    }

    /// The queue of the one without an answer that waits longest, and since when, but for those set aside.
    pub(super) fn oldest_unanswered(&self) -> Option<(&str, Instant)> {
        let flight = self.iter().find(|flight| flight.confirm.is_none())?;
        Some((&flight.letter.outgoing.routing_key, flight.sent_at))
    }

    /// Queues of the messages without an answer on channels of their own, and since when.
    pub(super) fn apart_unanswered(&self) -> Vec<(String, Instant)> {
        let apart = self
            .aside
            .values()
            .filter(|flight| !flight.is_here && flight.confirm.is_none());
        apart
            .map(|flight| (flight.letter.outgoing.routing_key.clone(), flight.sent_at))
            .collect()
    }

    /// How many messages later than it the last one confirmed on the channel is.
    pub(super) fn overtaken_by(&self) -> u64 {
        let oldest = self.flights.iter().zip(self.first..);
        let mut oldest = oldest.filter(|(flight, _)| flight.as_ref().is_some_and(|flight| flight.confirm.is_none()));
        let Some((_, number)) = oldest.next() else { return 0 };
        self.settled_up_to.map_or(0, |settled| settled.saturating_sub(number))
    }

    /// Whether everything without an answer that takes room is for one queue.
    pub(super) fn is_for_one_queue(&self) -> bool {
        let mut queues = self.iter().filter(|flight| flight.confirm.is_none());
        let first = queues.next().map(|flight| &flight.letter.outgoing.routing_key);
        queues.all(|flight| Some(&flight.letter.outgoing.routing_key) == first)
    }

    /// The only message that takes room.
    pub(super) fn alone(&self) -> Option<&Letter> {
        let mut flights = self.iter();
        let first = flights.next()?;
        flights.next().is_none().then_some(&first.letter)
    }

    /// Notes a message as sent; gives its number.
    pub(super) fn depart(&mut self, letter: Letter, now: Instant) -> u64 {
        self.flights.push_back(Some(Flight::new(letter, now, true)));
        self.unanswered += 1;
        self.in_window += 1;
        self.first + self.flights.len() as u64 - 1
    }

    /// Notes a message as sent on a channel of its own; gives its number.
    pub(super) fn depart_apart(&mut self, letter: Letter, now: Instant) -> u64 {
        let number = self.first + self.flights.len() as u64;
        self.flights.push_back(None);
        self.trim();
        self.aside.insert(number, Flight::new(letter, now, false));
        number
    }

    /// Sets aside what is unanswered of a queue.
    pub(super) fn set_aside(&mut self, queue: &str) {
        let numbers = self.first..;
        for (number, place) in numbers.zip(&mut self.flights) {
            let is_of_queue =
                |flight: &mut Flight| flight.confirm.is_none() && flight.letter.outgoing.routing_key == queue;
            if let Some(flight) = place.take_if(is_of_queue) {
                self.aside.insert(number, flight);
                self.unanswered -= 1;
                self.in_window -= 1;
            }
        }
        self.trim();
    }

    /// Another channel is used from now on. Everything but what is set aside must be settled.
    pub(super) fn retire_channel(&mut self) {
        debug_assert_eq!(self.in_window, 0, "somebody is left behind on the old channel");
        for flight in self.aside.values_mut() {
            flight.is_here = false;
        }
    }

    /// Notes the broker's answer to message `number` and the return that lapin attached to it.
    pub(super) fn answer(&mut self, number: u64, confirm: Confirm, attached: Option<Return>) {
        // What is said on a channel that is not used any more proves nothing about the one in use.
        let (is_here, is_aside) = (self.flight_mut(number).is_here, self.aside.contains_key(&number));
        let doubtful = attached.is_some() && is_here;
        if let Some(attached) = attached {
            self.apply(attached);
        }
        self.queue_seen_empty |= is_here && !doubtful;
        let pass = self.pass;
        let flight = self.flight_mut(number);
        flight.confirm = Some(confirm);
        flight.doubtful_since = doubtful.then_some(pass);
        self.answered.push(number);
        if !is_aside {
            self.unanswered -= 1;
        }
    }

    /// Ends a pass: hands every message whose fate is now certain to `settle`.
    pub(super) fn finish_pass(&mut self, now: Instant, mut settle: impl FnMut(BrokerAnswer, &Flight)) {
        if self.answered.is_empty() {
            return;
        }
        let (pass, queue_seen_empty) = (self.pass, self.queue_seen_empty);
        let nothing_outstanding = self.unanswered == 0 && self.aside_has_no_returns(now);
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
            let answer = match (flight.returned.take(), flight.confirm) {
                (Some(reason), _) => BrokerAnswer::Returned(reason),
                (None, Some(Confirm::Nack)) => BrokerAnswer::Nacked,
                (None, _) => BrokerAnswer::Confirmed,
            };
            settle(answer, flight);
            if flight.is_here {
                self.settled_up_to = self.settled_up_to.max(Some(number));
            }
            if self.aside.remove(&number).is_none() {
                *self.place_mut(number) = None;
                self.in_window -= 1;
            }
        }
        self.answered = doubtful;
        self.pass += 1;
        self.queue_seen_empty = false;
        self.trim();
    }

    /// Everything not settled, in the order it was sent, for sending it again on another channel.
    pub(super) fn abandon(&mut self) -> VecDeque<Letter> {
        let all = std::mem::take(self);
        let numbered = (all.first..).zip(all.flights);
        let mut left = all.aside;
        left.extend(numbered.filter_map(|(number, flight)| Some((number, flight?))));
        left.into_values().map(|flight| flight.letter).collect()
    }

    /// Conversations of the messages for a queue that are in flight, one entry a message.
    pub(super) fn conversations(&self, queue: &str) -> Vec<u64> {
        let all = self.aside.values().chain(self.iter());
        all.filter(|flight| flight.letter.outgoing.routing_key == queue)
            .map(|flight| flight.letter.outgoing.order_key)
            .collect()
    }

    fn iter(&self) -> impl Iterator<Item = &Flight> {
        self.flights.iter().flatten()
    }

    /// Whether no return of what is set aside on the channel in use can come any more.
    fn aside_has_no_returns(&self, now: Instant) -> bool {
        let mut here = self.aside.iter().filter(|(_, flight)| flight.is_here);
        here.rfind(|(_, flight)| flight.confirm.is_none())
            .is_none_or(|(number, flight)| {
                Some(*number) < self.settled_up_to && now.duration_since(flight.sent_at) >= RETURNED_BY
            })
    }

    /// The front is always there.
    fn trim(&mut self) {
        while self.flights.front().is_some_and(Option::is_none) {
            self.flights.pop_front();
            self.first += 1;
        }
    }

    fn place_mut(&mut self, number: u64) -> &mut Option<Flight> {
        let index = usize::try_from(number - self.first).expect("a channel's window fits into memory");
        &mut self.flights[index]
    }

    fn flight_mut(&mut self, number: u64) -> &mut Flight {
        // Hardly ever is anything set aside.
        if self.aside.contains_key(&number) {
            return self.aside.get_mut(&number).expect("looked for above");
        }
        self.place_mut(number).as_mut().expect("a message is settled once")
    }

    fn apply(&mut self, attached: Return) {
        let in_flight = self.flights.iter_mut().flatten().chain(self.aside.values_mut());
        let owner = { in_flight }.find(|flight| {
            flight.returned.is_none()
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

    const KEY: &str = "k";
    const SILENT: &str = "silent";

    fn letter(token: u64) -> Letter {
        let outgoing = Outgoing {
            token,
            event_id: Uuid::from_u128(u128::from(token)),
            event_type: "t",
            order_key: 0,
            routing_key: KEY.into(),
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
            routing_key: KEY.into(),
            reason: "312 NO_ROUTE".into(),
        }
    }

    /// Ends a pass and notes what became of whom.
    fn settle(flights: &mut Flights, settled: &mut BTreeMap<u64, BrokerAnswer>) {
        // Long after what was sent.
        flights.finish_pass(Instant::now() + RETURNED_BY, |answer, flight| {
            let before = settled.insert(flight.letter.outgoing.token, answer);
            assert_eq!(before, None, "message {} is settled twice", flight.letter.arrival);
        });
    }

    #[test]
    fn a_return_attached_to_a_neighbour_finds_its_owner() {
        let (mut flights, mut settled) = (Flights::default(), BTreeMap::new());
        for token in 0..3 {
            flights.depart(letter(token), Instant::now());
        }
        // The return of 1 rides on the acknowledgement of 0; then 1 itself is acknowledged.
        flights.answer(0, Confirm::Ack, Some(return_of(1)));
        settle(&mut flights, &mut settled);
        assert_eq!(settled, BTreeMap::new(), "0 may have been returned as well");
        flights.answer(1, Confirm::Ack, None);
        settle(&mut flights, &mut settled);
        assert_eq!(settled[&0], BrokerAnswer::Confirmed);
        assert_eq!(settled[&1], BrokerAnswer::Returned("312 NO_ROUTE".into()));
        assert_eq!(flights.in_window(), 1);
        let again: Vec<_> = flights
            .abandon()
            .into_iter()
            .map(|letter| letter.outgoing.token)
            .collect();
        assert_eq!(again, [2]);
    }

    fn to_silent(token: u64) -> Letter {
        let mut letter = letter(token);
        letter.outgoing.routing_key = SILENT.into();
        letter
    }

    #[test]
    fn what_is_set_aside_takes_no_room_and_keeps_its_place() {
        let (mut flights, mut settled) = (Flights::default(), BTreeMap::new());
        let now = Instant::now();
        for token in 0..6 {
            flights.depart(
                if token % 2 == 0 {
                    to_silent(token)
                } else {
                    letter(token)
                },
                now,
            );
        }
        assert_eq!(flights.oldest_unanswered(), Some((SILENT, now)));
        flights.set_aside(SILENT);
        assert_eq!((flights.in_window(), flights.aside(), flights.aside_here()), (3, 3, 3));
        assert_eq!(flights.oldest_unanswered(), Some((KEY, now)));
        for number in [1, 3, 5] {
            flights.answer(number, Confirm::Ack, None);
        }
        settle(&mut flights, &mut settled);
        flights.retire_channel();
        assert_eq!((flights.in_window(), flights.aside(), flights.aside_here()), (0, 3, 0));
        assert_eq!(flights.depart(letter(6), now), 6);
        assert_eq!(flights.alone().map(|letter| letter.arrival), Some(6));
        flights.answer(2, Confirm::Ack, None);
        settle(&mut flights, &mut settled);
        assert_eq!(settled.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 5]);
        let again: Vec<_> = flights.abandon().iter().map(|letter| letter.arrival).collect();
        assert_eq!(again, [0, 4, 6]);
    }

    #[test]
    fn what_was_said_on_an_old_channel_says_nothing_of_the_returns_on_the_new_one() {
        let (mut flights, mut settled) = (Flights::default(), BTreeMap::new());
        flights.depart(to_silent(0), Instant::now());
        flights.set_aside(SILENT);
        flights.retire_channel();
        for token in 1..4 {
            flights.depart(letter(token), Instant::now());
        }
        // 1 and 2 are returned; the confirmation of 1 brings nothing yet known of 1 itself.
        flights.answer(1, Confirm::Ack, Some(return_of(2)));
        settle(&mut flights, &mut settled);
        flights.answer(0, Confirm::Ack, None);
        settle(&mut flights, &mut settled);
        assert_eq!(
            settled.keys().copied().collect::<Vec<_>>(),
            [0],
            "1 may have been returned"
        );
        flights.answer(2, Confirm::Ack, Some(return_of(1)));
        settle(&mut flights, &mut settled);
        assert!(matches!(settled[&1], BrokerAnswer::Returned(_)) && matches!(settled[&2], BrokerAnswer::Returned(_)));
    }

    /// What the broker does with one message.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Fate {
        Routed,
        Unroutable,
        Refused,
        /// Its queue does not answer.
        Unanswered,
    }

    fn fates() -> impl Strategy<Value = Vec<Fate>> {
        let fate = prop_oneof![4 => Just(Fate::Routed), 3 => Just(Fate::Unroutable), 1 => Just(Fate::Refused),
            1 => Just(Fate::Unanswered)];
        prop::collection::vec(fate, 1..60)
    }

    proptest! {
        /// A model of broker and lapin: returns come at once, answers later and out of order, one by one or for many
        /// at a time; lapin attaches the oldest return to whatever it completes; we look after any number of them.
        #[test]
        fn every_message_is_settled_once_as_the_broker_decided(fates in fates(), seed in any::<u64>()) {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut flights, mut settled) = (Flights::default(), BTreeMap::new());
            let mut queue: VecDeque<Return> = VecDeque::new();
            let mut waiting: Vec<u64> = Vec::new();
            let mut sent = fates.iter().enumerate();
            loop {
                match sent.next() {
                    Some((token, fate)) => {
                        let token = token as u64;
                        let silent = *fate == Fate::Unanswered;
                        let letter = if silent { to_silent(token) } else { letter(token) };
                        prop_assert_eq!(flights.depart(letter, Instant::now()), token);
                        if silent {
                            continue;
                        }
                        waiting.push(token);
                        if *fate == Fate::Unroutable {
                            queue.push_back(return_of(token));
                        }
                    }
                    None if waiting.is_empty() => break,
                    None => {}
                }
                if random.u8(..4) == 0 {
                    flights.set_aside(SILENT);
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
                        flights.answer(token, if refused { Confirm::Nack } else { Confirm::Ack }, attached);
                    }
                    if random.bool() {
                        settle(&mut flights, &mut settled);
                    }
                }
            }
            // A last one shows that nothing comes any more.
            let last = flights.depart(letter(fates.len() as u64), Instant::now());
            flights.answer(last, Confirm::Ack, queue.pop_front());
            flights.set_aside(SILENT);
            settle(&mut flights, &mut settled);
            settle(&mut flights, &mut settled);
            prop_assert_eq!(flights.in_window(), 0);
            prop_assert_eq!(flights.aside(), fates.iter().filter(|fate| **fate == Fate::Unanswered).count());
            for (token, fate) in fates.iter().enumerate() {
                let expected = match fate {
                    Fate::Routed => BrokerAnswer::Confirmed,
                    Fate::Unroutable => BrokerAnswer::Returned("312 NO_ROUTE".into()),
                    Fate::Refused => BrokerAnswer::Nacked,
                    Fate::Unanswered => {
                        prop_assert_eq!(settled.get(&(token as u64)), None);
                        continue;
                    }
                };
                prop_assert_eq!(settled.get(&(token as u64)), Some(&expected), "message {}", token);
            }
        }
    }
}
