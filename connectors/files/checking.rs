//! What `priem check` says of the folders, and what is to be done when they can't be used.

use std::{io, time::SystemTime};

use priem_sdk::{CheckReport, ConnectorError};

use super::{
    Inbox,
    folder::{Folder, FolderError, Why},
    inbox::REPORT,
    left::Left,
};

/// Folders and what stands in them.
pub fn check(inbox: &Inbox) -> CheckReport {
    let mut report = CheckReport::default();
    let folder = inbox.folder().display();
    let too_open = match inbox.try_writing() {
        Ok(Some(too_open)) => too_open,
        Ok(None) => {
            report.ok("folder", format!("{folder}: made when the daemon starts"));
            return report;
        }
        Err(error) => {
            let cure = cure(&error.why);
            report.fail("folder", error.to_string(), cure);
            return report;
        }
    };
    report.ok("folder", folder.to_string());
    if !too_open.is_empty() {
        report.warn(
            "rights",
            format!("users other than the service can write into {}", too_open.join(", ")),
            "chmod go-w; only inbox/ needs to be writable for people",
        );
    }
    let held = Folder::configured(inbox.folder(), false).and_then(|base| base.child("inbox", None));
    let Ok(held) = held else {
        report.ok("inbox", "made when the daemon starts");
        return report;
    };
    match inbox.look(&held, SystemTime::now()) {
        Ok(look) => {
            let files = look.waiting + look.refused.len() + usize::from(look.ready.is_some());
            report.ok("inbox", format!("{files} files"));
            let Left { folders, names, shown } = look.left;
            if folders > 0 {
                report.warn(
                    "folders",
                    format!("{folders} folders are never read: {}", shown.join(", ")),
                    "take the files out of them and put them into inbox/ itself",
                );
            }
            if names > 0 {
                report.warn(
                    "names",
                    format!(
                        "{names} names are not UTF-8 or hold control characters; they are never read: {}",
                        shown.join(", ")
                    ),
                    "rename them, or mount the share with iocharset=utf8",
                );
            }
        }
        Err(error) => report.fail("inbox", error.to_string(), CHOWN),
    }
    let failed = inbox.count("failed", |name| !name.ends_with(REPORT));
    if failed > 0 {
        report.warn(
            "failed",
            format!("{failed} files could not be imported"),
            "read the .report.txt beside each, mend the export and put it into inbox/ again",
        );
    }
    report
}

/// Cure of a folder that is not there or not ours.
const CHOWN: &str = "create the folder and give it to the user the service runs as (chown priem)";

pub fn cure(why: &Why) -> &'static str {
    match why {
        Why::Link { .. } => {
            "remove the link and see who made it; `folder` may name the real place, and inbox, done and failed must be folders"
        }
        Why::Io(error) => match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::CrossesDevices => {
                "inbox, done and failed must be writable folders of one file system"
            }
            _ => CHOWN,
        },
    }
}

pub fn in_folder(folder: &Folder, error: io::Error) -> ConnectorError {
    unusable(FolderError {
        path: folder.path().to_owned(),
        why: Why::Io(error),
    })
}

pub fn unusable(error: FolderError) -> ConnectorError {
    let needs_human = match &error.why {
        Why::Link { .. } => true,
        Why::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::PermissionDenied
                | io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::AlreadyExists
                | io::ErrorKind::ReadOnlyFilesystem
                | io::ErrorKind::CrossesDevices
        ),
    };
    match needs_human {
        true => ConnectorError::Misconfigured {
            hint: format!("{error}; {}", cure(&error.why)),
        },
        false => ConnectorError::transient(error.to_string()),
    }
}
