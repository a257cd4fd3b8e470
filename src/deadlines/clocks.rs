//! Clocks of messages that are known to be open, inside the writer's transaction.
//!
//! - `watched`: one row per open object (keyed hash of connector and external id): what a reminder says of it. No
//!   citizen's words. One that was closed keeps an empty row, so that an older version that comes late can't open it;
//! - `clock`: one row per object and stage: when it is due and when something is to be told next.
//!
//! Invariants:
//! - telling something (a raw item that waits for publication) and moving the clock on are one transaction: after a
//!   crash either both happened or none;
//! - a reminder has one name per clock, due moment and kind, and the journal stores each name once;
//! - a version older than the newest known one changes nothing;
//! - while old items wait to be decided nothing is told: the answer may be among them. Those that were decided and wait for
//!   their queue hold nothing up.

use bytes::Bytes;
use jiff::Timestamp;
use priem_sdk::{Item, contract::ConnectorId};
use rusqlite::{Connection, OptionalExtension, params};

use crate::journal::{Job, Look, Slices, Sweep, Transaction};

/// Connector of the items that the journal makes itself. No configured name can have a dot.
pub const CONNECTOR: &str = "priem.deadlines";
/// Shape of their bodies.
pub const FORMAT: &str = "priem.deadline";
/// Their stream.
const STREAM: &str = "clocks";
const DAY_MICROSECONDS: i64 = 86_400_000_000;
/// Clocks told in one commit, at most.
const TOGETHER: usize = 256;
/// Items that wait longer than this to be decided hold reminders back.
const BACKLOG_MICROSECONDS: i64 = 300_000_000;

/// What a decided message says about the clocks of its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Connector; with the external id it names the object.
    pub connector: String,
    /// External id.
    pub external_id: String,
    /// [`crate::journal::Record::seq`] of the version: a higher one is newer.
    pub seq: i64,
    /// Whether versions of the object came before this one.
    pub came_before: bool,
    /// Open or not.
    pub state: WatchedState,
}

/// Whether an object waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchedState {
    /// It does.
    Open {
        /// What a reminder says of it, JSON.
        subject: Bytes,
        /// Its clocks, one per stage.
        clocks: Vec<Clock>,
    },
    /// Answered, closed, given away or removed.
    Ended,
}

/// A clock. Moments are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    /// Stage on the wire.
    pub stage: &'static str,
    /// When it runs out.
    pub due_at: i64,
    /// When to tell that it will.
    pub approach_at: i64,
    /// When to tell something for the first time; `None` for what ran out too long ago.
    pub first: Option<i64>,
    /// The [`priem_sdk::message::Deadline`] as JSON.
    pub deadline: Bytes,
}

/// Which reminders are wanted; the others are passed over in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Before the moment.
    pub approaching: bool,
    /// After it.
    pub overdue: bool,
}

/// What came of a look at the clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Reminders before the moment.
    pub approaching: u64,
    /// Reminders after it.
    pub overdue: u64,
    /// Clocks that are due still: too many at once, or held back.
    pub more: bool,
    /// Old items wait to be decided, nothing was told.
    pub held_back: bool,
}

/// How many clocks run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Running {
    /// Of open objects.
    pub open: i64,
    /// Of these, past their moment.
    pub overdue: i64,
}

/// Notes how objects stand. `ended` learns of a commit with it.
pub(super) struct Note<F> {
    pub(super) watched: Vec<Watched>,
    pub(super) noted: F,
}

impl<F: FnMut() + Clone + Send + 'static> Job for Note<F> {
    type Answer = ();

    const NAME: &'static str = "note the clocks of messages";

    fn weight(&self) -> usize {
        self.watched.len()
    }

    fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<()> {
        self.watched.iter().try_for_each(|watched| watch(transaction, watched))
    }

    fn ended(&mut self, committed: bool) {
        if committed {
            (self.noted)();
        }
    }

    fn halve(&mut self) -> Option<Self> {
        let half = self.watched.len() / 2;
        (half > 0).then(|| Self {
            watched: self.watched.split_off(half),
            noted: self.noted.clone(),
        })
    }

    fn items(&self) -> Vec<i64> {
        self.watched.iter().map(|watched| watched.seq).collect()
    }
}

/// Stores the reminders that are due at a moment, as items that wait for publication.
pub(super) struct Tell {
    /// Microseconds since 1970.
    pub(super) at: i64,
    pub(super) wanted: Wanted,
    /// Position up to which items were decided: their clocks are known.
    pub(super) decided_up_to: i64,
}

impl Job for Tell {
    type Answer = Told;

    const NAME: &'static str = "tell of deadlines";

    const STORES_ITEMS: bool = true;

    fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<Told> {
        let (items, told) = self.tell(transaction.connection(), transaction.now())?;
        if !items.is_empty() {
            transaction.append(&ConnectorId::new(CONNECTOR), STREAM, items)?;
        }
        Ok(told)
    }
}

/// When something is to be told next.
pub(super) struct Next;

impl Look for Next {
    type Answer = Option<i64>;

    fn look(&self, reader: &Connection) -> rusqlite::Result<Option<i64>> {
        reader
            .prepare_cached("SELECT min(tell_at) FROM clock WHERE tell_at IS NOT NULL")?
            .query_row([], |row| row.get(0))
    }
}

/// How many clocks run at a moment, microseconds since 1970.
pub(super) struct Count {
    pub(super) at: i64,
}

impl Look for Count {
    type Answer = Running;

    fn look(&self, reader: &Connection) -> rusqlite::Result<Running> {
        reader
            .prepare_cached(
                "SELECT running, told + (SELECT count(*) FROM (SELECT 1 FROM clock WHERE tell_at <= ?1 AND due_at <= ?1 \
                 LIMIT 10000)) FROM clock_count",
            )?
            .query_row([self.at], |row| {
                Ok(Running {
                    open: row.get(0)?,
                    overdue: row.get(1)?,
                })
            })
    }
}

/// Forgets objects `days` after the last of their clocks ran out.
pub(super) struct Forget {
    days: u32,
    watched: Slices,
}

impl Forget {
    pub(super) fn after(days: u32) -> Self {
        Self {
            days,
            watched: Slices::new("watched", "object", "until"),
        }
    }
}

impl Sweep for Forget {
    fn sweep(&mut self, connection: &Connection, now: i64) -> rusqlite::Result<()> {
        let before = now - i64::from(self.days) * DAY_MICROSECONDS;
        self.watched.forget(connection, before).map(drop)
    }
}

/// Notes how an object stands.
fn watch(transaction: &Transaction<'_>, watched: &Watched) -> rusqlite::Result<()> {
    let (connection, now) = (transaction.connection(), transaction.now());
    let parts = [
        &b"deadline"[..],
        watched.connector.as_bytes(),
        watched.external_id.as_bytes(),
    ];
    let object = transaction.hash(&parts);
    let known: Option<i64> = connection
        .prepare_cached("SELECT seq FROM watched WHERE object = ?1")?
        .query_row([&object[..]], |row| row.get(0))
        .optional()?;
    if known.is_some_and(|seq| seq > watched.seq) {
        return Ok(());
    }
    let (subject, clocks): (&[u8], &[Clock]) = match &watched.state {
        WatchedState::Open { subject, clocks } => (subject, clocks),
        WatchedState::Ended => (b"", &[]),
    };
    if known.is_none() && clocks.is_empty() && !watched.came_before {
        return Ok(());
    }
    let until = clocks
        .iter()
        .map(|clock| clock.due_at)
        .max()
        .map_or(now, |due| due.max(now));
    connection
        .prepare_cached(
            "INSERT INTO watched VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET \
             seq = excluded.seq, subject = excluded.subject, until = excluded.until",
        )?
        .execute(params![
            &object[..],
            watched.seq,
            watched.connector,
            watched.external_id,
            subject,
            until
        ])?;
    let mut select = connection.prepare_cached("SELECT stage FROM clock WHERE object = ?1")?;
    let stages: Vec<String> = select
        .query_map([&object[..]], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for stage in stages
        .iter()
        .filter(|stage| clocks.iter().all(|clock| clock.stage != **stage))
    {
        connection
            .prepare_cached("DELETE FROM clock WHERE object = ?1 AND stage = ?2")?
            .execute(params![&object[..], stage])?;
    }
    // A clock with the same moment goes on where it is; only an approach not told yet may move.
    let mut upsert = connection.prepare_cached(
        "INSERT INTO clock VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET \
         tell_at = CASE WHEN due_at <> excluded.due_at THEN excluded.tell_at \
         WHEN tell_at < due_at THEN min(excluded.approach_at, due_at) ELSE tell_at END, \
         approach_at = excluded.approach_at, due_at = excluded.due_at, deadline = excluded.deadline",
    )?;
    for clock in clocks {
        upsert.execute(params![
            &object[..],
            clock.stage,
            clock.due_at,
            clock.approach_at,
            clock.first,
            &clock.deadline[..]
        ])?;
    }
    Ok(())
}

/// A clock at which something is to be told.
struct Due {
    object: Vec<u8>,
    stage: String,
    due_at: i64,
    connector: String,
    external_id: String,
    subject: Vec<u8>,
    deadline: Vec<u8>,
}

impl Tell {
    /// Moves the clocks on that are due, and gives what is to be told: the caller stores it in the same transaction.
    /// `real_now` is the clock that items are stored by.
    fn tell(&self, connection: &Connection, real_now: i64) -> rusqlite::Result<(Vec<Item>, Told)> {
        let (now, wanted) = (self.at, self.wanted);
        let oldest: Option<i64> = connection
            .prepare_cached(
                "SELECT r.received_at FROM pending p JOIN raw r ON r.seq = p.seq WHERE p.position > ?1 \
             ORDER BY p.position LIMIT 1",
            )?
            .query_row([self.decided_up_to], |row| row.get(0))
            .optional()?;
        if oldest.is_some_and(|at| at < real_now - BACKLOG_MICROSECONDS) {
            let told = Told {
                more: true,
                held_back: true,
                ..Told::default()
            };
            return Ok((Vec::new(), told));
        }
        let mut select = connection.prepare_cached(
            "SELECT c.object, c.stage, c.due_at, w.connector, w.external_id, w.subject, c.deadline FROM clock c \
         JOIN watched w ON w.object = c.object WHERE c.tell_at <= ?1 ORDER BY c.tell_at LIMIT ?2",
        )?;
        let due: Vec<Due> = select
            .query_map(params![now, TOGETHER as i64], |row| {
                Ok(Due {
                    object: row.get(0)?,
                    stage: row.get(1)?,
                    due_at: row.get(2)?,
                    connector: row.get(3)?,
                    external_id: row.get(4)?,
                    subject: row.get(5)?,
                    deadline: row.get(6)?,
                })
            })?
            .collect::<rusqlite::Result<_>>()?;
        let mut told = Told {
            more: due.len() == TOGETHER,
            ..Told::default()
        };
        let mut items = Vec::new();
        for clock in due {
            let is_overdue = clock.due_at <= now;
            let next = (!is_overdue).then_some(clock.due_at);
            connection
                .prepare_cached("UPDATE clock SET tell_at = ?3 WHERE object = ?1 AND stage = ?2")?
                .execute(params![clock.object, clock.stage, next])?;
            if is_overdue && wanted.overdue {
                told.overdue += 1;
                items.push(item(&clock, "overdue", now));
            } else if !is_overdue && wanted.approaching {
                told.approaching += 1;
                items.push(item(&clock, "approaching", now));
            }
        }
        Ok((items, told))
    }
}

/// The raw item of a reminder. Everything in it is decided here, so that it is published alike however often.
fn item(clock: &Due, kind: &str, now: i64) -> Item {
    let due_at = Timestamp::from_microsecond(clock.due_at).unwrap_or(Timestamp::MAX);
    let mut body = format!("{{\"kind\":\"{kind}\",\"at\":{now},\"deadline\":").into_bytes();
    body.extend_from_slice(&clock.deadline);
    body.extend_from_slice(b",\"subject\":");
    body.extend_from_slice(&clock.subject);
    body.push(b'}');
    Item {
        external_id: format!("{}/{}", clock.connector, clock.external_id),
        revision: Some(format!("{}@{due_at}/{kind}", clock.stage)),
        fingerprint: None,
        conversation: None,
        format: FORMAT,
        body: body.into(),
        problem: None,
    }
}

#[cfg(test)]
mod tests;
