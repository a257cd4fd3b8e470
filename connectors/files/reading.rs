//! The blocking half of the connector: one page of rows after a cursor.

use std::{io, path::PathBuf, sync::OnceLock, time::SystemTime};

use parking_lot::Mutex;
use priem_sdk::{
    CheckReport, ConnectorError, Cursor, Item, Page, Wait,
    contract::{LeftAlone, Progress},
    in_hand::{Deadly, InHand},
};
use priem_tables::{Fault, Source};

use super::{
    Checked, FilesSettings, Inbox,
    cursor::{End, FileCursor, Refused, Stamp, content_hash},
    folder::{Folder, FolderError, Why},
    inbox::{Held, REPORT, Ready},
    items::{self, RowContext},
    left::Left,
    problem::{FileProblem, UNKNOWN_LAYOUT},
    refusals::Refusals,
    table::Table,
};

/// A page ends after this many bytes of rows, whatever their number.
const PAGE_BYTES: usize = 1024 * 1024;
/// The note of what is being read, in the drop folder.
const IN_HAND: &str = ".in-hand";

/// Reads the drop folder.
#[derive(Debug)]
pub struct Reading {
    settings: FilesSettings,
    checked: Checked,
    inbox: Inbox,
    /// The file open after the last page, and the cursor it stands at.
    open: Mutex<Option<(FileCursor, Table)>>,
    refusals: Mutex<Refusals>,
    /// What is being read, for the case that the process dies over it; opened with the first poll.
    in_hand: OnceLock<InHand>,
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
            refusals: Mutex::default(),
            in_hand: OnceLock::new(),
        }
    }

    /// Notes that a file is read from a row on. The process may die over each page; a page that it died over twice is not
    /// read again.
    fn take_in_hand(&self, held: &Held, file: &str, stamp: Stamp, row: u64) -> Result<(), Deadly> {
        let (size, mtime) = (stamp.size, stamp.mtime);
        self.note(held).take(format_args!("{file:?} {size} {mtime} row {row}"))
    }

    fn note(&self, held: &Held) -> &InHand {
        self.in_hand.get_or_init(|| InHand::of(held.base.own_note(IN_HAND)))
    }

    fn put_down(&self) {
        if let Some(note) = self.in_hand.get() {
            note.clear();
        }
    }

    /// What the settings mean.
    pub fn checked(&self) -> &Checked {
        &self.checked
    }

    /// What the last look left alone for ever.
    pub fn left_alone(&self) -> Option<LeftAlone> {
        let left = self.inbox.left();
        (left.count() > 0).then(|| LeftAlone {
            count: left.count() as u64,
            why: left.russian(),
        })
    }

    /// The drop folder in the one spelling that all its names have in common.
    pub fn real_folder(&self) -> PathBuf {
        let folder = self.inbox.folder();
        let known = folder
            .ancestors()
            .find_map(|there| Some((there, there.canonicalize().ok()?)));
        match known.and_then(|(there, real)| Some(real.join(folder.strip_prefix(there).ok()?))) {
            // A path that ends with a slash is none of a folder's name.
            Some(real) => real.components().collect(),
            None => folder.to_owned(),
        }
    }

    /// The rows after a cursor.
    ///
    /// # Errors
    /// [`ConnectorError::Misconfigured`] when the folders can't be used.
    pub fn poll(&self, cursor: &Cursor) -> Result<Page, ConnectorError> {
        let held = self.inbox.held().map_err(unusable)?;
        if let Some(rest) = self.note(&held).patience() {
            return Ok(Page {
                next: cursor.clone(),
                wait: Wait::For(rest),
                ..Page::default()
            });
        }
        let page = match FileCursor::decode(cursor) {
            // The host has stored the end of this file: it may go, if it did not yet.
            Some(finished) if finished.end.is_some() => {
                self.put_away_in(&held, &finished)?;
                self.next_file(&held, cursor)
            }
            Some(standing) => Ok(self.go_on(&held, standing)),
            None => self.next_file(&held, cursor),
        };
        self.put_down();
        page
    }

    /// Moves a file whose end is stored.
    ///
    /// # Errors
    /// [`ConnectorError::Misconfigured`] when it can't be moved.
    pub fn put_away(&self, cursor: &FileCursor) -> Result<(), ConnectorError> {
        // At a start this comes before any poll.
        let held = self.inbox.held().map_err(unusable)?;
        self.put_away_in(&held, cursor)
    }

    fn put_away_in(&self, held: &Held, cursor: &FileCursor) -> Result<(), ConnectorError> {
        let away = self
            .inbox
            .put_away(held, cursor, |source| self.report(held, cursor, source))
            .and_then(|()| {
                let mut others = cursor.refused.iter().map(refused_cursor);
                others.try_for_each(|other| self.inbox.put_away(held, &other, |_| self.report(held, &other, None)))
            });
        self.put_down();
        away.map_err(unusable)
    }

    /// What is written beside a file in `failed/`. The cursor quotes nothing from the file, so what was seen in an
    /// unknown layout is looked up again; only in a proper file of the folder that is still the one that was read.
    fn report(&self, held: &Held, cursor: &FileCursor, source: Option<&Source>) -> Option<String> {
        let Some(End::Failed { reason, report }) = &cursor.end else {
            return None;
        };
        // Looked into once more, it may kill once more: what is stored must do then.
        if FileProblem::known_reason(reason) == UNKNOWN_LAYOUT
            && let Some(source) = source
            && self.take_in_hand(held, &cursor.file, cursor.stamp, u64::MAX).is_ok()
            && let Err(problem) = self.open_table(held, source, &cursor.file)
        {
            return Some(report_text(cursor, &problem));
        }
        Some(report.clone())
    }

    fn open_table(&self, held: &Held, source: &Source, name: &str) -> Result<Table, FileProblem> {
        let scratch = held.base.process_path();
        Table::open(source, name, &self.settings, &self.checked, &scratch)
    }

    /// The next refused entries that still stand where they were seen.
    fn next_refused(&self, held: &Held) -> Option<Page> {
        let mut refusals = self.refusals.lock();
        loop {
            let mut entries = refusals.page(self.settings.rows_per_page);
            if entries.is_empty() {
                return None;
            }
            entries.retain(|entry| {
                let found = held.inbox.entry(&entry.file).ok().flatten();
                found.is_some_and(|found| found.stamp.is_same(entry.stamp))
            });
            if !entries.is_empty() {
                return Some(refused(entries));
            }
        }
    }

    /// Looks for the next file and reads its first page, or takes out what is no file.
    fn next_file(&self, held: &Held, cursor: &Cursor) -> Result<Page, ConnectorError> {
        if let Some(page) = self.next_refused(held) {
            return Ok(page);
        }
        let look = self
            .inbox
            .look(&held.inbox, SystemTime::now())
            .map_err(|error| in_folder(&held.inbox, error))?;
        self.refusals.lock().begin(look.refused, look.ready.is_some());
        if let Some(page) = self.next_refused(held) {
            return Ok(page);
        }
        let Some(Ready { name, stamp }) = look.ready else {
            return Ok(Page {
                next: cursor.clone(),
                wait: Wait::For(self.checked.every),
                ..Page::default()
            });
        };
        let unread = |stamp: Stamp, problem: FileProblem| {
            Ok(failed(FileCursor::unread(name.clone(), stamp), Vec::new(), &problem))
        };
        if stamp.size > self.settings.max_file_bytes {
            let limit = self.settings.max_file_bytes;
            let bytes = stamp.size;
            return unread(stamp, FileProblem::TooLarge { bytes, limit });
        }
        // What was listed a moment ago may be another by now: what is opened decides.
        let (source, stamp) = match held.inbox.open(&name) {
            Ok(Ok(opened)) => opened,
            Ok(Err(refusal)) => return unread(stamp, FileProblem::Refused(refusal)),
            Err(error) => return unread(stamp, FileProblem::Table(Fault::of_io(&error))),
        };
        if self.take_in_hand(held, &name, stamp, 0).is_err() {
            return unread(stamp, FileProblem::KilledProcess { row: 0 });
        }
        match content_hash(&source) {
            Ok(hash) => {
                tracing::info!(file = name, bytes = stamp.size, "reading a file");
                Ok(self.read(held, FileCursor::start(name, stamp, hash), &source))
            }
            Err(error) => unread(stamp, FileProblem::Table(Fault::of_io(&error))),
        }
    }

    /// Reads on in a file a page of which is stored.
    fn go_on(&self, held: &Held, mut standing: FileCursor) -> Page {
        if self
            .take_in_hand(held, &standing.file, standing.stamp, standing.row)
            .is_err()
        {
            let problem = FileProblem::KilledProcess { row: standing.row };
            return failed(standing, Vec::new(), &problem);
        }
        let Ok(Ok((source, stamp))) = held.inbox.open(&standing.file) else {
            return vanished(standing, Vec::new());
        };
        match is_unchanged(&mut standing, &source, stamp) {
            true => self.read(held, standing, &source),
            false => vanished(standing, Vec::new()),
        }
    }

    /// One page from where the cursor stands.
    fn read(&self, held: &Held, standing: FileCursor, source: &Source) -> Page {
        let table = match self.table_at(held, &standing, source) {
            Ok(table) => table,
            Err(problem) => return failed(standing, Vec::new(), &problem),
        };
        self.read_page(standing, table)
    }

    fn table_at(&self, held: &Held, standing: &FileCursor, source: &Source) -> Result<Table, FileProblem> {
        if let Some((at, table)) = self.open.lock().take()
            && at == *standing
        {
            return Ok(table);
        }
        let mut table = self.open_table(held, source, &standing.file)?;
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
                    let stamp = Stamp::of_open(table.source()).unwrap_or_default();
                    if !is_unchanged(&mut standing, table.source(), stamp) {
                        return vanished(standing, page_items);
                    }
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
        (standing.row, standing.offset, standing.texts) = (place.row, place.offset, place.texts);
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

    /// Folders and what stands in them.
    pub fn check(&self) -> CheckReport {
        let mut report = CheckReport::default();
        let folder = self.inbox.folder().display();
        let too_open = match self.inbox.try_writing() {
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
        let inbox = Folder::configured(self.inbox.folder(), false).and_then(|base| base.child("inbox", None));
        let Ok(inbox) = inbox else {
            report.ok("inbox", "made when the daemon starts");
            return report;
        };
        match self.inbox.look(&inbox, SystemTime::now()) {
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
        let failed = self.inbox.count("failed", |name| !name.ends_with(REPORT));
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

/// Whether the file still is the one the cursor speaks of. One that was touched is looked at whole: its content
/// decides, and the cursor gets its new stamp.
fn is_unchanged(standing: &mut FileCursor, source: &Source, stamp: Stamp) -> bool {
    if stamp.is_same(standing.stamp) {
        return true;
    }
    let is_same = content_hash(source).is_ok_and(|hash| hash == standing.hash);
    if is_same {
        standing.stamp = stamp;
    }
    is_same
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

/// The page of refused entries: an item for each, one line in the log for all.
fn refused(entries: Vec<Refused>) -> Page {
    let problem = |entry: &Refused| FileProblem::Refused(entry.refusal);
    let items = entries.iter().map(|entry| {
        let cursor = FileCursor::unread(entry.file.clone(), entry.stamp);
        items::file_item(&cursor.file, &cursor.hash, &problem(entry))
    });
    let items: Vec<Item> = items.collect();
    let many = entries.len();
    let mut entries = entries.into_iter();
    let Some(first) = entries.next() else {
        return Page::default();
    };
    tracing::warn!(
        file = first.file,
        entries = many,
        problem = %problem(&first),
        "no files of the inbox: not read, taken out"
    );
    let mut cursor = refused_cursor(&first);
    cursor.refused = entries.collect();
    Page {
        items,
        next: cursor.encode(),
        ..Page::default()
    }
}

/// The end of a refused entry.
fn refused_cursor(entry: &Refused) -> FileCursor {
    let mut cursor = FileCursor::unread(entry.file.clone(), entry.stamp);
    let problem = FileProblem::Refused(entry.refusal);
    cursor.end = Some(End::Failed {
        reason: problem.reason().to_owned(),
        report: report_text(&cursor, &problem),
    });
    cursor
}

/// The file is gone or replaced: nothing to put away, so its stamp is made to match nothing. What has its name now is
/// read as a file of its own.
fn vanished(mut standing: FileCursor, page_items: Vec<Item>) -> Page {
    standing.stamp = Stamp::default();
    failed(standing, page_items, &FileProblem::Vanished)
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

/// Cure of a folder that is not there or not ours.
const CHOWN: &str = "create the folder and give it to the user the service runs as (chown priem)";

fn cure(why: &Why) -> &'static str {
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

fn in_folder(folder: &Folder, error: io::Error) -> ConnectorError {
    unusable(FolderError {
        path: folder.path().to_owned(),
        why: Why::Io(error),
    })
}

fn unusable(error: FolderError) -> ConnectorError {
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
