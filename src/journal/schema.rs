//! Tables of the journal and their numbered migrations. A migration, once released, never changes.
//!
//! - `raw`: every item as the source gave it, until retention removes it;
//! - `pending`: items not yet settled; `position` is their order of publication;
//! - `held`: items waiting for a person (quarantined, or parked because no queue took them);
//! - `decision`: what became of each event of each settled item, for «почему сюда?»; holds no citizen's words;
//! - `seen`: one row per object of a source: which versions were stored. Keyed hashes only, outlives `raw`;
//! - `cursor`: where each stream goes on;
//! - `watched`, `clock`: deadlines of open messages (`deadlines/clocks.rs`). No citizen's words;
//! - `twin`, `link`, `cluster`: what belongs together (`duplicates/memory.rs`); `likeness`, `kin`: the same as older versions
//!   wrote it (`duplicates/old.rs`). Keyed hashes only.

use rusqlite::{Connection, TransactionBehavior};

use super::JournalError;

const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE connector (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE raw (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        connector INTEGER NOT NULL,
        stream TEXT NOT NULL,
        external_id TEXT NOT NULL,
        revision TEXT NOT NULL,
        ordinal INTEGER NOT NULL,
        conversation TEXT,
        format TEXT NOT NULL,
        received_at INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    CREATE TABLE pending (position INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL);
    CREATE TABLE held (
        seq INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        reason TEXT NOT NULL,
        why TEXT NOT NULL,
        since INTEGER NOT NULL
    );
    CREATE TABLE decision (
        seq INTEGER NOT NULL,
        event_id BLOB NOT NULL,
        queue TEXT NOT NULL,
        event TEXT NOT NULL,
        outcome TEXT NOT NULL,
        at INTEGER NOT NULL,
        channel TEXT NOT NULL,
        routing TEXT NOT NULL,
        PRIMARY KEY (seq, event_id, queue)
    ) WITHOUT ROWID;
    CREATE TABLE seen (
        key BLOB PRIMARY KEY,
        fingerprint BLOB,
        revisions BLOB NOT NULL,
        versions INTEGER NOT NULL,
        at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE cursor (
        connector INTEGER NOT NULL,
        stream TEXT NOT NULL,
        value TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (connector, stream)
    ) WITHOUT ROWID;
    INSERT INTO meta VALUES ('hash_key', randomblob(32));
",
    "
    CREATE TABLE likeness (
        key BLOB PRIMARY KEY,
        event_id BLOB NOT NULL,
        cluster BLOB NOT NULL,
        until INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE kin (
        object BLOB PRIMARY KEY,
        cluster BLOB NOT NULL,
        of BLOB,
        reason TEXT,
        channel TEXT NOT NULL,
        before TEXT,
        at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX kin_cluster ON kin (cluster);
",
    "
    CREATE TABLE watched (
        object BLOB PRIMARY KEY,
        seq INTEGER NOT NULL,
        connector TEXT NOT NULL,
        external_id TEXT NOT NULL,
        subject BLOB NOT NULL,
        until INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE clock (
        object BLOB NOT NULL,
        stage TEXT NOT NULL,
        due_at INTEGER NOT NULL,
        approach_at INTEGER NOT NULL,
        tell_at INTEGER,
        deadline BLOB NOT NULL,
        PRIMARY KEY (object, stage)
    ) WITHOUT ROWID;
    CREATE INDEX clock_tell_at ON clock (tell_at) WHERE tell_at IS NOT NULL;
    CREATE TRIGGER watched_forgotten AFTER DELETE ON watched BEGIN
        DELETE FROM clock WHERE object = old.object;
    END;
",
    "
    CREATE TABLE twin (first INTEGER PRIMARY KEY, until INTEGER NOT NULL, entries BLOB NOT NULL);
    CREATE INDEX twin_until ON twin (until);
    CREATE TABLE link (first INTEGER PRIMARY KEY, until INTEGER NOT NULL, entries BLOB NOT NULL);
    CREATE INDEX link_until ON link (until);
    CREATE TABLE cluster (
        event_id BLOB PRIMARY KEY,
        channels TEXT NOT NULL,
        messages INTEGER NOT NULL,
        last_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    INSERT INTO meta SELECT 'judged_anew_after', coalesce(max(seq), 0) FROM raw;
",
];

/// Version the code works with.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// Sets the pragmas of a writing connection and brings the tables up to date.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), JournalError> {
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    // Only has an effect before the first table exists.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -8192)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    migrate(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), JournalError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > VERSION {
        return Err(JournalError::TooNew { found, known: VERSION });
    }
    for migration in &MIGRATIONS[found as usize..] {
        transaction.execute_batch(migration)?;
    }
    if found < VERSION {
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_of_a_newer_version_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", VERSION + 1).unwrap();
        let error = migrate(&mut connection).unwrap_err().to_string();
        assert!(error.contains("newer version"), "{error}");
    }

    #[test]
    fn a_journal_from_before_the_log_of_duplicates_says_how_far_it_judged() {
        const BEFORE: usize = 3;
        for (rows, newest) in [
            ("", 0),
            (
                "INSERT INTO raw VALUES (41, 1, 's', '1', '0', 0, NULL, 'f', 0, x'')",
                41,
            ),
        ] {
            let mut connection = Connection::open_in_memory().unwrap();
            for migration in &MIGRATIONS[..BEFORE] {
                connection.execute_batch(migration).unwrap();
            }
            connection.pragma_update(None, "user_version", BEFORE as u32).unwrap();
            connection.execute_batch(rows).unwrap();
            migrate(&mut connection).unwrap();
            let marked = "SELECT value FROM meta WHERE key = 'judged_anew_after'";
            let marked: i64 = connection.query_row(marked, [], |row| row.get(0)).unwrap();
            assert_eq!(marked, newest);
        }
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        let key: Vec<u8> = connection
            .query_row("SELECT value FROM meta WHERE key = 'hash_key'", [], |row| row.get(0))
            .unwrap();
        migrate(&mut connection).unwrap();
        let again: Vec<u8> = connection
            .query_row("SELECT value FROM meta WHERE key = 'hash_key'", [], |row| row.get(0))
            .unwrap();
        assert_eq!((key.len(), key), (32, again));
    }
}
