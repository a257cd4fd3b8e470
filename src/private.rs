//! Files and folders that hold citizens' words or what belongs to them: for their owner only, whatever the umask is.

use std::{
    ffi::OsString,
    fs::{DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tracing::warn;

use crate::rights;

const OWNER_ONLY: u32 = 0o600;

/// Makes a folder when it is missing, for its owner only. One that is there already is left as it is, unless others may
/// write into it: they could put SQLite's rollback journal there.
///
/// # Errors
/// When it can't be made, or others may write into it.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    rights::own_folder(path)
}

/// Opens a file for reading and writing, made when it is missing.
///
/// # Errors
/// When it can't be opened.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false);
    let file = file.mode(OWNER_ONLY).open(path)?;
    tighten(path)?;
    Ok(file)
}

/// Makes an empty file for a database when it is missing. SQLite takes an empty file for a new database and gives the
/// files beside it (`-wal`, `-shm`) the same rights; those of an older database are taken from others.
///
/// # Errors
/// When the file can't be made.
pub(crate) fn database(path: &Path) -> io::Result<()> {
    let made = File::options().write(true).create_new(true).mode(OWNER_ONLY).open(path);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => drop(other?),
    }
    for suffix in ["", "-wal", "-shm"] {
        tighten(&beside(path, suffix))?;
    }
    Ok(())
}

/// The name of a file with something appended to it.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Takes from others what they may do with a file of ours. Somebody else's file is told and left.
fn tighten(path: &Path) -> io::Result<()> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mode = metadata.permissions().mode() & 0o777;
    if !metadata.is_file() || mode & !OWNER_ONLY == 0 {
        return Ok(());
    }
    match std::fs::set_permissions(path, Permissions::from_mode(mode & OWNER_ONLY)) {
        Ok(()) => {
            let was = format!("{mode:o}");
            warn!(path = %path.display(), was, "this file holds personal data: others may not read it any more");
        }
        Err(error) => warn!(path = %path.display(), %error, "others may read this file, which holds personal data"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_others_could_read_is_taken_from_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        for suffix in ["", "-wal", "-shm"] {
            let path = beside(&path, suffix);
            std::fs::write(&path, "before").unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o664)).unwrap();
        }
        database(&path).unwrap();
        for suffix in ["", "-wal", "-shm"] {
            assert_eq!(mode(&beside(&path, suffix)), 0o600, "{suffix}");
        }
    }

    #[test]
    fn what_is_new_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        drop(open(&path).unwrap());
        assert_eq!(mode(&path), 0o600);
        super::folder(&folder.path().join("a/b")).unwrap();
        assert_eq!(mode(&folder.path().join("a/b")), 0o700);
    }
}
