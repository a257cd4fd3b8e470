//! Stage: what goes where something before it went, and in which thread it stands.
//!
//! - A removal goes to whom the last version of its object went; nobody is told of the removal of what nobody heard of.
//! - A first version that comes after its edit, and an edit whose words name no recipient, go there too. An edit whose words
//!   name another one goes to that one, and who had the message gets a copy.
//! - So does an edit that is older than a version stored before it, marked as what it is, and what was removed and is there
//!   again: with the deadlines of its first version.
//! - A part of a matter without words of its own goes where the words of the matter go (`matter`). When the words come
//!   later than it, it is sent after them, under the same id, and whoever has it gets a copy of the words.
//!
//! What is settled is found in the journal. What is on its way still is decided as it was: by the same rules, unless they
//! change in between. Asks the journal only for such events.

use std::collections::{HashMap, HashSet};

use priem_sdk::{
    EventType, Message,
    message::{Flags, Moment},
};
use tracing::warn;

use super::{
    super::{
        follower::Follower,
        lonely::Place,
        matter::{self, Beside},
        parcel::{Batch, Followed, Follows, Letter, Parcel, Why},
        processor::Processor,
    },
    normalise,
};
use crate::journal::{Known, Lately, Object, Objects, Record, Version};

/// Items looked at before and after those of a batch.
const BEFORE: i64 = 2_048;
const AFTER: i64 = 512;
/// How long before, in microseconds.
const SINCE: i64 = 3_600_000_000;

/// A letter of a batch: number of its parcel, and of itself there.
type At = (usize, usize);

/// Says of each letter what it follows.
pub(super) async fn run(processor: &Processor, batch: &mut Batch) {
    let Some(follower) = &processor.follower else { return };
    follower.threads.name(&follower.journal, processor, batch).await;
    follower.quotes.add(&follower.journal, processor, batch).await;
    let mut asked: Vec<(At, Why, Object)> = Vec::new();
    let (mut parts, mut words): (Vec<At>, Vec<At>) = (Vec::new(), Vec::new());
    for (at, record, letter) in letters(batch) {
        let message = &letter.message;
        if let Some(why) = own_object(message) {
            asked.push((at, why, object(record, message, record.seq)));
        } else if matter::may_be_part(message) {
            parts.push(at);
        } else if matter::may_have_parts(message)
            && (message.data.external.group.is_some() || follower.lonely.lock().knows(&place(record, message)))
        {
            words.push(at);
        }
    }
    if asked.is_empty() && parts.is_empty() && words.is_empty() {
        return;
    }
    let beside = lately(processor, follower, batch, parts.iter().chain(&words)).await;
    let none = Vec::new();
    let of = |at: &At| {
        let (record, message) = (&batch.parcels[at.0].record, &batch.parcels[at.0].letters[at.1].message);
        let beside = beside.get(&place(record, message)).unwrap_or(&none);
        (record.seq, message, beside)
    };
    let mut wordless = Vec::new();
    for at in parts {
        let (seq, message, beside) = of(&at);
        let root = matter::root(message, seq, beside);
        if matter::lacks_own_words(message, root) {
            wordless.push(at);
        }
        if let Some(root) = root {
            asked.push((at, Why::Part, object(&root.record, &root.message, i64::MAX)));
        }
    }
    let here: HashSet<i64> = batch.parcels.iter().map(|parcel| parcel.record.seq).collect();
    for at in words {
        let (seq, message, beside) = of(&at);
        let waited = matter::waited_for(message, seq, beside).into_iter();
        // Those of this batch see the words, and go with them.
        let waited = waited.filter(|part| !here.contains(&part.record.seq));
        asked.extend(waited.map(|part| (at, Why::WordsCame, object(&part.record, &part.message, i64::MAX))));
    }
    for (parcel, letter) in wordless {
        batch.parcels[parcel].letters[letter].lacks_words = true;
    }
    answer(processor, follower, batch, &beside, asked).await;
}

/// Why a message follows its own object, if it does.
fn own_object(message: &Message) -> Option<Why> {
    let is_late = || message.data.flags.other.iter().any(|flag| flag == Flags::OUT_OF_ORDER);
    match message.event {
        EventType::Deleted => Some(Why::Deleted),
        EventType::Received if is_late() => Some(Why::Overtaken),
        // Only where people talk: a new version of a row of a register is decided by what stands in it.
        EventType::Updated if matter::is_said(message) => Some(Why::Edited),
        _ => None,
    }
}

/// Asks the journal where everything went, and writes it into the letters.
async fn answer(
    processor: &Processor,
    follower: &Follower,
    batch: &mut Batch,
    beside: &HashMap<Place, Vec<Beside>>,
    asked: Vec<(At, Why, Object)>,
) {
    let objects = asked.iter().map(|(_, _, object)| object.clone()).collect();
    let known = match follower.journal.look(Objects(objects)).await {
        Ok(known) => known,
        Err(error) => {
            warn!(%error, "what messages follow can't be looked up; the rules decide");
            let forgotten = || Known {
                seen: true,
                ..Known::default()
            };
            asked.iter().map(|_| forgotten()).collect()
        }
    };
    for (((parcel, letter), mut why, object), known) in asked.into_iter().zip(known) {
        if why == Why::WordsCame {
            words_came(follower, batch, beside, (parcel, letter), &object, known);
            continue;
        }
        let raw = &batch.parcels[parcel].record.raw;
        let came_before = match raw.external_id == object.external_id {
            true => raw.ordinal > 0,
            false => known.seen,
        };
        let what = followed(processor, batch, &object, known.versions).unwrap_or(match why {
            Why::Deleted if known.traced || !came_before => Followed::Nothing,
            _ => Followed::Forgotten,
        });
        let letter = &mut batch.parcels[parcel].letters[letter];
        if why == Why::Edited {
            why = compare(
                &mut letter.message,
                &mut letter.restored,
                told(processor, &object, &known.earlier),
            );
        }
        if why == Why::Edited && matter::has_words(&letter.message) {
            letter.before = Some(what);
            continue;
        }
        let nobody_knows = matches!(what, Followed::Forgotten);
        if !nobody_knows || !matches!(why, Why::Edited | Why::Part) {
            letter.follows = Some(Follows { why, what });
        }
    }
}

/// What an edit is beside the versions before it, the newest first: older than one of them, of something that was removed
/// and is there again, or an edit.
fn compare(own: &mut Message, restored: &mut Option<Message>, before: Vec<Message>) -> Why {
    let at = |message: &Message| message.data.times.occurred.as_ref().and_then(Moment::instant);
    if at(own).is_some() && at(own) < before.iter().filter_map(at).max() {
        own.data.flags.set(Flags::OUT_OF_ORDER);
        return Why::Overtaken;
    }
    let was_removed = |last: &Message| last.event == EventType::Deleted;
    if !before.first().is_some_and(was_removed) {
        return Why::Edited;
    }
    let first = before.into_iter().rfind(|message| !was_removed(message));
    *restored = first.or_else(|| Some(own.clone()));
    Why::Restored
}

/// What stored versions of an object say.
fn told(processor: &Processor, object: &Object, records: &[Record]) -> Vec<Message> {
    let messages = records.iter().filter_map(|record| {
        let messages = normalise::messages(&processor.connectors, record).ok()?;
        let mut messages = messages.into_iter();
        messages.find(|message| message.data.external.id == object.external_id)
    });
    messages.collect()
}

/// The newest version that went or goes somewhere.
fn followed(processor: &Processor, batch: &Batch, object: &Object, versions: Vec<Version>) -> Option<Followed> {
    versions.into_iter().find_map(|version| match version {
        Version::Decided(routings) => {
            let routings = routings.into_iter().map(serde_json::from_value);
            let mut routings: Vec<_> = routings.collect::<Result<_, _>>().ok()?;
            routings.sort_by_key(|routing: &priem_sdk::message::Routing| routing.copy);
            Some(Followed::Routes(routings))
        }
        Version::Waiting(record) => {
            let message = here(batch, object, record.seq).cloned();
            let message = message.or_else(|| said(processor, &record, object))?;
            Some(Followed::Like(Box::new(message)))
        }
    })
}

/// The message about an object in an item of the batch: linked, and with its author's name.
fn here<'a>(batch: &'a Batch, object: &Object, seq: i64) -> Option<&'a Message> {
    let parcel = batch.parcels.iter().find(|parcel| parcel.record.seq == seq)?;
    let mut messages = parcel.letters.iter().map(|letter| &letter.message);
    messages.find(|message| message.data.external.id == object.external_id)
}

fn said(processor: &Processor, record: &Record, object: &Object) -> Option<Message> {
    let messages = normalise::messages(&processor.connectors, record).ok()?;
    let mut messages = messages.into_iter();
    messages.find(|message| message.data.external.id == object.external_id && message.event != EventType::Deleted)
}

/// Sends a part after its words, when it has gone without them.
fn words_came(
    follower: &Follower,
    batch: &mut Batch,
    beside: &HashMap<Place, Vec<Beside>>,
    (parcel, letter): At,
    object: &Object,
    known: Known,
) {
    let parcel: &mut Parcel = &mut batch.parcels[parcel];
    let words = &parcel.letters[letter].message;
    let place = place(&parcel.record, words);
    let part = beside.get(&place).into_iter().flatten();
    let mut part = part.filter(|part| part.message.data.external.id == object.external_id);
    let Some(part) = part.next() else { return };
    let went: Vec<priem_sdk::message::Routing> = match known.versions.into_iter().next() {
        Some(Version::Decided(routings)) => {
            let routings = routings.into_iter().map(serde_json::from_value);
            routings.filter_map(Result::ok).collect()
        }
        Some(Version::Waiting(_)) => {
            let lonely = follower.lonely.lock();
            lonely.went(&place, part.record.seq).cloned().into_iter().collect()
        }
        None => Vec::new(),
    };
    let Some(main) = went.iter().find(|routing| !routing.copy) else {
        return;
    };
    let mut message = part.message.clone();
    if message.data.author.external_id == words.data.author.external_id {
        message.data.author = words.data.author.clone();
    }
    let mut again = Letter::new(message);
    again.follows = Some(Follows {
        why: Why::WordsCame,
        what: Followed::First(went.iter().map(|routing| routing.queue.clone()).collect()),
    });
    if parcel.tell.iter().all(|told| told.queue != main.queue) {
        parcel.tell.push(main.clone());
    }
    parcel.letters.push(again);
}

/// What came lately in the conversations of some letters, the oldest first.
async fn lately(
    processor: &Processor,
    follower: &Follower,
    batch: &Batch,
    letters: impl Iterator<Item = &At>,
) -> HashMap<Place, Vec<Beside>> {
    let (mut conversations, mut since) = (HashSet::new(), i64::MAX);
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    for at in letters {
        let record = &batch.parcels[at.0].record;
        conversations.extend(stored_place(record));
        since = since.min(record.raw.received_at.as_microsecond().saturating_sub(SINCE));
        (first, last) = (first.min(record.seq), last.max(record.seq));
    }
    let mut beside: HashMap<Place, Vec<Beside>> = HashMap::new();
    if conversations.is_empty() {
        return beside;
    }
    let lately = Lately {
        conversations,
        from: last + AFTER,
        items: last - first + BEFORE + AFTER,
        since,
    };
    let records = match follower.journal.look(lately).await {
        Ok(records) => records,
        Err(error) => {
            warn!(%error, "what came in a row can't be looked up; each message goes by itself");
            return beside;
        }
    };
    for record in records {
        let messages = normalise::messages(&processor.connectors, &record).unwrap_or_default();
        let mut messages = messages.into_iter();
        // An item may tell of other objects than itself.
        let own = messages.find(|message| {
            message.data.external.id == record.raw.external_id
                && matches!(message.event, EventType::Received | EventType::Updated)
        });
        if let Some(message) = own {
            let place = place(&record, &message);
            beside.entry(place).or_default().push(Beside { record, message });
        }
    }
    beside
}

fn letters(batch: &Batch) -> impl Iterator<Item = (At, &Record, &Letter)> {
    let open = batch
        .parcels
        .iter()
        .enumerate()
        .filter(|(_, parcel)| parcel.end.is_none());
    open.flat_map(|(number, parcel)| {
        let letters = parcel.letters.iter().enumerate();
        letters.map(move |(own, letter)| ((number, own), &*parcel.record, letter))
    })
}

fn object(record: &Record, message: &Message, before: i64) -> Object {
    Object {
        connector: record.raw.connector.clone(),
        channel: message.data.channel.clone(),
        external_id: message.data.external.id.clone(),
        before,
    }
}

/// The conversation of a message.
pub(super) fn place(record: &Record, message: &Message) -> Place {
    let conversation = message.data.external.conversation.clone().unwrap_or_default();
    (record.raw.connector.clone(), conversation)
}

/// The same as the journal knows it.
fn stored_place(record: &Record) -> Option<Place> {
    Some((record.raw.connector.clone(), record.conversation.clone()?))
}
