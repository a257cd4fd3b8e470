//! What others may do inside the writer's transaction: named operations, each a type of its own.
//!
//! The journal knows none of them. An operation is a type with one method per engine: SQLite's is [`Job::run`]; another
//! store gets a method of its own beside it, so that neither sees the other's connection. Calls are generic and known
//! at compile time; only the writer's queue erases the type, once for a whole batch of messages.
//!
//! Two ways of handing one over:
//! - asked ([`super::Journal::ask`]): answered after the commit, or with the error when the commit failed;
//! - owed ([`super::Journal::owe`]): nobody waits; it is done again with the next commit until one holds.

use std::sync::Arc;

use priem_sdk::{Item, contract::ConnectorId};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    Appended, JournalError, Record,
    append::AppendState,
    dedupe::{self, HashKey},
};

/// Work for the writer's transaction.
pub(crate) trait Job: Send + 'static {
    /// What the caller gets after the commit.
    type Answer: Send + 'static;

    /// Whether it stores new items: it is refused then while the journal has no room for them.
    const STORES_ITEMS: bool = false;

    /// How many items' worth of work it is, against the limit of one commit.
    fn weight(&self) -> usize {
        1
    }

    /// Does it. May run more than once: after a failed commit nothing of the former run is left.
    ///
    /// # Errors
    /// Of the store; they fail the whole commit.
    fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<Self::Answer>;

    /// Called after each run: whether what it did is on disk or was taken back.
    fn ended(&mut self, committed: bool) {
        let _ = committed;
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
        let stream = Arc::from(stream);
        self.state
            .append(self.connection, connector, &stream, items, None, self.fresh)
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
    fn weight(&self) -> usize;
    fn stores_items(&self) -> bool;
    fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<()>;
    /// After the commit (`Ok`), or when nothing of it holds.
    fn end(&mut self, outcome: Result<(), &JournalError>);
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

    fn end(&mut self, outcome: Result<(), &JournalError>) {
        self.job.ended(outcome.is_ok());
        let answer = match outcome {
            Ok(()) => self.answer.take().ok_or(JournalError::Closed),
            Err(error) => Err(error.clone()),
        };
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(answer);
        }
    }
}

/// A job nobody waits for.
pub(super) struct Owed<J: Job<Answer = ()>>(pub(super) J);

impl<J: Job<Answer = ()>> Work for Owed<J> {
    fn weight(&self) -> usize {
        self.0.weight()
    }

    fn stores_items(&self) -> bool {
        false
    }

    fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<()> {
        self.0.run(transaction)
    }

    fn end(&mut self, outcome: Result<(), &JournalError>) {
        self.0.ended(outcome.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::{
        journal::{Journal, JournalSettings},
        telemetry::Metrics,
    };

    /// Writes a row; tells of each end.
    struct Mark(&'static str, mpsc::Sender<bool>);

    impl Job for Mark {
        type Answer = ();

        fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<()> {
            let connection = transaction.connection();
            connection
                .execute("INSERT INTO meta VALUES (?1, 1)", [self.0])
                .map(drop)
        }

        fn ended(&mut self, committed: bool) {
            self.1.send(committed).unwrap();
        }
    }

    /// Holds the writer until somebody says go, so that what is handed over meanwhile shares one commit.
    struct Hold(Option<oneshot::Sender<()>>, mpsc::Receiver<()>);

    impl Job for Hold {
        type Answer = ();

        fn run(&mut self, _: &mut Transaction<'_>) -> rusqlite::Result<()> {
            self.0.take().unwrap().send(()).unwrap();
            self.1.recv().unwrap();
            Ok(())
        }
    }

    struct Fail;

    impl Job for Fail {
        type Answer = ();

        fn run(&mut self, _: &mut Transaction<'_>) -> rusqlite::Result<()> {
            Err(rusqlite::Error::InvalidQuery)
        }
    }

    struct Marks;

    impl Look for Marks {
        type Answer = i64;

        fn look(&self, reader: &Connection) -> rusqlite::Result<i64> {
            let count = "SELECT count(*) FROM meta WHERE key IN ('asked', 'owed')";
            reader.query_row(count, [], |row| row.get(0))
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_failed_commit_answers_who_waits_and_what_is_owed_is_done_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let settings = JournalSettings {
            dir: folder.path().join("journal"),
            ..JournalSettings::default()
        };
        let journal = Journal::open(&settings, &Metrics::new()).unwrap();
        let ((holds, held), (go, wait)) = (oneshot::channel(), mpsc::channel());
        let (asked_ends, asked_ended) = mpsc::channel();
        let (owed_ends, owed_ended) = mpsc::channel();
        let holder = journal.clone();
        let holding = tokio::spawn(async move { holder.ask(Hold(Some(holds), wait)).await });
        held.await.unwrap();
        let (asked, failed, owed) = tokio::join!(
            biased;
            journal.ask(Mark("asked", asked_ends)),
            journal.ask(Fail),
            async {
                let owed = journal.owe(Mark("owed", owed_ends)).await;
                go.send(()).unwrap();
                owed
            },
        );
        assert!(holding.await.unwrap().is_ok(), "a commit of its own");
        assert!(asked.is_err() && failed.is_err(), "one commit");
        owed.unwrap();
        assert_eq!(asked_ended.recv(), Ok(false));
        assert!(!owed_ended.recv().unwrap(), "taken back with the others");
        journal.flush().await.unwrap();
        assert!(owed_ended.recv().unwrap(), "done again");
        assert_eq!(journal.look(Marks).await.unwrap(), 1, "once, and nothing of the other");
    }
}
