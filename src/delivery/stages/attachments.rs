//! Stage: where copies of attached files will be, known before anything is fetched.

use jiff::Timestamp;

use super::super::{parcel::Parcel, processor::Processor};

/// Writes references into the store, when there is one.
pub(super) fn run(processor: &Processor, parcel: &mut Parcel, _: Timestamp) {
    let Some(policy) = &processor.attachments else { return };
    for letter in &mut parcel.letters {
        policy.mark(&mut letter.message);
    }
}
