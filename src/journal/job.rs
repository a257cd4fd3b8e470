//! What others may do inside the writer's transaction: named operations, each a type of its own.
//!
//! The journal knows none of them. An operation is a type with one method per engine: SQLite's is [`Job::run`]; another
//! store gets a method of its own beside it, so that neither sees the other's connection. Calls are generic and known
//! at compile time; only the writer's queue erases the type, once for a whole batch of messages.
//!
//! Two ways of handing one over:
//! - asked ([`super::Journal::ask`]): answered after the commit, or with the error when the commit failed;
//! - owed ([`super::Journal::owe`]): nobody waits; it is done again with the next commit until one holds.
//!
//! One that fails for itself, or panics, costs nobody else anything: see `writer`.

use std::sync::Arc;

use priem_sdk::{Item, contract::ConnectorId};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    Appended, JournalError, Record,
    append::{AppendState, Incoming},
    dedupe::{self, HashKey},
};

/// Work for the writer's transaction.
pub(crate) trait Job: Send + 'static {
    /// What the caller gets after the commit.
    type Answer: Send + 'static;

    /// What it is, for people.
    const NAME: &'static str;

    /// Whether it stores new items: it is refused then while the journal has no room for them.
    const STORES_ITEMS: bool = false;

    /// How many items' worth of work it is, against the limit of one commit.
    fn weight(&self) -> usize {
        1
    }

    /// Does it. May run more than once: after a failed commit nothing of the former run is left.
    ///
    /// # Errors
    /// Of the store, which fail the whole commit; or its own, which are its own.
    fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<Self::Answer>;

    /// Called after each run: whether what it did is on disk or was taken back.
    fn ended(&mut self, committed: bool) {
        let _ = committed;
    }

    /// Takes half of its work off into another job, so that what is at fault in an owed one is found; `None` when it is
    /// one thing.
    fn halve(&mut self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// Numbers of the stored items it is about, for the log when an owed one can't be done.
    fn items(&self) -> Vec<i64> {
        Vec::new()
    }
}

/// A question to the store, outside of any transaction.
pub(crate) trait Look: Send + 'static {
    /// What is seen.
    type Answer: Send + 'static;

    /// Looks.
    ///
    /// # Errors
    /// When the store can't be read.
    fn look(&self, reader: &Connection) -> rusqlite::Result<Self::Answer>;
}

/// What a job finds.
pub(crate) struct Transaction<'a> {
    connection: &'a Connection,
    state: &'a mut AppendState,
    fresh: &'a mut Vec<Arc<Record>>,
    now: i64,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        state: &'a mut AppendState,
        fresh: &'a mut Vec<Arc<Record>>,
        now: i64,
    ) -> Self {
        Self {
            connection,
            state,
            fresh,
            now,
        }
    }

    /// The tables, inside the transaction.
    pub(crate) fn connection(&self) -> &'a Connection {
        self.connection
    }

    /// The moment of the commit, microseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    /// Hash over parts and their lengths, keyed with the key of this journal.
    pub(crate) fn hash(&self, parts: &[&[u8]]) -> [u8; 16] {
        dedupe::hash(&self.state.hash_key, parts)
    }

    /// Stores items that then wait for publication like any other.
    ///
    /// # Errors
    /// Of the store.
    pub(crate) fn append(
        &mut self,
        connector: &ConnectorId,
        stream: &str,
        items: Vec<Item>,
    ) -> rusqlite::Result<Appended> {
        let incoming = Incoming {
            connector,
            stream: &Arc::from(stream),
            items: &items,
            as_of: None,
            cursor: None,
        };
        self.state.append(self.connection, &incoming, self.fresh)
    }
}

/// Hashes over parts and their lengths, keyed with the key of a journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hashes(HashKey);

impl Hashes {
    pub(crate) fn with_key(key: HashKey) -> Self {
        Self(key)
    }

    /// The hash of some parts.
    pub(crate) fn of(&self, parts: &[&[u8]]) -> [u8; 16] {
        dedupe::hash(&self.0, parts)
    }
}

/// A job without its type, as the writer holds it.
pub(super) trait Work: Send {
    fn name(&self) -> &'static str;
    fn weight(&self) -> usize;
    fn stores_items(&self) -> bool;
    fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<()>;
    /// Nothing of the last run holds; it may be run again.
    fn taken_back(&mut self);
    /// It holds, or is not tried again.
    fn end(&mut self, outcome: Result<(), &JournalError>);
    fn halve(&mut self) -> Option<Box<dyn Work>>;
    fn items(&self) -> Vec<i64>;
}

/// A job somebody waits for.
pub(super) struct Asked<J: Job> {
    job: J,
    answer: Option<J::Answer>,
    reply: Option<oneshot::Sender<Result<J::Answer, JournalError>>>,
}

impl<J: Job> Asked<J> {
    pub(super) fn new(job: J) -> (Box<Self>, oneshot::Receiver<Result<J::Answer, JournalError>>) {
        let (reply, answered) = oneshot::channel();
        let asked = Self {
            job,
            answer: None,
            reply: Some(reply),
        };
        (Box::new(asked), answered)
    }
}

impl<J: Job> Work for Asked<J> {
    fn name(&self) -> &'static str {
        J::NAME
    }

    fn weight(&self) -> usize {
        self.job.weight()
    }

    fn stores_items(&self) -> bool {
        J::STORES_ITEMS
    }

    fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<()> {
        self.answer = Some(self.job.run(transaction)?);
        Ok(())
    }

    fn taken_back(&mut self) {
        self.answer = None;
        self.job.ended(false);
    }

    fn end(&mut self, outcome: Result<(), &JournalError>) {
        let answer = match outcome {
            Ok(()) => {
                self.job.ended(true);
                self.answer.take().ok_or(JournalError::Closed)
            }
            Err(error) => Err(error.clone()),
        };
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(answer);
        }
    }

    fn halve(&mut self) -> Option<Box<dyn Work>> {
        None
    }

    fn items(&self) -> Vec<i64> {
        Vec::new()
    }
}

/// A job nobody waits for.
pub(super) struct Owed<J: Job<Answer = ()>>(pub(super) J);

impl<J: Job<Answer = ()>> Work for Owed<J> {
    fn name(&self) -> &'static str {
        J::NAME
    }

    fn weight(&self) -> usize {
        self.0.weight()
    }

    fn stores_items(&self) -> bool {
        false
    }

    fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<()> {
        self.0.run(transaction)
    }

    fn taken_back(&mut self) {
        self.0.ended(false);
    }

    fn end(&mut self, outcome: Result<(), &JournalError>) {
        if outcome.is_ok() {
            self.0.ended(true);
        }
    }

    fn halve(&mut self) -> Option<Box<dyn Work>> {
        Some(Box::new(Self(self.0.halve()?)))
    }

    fn items(&self) -> Vec<i64> {
        self.0.items()
    }
}

#[cfg(test)]
mod tests;
