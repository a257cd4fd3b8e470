//! `priem journal verify`: is everything there that was promised, and does it hold together?

use std::{thread::sleep, time::Duration};

use super::{
    FILE_NAME,
    loss::{self, Loss},
    mark, meta,
    store::Store,
    wal::{self, Log},
};

/// How often a log that looks damaged is looked at again: the daemon may have been writing just then.
const LOOKS: usize = 3;
const LOOK_EVERY: Duration = Duration::from_millis(300);

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
        match self.list("PRAGMA integrity_check", |row| row.get::<_, String>(0)) {
            Ok(lines) => problems.extend(lines.into_iter().filter(|line| line != "ok")),
            Err(error) => problems.push(format!("the check of the database stopped: {error}")),
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
            (
                "stored items that are neither pending, held nor decided",
                "SELECT count(*) FROM raw WHERE seq NOT IN (SELECT seq FROM pending UNION ALL SELECT seq FROM held \
                 UNION ALL SELECT seq FROM decision UNION ALL SELECT seq FROM settled) /* walks: verify */",
            ),
        ] {
            match self.connection.query_row(query, [], |row| row.get(0)) {
                Ok(0_i64) => {}
                Ok(found) => problems.push(format!("{found} {what}")),
                Err(error) => problems.push(format!("whether there are {what} can't be told: {error}")),
            }
        }
        problems
    }

    /// What was found to be lost when the journal was opened, and nobody has acknowledged.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn losses(&self) -> Result<Vec<Loss>, super::JournalError> {
        Ok(loss::list(&self.connection)?)
    }

    /// A person has seen the losses, and says that the clock of the computer is right. Gives the losses.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn acknowledge(&self) -> Result<Vec<Loss>, super::JournalError> {
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
