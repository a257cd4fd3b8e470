//! Everything that is stored, as JSON lines. Read in slices with a statement each: a reader that waits (`| less`) holds
//! no snapshot, so the write-ahead log does not grow behind it. Around damage the items are read one by one.

use std::io::Write;

use super::{JournalError, Record, mark, read, store::Store};
use crate::visible::JsonWriter;

/// Items in a slice.
const SLICE: usize = 512;

/// What an export gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Items written.
    pub items: u64,
    /// Numbers whose items can't be read because the file is damaged there. Some may have been removed long before.
    pub unreadable: u64,
}

impl Store {
    /// Writes every raw item as one JSON line, oldest first, also those around damaged places of the file. Holds
    /// personal data, unless it is masked: then only sizes are told of bodies, and nothing of ids and conversations,
    /// which may be those of people.
    ///
    /// # Errors
    /// When the journal can't be read at all or the output not written.
    pub fn export(&self, out: &mut dyn Write, masked: bool) -> anyhow::Result<Exported> {
        let mut out = JsonWriter(out);
        let mut exported = Exported::default();
        let mut last = 0;
        loop {
            match read::raw_after(&self.connection, last, SLICE) {
                Ok(records) => {
                    let Some(end) = records.last() else { return Ok(exported) };
                    last = end.seq;
                    for record in &records {
                        out.line(&line(record, masked))?;
                    }
                    exported.items += records.len() as u64;
                }
                Err(error) if is_damage(&error) => {
                    let newest = self.newest_despite_damage(error)?;
                    if last >= newest {
                        return Ok(exported);
                    }
                    let end = newest.min(last + SLICE as i64);
                    for seq in last + 1..=end {
                        match read::raw_despite_damage(&self.connection, seq) {
                            Ok(Some(record)) => {
                                out.line(&line(&record, masked))?;
                                exported.items += 1;
                            }
                            Ok(None) => {}
                            Err(error) if is_damage(&error) => exported.unreadable += 1,
                            Err(error) => return Err(JournalError::from(error).into()),
                        }
                    }
                    last = end;
                }
                Err(error) => return Err(JournalError::from(error).into()),
            }
        }
    }

    /// Number of the newest item, from whatever still tells it.
    fn newest_despite_damage(&self, error: rusqlite::Error) -> Result<i64, JournalError> {
        let told = self.newest_seq().ok().filter(|newest| *newest > 0);
        let marked = || mark::look(self.folder()).map(|promise| promise.seq);
        told.or_else(marked).ok_or_else(|| JournalError::from(error))
    }
}

/// Whether only what was asked for can't be read: damaged pages, bad sectors, values that can't be.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::{Error, ErrorCode};
    match error {
        Error::SqliteFailure(error, _) => {
            matches!(error.code, ErrorCode::DatabaseCorrupt | ErrorCode::SystemIoFailure)
        }
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..) => true,
        _ => false,
    }
}

fn line(record: &Record, masked: bool) -> serde_json::Value {
    let raw = &record.raw;
    let body = match std::str::from_utf8(&raw.body) {
        _ if masked => serde_json::json!({ "length": raw.body.len() }),
        Ok(text) => serde_json::json!({ "text": text }),
        Err(_) => serde_json::json!({ "bytes": &raw.body[..] }),
    };
    serde_json::json!({
        "seq": record.seq,
        "connector": raw.connector.as_str(),
        "stream": &*record.stream,
        "external_id": if masked { "***" } else { raw.external_id.as_str() },
        "revision": raw.revision,
        "ordinal": raw.ordinal,
        "format": raw.format,
        "received_at": raw.received_at.to_string(),
        "body": body,
    })
}
