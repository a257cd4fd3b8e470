//! Small facts about the journal itself, in its table `meta`.

use rusqlite::{Connection, OptionalExtension};

const ID: &str = "id";
const CLOCK_BELIEVED: &str = "clock_believed";

/// The name of this journal, the same for ever and in every copy; `None` before a daemon has opened it.
pub(super) fn id(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection
        .query_row("SELECT lower(hex(value)) FROM meta WHERE key = ?1", [ID], |row| {
            row.get(0)
        })
        .optional()
}

/// The name, made up when there is none.
pub(super) fn name(connection: &Connection) -> rusqlite::Result<String> {
    connection.execute("INSERT OR IGNORE INTO meta VALUES (?1, randomblob(16))", [ID])?;
    connection.query_row("SELECT lower(hex(value)) FROM meta WHERE key = ?1", [ID], |row| {
        row.get(0)
    })
}

/// A person says that the clock of the computer is right; the daemon hears it at its next tick.
pub(super) fn believe_clock(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .execute("INSERT OR REPLACE INTO meta VALUES (?1, unixepoch())", [CLOCK_BELIEVED])
        .map(drop)
}

/// Whether a person has said so since the last time.
pub(super) fn take_belief(connection: &Connection) -> rusqlite::Result<bool> {
    let is_there = connection
        .prepare_cached("SELECT 1 FROM meta WHERE key = ?1")?
        .exists([CLOCK_BELIEVED])?;
    if is_there {
        connection.execute("DELETE FROM meta WHERE key = ?1", [CLOCK_BELIEVED])?;
    }
    Ok(is_there)
}
