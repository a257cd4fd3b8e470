//! What the journal remembers of messages on one matter, inside the writer's transaction.
//!
//! - `likeness`: one row per key of a message (keyed hash), until its window ends: whose key it is;
//! - `kin`: one row per object (keyed hash of connector and external id) that belongs to a cluster: what was decided.
//!   The first of a cluster has a row too, that says so.
//!
//! A decision, once stored, is given again for the same object; so all events of an object, and an event that is
//! published again after a crash, carry the same link.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::dedupe::{self, HashKey};

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
    /// Connector and
    pub connector: String,
    /// external id name the object.
    pub external_id: String,
    /// Id of the event.
    pub event_id: Uuid,
    /// Channel.
    pub channel: String,
    /// The strongest first; empty for events without words.
    pub keys: Vec<Key>,
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
    object: Vec<u8>,
    event: Uuid,
    cluster: Uuid,
    channel: String,
}

/// Finds the kin of a message and remembers its keys. `None` for one without earlier kin.
pub(super) fn find(
    connection: &Connection,
    hash_key: &HashKey,
    candidate: &Candidate,
) -> rusqlite::Result<Option<Kinship>> {
    let Candidate {
        connector, external_id, ..
    } = candidate;
    let object = dedupe::hash(hash_key, &[b"object", connector.as_bytes(), external_id.as_bytes()]);
    if let Some(decided) = decided(connection, &object)? {
        return Ok(decided);
    }
    let mut found = None;
    for key in &candidate.keys {
        let owner = owner(connection, &hashed(hash_key, &key.sought), candidate.at)?;
        match owner.filter(|owner| owner.object != object) {
            Some(owner) => {
                found = Some((key.reason, owner));
                break;
            }
            None => continue,
        }
    }
    let Some((reason, owner)) = found else {
        remember(connection, hash_key, candidate, &object, candidate.event_id)?;
        return Ok(None);
    };
    let channels = channels(connection, &owner)?;
    // The first of the cluster gets a row too: whatever it says later, it stays the first.
    insert(
        connection,
        &owner.object,
        &owner.cluster,
        None,
        &owner.channel,
        "",
        candidate.at,
    )?;
    let kinship = Kinship {
        cluster: owner.cluster,
        of: owner.event,
        reason,
        channels,
    };
    let before = kinship.channels.join("\n");
    insert(
        connection,
        &object,
        &owner.cluster,
        Some(&kinship),
        &candidate.channel,
        &before,
        candidate.at,
    )?;
    remember(connection, hash_key, candidate, &object, owner.cluster)?;
    Ok(Some(kinship))
}

fn hashed(hash_key: &HashKey, text: &str) -> [u8; 16] {
    dedupe::hash(hash_key, &[b"likeness", text.as_bytes()])
}

/// What was decided about an object: `Some(None)` when it is the first of a cluster.
fn decided(connection: &Connection, object: &[u8; 16]) -> rusqlite::Result<Option<Option<Kinship>>> {
    connection
        .prepare_cached("SELECT cluster, of, reason, before FROM kin WHERE object = ?1")?
        .query_row([&object[..]], |row| {
            let (of, reason): (Option<Vec<u8>>, Option<String>) = (row.get(1)?, row.get(2)?);
            let (Some(of), Some(reason)) = (of, reason.as_deref().and_then(Reason::named)) else {
                return Ok(None);
            };
            let before: String = row.get(3)?;
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
        .prepare_cached("SELECT object, event_id, cluster, channel FROM likeness WHERE key = ?1 AND until >= ?2")?
        .query_row(params![&key[..], at], |row| {
            Ok(Owner {
                object: row.get(0)?,
                event: uuid(&row.get::<_, Vec<u8>>(1)?),
                cluster: uuid(&row.get::<_, Vec<u8>>(2)?),
                channel: row.get(3)?,
            })
        })
        .optional()
}

/// Channels of all that belong to a cluster so far, in the order of their names.
fn channels(connection: &Connection, owner: &Owner) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare_cached("SELECT DISTINCT channel FROM kin WHERE cluster = ?1")?;
    let mut channels: Vec<String> = select
        .query_map([&owner.cluster.as_bytes()[..]], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    channels.push(owner.channel.clone());
    channels.sort();
    channels.dedup();
    Ok(channels)
}

fn insert(
    connection: &Connection,
    object: &[u8],
    cluster: &Uuid,
    kinship: Option<&Kinship>,
    channel: &str,
    before: &str,
    at: i64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO kin VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING")?
        .execute(params![
            object,
            &cluster.as_bytes()[..],
            kinship.map(|kinship| &kinship.of.as_bytes()[..]),
            kinship.map(|kinship| kinship.reason.as_str()),
            channel,
            before,
            at
        ])
        .map(drop)
}

/// Remembers the keys of a message; those of an earlier message stay while their window lasts.
fn remember(
    connection: &Connection,
    hash_key: &HashKey,
    candidate: &Candidate,
    object: &[u8; 16],
    cluster: Uuid,
) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO likeness VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET object = excluded.object, \
         event_id = excluded.event_id, cluster = excluded.cluster, channel = excluded.channel, until = excluded.until \
         WHERE until < ?7",
    )?;
    for key in &candidate.keys {
        upsert.execute(params![
            &hashed(hash_key, &key.own)[..],
            &object[..],
            &candidate.event_id.as_bytes()[..],
            &cluster.as_bytes()[..],
            candidate.channel,
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
