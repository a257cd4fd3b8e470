//! What the broker answers to messages under way.
//!
//! A message leaves with the first look at its answer: lapin queues its frames then, so messages stand on the wire in the
//! order in which they were given. On a busy machine the answer may be there already at that look. It is kept like all
//! others: whoever waits for the next one gets it at once.

use std::task::Poll;

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use lapin::Confirmation;

/// Number of the message, and the broker's answer.
pub(super) type Answer = (u64, Result<Confirmation, lapin::Error>);

/// See the module.
#[derive(Default)]
pub(super) struct Answers(FuturesUnordered<BoxFuture<'static, Answer>>);

impl Answers {
    /// Sends a message.
    pub(super) async fn send(&mut self, flight: impl Future<Output = Answer> + Send + 'static) {
        let mut flight = flight.boxed();
        if let Poll::Ready(answer) = futures::poll!(flight.as_mut()) {
            flight = std::future::ready(answer).boxed();
        }
        self.0.push(flight);
    }

    /// Waits for the next answer; for ever, when nothing is under way. Cancel-safe.
    pub(super) async fn next(&mut self) -> Answer {
        match self.0.next().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    /// The next one that is there.
    pub(super) fn next_there(&mut self) -> Option<Answer> {
        self.0.next().now_or_never().flatten()
    }

    /// Forgets what is under way.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_is_there_at_once_is_given_like_any_other() {
        let mut answers = Answers::default();
        answers.send(std::future::ready((1, Ok(Confirmation::Ack(None))))).await;
        answers.send(std::future::pending()).await;
        assert_eq!(answers.next().await.0, 1);
        assert!(answers.next_there().is_none());
    }
}
