//! Pages with which a file ends before its last row, or without any.

use priem_sdk::{Cursor, Item, Page};

use super::{
    cursor::{End, FileCursor, Refused, Stamp},
    items,
    known::Known,
    problem::FileProblem,
    report,
};

/// The only page of a file whose bytes were read before.
pub fn again(mut standing: FileCursor) -> Page {
    tracing::info!(
        file = standing.file,
        "a file that was read before, byte for byte: nothing changes"
    );
    (standing.again, standing.tell) = (true, true);
    standing.end = Some(End::Done);
    Page {
        next: standing.encode(),
        ..Page::default()
    }
}

/// No page: the reading was stopped with the service, and begins again where it began.
pub fn stopped(at: Cursor) -> Page {
    Page {
        next: at,
        ..Page::default()
    }
}

/// The last page of a file that can't be read on: rows up to here, and an item that says what happened.
pub fn failed(mut standing: FileCursor, mut page_items: Vec<Item>, problem: &FileProblem) -> Page {
    tracing::warn!(file = standing.file, %problem, "a file can't be imported");
    page_items.push(items::file_item(&standing.file, &standing.hash, problem));
    standing.end = Some(End::Failed {
        reason: problem.reason().to_owned(),
        report: report::failed(&standing, &problem.without_quotes()),
    });
    Page {
        items: page_items,
        next: standing.encode(),
        as_of: standing.as_of,
        ..Page::default()
    }
}

/// The page of refused entries: an item for each, one line in the log for all.
pub fn refused(entries: Vec<Refused>, known: &Known) -> Page {
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
    cursor.known.clone_from(known);
    Page {
        items,
        next: cursor.encode(),
        ..Page::default()
    }
}

/// The end of a refused entry.
pub fn refused_cursor(entry: &Refused) -> FileCursor {
    let mut cursor = FileCursor::unread(entry.file.clone(), entry.stamp);
    let problem = FileProblem::Refused(entry.refusal);
    cursor.end = Some(End::Failed {
        reason: problem.reason().to_owned(),
        report: report::failed(&cursor, &problem),
    });
    cursor
}

/// The file is gone or replaced: nothing to put away, so its stamp is made to match nothing. What has its name now is
/// read as a file of its own.
pub fn vanished(mut standing: FileCursor, page_items: Vec<Item>) -> Page {
    standing.stamp = Stamp::default();
    failed(standing, page_items, &FileProblem::Vanished)
}
