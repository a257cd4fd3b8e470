//! `poll` and `acknowledge`: nothing is lost and nothing is doubled, wherever the process dies.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    PollSubject, PollerFactory, Subject,
    host::{Heard, Quiet},
    report::Recorder,
};
use crate::contract::{Connector, Cursor, Item, Page, StreamKind, Wait};

const CHECKS: [&str; 3] = ["poll.same_cursor", "poll.complete", "poll.restarts"];
/// Empty pages, or walks without news, after which a source counts as read to its end.
const EMPTY_PAGES: u32 = 3;
/// Pages after which a source counts as endless.
const MOST_PAGES: u32 = 10_000;
/// The kit stands in for the host and keeps its pauses, within reason.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// No page may take longer than this.
const LONGEST_POLL: Duration = Duration::from_secs(60);

/// The key the journal stores an item under.
type Key = (String, Option<String>, Option<[u8; 16]>);
/// What the journal would hold.
type Stored = BTreeMap<Key, Item>;

pub(super) async fn examine(subject: &Subject, recorder: &mut Recorder) {
    let polls = subject
        .connector
        .streams()
        .iter()
        .any(|stream| stream.kind == StreamKind::Poll);
    match subject.poller {
        Some(poller) => {
            let steady = read(poller, Death::Never, recorder).await;
            let repeated = read(poller, Death::BeforeCommit, recorder).await;
            let restarted = read(poller, Death::Everywhere, recorder).await;
            recorder.record("poll.complete", steady.as_ref().map(describe).map_err(String::clone));
            recorder.record("poll.same_cursor", same_as(&steady, &repeated));
            recorder.record("poll.restarts", same_as(&steady, &restarted));
        }
        None if polls => {
            for check in CHECKS {
                recorder.record(check, Err("there is a polled stream and nothing to poll".into()));
            }
        }
        None => {
            for check in CHECKS {
                recorder.not_applicable(check, "the subject has no polled stream");
            }
        }
    }
    if subject.faults.is_empty() && !polls && subject.poller.is_none() {
        recorder.not_applicable("poll.faults", "the subject has no polled stream");
        recorder.not_applicable("poll.fault_kinds", "the subject has no polled stream");
    } else {
        let outcome = faults(subject, recorder).await;
        recorder.record("poll.faults", outcome);
        recorder.record("poll.fault_kinds", fault_kinds(subject));
    }
}

/// Where the process dies on the way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Death {
    Never,
    /// Every page is asked for twice by one instance: the commit of the first failed.
    BeforeCommit,
    /// A new instance before and after every step; acknowledgements come twice.
    Everywhere,
}

/// Reads a fresh source to its end as the host does: poll, commit, acknowledge.
async fn read(poller: PollerFactory, death: Death, recorder: &mut Recorder) -> Result<Stored, String> {
    let source = poller().await;
    let mut connector = (source.open)();
    let mut cursor = Cursor::start();
    let mut all = Stored::new();
    let mut empty = 0;
    let mut quiet = Quiet::from(&cursor);
    for _ in 0..MOST_PAGES {
        let page = poll(&source, &connector, &cursor, recorder).await?;
        let page = match death {
            Death::Never => page,
            Death::BeforeCommit | Death::Everywhere => {
                if death == Death::Everywhere {
                    connector = (source.open)();
                }
                let again = poll(&source, &connector, &cursor, recorder).await?;
                begins_with(&again, &page)?;
                again
            }
        };
        let known = all.len();
        commit(&mut all, &page)?;
        let heard = quiet.after(&page, &cursor, all.len() > known);
        cursor = page.next;
        acknowledge(&source, &mut connector, &cursor, death, recorder).await?;
        match heard {
            Heard::Silence => empty += 1,
            Heard::News => empty = 0,
            Heard::Undecided => {}
        }
        if empty >= EMPTY_PAGES {
            break;
        }
        if let Wait::For(pause) = page.wait {
            tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
        }
    }
    if empty < EMPTY_PAGES {
        return Err(format!("no end after {MOST_PAGES} pages"));
    }
    if all.len() != source.items {
        return Err(format!("{} different items instead of {}", all.len(), source.items));
    }
    Ok(all)
}

async fn poll(
    source: &PollSubject,
    connector: &Arc<dyn Connector>,
    cursor: &Cursor,
    recorder: &mut Recorder,
) -> Result<Page, String> {
    let polled = tokio::time::timeout(LONGEST_POLL, connector.poll(&source.cx, source.stream, cursor)).await;
    match polled {
        Ok(Ok(page)) => {
            recorder.hear("a cursor", &page.next.0);
            Ok(page)
        }
        Ok(Err(error)) => {
            recorder.hear("an error of poll", &format!("{error} {error:?}"));
            Err(format!("poll failed: {error}"))
        }
        Err(_) => Err(format!("poll took longer than {LONGEST_POLL:?}")),
    }
}

/// The second page from one cursor may hold more than the first, never less.
fn begins_with(again: &Page, page: &Page) -> Result<(), String> {
    let keys = |page: &Page| page.items.iter().map(key).collect::<Vec<Key>>();
    if keys(again).starts_with(&keys(page)) {
        Ok(())
    } else {
        Err("one cursor gives other items the second time".into())
    }
}

fn commit(all: &mut Stored, page: &Page) -> Result<(), String> {
    for item in &page.items {
        match all.insert(key(item), item.clone()) {
            Some(other) if other.body != item.body => {
                return Err(format!(
                    "two different items of the format {:?} have one key",
                    item.format
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

async fn acknowledge(
    source: &PollSubject,
    connector: &mut Arc<dyn Connector>,
    cursor: &Cursor,
    death: Death,
    recorder: &mut Recorder,
) -> Result<(), String> {
    let times = if death == Death::Everywhere { 2 } else { 1 };
    for _ in 0..times {
        if death == Death::Everywhere {
            *connector = (source.open)();
        }
        if let Err(error) = connector.acknowledge(&source.cx, source.stream, cursor).await {
            recorder.hear("an error of acknowledge", &format!("{error} {error:?}"));
            return Err(format!("acknowledge failed: {error}"));
        }
    }
    Ok(())
}

async fn faults(subject: &Subject, recorder: &mut Recorder) -> Result<String, String> {
    for fault in &subject.faults {
        let source = (fault.poller)().await;
        let connector = (source.open)();
        let start = Cursor::start();
        let polled = connector.poll(&source.cx, source.stream, &start);
        match tokio::time::timeout(LONGEST_POLL, polled).await {
            Ok(Err(error)) => {
                recorder.hear(fault.name, &format!("{error} {error:?}"));
                if error.kind() != fault.kind {
                    return Err(format!("{:?}: {} instead of {}", fault.name, error.kind(), fault.kind));
                }
            }
            Ok(Ok(_)) => return Err(format!("{:?}: a page instead of {}", fault.name, fault.kind)),
            Err(_) => return Err(format!("{:?}: no answer within {LONGEST_POLL:?}", fault.name)),
        }
    }
    Ok(format!("{} troubles", subject.faults.len()))
}

/// The three troubles every platform has.
fn fault_kinds(subject: &Subject) -> Result<String, String> {
    let kinds = ["transient", "rate_limited", "auth_rejected"];
    let missing: Vec<&str> = kinds
        .into_iter()
        .filter(|kind| !subject.faults.iter().any(|fault| fault.kind == *kind))
        .collect();
    if missing.is_empty() {
        return Ok(kinds.join(", "));
    }
    let missing = missing.join(", ");
    Err(format!(
        "no sample of a source in the trouble: {missing}; add one, or waive this with the reason"
    ))
}

fn same_as(steady: &Result<Stored, String>, other: &Result<Stored, String>) -> Result<String, String> {
    let other = other.as_ref().map_err(String::clone)?;
    match steady {
        Ok(steady) if steady.keys().ne(other.keys()) => Err("other items than in one undisturbed run".into()),
        Ok(_) => Ok(describe(other)),
        Err(_) => Err("there is no undisturbed run to compare with".into()),
    }
}

fn describe(all: &Stored) -> String {
    format!("{} items", all.len())
}

fn key(item: &Item) -> Key {
    (item.external_id.clone(), item.revision.clone(), item.fingerprint)
}
