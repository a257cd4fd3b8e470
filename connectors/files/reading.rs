//! The blocking half of the connector: one page of rows after a cursor.

use std::{
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use parking_lot::Mutex;
use priem_sdk::{CheckReport, ConnectorError, Cursor, Item, Page, Wait, contract::Progress};

use super::{
    Checked, FilesSettings, Inbox,
    cursor::{End, FileCursor, Stamp},
    inbox::{Look, Ready, content_hash},
    items::{self, RowContext},
    problem::FileProblem,
    table::Table,
};

/// A page ends after this many bytes of rows, whatever their number.
const PAGE_BYTES: usize = 1024 * 1024;
/// [`FileProblem::reason`] of the problem whose report quotes the file.
const UNKNOWN_LAYOUT: &str = "file_unknown_layout";

/// Reads the drop folder.
#[derive(Debug)]
pub struct Reading {
    settings: FilesSettings,
    checked: Checked,
    inbox: Inbox,
    /// The file open after the last page, and the cursor it stands at.
    open: Mutex<Option<(FileCursor, Table)>>,
}

impl Reading {
    /// Touches no file.
    pub fn new(settings: FilesSettings, checked: Checked) -> Self {
        let inbox = Inbox::new(settings.folder.clone(), checked.settle, checked.settle_broken);
        Self {
            settings,
            checked,
            inbox,
            open: Mutex::new(None),
        }
    }

    /// What the settings mean.
    pub fn checked(&self) -> &Checked {
        &self.checked
    }

    /// The rows after a cursor.
    ///
    /// # Errors
    /// [`ConnectorError::Misconfigured`] when the folders can't be used.
    pub fn poll(&self, cursor: &Cursor) -> Result<Page, ConnectorError> {
        self.inbox.create().map_err(unusable)?;
        match FileCursor::decode(cursor) {
            // The host has stored the end of this file: it may go, if it did not yet.
            Some(finished) if finished.end.is_some() => {
                self.put_away(&finished)?;
                self.next_file(cursor)
            }
            Some(standing) => self.go_on(standing),
            None => self.next_file(cursor),
        }
    }

    /// Moves a file whose end is stored.
    ///
    /// # Errors
    /// [`ConnectorError::Misconfigured`] when it can't be moved.
    pub fn put_away(&self, cursor: &FileCursor) -> Result<(), ConnectorError> {
        // At a start this comes before any poll.
        self.inbox.create().map_err(unusable)?;
        self.inbox
            .put_away(cursor, |path| self.report(cursor, path))
            .map_err(unusable)
    }

    /// What is written beside a file in `failed/`. The cursor quotes nothing from the file, so what was seen in an
    /// unknown layout is looked up again.
    fn report(&self, cursor: &FileCursor, path: &Path) -> Option<String> {
        let Some(End::Failed { reason, report }) = &cursor.end else {
            return None;
        };
        if FileProblem::known_reason(reason) == UNKNOWN_LAYOUT
            && let Err(problem) = Table::open(path, &self.settings, &self.checked, self.inbox.folder())
        {
            return Some(report_text(cursor, &problem));
        }
        Some(report.clone())
    }

    /// Looks for the next file and reads its first page.
    fn next_file(&self, cursor: &Cursor) -> Result<Page, ConnectorError> {
        let look = self.look()?;
        let Some(Ready { name, stamp }) = look.ready else {
            return Ok(Page {
                next: cursor.clone(),
                wait: Wait::For(self.checked.every),
                ..Page::default()
            });
        };
        let path = self.inbox.path(&name);
        if stamp.size > self.settings.max_file_bytes {
            let limit = self.settings.max_file_bytes;
            let hash = format!("unread-{}-{}", stamp.size, stamp.mtime);
            let problem = FileProblem::TooLarge {
                bytes: stamp.size,
                limit,
            };
            return Ok(failed(FileCursor::start(name, stamp, hash), Vec::new(), &problem));
        }
        match content_hash(&path) {
            Ok(hash) => {
                tracing::info!(file = name, bytes = stamp.size, "reading a file");
                Ok(self.read(FileCursor::start(name, stamp, hash)))
            }
            Err(error) => {
                let hash = format!("unread-{}-{}", stamp.size, stamp.mtime);
                let problem = FileProblem::Unreadable(error.kind().to_string());
                Ok(failed(FileCursor::start(name, stamp, hash), Vec::new(), &problem))
            }
        }
    }

    /// Reads on in a file a page of which is stored.
    fn go_on(&self, mut standing: FileCursor) -> Result<Page, ConnectorError> {
        match self.inbox.stamp(&standing.file) {
            Some(stamp) if stamp == standing.stamp => Ok(self.read(standing)),
            // Touched, or replaced under the same name: the content decides.
            Some(stamp) => match content_hash(&self.inbox.path(&standing.file)) {
                Ok(hash) if hash == standing.hash => {
                    standing.stamp = stamp;
                    Ok(self.read(standing))
                }
                _ => Ok(vanished(standing)),
            },
            None => Ok(vanished(standing)),
        }
    }

    /// One page from where the cursor stands.
    fn read(&self, standing: FileCursor) -> Page {
        let table = match self.table_at(&standing) {
            Ok(table) => table,
            Err(problem) => return failed(standing, Vec::new(), &problem),
        };
        self.read_page(standing, table)
    }

    fn table_at(&self, standing: &FileCursor) -> Result<Table, FileProblem> {
        if let Some((at, table)) = self.open.lock().take()
            && at == *standing
        {
            return Ok(table);
        }
        let path = self.inbox.path(&standing.file);
        let mut table = Table::open(&path, &self.settings, &self.checked, self.inbox.folder())?;
        table.skip_to(standing.place())?;
        Ok(table)
    }

    fn read_page(&self, mut standing: FileCursor, mut table: Table) -> Page {
        let mut page_items: Vec<Item> = Vec::with_capacity(self.settings.rows_per_page);
        let mut bytes = 0;
        while page_items.len() < self.settings.rows_per_page && bytes < PAGE_BYTES {
            let row = match table.next_row() {
                Ok(Some(row)) => row,
                Ok(None) => {
                    standing.end = Some(End::Done);
                    break;
                }
                Err(problem) => return failed(standing, page_items, &problem),
            };
            let context = RowContext {
                file: &standing.file,
                sheet: table.format.sheet.as_deref(),
                layout: &table.layout,
                zone: &self.checked.zone,
            };
            let made = items::row_items(&context, &row);
            bytes += made.items.iter().map(|item| item.body.len()).sum::<usize>();
            match made.problem {
                Some(_) => standing.bad += 1,
                None => standing.good += 1,
            }
            page_items.extend(made.items);
        }
        let place = table.place();
        (standing.row, standing.offset) = (place.row, place.offset);
        let (done, total) = table.progress();
        let progress = Progress {
            what: standing.file.clone(),
            done,
            total: Some(total),
            unit: "bytes",
        };
        let next = standing.encode();
        if standing.end.is_none() {
            *self.open.lock() = Some((standing, table));
        }
        Page {
            items: page_items,
            next,
            wait: Wait::Now,
            progress: Some(progress),
            gap: None,
        }
    }

    fn look(&self) -> Result<Look, ConnectorError> {
        self.inbox
            .look(SystemTime::now())
            .map_err(|error| unusable((self.inbox.folder().join("inbox"), error)))
    }

    /// Folders and what stands in them.
    pub fn check(&self) -> CheckReport {
        let mut report = CheckReport::default();
        let cure = "create the folder and give it to the user the service runs as (chown priem)";
        if !self.inbox.folder().is_dir() {
            let detail = format!("{} does not exist", self.inbox.folder().display());
            report.fail("folder", detail, cure);
            return report;
        }
        if let Err((folder, error)) = self.inbox.try_writing() {
            report.fail("folder", format!("{}: {error}", folder.display()), cure);
            return report;
        }
        report.ok("folder", self.inbox.folder().display().to_string());
        if !self.inbox.folder().join("inbox").is_dir() {
            report.ok("inbox", "made when the daemon starts");
            return report;
        }
        match self.inbox.look(SystemTime::now()) {
            Ok(look) => {
                let files = look.waiting + usize::from(look.ready.is_some());
                report.ok("inbox", format!("{files} files"));
                if look.unreadable_names > 0 {
                    report.warn(
                        "names",
                        format!(
                            "{} files have names that are not UTF-8; they are left alone",
                            look.unreadable_names
                        ),
                        "rename them, or mount the share with iocharset=utf8",
                    );
                }
            }
            Err(error) => report.fail("inbox", error.to_string(), cure),
        }
        let failed = count(&self.inbox.folder().join("failed"));
        if failed > 0 {
            report.warn(
                "failed",
                format!("{failed} files could not be imported"),
                "read the .report.txt beside each, mend the export and put it into inbox/ again",
            );
        }
        report
    }
}

/// Files in a folder, reports not counted.
fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, |entries| {
        entries
            .flatten()
            .filter(|entry| !entry.file_name().to_string_lossy().ends_with(".report.txt"))
            .count()
    })
}

/// The last page of a file that can't be read on: rows up to here, and an item that says what happened.
fn failed(mut standing: FileCursor, mut page_items: Vec<Item>, problem: &FileProblem) -> Page {
    tracing::warn!(file = standing.file, %problem, "a file can't be imported");
    page_items.push(items::file_item(&standing.file, &standing.hash, problem));
    standing.end = Some(End::Failed {
        reason: problem.reason().to_owned(),
        report: report_text(&standing, &problem.without_quotes()),
    });
    Page {
        items: page_items,
        next: standing.encode(),
        ..Page::default()
    }
}

/// The file is gone or replaced: nothing to put away, so its stamp is made to match nothing.
fn vanished(mut standing: FileCursor) -> Page {
    standing.stamp = Stamp { size: 0, mtime: 0 };
    failed(standing, Vec::new(), &FileProblem::Vanished)
}

/// What is written beside a file in `failed/`.
fn report_text(standing: &FileCursor, problem: &FileProblem) -> String {
    let mut text = format!("Файл: {}\n\n{}\n", standing.file, problem.russian());
    if standing.good + standing.bad > 0 {
        text.push_str(&format!(
            "\nДо этого места принято строк: {}, отложено в карантин: {}.\n",
            standing.good, standing.bad
        ));
    }
    text.push_str(&format!("\nКод: {}\n", problem.reason()));
    text
}

fn unusable((folder, error): (PathBuf, io::Error)) -> ConnectorError {
    match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::AlreadyExists => ConnectorError::Misconfigured {
            hint: format!(
                "{}: {error}; create the folder and give it to the user the service runs as (chown priem)",
                folder.display()
            ),
        },
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::CrossesDevices => ConnectorError::Misconfigured {
            hint: format!(
                "{}: {error}; inbox, done and failed must be writable folders of one file system",
                folder.display()
            ),
        },
        _ => ConnectorError::transient(format!("{}: {error}", folder.display())),
    }
}
