//! Matters that more than one message is about: a row each, with their channels and how many messages there are.

use std::collections::{HashMap, hash_map::Entry};

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

/// Matters held in memory, at most.
const MOST: usize = 1_024;

pub(super) const READ: &str = "SELECT channels, messages, last_at FROM cluster WHERE event_id = ?1";
pub(super) const WRITE: &str = "INSERT OR REPLACE INTO cluster VALUES (?1, ?2, ?3, ?4)";

/// A matter.
#[derive(Debug, Clone, Default)]
struct Cluster {
    /// In the order of their names.
    channels: Vec<String>,
    messages: i64,
    /// When its latest message was taken in, microseconds since 1970.
    last_at: i64,
    changed: bool,
}

/// The matters of the moment. What changes is written once a commit, however many messages changed it.
#[derive(Default)]
pub(super) struct Clusters {
    known: HashMap<Uuid, Cluster>,
    changed: Vec<Uuid>,
}

impl Clusters {
    /// Adds a message to a matter; gives the channels by which it came before. `before` tells of those before the
    /// matter had a row: the channels and their messages.
    pub(super) fn join(
        &mut self,
        connection: &Connection,
        id: Uuid,
        channel: &str,
        at: i64,
        before: impl FnOnce() -> rusqlite::Result<Vec<String>>,
    ) -> rusqlite::Result<Vec<String>> {
        let cluster = match self.known.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(match read(connection, &id)? {
                Some(cluster) => cluster,
                None => Cluster {
                    channels: before()?,
                    messages: 1,
                    ..Cluster::default()
                },
            }),
        };
        let channels = cluster.channels.clone();
        if let Err(place) = cluster.channels.binary_search_by(|known| known.as_str().cmp(channel)) {
            cluster.channels.insert(place, channel.to_owned());
        }
        cluster.messages += 1;
        cluster.last_at = cluster.last_at.max(at);
        if !cluster.changed {
            cluster.changed = true;
            self.changed.push(id);
        }
        Ok(channels)
    }

    /// Writes what changed.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut write = connection.prepare_cached(WRITE)?;
        for id in self.changed.drain(..) {
            if let Some(cluster) = self.known.get_mut(&id) {
                let channels = cluster.channels.join("\n");
                write.execute(params![&id.as_bytes()[..], channels, cluster.messages, cluster.last_at])?;
                cluster.changed = false;
            }
        }
        if self.known.len() > MOST {
            self.known.clear();
        }
        Ok(())
    }

    /// Forgets everything: the rows are what counts.
    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.changed.clear();
    }
}

fn read(connection: &Connection, id: &Uuid) -> rusqlite::Result<Option<Cluster>> {
    connection
        .prepare_cached(READ)?
        .query_row([&id.as_bytes()[..]], |row| {
            let channels: String = row.get(0)?;
            Ok(Cluster {
                channels: channels.lines().map(str::to_owned).collect(),
                messages: row.get(1)?,
                last_at: row.get(2)?,
                changed: false,
            })
        })
        .optional()
}
