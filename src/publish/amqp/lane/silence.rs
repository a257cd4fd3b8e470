//! Queues that neither take nor refuse: their process hangs, and nothing tells us.
//!
//! - When the oldest message in flight has had no answer for half of [`silent_after`], or two windows of later messages
//!   were confirmed, its queue is under suspicion. What is in flight of it is set aside and takes no room, the rest of it
//!   waits (see `held`), and so the messages of others go on, which is what shows whose fault it is.
//! - When nothing at all is answered on the channel, the channel may hang with the queue (RabbitMQ asks a quorum queue
//!   whose first message on a channel arrives, and waits 30 s). Messages of one queue are set aside with their channel; of
//!   several, after the whole time, everything is sent again on a fresh channel, one at a time, until one of them is left
//!   without an answer alone.
//! - When messages of another queue that were sent later are confirmed, and the whole time is over, the queue is *silent*:
//!   everybody is told, all lanes hold it back, and the connection is no longer judged by what is in flight of it.
//! - A suspicion that nothing confirms says nothing: the connection is judged by it as ever (`amqp.confirm_seconds`).
//! - Once everything in flight is answered, one message asks, as with a queue that refuses, but on a channel of its own.
//!   When the channel is lost, what was in flight is sent again in its order, one message first.
//!
//! What is in flight stays there: the queue may have it, so it is never parked. What waits may be
//! (`amqp.refused.park_after`).
//!
//! RabbitMQ stops reading a connection soon after one of its channels has [`CHANNEL_STOPS_AT`] messages unanswered by a
//! quorum queue. So a channel with nearly as many set aside is used for nothing else any more: it waits for their
//! answers, and the lane goes on with a fresh one.

use std::time::{Duration, Instant};

use lapin::Channel;
use tokio_util::sync::CancellationToken;

use super::{End, Lane};
use crate::publish::{
    Settled,
    amqp::{connect::Link, flights::Letter, open},
};

/// Messages in flight for one quorum queue at which RabbitMQ puts a channel into flow (`quorum_commands_soft_limit`).
const CHANNEL_STOPS_AT: usize = 32;
/// Set aside on one channel, so many are too many.
const TOO_MANY_ASIDE: usize = CHANNEL_STOPS_AT / 2;
/// What is said of a silent queue.
const SILENT: &str = "the queue neither takes nor refuses, while others take what was sent later: its process or the \
                      node of its leader hangs";

/// How long a message may be without an answer, while others are confirmed, before its queue is called silent.
pub(in crate::publish::amqp) fn silent_after(confirm_within: Duration) -> Duration {
    (confirm_within / 3).clamp(Duration::from_secs(1), Duration::from_secs(10))
}

impl Lane {
    /// Holds back queues that do not answer, and tells of those whose silence is certain. Gives whether the channel is
    /// given up: what was in flight on it waits to be sent again.
    pub(super) fn look_for_silence(&mut self) -> bool {
        let (limit, now) = (self.shared.silent_after, Instant::now());
        while let Some((queue, since)) = self.flights.oldest_unanswered() {
            let overtaken_by = self.flights.overtaken_by();
            let waited = now.saturating_duration_since(self.counted_from(since));
            if waited < limit / 2 && overtaken_by < 2 * self.shared.window as u64 {
                break;
            }
            let queue = queue.to_owned();
            if overtaken_by == 0 {
                if !self.flights.is_for_one_queue() {
                    if waited < limit {
                        break;
                    }
                    // The channel hangs with one of them: one message at a time finds out with which.
                    self.take_back();
                    (self.probing, self.doubts_channel) = (true, true);
                    return true;
                }
                self.doubts_channel = true;
            }
            self.begin_to_hold(&queue);
            self.flights.set_aside(&queue);
            self.held.unanswered(&queue, since);
        }
        for (queue, since) in self.flights.apart_unanswered() {
            if self.counted_from(since) + limit / 2 <= now {
                self.held.unanswered(&queue, since);
            }
        }
        if self.flights.aside() == 0 {
            return false;
        }
        let queues = self.shared.queues.clone();
        let certain = self
            .held
            .certain(limit, self.blocked_at, now, |queue| queues.was_silent(queue));
        for (queue, unanswered) in certain {
            queues.silent(&queue, unanswered as u64, SILENT);
        }
        for queue in self.held.crowd() {
            queues.suspected(&queue);
        }
        false
    }

    /// When to look again.
    pub(super) fn silence_at(&self) -> Option<Instant> {
        let limit = self.shared.silent_after;
        let oldest = self.flights.oldest_unanswered();
        let suspicion = oldest.map(|(_, since)| {
            let half = self.counted_from(since) + limit / 2;
            // What was looked at then and left in flight is looked at once more.
            if half > Instant::now() { half } else { half + limit / 2 }
        });
        let apart = self.flights.apart_unanswered().into_iter();
        let apart = apart.map(|(_, since)| self.counted_from(since) + limit);
        let apart = apart.filter(|at| *at > Instant::now()).min();
        let certain = self.held.certain_at(limit, self.blocked_at);
        [suspicion, apart, certain, self.park_look_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether the channel should be used for nothing new: nothing is answered on it, or too much is set aside there while
    /// others are confirmed.
    pub(super) fn wants_fresh_channel(&self) -> bool {
        self.doubts_channel
            || (self.flights.aside() > 0
                && self.flights.aside_here() >= TOO_MANY_ASIDE
                && self.held.others_are_confirmed())
    }

    /// Another channel, while there is hope for the connection.
    pub(super) async fn open_another(&mut self, link: &Link, cut: &CancellationToken) -> Result<Channel, End> {
        let until = Instant::now() + self.shared.confirm_within;
        let until = self.overdue_at().map_or(until, |at| at.min(until));
        tokio::select! {
            () = cut.cancelled() => Err(End::Asked),
            () = tokio::time::sleep_until(until.into()) => Err(self.nothing_confirmed()),
            opened = open(link) => opened.map_err(|refusal| End::Lost(refusal.why)),
        }
    }

    pub(super) fn nothing_confirmed(&self) -> End {
        let limit = self.shared.confirm_within.as_secs();
        End::Lost(format!("the broker has confirmed nothing for {limit} s"))
    }

    /// A blocked broker says so and is waited for.
    pub(super) fn counted_from(&self, sent_at: Instant) -> Instant {
        self.blocked_at.map_or(sent_at, |at| at.max(sent_at))
    }

    /// Parks what silent queues have kept waiting for too long; nobody refuses it, so it is looked for.
    pub(super) fn give_up_on_silent(&mut self) -> Vec<Settled> {
        if self.park_look_at().is_none_or(|at| at > Instant::now()) {
            return Vec::new();
        }
        self.park_looked_at = Some(Instant::now());
        let queues = self.held.waited_for();
        queues.iter().flat_map(|queue| self.give_up(queue, SILENT)).collect()
    }

    /// A suspicion that did not come true is forgotten: what waited goes on.
    pub(super) fn drop_suspicions(&mut self) {
        let for_all = self.shared.queues.held_by_all();
        let letters = self.held.acquitted(|queue| for_all.iter().any(|name| name == queue));
        for letter in letters.into_iter().rev() {
            self.backlog.push_front(letter);
        }
    }

    /// What is in flight is to be sent again, before anything newer.
    pub(super) fn take_back(&mut self) {
        let again = self.flights.abandon();
        self.put_back(again.into());
    }

    /// The channel is gone; these were in flight on it. A suspicion goes with it: what waited for its queue is sent as
    /// before.
    pub(super) fn put_back(&mut self, mut letters: Vec<Letter>) {
        let for_all = self.shared.queues.held_by_all();
        letters.append(&mut self.held.grounded(|queue| for_all.iter().any(|name| name == queue)));
        self.held.tell(&self.shared.queues);
        letters.sort_by_key(|letter| letter.arrival);
        for letter in letters.into_iter().rev() {
            if let Some(letter) = self.held.keep(letter) {
                self.backlog.push_front(letter);
            }
        }
    }

    fn park_look_at(&self) -> Option<Instant> {
        let limit = self.shared.park_after?;
        if self.flights.aside() == 0 || self.held.waited_for().is_empty() {
            return None;
        }
        let every = (limit / 10).clamp(Duration::from_millis(250), Duration::from_secs(60));
        Some(self.park_looked_at.map_or_else(Instant::now, |at| at + every))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_a_third_of_the_time_for_a_confirmation_within_bounds() {
        let seconds = |confirm: u64| silent_after(Duration::from_secs(confirm)).as_secs();
        assert_eq!([1, 3, 6, 30, 600].map(seconds), [1, 1, 2, 10, 10]);
    }
}
