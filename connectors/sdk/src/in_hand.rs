//! A note of what is being worked on, for the case that the process dies over it.
//!
//! Whoever takes something from strangers into its hands writes the note before and clears it after. The next process
//! reads what the last one had in its hands when it died. What was in hand at two deaths is put aside by whoever holds the
//! note, with a reason, and everything else goes on: a crash loop ends by itself, whatever the crash is (an abort, the
//! kernel's out-of-memory killer, `kill -9`).
//!
//! The note is one small write into a file that is open already, not synced: it must outlive the process, not the machine.
//! So it may be written for each item (a microsecond or two), and an innocent item is only accused when two deaths hit the
//! very same one. What comes first at a start would be hit by every kill that follows a start at once, so what was in hand
//! at a death is left alone for some seconds by the next process ([`InHand::patience`]).

use std::{
    fmt::Display,
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Deaths after which something is not taken in hand again.
pub const MOST_DEATHS: u32 = 2;
/// How long a process leaves alone what the one before died over. Whoever kills several processes soon after their start
/// (a person, an impatient supervisor) then accuses nothing; what really kills costs these seconds once more.
pub const LEFT_ALONE: Duration = Duration::from_secs(3);
/// Longest note, bytes; longer names are cut.
const LONGEST: usize = 512;

/// Tells a note of this process from one of a process before, also where every process has the number 1.
static PROCESS: LazyLock<u64> = LazyLock::new(|| {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish()
});

/// What a process had in its hands when it died.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Left {
    what: String,
    deaths: u32,
}

/// The note. For one worker; it may be shared between threads.
#[derive(Debug)]
pub struct InHand {
    file: Option<File>,
    left: Mutex<Option<Left>>,
    is_written: AtomicBool,
    process: u64,
    opened: Instant,
}

/// The process died over this twice: it must not be taken in hand again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadly;

impl InHand {
    /// Opens the note, makes it when it is missing, and reads what the last process left. Where it can't be written the
    /// work goes on without a note: that is worse only for who dies. The folder must be writable for the owner only.
    pub fn open(path: &Path) -> Self {
        Self::of(open(path))
    }

    /// The same on a file that was opened for reading and writing.
    pub fn of(file: io::Result<File>) -> Self {
        Self::of_process(file, *PROCESS)
    }

    #[cfg(test)]
    fn open_as(path: &Path, process: u64) -> Self {
        Self::of_process(open(path), process)
    }

    fn of_process(file: io::Result<File>, process: u64) -> Self {
        let (file, left) = match file.and_then(|file| Ok((left(&file, process)?, file))) {
            Ok((left, file)) => (Some(file), left),
            Err(error) => {
                tracing::warn!(%error, "no note is kept of what is in hand");
                (None, None)
            }
        };
        if let Some(left) = &left {
            tracing::warn!(
                what = left.what,
                deaths = left.deaths,
                "the last process died over something"
            );
        }
        Self {
            file,
            // What the last process died over may be done long since: then nobody takes it again, and the note goes.
            is_written: AtomicBool::new(left.is_some()),
            left: Mutex::new(left),
            process,
            opened: Instant::now(),
        }
    }

    /// How much longer nothing is to be taken in hand, because the last process died over something that must not be
    /// accused by a kill at the start. `None` also when it is accused already: it is put aside at once.
    pub fn patience(&self) -> Option<Duration> {
        let is_suspect = self.left.lock().as_ref().is_some_and(|left| left.deaths < MOST_DEATHS);
        let rest = LEFT_ALONE.checked_sub(self.opened.elapsed())?;
        is_suspect.then_some(rest)
    }

    /// Notes what is taken in hand now, in place of what was.
    ///
    /// # Errors
    /// [`Deadly`] when the process died over it twice. It is said once: the next time it is taken like anything else, so
    /// that a person can ask for another try.
    pub fn take(&self, what: impl Display) -> Result<(), Deadly> {
        let mut deaths = 0;
        {
            let mut left = self.left.lock();
            if let Some(known) = &*left
                && known.what == line(&what)
            {
                deaths = known.deaths;
                if deaths >= MOST_DEATHS {
                    *left = None;
                    return Err(Deadly);
                }
            }
        }
        self.write(&format_args!("{deaths} {:016x} {what}", self.process));
        self.is_written.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Nothing is in hand any more.
    pub fn clear(&self) {
        if self.is_written.swap(false, Ordering::Relaxed) {
            self.write(&"");
        }
    }

    fn write(&self, note: &dyn Display) {
        let Some(file) = &self.file else { return };
        let mut buffer = [b'\n'; LONGEST + 1];
        let mut rest = &mut buffer[..LONGEST];
        // What does not fit is cut.
        let _ = write!(rest, "{note}");
        let used = LONGEST - rest.len();
        if let Err(error) = file.write_all_at(&buffer[..=used], 0) {
            tracing::debug!(%error, "the note of what is in hand can't be written");
        }
    }
}

/// The text of a note as it is read back.
fn line(what: &impl Display) -> String {
    // Deaths and process stand before it.
    const BEFORE: usize = 2 + 17;
    let mut text = what.to_string();
    let mut end = text.len().min(LONGEST - BEFORE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn left(mut file: &File, process: u64) -> io::Result<Option<Left>> {
    let mut bytes = Vec::new();
    (&mut file).take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().next().and_then(|line| read(line, process)))
}

/// A note of another process: one death more.
fn read(line: &str, process: u64) -> Option<Left> {
    let (deaths, rest) = line.split_once(' ')?;
    let (by, what) = rest.split_once(' ')?;
    let by = u64::from_str_radix(by, 16).ok()?;
    let deaths: u32 = deaths.parse().ok()?;
    (by != process).then(|| Left {
        // A cut letter at the end of a long note.
        what: what.trim_end_matches('\u{fffd}').to_owned(),
        deaths: deaths.saturating_add(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_died_over_once_is_left_alone_at_the_next_start() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("in-hand");
        let first = InHand::open_as(&path, 1);
        assert_eq!(first.patience(), None, "nobody died");
        assert_eq!(first.take("item 7"), Ok(()));
        let second = InHand::open_as(&path, 2);
        assert!(second.patience().is_some_and(|rest| rest <= LEFT_ALONE));
        // Killed before it takes anything in hand: that accuses nobody.
        let third = InHand::open_as(&path, 3);
        assert!(third.patience().is_some());
        assert_eq!(third.take("item 7"), Ok(()));
        let fourth = InHand::open_as(&path, 4);
        assert_eq!(fourth.patience(), None, "put aside at once");
        assert_eq!(fourth.take("item 7"), Err(Deadly));
    }

    #[test]
    fn what_was_in_hand_at_two_deaths_is_refused_once() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("in-hand");
        let first = InHand::open_as(&path, 1);
        assert_eq!(first.take("item 7"), Ok(()));
        assert_eq!(first.take("item 8"), Ok(()));
        // Dies here, and again over the same.
        let second = InHand::open_as(&path, 2);
        for item in ["item 5", "item 8"] {
            assert_eq!(second.take(item), Ok(()));
        }
        let third = InHand::open_as(&path, 3);
        assert_eq!(third.take("item 7"), Ok(()));
        assert_eq!(third.take("item 8"), Err(Deadly));
        assert_eq!(third.take("item 8"), Ok(()), "a person asked for another try");
        third.clear();
        let fourth = InHand::open_as(&path, 4);
        assert_eq!(fourth.take("item 8"), Ok(()));
    }

    #[test]
    fn deaths_over_different_things_accuse_nobody() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("in-hand");
        for process in 1..50_u64 {
            let note = InHand::open_as(&path, process);
            // What the process before died over is taken first, and put down; then dies over the other.
            for item in [(process + 1) % 2, process % 2] {
                assert_eq!(note.take(format_args!("item {item}")), Ok(()));
            }
        }
    }

    #[test]
    fn what_nobody_takes_again_is_told_once() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("in-hand");
        assert_eq!(InHand::open_as(&path, 1).take("item 7"), Ok(()));
        let second = InHand::open_as(&path, 2);
        assert!(second.patience().is_some());
        second.clear();
        assert_eq!(InHand::open_as(&path, 3).patience(), None);
    }

    #[test]
    fn a_note_of_this_very_process_is_no_death() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("in-hand");
        for _ in 0..5 {
            assert_eq!(InHand::open(&path).take("item 1"), Ok(()));
        }
    }

    #[test]
    fn long_names_and_foreign_files_do_no_harm() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("in-hand");
        let long = "ж".repeat(2000);
        for process in 1..=2 {
            assert_eq!(InHand::open_as(&path, process).take(&long), Ok(()));
        }
        assert_eq!(InHand::open_as(&path, 3).take(&long), Err(Deadly));
        for foreign in ["", "\n", "x", "1 zz item", "99999999999 1 item", "\u{0}\u{0}"] {
            std::fs::write(&path, foreign).expect("written");
            assert_eq!(InHand::open_as(&path, 5).take("item"), Ok(()), "{foreign:?}");
        }
        assert_eq!(InHand::open(Path::new("/nowhere/at/all")).take("item"), Ok(()));
    }
}
