//! A platform repeats what it sent broken, and this time it is sound: the repetition has the name of the version that
//! waits in quarantine, and takes its place. Nobody needs to look at the broken one any more.

use priem_sdk::Item;
use rusqlite::{Connection, params};

use super::{
    dedupe::Verdict,
    ledger::Ledger,
    settled::{self, Fact},
};

/// What became of the broken one; shown by `priem why`.
pub(super) const SUPERSEDED: &str = "superseded";

/// What an item changes that may be the sound form of what waits in quarantine: its own verdict, and the quarantined
/// items it makes needless.
pub(super) fn judge(
    connection: &Connection,
    connector: i64,
    item: &Item,
    verdict: Verdict,
) -> rusqlite::Result<(Verdict, Vec<i64>)> {
    // A version with a name that is new repeats nothing.
    let repeats = match &verdict {
        Verdict::New { ordinal, .. } => *ordinal > 0 && item.revision.is_none(),
        Verdict::Seen | Verdict::Unchanged => true,
        Verdict::Older => false,
    };
    if !repeats || item.problem.is_some() {
        return Ok((verdict, Vec::new()));
    }
    let mut broken = connection.prepare_cached(
        "SELECT r.seq, r.revision, r.ordinal FROM held_name h JOIN raw r ON r.seq = h.seq \
         WHERE h.external_id = ?1 AND h.connector = ?2 AND r.body <> ?3",
    )?;
    let mut rows = broken.query(params![item.external_id, connector, &item.body[..]])?;
    let mut replaced: Vec<(i64, String, u32)> = Vec::new();
    while let Some(row) = rows.next()? {
        let revision: String = row.get(1)?;
        // Versions without names of their own are told apart by content, and broken content is another.
        if item.revision.as_ref().is_none_or(|name| *name == revision) {
            replaced.push((row.get(0)?, revision, row.get(2)?));
        }
    }
    let Some((_, revision, ordinal)) = replaced.iter().max().cloned() else {
        return Ok((verdict, Vec::new()));
    };
    let revision = match verdict {
        Verdict::New { revision, .. } => revision,
        Verdict::Seen | Verdict::Unchanged | Verdict::Older => revision,
    };
    let needless = replaced.into_iter().map(|(seq, ..)| seq).collect();
    Ok((Verdict::New { revision, ordinal }, needless))
}

/// Takes a broken item off the list of what waits for a person; what it was stays until retention removes it.
pub(super) fn mark(connection: &Connection, ledger: &mut Ledger, seq: i64, now: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM held WHERE seq = ?1")?
        .execute([seq])?;
    let fact = Fact {
        event_id: uuid::Uuid::nil(),
        event: "none",
        outcome: SUPERSEDED,
        channel: "",
        queue: "",
        routing: b"{}",
    };
    settled::insert(connection, ledger, None, seq, now, &[fact])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use priem_sdk::{NormalizeError, contract::ConnectorId};

    use super::*;
    use crate::journal::{
        Appended, Record,
        append::{AppendState, Incoming, hold},
        clock::Now,
        schema,
    };

    struct Journal {
        connection: Connection,
        state: AppendState,
        fresh: Vec<Arc<Record>>,
    }

    impl Journal {
        fn new() -> Self {
            let mut connection = Connection::open_in_memory().unwrap();
            schema::prepare(&mut connection).unwrap();
            let mut state = AppendState::load(&connection).unwrap();
            state.now = Now::plain(1);
            Self {
                connection,
                state,
                fresh: Vec::new(),
            }
        }

        fn take(&mut self, items: &[Item]) -> Appended {
            let (id, stream) = (ConnectorId::new("a"), Arc::from("updates"));
            self.fresh.clear();
            let (connection, fresh) = (&self.connection, &mut self.fresh);
            let incoming = Incoming {
                connector: &id,
                stream: &stream,
                items,
                as_of: None,
                cursor: None,
            };
            self.state.append(connection, &incoming, fresh).unwrap()
        }

        fn held(&self) -> u32 {
            let count = "SELECT coalesce(sum(items), 0) FROM held_count";
            self.connection.query_row(count, [], |row| row.get(0)).unwrap()
        }
    }

    fn item(revision: Option<&str>, body: &'static str, is_broken: bool) -> Item {
        Item {
            external_id: "5:7".into(),
            revision: revision.map(Into::into),
            fingerprint: Some([body.as_bytes()[0]; 16]),
            conversation: None,
            format: "test",
            body: Bytes::from_static(body.as_bytes()),
            problem: is_broken.then(|| NormalizeError::new("not_json", "broken")),
        }
    }

    #[test]
    fn a_sound_repetition_takes_the_place_of_the_broken_version() {
        for revision in [Some("0"), None] {
            let mut journal = Journal::new();
            let broken = item(revision, "x broken", true);
            assert_eq!(journal.take(std::slice::from_ref(&broken)).quarantined, ["not_json"]);
            assert_eq!(journal.take(&[broken]).superseded, 0, "broken again");
            let taken = journal.take(&[item(revision, "sound", false)]);
            assert_eq!((taken.new, taken.superseded, journal.held()), (1, 1, 0), "{revision:?}");
            let raw = &journal.fresh[0].raw;
            assert_eq!(
                (raw.ordinal, &raw.body[..]),
                (0, &b"sound"[..]),
                "nothing was published before it"
            );
            assert!(revision.is_none_or(|name| raw.revision == name));
            let again = journal.take(&[item(revision, "sound", false)]);
            assert_eq!((again.new, again.superseded), (0, 0), "once");
        }
    }

    #[test]
    fn what_was_quarantined_later_is_known_as_well() {
        let mut journal = Journal::new();
        journal.take(&[item(None, "s strange", false)]);
        let seq = journal.fresh[0].seq;
        hold(&journal.connection, seq, "quarantined", "unexpected_shape", "", 1).unwrap();
        // The same to a reader, so far as a glance can tell.
        let taken = journal.take(&[item(None, "sound", false)]);
        assert_eq!((taken.new, taken.superseded, journal.held()), (1, 1, 0));
    }

    #[test]
    fn an_edit_and_what_is_only_parked_change_nothing() {
        let mut journal = Journal::new();
        journal.take(&[item(Some("0"), "x broken", true)]);
        let taken = journal.take(&[item(Some("edit"), "sound", false)]);
        assert_eq!((taken.new, taken.superseded, journal.held()), (1, 0, 1));
        let mut journal = Journal::new();
        journal.take(&[item(Some("0"), "sound", false)]);
        let seq = journal.fresh[0].seq;
        hold(&journal.connection, seq, "parked", "unroutable", "", 1).unwrap();
        let taken = journal.take(&[item(Some("0"), "sound ", false)]);
        assert_eq!((taken.new, taken.superseded, journal.held()), (0, 0, 1));
    }
}
