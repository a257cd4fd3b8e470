//! The three folders: what is ready in `inbox/`, and moving it to `done/` or `failed/`.
//!
//! - Whoever fills `inbox/` is trusted with nothing else: see [`super::folder`].
//! - Nothing in `done/` or `failed/` is ever overwritten.
//! - A file is moved only when it still is the one that was read; one that took its name in that moment goes back.
//! - Every step can be repeated after a crash.

use std::{
    collections::{HashMap, VecDeque},
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use priem_tables::{Source, has_end, sniff::Promise};
use rustix::fs::Mode;

use super::{
    cursor::{End, FileCursor, Refused, Stamp},
    folder::{Entry, Folder, FolderError, Kind, Refusal, Why},
    left::{Left, readable},
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
    "opdownload",
    "aria2",
    "swp",
    "lock",
];
/// What operating systems and file servers put into any folder, for themselves.
const OF_SYSTEMS: &[&str] = &[
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "icon\r",
    "$recycle.bin",
    "system volume information",
    "__macosx",
    "lost+found",
    "#recycle",
    "@eadir",
];
/// Files in `done/` that are looked at again.
const WATCHED: usize = 32;
/// Ending of the report beside a file in `failed/`.
pub const REPORT: &str = ".report.txt";

/// The drop folder.
#[derive(Debug)]
pub struct Inbox {
    folder: PathBuf,
    settle: Duration,
    settle_broken: Duration,
    held: Mutex<Option<Arc<Held>>>,
    /// Stamps at the last look.
    seen: Mutex<HashMap<String, Stamp>>,
    /// What was left alone at the last look, as it was told.
    left: Mutex<Left>,
    /// The last files put into `done/`, by the names they have there, as they were when they were read.
    away: Mutex<VecDeque<(String, Stamp)>>,
}

/// The folders, open.
#[derive(Debug)]
pub struct Held {
    /// The drop folder itself.
    pub base: Folder,
    /// What people put there.
    pub inbox: Folder,
    /// What was read.
    pub done: Folder,
    /// What could not be read.
    pub failed: Folder,
}

/// A file that may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Its name.
    pub name: String,
    /// Its size, time of change and identity.
    pub stamp: Stamp,
}

/// What a look into the inbox found.
#[derive(Debug, Default)]
pub struct Look {
    /// The oldest that is ready.
    pub ready: Option<Ready>,
    /// What may not be read and must leave the inbox, the oldest first.
    pub refused: Vec<Refused>,
    /// Files that are not ready yet.
    pub waiting: usize,
    /// What is never read.
    pub left: Left,
}

impl Held {
    fn open(folder: &Path) -> Result<Self, FolderError> {
        let base = Folder::configured(folder, true)?;
        let own = Some(Mode::from_raw_mode(0o750));
        Ok(Self {
            // As the umask allows: people put files there.
            inbox: base.child("inbox", Some(Mode::from_raw_mode(0o777)))?,
            done: base.child("done", own)?,
            failed: base.child("failed", own)?,
            base,
        })
    }

    fn all(&self) -> [&Folder; 4] {
        [&self.base, &self.inbox, &self.done, &self.failed]
    }

    /// Folders that only the daemon should be able to write into, and others can.
    pub fn too_open(&self) -> Vec<String> {
        [&self.base, &self.done, &self.failed]
            .into_iter()
            .filter(|folder| folder.own_entry().is_writable_for_others())
            .map(|folder| folder.path().display().to_string())
            .collect()
    }
}

impl Inbox {
    /// Wraps a folder; touches nothing.
    pub fn new(folder: PathBuf, settle: Duration, settle_broken: Duration) -> Self {
        Self {
            folder,
            settle,
            settle_broken,
            held: Mutex::default(),
            seen: Mutex::default(),
            left: Mutex::default(),
            away: Mutex::default(),
        }
    }

    /// Path of the folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folders, made when they are missing. They stay open; one that was replaced since is told and taken instead,
    /// unless it is a link.
    ///
    /// # Errors
    /// What is wrong, with the folder.
    pub fn held(&self) -> Result<Arc<Held>, FolderError> {
        let found = Held::open(&self.folder)?;
        let mut held = self.held.lock();
        if let Some(known) = &*held {
            let mut pairs = known.all().into_iter().zip(found.all());
            match pairs.find(|(was, is)| !was.is(is)) {
                None => return Ok(Arc::clone(known)),
                Some((_, is)) => {
                    tracing::warn!(folder = %is.path().display(), "a folder of the drop folder was replaced by another");
                }
            }
        }
        let too_open = found.too_open();
        if !too_open.is_empty() {
            tracing::warn!(
                folders = too_open.join(", "),
                "users other than the service can write here; only inbox/ needs that: chmod go-w"
            );
        }
        Ok(Arc::clone(held.insert(Arc::new(found))))
    }

    /// Whether a file can be made and removed in each of the three folders; where one is missing, in the folder it
    /// will be made in. Makes no folder. The answer is the folders that are too open; none of them is there yet when it
    /// is nothing.
    ///
    /// # Errors
    /// What is wrong, with the folder.
    pub fn try_writing(&self) -> Result<Option<Vec<String>>, FolderError> {
        let base = match Folder::configured(&self.folder, false) {
            Err(error) if is_missing(&error) => return self.try_making(error).map(|()| None),
            base => base?,
        };
        let mut too_open = Vec::new();
        let mut look = |folder: &Folder, is_open_to_others: bool| {
            if !is_open_to_others && folder.own_entry().is_writable_for_others() {
                too_open.push(folder.path().display().to_string());
            }
            try_file(folder)
        };
        look(&base, false)?;
        for name in ["inbox", "done", "failed"] {
            match base.child(name, None) {
                Ok(folder) => look(&folder, name == "inbox")?,
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(too_open))
    }

    /// Whether the daemon can make the drop folder: in the nearest folder above that is there.
    fn try_making(&self, missing: FolderError) -> Result<(), FolderError> {
        for above in self.folder.ancestors().skip(1) {
            // A relative path ends with nothing, which is where we are.
            let above = if above.as_os_str().is_empty() {
                Path::new(".")
            } else {
                above
            };
            match Folder::configured(above, false) {
                Ok(folder) => return try_file(&folder),
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Err(missing)
    }

    /// How many entries a folder of the drop folder has that `counts` names; none when it is missing.
    pub fn count(&self, folder: &str, counts: impl Fn(&str) -> bool) -> usize {
        let opened = Folder::configured(&self.folder, false).and_then(|base| base.child(folder, None));
        let Some(names) = opened.ok().and_then(|folder| folder.names().ok()) else {
            return 0;
        };
        names.iter().filter(|name| counts(&name.to_string_lossy())).count()
    }

    /// Looks for files. The oldest comes first, so that snapshots are read in the order they were made.
    ///
    /// # Errors
    /// What the file system says.
    pub fn look(&self, inbox: &Folder, now: SystemTime) -> io::Result<Look> {
        let mut look = Look::default();
        let mut files = Vec::new();
        for name in inbox.names()? {
            let Some(name) = readable(&name) else {
                look.left.names += 1;
                look.left.add(&name);
                continue;
            };
            if is_no_export(&name) {
                continue;
            }
            // What goes away between the listing and here is no error.
            let Some(entry) = inbox.entry(&name)? else {
                continue;
            };
            let refusal = match entry.kind {
                Kind::Folder => {
                    look.left.folders += 1;
                    look.left.add(OsStr::new(&name));
                    continue;
                }
                Kind::File => None,
                Kind::Refused(refusal) => Some(refusal),
            };
            files.push((entry.stamp.mtime, name, entry.stamp, refusal));
        }
        self.tell(&look.left);
        files.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        let mut seen = self.seen.lock();
        let before = std::mem::take(&mut *seen);
        for (_, name, stamp, refusal) in files {
            let unchanged = before.get(&name) == Some(&stamp);
            let settled = self.age(stamp, unchanged, now);
            match (refusal, settled) {
                (Some(refusal), Some(_)) => look.refused.push(Refused {
                    file: name.clone(),
                    stamp,
                    refusal,
                }),
                (None, Some(age)) if look.ready.is_none() && self.has_end(inbox, &name, age) => {
                    look.ready = Some(Ready {
                        name: name.clone(),
                        stamp,
                    });
                }
                _ => look.waiting += 1,
            }
            seen.insert(name, stamp);
        }
        Ok(look)
    }

    /// Says once what is left alone.
    fn tell(&self, left: &Left) {
        let mut told = self.left.lock();
        if left.count() > told.count() {
            tracing::warn!(
                folder = %self.folder.display(),
                folders = left.folders,
                names = left.names,
                shown = left.shown.join(", "),
                "the inbox holds folders, or names that are no text or hold control characters; never read"
            );
        }
        told.clone_from(left);
    }

    /// What was left alone at the last look.
    pub fn left(&self) -> Left {
        self.left.lock().clone()
    }

    /// Age of what was not changed for long enough.
    fn age(&self, stamp: Stamp, unchanged: bool, now: SystemTime) -> Option<Duration> {
        let age = now
            .duration_since(SystemTime::UNIX_EPOCH + Duration::from_nanos(stamp.mtime))
            // A clock that runs ahead: two looks must do.
            .unwrap_or(self.settle_broken);
        (self.settle.is_zero() || (unchanged && age >= self.settle)).then_some(age)
    }

    /// Whether a workbook has its end, or had time enough to get it; anything else has no end to see.
    fn has_end(&self, inbox: &Folder, name: &str, age: Duration) -> bool {
        if age >= self.settle_broken || Promise::of(name) != Promise::Workbook {
            return true;
        }
        match inbox.open(name) {
            Ok(Ok((source, _))) => has_end(&source).unwrap_or(false),
            _ => false,
        }
    }

    /// Moves what was read, or refused, to where it belongs, with a report beside it when `report` gives one for the
    /// file as it is. Does nothing when it is gone already or is another file now.
    ///
    /// # Errors
    /// What the file system says, with the folder.
    pub fn put_away(
        &self,
        held: &Held,
        cursor: &FileCursor,
        report: impl FnOnce(Option<&Source>) -> Option<String>,
    ) -> Result<(), FolderError> {
        let Some(end) = &cursor.end else {
            return Ok(());
        };
        let still = |folder: &Folder, name: &str| -> Result<Option<Entry>, FolderError> {
            let entry = folder.entry(name).map_err(|error| failed_in(folder, error))?;
            Ok(entry.filter(|entry| entry.stamp.is_same(cursor.stamp)))
        };
        // An acknowledgement that was given up goes on in its thread, beside the one that repeats it.
        let _alone = held.base.lock();
        let there = still(&held.inbox, &cursor.file)?;
        // One that was moved since it was read was put back by a person: it is read anew.
        if !there.is_some_and(|entry| entry.stamp.is_untouched(cursor.stamp)) {
            if *end == End::Done && there.is_none() {
                self.watch(&cursor.file, cursor.stamp);
            }
            return Ok(());
        }
        let folder = match end {
            End::Done => &held.done,
            End::Failed { .. } => &held.failed,
        };
        let failed = |error| failed_in(folder, error);
        let name = free_name(folder, &cursor.file).map_err(failed)?;
        let source = match held.inbox.open(&cursor.file) {
            Ok(Ok((source, stamp))) if stamp.is_same(cursor.stamp) => Some(source),
            _ => None,
        };
        let report = report(source.as_ref()).map(|text| (report_name(&name, folder.longest_name()), text));
        if let Some((beside, text)) = &report {
            // Before the move: after it nothing would remind us. One that is there is of a move that a crash stopped.
            if folder.entry(beside).map_err(failed)?.is_some() {
                folder.remove(beside).map_err(failed)?;
            }
            let mode = Mode::from_raw_mode(0o640);
            folder.create(beside, text.as_bytes(), mode).map_err(failed)?;
        }
        if let Err(error) = held.inbox.rename(&cursor.file, folder, &name) {
            if still(&held.inbox, &cursor.file)?.is_some() {
                return Err(failed(error));
            }
            // Somebody else took it away in this moment.
            if let (Some((beside, _)), None) = (report, folder.entry(&name).map_err(failed)?) {
                folder.remove(&beside).map_err(failed)?;
            }
            return Ok(());
        }
        let (file, good, bad) = (&cursor.file, cursor.good, cursor.bad);
        match still(folder, &name)? {
            // It has no words of its own; whoever opened it later would be led on by it.
            Some(entry) if matches!(entry.kind, Kind::Refused(Refusal::Link | Refusal::NoFile)) => {
                folder.remove(&name).map_err(failed)?;
                tracing::debug!(file, outcome = "removed", "refused and taken out of the inbox");
            }
            // Told in one line with the others of its page.
            Some(entry) if matches!(entry.kind, Kind::Refused(_)) => tracing::debug!(file, "refused and put away"),
            Some(_) => match end {
                End::Done => {
                    tracing::info!(file, good, bad, outcome = "done", "file put away");
                    self.watch(&name, cursor.stamp);
                    remove_stale_report(&held.failed, file).map_err(|error| failed_in(&held.failed, error))?;
                }
                End::Failed { .. } => tracing::warn!(file, good, bad, outcome = "failed", "file put away"),
            },
            None => {
                let back = free_name(&held.inbox, file).map_err(failed)?;
                folder.rename(&name, &held.inbox, &back).map_err(failed)?;
                if let Some((beside, _)) = report {
                    folder.remove(&beside).map_err(failed)?;
                }
                tracing::warn!(
                    file,
                    "another file took its name while it was put away; that one is read as well"
                );
            }
        }
        Ok(())
    }

    /// Remembers a file of `done/`.
    fn watch(&self, name: &str, stamp: Stamp) {
        let mut away = self.away.lock();
        away.retain(|(known, _)| known != name);
        away.push_back((name.to_owned(), stamp));
        let surplus = away.len().saturating_sub(WATCHED);
        away.drain(..surplus);
    }

    /// Puts back what was written on after it was put away: whoever had it open still has it, wherever it stands. Read
    /// again, its known rows change nothing.
    pub fn take_back(&self, held: &Held) {
        self.away.lock().retain(|(name, stamp)| {
            let found = held.done.entry(name).ok().flatten();
            let Some(found) = found.filter(|found| found.stamp.inode == stamp.inode) else {
                return false;
            };
            if found.stamp.is_same(*stamp) {
                return true;
            }
            let moved = free_name(&held.inbox, name).and_then(|back| held.done.rename(name, &held.inbox, &back));
            match moved {
                Ok(_) => {
                    // Its report is of what it was.
                    let _ = held.done.remove(&report_name(name, held.done.longest_name()));
                    tracing::warn!(
                        file = name,
                        "a file was written on after it was read; it is put back and read again"
                    );
                }
                Err(error) => tracing::warn!(
                    file = name,
                    %error,
                    "a file was written on after it was read and can't be put back: move it from done/ into inbox/"
                ),
            }
            false
        });
    }
}

/// A report whose file is gone: it was put back and is read now.
fn remove_stale_report(failed: &Folder, name: &str) -> io::Result<()> {
    let report = report_name(name, failed.longest_name());
    match (failed.entry(name)?, failed.entry(&report)?) {
        (None, Some(_)) => failed.remove(&report),
        _ => Ok(()),
    }
}

/// Makes a file and removes it.
fn try_file(folder: &Folder) -> Result<(), FolderError> {
    let name = format!(".priem-check-{}", std::process::id());
    let tried = folder
        .create(&name, b"", Mode::from_raw_mode(0o600))
        .and_then(|()| folder.remove(&name));
    tried.map_err(|error| failed_in(folder, error))
}

fn failed_in(folder: &Folder, error: io::Error) -> FolderError {
    FolderError {
        path: folder.path().to_owned(),
        why: Why::Io(error),
    }
}

fn is_missing(error: &FolderError) -> bool {
    matches!(&error.why, Why::Io(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Hidden, temporary, locked by an office program, or of the system: nobody means it to be read.
pub fn is_no_export(name: &str) -> bool {
    let lower = name.to_lowercase();
    let is_unfinished = lower
        .rsplit_once('.')
        .is_some_and(|(_, extension)| UNFINISHED.contains(&extension));
    lower.starts_with(['.', '~']) || lower.ends_with('~') || is_unfinished || OF_SYSTEMS.contains(&lower.as_str())
}

/// The name itself, or `name (2).xlsx` and so on.
fn free_name(folder: &Folder, name: &str) -> io::Result<String> {
    if folder.entry(name)?.is_none() {
        return Ok(name.to_owned());
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) => (stem, format!(".{extension}")),
        None => (name, String::new()),
    };
    for number in 2..100_000 {
        let candidate = fitted(stem, &format!(" ({number}){extension}"), folder.longest_name());
        if folder.entry(&candidate)?.is_none() {
            return Ok(candidate);
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "100000 files of one name"))
}

/// Name of the report beside a file. Of a name that is too long for an ending, the beginning and a sign of the whole.
fn report_name(name: &str, longest: usize) -> String {
    if name.len() + REPORT.len() <= longest {
        return format!("{name}{REPORT}");
    }
    let sign = blake3::hash(name.as_bytes()).to_hex();
    fitted(name, &format!("-{}{REPORT}", &sign[..8]), longest)
}

/// A name of two parts, the first cut where the whole would be too long for a file system.
fn fitted(start: &str, end: &str, longest: usize) -> String {
    let mut length = start.len().min(longest.saturating_sub(end.len()));
    while !start.is_char_boundary(length) {
        length -= 1;
    }
    format!("{}{end}", &start[..length])
}

#[cfg(test)]
mod tests;
