//! Reading stored items back.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use priem_sdk::{RawItem, contract::ConnectorId};
use rusqlite::{Connection, Row, params};

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

/// Pending items after a position, in order, at most `limit` and about 4 MB.
pub(super) fn pending_after(
    connection: &Connection,
    position: i64,
    limit: usize,
) -> rusqlite::Result<Vec<Arc<Record>>> {
    const MAX_BYTES: usize = 4 << 20;
    let mut select = connection.prepare_cached(&format!(
        "SELECT p.position, {COLUMNS} FROM pending p JOIN raw r ON r.seq = p.seq JOIN connector c ON c.id = r.connector \
         WHERE p.position > ?1 ORDER BY p.position LIMIT ?2"
    ))?;
    let mut rows = select.query(params![position, limit as i64])?;
    let (mut records, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let record = record(row)?;
        bytes += record.raw.body.len();
        records.push(Arc::new(record));
        if bytes > MAX_BYTES {
            break;
        }
    }
    Ok(records)
}
