//! Stage: what a message repeats. Stored before the message goes out, so that it is the same ever after.

use super::super::{parcel::Batch, processor::Processor};

/// Links the messages of a batch, when duplicates are looked for.
pub(super) async fn run(processor: &Processor, batch: &mut Batch) {
    let Some(linker) = &processor.linker else { return };
    let open = batch.parcels.iter_mut().filter(|parcel| parcel.end.is_none());
    let mut messages: Vec<_> = open
        .flat_map(|parcel| {
            let record = &*parcel.record;
            parcel
                .letters
                .iter_mut()
                .map(move |letter| (record, &mut letter.message))
        })
        .collect();
    linker.link(&mut messages).await;
}
