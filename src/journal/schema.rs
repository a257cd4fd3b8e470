//! Tables of the journal and their numbered migrations. A migration, once released, never changes.
//!
//! - `raw`: every item as the source gave it, until retention removes it;
//! - `pending`: items not yet settled; `position` is their order of publication;
//! - `held`: items waiting for a person (quarantined, or parked because no queue took them); `held_name`: the quarantined
//!   ones by what they are versions of;
//! - `settled`: what became of each settled item, for «почему сюда?», with `outlet`, `phrase` and `book` (`settled.rs`,
//!   `phrases.rs`); holds no citizen's words. `decision` is its older form, emptied bit by bit (`old.rs`);
//! - `key_lately`, `key_run`, `key_sorted`: by what items and events are found (`keys.rs`). Keyed hashes only;
//! - `seen`: one row per object of a source: which versions were stored, and as of when the newest one speaks. Keyed hashes only, outlives `raw`;
//! - `cursor`: where each stream goes on;
//! - `tally`, `held_count`, `clock_count`: how many there are of each, kept with each change, so that nobody counts;
//!   `measured`, `growth`: what sweeps saw of sizes;
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
    // Counts what waits, and walks nothing that is kept: a journal of millions must open at once. `old.rs` does the rest.
    "
    CREATE TABLE settled (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX settled_seq ON settled (seq);
    CREATE TABLE outlet (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        channel TEXT NOT NULL,
        event TEXT NOT NULL,
        outcome TEXT NOT NULL,
        queue TEXT NOT NULL,
        events INTEGER NOT NULL,
        UNIQUE (channel, event, outcome, queue)
    );
    CREATE TABLE phrase (id INTEGER PRIMARY KEY, text BLOB NOT NULL);
    CREATE TABLE book (first INTEGER PRIMARY KEY, settled INTEGER NOT NULL);
    CREATE TABLE key_lately (
        shelf INTEGER NOT NULL,
        base INTEGER NOT NULL,
        entries BLOB NOT NULL,
        PRIMARY KEY (shelf, base)
    ) WITHOUT ROWID;
    CREATE TABLE key_run (
        shelf INTEGER NOT NULL,
        first INTEGER NOT NULL,
        base INTEGER NOT NULL,
        entries BLOB NOT NULL,
        PRIMARY KEY (shelf, first, base)
    ) WITHOUT ROWID;
    CREATE TABLE key_sorted (shelf INTEGER NOT NULL, base INTEGER NOT NULL, PRIMARY KEY (shelf, base)) WITHOUT ROWID;
    CREATE TABLE tally (
        pending INTEGER NOT NULL,
        raw INTEGER NOT NULL,
        raw_bytes INTEGER NOT NULL,
        settled INTEGER NOT NULL,
        settled_bytes INTEGER NOT NULL,
        freed_to INTEGER NOT NULL,
        old_next INTEGER NOT NULL,
        old_items_from INTEGER NOT NULL,
        old_items_to INTEGER NOT NULL,
        old_settled_done INTEGER NOT NULL
    );
    INSERT INTO tally SELECT (SELECT count(*) FROM pending), 0, 0, 0, 0, -9223372036854775808, -4611686018427387904,
        0, coalesce((SELECT max(seq) FROM raw), 0), NOT EXISTS (SELECT 1 FROM decision);
    CREATE TABLE measured (name TEXT PRIMARY KEY, items INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE growth (day INTEGER PRIMARY KEY, bytes INTEGER NOT NULL);
    CREATE INDEX held_reason ON held (reason, kind);
    CREATE TABLE held_count (
        kind TEXT NOT NULL,
        reason TEXT NOT NULL,
        items INTEGER NOT NULL,
        PRIMARY KEY (kind, reason)
    ) WITHOUT ROWID;
    INSERT INTO held_count SELECT kind, reason, count(*) FROM held GROUP BY 1, 2;
    CREATE TRIGGER held_more AFTER INSERT ON held BEGIN
        INSERT INTO held_count VALUES (new.kind, new.reason, 1) ON CONFLICT DO UPDATE SET items = items + 1;
    END;
    CREATE TRIGGER held_fewer AFTER DELETE ON held BEGIN
        UPDATE held_count SET items = items - 1 WHERE kind = old.kind AND reason = old.reason;
        DELETE FROM held_count WHERE kind = old.kind AND reason = old.reason AND items <= 0;
    END;
    CREATE TABLE clock_count (running INTEGER NOT NULL, told INTEGER NOT NULL);
    INSERT INTO clock_count SELECT count(*), count(*) FILTER (WHERE tell_at IS NULL) FROM clock;
    CREATE TRIGGER clock_more AFTER INSERT ON clock BEGIN
        UPDATE clock_count SET running = running + 1, told = told + (new.tell_at IS NULL);
    END;
    CREATE TRIGGER clock_moved AFTER UPDATE OF tell_at ON clock
    WHEN (old.tell_at IS NULL) <> (new.tell_at IS NULL) BEGIN
        UPDATE clock_count SET told = told + (new.tell_at IS NULL) - (old.tell_at IS NULL);
    END;
    CREATE TRIGGER clock_fewer AFTER DELETE ON clock BEGIN
        UPDATE clock_count SET running = running - 1, told = told - (old.tell_at IS NULL);
    END;
",
    "
    CREATE TABLE held_name (seq INTEGER PRIMARY KEY, connector INTEGER NOT NULL, external_id TEXT NOT NULL);
    CREATE INDEX held_name_id ON held_name (external_id, connector);
    INSERT INTO held_name SELECT r.seq, r.connector, r.external_id FROM held h JOIN raw r ON r.seq = h.seq
        WHERE h.kind = 'quarantined';
    CREATE TRIGGER held_named AFTER INSERT ON held WHEN new.kind = 'quarantined' BEGIN
        INSERT INTO held_name SELECT seq, connector, external_id FROM raw WHERE seq = new.seq;
    END;
    CREATE TRIGGER held_unnamed AFTER DELETE ON held BEGIN
        DELETE FROM held_name WHERE seq = old.seq;
    END;
",
    "ALTER TABLE seen ADD COLUMN as_of INTEGER;",
];

/// Version the code works with.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// Statements kept ready by a connection.
pub(super) const STATEMENTS: usize = 128;

/// Sets the pragmas of a writing connection and brings the tables up to date.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), JournalError> {
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    refuse_foreign(connection)?;
    // Only has an effect before the first table exists.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -8192)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // The writer alone has some fifty statements; making one anew costs more than running it.
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    migrate(connection)?;
    super::plan::watch(connection);
    Ok(())
}

/// Refuses a database that holds something and is no journal, before anything is changed in it.
pub(super) fn refuse_foreign(connection: &Connection) -> Result<(), JournalError> {
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    // Tables that every version of a journal has.
    let query = "SELECT count(*), count(*) FILTER (WHERE name IN ('meta', 'raw', 'cursor')) FROM sqlite_schema";
    let (all, ours): (i64, i64) = connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if application != 0 || all > 0 && ours < 3 {
        return Err(JournalError::Foreign {
            file: "the file".into(),
        });
    }
    Ok(())
}

pub(super) fn migrate(connection: &mut Connection) -> Result<(), JournalError> {
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

/// The tables as an older version made them.
#[cfg(test)]
pub(super) fn of_version(connection: &Connection, version: u32) {
    for migration in &MIGRATIONS[..version as usize] {
        connection.execute_batch(migration).expect("a released migration");
    }
    connection
        .pragma_update(None, "user_version", version)
        .expect("a version");
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
