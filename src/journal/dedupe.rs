//! Which versions of an object were stored before.
//!
//! The identity of an item is (connector, external id, revision). One row of `seen` per (connector, external id) keeps
//! short hashes of its revisions and the fingerprint of the newest version:
//!
//! - a revision stored before → [`Verdict::Seen`];
//! - another revision with the fingerprint of the newest version → [`Verdict::Unchanged`] (an edit without a visible
//!   change, the same row in the next export);
//! - from a source that says as of when it speaks: an earlier moment than that of the newest version, or the same moment
//!   and a content the object had before → [`Verdict::Older`] (an old export, saved anew);
//! - everything else is new. A → B → A gives three versions: only the newest one is compared.
//!
//! Rows hold keyed hashes only, so they may outlive the raw data.

use priem_sdk::Item;
use rusqlite::{Connection, params};

/// How many revisions of one object are remembered. A source that repeats an older one (nobody does: platforms retry
/// for a day) gets it published again under the same id.
const REVISIONS_KEPT: usize = 256;

/// What `seen` says of an item.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A version not stored before, with its name and how many came before it.
    New { revision: String, ordinal: u32 },
    /// This version is stored.
    Seen,
    /// Nothing a reader would see differs from the newest version.
    Unchanged,
    /// The newest version is of a later time.
    Older,
}

/// Key of the hashes, made once per journal.
pub(super) type HashKey = [u8; 32];

/// Reads the key of this journal.
pub(super) fn hash_key(connection: &Connection) -> rusqlite::Result<HashKey> {
    connection.query_row("SELECT value FROM meta WHERE key = 'hash_key'", [], |row| row.get(0))
}

/// Judges an item and, when it is new, remembers it. `as_of`: the moment of which its source speaks, when it says one.
pub(super) fn admit(
    connection: &Connection,
    hash_key: &HashKey,
    connector: &str,
    item: &Item,
    as_of: Option<i64>,
    now: i64,
) -> rusqlite::Result<Verdict> {
    let key = hash(hash_key, &[connector.as_bytes(), item.external_id.as_bytes()]);
    // Nearly every item is new: one statement finds that out and remembers it.
    let revision = revision_name(item, 0, |_| false);
    let is_new = connection
        .prepare_cached("INSERT INTO seen VALUES (?1, ?2, ?3, 1, ?4, ?5) ON CONFLICT DO NOTHING")?
        .execute(params![
            &key[..],
            item.fingerprint.as_ref().map(|print| &print[..]),
            &short_hash(hash_key, &revision)[..],
            now,
            as_of
        ])?;
    if is_new == 1 {
        return Ok(Verdict::New { revision, ordinal: 0 });
    }
    let (newest, mut revisions, versions, newest_as_of): (Option<Vec<u8>>, Vec<u8>, u32, Option<i64>) = connection
        .prepare_cached("SELECT fingerprint, revisions, versions, as_of FROM seen WHERE key = ?1")?
        .query_row([&key[..]], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    let known = |name: &str| revisions.chunks_exact(8).any(|hash| hash == short_hash(hash_key, name));
    if item.revision.as_deref().is_some_and(known) || (item.revision.is_none() && item.fingerprint.is_none()) {
        return Ok(Verdict::Seen);
    }
    let unchanged = item
        .fingerprint
        .is_some_and(|print| newest.as_deref() == Some(&print[..]));
    if unchanged && item.revision.is_none() {
        // Once, for objects that came before anybody asked: a write for each row of each export would cost too much.
        if let (Some(as_of), None) = (as_of, newest_as_of) {
            connection
                .prepare_cached("UPDATE seen SET as_of = ?2 WHERE key = ?1")?
                .execute(params![&key[..], as_of])?;
        }
        return Ok(Verdict::Unchanged);
    }
    let is_older = match (as_of, newest_as_of) {
        (Some(as_of), Some(newest)) => as_of < newest || as_of == newest && known(&revision),
        _ => false,
    };
    if is_older && item.revision.is_none() {
        return Ok(Verdict::Older);
    }
    let revision = revision_name(item, versions, known);
    revisions.extend_from_slice(&short_hash(hash_key, &revision));
    let surplus = revisions.len().saturating_sub(REVISIONS_KEPT * 8);
    let versions_now = versions + u32::from(!unchanged);
    connection
        .prepare_cached(
            "UPDATE seen SET fingerprint = coalesce(?2, fingerprint), revisions = ?3, versions = ?4, at = ?5, \
             as_of = coalesce(?6, as_of) WHERE key = ?1",
        )?
        .execute(params![
            &key[..],
            item.fingerprint.as_ref().map(|print| &print[..]),
            &revisions[surplus..],
            versions_now,
            now,
            as_of
        ])?;
    Ok(if unchanged {
        Verdict::Unchanged
    } else {
        Verdict::New {
            revision,
            ordinal: versions,
        }
    })
}

/// Name of a version: the source's own, or one from the content, numbered when that content was there before.
fn revision_name(item: &Item, versions: u32, known: impl Fn(&str) -> bool) -> String {
    if let Some(name) = &item.revision {
        return name.clone();
    }
    let Some(print) = item.fingerprint else {
        return "0".into();
    };
    let name = format!(
        "c{:016x}",
        u64::from_be_bytes(print[..8].try_into().expect("a fingerprint has 16 bytes"))
    );
    if known(&name) {
        format!("{name}.{versions}")
    } else {
        name
    }
}

/// Keyed hash over parts and their lengths.
pub(super) fn hash(key: &HashKey, parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().as_bytes()[..16]
        .try_into()
        .expect("a hash has 32 bytes")
}

/// The key by which the items of an external id are found, whatever connector they came from.
pub(super) fn item_key(key: &HashKey, external_id: &str) -> super::keys::Key {
    hash(key, &[b"item", external_id.as_bytes()])[..6]
        .try_into()
        .expect("a hash has 16 bytes")
}

fn short_hash(key: &HashKey, name: &str) -> [u8; 8] {
    hash(key, &[name.as_bytes()])[..8]
        .try_into()
        .expect("a hash has 16 bytes")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{super::sweep::Slices, *};

    fn journal() -> (Connection, HashKey) {
        let mut connection = Connection::open_in_memory().unwrap();
        super::super::schema::prepare(&mut connection).unwrap();
        let key = hash_key(&connection).unwrap();
        (connection, key)
    }

    fn item(revision: Option<&str>, fingerprint: u8) -> Item {
        Item {
            external_id: "1:2".into(),
            revision: revision.map(Into::into),
            fingerprint: Some([fingerprint; 16]),
            conversation: None,
            format: "test",
            body: Bytes::new(),
            problem: None,
        }
    }

    #[test]
    fn a_revision_is_stored_once() {
        let (connection, key) = journal();
        let admit = |revision, print| admit(&connection, &key, "a", &item(revision, print), None, 0).unwrap();
        assert_eq!(
            admit(Some("0"), 1),
            Verdict::New {
                revision: "0".into(),
                ordinal: 0
            }
        );
        assert_eq!(admit(Some("0"), 1), Verdict::Seen);
        assert_eq!(
            admit(Some("e1"), 1),
            Verdict::Unchanged,
            "an edit without a visible change"
        );
        assert_eq!(admit(Some("e1"), 1), Verdict::Seen);
        assert_eq!(
            admit(Some("e2"), 2),
            Verdict::New {
                revision: "e2".into(),
                ordinal: 1
            }
        );
        assert_eq!(
            admit(Some("0"), 1),
            Verdict::Seen,
            "a late repetition of the first version"
        );
        assert_eq!(
            admit(Some("e3"), 1),
            Verdict::New {
                revision: "e3".into(),
                ordinal: 2
            },
            "back to the first words"
        );
    }

    #[test]
    fn content_alone_tells_versions_apart() {
        let (connection, key) = journal();
        let admit = |print| admit(&connection, &key, "a", &item(None, print), None, 0).unwrap();
        let name = |print: u8| format!("c{}", format!("{print:02x}").repeat(8));
        assert_eq!(
            admit(1),
            Verdict::New {
                revision: name(1),
                ordinal: 0
            }
        );
        assert_eq!(admit(1), Verdict::Unchanged);
        assert_eq!(
            admit(2),
            Verdict::New {
                revision: name(2),
                ordinal: 1
            }
        );
        assert_eq!(
            admit(1),
            Verdict::New {
                revision: format!("{}.2", name(1)),
                ordinal: 2
            }
        );
        assert_eq!(admit(1), Verdict::Unchanged);
    }

    #[test]
    fn what_speaks_of_an_earlier_time_changes_nothing() {
        let (connection, key) = journal();
        let admit = |print, as_of| match admit(&connection, &key, "a", &item(None, print), as_of, 0).unwrap() {
            Verdict::New { ordinal, .. } => format!("new {ordinal}"),
            other => format!("{other:?}"),
        };
        assert_eq!(admit(1, None), "new 0");
        assert_eq!(admit(1, Some(5)), "Unchanged", "its time is known from now on");
        assert_eq!(admit(2, Some(7)), "new 1");
        assert_eq!(admit(1, Some(5)), "Older");
        assert_eq!(
            admit(3, Some(6)),
            "Older",
            "an older content that never came is older still"
        );
        assert_eq!(admit(2, Some(5)), "Unchanged");
        assert_eq!(admit(1, Some(7)), "Older", "it was so before, and nothing is newer");
        assert_eq!(admit(3, Some(7)), "new 2", "it never was so");
        assert_eq!(admit(2, Some(8)), "new 3", "it is so again");
        assert_eq!(admit(1, None), "new 4", "nobody says of when");
        assert_eq!(admit(2, Some(7)), "Older", "what is known of the time stays");
    }

    #[test]
    fn connectors_do_not_share_identities() {
        let (connection, key) = journal();
        for connector in ["a", "b"] {
            let verdict = admit(&connection, &key, connector, &item(Some("0"), 1), None, 0).unwrap();
            assert_eq!(
                verdict,
                Verdict::New {
                    revision: "0".into(),
                    ordinal: 0
                }
            );
        }
    }

    #[test]
    fn old_rows_are_forgotten_in_slices() {
        let (connection, key) = journal();
        for number in 0..20 {
            let mut item = item(Some("0"), 1);
            item.external_id = number.to_string();
            admit(&connection, &key, "a", &item, None, number).unwrap();
        }
        let mut seen = Slices::new("seen", "key", "at");
        while !seen.forget(&connection, 10).unwrap() {}
        let left: u32 = connection
            .query_row("SELECT count(*) FROM seen /* walks: a test */", [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, 10);
    }
}
