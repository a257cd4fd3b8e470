//! Follows the journal: finds the attachments of stored items and makes jobs of them.
//!
//! It reads on its own and at its own pace, so the pipeline neither waits for it nor can lose a job for it. An item that
//! can't be normalised now (quarantine) is looked at again later: a correction may make it readable.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    Shared, now_ms,
    queue::{JobId, NewJob},
};
use crate::{
    deadlines,
    intake::normalize,
    journal::{JournalError, JournalSettings, Record, store::Store},
};

/// Items looked through in one commit.
const READ: usize = 256;
/// Pause when there is nothing new.
const PAUSE: Duration = Duration::from_millis(500);
/// Pause after trouble.
const PAUSE_AFTER_TROUBLE: Duration = Duration::from_secs(10);
/// Looks between two looks at what was not readable.
const LOOKS_PER_REPEAT: u32 = 120;

/// Why a look failed.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the queue of attachments: {0}")]
    Queue(#[from] rusqlite::Error),
}

/// Runs until `closing`.
pub(super) async fn run(shared: Arc<Shared>, journal: JournalSettings, closing: CancellationToken) {
    let mut looks = 0;
    loop {
        let (worker, settings) = (Arc::clone(&shared), journal.clone());
        let repeat = looks % LOOKS_PER_REPEAT == 0;
        looks = looks.wrapping_add(1);
        let looked = tokio::task::spawn_blocking(move || look(&worker, &settings, repeat)).await;
        let pause = match looked {
            Ok(Ok(found)) => {
                if found.jobs > 0 {
                    shared.wake.notify_one();
                }
                if found.items >= READ { Duration::ZERO } else { PAUSE }
            }
            Ok(Err(error)) => {
                warn!(%error, "looking for attachments failed; it goes on later");
                PAUSE_AFTER_TROUBLE
            }
            Err(error) => {
                warn!(%error, "looking for attachments panicked; it goes on later");
                PAUSE_AFTER_TROUBLE
            }
        };
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What a look found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    items: usize,
    jobs: usize,
}

fn look(shared: &Shared, journal: &JournalSettings, repeat: bool) -> Result<Found, Trouble> {
    let store = Store::open(&journal.dir)?;
    let newest = store.newest_seq()?;
    let place = match shared.queue.place()? {
        // Switched on now: what waits for publication will carry references, what is older does not.
        None => {
            let place = store.oldest_pending_seq()?.map_or(newest, |seq| seq - 1);
            shared.queue.add(&[], &[], place, now_ms())?;
            place
        }
        // Another journal was put in place.
        Some(place) if place > newest => 0,
        Some(place) => place,
    };
    let mut found = Found::default();
    if repeat {
        for seq in shared.queue.unreadable()? {
            let jobs = match store.raw(seq)? {
                None => Vec::new(),
                Some(record) => match jobs_of(shared, &record) {
                    Some(jobs) => jobs,
                    None => continue,
                },
            };
            found.jobs += jobs.len();
            shared.queue.settle_unreadable(seq, &jobs, now_ms())?;
        }
    }
    let records = store.raw_after(place, READ)?;
    let Some(last) = records.last() else { return Ok(found) };
    let (mut jobs, mut unreadable) = (Vec::new(), Vec::new());
    for record in &records {
        match jobs_of(shared, record) {
            Some(found) => jobs.extend(found),
            None => unreadable.push(record.seq),
        }
    }
    shared.queue.add(&jobs, &unreadable, last.seq, now_ms())?;
    found.items += records.len();
    found.jobs += jobs.len();
    Ok(found)
}

/// The jobs of an item; `None` when it can't be normalised.
fn jobs_of(shared: &Shared, record: &Record) -> Option<Vec<NewJob>> {
    if deadlines::is_own(&record.raw) {
        // A reminder has no files.
        return Some(Vec::new());
    }
    let messages = normalize(&shared.connectors, &record.raw).ok()?;
    let mut jobs = Vec::new();
    for message in &messages {
        for (number, attachment) in shared.policy.wanted(message) {
            jobs.push(NewJob {
                id: JobId {
                    event: message.id,
                    number: u32::try_from(number).unwrap_or(u32::MAX),
                },
                connector: record.raw.connector.to_string(),
                attachment: attachment.clone(),
            });
        }
    }
    Some(jobs)
}
