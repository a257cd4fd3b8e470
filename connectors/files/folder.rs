//! A folder held by descriptor. People who are trusted less than the daemon write into the drop folder, so no path is
//! resolved a second time and no symbolic link of theirs is followed:
//!
//! - every step below the drop folder is one name, relative to a descriptor, with `O_NOFOLLOW`;
//! - what was opened is looked at through its descriptor: a file with one name and nothing else is read;
//! - opening never waits (`O_NONBLOCK`): a pipe without a writer would;
//! - a new file is made (`O_EXCL`), an old one is never opened for writing, nothing is renamed over something.
//!
//! On the way *to* the drop folder links of root and of the daemon's own user are followed: settings may name them.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, Statx, StatxFlags},
    io::Errno,
    process,
};

use serde::{Deserialize, Serialize};

use priem_tables::Source;

use super::cursor::{Stamp, nanoseconds};

/// Symbolic links followed on the way to a folder, as many as the kernel does.
const MOST_LINKS: usize = 40;

/// Longest name the usual file systems take, bytes; some that encrypt names take less, none less than a short name.
const USUAL_LIMIT: usize = 255;
const SHORTEST_LIMIT: usize = 64;

/// Why something in a drop folder is not read as a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// A symbolic link.
    Link,
    /// A file that has another name somewhere else.
    SecondName,
    /// A pipe, socket or device.
    NoFile,
}

impl Refusal {
    /// In English, for a log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Link => "a symbolic link",
            Self::SecondName => "a file with a second name (hard link)",
            Self::NoFile => "a pipe, socket or device",
        }
    }
}

/// What stands in a folder under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Its own stamp; of a link that of the link.
    pub stamp: Stamp,
    device: (u32, u32),
    owner: u32,
    mode: u16,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file that may be read.
    File,
    /// A folder.
    Folder,
    /// What is not read.
    Refused(Refusal),
}

impl Entry {
    fn of(found: &Statx) -> Self {
        let kind = match FileType::from_raw_mode(found.stx_mode.into()) {
            FileType::RegularFile if found.stx_nlink > 1 => Kind::Refused(Refusal::SecondName),
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Refused(Refusal::Link),
            _ => Kind::Refused(Refusal::NoFile),
        };
        Self {
            kind,
            stamp: Stamp {
                size: found.stx_size,
                mtime: nanoseconds(found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec),
                inode: found.stx_ino,
                ctime: nanoseconds(found.stx_ctime.tv_sec, found.stx_ctime.tv_nsec),
            },
            device: (found.stx_dev_major, found.stx_dev_minor),
            owner: found.stx_uid,
            mode: found.stx_mode,
        }
    }

    /// Whether users other than its owner may write into it.
    pub fn is_writable_for_others(&self) -> bool {
        self.mode & 0o022 != 0
    }

    fn is(&self, other: &Self) -> bool {
        (self.device, self.stamp.inode) == (other.device, other.stamp.inode)
    }
}

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct FolderError {
    /// The folder.
    pub path: PathBuf,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a folder.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// A symbolic link that is not followed.
    #[error("a symbolic link made by user {owner} stands here; it is not followed")]
    Link {
        /// Number of the user who made it.
        owner: u32,
    },
    /// What the file system says.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A folder that is held.
#[derive(Debug)]
pub struct Folder {
    descriptor: OwnedFd,
    path: PathBuf,
    entry: Entry,
}

impl Folder {
    /// Opens a folder the settings name. `make`: it is made when it is missing, with the folders above.
    ///
    /// # Errors
    /// With the folder.
    pub fn configured(path: &Path, make: bool) -> Result<Self, FolderError> {
        walk(path, make)
            .and_then(|descriptor| Self::held(descriptor, path.to_owned()))
            .map_err(|why| FolderError {
                path: path.to_owned(),
                why,
            })
    }

    /// Opens a folder in this one. `make`: it is made, with this mode, when it is missing.
    ///
    /// # Errors
    /// With the folder.
    pub fn child(&self, name: &str, make: Option<Mode>) -> Result<Self, FolderError> {
        let path = self.path.join(name);
        let opened = match self.open_child(name) {
            Err(Errno::NOENT) if make.is_some() => {
                make_folder(&self.descriptor, name, make.unwrap_or(Mode::RWXU)).and_then(|()| self.open_child(name))
            }
            other => other,
        };
        let held = match opened {
            Ok(descriptor) => Self::held(descriptor, path.clone()),
            Err(error) => Err(match self.entry(name) {
                Ok(Some(entry)) if entry.kind == Kind::Refused(Refusal::Link) => Why::Link { owner: entry.owner },
                _ => Why::Io(error.into()),
            }),
        };
        held.map_err(|why| FolderError { path, why })
    }

    fn open_child(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::openat(&self.descriptor, name, flags, Mode::empty())
    }

    fn held(descriptor: OwnedFd, path: PathBuf) -> Result<Self, Why> {
        let entry = look_at(&descriptor)?;
        Ok(Self {
            descriptor,
            path,
            entry,
        })
    }

    /// Its path, for messages and for nothing else.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is.
    pub fn own_entry(&self) -> &Entry {
        &self.entry
    }

    /// Whether both are the same folder, whatever their paths are.
    pub fn is(&self, other: &Self) -> bool {
        self.entry.is(&other.entry)
    }

    /// Longest name its file system takes, bytes.
    pub fn longest_name(&self) -> usize {
        let found = fs::fstatvfs(&self.descriptor).ok();
        let longest = found.and_then(|found| usize::try_from(found.f_namemax).ok());
        longest
            .filter(|longest| *longest >= SHORTEST_LIMIT)
            .unwrap_or(USUAL_LIMIT)
            .min(USUAL_LIMIT)
    }

    /// A path by which this process reaches the folder itself, for libraries that want one.
    pub fn process_path(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        PathBuf::from(format!("/proc/self/fd/{}", self.descriptor.as_raw_fd()))
    }

    /// Names of everything in it, as the file system has them.
    ///
    /// # Errors
    /// What the file system says.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.descriptor)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if !matches!(name.as_slice(), b"." | b"..") {
                names.push(OsString::from_vec(name));
            }
        }
        Ok(names)
    }

    /// What stands under a name; a link is looked at, not followed.
    ///
    /// # Errors
    /// What the file system says.
    pub fn entry(&self, name: &str) -> io::Result<Option<Entry>> {
        match stat(&self.descriptor, single(name)?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(Entry::of(&found))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a file for reading. What was opened is told by the answer, not by an earlier look.
    ///
    /// # Errors
    /// What the file system says; a refusal is no error.
    pub fn open(&self, name: &str) -> io::Result<Result<(Source, Stamp), Refusal>> {
        open_plain(self.descriptor.as_fd(), Path::new(single(name)?))
    }

    /// Makes a new file and writes it. Nothing that is there is touched.
    ///
    /// # Errors
    /// What the file system says; half of a file is left when the disk is full.
    pub fn create(&self, name: &str, text: &[u8], mode: Mode) -> io::Result<()> {
        use std::io::Write;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(&self.descriptor, single(name)?, flags, mode)?;
        File::from(file).write_all(text)
    }

    /// Opens a note of our own for reading and writing, makes it when it is missing. Only the owner may write such a folder;
    /// still nothing but a plain file of one name is taken.
    ///
    /// # Errors
    /// What the file system says, and when something else stands there.
    pub fn own_note(&self, name: &str) -> io::Result<File> {
        use std::os::unix::fs::MetadataExt;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = File::from(fs::openat(&self.descriptor, single(name)?, flags, mode)?);
        let found = file.metadata()?;
        if !found.is_file() || found.nlink() != 1 {
            let why = format!(
                "{}: something else stands where a note of ours belongs",
                self.path.join(name).display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(file)
    }

    /// Waits until nobody else, in this process or another, holds the folder this way; held until the answer is dropped.
    /// `None` where the file system knows no locks.
    pub fn lock(&self) -> Option<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Opened anew: who shares a descriptor shares its lock.
        let own = fs::openat(&self.descriptor, ".", flags, Mode::empty()).ok()?;
        fs::flock(&own, fs::FlockOperation::LockExclusive).ok()?;
        Some(own)
    }

    /// Removes a name; what a link points to stays.
    ///
    /// # Errors
    /// What the file system says.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(fs::unlinkat(&self.descriptor, single(name)?, AtFlags::empty())?)
    }

    /// Gives an entry another folder and name. Nothing is replaced.
    ///
    /// # Errors
    /// What the file system says.
    pub fn rename(&self, name: &str, target: &Self, new_name: &str) -> io::Result<()> {
        let (from, to) = (&self.descriptor, &target.descriptor);
        let (name, new_name) = (single(name)?, single(new_name)?);
        match fs::renameat_with(from, name, to, new_name, RenameFlags::NOREPLACE) {
            // A network file system without the flag.
            Err(Errno::INVAL | Errno::NOSYS) if target.entry(new_name)?.is_none() => {
                Ok(fs::renameat(from, name, to, new_name)?)
            }
            other => Ok(other?),
        }
    }
}

/// Opens a file the caller found in a folder of people: no link, one name, no pipe.
///
/// # Errors
/// What the file system says; a refusal is no error.
pub fn open_listed(path: &Path) -> io::Result<Result<Source, Refusal>> {
    Ok(open_plain(fs::CWD, path)?.map(|(source, _)| source))
}

fn open_plain(folder: impl AsFd, name: &Path) -> io::Result<Result<(Source, Stamp), Refusal>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = match fs::openat(&folder, name, flags, Mode::empty()) {
        Ok(opened) => opened,
        Err(Errno::LOOP) => return Ok(Err(Refusal::Link)),
        // A socket, or a device without a driver.
        Err(Errno::NXIO | Errno::NODEV) => return Ok(Err(Refusal::NoFile)),
        Err(error) => return Err(error.into()),
    };
    let entry = look_at(&opened)?;
    Ok(match entry.kind {
        Kind::File => Ok((Source::from(File::from(opened)), entry.stamp)),
        Kind::Folder => Err(Refusal::NoFile),
        Kind::Refused(refusal) => Err(refusal),
    })
}

/// The folder at the end of a path. A link on the way is followed only when root or this very user made it: another
/// user's would choose where the daemon reads and writes.
fn walk(path: &Path, make: bool) -> Result<OwnedFd, Why> {
    let step = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = || fs::openat(fs::CWD, "/", step, Mode::empty());
    let mut at = fs::openat(fs::CWD, ".", step, Mode::empty()).map_err(io::Error::from)?;
    let steps = |path: &Path| -> Vec<OsString> {
        let mut steps: Vec<OsString> = path.components().map(|part| part.as_os_str().to_owned()).collect();
        steps.reverse();
        steps
    };
    let mut left = steps(path);
    let mut links = 0;
    while let Some(name) = left.pop() {
        if name == "/" {
            at = root().map_err(io::Error::from)?;
            continue;
        }
        let next = match fs::openat(&at, &*name, step, Mode::empty()) {
            Err(Errno::NOENT) if make => {
                make_folder(&at, &name, Mode::from_raw_mode(0o750)).map_err(io::Error::from)?;
                fs::openat(&at, &*name, step, Mode::empty())
            }
            other => other,
        };
        let next = next.map_err(io::Error::from)?;
        let entry = look_at(&next)?;
        if entry.kind != Kind::Refused(Refusal::Link) {
            at = next;
            continue;
        }
        links += 1;
        if entry.owner != 0 && entry.owner != process::geteuid().as_raw() {
            return Err(Why::Link { owner: entry.owner });
        }
        if links > MOST_LINKS {
            return Err(Why::Io(Errno::LOOP.into()));
        }
        let target = fs::readlinkat(&next, "", Vec::new()).map_err(io::Error::from)?;
        left.extend(steps(Path::new(&OsString::from_vec(target.into_bytes()))));
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(fs::openat(&at, ".", flags, Mode::empty()).map_err(io::Error::from)?)
}

fn make_folder<P: rustix::path::Arg>(folder: &OwnedFd, name: P, mode: Mode) -> rustix::io::Result<()> {
    match fs::mkdirat(folder, name, mode) {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

fn look_at(descriptor: impl AsFd) -> io::Result<Entry> {
    Ok(Entry::of(&stat(descriptor, "", AtFlags::EMPTY_PATH)?))
}

fn stat(folder: impl AsFd, name: &str, flags: AtFlags) -> rustix::io::Result<Statx> {
    fs::statx(folder, name, flags, StatxFlags::BASIC_STATS)
}

/// A name that stays in its folder.
fn single(name: &str) -> io::Result<&str> {
    match name {
        "" | "." | ".." => Err(io::ErrorKind::InvalidInput.into()),
        name if name.contains('/') => Err(io::ErrorKind::InvalidInput.into()),
        name => Ok(name),
    }
}

#[cfg(test)]
mod tests;
