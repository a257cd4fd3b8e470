//! What older versions of Priem remembered: `likeness`, a row per key, and `kin`, a row per object. Read while it is
//! there, swept in its time, never written.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::link::{Link, Reason};

/// Whose a key is.
pub(super) struct Owner {
    pub(super) event: Uuid,
    pub(super) cluster: Uuid,
}

/// Statements on tables that nothing is added to; `CHANNELS` runs once a cluster, when its first new message comes.
pub(super) const OWNER: &str =
    "SELECT event_id, cluster FROM likeness WHERE key >= ?1 AND key <= ?2 AND until >= ?3 LIMIT 1";
pub(super) const DECIDED: &str = "SELECT cluster, of, reason, before FROM kin WHERE object = ?1";
pub(super) const CHANNELS: &str =
    "SELECT DISTINCT channel FROM kin WHERE cluster = ?1 ORDER BY channel /* walks: an old cluster, once */";

/// Hashes of the keys whose window lasts.
pub(super) fn keys(connection: &Connection, now: i64, mut each: impl FnMut(u64)) -> rusqlite::Result<()> {
    let mut select =
        connection.prepare("SELECT key FROM likeness WHERE until >= ?1 /* walks: old keys, at the start */")?;
    let mut rows = select.query([now])?;
    while let Some(row) = rows.next()? {
        if let Some(start) = row.get_ref(0)?.as_blob().unwrap_or_default().first_chunk() {
            each(u64::from_be_bytes(*start));
        }
    }
    Ok(())
}

/// The newest item that may have been judged by an older version; 0 when there is no decision of one.
pub(super) fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    let some: bool = connection.query_row("SELECT EXISTS (SELECT 1 FROM kin WHERE object >= x'')", [], |row| {
        row.get(0)
    })?;
    if !some {
        return Ok(0);
    }
    let newest = "SELECT value FROM meta WHERE key = 'judged_anew_after'";
    Ok(connection
        .query_row(newest, [], |row| row.get(0))
        .optional()?
        .unwrap_or(0))
}

/// Whose a key is at a moment.
pub(super) fn owner(connection: &Connection, key: u64, at: i64) -> rusqlite::Result<Option<Owner>> {
    let mut range = [[0; 16], [0xff; 16]];
    for end in &mut range {
        end[..8].copy_from_slice(&key.to_be_bytes());
    }
    connection
        .prepare_cached(OWNER)?
        .query_row(params![&range[0][..], &range[1][..], at], |row| {
            Ok(Owner {
                event: uuid(&row.get::<_, Vec<u8>>(0)?),
                cluster: uuid(&row.get::<_, Vec<u8>>(1)?),
            })
        })
        .optional()
}

/// What was decided about an object: `Some(None)` when it repeats nothing.
pub(super) fn decided(connection: &Connection, object: &[u8; 16]) -> rusqlite::Result<Option<Option<Link>>> {
    connection
        .prepare_cached(DECIDED)?
        .query_row([&object[..]], |row| {
            let (of, reason): (Option<Vec<u8>>, Option<String>) = (row.get(1)?, row.get(2)?);
            let (Some(of), Some(reason)) = (of, reason.as_deref().and_then(Reason::named)) else {
                return Ok(None);
            };
            let before: String = row.get::<_, Option<String>>(3)?.unwrap_or_default();
            Ok(Some(Link {
                cluster: uuid(&row.get::<_, Vec<u8>>(0)?),
                of: uuid(&of),
                reason,
                channels: before.lines().map(str::to_owned).collect(),
            }))
        })
        .optional()
}

/// Channels of all that belong to a cluster, in the order of their names.
pub(super) fn channels(connection: &Connection, cluster: &Uuid) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare_cached(CHANNELS)?;
    let channels = select.query_map([&cluster.as_bytes()[..]], |row| row.get(0))?;
    channels.collect()
}

fn uuid(bytes: &[u8]) -> Uuid {
    Uuid::from_slice(bytes).unwrap_or_default()
}
