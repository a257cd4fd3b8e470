//! The one thread that writes: takes whatever waits, puts it into one transaction, commits, answers everybody.
//!
//! Invariants: nobody is answered before the commit; a failed commit answers everybody who waits with the error and keeps
//! settlements and owed jobs for the next one; the thread never ends before the last sender is gone.

use std::{sync::Arc, time::Instant};

use parking_lot::Mutex;
use priem_sdk::{Cursor, Item, contract::ConnectorId};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::{
    Appended, JournalError, Record, Settlement,
    append::AppendState,
    debts::Places,
    job::{Transaction, Work},
    keeper::Keeper,
    limits::{Gate, Limits},
    retention::Retention,
    settle::settle,
    standing::Standing,
    sweep::Sweep,
    tail::Tail,
};
use crate::telemetry::Metrics;

/// Appends in one commit, at most; more only make everybody wait longer.
const MAX_COMMANDS: usize = 1_024;
/// Items in one commit, at most.
const MAX_ITEMS: usize = 4_096;
/// Slices of room made in one commit, at most.
const MAX_SLICES: usize = 8;
/// Items that come, for each slice that is made room by.
const ITEMS_PER_SLICE: usize = 256;

type Outcome = Result<Appended, JournalError>;

/// Items of one stream, to be stored together.
pub(super) struct Append {
    pub(super) connector: ConnectorId,
    pub(super) stream: Arc<str>,
    pub(super) items: Vec<Item>,
    pub(super) cursor: Option<Cursor>,
    pub(super) reply: oneshot::Sender<Outcome>,
}

/// What the writer can be asked for.
pub(super) enum Command {
    Append(Append),
    Settle(Vec<Settlement>, Places),
    /// A job somebody waits for.
    Ask(Box<dyn Work>),
    /// A job that is done again until a commit holds.
    Owe(Box<dyn Work>, Places),
    /// Answers after everything before it is on disk.
    Flush(oneshot::Sender<Result<(), JournalError>>),
    /// Time for housekeeping.
    Tick,
}

/// What goes into one commit.
#[derive(Default)]
struct Batch {
    appends: Vec<Append>,
    jobs: Vec<Box<dyn Work>>,
    /// Jobs that store items, with why each may not.
    storing: Vec<(Box<dyn Work>, Result<(), JournalError>)>,
    flushes: Vec<oneshot::Sender<Result<(), JournalError>>>,
    tick: bool,
    /// Whether new items would fit, found out without any.
    probe: Option<Result<(), JournalError>>,
}

/// State of the writer thread.
pub(super) struct Writer {
    pub(super) state: AppendState,
    pub(super) limits: Limits,
    pub(super) retention: Retention,
    pub(super) tail: Arc<Tail>,
    pub(super) metrics: Metrics,
    /// Settlements not on disk yet: new ones and those whose commit failed.
    pub(super) owed: Vec<Settlement>,
    /// Jobs not on disk yet either.
    pub(super) owed_jobs: Vec<Box<dyn Work>>,
    /// Room that both take, given back by the commit.
    pub(super) places: Vec<Places>,
    /// Forget what is of no use any more, in tables of others.
    pub(super) sweeps: Arc<Mutex<Vec<Box<dyn Sweep>>>>,
    pub(super) keeper: Keeper,
    /// How this thread stands, for those who may not wait for it.
    pub(super) standing: Arc<Standing>,
    pub(super) healthy: bool,
    /// Shut while the journal is full.
    pub(super) gate: Arc<Gate>,
    /// Held while the log is cut, and to begin a commit: SQLite's own lock would fail the commit when a cut takes long.
    pub(super) turns: Arc<Mutex<()>>,
}

impl Writer {
    /// Runs until every sender is gone.
    pub(super) fn run(mut self, connection: &Connection, mut commands: mpsc::Receiver<Command>) {
        while let Some(first) = commands.blocking_recv() {
            let mut batch = Batch::default();
            let mut taken = 1;
            let mut items = self.take(first, &mut batch);
            while taken < MAX_COMMANDS && items < MAX_ITEMS {
                let Ok(next) = commands.try_recv() else { break };
                items += self.take(next, &mut batch);
                taken += 1;
            }
            self.commit(connection, batch);
        }
        if !self.owed.is_empty() || !self.owed_jobs.is_empty() {
            self.commit(connection, Batch::default());
        }
        if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            warn!(%error, "last checkpoint of the journal failed");
        }
    }

    /// Puts a command into the batch; gives how many items it holds.
    fn take(&mut self, command: Command, batch: &mut Batch) -> usize {
        match command {
            Command::Append(append) => {
                let items = append.items.len();
                batch.appends.push(append);
                return items;
            }
            Command::Settle(settlements, places) => {
                let items = settlements.len();
                self.places.push(places);
                self.owed.extend(settlements);
                return items;
            }
            Command::Ask(job) => {
                let items = job.weight();
                if job.stores_items() {
                    batch.storing.push((job, Ok(())));
                } else {
                    batch.jobs.push(job);
                }
                return items;
            }
            Command::Owe(job, places) => {
                let items = job.weight();
                self.places.push(places);
                self.owed_jobs.push(job);
                return items;
            }
            Command::Flush(reply) => batch.flushes.push(reply),
            Command::Tick => batch.tick = true,
        }
        0
    }

    /// One transaction for the whole batch, then everybody is answered.
    fn commit(&mut self, connection: &Connection, mut batch: Batch) {
        let started = Instant::now();
        self.standing.begin();
        let mut fresh = Vec::new();
        let turn = self.turns.lock();
        let begun = execute(connection, "BEGIN IMMEDIATE");
        drop(turn);
        let written = begun
            .and_then(|()| self.write(connection, &mut batch, &mut fresh))
            .and_then(|outcomes| self.state.ledger.write(connection).map(|()| outcomes))
            .and_then(|outcomes| execute(connection, "COMMIT").map(|()| outcomes));
        match written {
            Ok(outcomes) => {
                self.standing.end();
                self.keeper.promised(self.state.newest);
                if batch.tick {
                    self.keeper.write();
                }
                self.metrics.pending.add(fresh.len() as i64 - self.owed.len() as i64);
                self.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
                if !fresh.is_empty() {
                    self.metrics.commit_items.observe(fresh.len() as f64);
                }
                self.owed.clear();
                self.places.clear();
                self.state.ledger.after_commit();
                self.tail.push(&mut fresh);
                if !outcomes.is_empty() {
                    self.report(outcomes.iter().find_map(|outcome| outcome.as_ref().err()));
                } else if let Some(room) = &batch.probe {
                    self.report(room.as_ref().err());
                }
                for (append, outcome) in batch.appends.into_iter().zip(outcomes) {
                    let _ = append.reply.send(outcome);
                }
                for mut job in self.owed_jobs.drain(..).chain(batch.jobs) {
                    job.end(Ok(()));
                }
                for (mut job, allowed) in batch.storing {
                    job.end(allowed.as_ref().copied());
                }
                for reply in batch.flushes {
                    let _ = reply.send(Ok(()));
                }
            }
            Err(error) => {
                if !connection.is_autocommit() {
                    // A rollback that fails leaves a transaction open, which the next BEGIN reports.
                    let _ = execute(connection, "ROLLBACK");
                }
                self.standing.end();
                let error = JournalError::from(error);
                self.state.after_rollback(self.keeper.promise.seq);
                self.metrics.journal_errors.inc();
                self.report(Some(&error));
                for append in batch.appends {
                    let _ = append.reply.send(Err(error.clone()));
                }
                for reply in batch.flushes {
                    let _ = reply.send(Err(error.clone()));
                }
                for job in &mut self.owed_jobs {
                    job.end(Err(&error));
                }
                for mut job in batch
                    .jobs
                    .into_iter()
                    .chain(batch.storing.into_iter().map(|(job, _)| job))
                {
                    job.end(Err(&error));
                }
            }
        }
    }

    /// Everything inside the transaction. An append that does not fit gets its own error; an error of the store fails
    /// the whole batch.
    fn write(
        &mut self,
        connection: &Connection,
        batch: &mut Batch,
        fresh: &mut Vec<Arc<Record>>,
    ) -> rusqlite::Result<Vec<Outcome>> {
        self.state.now = self.keeper.now();
        let now = self.state.now.stamp;
        if !self.owed.is_empty() {
            self.retention.look_again();
        }
        for settlement in &self.owed {
            settle(connection, &mut self.state.ledger, settlement, now)?;
        }
        let mut transaction = Transaction::new(connection, &mut self.state, fresh, now);
        for job in batch.jobs.iter_mut().chain(&mut self.owed_jobs) {
            job.run(&mut transaction)?;
        }
        if batch.tick {
            let until = self.keeper.tick(connection)?.sweep;
            self.retention.sweep(connection, &mut self.state, until)?;
            for sweep in &mut *self.sweeps.lock() {
                sweep.sweep(connection, until)?;
            }
        }
        if batch.appends.is_empty() && batch.storing.is_empty() && self.healthy && !batch.tick {
            return Ok(Vec::new());
        }
        let coming = batch.appends.iter().map(|append| append.items.len()).sum();
        let room = self.room(connection, batch.tick, coming, now)?;
        let mut transaction = Transaction::new(connection, &mut self.state, fresh, now);
        for (job, allowed) in &mut batch.storing {
            allowed.clone_from(&room);
            if room.is_ok() {
                job.run(&mut transaction)?;
            }
        }
        if batch.appends.is_empty() {
            // Nobody sends now, perhaps because nothing is taken: find out ourselves; when it was bad, with a real write.
            if !self.healthy {
                execute(connection, "INSERT OR REPLACE INTO meta VALUES ('probe', unixepoch())")?;
            }
            batch.probe = Some(room);
            return Ok(Vec::new());
        }
        let mut outcomes = Vec::with_capacity(batch.appends.len());
        for append in &mut batch.appends {
            let items = std::mem::take(&mut append.items);
            outcomes.push(match &room {
                Ok(()) => {
                    let Append {
                        connector,
                        stream,
                        cursor,
                        ..
                    } = append;
                    Ok(self
                        .state
                        .append(connection, connector, stream, items, cursor.as_ref(), fresh)?)
                }
                Err(error) => Err(error.clone()),
            });
        }
        Ok(outcomes)
    }

    /// Whether so many new items fit, after trying to make room.
    fn room(
        &mut self,
        connection: &Connection,
        tick: bool,
        coming: usize,
        now: i64,
    ) -> rusqlite::Result<Result<(), JournalError>> {
        if let Err(error) = self.keeper.check(tick) {
            return Ok(Err(error));
        }
        let mut usage = self.limits.usage(connection)?;
        for slice in 0..MAX_SLICES {
            let is_enough = slice * ITEMS_PER_SLICE > coming && !self.limits.over_size(usage);
            if is_enough || !self.limits.is_tight(usage) {
                break;
            }
            let sweeps = &mut self.sweeps.lock();
            let given = self.retention.make_room(connection, &mut self.state, sweeps, now)?;
            let Some((class, count)) = given else { break };
            self.metrics
                .journal_evicted
                .with_label_values(&[class.as_str()])
                .inc_by(count as u64);
            usage = self.limits.usage(connection)?;
        }
        Ok(self.limits.check(usage))
    }

    /// Says once when the journal stops or starts to take new items.
    fn report(&mut self, trouble: Option<&JournalError>) {
        match trouble {
            Some(error) if self.healthy => error!(%error, "journal refuses new items"),
            None if !self.healthy => info!("journal takes new items again"),
            _ => {}
        }
        self.healthy = trouble.is_none();
        self.standing.set_refusal(trouble);
        self.gate.set(trouble);
        self.metrics.journal_writable.set(i64::from(self.healthy));
    }
}

fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}
