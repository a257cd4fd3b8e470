//! Who else may write where the daemon keeps what it was trusted with.
//!
//! Whoever can write into a folder can put a link, a file or SQLite's own `-journal` there before the daemon does. So
//! folders of citizens' words belong to the daemon alone, and that is looked at before they are used.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

/// Write permission of the group and of everybody.
const OTHERS_WRITE: u32 = 0o022;
/// In a sticky folder (`/tmp`) nobody removes or renames what belongs to others.
const STICKY: u32 = 0o1000;

/// Refuses a folder that users other than its owner can write into.
///
/// # Errors
/// With the cure; and what the file system says.
pub fn own_folder(folder: &Path) -> io::Result<()> {
    match fs::metadata(folder)?.mode() & OTHERS_WRITE {
        0 => Ok(()),
        _ => Err(others_write(folder)),
    }
}

/// The same for a folder in which one file is ours; a sticky folder will do.
///
/// # Errors
/// As [`own_folder`].
pub fn folder_of_own_file(folder: &Path) -> io::Result<()> {
    let mode = fs::metadata(folder)?.mode();
    match mode & OTHERS_WRITE == 0 || mode & STICKY != 0 {
        true => Ok(()),
        false => Err(others_write(folder)),
    }
}

/// Refuses an open file that belongs to another user, or has a second name: both were put there by somebody else.
/// Pipes and devices are what the settings say they are.
///
/// # Errors
/// With the cure; and what the file system says.
pub fn own_file(file: &File) -> io::Result<()> {
    let found = file.metadata()?;
    let is_own = matches!(found.uid(), uid if uid == 0 || uid == rustix::process::geteuid().as_raw());
    let problem = match found.is_file() {
        false => return Ok(()),
        true if !is_own => format!("belongs to user {}; chown it to the service's user", found.uid()),
        true if found.nlink() > 1 => "has a second name (hard link); remove one of them".to_owned(),
        true => return Ok(()),
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, problem))
}

fn others_write(folder: &Path) -> io::Error {
    let problem = format!(
        "users other than the owner can write into {}: chmod go-w {0}",
        folder.display()
    );
    io::Error::new(io::ErrorKind::PermissionDenied, problem)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn folders_that_others_write_into_are_refused_with_the_cure() {
        let folder = tempfile::tempdir().expect("a folder");
        let with = |mode: u32| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("permissions");
            (own_folder(folder.path()), folder_of_own_file(folder.path()))
        };
        for mode in [0o700, 0o750, 0o755] {
            let (own, of_file) = with(mode);
            assert!(own.is_ok() && of_file.is_ok(), "{mode:o}");
        }
        for mode in [0o770, 0o2770, 0o757, 0o777] {
            let (own, of_file) = with(mode);
            assert!(of_file.is_err(), "{mode:o}");
            assert!(own.expect_err("refused").to_string().contains("chmod go-w"), "{mode:o}");
        }
        let (own, of_file) = with(0o1777);
        assert!(own.is_err() && of_file.is_ok());
    }

    #[test]
    fn a_file_with_a_second_name_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        let file = File::create(&path).expect("a file");
        assert!(own_file(&file).is_ok());
        fs::hard_link(&path, folder.path().join("b")).expect("linked");
        assert!(own_file(&file).is_err());
    }
}
