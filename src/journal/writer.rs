//! The one thread that writes: takes whatever waits, puts it into one transaction, commits, answers everybody.
//!
//! Invariants:
//! - nobody is answered before the commit;
//! - when the store is at fault (disk, locks, memory), everybody who waits is answered with its error, and settlements and
//!   owed jobs are kept for the next commit;
//! - what fails for itself or panics is taken out, and the others are done without it: the pieces before it, it alone, and
//!   those behind it, each in a transaction of their own. Whoever waits for it hears its error. An end that can't be
//!   recorded even so puts its item into quarantine; an owed job is halved until what is at fault is alone, and given up;
//! - what fails in a row is not at fault itself: beyond `MOST_FAILED` what is owed is kept until some of it succeeds;
//! - the thread never ends before the last sender is gone.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::{
    JournalError, Record, Settlement,
    append::AppendState,
    debts::Places,
    fault::{Fault, Place, at, part},
    job::{Transaction, Work},
    keeper::Keeper,
    limits::{FullFlag, Limits},
    piece::{Append, Piece},
    retention::Retention,
    settle::settle,
    sweep::Sweep,
    tail::Tail,
    turns::Turns,
    writer_state::WriterState,
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
/// Owed things that fail for themselves one after the other, at most, before it is taken for a fault of the store.
const MOST_FAILED: usize = 64;

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
    pieces: Vec<Piece>,
    flushes: Vec<oneshot::Sender<Result<(), JournalError>>>,
    tick: bool,
}

/// What a transaction found and did.
#[derive(Default)]
struct Written {
    fresh: Vec<Arc<Record>>,
    /// Ends recorded.
    ended: i64,
    /// Whether new items fit, when somebody wanted to know.
    room: Option<Result<(), JournalError>>,
}

/// State of the writer thread.
pub(super) struct Writer {
    pub(super) state: AppendState,
    pub(super) limits: Limits,
    pub(super) retention: Retention,
    pub(super) tail: Arc<Tail>,
    pub(super) metrics: Metrics,
    /// Settlements and owed jobs whose commit failed.
    pub(super) owed: Vec<Piece>,
    /// Room that these and the new ones take, given back when all of them are done.
    pub(super) places: Vec<Places>,
    /// Owed things that failed for themselves since one was done.
    pub(super) failed: usize,
    /// Forget what is of no use any more, in tables of others.
    pub(super) sweeps: Arc<Mutex<Vec<Box<dyn Sweep>>>>,
    pub(super) keeper: Keeper,
    /// How this thread stands, for those who may not wait for it.
    pub(super) writer_state: Arc<WriterState>,
    pub(super) healthy: bool,
    /// Set while the journal is full.
    pub(super) full: Arc<FullFlag>,
    pub(super) turns: Arc<Turns>,
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
        if !self.owed.is_empty() {
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
                batch.pieces.push(Piece::Append(append, None));
                return items;
            }
            Command::Settle(settlements, places) => {
                let items = settlements.len();
                self.places.push(places);
                batch.pieces.extend(settlements.into_iter().map(Piece::End));
                return items;
            }
            Command::Ask(job) => {
                let items = job.weight();
                batch.pieces.push(match job.stores_items() {
                    true => Piece::Storing(job, Ok(())),
                    false => Piece::Asked(job),
                });
                return items;
            }
            Command::Owe(job, places) => {
                let items = job.weight();
                self.places.push(places);
                batch.pieces.push(Piece::Owed(job));
                return items;
            }
            Command::Flush(reply) => batch.flushes.push(reply),
            Command::Tick => batch.tick = true,
        }
        0
    }

    /// One transaction for the whole batch, then everybody is answered; several, when something in it fails for itself.
    fn commit(&mut self, connection: &Connection, batch: Batch) {
        let mut pieces = std::mem::take(&mut self.owed);
        pieces.extend(batch.pieces);
        if batch.tick {
            pieces.push(Piece::Tick);
            pieces.extend((0..self.sweeps.lock().len()).map(Piece::Sweep));
        }
        // Nobody sends now, perhaps because nothing is taken: find out ourselves.
        if (batch.tick || !self.healthy) && !pieces.iter().any(|piece| matches!(piece, Piece::Append(..))) {
            pieces.push(Piece::Probe);
        }
        pieces.sort_by_key(Piece::rank);
        // What everybody who waits hears; what is told of the journal.
        let (mut trouble, mut lasting) = (None, None);
        let mut groups = VecDeque::from([pieces]);
        while let Some(mut group) = groups.pop_front() {
            let Err(fault) = self.transact(connection, &mut group, batch.tick) else {
                for piece in group {
                    if matches!(piece, Piece::Owed(_) | Piece::End(_)) {
                        self.failed = 0;
                    }
                    piece.done();
                }
                continue;
            };
            if fault.is_of_the_store() {
                let error = fault.error();
                self.metrics.journal_errors.inc();
                self.report(Some(&error));
                let all = group.into_iter().chain(groups.drain(..).flatten());
                self.owed.extend(all.filter_map(|piece| piece.refused(&error)));
                trouble = Some(error);
            } else if group.len() > 1 {
                part(group, fault.place, &mut groups);
            } else if let Some(piece) = group.pop() {
                let error = self.fail(piece, &fault, &mut groups);
                lasting = error.or(lasting);
            }
        }
        lasting = trouble.clone().or(lasting);
        if lasting.is_some() {
            self.report(lasting.as_ref());
        }
        if self.owed.is_empty() {
            self.places.clear();
        } else {
            trouble = lasting;
        }
        for reply in batch.flushes {
            let _ = reply.send(trouble.clone().map_or(Ok(()), Err));
        }
    }

    /// A piece can't be done, although it was alone. Gives the error when it is none of its own after all.
    fn fail(&mut self, piece: Piece, fault: &Fault, groups: &mut VecDeque<Vec<Piece>>) -> Option<JournalError> {
        let is_of_all = matches!(fault.place, Place::Room(_));
        let why = fault.why();
        if piece.is_owed() {
            self.failed += 1;
            if self.failed > MOST_FAILED {
                self.metrics.journal_jobs_failed.inc();
                // The others come first the next time, so that each has its turn.
                for group in groups {
                    self.owed.extend(group.extract_if(.., |piece| piece.is_owed()));
                }
                self.owed.push(piece);
                return Some(JournalError::Unavailable { why });
            }
        }
        let instead = piece.failed(&why);
        // The halves of a job are counted when one of them fails alone.
        if !matches!(instead[..], [Piece::Owed(_), _]) {
            self.metrics.journal_jobs_failed.inc();
        }
        for piece in instead.into_iter().rev() {
            groups.push_front(vec![piece]);
        }
        is_of_all.then_some(JournalError::Unavailable { why })
    }

    /// One transaction. When it fails, nothing of it holds.
    fn transact(&mut self, connection: &Connection, pieces: &mut [Piece], tick: bool) -> Result<(), Fault> {
        let started = Instant::now();
        self.writer_state.begin();
        let mut written = Written::default();
        let result = self.write(connection, pieces, tick, &mut written);
        if result.is_err() && !connection.is_autocommit() {
            // A rollback that fails leaves a transaction open, which the next BEGIN reports.
            let _ = execute(connection, "ROLLBACK");
        }
        self.writer_state.end();
        if let Err(fault) = result {
            self.state.after_rollback(self.keeper.promise.seq);
            pieces.iter_mut().for_each(Piece::taken_back);
            return Err(fault);
        }
        let Written { mut fresh, ended, room } = written;
        self.keeper.promised(self.state.newest);
        if tick {
            self.keeper.write();
        }
        self.metrics.pending.add(fresh.len() as i64 - ended);
        self.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
        if !fresh.is_empty() {
            self.metrics.commit_items.observe(fresh.len() as f64);
        }
        self.state.ledger.after_commit();
        self.tail.push(&mut fresh);
        if let Some(room) = &room {
            self.report(room.as_ref().err());
        }
        Ok(())
    }

    /// Everything inside the transaction, from its beginning to the commit.
    fn write(
        &mut self,
        connection: &Connection,
        pieces: &mut [Piece],
        tick: bool,
        written: &mut Written,
    ) -> Result<(), Fault> {
        let turn = self.turns.take();
        let begun = execute(connection, "BEGIN IMMEDIATE");
        drop(turn);
        at(Place::Store, || begun)?;
        self.state.now = self.keeper.now();
        let coming = pieces.iter().map(Piece::coming).sum();
        for (number, piece) in pieces.iter_mut().enumerate() {
            if piece.needs_room() && written.room.is_none() {
                written.room = Some(at(Place::Room(number), || self.room(connection, tick, coming))?);
            }
            at(Place::Piece(number), || self.run_piece(connection, piece, written))?;
        }
        at(Place::Ledger, || self.state.ledger.write(connection))?;
        at(Place::Store, || execute(connection, "COMMIT"))
    }

    fn run_piece(&mut self, connection: &Connection, piece: &mut Piece, written: &mut Written) -> rusqlite::Result<()> {
        let Written { fresh, ended, room } = written;
        let now = self.state.now.stamp;
        match piece {
            Piece::Asked(job) | Piece::Owed(job) => {
                job.run(&mut Transaction::new(connection, &mut self.state, fresh, now))
            }
            Piece::End(settlement) | Piece::Unrecorded(settlement) => {
                self.retention.look_again();
                *ended += 1;
                settle(connection, &mut self.state.ledger, settlement, now)
            }
            Piece::Tick => {
                let until = self.keeper.tick(connection)?.sweep;
                self.retention.sweep(connection, &mut self.state, until)
            }
            Piece::Sweep(number) => match self.sweeps.lock().get_mut(*number) {
                Some(sweep) => sweep.sweep(connection, self.keeper.now().sweep),
                None => Ok(()),
            },
            Piece::Storing(job, allowed) => {
                *allowed = room.clone().unwrap_or(Ok(()));
                match allowed {
                    Ok(()) => job.run(&mut Transaction::new(connection, &mut self.state, fresh, now)),
                    Err(_) => Ok(()),
                }
            }
            Piece::Append(append, outcome) => {
                let stored = match room {
                    Some(Err(error)) => Err(error.clone()),
                    _ => Ok(self.state.append(connection, &append.incoming(), fresh)?),
                };
                *outcome = Some(stored);
                Ok(())
            }
            // When it was bad, with a real write.
            Piece::Probe if !self.healthy => {
                execute(connection, "INSERT OR REPLACE INTO meta VALUES ('probe', unixepoch())")
            }
            Piece::Probe => Ok(()),
        }
    }

    /// Whether so many new items fit, after trying to make room.
    fn room(
        &mut self,
        connection: &Connection,
        tick: bool,
        coming: usize,
    ) -> rusqlite::Result<Result<(), JournalError>> {
        let now = self.state.now.stamp;
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
        self.writer_state.set_refusal(trouble);
        self.full.set(trouble);
        self.metrics.journal_writable.set(i64::from(self.healthy));
    }
}

fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}
