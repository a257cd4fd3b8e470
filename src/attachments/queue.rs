//! What is to be fetched, what was, and what was given up: a SQLite database beside the files, so that nothing here
//! shares a lock or a commit with the journal.
//!
//! The position in the journal moves in the commit that stores the jobs found up to it. A job stays `waiting` until its
//! file is complete on the disk, whatever dies in between. Rows hold what the message holds: no token, no secret address.

use std::{path::Path, time::Duration};

use parking_lot::Mutex;
use priem_sdk::message::Attachment;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::files::ContentHash;

pub(super) const FILE_NAME: &str = "queue.sqlite";
/// Items that could not be normalised and are looked at again; the oldest beyond this are forgotten.
const MOST_UNREADABLE: i64 = 10_000;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS place (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS unreadable (seq INTEGER PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS job (
        event BLOB NOT NULL,
        number INTEGER NOT NULL,
        connector TEXT NOT NULL,
        attachment TEXT NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        due_at INTEGER NOT NULL,
        reason TEXT,
        hash BLOB,
        bytes INTEGER,
        mime TEXT,
        created_at INTEGER NOT NULL,
        PRIMARY KEY (event, number)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS job_due ON job (due_at) WHERE state = 'waiting';
    CREATE INDEX IF NOT EXISTS job_connector_due ON job (connector, due_at) WHERE state = 'waiting';
    CREATE INDEX IF NOT EXISTS job_created ON job (created_at);
    CREATE INDEX IF NOT EXISTS job_hash ON job (hash) WHERE hash IS NOT NULL;
";

/// Names a job, for ever: the reference in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct JobId {
    /// Event of the message.
    pub event: Uuid,
    /// Number of the attachment in it.
    pub number: u32,
}

/// A job found in the journal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NewJob {
    pub id: JobId,
    pub connector: String,
    pub attachment: Attachment,
}

/// A job to work on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Job {
    pub id: JobId,
    pub connector: String,
    pub attachment: Attachment,
    /// Attempts made before.
    pub attempts: u32,
    /// When it was found, milliseconds.
    pub created_at: i64,
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// To be fetched.
    Waiting {
        attempts: u32,
        /// Milliseconds.
        due_at: i64,
        /// Why the last attempt failed.
        reason: Option<String>,
    },
    /// Here.
    Stored {
        hash: ContentHash,
        bytes: u64,
        mime: String,
    },
    /// Never to be here.
    GivenUp { reason: String },
}

/// Counts of the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub waiting: i64,
}

/// The database. Every call blocks for a moment.
pub(super) struct Queue {
    connection: Mutex<Connection>,
}

impl Queue {
    /// Opens the queue in a folder.
    pub fn open(folder: &Path) -> rusqlite::Result<Self> {
        let path = folder.join(FILE_NAME);
        let connection = Connection::open(&path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(TABLES)?;
        // Tells a later version which tables these are.
        connection.pragma_update(None, "user_version", 1)?;
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    /// Everything up to this item of the journal is looked through; `None` before the first look.
    pub fn place(&self) -> rusqlite::Result<Option<i64>> {
        let connection = self.connection.lock();
        connection
            .query_row("SELECT seq FROM place", [], |row| row.get(0))
            .optional()
    }

    /// Stores what was found up to an item, in one commit. Jobs that are known stay as they are.
    pub fn add(&self, jobs: &[NewJob], unreadable: &[i64], place: i64, now: i64) -> rusqlite::Result<()> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction()?;
        for job in jobs {
            insert(&transaction, job, now)?;
        }
        for seq in unreadable {
            transaction.execute("INSERT OR IGNORE INTO unreadable VALUES (?1)", [seq])?;
        }
        transaction.execute(
            "DELETE FROM unreadable WHERE seq <= (SELECT max(seq) FROM unreadable) - ?1 \
             AND (SELECT count(*) FROM unreadable) > ?1",
            [MOST_UNREADABLE],
        )?;
        transaction.execute("INSERT OR REPLACE INTO place VALUES (1, ?1)", [place])?;
        transaction.commit()
    }

    /// Items that could not be normalised, the oldest first.
    pub fn unreadable(&self) -> rusqlite::Result<Vec<i64>> {
        let connection = self.connection.lock();
        let mut select = connection.prepare_cached("SELECT seq FROM unreadable ORDER BY seq")?;
        let rows = select.query_map([], |row| row.get(0))?;
        rows.collect()
    }

    /// An item became readable, or is gone.
    pub fn settle_unreadable(&self, seq: i64, jobs: &[NewJob], now: i64) -> rusqlite::Result<()> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction()?;
        for job in jobs {
            insert(&transaction, job, now)?;
        }
        transaction.execute("DELETE FROM unreadable WHERE seq = ?1", [seq])?;
        transaction.commit()
    }

    /// Jobs that are due: of each connector at most `each`, its longest waiting first, the connectors in turn. So many jobs
    /// of one connector hide none of another, and cost nothing.
    pub fn due(&self, now: i64, each: usize) -> rusqlite::Result<Vec<Job>> {
        let connection = self.connection.lock();
        // One step of the index a connector, however many jobs it has.
        let mut connectors = connection.prepare_cached(
            "WITH RECURSIVE waiting(name) AS ( \
             SELECT min(connector) FROM job WHERE state = 'waiting' UNION ALL \
             SELECT (SELECT min(connector) FROM job WHERE state = 'waiting' AND connector > name) FROM waiting \
             WHERE name IS NOT NULL) SELECT name FROM waiting WHERE name IS NOT NULL",
        )?;
        let connectors = connectors.query_map([], |row| row.get(0))?;
        let connectors: Vec<String> = connectors.collect::<rusqlite::Result<_>>()?;
        let mut select = connection.prepare_cached(
            "SELECT event, number, connector, attachment, attempts, created_at FROM job \
             WHERE state = 'waiting' AND connector = ?1 AND due_at <= ?2 ORDER BY due_at LIMIT ?3",
        )?;
        let mut in_turn = Vec::new();
        for connector in &connectors {
            let limit = i64::try_from(each).unwrap_or(i64::MAX);
            let rows = select.query_map(params![connector, now, limit], job)?;
            for (turn, job) in rows.enumerate() {
                in_turn.push((turn, job?));
            }
        }
        in_turn.sort_by_key(|(turn, _)| *turn);
        Ok(in_turn.into_iter().map(|(_, job)| job).collect())
    }

    /// An attempt failed: try again then.
    pub fn try_again(&self, id: JobId, reason: &str, due_at: i64) -> rusqlite::Result<()> {
        self.connection.lock().execute(
            "UPDATE job SET attempts = attempts + 1, due_at = ?3, reason = ?4 WHERE event = ?1 AND number = ?2",
            params![&id.event.as_bytes()[..], id.number, due_at, reason],
        )?;
        Ok(())
    }

    /// The file is on the disk.
    pub fn stored(&self, id: JobId, hash: &ContentHash, bytes: u64, mime: &str) -> rusqlite::Result<()> {
        self.connection.lock().execute(
            "UPDATE job SET state = 'stored', attempts = attempts + 1, reason = NULL, hash = ?3, bytes = ?4, mime = ?5 \
             WHERE event = ?1 AND number = ?2",
            params![
                &id.event.as_bytes()[..],
                id.number,
                &hash[..],
                i64::try_from(bytes).unwrap_or(i64::MAX),
                mime
            ],
        )?;
        Ok(())
    }

    /// It will not be fetched.
    pub fn give_up(&self, id: JobId, reason: &str) -> rusqlite::Result<()> {
        self.connection.lock().execute(
            "UPDATE job SET state = 'given_up', attempts = attempts + 1, reason = ?3 WHERE event = ?1 AND number = ?2",
            params![&id.event.as_bytes()[..], id.number, reason],
        )?;
        Ok(())
    }

    /// What became of a job; `None` when there is none.
    pub fn state(&self, id: JobId) -> rusqlite::Result<Option<State>> {
        let connection = self.connection.lock();
        let mut select = connection.prepare_cached(
            "SELECT state, attempts, due_at, reason, hash, bytes, mime FROM job WHERE event = ?1 AND number = ?2",
        )?;
        select
            .query_row(params![&id.event.as_bytes()[..], id.number], state)
            .optional()
    }

    /// Forgets jobs found before a moment; the contents nobody names any more.
    pub fn expire(&self, before: i64) -> rusqlite::Result<Vec<ContentHash>> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction()?;
        let gone: Vec<ContentHash> = transaction
            .prepare_cached(
                "SELECT DISTINCT hash FROM job j WHERE created_at < ?1 AND hash IS NOT NULL AND NOT EXISTS \
                 (SELECT 1 FROM job k WHERE k.hash = j.hash AND k.created_at >= ?1)",
            )?
            .query_map([before], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        transaction.execute("DELETE FROM job WHERE created_at < ?1", [before])?;
        transaction.commit()?;
        Ok(gone)
    }

    /// Whether some job names this content.
    pub fn names(&self, hash: &ContentHash) -> rusqlite::Result<bool> {
        let connection = self.connection.lock();
        connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM job WHERE hash = ?1)",
            [&hash[..]],
            |row| row.get(0),
        )
    }

    /// Counts of the moment.
    pub fn counts(&self) -> rusqlite::Result<Counts> {
        let connection = self.connection.lock();
        let waiting = connection.query_row("SELECT count(*) FROM job WHERE state = 'waiting'", [], |row| row.get(0))?;
        Ok(Counts { waiting })
    }
}

fn insert(connection: &Connection, job: &NewJob, now: i64) -> rusqlite::Result<()> {
    let attachment = serde_json::to_string(&job.attachment).unwrap_or_default();
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO job VALUES (?1, ?2, ?3, ?4, 'waiting', 0, ?5, NULL, NULL, NULL, NULL, ?5)",
        )?
        .execute(params![
            &job.id.event.as_bytes()[..],
            job.id.number,
            job.connector,
            attachment,
            now
        ])?;
    Ok(())
}

fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let event: Vec<u8> = row.get(0)?;
    let attachment: String = row.get(3)?;
    Ok(Job {
        id: JobId {
            event: Uuid::from_slice(&event).unwrap_or_default(),
            number: row.get(1)?,
        },
        connector: row.get(2)?,
        attachment: serde_json::from_str(&attachment).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Text, Box::new(error))
        })?,
        attempts: row.get(4)?,
        created_at: row.get(5)?,
    })
}

fn state(row: &Row<'_>) -> rusqlite::Result<State> {
    let name: String = row.get(0)?;
    let reason: Option<String> = row.get(3)?;
    Ok(match name.as_str() {
        "stored" => State::Stored {
            hash: row.get(4)?,
            bytes: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
            mime: row.get(6)?,
        },
        "given_up" => State::GivenUp {
            reason: reason.unwrap_or_default(),
        },
        _ => State::Waiting {
            attempts: row.get(1)?,
            due_at: row.get(2)?,
            reason,
        },
    })
}

#[cfg(test)]
mod tests {
    use priem_sdk::message::AttachmentKind;

    use super::*;

    fn job(number: u32) -> NewJob {
        NewJob {
            id: JobId {
                event: Uuid::from_u128(7),
                number,
            },
            connector: "max".into(),
            attachment: Attachment::new(AttachmentKind::Photo),
        }
    }

    #[test]
    fn jobs_survive_and_are_added_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let queue = Queue::open(folder.path()).expect("a queue");
        assert_eq!(queue.place().expect("a place"), None);
        queue.add(&[job(0), job(1)], &[3], 5, 100).expect("added");
        queue.stored(job(0).id, &[9; 32], 10, "image/jpeg").expect("stored");
        drop(queue);
        let queue = Queue::open(folder.path()).expect("opened again");
        assert_eq!(queue.place().expect("a place"), Some(5));
        assert_eq!(queue.unreadable().expect("a list"), [3]);
        queue.add(&[job(0), job(1)], &[], 6, 200).expect("known jobs");
        let due = queue.due(1000, 10).expect("a list");
        assert_eq!(
            due.iter().map(|job| job.id.number).collect::<Vec<_>>(),
            [1],
            "what is stored stays stored"
        );
        queue.try_again(job(1).id, "busy", 5000).expect("noted");
        assert!(queue.due(4999, 10).expect("a list").is_empty());
        assert_eq!(queue.due(5000, 10).expect("a list")[0].attempts, 1);
        queue.give_up(job(1).id, "gone").expect("noted");
        assert_eq!(
            queue.state(job(1).id).expect("a state"),
            Some(State::GivenUp { reason: "gone".into() })
        );
        assert_eq!(queue.counts().expect("counts").waiting, 0);
    }

    #[test]
    fn connectors_take_turns_however_many_jobs_one_has() {
        let folder = tempfile::tempdir().expect("a folder");
        let queue = Queue::open(folder.path()).expect("a queue");
        let slow: Vec<NewJob> = (0..500).map(job).collect();
        queue.add(&slow, &[], 1, 100).expect("added");
        let of = |connector: &str, number| NewJob {
            connector: connector.into(),
            ..job(number)
        };
        queue
            .add(&[of("vk", 600), of("files", 601), of("vk", 602)], &[], 2, 200)
            .expect("added");
        let due = queue.due(1000, 2).expect("a list");
        let due: Vec<(&str, u32)> = due.iter().map(|job| (job.connector.as_str(), job.id.number)).collect();
        assert_eq!(due, [("files", 601), ("max", 0), ("vk", 600), ("max", 1), ("vk", 602)]);
        assert!(queue.due(99, 2).expect("a list").is_empty());

        let connection = queue.connection.lock();
        let plan = "EXPLAIN QUERY PLAN SELECT event FROM job WHERE state = 'waiting' AND connector = 'max' \
                    AND due_at <= 1 ORDER BY due_at LIMIT 1";
        let plan: String = connection.query_row(plan, [], |row| row.get(3)).expect("a plan");
        assert!(plan.contains("job_connector_due"), "{plan}");
    }

    #[test]
    fn a_content_goes_when_its_last_job_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let queue = Queue::open(folder.path()).expect("a queue");
        queue.add(&[job(0)], &[], 1, 100).expect("added");
        queue.add(&[job(1)], &[], 2, 200).expect("added");
        for number in [0, 1] {
            queue
                .stored(job(number).id, &[9; 32], 10, "image/jpeg")
                .expect("stored");
        }
        assert!(
            queue.expire(150).expect("expired").is_empty(),
            "a later job names it too"
        );
        assert_eq!(queue.state(job(0).id).expect("a state"), None);
        assert_eq!(queue.expire(250).expect("expired"), [[9; 32]]);
        assert!(!queue.names(&[9; 32]).expect("an answer"));
    }
}
