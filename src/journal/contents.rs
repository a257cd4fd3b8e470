//! A copy of the journal's table of contents (`sqlite_schema`: which table begins at which page), beside the database in
//! `journal.contents`.
//!
//! Without its contents SQLite reads nothing of a file at all, and they are two or three pages of very many. Damage there
//! must not take what all the other pages still hold: `priem journal export` reads a copy of the file with the kept
//! contents put in. The database itself is left as it is.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::{FILE_NAME, JournalError, export::is_damage, mark, schema, store::Store};
use crate::private;

const CONTENTS: &str = "journal.contents";
/// What every SQLite database begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Where the tree of the first page begins, behind the header of the file.
const TREE: usize = 100;
/// Kind of a page of a tree whose entries are further pages.
const INTERIOR: u8 = 5;

/// What is kept.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Contents {
    page_size: u32,
    entries: Vec<Entry>,
}

/// A table or an index.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    kind: String,
    name: String,
    table: String,
    /// Page at which it begins.
    page: i64,
    sql: Option<String>,
}

/// Keeps the contents of an open journal, when they are other than what was kept.
///
/// # Errors
/// When they can't be read or written.
pub(super) fn keep(folder: &Path, connection: &Connection) -> Result<(), JournalError> {
    let mut select =
        connection.prepare("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema ORDER BY rowid")?;
    let entries = select.query_map([], |row| {
        Ok(Entry {
            kind: row.get(0)?,
            name: row.get(1)?,
            table: row.get(2)?,
            page: row.get(3)?,
            sql: row.get(4)?,
        })
    })?;
    let contents = Contents {
        page_size: connection.pragma_query_value(None, "page_size", |row| row.get(0))?,
        entries: entries.collect::<rusqlite::Result<_>>()?,
    };
    let path = folder.join(CONTENTS);
    write(&path, &contents).map_err(JournalError::of_file(&path))
}

fn write(path: &Path, contents: &Contents) -> io::Result<()> {
    let text = serde_json::to_vec(contents)?;
    if fs::read(path).is_ok_and(|kept| kept == text) {
        return Ok(());
    }
    let new = private::beside(path, ".new");
    let mut file = private::open(&new)?;
    file.set_len(0)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

impl Store {
    /// Whether the table of contents can be read. Without it nothing can, see [`Store::rescued`].
    pub fn has_contents(&self) -> bool {
        let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        let counted = self
            .connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], count);
        !counted.is_err_and(|error| is_damage(&error))
    }

    /// The journal of a folder as a copy with the contents that were kept when the daemon last started. The copy lies in
    /// the folder for temporary files (`TMPDIR`) and goes with the second value.
    ///
    /// # Errors
    /// When no contents were kept, or there is no room for the copy.
    pub fn rescued(folder: &Path) -> Result<(Self, TempDir), JournalError> {
        let kept = folder.join(CONTENTS);
        let contents: Contents = fs::read(&kept)
            .and_then(|text| Ok(serde_json::from_slice(&text)?))
            .map_err(JournalError::of_file(&kept))?;
        let copy = tempfile::tempdir().map_err(JournalError::of_file(&std::env::temp_dir()))?;
        let no_copy = |error: io::Error| JournalError::Unavailable {
            why: format!(
                "copying the journal to {} (TMPDIR names another place): {error}",
                copy.path().display()
            ),
        };
        copy_into(folder, copy.path()).map_err(no_copy)?;
        let model = copy.path().join("contents.sqlite");
        make(&model, &contents)?;
        let pages = fs::read(&model).map_err(no_copy)?;
        put_in(&copy.path().join(FILE_NAME), &pages, contents.page_size as usize).map_err(no_copy)?;
        Ok((Self::open(copy.path())?, copy))
    }
}

/// The database with everything from its log in it, and the mark.
fn copy_into(folder: &Path, copy: &Path) -> io::Result<()> {
    let (from, to) = (folder.join(FILE_NAME), copy.join(FILE_NAME));
    fs::copy(&from, &to)?;
    let log = private::beside(&to, "-wal");
    if fs::copy(private::beside(&from, "-wal"), &log).is_ok()
        && let Ok(connection) = Connection::open(&to)
    {
        // What can't be taken from a damaged log is lost to SQLite in any case.
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    for suffix in ["-wal", "-shm"] {
        match fs::remove_file(private::beside(&to, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    mark::copy(folder, copy)
}

/// Makes a database that holds these contents and nothing else.
fn make(path: &Path, contents: &Contents) -> Result<(), JournalError> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "page_size", contents.page_size)?;
    connection.pragma_update(None, "user_version", schema::VERSION)?;
    connection.pragma_update(None, "writable_schema", true)?;
    let mut insert = connection
        .prepare("INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for entry in &contents.entries {
        insert.execute((&entry.kind, &entry.name, &entry.table, entry.page, &entry.sql))?;
    }
    Ok(())
}

/// Puts the pages of other contents into a database: the first one in place, the others behind its end.
fn put_in(path: &Path, pages: &[u8], size: usize) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let own = u32::try_from(file.metadata()?.len() / size as u64).map_err(io::Error::other)?;
    let mut pages: Vec<Vec<u8>> = pages.chunks_exact(size).map(<[u8]>::to_vec).collect();
    let more = u32::try_from(pages.len() - 1).map_err(io::Error::other)?;
    let first = &mut pages[0];
    let mut header = [0; TREE];
    file.read_exact_at(&mut header, 0)?;
    if header.starts_with(MAGIC) {
        first[..TREE].copy_from_slice(&header);
    }
    // Without a log; the number of pages, and that it is to be believed; no pages that are free.
    first[18..20].fill(1);
    first[28..32].copy_from_slice(&(own + more).to_be_bytes());
    first.copy_within(24..28, 92);
    first[32..40].fill(0);
    if first[TREE] == INTERIOR {
        let count = usize::from(u16::from_be_bytes([first[TREE + 3], first[TREE + 4]]));
        let cells = (0..count).map(|cell| TREE + 12 + 2 * cell);
        let mut links: Vec<usize> = cells
            .map(|at| usize::from(u16::from_be_bytes([first[at], first[at + 1]])))
            .collect();
        links.push(TREE + 8);
        for at in links {
            let bytes = [first[at], first[at + 1], first[at + 2], first[at + 3]];
            // The second page is the first behind the end.
            let moved = u32::from_be_bytes(bytes) + own - 1;
            first[at..at + 4].copy_from_slice(&moved.to_be_bytes());
        }
    }
    file.write_all_at(&pages[0], 0)?;
    for (number, page) in (u64::from(own)..).zip(&pages[1..]) {
        file.write_all_at(page, number * size as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use priem_sdk::contract::ConnectorId;

    use super::*;
    use crate::{
        journal::{
            Journal,
            testing::{item, settings},
        },
        telemetry::Metrics,
    };

    #[tokio::test]
    async fn what_is_readable_is_exported_though_the_table_of_contents_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&settings(folder.path()), &Metrics::new()).unwrap();
        let items = (0..300).map(item).collect();
        journal.append(&ConnectorId::new("a"), "s", items, None).await.unwrap();
        drop(journal);
        let store = Store::open(folder.path()).unwrap();
        assert!(store.has_contents());
        let mut wanted = Vec::new();
        store.export(&mut wanted, false).unwrap();
        drop(store);

        let path = folder.path().join(FILE_NAME);
        let mut bytes = fs::read(&path).unwrap();
        assert_eq!(bytes[TREE], INTERIOR, "the contents have more than one page");
        bytes[TREE..TREE + 200].fill(0xa5);
        fs::write(&path, &bytes).unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(!store.has_contents());
        drop(store);

        let (store, _copy) = Store::rescued(folder.path()).unwrap();
        let mut exported = Vec::new();
        let count = store.export(&mut exported, false).unwrap();
        assert_eq!((count.items, count.unreadable), (300, 0));
        assert_eq!(exported, wanted);
        assert_eq!(fs::read(&path).unwrap(), bytes, "the database itself is left as it is");
    }
}
