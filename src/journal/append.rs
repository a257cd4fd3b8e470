//! Storing items: raw bytes, identity and cursor, inside the writer's transaction.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use priem_sdk::{Cursor, Item, RawItem, contract::ConnectorId};
use rusqlite::{Connection, params};

use super::{
    Appended, Record,
    clock::Now,
    dedupe::{self, HashKey, Verdict},
    keys::Shelf,
    ledger::Ledger,
    superseded,
};

/// Bytes a stored item takes beside its body and external id, about.
const ROW_BYTES: i64 = 100;

/// Bytes a stored item takes, about: what is added when it comes and taken off when it goes.
pub(super) fn item_bytes(external_id: usize, body: i64) -> i64 {
    ROW_BYTES + external_id as i64 + body
}

/// What the writer knows between commits.
pub(super) struct AppendState {
    pub(super) hash_key: HashKey,
    pub(super) ledger: Ledger,
    connectors: HashMap<ConnectorId, i64>,
    /// The time of the commit.
    pub(super) now: Now,
    /// Number of the newest item, also of one in a transaction that is not committed yet.
    pub(super) newest: i64,
}

/// Items of one stream that are stored together.
pub(super) struct Incoming<'a> {
    pub(super) connector: &'a ConnectorId,
    pub(super) stream: &'a Arc<str>,
    pub(super) items: &'a [Item],
    /// As of when the source speaks, when it says so; only compared with another such number.
    pub(super) as_of: Option<i64>,
    pub(super) cursor: Option<&'a Cursor>,
}

impl AppendState {
    /// Reads what is needed from the journal.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            hash_key: dedupe::hash_key(connection)?,
            ledger: Ledger::load(connection)?,
            connectors: HashMap::new(),
            now: Now::default(),
            newest: 0,
        })
    }

    /// Forgets what a rolled-back transaction may have made up.
    pub(super) fn after_rollback(&mut self, newest: i64) {
        self.connectors.clear();
        self.newest = newest;
        self.ledger.after_rollback();
    }

    fn connector_number(&mut self, connection: &Connection, connector: &ConnectorId) -> rusqlite::Result<i64> {
        if let Some(number) = self.connectors.get(connector) {
            return Ok(*number);
        }
        connection.execute(
            "INSERT INTO connector (name) VALUES (?1) ON CONFLICT DO NOTHING",
            [connector.as_str()],
        )?;
        let number = connection.query_row(
            "SELECT id FROM connector WHERE name = ?1",
            [connector.as_str()],
            |row| row.get(0),
        )?;
        self.connectors.insert(connector.clone(), number);
        Ok(number)
    }

    /// Stores the items that are new and the cursor. New items that wait for publication are pushed to `fresh`.
    pub(super) fn append(
        &mut self,
        connection: &Connection,
        incoming: &Incoming<'_>,
        fresh: &mut Vec<Arc<Record>>,
    ) -> rusqlite::Result<Appended> {
        let &Incoming {
            connector,
            stream,
            items,
            as_of,
            cursor,
        } = incoming;
        let number = self.connector_number(connection, connector)?;
        let (now, wall) = (self.now.stamp, self.now.wall);
        // As it will be read back: an item published from memory and again from disk must be the same to the byte.
        let received_at = Timestamp::from_microsecond(wall).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut appended = Appended::default();
        let mut store = connection.prepare_cached(
            "INSERT INTO raw (connector, stream, external_id, revision, ordinal, conversation, format, received_at, \
             body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        let mut wait = connection.prepare_cached("INSERT INTO pending (seq) VALUES (?1)")?;
        for item in items {
            let verdict = dedupe::admit(connection, &self.hash_key, connector.as_str(), item, as_of, now)?;
            let (verdict, needless) = superseded::judge(connection, number, item, verdict)?;
            for seq in &needless {
                superseded::mark(connection, &mut self.ledger, *seq, now)?;
            }
            appended.superseded += needless.len();
            let (revision, ordinal) = match verdict {
                Verdict::New { revision, ordinal } => (revision, ordinal),
                Verdict::Seen => {
                    appended.seen += 1;
                    continue;
                }
                Verdict::Unchanged => {
                    appended.unchanged += 1;
                    continue;
                }
                Verdict::Older => {
                    appended.older += 1;
                    continue;
                }
            };
            store.execute(params![
                number,
                &**stream,
                item.external_id,
                revision,
                ordinal,
                item.conversation,
                item.format,
                wall,
                &item.body[..]
            ])?;
            let seq = connection.last_insert_rowid();
            self.newest = seq;
            let key = dedupe::item_key(&self.hash_key, &item.external_id);
            self.ledger.keys.note(Shelf::Items, key, seq);
            self.ledger.counts.raw += 1;
            self.ledger.counts.raw_bytes += item_bytes(item.external_id.len(), item.body.len() as i64);
            if let Some(problem) = &item.problem {
                hold(connection, seq, "quarantined", problem.reason, &problem.why, now)?;
                appended.quarantined.push(problem.reason);
                continue;
            }
            wait.execute([seq])?;
            self.ledger.counts.pending += 1;
            appended.new += 1;
            fresh.push(Arc::new(Record {
                position: connection.last_insert_rowid(),
                seq,
                stream: Arc::clone(stream),
                conversation: item.conversation.clone(),
                raw: RawItem {
                    connector: connector.clone(),
                    external_id: item.external_id.clone(),
                    revision,
                    ordinal,
                    format: item.format.to_owned(),
                    body: item.body.clone(),
                    received_at,
                },
            }));
        }
        if let Some(cursor) = cursor {
            connection
                .prepare_cached(
                    "INSERT INTO cursor VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT DO UPDATE SET value = excluded.value, at = excluded.at",
                )?
                .execute(params![number, &**stream, cursor.0, now])?;
        }
        Ok(appended)
    }
}

/// Puts an item on hold for a person.
pub(super) fn hold(
    connection: &Connection,
    seq: i64,
    kind: &str,
    reason: &str,
    why: &str,
    now: i64,
) -> rusqlite::Result<()> {
    // Not `OR REPLACE`: what is replaced would not be counted off.
    connection
        .prepare_cached("DELETE FROM held WHERE seq = ?1")?
        .execute([seq])?;
    connection
        .prepare_cached("INSERT INTO held VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![seq, kind, reason, why, now])?;
    Ok(())
}
