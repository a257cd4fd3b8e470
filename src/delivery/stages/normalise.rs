//! Stage: what a stored item says, in the words of one schema.

use jiff::Timestamp;
use priem_sdk::{Message, NormalizeError, message::Moment};

use super::super::{
    parcel::{Letter, Parcel},
    processor::Processor,
};
use crate::{
    deadlines,
    intake::{Connectors, normalize},
    journal::Record,
};

/// Asks the connector; what it can't read is quarantined, what carries no words is ignored.
pub(super) fn run(processor: &Processor, parcel: &mut Parcel, _: Timestamp) {
    if !parcel.letters.is_empty() {
        // Back from the look-ups.
        return;
    }
    match messages(&processor.connectors, &parcel.record) {
        Err(error) => {
            processor.count_quarantined(&parcel.record, error.reason);
            parcel.quarantine(error.reason, error.why);
        }
        Ok(messages) if messages.is_empty() => {
            let connector = parcel.record.raw.connector.as_str();
            processor.metrics.ignored.with_label_values(&[connector]).inc();
            parcel.ignore();
        }
        Ok(messages) => {
            parcel.publication.occurred = messages[0].data.times.occurred.as_ref().and_then(Moment::instant);
            parcel.letters = messages.into_iter().map(Letter::new).collect();
        }
    }
}

/// The messages of an item, or why there are none. Reminders of deadlines are items of our own.
///
/// # Errors
/// The item goes to quarantine.
pub fn messages(connectors: &Connectors, record: &Record) -> Result<Vec<Message>, NormalizeError> {
    if deadlines::is_own(&record.raw) {
        return deadlines::normalize(&record.raw);
    }
    normalize(connectors, &record.raw)
}
