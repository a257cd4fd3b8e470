//! What the stages work on: an item on its way, and what comes out of it.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use priem_sdk::{Message, message::Routing};

use crate::{
    deadlines::Watched,
    journal::{DecisionRecord, End, Record},
    publish::Outgoing,
};

/// Items that go through the stages together.
pub(super) struct Batch {
    pub parcels: Vec<Parcel>,
    /// The moment by which everything in it is decided.
    pub now: Timestamp,
    /// Its items have come back from the look-ups, or go on without.
    pub is_enriched: bool,
}

impl Batch {
    /// Items as they were read from the journal.
    pub fn new(records: Vec<Arc<Record>>) -> Self {
        Self {
            parcels: records.into_iter().map(Parcel::new).collect(),
            now: Timestamp::now(),
            is_enriched: false,
        }
    }

    /// Positions of its items.
    pub fn positions(&self) -> impl Iterator<Item = i64> {
        self.parcels.iter().map(|parcel| parcel.record.position)
    }

    /// Items whose senders were looked up.
    pub fn enriched(parcels: Vec<Parcel>) -> Self {
        Self {
            parcels,
            now: Timestamp::now(),
            is_enriched: true,
        }
    }
}

/// An item on its way.
pub(super) struct Parcel {
    pub record: Arc<Record>,
    /// What it says.
    pub letters: Vec<Letter>,
    /// What goes out, once it is written.
    pub publication: Publication,
    /// Set when nothing goes out: no further stage sees the item.
    pub end: Option<End>,
    /// Where parts of the matter went before these words came: they get a copy.
    pub tell: Vec<Routing>,
}

/// A message and where it goes.
pub(super) struct Letter {
    pub message: Message,
    /// The first is the main one; empty before the rules have spoken.
    pub routes: Vec<Routing>,
    /// Set when it goes where something before it went.
    pub follows: Option<Follows>,
    /// Of an edit with words: where the version before went. They hear of it, wherever the new words lead.
    pub before: Option<Followed>,
    /// It has no words, and its own have not come so far: they may come late.
    pub lacks_words: bool,
    /// Of what was removed and is there again: its first version, whose deadlines count again.
    pub restored: Option<Message>,
}

/// What a message follows, instead of being decided by its own words.
pub(super) struct Follows {
    /// Why.
    pub why: Why,
    /// What.
    pub what: Followed,
}

/// Why a message follows something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Its object was removed at the source.
    Deleted,
    /// A newer version came before it.
    Overtaken,
    /// It was removed and is there again.
    Restored,
    /// An edit whose words, if any are left, name no recipient.
    Edited,
    /// It is a part of a matter whose words, or first part, came in another message.
    Part,
    /// The words of its matter came after it had gone.
    WordsCame,
}

impl Why {
    /// What those are told who have the parts already; the queue follows.
    pub const TOLD: &str = "Слова к вложениям, которые пришли сюда раньше; основной адресат: ";
    /// What those are told who had the version before an edit; the queue follows.
    pub const MOVED: &str = "Правка сообщения, которое пришло сюда раньше; основной адресат теперь: ";

    /// For people.
    pub fn ru(self) -> &'static str {
        match self {
            Self::Deleted => "Сообщение удалено в источнике: адресат тот же, что у последней версии, срока нет.",
            Self::Overtaken => "Старая версия пришла позже новой: адресат тот же, что у новой, своего срока нет.",
            Self::Restored => "Удалённое сообщение восстановлено в источнике: адресат прежний, сроки снова в силе.",
            Self::Edited => "Правка не называет другого адресата: он тот же, что у сообщения, нового срока нет.",
            Self::Part => "Часть одного обращения: адресат тот же, что у его слов, своего срока нет.",
            Self::WordsCame => "Слова к этому вложению пришли позже: оно досылается их адресату, своего срока нет.",
        }
    }
}

/// What is followed.
pub(super) enum Followed {
    /// Nobody ever heard of the object.
    Nothing,
    /// Something was stored once, but where it went is forgotten: the rules decide.
    Forgotten,
    /// What is settled: it went there.
    Routes(Vec<Routing>),
    /// What is on its way: it is decided as this message is.
    Like(Box<Message>),
    /// The first message of the item; it has gone to these queues already.
    First(Vec<String>),
}

impl Letter {
    /// A message that is not routed yet.
    pub fn new(message: Message) -> Self {
        Self {
            message,
            routes: Vec::new(),
            follows: None,
            before: None,
            lacks_words: false,
            restored: None,
        }
    }
}

impl Parcel {
    /// An item nothing is known of.
    pub fn new(record: Arc<Record>) -> Self {
        Self {
            record,
            letters: Vec::new(),
            publication: Publication::default(),
            end: None,
            tell: Vec::new(),
        }
    }

    /// Nothing goes out: it is put aside with a reason.
    pub fn quarantine(&mut self, reason: impl Into<String>, why: impl Into<String>) {
        self.end = Some(End::Quarantined {
            reason: reason.into(),
            why: why.into(),
        });
    }

    /// Nothing goes out: it carries no citizen's words.
    pub fn ignore(&mut self) {
        let nothing = DecisionRecord {
            event_id: uuid::Uuid::nil(),
            event: "none",
            outcome: "ignored",
            channel: self.record.raw.connector.to_string(),
            queue: String::new(),
            routing: Bytes::from_static(b"{}"),
        };
        self.end = Some(End::Delivered {
            decisions: vec![nothing],
            parked: None,
        });
    }

    /// What is to be done after the last stage.
    pub fn done(mut self) -> (Arc<Record>, Processed) {
        if self.end.is_none() && self.publication.messages.is_empty() {
            // Nobody would ever tell us that all of nothing is published.
            self.ignore();
        }
        let processed = match self.end {
            Some(end) => Processed::End(end),
            None => Processed::Publish(self.publication),
        };
        (self.record, processed)
    }
}

/// What is to be done with an item.
pub enum Processed {
    /// Publish its messages.
    Publish(Publication),
    /// Nothing to publish: record this end.
    End(End),
}

/// The messages of one item and what is recorded when all are settled.
#[derive(Default)]
pub struct Publication {
    /// Encoded messages; their `token` is still 0.
    pub messages: Vec<Outgoing>,
    /// What was decided about each, in the same order; outcome `published` until the broker says otherwise.
    pub decisions: Vec<DecisionRecord>,
    /// What it says about the clocks of its objects; noted before the messages go out.
    pub watched: Vec<Watched>,
    /// When it happened at the source, for the delay.
    pub occurred: Option<Timestamp>,
}
