//! A record beside the database of what was promised: the newest item that was acknowledged, and the trusted time.
//!
//! Bytes of the write-ahead log that go bad after they were synced end the recovery of SQLite at that place, without a
//! word: what follows is gone. The mark says at the next start that there was more. It is one line of text in
//! `journal.mark`, written over after each commit and not synced: it costs a microsecond, and after a power cut it may
//! only be older than the truth. Deleting it loses nothing but this check.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{JournalError, clock::Kept};
use crate::private;

const FILE_NAME: &str = "journal.mark";
/// Always written whole; room for any figures.
const LENGTH: usize = 256;

/// What the mark says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Promise {
    /// Which journal it belongs to.
    pub(super) journal: String,
    /// Number of the newest item that was acknowledged.
    pub(super) seq: i64,
    /// Clock of the last commit.
    #[serde(flatten)]
    pub(super) clock: Kept,
}

/// The file, open.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    /// The last error was told.
    failing: bool,
}

impl Mark {
    /// Opens the mark in the journal's folder; gives what it says, when it says something whole.
    ///
    /// # Errors
    /// When it can't be opened; names it.
    pub(super) fn open(folder: &Path) -> Result<(Self, Option<Promise>), JournalError> {
        let path = path(folder);
        let file = private::open(&path).map_err(|error| JournalError::Unavailable {
            why: format!(
                "{}: {error}; this file holds nothing but a check: move away what is in its place",
                path.display()
            ),
        })?;
        let promise = read(&file);
        Ok((Self { file, failing: false }, promise))
    }

    /// Writes it over. An error is told once and harms nothing else.
    pub(super) fn write(&mut self, promise: &Promise) {
        let written = self.file.write_all_at(&line(promise), 0);
        if let Err(error) = &written
            && !self.failing
        {
            tracing::warn!(%error, "the mark beside the journal can't be written");
        }
        self.failing = written.is_err();
    }
}

/// Where it lies.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(FILE_NAME)
}

/// Copies the mark of a folder into another one, if there is one.
pub(super) fn copy(folder: &Path, into: &Path) -> io::Result<()> {
    match std::fs::copy(path(folder), path(into)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What the mark in a folder says.
pub(super) fn look(folder: &Path) -> Option<Promise> {
    read(&File::open(path(folder)).ok()?)
}

/// The time to delete by what belongs to the messages of a journal, for who keeps it in another place: by a clock that
/// has jumped ahead nothing is old. See `clock`.
pub fn sweep_time(folder: &Path) -> Timestamp {
    let now = Timestamp::now();
    let trusted = look(folder).map(|promise| promise.clock.sweep(now.as_microsecond()));
    trusted
        .and_then(|time| Timestamp::from_microsecond(time).ok())
        .unwrap_or(now)
}

fn line(promise: &Promise) -> [u8; LENGTH] {
    let mut line = [b' '; LENGTH];
    let text = serde_json::to_string(promise).expect("a promise is plain data");
    let sum = sum(text.as_bytes());
    let mut room = &mut line[..LENGTH - 1];
    // Both fit: names of journals are short, and so are numbers.
    let _ = io::Write::write_all(&mut room, format!("{sum} {text}").as_bytes());
    line[LENGTH - 1] = b'\n';
    line
}

fn read(file: &File) -> Option<Promise> {
    let mut line = [0; LENGTH];
    file.read_exact_at(&mut line, 0).ok()?;
    let (found, text) = std::str::from_utf8(&line).ok()?.split_once(' ')?;
    let text = text.trim_end();
    if found != sum(text.as_bytes()) {
        return None;
    }
    serde_json::from_str(text).ok()
}

fn sum(text: &[u8]) -> String {
    blake3::hash(text).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise(seq: i64) -> Promise {
        Promise {
            journal: "00112233445566778899aabbccddeeff".into(),
            seq,
            clock: Kept {
                trusted: i64::MAX,
                doubted: Some(i64::MAX),
            },
        }
    }

    #[test]
    fn it_says_what_was_written_last() {
        let folder = tempfile::tempdir().unwrap();
        let (mut mark, before) = Mark::open(folder.path()).unwrap();
        assert_eq!(before, None);
        mark.write(&promise(i64::MAX));
        mark.write(&promise(7));
        assert_eq!(look(folder.path()), Some(promise(7)));
        assert_eq!(Mark::open(folder.path()).unwrap().1, Some(promise(7)));
    }

    #[test]
    fn by_a_clock_far_ahead_of_the_mark_nothing_is_old() {
        const DAY: i64 = 86_400_000_000;
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::now().as_microsecond();
        assert!(
            sweep_time(folder.path()).as_microsecond() >= now,
            "without a mark the clock is right"
        );
        let (mut mark, _) = Mark::open(folder.path()).unwrap();
        for (trusted, is_clock) in [(now - 400 * DAY, false), (now, true), (now + 400 * DAY, true)] {
            mark.write(&Promise {
                clock: Kept { trusted, doubted: None },
                ..promise(1)
            });
            let time = sweep_time(folder.path()).as_microsecond();
            assert_eq!((time >= now, time == trusted), (is_clock, trusted == now - 400 * DAY));
        }
    }

    #[test]
    fn a_damaged_one_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (mut mark, _) = Mark::open(folder.path()).unwrap();
        mark.write(&promise(7));
        let path = folder.path().join(FILE_NAME);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"seq\":7", "\"seq\":8")).unwrap();
        assert_eq!(look(folder.path()), None);
        std::fs::write(&path, "").unwrap();
        assert_eq!(look(folder.path()), None);
    }
}
