//! Stage: the rules in force say where a message goes.

use jiff::Timestamp;
use priem_sdk::message::{Flags, Routing};

use super::super::{in_force::RuleSetInForce, parcel::Parcel, processor::Processor};

/// Decides every message of an item by one set of rules.
pub(super) fn run(processor: &Processor, parcel: &mut Parcel, now: Timestamp) {
    let metrics = &processor.metrics;
    let in_force = processor.rules.now();
    for letter in &mut parcel.letters {
        let message = &mut letter.message;
        if message.event.is_reminder() {
            // It goes where the message went; what made the item put the routing with it.
            letter.routes.extend(message.data.routing.take());
            continue;
        }
        let mut decision = in_force.rules.decide(message, now);
        processor.duplicates.apply(message, &mut decision.routes);
        count(processor, &in_force, &decision.routes, decision.default_route);
        let lacks_calendar = decision.deadlines.iter().any(|deadline| deadline.calendar_missing);
        if lacks_calendar || decision.main().calendar_missing {
            metrics.calendar_missing.inc();
        }
        if message.data.flags.other.iter().any(|flag| flag == Flags::UNKNOWN_TOPIC) {
            let connector = parcel.record.raw.connector.as_str();
            metrics.unknown_topics.with_label_values(&[connector]).inc();
        }
        message.data.routing = None;
        letter.routes = decision.routes;
    }
}

fn count(processor: &Processor, in_force: &RuleSetInForce, routes: &[Routing], default_route: bool) {
    if default_route {
        processor.metrics.default_route_hits.inc();
    }
    for rule in routes.iter().flat_map(|routing| &routing.matched) {
        in_force.count(rule);
    }
}
