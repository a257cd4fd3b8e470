//! What the writer keeps an eye on besides the tables: are the files where they were, is the time right, and what was
//! promised so far.

use std::sync::Arc;

use rusqlite::Connection;
use tracing::{error, info};

use super::{
    JournalError,
    clock::{Change, Clock, Now},
    mark::{Mark, Promise},
    meta,
    place::Place,
};
use crate::telemetry::Metrics;

/// See the module.
pub(super) struct Keeper {
    pub(super) place: Place,
    /// What the last tick found of the files.
    pub(super) displaced: Option<JournalError>,
    pub(super) clock: Arc<Clock>,
    pub(super) mark: Mark,
    pub(super) promise: Promise,
    pub(super) metrics: Metrics,
}

impl Keeper {
    /// The time of a commit.
    pub(super) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Refuses when the files are not where they were; at a tick all of them are looked at.
    pub(super) fn check(&mut self, tick: bool) -> Result<(), JournalError> {
        if tick {
            self.displaced = self.place.check_all().err();
        }
        match &self.displaced {
            Some(error) => Err(error.clone()),
            None => self.place.check(),
        }
    }

    /// Looks at the clock, inside a transaction; tells what has changed. Gives the time to sweep by.
    pub(super) fn tick(&self, connection: &Connection) -> rusqlite::Result<Now> {
        if meta::take_belief(connection)? {
            self.tell(self.clock.believe(), self.clock.now());
        }
        let (now, change) = self.clock.look();
        self.tell(change, now);
        self.metrics.clock_doubt.set(now.doubt / 1_000_000);
        Ok(now)
    }

    /// Items up to a number are on disk, and whoever sent them will be told.
    pub(super) fn promised(&mut self, newest: i64) {
        if newest > self.promise.seq {
            self.promise.seq = newest;
            self.write();
        }
    }

    /// Writes the mark, with the time of now.
    pub(super) fn write(&mut self) {
        self.promise.clock = self.clock.kept();
        self.mark.write(&self.promise);
    }

    fn tell(&self, change: Option<Change>, now: Now) {
        let hours = now.doubt / 3_600_000_000;
        match change {
            Some(Change::Doubted) => error!(
                hours,
                "the clock of this computer has jumped: nothing is deleted by age and no deadline is told until it is \
                 back, or somebody says that it is right (priem journal acknowledge)"
            ),
            Some(Change::Back) => info!("the clock of this computer agrees again"),
            Some(Change::Believed) => info!("the clock of this computer is taken for right"),
            None => {}
        }
    }
}
