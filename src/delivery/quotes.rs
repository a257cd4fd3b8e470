//! What is answered, for those who answer: most platforms send a comment without the words it is about.
//!
//! The words are in the journal when the answered message or post came to us, published or not: the body's own posts are
//! stored too. A message gets them as `body.quote`, and what sort of author wrote them. What the platform quotes itself stays.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use priem_sdk::{EventType, Message, contract::ConnectorId, message::Kind};
use tracing::warn;

use super::{parcel::Batch, processor::Processor};
use crate::journal::{Journal, Newest, Record};

/// Quotes remembered, at most; then all are forgotten and asked for again.
const MOST: usize = 4_096;
/// Longest quote, in characters.
const LONGEST: usize = 2_000;
/// What was not stored is asked for again after this.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// In `extra`: what sort of author wrote what is answered.
const AUTHOR: &str = "answered_author";

/// A connector and an external id.
type Name = (ConnectorId, String);

/// What is answered.
#[derive(Debug, Clone)]
struct Answered {
    words: String,
    author: &'static str,
}

/// What is known of answered messages; without words those of which nothing is stored, with the moment it was found out.
#[derive(Default)]
pub(super) struct Quotes(Mutex<HashMap<Name, Result<Answered, Instant>>>);

impl Quotes {
    /// Adds quotes to the messages of a batch.
    pub(super) async fn add(&self, journal: &Journal, processor: &Processor, batch: &mut Batch) {
        let names = |batch: &Batch| -> HashSet<Name> {
            let open = batch.parcels.iter().filter(|parcel| parcel.end.is_none());
            let letters = open.flat_map(|parcel| parcel.letters.iter().map(move |letter| (parcel, letter)));
            letters
                .filter_map(|(parcel, letter)| name(&parcel.record, &letter.message))
                .collect()
        };
        let wanted = names(batch);
        if wanted.is_empty() {
            return;
        }
        let unknown: Vec<Name> = {
            let known = self.0.lock();
            let is_unknown = |name: &Name| match known.get(name) {
                None => true,
                Some(Err(since)) => since.elapsed() > ASK_AGAIN_AFTER,
                Some(Ok(_)) => false,
            };
            wanted.into_iter().filter(is_unknown).collect()
        };
        if !unknown.is_empty() {
            match journal.look(Newest(unknown.clone())).await {
                Ok(found) => self.learn(processor, unknown, found),
                Err(error) => warn!(%error, "what messages answer can't be looked up; they go on without quotes"),
            }
        }
        let known = self.0.lock();
        for parcel in &mut batch.parcels {
            for letter in &mut parcel.letters {
                let message = &mut letter.message;
                if let Some(name) = name(&parcel.record, message)
                    && let Some(Ok(answered)) = known.get(&name)
                {
                    message.data.body.quote = Some(answered.words.clone());
                    message
                        .data
                        .extra
                        .entry(AUTHOR)
                        .or_insert_with(|| answered.author.into());
                }
            }
        }
    }

    fn learn(&self, processor: &Processor, names: Vec<Name>, found: Vec<Option<Record>>) {
        let mut known = self.0.lock();
        if known.len() >= MOST {
            known.clear();
        }
        for (name, record) in names.into_iter().zip(found) {
            let said = record.and_then(|record| said(processor, &record, &name));
            known.insert(name, said.ok_or_else(Instant::now));
        }
    }
}

/// What a message answers, when it is not told what that says.
fn name(record: &Record, message: &Message) -> Option<Name> {
    let data = &message.data;
    let is_said = matches!(message.event, EventType::Received | EventType::Updated);
    if !is_said || data.body.quote.is_some() || !matches!(data.kind, Kind::Direct | Kind::Comment) {
        return None;
    }
    Some((record.raw.connector.clone(), data.external.parent.clone()?))
}

fn said(processor: &Processor, record: &Record, name: &Name) -> Option<Answered> {
    let message = processor.connectors.get(&name.0)?.answered(&record.raw)?;
    let words = message.data.body.text.trim();
    if words.is_empty() || message.data.external.id != name.1 {
        return None;
    }
    let cut = words.char_indices().nth(LONGEST);
    Some(Answered {
        words: match cut {
            Some((end, _)) => format!("{}…", &words[..end]),
            None => words.to_owned(),
        },
        author: message.data.author.kind.as_str(),
    })
}
