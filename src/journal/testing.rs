//! What unit tests of the journal begin with, and the writer's transaction without its thread, for those who bring jobs.

use std::{fmt::Display, path::Path};

use bytes::Bytes;
use priem_sdk::Item;
use rusqlite::Connection;

use super::{Job, JournalSettings, Transaction, append::AppendState, clock::Now, schema};

/// Settings of a journal in a folder that may fill its disk.
pub(super) fn settings(folder: &Path) -> JournalSettings {
    JournalSettings {
        dir: folder.to_owned(),
        min_free_bytes: 0,
        ..JournalSettings::default()
    }
}

/// An item whose content is its name.
pub(super) fn item(name: impl Display) -> Item {
    let name = name.to_string();
    Item {
        body: Bytes::from(name.clone()),
        external_id: name,
        revision: None,
        fingerprint: None,
        conversation: None,
        format: "test",
        problem: None,
    }
}

/// A journal in memory.
pub(crate) struct Tables {
    pub(crate) connection: Connection,
    state: AppendState,
}

impl Tables {
    pub(crate) fn new() -> Self {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::prepare(&mut connection).unwrap();
        let state = AppendState::load(&connection).unwrap();
        Self { connection, state }
    }

    /// Runs a job at a moment, as if it were committed.
    pub(crate) fn run<J: Job>(&mut self, job: J, now: i64) -> J::Answer {
        self.run_together(vec![job], now).remove(0)
    }

    /// Runs jobs that share a commit.
    pub(crate) fn run_together<J: Job>(&mut self, mut jobs: Vec<J>, now: i64) -> Vec<J::Answer> {
        let mut fresh = Vec::new();
        self.state.now = Now::plain(now);
        let mut transaction = Transaction::new(&self.connection, &mut self.state, &mut fresh, now);
        let answers = jobs.iter_mut().map(|job| job.run(&mut transaction).unwrap()).collect();
        jobs.iter_mut().for_each(|job| job.ended(true));
        answers
    }

    /// Runs a job in a transaction whose commit fails.
    pub(crate) fn lose<J: Job>(&mut self, mut job: J, now: i64) {
        self.connection.execute_batch("BEGIN").unwrap();
        let mut fresh = Vec::new();
        let mut transaction = Transaction::new(&self.connection, &mut self.state, &mut fresh, now);
        job.run(&mut transaction).unwrap();
        self.connection.execute_batch("ROLLBACK").unwrap();
        job.ended(false);
    }
}
