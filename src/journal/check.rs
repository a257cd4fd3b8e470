//! The journal's folder as `priem check` looks at it. Makes nothing.

use std::path::Path;

use priem_sdk::CheckReport;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{Access, access};

use super::{FILE_NAME, JournalError, JournalSettings, limits, mark, mark::Mark, schema, store};
use crate::rights;

/// Whether the folder is there or can be made, can be written, and has room.
pub fn check(settings: &JournalSettings) -> CheckReport {
    let mut report = CheckReport::default();
    let dir = &settings.dir;
    let nearest = dir.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let place = dir.display();
    let cure = "create the folder and give it to the user the service runs as (chown priem)";
    if !nearest.is_dir() {
        report.fail("folder", format!("{} is not a folder", nearest.display()), cure);
        return report;
    }
    if let Err(error) = access(nearest, Access::WRITE_OK | Access::EXEC_OK) {
        report.fail(
            "folder",
            format!("{place}: {} can't be written: {error}", nearest.display()),
            cure,
        );
        return report;
    }
    if nearest == dir
        && let Err(error) = rights::own_folder(dir)
    {
        report.fail(
            "folder",
            format!("{place}: {error}"),
            "the journal's folder must be the service's alone",
        );
        return report;
    }
    match nearest == dir {
        true => report.ok("folder", format!("{place} can be written")),
        false => report.ok("folder", format!("{place} is made when the daemon starts")),
    }
    if let Err(error) = look_into(dir) {
        report.fail("files", error.to_string(), "the daemon would not start with it");
    }
    let free = limits::free_bytes(nearest);
    let detail = format!(
        "{free} bytes free, journal.min_free_bytes is {}",
        settings.min_free_bytes
    );
    if free < settings.min_free_bytes {
        report.fail(
            "space",
            detail,
            "make room on this disk: below the limit new items are refused",
        );
    } else {
        report.ok("space", detail);
    }
    report
}

/// Whether what is there already is a journal, without making or changing anything: a file that is in use, or that can't
/// be read by this user, tells nothing.
fn look_into(dir: &Path) -> Result<(), JournalError> {
    if mark::path(dir).is_dir() {
        return Mark::open(dir).map(drop);
    }
    let path = dir.join(FILE_NAME);
    // A log beside it: a daemon works with it, or did, and has looked itself.
    if !path.exists() || limits::log_bytes(dir) > 0 {
        return Ok(());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let bytes = path.as_os_str().as_encoded_bytes();
    let encoded: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
    match Connection::open_with_flags(format!("file:{encoded}?immutable=1"), flags) {
        Ok(connection) => schema::refuse_foreign(&connection).map_err(|error| store::named(&path, error)),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn looking_makes_nothing_and_tells_what_is_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = JournalSettings {
            dir: folder.path().join("a/b"),
            min_free_bytes: 1,
            ..JournalSettings::default()
        };
        assert!(!check(&settings).failed());
        assert!(!folder.path().join("a").exists());
        settings.min_free_bytes = u64::MAX;
        assert!(check(&settings).failed());
        settings.min_free_bytes = 1;
        std::fs::create_dir_all(&settings.dir).unwrap();
        let with = |mode| std::fs::set_permissions(&settings.dir, std::fs::Permissions::from_mode(mode)).unwrap();
        with(0o770);
        assert!(check(&settings).failed());
        with(0o700);
        assert!(!check(&settings).failed());
        std::fs::remove_dir_all(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a"), "").unwrap();
        settings.min_free_bytes = 1;
        assert!(check(&settings).failed());
    }
}
