//! The three folders: what is ready in `inbox/`, and moving it to `done/` or `failed/`.
//!
//! - Nothing in `done/` or `failed/` is ever overwritten.
//! - A file is moved only when it still is the one that was read.
//! - Every step can be repeated after a crash.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;

use super::{
    cursor::{End, FileCursor, Stamp},
    xlsx,
};

/// Endings that tools give to files they are still writing.
const UNFINISHED: &[&str] = &[
    "part",
    "partial",
    "tmp",
    "temp",
    "crdownload",
    "filepart",
    "download",
    "swp",
];

/// The drop folder.
#[derive(Debug)]
pub struct Inbox {
    folder: PathBuf,
    settle: Duration,
    settle_broken: Duration,
    /// Stamps at the last look.
    seen: Mutex<HashMap<String, Stamp>>,
}

/// A file that may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Its name.
    pub name: String,
    /// Its size and time of change.
    pub stamp: Stamp,
}

/// What a look into the inbox found.
#[derive(Debug, Default)]
pub struct Look {
    /// The oldest file that may be read.
    pub ready: Option<Ready>,
    /// Files that are not ready yet.
    pub waiting: usize,
    /// Names that are no text.
    pub unreadable_names: usize,
}

impl Inbox {
    /// Wraps a folder; touches nothing.
    pub fn new(folder: PathBuf, settle: Duration, settle_broken: Duration) -> Self {
        Self {
            folder,
            settle,
            settle_broken,
            seen: Mutex::new(HashMap::new()),
        }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Path of a file in the inbox.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join("inbox").join(name)
    }

    /// Makes the three folders.
    ///
    /// # Errors
    /// What the file system says, with the folder.
    pub fn create(&self) -> Result<(), (PathBuf, io::Error)> {
        for name in ["inbox", "done", "failed"] {
            let folder = self.folder.join(name);
            fs::create_dir_all(&folder).map_err(|error| (folder, error))?;
        }
        Ok(())
    }

    /// Whether a file can be made and removed in each of the three folders; where one is missing, in the folder it
    /// will be made in. Makes no folder.
    ///
    /// # Errors
    /// What the file system says, with the folder.
    pub fn try_writing(&self) -> Result<(), (PathBuf, io::Error)> {
        for name in ["inbox", "done", "failed"] {
            let folder = match self.folder.join(name) {
                there if there.is_dir() => there,
                _ => self.folder.clone(),
            };
            tempfile::Builder::new()
                .prefix(".priem-check")
                .tempfile_in(&folder)
                .map_err(|error| (folder, error))?;
        }
        Ok(())
    }

    /// Stamp of a file in the inbox, when it is there.
    pub fn stamp(&self, name: &str) -> Option<Stamp> {
        let metadata = fs::metadata(self.path(name)).ok()?;
        metadata.is_file().then(|| Stamp::of(&metadata))
    }

    /// Looks for files. The oldest comes first, so that snapshots are read in the order they were made.
    ///
    /// # Errors
    /// What the file system says.
    pub fn look(&self, now: SystemTime) -> io::Result<Look> {
        let mut look = Look::default();
        let mut files = Vec::new();
        for entry in fs::read_dir(self.folder.join("inbox"))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                look.unreadable_names += 1;
                continue;
            };
            if is_unfinished(&name) {
                continue;
            }
            // A file that goes away between the listing and here is no error.
            let Some(stamp) = self.stamp(&name) else {
                continue;
            };
            files.push((stamp.mtime, name, stamp));
        }
        files.sort();
        let mut seen = self.seen.lock();
        let before = std::mem::take(&mut *seen);
        for (_, name, stamp) in files {
            let unchanged = before.get(&name) == Some(&stamp);
            if look.ready.is_none() && self.is_ready(&name, stamp, unchanged, now) {
                look.ready = Some(Ready {
                    name: name.clone(),
                    stamp,
                });
            } else {
                look.waiting += 1;
            }
            seen.insert(name, stamp);
        }
        Ok(look)
    }

    /// Unchanged for long enough, and with its end when it is a workbook.
    fn is_ready(&self, name: &str, stamp: Stamp, unchanged: bool, now: SystemTime) -> bool {
        let age = now
            .duration_since(SystemTime::UNIX_EPOCH + Duration::from_nanos(stamp.mtime))
            // A clock that runs ahead: two looks must do.
            .unwrap_or(self.settle_broken);
        if !self.settle.is_zero() && (!unchanged || age < self.settle) {
            return false;
        }
        let lower = name.to_lowercase();
        if age >= self.settle_broken || !(lower.ends_with(".xlsx") || lower.ends_with(".xlsm")) {
            return true;
        }
        xlsx::has_end(&self.path(name)).unwrap_or(false)
    }

    /// Moves a file that was read to where it belongs, with a report beside it when `report` gives one. Does nothing when it is gone already or is another file now.
    ///
    /// # Errors
    /// What the file system says, with the folder.
    pub fn put_away(
        &self,
        cursor: &FileCursor,
        report: impl FnOnce(&Path) -> Option<String>,
    ) -> Result<(), (PathBuf, io::Error)> {
        let Some(end) = &cursor.end else {
            return Ok(());
        };
        if self.stamp(&cursor.file) != Some(cursor.stamp) {
            return Ok(());
        }
        let folder = self.folder.join(match end {
            End::Done => "done",
            End::Failed { .. } => "failed",
        });
        let failed = |error| (folder.clone(), error);
        let name = free_name(&folder, &cursor.file).map_err(failed)?;
        let report = report(&self.path(&cursor.file)).map(|text| (folder.join(format!("{name}.report.txt")), text));
        if let Some((path, text)) = &report {
            // Before the move: after it nothing would remind us.
            fs::write(path, text).map_err(failed)?;
        }
        if let Err(error) = fs::rename(self.path(&cursor.file), folder.join(&name)) {
            if self.stamp(&cursor.file) == Some(cursor.stamp) {
                return Err(failed(error));
            }
            // An acknowledgement that was given up goes on in its thread, and was faster than this one.
            if let (Some((path, _)), false) = (report, folder.join(&name).exists()) {
                fs::remove_file(path).map_err(failed)?;
            }
            return Ok(());
        }
        let (file, good, bad) = (&cursor.file, cursor.good, cursor.bad);
        match end {
            End::Done => tracing::info!(file, good, bad, outcome = "done", "file put away"),
            End::Failed { .. } => tracing::warn!(file, good, bad, outcome = "failed", "file put away"),
        }
        Ok(())
    }
}

/// Hidden, temporary or locked by an office program.
fn is_unfinished(name: &str) -> bool {
    let lower = name.to_lowercase();
    lower.starts_with(['.', '~'])
        || lower
            .rsplit_once('.')
            .is_some_and(|(_, extension)| UNFINISHED.contains(&extension))
}

/// The name itself, or `name (2).xlsx` and so on.
fn free_name(folder: &Path, name: &str) -> io::Result<String> {
    if !folder.join(name).try_exists()? {
        return Ok(name.to_owned());
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) => (stem, format!(".{extension}")),
        None => (name, String::new()),
    };
    for number in 2..100_000 {
        let candidate = format!("{stem} ({number}){extension}");
        if !folder.join(&candidate).try_exists()? {
            return Ok(candidate);
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "100000 files of one name"))
}

/// BLAKE3 of a file, 32 hex digits, read as a stream.
///
/// # Errors
/// What the file system says.
pub fn content_hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hasher.finalize().to_hex()[..32].to_owned());
        }
        hasher.update(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_another_thread_put_away_first_is_no_error_and_leaves_no_report() {
        let folder = tempfile::tempdir().expect("folder");
        let inbox = Inbox::new(folder.path().into(), Duration::ZERO, Duration::ZERO);
        inbox.create().expect("folders");
        fs::write(inbox.path("a.pdf"), "%PDF").expect("a file");
        let stamp = inbox.stamp("a.pdf").expect("is there");
        let mut cursor = FileCursor::start("a.pdf".into(), stamp, "00".into());
        cursor.end = Some(End::Failed {
            reason: "file_unsupported".into(),
            report: "why".into(),
        });
        let faster = |path: &Path| {
            fs::rename(path, folder.path().join("elsewhere.pdf")).expect("moved");
            Some("why".to_owned())
        };
        inbox.put_away(&cursor, faster).expect("nothing left to do");
        let failed = fs::read_dir(folder.path().join("failed")).expect("folder");
        assert_eq!(failed.count(), 0);
    }

    #[test]
    fn a_file_that_cannot_be_moved_is_an_error() {
        let folder = tempfile::tempdir().expect("folder");
        let inbox = Inbox::new(folder.path().into(), Duration::ZERO, Duration::ZERO);
        inbox.create().expect("folders");
        fs::write(inbox.path("a.csv"), "1").expect("a file");
        let stamp = inbox.stamp("a.csv").expect("is there");
        let mut cursor = FileCursor::start("a.csv".into(), stamp, "00".into());
        cursor.end = Some(End::Done);
        fs::remove_dir(folder.path().join("done")).expect("removed");
        let refused = inbox.put_away(&cursor, |_| None);
        assert_eq!(refused.expect_err("nowhere to go").0, folder.path().join("done"));
    }
}
