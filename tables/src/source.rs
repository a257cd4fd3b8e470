//! An open file that several readers read on their own: it is opened once, by whoever knows where it may be opened, and
//! every clone has a position of its own. So a name that is replaced between two reads changes nothing.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Bytes of one open file, from a position on.
#[derive(Debug, Clone)]
pub struct Source {
    file: Arc<File>,
    at: u64,
    stop: Stop,
}

/// Ends every reading of the sources it was given to, wherever it stands: with [`Fault::Stopped`](crate::Fault::Stopped).
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on nothing is read.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// As an error of a reader, when it was told to.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self.is_stopped() {
            true => Err(io::Error::other(Stopped)),
            false => Ok(()),
        }
    }
}

/// The error of a reader that was stopped.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("stopped")]
pub(crate) struct Stopped;

impl Source {
    /// Opens a file that the caller named on purpose; links are followed.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(Self::from)
    }

    /// The same file, its reading ended by whoever holds the other end.
    #[must_use]
    pub fn stopped_by(mut self, stop: &Stop) -> Self {
        self.stop = stop.clone();
        self
    }

    /// What ends its reading.
    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Size, time of change and identity as they are now.
    ///
    /// # Errors
    /// What the file system says.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// The same file from its beginning.
    #[must_use]
    pub fn from_start(&self) -> Self {
        Self {
            file: Arc::clone(&self.file),
            at: 0,
            stop: self.stop.clone(),
        }
    }
}

impl From<File> for Source {
    fn from(file: File) -> Self {
        Self {
            file: Arc::new(file),
            at: 0,
            stop: Stop::default(),
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stop.check()?;
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a place before the file"))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_read_on_their_own_and_outlive_the_name() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a");
        std::fs::write(&path, "0123456789").expect("written");
        let mut one = Source::open(&path).expect("open");
        one.seek(SeekFrom::End(-4)).expect("there");
        let mut other = one.from_start();
        std::fs::write(folder.path().join("b"), "another").expect("written");
        std::fs::rename(folder.path().join("b"), &path).expect("replaced");
        let (mut tail, mut whole) = (String::new(), String::new());
        one.read_to_string(&mut tail).expect("read");
        other.read_to_string(&mut whole).expect("read");
        assert_eq!((tail.as_str(), whole.as_str()), ("6789", "0123456789"));
        assert!(one.seek(SeekFrom::Current(-11)).is_err());
    }
}
