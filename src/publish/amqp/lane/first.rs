//! The first message of a routing key on a channel goes alone: nothing new is sent until it is answered.
//!
//! RabbitMQ makes a channel known to a quorum queue when the first message for it comes, and refuses that message if the
//! queue has no leader just then. The next one may be taken a moment later, and two messages of one conversation that were
//! under way together would be turned round. Several keys may lead to one queue, so messages of other keys wait as well.
//! A first message that is refused is sent again after growing pauses; when that goes on for longer than [`PATIENCE`], its
//! queue is held, as any that refuses (see `held`).
//!
//! Once a key has taken a message on the channel, this is over: the broker keeps the order of what follows.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use crate::publish::amqp::flights::BrokerAnswer;

/// How long others wait for a first message that is refused. A leader is elected sooner; a full queue stays full.
const PATIENCE: Duration = Duration::from_secs(3);
/// First and longest pause before it is sent again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// See the module.
#[derive(Default)]
pub(super) struct Firsts {
    /// Keys for which something was answered on the channel.
    known: HashSet<String>,
    under_way: Option<First>,
}

/// A first message under way.
struct First {
    key: String,
    /// Absent: it is in flight.
    again_at: Option<Instant>,
    pause: Duration,
    /// Since it was refused for the first time.
    refused_since: Option<Instant>,
}

impl Firsts {
    /// Whether nothing may be sent now, because the first message of some key is in flight or pauses.
    pub(super) fn is_waiting(&self, now: impl FnOnce() -> Instant) -> bool {
        let first = self.under_way.as_ref();
        first.is_some_and(|first| first.again_at.is_none_or(|at| at > now()))
    }

    /// When the one that was refused is sent again.
    pub(super) fn again_at(&self) -> Option<Instant> {
        self.under_way.as_ref()?.again_at
    }

    /// A message leaves.
    pub(super) fn depart(&mut self, key: &str) {
        if self.known.contains(key) {
            return;
        }
        match &mut self.under_way {
            Some(first) if first.key == key => first.again_at = None,
            _ => {
                self.under_way = Some(First {
                    key: key.to_owned(),
                    again_at: None,
                    pause: PAUSES.0,
                    refused_since: None,
                });
            }
        }
    }

    /// A message was answered. Gives whether it is a first one that is to be sent again before anything else.
    pub(super) fn answered(&mut self, key: &str, answer: &BrokerAnswer, now: Instant) -> bool {
        let Some(first) = self.under_way.as_mut().filter(|first| first.key == key) else {
            return false;
        };
        if *answer != BrokerAnswer::Nacked {
            self.known.insert(key.to_owned());
            self.under_way = None;
            return false;
        }
        if *first.refused_since.get_or_insert(now) + PATIENCE <= now {
            self.under_way = None;
            return false;
        }
        first.again_at = Some(now + first.pause);
        first.pause = (first.pause * 2).min(PAUSES.1);
        true
    }

    /// What comes of a key goes another way from now on.
    pub(super) fn forget(&mut self, key: &str) {
        self.under_way.take_if(|first| first.key == key);
    }

    /// The lane has another channel.
    pub(super) fn begin_channel(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_of_each_key_is_waited_for_once_a_channel() {
        let (mut firsts, now) = (Firsts::default(), Instant::now());
        firsts.depart("a");
        assert!(firsts.is_waiting(|| now));
        firsts.answered("b", &BrokerAnswer::Confirmed, now);
        assert!(firsts.is_waiting(|| now), "another one was answered");
        firsts.answered("a", &BrokerAnswer::Confirmed, now);
        firsts.depart("a");
        assert!(!firsts.is_waiting(|| now));
        firsts.depart("b");
        firsts.answered("b", &BrokerAnswer::Returned(String::new()), now);
        assert!(!firsts.is_waiting(|| now), "there is no queue to wait for");
        firsts.begin_channel();
        firsts.depart("a");
        assert!(firsts.is_waiting(|| now));
    }

    #[test]
    fn a_first_message_that_is_refused_is_sent_again_for_a_while() {
        let (mut firsts, mut now) = (Firsts::default(), Instant::now());
        let (began, mut sent) = (now, 0);
        firsts.depart("a");
        while firsts.answered("a", &BrokerAnswer::Nacked, now) {
            assert!(firsts.is_waiting(|| now));
            now = firsts.again_at().expect("a pause");
            assert!(!firsts.is_waiting(|| now));
            firsts.depart("a");
            assert!(firsts.is_waiting(|| now) && firsts.again_at().is_none());
            sent += 1;
        }
        assert!(!firsts.is_waiting(|| now) && now - began < PATIENCE * 2 && sent > 5);
        firsts.depart("a");
        assert!(firsts.is_waiting(|| now), "it is as new as before");
    }
}
