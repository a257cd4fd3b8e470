//! The blocking half of the connector: one page of rows after a cursor.

use std::{
    path::PathBuf,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use jiff::Timestamp;
use parking_lot::Mutex;
use priem_sdk::{
    ConnectorError, Cursor, Item, Page, Wait,
    contract::{LeftAlone, Progress},
    in_hand::{Deadly, InHand},
};
use priem_tables::{Fault, Source, Stop, dates::Order};

use super::{
    Checked, FilesSettings, Inbox, as_of,
    checking::{in_folder, unusable},
    cursor::{End, FileCursor, Stamp, content_hash},
    endings::{again, failed, refused, refused_cursor, stopped, vanished},
    inbox::{Held, Ready},
    items::{self, RowContext},
    known::{self, Known},
    notes::Note,
    problem::{FileProblem, UNKNOWN_LAYOUT},
    refusals::Refusals,
    report,
    table::Table,
    when,
};

/// A page ends after this many bytes of rows, whatever their number.
const PAGE_BYTES: usize = 2 * 1024 * 1024;
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
    /// Items that the journal left out since the last page.
    left_out: AtomicU64,
    /// What is being read, for the case that the process dies over it; opened with the first poll.
    in_hand: OnceLock<InHand>,
    /// Ends what is being read.
    stop: Mutex<Stop>,
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
            left_out: AtomicU64::new(0),
            in_hand: OnceLock::new(),
            stop: Mutex::default(),
        }
    }

    /// What ends the reading that begins now, wherever it stands. What was opened under one that has ended something is
    /// opened anew.
    pub fn stop(&self) -> Stop {
        let mut stop = self.stop.lock();
        if stop.is_stopped() {
            *self.open.lock() = None;
            *stop = Stop::default();
        }
        stop.clone()
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

    /// The folders.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
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

    /// Counts what the journal left out of a page.
    pub fn left_out(&self, older: usize) {
        self.left_out.fetch_add(older as u64, Relaxed);
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
                self.next_file(&held, cursor, finished.known)
            }
            Some(standing) => Ok(self.go_on(&held, standing)),
            None => self.next_file(&held, cursor, Known::default()),
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
            return self.report_done(held, cursor, source);
        };
        // Looked into once more, it may kill once more: what is stored must do then.
        if FileProblem::known_reason(reason) == UNKNOWN_LAYOUT
            && let Some(source) = source
            && self.take_in_hand(held, &cursor.file, cursor.stamp, u64::MAX).is_ok()
            && let Err(problem) = self.open_table(held, source, &cursor.file)
        {
            return Some(report::failed(cursor, &problem));
        }
        Some(report.clone())
    }

    /// What is written beside a file in `done/`. Opened once more, it may kill once more: the counts must do then.
    fn report_done(&self, held: &Held, cursor: &FileCursor, source: Option<&Source>) -> Option<String> {
        let opened = source.filter(|_| cursor.tell && !cursor.again).and_then(|source| {
            self.take_in_hand(held, &cursor.file, cursor.stamp, u64::MAX).ok()?;
            self.open_table(held, source, &cursor.file).ok()
        });
        let older = cursor.older + self.left_out.swap(0, Relaxed);
        if older > 0 {
            let (file, as_of) = (&cursor.file, cursor.as_of.map(tracing::field::display));
            tracing::warn!(
                file,
                as_of,
                older,
                "a file is older than what is known: what it would turn back is left out"
            );
        }
        report::done(cursor, older, opened.as_ref())
    }

    fn open_table(&self, held: &Held, source: &Source, name: &str) -> Result<Table, FileProblem> {
        let scratch = held.base.process_path();
        Table::open(source, name, &self.settings, &self.checked, &scratch)
    }

    /// The next refused entries that still stand where they were seen.
    fn next_refused(&self, held: &Held, known: &Known) -> Option<Page> {
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
                return Some(refused(entries, known));
            }
        }
    }

    /// Looks for the next file and reads its first page, or takes out what is no file.
    fn next_file(&self, held: &Held, cursor: &Cursor, known: Known) -> Result<Page, ConnectorError> {
        if let Some(page) = self.next_refused(held, &known) {
            return Ok(page);
        }
        self.inbox.take_back(held);
        let look = self
            .inbox
            .look(&held.inbox, SystemTime::now())
            .map_err(|error| in_folder(&held.inbox, error))?;
        self.refusals.lock().begin(look.refused, look.ready.is_some());
        if let Some(page) = self.next_refused(held, &known) {
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
            let mut cursor = FileCursor::unread(name.clone(), stamp);
            cursor.known.clone_from(&known);
            Ok(failed(cursor, Vec::new(), &problem))
        };
        if stamp.size > self.settings.max_file_bytes {
            let limit = self.settings.max_file_bytes;
            let bytes = stamp.size;
            return unread(stamp, FileProblem::TooLarge { bytes, limit });
        }
        // What was listed a moment ago may be another by now: what is opened decides.
        let (source, stamp) = match held.inbox.open(&name) {
            Ok(Ok((source, stamp))) => (source.stopped_by(&self.stop.lock()), stamp),
            Ok(Err(refusal)) => return unread(stamp, FileProblem::Refused(refusal)),
            Err(error) => return unread(stamp, FileProblem::Table(Fault::of_io(&error))),
        };
        if self.take_in_hand(held, &name, stamp, 0).is_err() {
            return unread(stamp, FileProblem::KilledProcess { row: 0 });
        }
        match content_hash(&source) {
            Ok(hash) => {
                let is_known = known.has(&known::sign(&hash, &self.settings));
                let mut start = FileCursor::start(name.clone(), stamp, hash);
                start.known.clone_from(&known);
                if is_known {
                    return Ok(again(start));
                }
                tracing::info!(file = name, bytes = stamp.size, "reading a file");
                Ok(self.begin(held, start, &source))
            }
            Err(error) => match FileProblem::Table(Fault::of_io(&error)) {
                problem if problem.is_stopped() => Ok(stopped(cursor.clone())),
                problem => unread(stamp, problem),
            },
        }
    }

    /// The first page of a file.
    fn begin(&self, held: &Held, mut start: FileCursor, source: &Source) -> Page {
        self.left_out.store(0, Relaxed);
        let until = when::until(Timestamp::now(), &self.checked.zone);
        let opened = self.open_table(held, source, &start.file).and_then(|mut table| {
            let whole = as_of::of(&mut table, &self.checked.zone, until)?;
            (start.as_of, start.order) = (whole.as_of, whole.order);
            Ok(table)
        });
        match opened {
            Ok(table) => self.read_page(start, table),
            Err(problem) if problem.is_stopped() => stopped(start.encode()),
            Err(problem) => failed(start, Vec::new(), &problem),
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
        let source = source.stopped_by(&self.stop.lock());
        match is_unchanged(&mut standing, &source, stamp) {
            true => self.read(held, standing, &source),
            false => vanished(standing, Vec::new()),
        }
    }

    /// One page from where the cursor stands.
    fn read(&self, held: &Held, standing: FileCursor, source: &Source) -> Page {
        let table = match self.table_at(held, &standing, source) {
            Ok(table) => table,
            Err(problem) if problem.is_stopped() => return stopped(standing.encode()),
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
        standing.older += self.left_out.swap(0, Relaxed);
        let begin = standing.encode();
        let mut bytes = 0;
        let until = when::until(Timestamp::now(), &self.checked.zone);
        while page_items.len() < self.settings.rows_per_page && bytes < PAGE_BYTES {
            let row = match table.next_row() {
                Ok(Some(row)) => row,
                Ok(None) => {
                    let stamp = Stamp::of_open(table.source()).unwrap_or_default();
                    if !is_unchanged(&mut standing, table.source(), stamp) {
                        return vanished(standing, page_items);
                    }
                    standing.skipped += table.take_skipped();
                    self.end(&mut standing, &table, &mut page_items);
                    break;
                }
                // The page begins again with the next start.
                Err(problem) if problem.is_stopped() => return stopped(begin),
                Err(problem) => return failed(standing, page_items, &problem),
            };
            let context = RowContext {
                file: &standing.file,
                sheet: table.format.sheet.as_deref(),
                layout: &table.layout,
                zone: &self.checked.zone,
                order: standing.order,
                until,
            };
            let made = items::row_items(&context, &row);
            bytes += made.items.iter().map(|item| item.body.len()).sum::<usize>();
            match made.problem {
                Some(_) => {
                    standing.bad += 1;
                    if standing.bad_rows.len() < report::LISTED_ROWS {
                        standing.bad_rows.push(row.number);
                    }
                }
                None => standing.good += 1,
            }
            standing.unread += made.unread;
            if let Some(content) = made.content() {
                standing.twice += u64::from(table.contradicts(content));
                standing.turned += table.layout.turned_into_dates(&row);
            }
            page_items.extend(made.items);
        }
        let place = table.place();
        standing.skipped += table.take_skipped();
        (standing.sheet, standing.row) = (place.sheet, place.row);
        (standing.offset, standing.texts) = (place.offset, place.texts);
        let (done, total) = table.progress();
        let progress = Progress {
            what: standing.file.clone(),
            done,
            total: Some(total),
            unit: "bytes",
        };
        let (next, as_of) = (standing.encode(), standing.as_of);
        let is_more = standing.end.is_none();
        if is_more {
            *self.open.lock() = Some((standing, table));
        }
        Page {
            items: page_items,
            next,
            wait: Wait::Now,
            progress: Some(progress),
            as_of,
            ahead: is_more,
            ..Page::default()
        }
    }

    /// A file was read to its end. What should be known of it is told: nothing is ever read without a row, or not read,
    /// in silence.
    fn end(&self, standing: &mut FileCursor, table: &Table, page_items: &mut Vec<Item>) {
        standing.known.add(known::sign(&standing.hash, &self.settings));
        let (good, bad, skipped, twice) = (standing.good, standing.bad, standing.skipped, standing.twice);
        if good + bad == 0 {
            page_items.push(items::file_item(&standing.file, &standing.hash, &FileProblem::NoRows));
        }
        let doubts = table.notes.iter().filter(|note| note.is_loud()).count();
        let unknown = table.layout.unknown_columns();
        let (turned, unread) = (standing.turned, standing.unread);
        let is_told =
            !unknown.is_empty() || standing.order == Order::MonthFirst || table.notes.iter().any(Note::is_told);
        standing.tell = good == 0 || bad + twice + skipped + turned + unread > 0 || is_told;
        if good == 0 || bad + twice + turned + unread > 0 || doubts > 0 {
            let notes: Vec<String> = table.notes.iter().map(Note::russian).collect();
            tracing::warn!(
                file = standing.file,
                good,
                bad,
                skipped,
                twice,
                turned,
                unread,
                notes = notes.join(" "),
                "a file was read, and something in it was not, or is in doubt: see the report beside it"
            );
        }
        if !unknown.is_empty() {
            tracing::info!(file = standing.file, columns = unknown.join(", "), "unknown columns");
        }
        standing.end = Some(End::Done);
    }
}

/// Whether the file still is the one the cursor speaks of. One that was touched is looked at whole: its content
/// decides, and the cursor gets its new stamp.
fn is_unchanged(standing: &mut FileCursor, source: &Source, stamp: Stamp) -> bool {
    let is_same = stamp.is_same(standing.stamp) || content_hash(source).is_ok_and(|hash| hash == standing.hash);
    if is_same {
        standing.stamp = stamp;
    }
    is_same
}
