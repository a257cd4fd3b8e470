//! The files of the journal, as they were opened. A file that is deleted or replaced under the daemon still takes every
//! write and every fsync, and all of it is gone with the process. So before each commit that stores items the name of the
//! database is looked up again, and at each tick those of all its files; one look costs two microseconds.
//!
//! Then new items are refused, and the daemon stays: what was accepted before lives only in the file it still holds, and
//! goes on being published from there. See docs/adr/0018.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::JournalError;
use crate::private;

/// See the module.
#[derive(Debug)]
pub(super) struct Place {
    files: Vec<(PathBuf, Identity)>,
}

type Identity = (u64, u64);

impl Place {
    /// Remembers the database at a path and the files beside it; they must be there.
    pub(super) fn of(database: &Path) -> io::Result<Self> {
        let files = ["", "-wal", "-shm"].map(|suffix| private::beside(database, suffix));
        let known = files
            .into_iter()
            .map(|path| identity(&path).map(|identity| (path, identity)));
        Ok(Self {
            files: known.collect::<io::Result<_>>()?,
        })
    }

    /// Whether the database is still where it was.
    pub(super) fn check(&self) -> Result<(), JournalError> {
        self.check_first(1)
    }

    /// The same for every file. Without its log the database is not lost: what is in there is folded within a second.
    pub(super) fn check_all(&self) -> Result<(), JournalError> {
        self.check_first(self.files.len())
    }

    fn check_first(&self, count: usize) -> Result<(), JournalError> {
        for (path, known) in &self.files[..count] {
            let what = match identity(path) {
                Ok(found) if found == *known => continue,
                Ok(_) => "another file is in its place".to_owned(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => "it is not there any more".to_owned(),
                Err(error) => error.to_string(),
            };
            return Err(JournalError::Displaced {
                why: format!("{}: {what}", path.display()),
            });
        }
        Ok(())
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    // Links are followed, as SQLite does when it opens the file.
    std::fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_a_deleted_and_a_replaced_file_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("journal.sqlite");
        for suffix in ["", "-wal", "-shm"] {
            std::fs::write(private::beside(&database, suffix), "").unwrap();
        }
        let place = Place::of(&database).unwrap();
        assert!(place.check().is_ok() && place.check_all().is_ok());
        for suffix in ["", "-wal", "-shm"] {
            let (path, aside) = (private::beside(&database, suffix), folder.path().join("aside"));
            std::fs::rename(&path, &aside).unwrap();
            let error = place.check_all().unwrap_err().to_string();
            assert_eq!(place.check().is_err(), suffix.is_empty());
            assert!(
                error.contains(path.to_str().unwrap()) && error.contains("not there"),
                "{error}"
            );
            std::fs::write(&path, "").unwrap();
            assert!(place.check_all().unwrap_err().to_string().contains("another file"));
            std::fs::rename(&aside, &path).unwrap();
            assert!(place.check_all().is_ok(), "back where it was");
        }
    }
}
