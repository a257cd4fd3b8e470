//! An open file that several readers read on their own: it is opened once, by whoever knows where it may be opened, and
//! every clone has a position of its own. So a name that is replaced between two reads changes nothing.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

/// Bytes of one open file, from a position on.
#[derive(Debug, Clone)]
pub struct Source {
    file: Arc<File>,
    at: u64,
}

impl Source {
    /// Opens a file that the caller named on purpose; links are followed.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(Self::from)
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
        }
    }
}

impl From<File> for Source {
    fn from(file: File) -> Self {
        Self {
            file: Arc::new(file),
            at: 0,
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
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
