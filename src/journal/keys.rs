//! Finding things by random keys without a random page for each.
//!
//! An index of ids would touch a page of its own with every insert: the dearest thing a journal can do. Here the keys of
//! a commit are one row of `key_lately`; when 8 192 have come together they are sorted into `key_run`, 256 rows at once
//! (one per first byte of the key). A look reads the rows of one first byte, which lie side by side, and what is late.
//!
//! Keys are 6 bytes of a keyed hash or of an id that is one. Another thing with the same six bytes is found too: who asks
//! compares. What was removed may be found still: who asks looks whether it is there.

use rusqlite::{Connection, OptionalExtension, params};

/// 6 bytes of a hash.
pub(super) type Key = [u8; 6];

/// Keys sorted together.
const RUN: usize = 8_192;
/// Bytes of an entry of `key_lately`: key and offset.
const LATE: usize = 10;
/// Bytes of an entry of `key_run`: key without its first byte, and offset.
const SORTED: usize = 8;
/// Offsets are below this.
const REACH: i64 = 1 << 24;

/// What keys lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub(super) enum Shelf {
    /// Hash of an external id → `raw.seq`.
    Items = 0,
    /// The same of items that an older version stored.
    OldItems = 1,
    /// Event id → `settled.id`.
    Settled = 2,
    /// The same of what an older version settled.
    OldSettled = 3,
}

impl Shelf {
    pub(super) const ALL: [Self; 4] = [Self::Items, Self::OldItems, Self::Settled, Self::OldSettled];
}

/// The writer's side.
pub(super) struct Keys {
    /// Of this transaction.
    noted: [Vec<(Key, i64)>; 4],
    /// Entries of `key_lately`.
    late: [usize; 4],
}

impl Keys {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut late = [0; 4];
        for shelf in Shelf::ALL {
            let bytes: i64 = connection.query_row(
                "SELECT coalesce(sum(length(entries)), 0) FROM key_lately WHERE shelf = ?1",
                [shelf as i64],
                |row| row.get(0),
            )?;
            late[shelf as usize] = usize::try_from(bytes).unwrap_or(0) / LATE;
        }
        Ok(Self {
            noted: Default::default(),
            late,
        })
    }

    /// Notes a key; it is on disk after [`Keys::write`]. Numbers of one shelf grow.
    pub(super) fn note(&mut self, shelf: Shelf, key: Key, number: i64) {
        self.noted[shelf as usize].push((key, number));
    }

    /// Forgets what this transaction noted.
    pub(super) fn after_rollback(&mut self) {
        self.noted.iter_mut().for_each(Vec::clear);
    }

    /// Writes what was noted, inside the transaction. Gives the bytes it took, about.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for shelf in Shelf::ALL {
            let noted = &mut self.noted[shelf as usize];
            for (base, part) in parts(noted) {
                let mut entries = Vec::with_capacity(part.len() * LATE);
                for (key, number) in part {
                    entries.extend_from_slice(key);
                    entries.extend_from_slice(&offset(*number, base).to_be_bytes());
                }
                connection
                    .prepare_cached("INSERT INTO key_lately VALUES (?1, ?2, ?3)")?
                    .execute(params![shelf as i64, base, entries])?;
            }
            let late = &mut self.late[shelf as usize];
            *late += noted.len();
            noted.clear();
            if *late >= RUN {
                sort(connection, shelf)?;
                *late = 0;
            }
        }
        Ok(())
    }
}

/// Cuts what grows into parts whose numbers are near enough for offsets.
fn parts(noted: &[(Key, i64)]) -> impl Iterator<Item = (i64, &[(Key, i64)])> {
    let near = |first: &(Key, i64), next: &(Key, i64)| next.1 - first.1 < REACH;
    let mut rest = noted;
    std::iter::from_fn(move || {
        let first = rest.first()?;
        let end = rest.iter().position(|next| !near(first, next)).unwrap_or(rest.len());
        let (part, left) = rest.split_at(end);
        rest = left;
        Some((first.1, part))
    })
}

fn offset(number: i64, base: i64) -> u32 {
    u32::try_from(number - base).expect("parts are cut below the reach of an offset")
}

/// Sorts what is late into runs.
fn sort(connection: &Connection, shelf: Shelf) -> rusqlite::Result<()> {
    let mut all = Vec::with_capacity(RUN * 2);
    late(connection, shelf, |key, number| all.push((key, number)))?;
    for (base, part) in parts(&all) {
        let mut buckets: Vec<Vec<u8>> = vec![Vec::new(); 256];
        for (key, number) in part {
            let bucket = &mut buckets[usize::from(key[0])];
            bucket.extend_from_slice(&key[1..]);
            bucket.extend_from_slice(&offset(*number, base).to_be_bytes()[1..]);
        }
        let mut insert = connection.prepare_cached("INSERT INTO key_run VALUES (?1, ?2, ?3, ?4)")?;
        for (first, entries) in buckets.iter().enumerate().filter(|(_, entries)| !entries.is_empty()) {
            insert.execute(params![shelf as i64, first as i64, base, entries])?;
        }
        connection
            .prepare_cached("INSERT INTO key_sorted VALUES (?1, ?2)")?
            .execute([shelf as i64, base])?;
    }
    connection
        .prepare_cached("DELETE FROM key_lately WHERE shelf = ?1")?
        .execute([shelf as i64])?;
    Ok(())
}

fn late(connection: &Connection, shelf: Shelf, mut each: impl FnMut(Key, i64)) -> rusqlite::Result<()> {
    let mut select =
        connection.prepare_cached("SELECT base, entries FROM key_lately WHERE shelf = ?1 ORDER BY base")?;
    let mut rows = select.query([shelf as i64])?;
    while let Some(row) = rows.next()? {
        let base: i64 = row.get(0)?;
        for entry in row.get_ref(1)?.as_blob()?.chunks_exact(LATE) {
            let (key, offset) = entry.split_at(6);
            each(
                key.try_into().expect("split at six"),
                base + i64::from(u32::from_be_bytes(offset.try_into().expect("four are left"))),
            );
        }
    }
    Ok(())
}

/// The numbers that a key leads to, ascending.
pub(super) fn find(connection: &Connection, shelf: Shelf, wanted: &Key) -> rusqlite::Result<Vec<i64>> {
    let mut found = Vec::new();
    let mut select =
        connection.prepare_cached("SELECT base, entries FROM key_run WHERE shelf = ?1 AND first = ?2 ORDER BY base")?;
    let mut rows = select.query([shelf as i64, i64::from(wanted[0])])?;
    while let Some(row) = rows.next()? {
        let base: i64 = row.get(0)?;
        for entry in row.get_ref(1)?.as_blob()?.chunks_exact(SORTED) {
            if entry[..5] == wanted[1..] {
                found.push(base + i64::from(u32::from_be_bytes([0, entry[5], entry[6], entry[7]])));
            }
        }
    }
    late(connection, shelf, |key, number| {
        if key == *wanted {
            found.push(number);
        }
    })?;
    Ok(found)
}

/// Removes one run all of whose numbers are below `oldest`, if there is one. Says whether there was.
pub(super) fn forget(connection: &Connection, shelf: Shelf, oldest: i64) -> rusqlite::Result<bool> {
    let mut select = connection
        .prepare_cached("SELECT base FROM key_sorted WHERE shelf = ?1 AND base > ?2 ORDER BY base LIMIT 1")?;
    let mut after = |base: i64| {
        select
            .query_row([shelf as i64, base], |row| row.get::<_, i64>(0))
            .optional()
    };
    let Some(base) = after(i64::MIN)? else { return Ok(false) };
    // The numbers of a run end where the next one begins.
    if after(base)?.is_none_or(|next| next > oldest) {
        return Ok(false);
    }
    let mut delete = connection.prepare_cached("DELETE FROM key_run WHERE shelf = ?1 AND first = ?2 AND base = ?3")?;
    for first in 0..256 {
        delete.execute([shelf as i64, first, base])?;
    }
    connection
        .prepare_cached("DELETE FROM key_sorted WHERE shelf = ?1 AND base = ?2")?
        .execute([shelf as i64, base])?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::{super::schema, *};

    fn key(number: i64) -> Key {
        blake3::hash(&number.to_le_bytes()).as_bytes()[..6].try_into().unwrap()
    }

    #[test]
    fn everything_noted_is_found_late_and_sorted_and_old_runs_go() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::prepare(&mut connection).unwrap();
        let mut keys = Keys::load(&connection).unwrap();
        let all = 2 * RUN as i64 + 2_000;
        for number in 1..=all {
            keys.note(Shelf::Settled, key(number), number * 3);
            if number % 100 == 0 || number == all {
                keys.write(&connection).unwrap();
            }
        }
        for number in [1, 77, 8_191, 8_192, 8_193, 16_384, all] {
            assert_eq!(
                find(&connection, Shelf::Settled, &key(number)).unwrap(),
                [number * 3],
                "{number}"
            );
        }
        assert!(find(&connection, Shelf::Items, &key(1)).unwrap().is_empty());
        assert!(find(&connection, Shelf::Settled, &key(all + 1)).unwrap().is_empty());
        let again = Keys::load(&connection).unwrap();
        assert_eq!(again.late, keys.late, "counted anew after a restart");

        assert!(
            !forget(&connection, Shelf::Settled, 3 * 8_192).unwrap(),
            "the run is not gone yet"
        );
        assert!(forget(&connection, Shelf::Settled, 3 * 8_201).unwrap());
        assert!(!forget(&connection, Shelf::Settled, 3 * 8_201).unwrap());
        assert!(find(&connection, Shelf::Settled, &key(1)).unwrap().is_empty());
        assert_eq!(find(&connection, Shelf::Settled, &key(8_300)).unwrap(), [8_300 * 3]);
    }

    #[test]
    fn a_gap_wider_than_an_offset_is_bridged_and_a_rollback_forgets() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::prepare(&mut connection).unwrap();
        let mut keys = Keys::load(&connection).unwrap();
        keys.note(Shelf::Items, key(9), 9);
        keys.after_rollback();
        for number in (0..RUN as i64).map(|number| number * REACH / 100) {
            keys.note(Shelf::Items, key(number), number);
        }
        keys.write(&connection).unwrap();
        assert!(find(&connection, Shelf::Items, &key(9)).unwrap().is_empty());
        let last = (RUN as i64 - 1) * REACH / 100;
        assert_eq!(find(&connection, Shelf::Items, &key(last)).unwrap(), [last]);
    }
}
