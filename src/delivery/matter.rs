//! Which messages are one matter to people: an album, or what one person sends in a row. Pure.
//!
//! - Messages of one album (`external.group`) belong together however long lies between them.
//! - Words and what has none (photos, a voice message, a place) belong together when one author sends them in one thread
//!   within two minutes: VK and MAX give the parts of an album one by one.
//! - The words of an album are those in it. Until they come, its parts go with words before them as any photo does.
//! - What has words of its own is decided by them, always. What has none goes where the words of its matter go; when
//!   there are none, where its first part went.

use priem_sdk::{
    EventType, Message,
    message::{Kind, Moment},
};

use crate::journal::Record;

/// Longest time between two messages in a row.
const ROW_SECONDS: i64 = 120;

/// A message that came lately in the same conversation.
#[derive(Debug, Clone)]
pub(super) struct Beside {
    /// The item it is of.
    pub record: Record,
    /// What it says.
    pub message: Message,
}

/// Whether it says something in words.
pub(super) fn has_words(message: &Message) -> bool {
    !message.data.body.text.trim().is_empty()
}

/// Whether it may be a part of a matter that begins elsewhere: no words, but something to see.
pub(super) fn may_be_part(message: &Message) -> bool {
    is_said(message) && message.event == EventType::Received && !has_words(message) && is_something(message)
}

/// Whether the words of parts that came before may be in it.
pub(super) fn may_have_parts(message: &Message) -> bool {
    is_said(message) && message.event == EventType::Received && has_words(message)
}

/// Whether it is something said in a conversation.
pub(super) fn is_said(message: &Message) -> bool {
    let data = &message.data;
    matches!(data.kind, Kind::Direct | Kind::Comment | Kind::Post) && data.external.conversation.is_some()
}

fn is_something(message: &Message) -> bool {
    !message.data.attachments.is_empty() || !message.data.place.is_empty()
}

fn is_one_album(one: &Message, other: &Message) -> bool {
    let (one, other) = (&one.data.external, &other.data.external);
    one.group.is_some() && one.group == other.group && one.conversation == other.conversation
}

fn is_one_row(one: &Message, other: &Message) -> bool {
    let (left, right) = (&one.data, &other.data);
    if left.kind == Kind::Post || left.kind != right.kind || left.author.external_id.is_none() {
        return false;
    }
    let moment = |message: &Message| {
        let at = message.data.times.occurred.as_ref().and_then(Moment::instant);
        at.unwrap_or(message.data.times.received).as_second()
    };
    left.author.external_id == right.author.external_id
        && left.external.conversation == right.external.conversation
        && left.external.thread == right.external.thread
        && (moment(one) - moment(other)).abs() <= ROW_SECONDS
}

/// What a message without words goes with, of what came beside it: its words, else its first part.
pub(super) fn root<'a>(message: &Message, seq: i64, beside: &'a [Beside]) -> Option<&'a Beside> {
    let mut found = next(message, seq, beside)?;
    // A part in the middle of a row is further from the words than two minutes.
    while !has_words(&found.message)
        && let Some(before) = next(&found.message, found.record.seq, beside)
    {
        found = before;
    }
    Some(found)
}

/// One step to the words: each goes to words, or to a part stored before.
fn next<'a>(message: &Message, seq: i64, beside: &'a [Beside]) -> Option<&'a Beside> {
    let others = || {
        let is_other = |other: &&Beside| other.message.data.external.id != message.data.external.id;
        beside.iter().filter(is_other)
    };
    let album = |other: &&Beside| is_one_album(message, &other.message);
    let row = |other: &&Beside| is_one_row(message, &other.message);
    let words = |other: &&Beside| has_words(&other.message);
    let before = |other: &&Beside| other.record.seq < seq;
    (others().filter(album).find(words))
        .or_else(|| others().filter(row).filter(words).rfind(before))
        .or_else(|| others().filter(row).find(words))
        .or_else(|| others().filter(album).find(before))
        .or_else(|| others().filter(row).find(before))
}

/// The parts without words, stored before a message with words, that had nothing to go with until it came.
pub(super) fn waited_for<'a>(message: &Message, seq: i64, beside: &'a [Beside]) -> Vec<&'a Beside> {
    let earlier: Vec<Beside> = beside.iter().filter(|other| other.record.seq < seq).cloned().collect();
    let is_part = |other: &&Beside| {
        let part = &other.message;
        let root = || root(part, other.record.seq, &earlier);
        let waits = match is_one_album(message, part) {
            true => lacks_own_words(part, root()),
            false => is_one_row(message, part) && root().is_none_or(|root| !has_words(&root.message)),
        };
        other.record.seq < seq && may_be_part(part) && waits
    };
    beside.iter().filter(is_part).collect()
}

/// Whether the words a part belongs to may come yet. Those of an album are in the album: others it follows for want of them.
pub(super) fn lacks_own_words(part: &Message, root: Option<&Beside>) -> bool {
    let is_own = |root: &Beside| part.data.external.group.is_none() || is_one_album(part, &root.message);
    !root.is_some_and(|root| has_words(&root.message) && is_own(root))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use priem_sdk::{
        MessageData, RawItem,
        contract::ConnectorId,
        message::{Attachment, AttachmentKind, Regime},
    };

    use super::*;

    /// Number, second, words (none: a photo), album.
    fn beside(seq: i64, second: i64, words: &str, album: Option<&str>) -> Beside {
        let mut data = MessageData::new("net", Kind::Direct, Regime::OpenSourceMessage);
        data.author.external_id = Some("7".into());
        data.external.conversation = Some("c".into());
        data.external.group = album.map(Into::into);
        data.body.text = words.into();
        data.times.occurred = Timestamp::from_second(second).ok().map(Moment::from_instant);
        if words.is_empty() {
            data.attachments.push(Attachment::new(AttachmentKind::Photo));
        }
        let raw = RawItem {
            connector: ConnectorId::new("net"),
            external_id: seq.to_string(),
            revision: "0".into(),
            ordinal: 0,
            format: "x".into(),
            body: bytes::Bytes::new(),
            received_at: Timestamp::UNIX_EPOCH,
        };
        let message = raw.message(EventType::Received, data);
        let record = Record {
            position: seq,
            seq,
            stream: "s".into(),
            conversation: None,
            raw,
        };
        Beside { record, message }
    }

    fn root_of(all: &[Beside], seq: i64) -> Option<i64> {
        let of = all.iter().find(|one| one.record.seq == seq).expect("it is there");
        root(&of.message, seq, all).map(|root| root.record.seq)
    }

    #[test]
    fn an_album_has_one_root_whatever_the_order() {
        let words_last = [
            beside(1, 0, "", Some("g")),
            beside(2, 900, "", Some("g")),
            beside(3, 901, "яма", Some("g")),
        ];
        assert_eq!([root_of(&words_last, 1), root_of(&words_last, 2)], [Some(3), Some(3)]);
        let wordless = [beside(1, 0, "", Some("g")), beside(2, 0, "", Some("g"))];
        assert_eq!([root_of(&wordless, 1), root_of(&wordless, 2)], [None, Some(1)]);
    }

    #[test]
    fn an_album_waits_for_its_own_words_whatever_was_said_before() {
        let all = [
            beside(1, 0, "свет", None),
            beside(2, 10, "", Some("g")),
            beside(3, 10, "", None),
            beside(4, 11, "", Some("g")),
            beside(5, 12, "яма", Some("g")),
            beside(6, 13, "", Some("g")),
        ];
        assert_eq!([2, 3, 6].map(|seq| root_of(&all, seq)), [Some(5), Some(1), Some(5)]);
        assert_eq!(root_of(&all[..4], 4), Some(1), "its words may never come");
        let waited = waited_for(&all[4].message, 5, &all);
        assert_eq!(waited.iter().map(|part| part.record.seq).collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn a_row_goes_back_to_the_words_and_ends_after_two_minutes() {
        let row = [
            beside(1, 0, "яма", None),
            beside(2, 100, "", None),
            beside(3, 200, "", None),
            beside(4, 500, "", None),
        ];
        assert_eq!(
            [root_of(&row, 2), root_of(&row, 3), root_of(&row, 4)],
            [Some(1), Some(1), None]
        );
        let two = [
            beside(1, 0, "яма", None),
            beside(2, 20, "свет", None),
            beside(3, 40, "", None),
        ];
        assert_eq!(root_of(&two, 3), Some(2), "the nearest words before it");
        let mut stranger = beside(2, 10, "", None);
        stranger.message.data.author.external_id = Some("8".into());
        assert_eq!(root_of(&[beside(1, 0, "яма", None), stranger], 2), None);
    }

    #[test]
    fn late_words_are_waited_for_only_by_what_had_none() {
        let all = [
            beside(1, 0, "", None),
            beside(2, 10, "", None),
            beside(3, 30, "яма", None),
        ];
        let seqs = |all: &[Beside], of: usize| -> Vec<i64> {
            let found = waited_for(&all[of].message, all[of].record.seq, all);
            found.iter().map(|part| part.record.seq).collect()
        };
        assert_eq!(seqs(&all, 2), [1, 2]);
        let housed = [
            beside(1, 0, "свет", None),
            beside(2, 10, "", None),
            beside(3, 30, "яма", None),
        ];
        assert!(seqs(&housed, 2).is_empty(), "the photo went with the first words");
    }
}
