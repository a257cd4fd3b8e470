//! Stage: what a message says of the clocks of its object. Noted before the message leaves.

use jiff::Timestamp;

use super::super::{parcel::Parcel, processor::Processor};

/// Looks at every message that is not a reminder itself.
pub(super) fn run(processor: &Processor, parcel: &mut Parcel, now: Timestamp) {
    let record = &parcel.record;
    for letter in &parcel.letters {
        let message = &letter.message;
        if message.event.is_reminder() {
            continue;
        }
        if let Some(main) = letter.routes.first() {
            let watched = processor.deadlines.look(record, message, main, now);
            parcel.publication.watched.extend(watched);
        }
    }
}
