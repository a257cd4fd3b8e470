//! The write-ahead log as it lies on the disk, read without SQLite: how much of it is whole.
//!
//! SQLite recovers frames up to the first whose checksum does not fit and forgets the rest without a word. After a kill
//! or a power cut that is right: the last transaction was not complete and nobody was answered. Damage in the middle is
//! something else: what follows was committed and acknowledged. Frames of one generation of the log carry the same
//! salt, which tells them from older ones in the same file; format: <https://www.sqlite.org/fileformat2.html#walformat>.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// What a log holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Log {
    /// Frames of this generation in the file.
    pub(super) frames: u64,
    /// Of these, frames that SQLite recovers: whole, and committed.
    pub(super) recovered: u64,
    /// Ends of transactions behind the first damage.
    pub(super) commits_lost: u64,
}

impl Log {
    /// Whether something committed can't be recovered. One end of a transaction behind the damage may be that of the
    /// last one, torn by a power cut before anybody was answered; a second one follows only what was synced.
    pub(super) fn is_damaged(&self) -> bool {
        self.commits_lost > 1
    }
}

/// Reads the log of a database; `None` when there is none, or it is empty.
pub(super) fn look(database: &Path) -> io::Result<Option<Log>> {
    match File::open(crate::private::beside(database, "-wal")) {
        Ok(file) => read(BufReader::with_capacity(256 << 10, file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(mut file: impl Read) -> io::Result<Option<Log>> {
    let mut header = [0; HEADER];
    if !fill(&mut file, &mut header)? {
        return Ok(None);
    }
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (magic, page_size) = (word(0), word(8) as usize);
    let mut sum = Sum {
        big_endian: magic & 1 == 1,
        words: (0, 0),
    };
    sum.add(&header[..24]);
    let mut whole = magic & !1 == 0x377f_0682 && sum.words == (word(24), word(28));
    // A damaged header does not tell the size of a page; that of our journals does not change.
    let page_size = match page_size {
        512..=65_536 if page_size.is_power_of_two() => page_size,
        _ => 4_096,
    };
    let mut salt = whole.then(|| [word(16), word(20)]);
    let mut log = Log::default();
    let mut frame = vec![0; FRAME_HEADER + page_size];
    let mut number = 0;
    while fill(&mut file, &mut frame)? {
        number += 1;
        let word = |at: usize| u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
        let found = [word(8), word(12)];
        // Without a header, the first frame is of this generation: each one starts at the beginning of the file.
        let ours = found == *salt.get_or_insert(found);
        let commits = word(4) != 0;
        if whole {
            sum.add(&frame[..8]);
            sum.add(&frame[FRAME_HEADER..]);
            whole = ours && word(0) != 0 && sum.words == (word(16), word(20));
        }
        if ours {
            log.frames = number;
        }
        if whole && commits {
            log.recovered = number;
        } else if !whole && ours && commits {
            log.commits_lost += 1;
        }
    }
    Ok(Some(log))
}

/// Fills a buffer; whether there was enough.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The running checksum.
struct Sum {
    big_endian: bool,
    words: (u32, u32),
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let (mut one, mut two) = self.words;
        for pair in bytes.chunks_exact(8) {
            let [x0, x1, x2, x3, y0, y1, y2, y3] = *pair else {
                unreachable!("chunks of eight")
            };
            let (x, y) = ([x0, x1, x2, x3], [y0, y1, y2, y3]);
            let (x, y) = match self.big_endian {
                true => (u32::from_be_bytes(x), u32::from_be_bytes(y)),
                false => (u32::from_le_bytes(x), u32::from_le_bytes(y)),
            };
            one = one.wrapping_add(x).wrapping_add(two);
            two = two.wrapping_add(y).wrapping_add(one);
        }
        self.words = (one, two);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rusqlite::Connection;

    use super::*;

    /// A database with ten transactions in its log, copied as a crash leaves it. Gives its path and the rows SQLite
    /// recovers from it.
    fn crashed(folder: &Path, damage: impl Fn(&mut Vec<u8>)) -> (PathBuf, i64) {
        let (live, copy) = (folder.join("live.sqlite"), folder.join("copy.sqlite"));
        let connection = Connection::open(&live).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        // An older generation lies behind the ten, of another salt.
        connection.execute_batch("CREATE TABLE t (a)").unwrap();
        for _ in 0..40 {
            connection
                .execute("INSERT INTO t VALUES (randomblob(5000))", [])
                .unwrap();
        }
        connection
            .query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))
            .unwrap();
        for _ in 0..10 {
            connection
                .execute("INSERT INTO t VALUES (randomblob(5000))", [])
                .unwrap();
        }
        let mut log = std::fs::read(crate::private::beside(&live, "-wal")).unwrap();
        damage(&mut log);
        std::fs::copy(&live, &copy).unwrap();
        std::fs::write(crate::private::beside(&copy, "-wal"), log).unwrap();
        let found = folder.join("found.sqlite");
        std::fs::copy(&copy, &found).unwrap();
        std::fs::copy(
            crate::private::beside(&copy, "-wal"),
            crate::private::beside(&found, "-wal"),
        )
        .unwrap();
        let rows = Connection::open(&found)
            .unwrap()
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .unwrap();
        (copy, rows)
    }

    #[test]
    fn a_whole_log_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (path, rows) = crashed(folder.path(), |_| {});
        let log = look(&path).unwrap().unwrap();
        assert_eq!(rows, 50);
        assert!(
            !log.is_damaged() && log.frames == log.recovered && log.frames >= 20,
            "{log:?}"
        );
    }

    #[test]
    fn damage_in_the_middle_is_seen_where_sqlite_stops() {
        let folder = tempfile::tempdir().unwrap();
        let frame = FRAME_HEADER + 4096;
        let (path, rows) = crashed(folder.path(), |log| log[HEADER + 9 * frame + 500] ^= 1);
        let log = look(&path).unwrap().unwrap();
        assert!(rows < 50, "SQLite says nothing of it");
        assert!(log.is_damaged() && log.recovered <= 9 && log.frames > 9, "{log:?}");
        assert_eq!(log.commits_lost, (50 - rows) as u64, "one transaction a row");
    }

    #[test]
    fn a_damaged_header_loses_everything() {
        let folder = tempfile::tempdir().unwrap();
        let (path, rows) = crashed(folder.path(), |log| log[17] ^= 1);
        let log = look(&path).unwrap().unwrap();
        assert_eq!((rows, log.recovered, log.commits_lost), (40, 0, 10));
    }

    #[test]
    fn a_torn_last_transaction_is_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let (path, rows) = crashed(folder.path(), |log| {
            let whole = read(&log[..]).unwrap().unwrap().frames as usize;
            log.truncate(HEADER + whole * (FRAME_HEADER + 4096));
            let last = log.len() - 4096 - FRAME_HEADER - 100;
            log[last] ^= 1;
        });
        let log = look(&path).unwrap().unwrap();
        assert_eq!((rows, log.commits_lost, log.is_damaged()), (49, 1, false));
    }

    #[test]
    fn no_log_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(look(&folder.path().join("none")).unwrap(), None);
        std::fs::write(folder.path().join("empty-wal"), "").unwrap();
        assert_eq!(look(&folder.path().join("empty")).unwrap(), None);
    }
}
