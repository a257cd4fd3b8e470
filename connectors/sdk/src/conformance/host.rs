//! A host small enough to be killed anywhere: a journal that survives, and the moments at which everything else dies.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    panic::AssertUnwindSafe,
    pin::pin,
    task::Poll,
};

use data_encoding::HEXLOWER;
use fastrand::Rng;
use futures::FutureExt;

use super::{panic_message, without_panic};
use crate::contract::{Connector, ConnectorId, Cursor, Item, Page, RawItem, Wait};

/// What survives a death: items under their keys, and the cursor, stored in one step.
#[derive(Default)]
pub(super) struct Ledger {
    pub cursor: Cursor,
    /// By object: its newest fingerprint.
    newest: HashMap<String, [u8; 16]>,
    /// By object and revision.
    items: BTreeMap<(String, String), Item>,
}

impl Ledger {
    /// Stores what is new, and the cursor when there is one.
    pub fn commit(&mut self, items: &[Item], cursor: Option<&Cursor>) -> Result<(), String> {
        for item in items {
            if item.revision.is_none()
                && item.fingerprint.is_some()
                && self.newest.get(&item.external_id) == item.fingerprint.as_ref()
            {
                continue;
            }
            let key = (item.external_id.clone(), revision(item));
            if let Some(other) = self.items.get(&key)
                && other.body != item.body
                && item.revision.is_some()
                && item.fingerprint != other.fingerprint
            {
                let format = item.format;
                return Err(format!("two different items of the format {format:?} have one key"));
            }
            if let Some(print) = item.fingerprint {
                self.newest.insert(item.external_id.clone(), print);
            }
            self.items.entry(key).or_insert_with(|| item.clone());
        }
        if let Some(cursor) = cursor {
            self.cursor.clone_from(cursor);
        }
        Ok(())
    }

    /// How many items are stored.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// The same items under the same keys, and the same messages out of them, each once.
    pub fn same_as(&self, steady: &Self, connector: &dyn Connector, id: &ConnectorId) -> Result<(), String> {
        let lost = steady.items.keys().filter(|key| !self.items.contains_key(*key)).count();
        let added = self.items.keys().filter(|key| !steady.items.contains_key(*key)).count();
        if lost + added > 0 {
            return Err(format!("{lost} items lost, {added} doubled or made up"));
        }
        if self.messages(connector, id)? != steady.messages(connector, id)? {
            return Err("the items give other messages than without the crash".into());
        }
        Ok(())
    }

    /// Ids of the messages of all items; an id that comes twice is an error.
    fn messages(&self, connector: &dyn Connector, id: &ConnectorId) -> Result<BTreeSet<uuid::Uuid>, String> {
        let mut ids = BTreeSet::new();
        for ((external_id, revision), item) in self.items.iter().filter(|(_, item)| item.problem.is_none()) {
            let raw = RawItem {
                connector: id.clone(),
                external_id: external_id.clone(),
                revision: revision.clone(),
                ordinal: 0,
                format: item.format.to_owned(),
                body: item.body.clone(),
                received_at: jiff::Timestamp::constant(1_780_000_000, 0),
            };
            // What can't be understood is quarantined, and that is another check's business.
            let Ok(messages) = without_panic(|| connector.normalize(&raw))? else {
                continue;
            };
            for message in messages {
                if !ids.insert(message.id) {
                    return Err("two stored items give one message".into());
                }
            }
        }
        Ok(ids)
    }
}

/// The name the journal gives a version.
fn revision(item: &Item) -> String {
    match (&item.revision, item.fingerprint) {
        (Some(revision), _) => revision.clone(),
        (None, None) => "c0".into(),
        (None, Some(print)) => format!("c{}", HEXLOWER.encode(&print[..8])),
    }
}

/// Tells when a source has been read to its end. Most give an empty page then; a list that is given whole each time never
/// does, so a walk through it (from one pause to the next) counts when it brought nothing new and ended where it began.
pub(super) struct Quiet {
    began: Cursor,
    news: bool,
}

/// What a page means for the end of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Something new, or a walk that led on.
    News,
    /// In the middle of a walk that brought nothing new so far.
    Undecided,
    /// Nothing more, as far as this page or this walk tells.
    Silence,
}

impl Quiet {
    /// A walk that begins at a cursor.
    pub fn from(cursor: &Cursor) -> Self {
        Self {
            began: cursor.clone(),
            news: false,
        }
    }

    /// Takes in a page that was asked for at `cursor` and is stored now; `stored`: it held something new.
    pub fn after(&mut self, page: &Page, cursor: &Cursor, stored: bool) -> Heard {
        self.news |= stored;
        if page.items.is_empty() && page.next == *cursor {
            return Heard::Silence;
        }
        if page.wait == Wait::Now {
            return if self.news { Heard::News } else { Heard::Undecided };
        }
        let heard = if self.news || page.next != self.began {
            Heard::News
        } else {
            Heard::Silence
        };
        *self = Self::from(&page.next);
        heard
    }
}

/// When the process dies.
pub(super) enum Plan {
    Never,
    /// At the n-th place passed.
    Once(usize),
    /// At a third of all places.
    Often(Rng),
}

/// Decides at every place on the way whether the process dies here.
pub(super) struct Fate {
    plan: Plan,
    passed: usize,
    /// How often it died, by place.
    pub deaths: BTreeMap<&'static str, usize>,
}

impl Fate {
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            passed: 0,
            deaths: BTreeMap::new(),
        }
    }

    /// Places passed so far.
    pub fn passed(&self) -> usize {
        self.passed
    }

    pub fn strikes(&mut self, place: &'static str) -> bool {
        let number = self.passed;
        self.passed += 1;
        let strikes = match &mut self.plan {
            Plan::Never => false,
            Plan::Once(at) => *at == number,
            Plan::Often(random) => random.u8(..3) == 0,
        };
        if strikes {
            *self.deaths.entry(place).or_default() += 1;
        }
        strikes
    }
}

/// Deaths of many runs, for the report.
#[derive(Default)]
pub(super) struct Toll(BTreeMap<&'static str, usize>);

impl Toll {
    pub fn add(&mut self, fate: &Fate) {
        for (place, deaths) in &fate.deaths {
            *self.0.entry(place).or_default() += deaths;
        }
    }

    /// `17 times: 5 before the commit, …`.
    pub fn describe(&self) -> String {
        let all: usize = self.0.values().sum();
        let places: Vec<String> = self
            .0
            .iter()
            .map(|(place, deaths)| format!("{deaths} {place}"))
            .collect();
        format!("died {all} times: {}", places.join(", "))
    }
}

/// Lets a future run up to its n-th wait and drops it there, as a process that dies does.
pub(super) async fn cut_off(future: impl Future, waits: usize) -> Result<(), String> {
    let mut future = pin!(AssertUnwindSafe(future).catch_unwind());
    let mut waited = 0;
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
        Poll::Ready(Err(panic)) => Poll::Ready(Err(format!("panicked: {}", panic_message(panic.as_ref())))),
        Poll::Pending if waited >= waits => Poll::Ready(Ok(())),
        Poll::Pending => {
            waited += 1;
            Poll::Pending
        }
    })
    .await
}
