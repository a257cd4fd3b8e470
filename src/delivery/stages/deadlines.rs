//! Stage: what a message says of the clocks of its object. Noted before the message leaves.

use jiff::Timestamp;

use super::super::{
    parcel::{Follows, Parcel, Why},
    processor::Processor,
};

/// Looks at every message that is not a reminder itself, and does not say what is known to be older.
pub(super) fn run(processor: &Processor, parcel: &mut Parcel, now: Timestamp) {
    let record = &parcel.record;
    for letter in &parcel.letters {
        let message = &letter.message;
        let says_older = |follows: &Follows| matches!(follows.why, Why::Overtaken | Why::WordsCame);
        if message.event.is_reminder() || letter.follows.as_ref().is_some_and(says_older) {
            continue;
        }
        if let Some(main) = letter.routes.first() {
            let watched = processor.deadlines.look(record, message, main, now);
            parcel.publication.watched.extend(watched);
        }
    }
}
