//! Stage: leaves out the personal data that none of the recipients, or one of them, may have.

use jiff::Timestamp;

use super::super::{
    parcel::{Letter, Parcel},
    processor::Processor,
};

/// Cleans every message. One whose recipients may see different things becomes one letter for each of them.
pub(super) fn run(processor: &Processor, parcel: &mut Parcel, _: Timestamp) {
    let policy = &processor.privacy;
    let mut next = 0;
    while let Some(letter) = parcel.letters.get_mut(next) {
        policy.clean(&mut letter.message);
        if policy.is_same_for_all(&letter.message.data.channel, &letter.routes) {
            if let Some(routing) = letter.routes.first() {
                policy.apply(&mut letter.message, routing);
            }
            next += 1;
            continue;
        }
        let Letter { message, routes, .. } = parcel.letters.remove(next);
        for routing in routes {
            let mut own = message.clone();
            policy.apply(&mut own, &routing);
            let routes = vec![routing];
            let mut letter = Letter::new(own);
            letter.routes = routes;
            parcel.letters.insert(next, letter);
            next += 1;
        }
    }
}
