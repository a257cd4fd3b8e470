//! The daemon's handle on its journal: what is handed to the writer.

mod reading;
mod start;
mod state;

use std::{fs::File, sync::Arc, thread::JoinHandle, time::Instant};

use parking_lot::Mutex;
use priem_sdk::{Cursor, Item, contract::ConnectorId};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Appended, JournalError, JournalSettings, Settlement,
    clock::Clock,
    debts::{self, Debts},
    job::{Asked, Hashes, Job, Owed},
    limits::FullFlag,
    piece::Append,
    sweep::Sweep,
    tail::Tail,
    writer::Command,
    writer_state::{SLOW, WriterState},
};
use crate::telemetry::Metrics;

/// A journal open for the daemon. Cheap to clone; the last clone closes it.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    commands: Option<mpsc::Sender<Command>>,
    /// Shared with reads under way, so that these don't keep the journal open.
    reader: Arc<Mutex<Connection>>,
    tail: Arc<Tail>,
    sweeps: Arc<Mutex<Vec<Box<dyn Sweep>>>>,
    hashes: Hashes,
    debts: Debts,
    full: Arc<FullFlag>,
    metrics: Metrics,
    settings: JournalSettings,
    clock: Arc<Clock>,
    writer_state: Arc<WriterState>,
    #[cfg(test)]
    turns: Arc<super::turns::Turns>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// The thread that has panicked.
    ended: watch::Receiver<Option<&'static str>>,
    /// Held for the life of the journal: one daemon per folder.
    _lock: File,
}

impl Journal {
    /// Stores items and, with them, the new cursor of the stream with this id. Returns after the commit.
    ///
    /// # Errors
    /// Nothing of the call is stored; but when the disk did not answer in time it may be later, and is known then when
    /// it is given again.
    pub async fn append(
        &self,
        connector: &ConnectorId,
        stream: impl Into<Arc<str>>,
        items: Vec<Item>,
        cursor: Option<Cursor>,
    ) -> Result<Appended, JournalError> {
        self.append_as_of(connector, stream, items, cursor, None).await
    }

    /// The same from a source that says as of when it speaks: what is of an earlier time than the newest version of its
    /// object is not stored. The number is only compared with other such numbers of the object.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub async fn append_as_of(
        &self,
        connector: &ConnectorId,
        stream: impl Into<Arc<str>>,
        items: Vec<Item>,
        cursor: Option<Cursor>,
        as_of: Option<i64>,
    ) -> Result<Appended, JournalError> {
        self.shared.full.check()?;
        let (reply, outcome) = oneshot::channel();
        let append = Append {
            connector: connector.clone(),
            stream: stream.into(),
            items,
            as_of,
            cursor,
            reply,
        };
        self.send_in_time(Command::Append(append)).await?;
        self.answer_in_time(outcome).await
    }

    /// Records the end of items' ways, with the next commit or the one after, until it holds. Waits only while too much
    /// is owed already, because commits fail.
    ///
    /// # Errors
    /// When the journal is closed, or was given up: the items are published again after a restart.
    pub async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), JournalError> {
        let places = self.shared.debts.places(debts::weight(&settlements)).await?;
        self.send(Command::Settle(settlements, places)).await
    }

    /// Does something inside the next commit. Returns after it, with the answer.
    ///
    /// # Errors
    /// Nothing of it is stored; but when the disk did not answer in time it may be later.
    pub(crate) async fn ask<J: Job>(&self, job: J) -> Result<J::Answer, JournalError> {
        let (asked, answer) = Asked::new(job);
        self.send_in_time(Command::Ask(asked)).await?;
        self.answer_in_time(answer).await
    }

    /// Does something with the next commit, or the one after, until it holds. Waits only while too much is owed already.
    ///
    /// # Errors
    /// When the journal is closed, or was given up.
    pub(crate) async fn owe<J: Job<Answer = ()>>(&self, job: J) -> Result<(), JournalError> {
        let places = self.shared.debts.places(job.weight()).await?;
        self.send(Command::Owe(Box::new(Owed(job)), places)).await
    }

    /// Ends all waiting for room of [`Journal::settle`]: the daemon stops, and must not hang on a store that can't write.
    pub fn give_up(&self) {
        self.shared.debts.give_up();
    }

    /// Hashes that only this journal's key can make again.
    pub(crate) fn hashes(&self) -> Hashes {
        self.shared.hashes
    }

    /// From now on sweeps somebody's tables at every tick.
    pub(crate) fn keep_swept(&self, sweep: impl Sweep + 'static) {
        self.shared.sweeps.lock().push(Box::new(sweep));
    }

    /// Waits until everything handed over before is on disk. Answers at once when the disk does not.
    ///
    /// # Errors
    /// When the commit failed, the store is away or the journal is closed.
    pub async fn flush(&self) -> Result<(), JournalError> {
        let (reply, done) = oneshot::channel();
        self.send_in_time(Command::Flush(reply)).await?;
        self.answer_in_time(done).await
    }

    /// Lets a slice of the housekeeping happen; call it every few seconds. Waits for nobody: when too much waits for
    /// the writer, there is time at the next call.
    ///
    /// # Errors
    /// Only when the journal is closed.
    pub async fn tick(&self) -> Result<(), JournalError> {
        let commands = self.shared.commands.as_ref().ok_or(JournalError::Closed)?;
        match commands.try_send(Command::Tick) {
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(JournalError::Closed),
        }
    }

    /// Hands a command over, unless the writer hangs.
    async fn send_in_time(&self, command: Command) -> Result<(), JournalError> {
        let commands = self.shared.commands.as_ref().ok_or(JournalError::Closed)?;
        loop {
            if let Some(error) = self.shared.writer_state.hangs() {
                return Err(error);
            }
            // The queue is as good as never full, but stays so when the disk does not answer.
            if let Ok(permit) = tokio::time::timeout(SLOW, commands.reserve()).await {
                permit.map_err(|_| JournalError::Closed)?.send(command);
                return Ok(());
            }
        }
    }

    /// Waits for an answer, unless the writer hangs.
    async fn answer_in_time<T>(
        &self,
        mut answer: oneshot::Receiver<Result<T, JournalError>>,
    ) -> Result<T, JournalError> {
        loop {
            if let Ok(answered) = tokio::time::timeout(SLOW / 2, &mut answer).await {
                return answered.map_err(|_| JournalError::Closed)?;
            }
            if let Some(error) = self.shared.writer_state.hangs() {
                return Err(error);
            }
        }
    }

    /// Hands over what must not be lost, however long that takes.
    async fn send(&self, command: Command) -> Result<(), JournalError> {
        let Some(commands) = &self.shared.commands else {
            return Err(JournalError::Closed);
        };
        commands.send(command).await.map_err(|_| JournalError::Closed)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let started = Instant::now();
        self.commands = None;
        for thread in self.threads.get_mut().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the journal panicked");
            }
        }
        tracing::debug!(milliseconds = started.elapsed().as_millis(), "journal closed");
    }
}
