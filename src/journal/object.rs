//! What is known of an object of a source, and of what came lately beside it: for events that go where something before
//! them went.
//!
//! Found by the keys of external ids (`keys.rs`), which costs some pages: only for events that need it, never for each.

use std::collections::{HashMap, HashSet};

use priem_sdk::contract::ConnectorId;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{Look, Record, decided, dedupe, read};

/// Versions of one object looked at, from the newest.
const VERSIONS: usize = 64;
/// Most items of one conversation given back.
const BESIDE: usize = 64;
/// Most items looked through for those of a conversation.
const LOOKED_THROUGH: i64 = 16_384;

/// An object of a source, as the message about it names it.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// Connector.
    pub(crate) connector: ConnectorId,
    /// Channel of its messages.
    pub(crate) channel: String,
    /// External id.
    pub(crate) external_id: String,
    /// Only versions stored before this one count.
    pub(crate) before: i64,
}

/// A stored version of an object.
#[derive(Debug, Clone)]
pub(crate) enum Version {
    /// Its messages went there: [`priem_sdk::message::Routing`] as JSON, one for each queue.
    Decided(Vec<serde_json::Value>),
    /// It is on its way still.
    Waiting(Box<Record>),
}

/// What is known of an object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// From the newest to the first that is decided; those that published nothing are left out.
    pub(crate) versions: Vec<Version>,
    /// A version was stored once, this one included; what became of it may be forgotten.
    pub(crate) seen: bool,
    /// What became of a version stored before is known still.
    pub(crate) traced: bool,
    /// Versions stored before, as they came, the newest first.
    pub(crate) earlier: Vec<Record>,
}

/// What is known of some objects, in their order.
pub(crate) struct Objects(pub(crate) Vec<Object>);

impl Look for Objects {
    type Answer = Vec<Known>;

    fn look(&self, reader: &Connection) -> rusqlite::Result<Vec<Known>> {
        let key = dedupe::hash_key(reader)?;
        self.0.iter().map(|object| known(reader, &key, object)).collect()
    }
}

fn known(reader: &Connection, key: &dedupe::HashKey, object: &Object) -> rusqlite::Result<Known> {
    let mut known = Known::default();
    let items = decided::items_named(reader, &object.external_id)?;
    let earlier = items.into_iter().rev().filter(|seq| *seq < object.before);
    for seq in earlier.take(VERSIONS) {
        let raw = read::raw(reader, seq)?;
        // Another name may have the same key, and another connector the same name.
        let is_other =
            |raw: &Record| raw.raw.connector != object.connector || raw.raw.external_id != object.external_id;
        if raw.as_ref().is_some_and(is_other) {
            continue;
        }
        if !matches!(known.versions.last(), Some(Version::Decided(_))) {
            let version = version(reader, object, seq, raw.as_ref(), &mut known.traced)?;
            known.versions.extend(version);
        }
        known.earlier.extend(raw);
    }
    let name = dedupe::hash(
        key,
        &[object.connector.as_str().as_bytes(), object.external_id.as_bytes()],
    );
    let stored: Option<i64> = reader
        .prepare_cached("SELECT versions FROM seen WHERE key = ?1")?
        .query_row([&name[..]], |row| row.get(0))
        .optional()?;
    known.seen = stored.is_some();
    Ok(known)
}

/// What became of a version, if it went or goes anywhere.
fn version(
    reader: &Connection,
    object: &Object,
    seq: i64,
    raw: Option<&Record>,
    traced: &mut bool,
) -> rusqlite::Result<Option<Version>> {
    let mut found = Vec::new();
    decided::of_item(reader, seq, &mut found)?;
    *traced |= raw.is_some() || !found.is_empty();
    if found.is_empty() {
        return Ok(match raw {
            Some(raw) if !is_held(reader, seq)? => Some(Version::Waiting(Box::new(raw.clone()))),
            _ => None,
        });
    }
    found.retain(|decided| decided.outcome != "ignored" && decided.channel == object.channel);
    let routings = everywhere(reader, found)?;
    Ok((!routings.is_empty()).then_some(Version::Decided(routings)))
}

/// Where the events of some decisions went, also those that another item sent again.
fn everywhere(reader: &Connection, found: Vec<decided::Decided>) -> rusqlite::Result<Vec<serde_json::Value>> {
    let events: HashSet<Uuid> = found
        .iter()
        .filter_map(|decided| decided.event_id.parse().ok())
        .collect();
    let mut all = found;
    for event in events {
        let mut of_event = Vec::new();
        decided::of_event(reader, event, &mut of_event)?;
        all.extend(of_event);
    }
    let mut queues = HashSet::new();
    all.retain(|decided| queues.insert(decided.queue.clone()));
    Ok(all.into_iter().map(|decided| decided.routing).collect())
}

fn is_held(reader: &Connection, seq: i64) -> rusqlite::Result<bool> {
    reader
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM held WHERE seq = ?1)")?
        .query_row([seq], |row| row.get(0))
}

/// Items of some conversations that came lately.
pub(crate) struct Lately {
    /// Connector and conversation.
    pub(crate) conversations: HashSet<(ConnectorId, String)>,
    /// Looks back from this item on.
    pub(crate) from: i64,
    /// Not beyond this many items.
    pub(crate) items: i64,
    /// Not beyond this moment, microseconds since 1970.
    pub(crate) since: i64,
}

impl Look for Lately {
    /// The oldest first.
    type Answer = Vec<Record>;

    fn look(&self, reader: &Connection) -> rusqlite::Result<Vec<Record>> {
        let mut connectors: HashMap<i64, ConnectorId> = HashMap::new();
        let mut select = reader.prepare_cached("SELECT id, name FROM connector")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            connectors.insert(row.get(0)?, ConnectorId::new(row.get::<_, String>(1)?));
        }
        let mut wanted: HashMap<(ConnectorId, String), usize> = self
            .conversations
            .iter()
            .cloned()
            .map(|place| (place, BESIDE))
            .collect();
        let mut select = reader.prepare_cached(
            "SELECT seq, connector, conversation, received_at FROM raw WHERE seq <= ?1 ORDER BY seq DESC LIMIT ?2",
        )?;
        let mut rows = select.query(params![self.from, self.items.min(LOOKED_THROUGH)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(3)? < self.since {
                break;
            }
            let (Some(connector), Some(conversation)) =
                (connectors.get(&row.get(1)?), row.get::<_, Option<String>>(2)?)
            else {
                continue;
            };
            if let Some(left) = wanted.get_mut(&(connector.clone(), conversation))
                && *left > 0
            {
                *left -= 1;
                found.push(row.get::<_, i64>(0)?);
            }
        }
        let records = found.into_iter().rev().map(|seq| read::raw(reader, seq));
        records.filter_map(Result::transpose).collect()
    }
}

/// The newest stored version of each of some objects, as its source gave it.
pub(crate) struct Newest(pub(crate) Vec<(ConnectorId, String)>);

impl Look for Newest {
    /// In the order of the objects.
    type Answer = Vec<Option<Record>>;

    fn look(&self, reader: &Connection) -> rusqlite::Result<Vec<Option<Record>>> {
        let objects = self.0.iter();
        objects
            .map(|(connector, external_id)| newest(reader, connector, external_id))
            .collect()
    }
}

fn newest(reader: &Connection, connector: &ConnectorId, external_id: &str) -> rusqlite::Result<Option<Record>> {
    for seq in decided::items_named(reader, external_id)?
        .into_iter()
        .rev()
        .take(VERSIONS)
    {
        let raw = read::raw(reader, seq)?;
        let is_it = |raw: &Record| raw.raw.connector == *connector && raw.raw.external_id == external_id;
        if let Some(raw) = raw.filter(is_it) {
            return Ok(Some(raw));
        }
    }
    Ok(None)
}
