//! Reading stored items back.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use priem_sdk::{RawItem, contract::ConnectorId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Record;

/// Columns that [`record`] reads, from `raw r` joined with `connector c`; the first one is the position.
pub(super) const COLUMNS: &str = "r.seq, c.name, r.stream, r.external_id, r.revision, r.ordinal, r.conversation, \
                                  r.format, r.received_at, r.body";

/// A record from a row of position and [`COLUMNS`].
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        position: row.get(0)?,
        seq: row.get(1)?,
        stream: Arc::from(row.get_ref(3)?.as_str()?),
        conversation: row.get(7)?,
        raw: RawItem {
            connector: ConnectorId::new(row.get::<_, String>(2)?),
            external_id: row.get(4)?,
            revision: row.get(5)?,
            ordinal: row.get(6)?,
            format: row.get(8)?,
            received_at: Timestamp::from_microsecond(row.get(9)?).unwrap_or(Timestamp::UNIX_EPOCH),
            body: Bytes::from(row.get::<_, Vec<u8>>(10)?),
        },
    })
}

/// Most bytes of bodies read at once.
const MAX_BYTES: usize = 4 << 20;

/// Pending items after a position, in order, at most `limit` and about 4 MB.
pub(super) fn pending_after(
    connection: &Connection,
    position: i64,
    limit: usize,
) -> rusqlite::Result<Vec<Arc<Record>>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT p.position, {COLUMNS} FROM pending p JOIN raw r ON r.seq = p.seq JOIN connector c ON c.id = r.connector \
         WHERE p.position > ?1 ORDER BY p.position LIMIT ?2"
    ))?;
    let rows = select.query(params![position, limit as i64])?;
    Ok(take(rows)?.into_iter().map(Arc::new).collect())
}

/// Pending items from a position to another, in order, at most `limit` and about 4 MB.
pub(super) fn pending_between(
    connection: &Connection,
    from: i64,
    until: i64,
    limit: usize,
) -> rusqlite::Result<Vec<Arc<Record>>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT p.position, {COLUMNS} FROM pending p JOIN raw r ON r.seq = p.seq JOIN connector c ON c.id = r.connector \
         WHERE p.position BETWEEN ?1 AND ?2 ORDER BY p.position LIMIT ?3"
    ))?;
    let rows = select.query(params![from, until, limit as i64])?;
    Ok(take(rows)?.into_iter().map(Arc::new).collect())
}

/// Stored items after a number, in order, whether they wait or not.
pub(super) fn raw_after(connection: &Connection, seq: i64, limit: usize) -> rusqlite::Result<Vec<Record>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT 0, {COLUMNS} FROM raw r JOIN connector c ON c.id = r.connector WHERE r.seq > ?1 ORDER BY r.seq LIMIT ?2"
    ))?;
    take(select.query(params![seq, limit as i64])?)
}

/// A stored item by its number.
pub(super) fn raw(connection: &Connection, seq: i64) -> rusqlite::Result<Option<Record>> {
    connection
        .prepare_cached(&format!(
            "SELECT 0, {COLUMNS} FROM raw r JOIN connector c ON c.id = r.connector WHERE r.seq = ?1"
        ))?
        .query_row([seq], record)
        .optional()
}

/// The same, when the names of connectors may be damaged: then its number stands for the name.
pub(super) fn raw_despite_damage(connection: &Connection, seq: i64) -> rusqlite::Result<Option<Record>> {
    raw(connection, seq).or_else(|error| {
        let columns = COLUMNS.replace("c.name", "'connector ' || r.connector");
        let query = format!("SELECT 0, {columns} FROM raw r WHERE r.seq = ?1");
        let mut select = connection.prepare_cached(&query)?;
        let found = select.query_row([seq], record).optional();
        found.map_err(|_| error)
    })
}

/// Records of rows, as many as fit.
fn take(mut rows: rusqlite::Rows<'_>) -> rusqlite::Result<Vec<Record>> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let record = record(row)?;
        bytes += record.raw.body.len();
        records.push(record);
        if bytes > MAX_BYTES {
            break;
        }
    }
    Ok(records)
}
