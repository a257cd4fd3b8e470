//! `priem journal verify`: is everything there that was promised, and does it hold together?
//!
//! A read keeps the log from being folded for as long as it lasts, so beside a daemon nothing reads the whole database at
//! once: each table is checked by itself, and what must agree is compared a slice at a time. Pages that belong to no
//! table are looked at only when no daemon works with the journal.

use std::{collections::HashSet, thread::sleep, time::Duration};

use rusqlite::params;

use super::{
    FILE_NAME, JournalError,
    loss::{self, Loss},
    mark, meta, opening,
    store::Store,
    wal::{self, Log},
};

/// How often a log that looks damaged is looked at again: the daemon may have been writing just then.
const LOOKS: usize = 3;
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Stored items compared in one read.
const SLICE: i64 = 10_000;

impl Store {
    /// Checks the database, the log beside it, and that everything pending, held or decided is consistent. Gives what
    /// is wrong; goes on behind what can't be read.
    pub fn verify(&self) -> Vec<String> {
        // The promise first: what is promised meanwhile is in the database by then.
        let promised = mark::look(self.folder());
        let mut problems: Vec<String> = Vec::new();
        match (meta::id(&self.connection), self.newest_seq()) {
            (Ok(id), Ok(newest)) => {
                // A journal that no daemon of this version has opened has no name yet.
                let id = id.or_else(|| promised.as_ref().map(|promise| promise.journal.clone()));
                let log = self.damaged_log();
                problems.extend(loss::missing(log, &id.unwrap_or_default(), newest, promised.as_ref()));
            }
            (Err(error), _) => problems.push(format!("its name can't be read: {error}")),
            (_, Err(error)) => problems.push(format!("the newest number can't be read: {error}")),
        }
        match self.losses() {
            Ok(losses) => problems.extend(losses.into_iter().map(|loss| {
                format!(
                    "found {} and not acknowledged: {} (`priem journal acknowledge`)",
                    loss.found_at, loss.what
                )
            })),
            Err(error) => problems.push(format!("losses of before can't be read: {error}")),
        }
        for (what, found) in self.integrity() {
            match found {
                Ok(lines) => problems.extend(lines.into_iter().filter(|line| line != "ok")),
                Err(error) => problems.push(format!("the check of {what} stopped: {error}")),
            }
        }
        for (what, query) in [
            (
                "pending items without raw data",
                "SELECT count(*) FROM pending WHERE seq NOT IN (SELECT seq FROM raw) /* walks: verify */",
            ),
            (
                "held items without raw data",
                "SELECT count(*) FROM held WHERE seq NOT IN (SELECT seq FROM raw) /* walks: verify */",
            ),
            (
                "items pending twice",
                "SELECT count(*) FROM (SELECT seq FROM pending GROUP BY seq HAVING count(*) > 1) /* walks: verify */",
            ),
        ] {
            match self.connection.query_row(query, [], |row| row.get(0)) {
                Ok(0_i64) => {}
                Ok(found) => problems.push(format!("{found} {what}")),
                Err(error) => problems.push(format!("whether there are {what} can't be told: {error}")),
            }
        }
        let what = "stored items that are neither pending, held nor decided";
        match self.forgotten() {
            Ok(0) => {}
            Ok(found) => problems.push(format!("{found} {what}")),
            Err(error) => problems.push(format!("whether there are {what} can't be told: {error}")),
        }
        problems
    }

    /// What SQLite says of the database: of all of it, or of each table.
    fn integrity(&self) -> Vec<(String, Result<Vec<String>, JournalError>)> {
        let check = |what: &str| self.list(&format!("PRAGMA integrity_check{what}"), |row| row.get::<_, String>(0));
        if !self.is_in_use() {
            return vec![("the database".into(), check(""))];
        }
        let names = "SELECT name FROM sqlite_schema WHERE type = 'table'";
        match self.list(names, |row| row.get::<_, String>(0)) {
            Ok(tables) => {
                let check = |table: String| (format!("table {table}"), check(&format!("('{table}')")));
                tables.into_iter().map(check).collect()
            }
            Err(error) => vec![("the database".into(), Err(error))],
        }
    }

    /// Whether a daemon works with the journal just now.
    fn is_in_use(&self) -> bool {
        // The lock is looked at and given back; who is here by chance at that moment starts a second later.
        self.folder().join("lock").exists() && matches!(opening::lock(self.folder()), Err(JournalError::InUse { .. }))
    }

    /// How many stored items are neither pending, held nor decided.
    fn forgotten(&self) -> rusqlite::Result<i64> {
        let newest: i64 = {
            let query = "SELECT coalesce((SELECT seq FROM raw WHERE seq < ?1 ORDER BY seq DESC LIMIT 1), 0)";
            self.connection.query_row(query, [i64::MAX], |row| row.get(0))?
        };
        // What is settled from now on is found among the settled.
        let pending = self.pending()?;
        let mut suspects = Vec::new();
        let mut select = self.connection.prepare(
            "SELECT seq, EXISTS (SELECT 1 FROM settled s WHERE s.seq = r.seq) OR \
             EXISTS (SELECT 1 FROM held h WHERE h.seq = r.seq) OR \
             EXISTS (SELECT 1 FROM decision d WHERE d.seq = r.seq) \
             FROM raw r WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3",
        )?;
        let mut from = i64::MIN;
        loop {
            let rows: Vec<(i64, bool)> = select
                .query_map(params![from, newest, SLICE], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let Some((last, _)) = rows.last() else { break };
            from = *last;
            suspects.extend(rows.into_iter().filter(|(seq, known)| !known && !pending.contains(seq)));
        }
        drop(select);
        if suspects.is_empty() {
            return Ok(0);
        }
        // One that a person has made pending meanwhile, or that is gone, is none.
        let pending = self.pending()?;
        let mut look = self.connection.prepare(
            "SELECT count(*) FROM raw r WHERE r.seq = ?1 AND NOT EXISTS (SELECT 1 FROM settled s WHERE s.seq = r.seq) \
             AND NOT EXISTS (SELECT 1 FROM held h WHERE h.seq = r.seq) \
             AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.seq = r.seq)",
        )?;
        let mut found = 0;
        for (seq, _) in suspects.into_iter().filter(|(seq, _)| !pending.contains(seq)) {
            found += look.query_row([seq], |row| row.get::<_, i64>(0))?;
        }
        Ok(found)
    }

    /// Numbers of the items that wait for publication.
    fn pending(&self) -> rusqlite::Result<HashSet<i64>> {
        let mut select = self.connection.prepare("SELECT seq FROM pending /* walks: verify */")?;
        let rows = select.query_map([], |row| row.get(0))?;
        rows.collect()
    }

    /// What was found to be lost when the journal was opened, and nobody has acknowledged.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn losses(&self) -> Result<Vec<Loss>, JournalError> {
        Ok(loss::list(&self.connection)?)
    }

    /// A person has seen the losses, and says that the clock of the computer is right. Gives the losses.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn acknowledge(&self) -> Result<Vec<Loss>, JournalError> {
        let losses = self.losses()?;
        loss::acknowledge(&self.connection)?;
        meta::believe_clock(&self.connection)?;
        Ok(losses)
    }

    /// The log, when it is damaged and stays so.
    fn damaged_log(&self) -> Option<Log> {
        let look = || wal::look(&self.folder().join(FILE_NAME)).ok().flatten();
        let mut log = look().filter(Log::is_damaged)?;
        for _ in 1..LOOKS {
            sleep(LOOK_EVERY);
            let again = look().filter(Log::is_damaged)?;
            if again.recovered != log.recovered {
                return None;
            }
            log = again;
        }
        Some(log)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use priem_sdk::contract::ConnectorId;

    use super::{
        super::{
            Journal,
            testing::{item, settings},
        },
        *,
    };
    use crate::telemetry::Metrics;

    #[tokio::test]
    async fn beside_a_daemon_each_table_is_checked_by_itself_and_nothing_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&settings(folder.path()), &Metrics::new()).unwrap();
        let items = (0..100).map(item).collect();
        journal.append(&ConnectorId::new("a"), "s", items, None).await.unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(
            store.integrity().len() > 10,
            "no read holds the log for as long as all of them"
        );
        assert_eq!(store.verify(), Vec::<String>::new());
        store
            .connection
            .execute("DELETE FROM pending WHERE position IN (3, 30, 100)", [])
            .unwrap();
        assert_eq!(
            store.verify(),
            ["3 stored items that are neither pending, held nor decided"]
        );
        drop((store, journal));

        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.integrity().len(), 1, "at rest all of it at once");
        let damage: Vec<(String, i64)> = store
            .list(
                "SELECT name, rootpage FROM sqlite_schema WHERE name IN ('seen', 'cluster')",
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        drop(store);
        let file = std::fs::File::options()
            .write(true)
            .open(folder.path().join(FILE_NAME))
            .unwrap();
        for (_, page) in &damage {
            let at = u64::try_from((page - 1) * 4_096).unwrap();
            file.write_all_at(&[0xff; 64], at).unwrap();
        }
        let _daemon = opening::lock(folder.path()).unwrap();
        let problems = Store::open(folder.path()).unwrap().verify().join("\n");
        for (name, _) in damage {
            assert!(problems.contains(&format!("table {name} ")), "{name}: {problems}");
        }
        assert!(problems.contains("3 stored items"), "{problems}");
    }
}
