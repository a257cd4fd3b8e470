//! What the journal remembers of messages on one matter, inside the writer's transaction.
//!
//! - `likeness`: one row per key of a message (keyed hash), until its window ends: whose key it is;
//! - `kin`: one row per object (keyed hash of connector and external id): what was decided when it was first seen, also
//!   when it repeats nothing.
//!
//! An object is judged once. All its events, and an event that is published again after a crash, carry the same link;
//! what leads a cluster never joins another one.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::journal::{Job, Slices, Sweep, Transaction};

const DAY_MICROSECONDS: i64 = 86_400_000_000;

/// By what two messages are known to be on one matter; the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The same number.
    Id,
    /// The same address.
    Link,
    /// The same text by the same author.
    TextAndAuthor,
    /// The same text about the same house.
    TextAndPlace,
    /// The same text, in an incident and in a network.
    Text,
}

impl Reason {
    const ALL: [Self; 5] = [
        Self::Id,
        Self::Link,
        Self::TextAndAuthor,
        Self::TextAndPlace,
        Self::Text,
    ];

    /// Name in `relation.reason`, and metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Id => "same_id",
            Self::Link => "same_link",
            Self::TextAndAuthor => "same_text_and_author",
            Self::TextAndPlace => "same_text_and_place",
            Self::Text => "same_text",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// Something two messages may share. Only its keyed hash is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// What sharing it means.
    pub reason: Reason,
    /// What is remembered of this message.
    pub own: String,
    /// What must be remembered of an earlier one.
    pub sought: String,
}

impl Key {
    /// A key that both have alike.
    pub fn same(reason: Reason, parts: &[&str]) -> Self {
        Self::pair(reason, parts, parts)
    }

    /// A key whose counterpart differs.
    pub fn pair(reason: Reason, own: &[&str], sought: &[&str]) -> Self {
        Self {
            reason,
            own: own.join("\u{1f}"),
            sought: sought.join("\u{1f}"),
        }
    }
}

/// A message that may have kin.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Connector; with the external id it names the object.
    pub connector: String,
    /// External id.
    pub external_id: String,
    /// Id of the event.
    pub event_id: Uuid,
    /// Channel.
    pub channel: String,
    /// The strongest first; `None` for events that say nothing new (a rating, a removal): they are not judged.
    pub keys: Option<Vec<Key>>,
    /// When it was taken in, microseconds since 1970.
    pub at: i64,
    /// Until when its keys are remembered.
    pub until: i64,
}

/// To what a message belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kinship {
    /// Event id of the first message of the matter.
    pub cluster: Uuid,
    /// Event id of the message it was recognised by.
    pub of: Uuid,
    /// By what.
    pub reason: Reason,
    /// Channels by which the matter came before.
    pub channels: Vec<String>,
}

/// A row of `likeness`.
struct Owner {
    event: Uuid,
    cluster: Uuid,
}

/// What each of some messages repeats, in their order. Asked again, the answer is the same.
pub(super) struct Find(pub(super) Vec<Candidate>);

impl Job for Find {
    type Answer = Vec<Option<Kinship>>;

    fn weight(&self) -> usize {
        self.0.len()
    }

    fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<Self::Answer> {
        let transaction = &*transaction;
        self.0.iter().map(|candidate| find(transaction, candidate)).collect()
    }
}

/// Forgets keys after their window, and decisions after `days`.
pub(super) struct Forget {
    days: u32,
    likeness: Slices,
    kin: Slices,
}

impl Forget {
    pub(super) fn after(days: u32) -> Self {
        Self {
            days,
            likeness: Slices::new("likeness", "key", "until"),
            kin: Slices::new("kin", "object", "at"),
        }
    }
}

impl Sweep for Forget {
    fn sweep(&mut self, connection: &Connection, now: i64) -> rusqlite::Result<()> {
        self.likeness.forget(connection, now)?;
        self.kin
            .forget(connection, now - i64::from(self.days) * DAY_MICROSECONDS)?;
        Ok(())
    }
}

/// Finds the kin of a message and remembers its keys. `None` for one without earlier kin.
fn find(transaction: &Transaction<'_>, candidate: &Candidate) -> rusqlite::Result<Option<Kinship>> {
    let connection = transaction.connection();
    let parts = [
        &b"object"[..],
        candidate.connector.as_bytes(),
        candidate.external_id.as_bytes(),
    ];
    let object = transaction.hash(&parts);
    if let Some(decided) = decided(connection, &object)? {
        return Ok(decided);
    }
    let Some(keys) = &candidate.keys else {
        return Ok(None);
    };
    let mut kinship = None;
    for key in keys {
        if let Some(owner) = owner(connection, &hashed(transaction, &key.sought), candidate.at)? {
            kinship = Some(Kinship {
                channels: channels(connection, &owner.cluster)?,
                cluster: owner.cluster,
                of: owner.event,
                reason: key.reason,
            });
            break;
        }
    }
    let cluster = kinship.as_ref().map_or(candidate.event_id, |kinship| kinship.cluster);
    decide(connection, &object, candidate, &cluster, kinship.as_ref())?;
    remember(transaction, candidate, keys, &cluster)?;
    Ok(kinship)
}

fn hashed(transaction: &Transaction<'_>, text: &str) -> [u8; 16] {
    transaction.hash(&[b"likeness", text.as_bytes()])
}

/// What was decided about an object: `Some(None)` when it repeats nothing.
fn decided(connection: &Connection, object: &[u8; 16]) -> rusqlite::Result<Option<Option<Kinship>>> {
    connection
        .prepare_cached("SELECT cluster, of, reason, before FROM kin WHERE object = ?1")?
        .query_row([&object[..]], |row| {
            let (of, reason): (Option<Vec<u8>>, Option<String>) = (row.get(1)?, row.get(2)?);
            let (Some(of), Some(reason)) = (of, reason.as_deref().and_then(Reason::named)) else {
                return Ok(None);
            };
            let before: String = row.get::<_, Option<String>>(3)?.unwrap_or_default();
            Ok(Some(Kinship {
                cluster: uuid(&row.get::<_, Vec<u8>>(0)?),
                of: uuid(&of),
                reason,
                channels: before.lines().map(str::to_owned).collect(),
            }))
        })
        .optional()
}

fn owner(connection: &Connection, key: &[u8; 16], at: i64) -> rusqlite::Result<Option<Owner>> {
    connection
        .prepare_cached("SELECT event_id, cluster FROM likeness WHERE key = ?1 AND until >= ?2")?
        .query_row(params![&key[..], at], |row| {
            Ok(Owner {
                event: uuid(&row.get::<_, Vec<u8>>(0)?),
                cluster: uuid(&row.get::<_, Vec<u8>>(1)?),
            })
        })
        .optional()
}

/// Channels of all that belong to a cluster so far, in the order of their names.
fn channels(connection: &Connection, cluster: &Uuid) -> rusqlite::Result<Vec<String>> {
    let mut select =
        connection.prepare_cached("SELECT DISTINCT channel FROM kin WHERE cluster = ?1 ORDER BY channel")?;
    let channels = select.query_map([&cluster.as_bytes()[..]], |row| row.get(0))?;
    channels.collect()
}

fn decide(
    connection: &Connection,
    object: &[u8; 16],
    candidate: &Candidate,
    cluster: &Uuid,
    kinship: Option<&Kinship>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO kin VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            &object[..],
            &cluster.as_bytes()[..],
            kinship.map(|kinship| &kinship.of.as_bytes()[..]),
            kinship.map(|kinship| kinship.reason.as_str()),
            candidate.channel,
            kinship.map(|kinship| kinship.channels.join("\n")),
            candidate.at
        ])
        .map(drop)
}

/// Remembers the keys of a message; those of an earlier message stay while their window lasts.
fn remember(
    transaction: &Transaction<'_>,
    candidate: &Candidate,
    keys: &[Key],
    cluster: &Uuid,
) -> rusqlite::Result<()> {
    let mut upsert = transaction.connection().prepare_cached(
        "INSERT INTO likeness VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET event_id = excluded.event_id, \
         cluster = excluded.cluster, until = excluded.until WHERE until < ?5",
    )?;
    for key in keys {
        upsert.execute(params![
            &hashed(transaction, &key.own)[..],
            &candidate.event_id.as_bytes()[..],
            &cluster.as_bytes()[..],
            candidate.until,
            candidate.at
        ])?;
    }
    Ok(())
}

fn uuid(bytes: &[u8]) -> Uuid {
    Uuid::from_slice(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests;
