//! Stage: the rules in force say where a message goes, or what it follows does.

use jiff::Timestamp;
use priem_sdk::{
    EventType, Message,
    message::{Flags, Routing},
};

use super::{
    super::{
        in_force::RuleSetInForce,
        parcel::{Followed, Letter, Parcel, Why},
        processor::Processor,
    },
    follow,
};
use crate::journal::Record;

/// Decides every message of an item by one set of rules.
pub(super) fn run(processor: &Processor, parcel: &mut Parcel, now: Timestamp) {
    let in_force = processor.rules.now();
    let by = By {
        processor,
        in_force: &in_force,
        now,
    };
    let mut tell = std::mem::take(&mut parcel.tell);
    let mut first: Vec<Routing> = Vec::new();
    let mut unheard = 0;
    parcel.letters.retain_mut(|letter| {
        let follows = letter.follows.as_mut();
        match follows.map(|follows| (follows.why, std::mem::replace(&mut follows.what, Followed::Forgotten))) {
            Some((_, Followed::Nothing)) => {
                unheard += 1;
                return false;
            }
            Some((why, what)) => by.follow(letter, why, what, &first),
            None if letter.message.event == EventType::Deleted => {
                by.follow(letter, Why::Deleted, Followed::Forgotten, &first);
            }
            None => by.decide(letter, &parcel.record),
        }
        by.note_wordless(letter, &parcel.record);
        for mut told in std::mem::take(&mut tell) {
            if letter.routes.iter().all(|routing| routing.queue != told.queue) {
                told.explanation = vec![format!("{}{}.", Why::TOLD, letter.routes[0].queue)];
                told.copy = true;
                letter.routes.push(told);
            }
        }
        if first.is_empty() {
            first.clone_from(&letter.routes);
        }
        // It has gone everywhere already.
        !letter.routes.is_empty()
    });
    if unheard > 0 {
        let connector = parcel.record.raw.connector.as_str();
        let counter = &processor.metrics.unheard_deletions;
        counter.with_label_values(&[connector]).inc_by(unheard);
    }
}

/// What decides.
struct By<'a> {
    processor: &'a Processor,
    in_force: &'a RuleSetInForce,
    now: Timestamp,
}

impl By<'_> {
    /// Decides a message by its own words.
    fn decide(&self, letter: &mut Letter, record: &Record) {
        let metrics = &self.processor.metrics;
        let message = &mut letter.message;
        if message.event.is_reminder() {
            // It goes where the message went; what made the item put the routing with it.
            letter.routes.extend(message.data.routing.take());
            return;
        }
        let mut decision = self.in_force.rules.decide(message, self.now);
        self.processor.duplicates.apply(message, &mut decision.routes);
        let before = self.before(letter.before.take(), message);
        if decision.default_route && !before.is_empty() {
            return self.follow(letter, Why::Edited, Followed::Routes(before), &[]);
        }
        self.count(&decision.routes, decision.default_route);
        tell_of_move(before, &mut decision.routes);
        let lacks_calendar = decision.deadlines.iter().any(|deadline| deadline.calendar_missing);
        if lacks_calendar || decision.main().calendar_missing {
            metrics.calendar_missing.inc();
        }
        if message.data.flags.other.iter().any(|flag| flag == Flags::UNKNOWN_TOPIC) {
            let connector = record.raw.connector.as_str();
            metrics.unknown_topics.with_label_values(&[connector]).inc();
        }
        message.data.routing = None;
        letter.routes = decision.routes;
    }

    /// Its words may come before anybody has confirmed it.
    fn note_wordless(&self, letter: &Letter, record: &Record) {
        if letter.lacks_words
            && let Some(follower) = &self.processor.follower
            && let Some(main) = letter.routes.first()
        {
            let at = record.raw.received_at.as_second();
            let place = follow::place(record, &letter.message);
            follower.lonely.lock().note(place, record.seq, at, main.clone());
        }
    }

    /// Where the version before an edit went.
    fn before(&self, before: Option<Followed>, message: &Message) -> Vec<Routing> {
        match before {
            Some(Followed::Routes(routes)) => routes,
            Some(Followed::Like(mut original)) => {
                original.data.relation = message.data.relation.clone();
                self.routes_of(&mut original)
            }
            _ => Vec::new(),
        }
    }

    /// Sends a message where something else went. It starts no clock: what it follows has its own;
    /// but what was removed has the clocks of its first version again.
    fn follow(&self, letter: &mut Letter, why: Why, what: Followed, first: &[Routing]) {
        let own = &mut letter.message;
        let mut routes = match what {
            Followed::Routes(routes) => routes,
            Followed::Like(original) => {
                let mut original = *original;
                if original.data.external.id == own.data.external.id {
                    original.data.relation = own.data.relation.clone();
                }
                self.routes_of(&mut original)
            }
            Followed::First(had) => {
                let main = first.iter().filter(|routing| !routing.copy);
                main.filter(|routing| !had.contains(&routing.queue)).cloned().collect()
            }
            Followed::Nothing | Followed::Forgotten => self.routes_of(own),
        };
        for routing in &mut routes {
            routing.explanation = vec![why.ru().to_owned()];
        }
        own.data.deadlines = letter.restored.take().map_or_else(Vec::new, |mut first| {
            first.event = EventType::Received;
            self.in_force.rules.decide(&mut first, self.now).deadlines
        });
        own.data.routing = None;
        letter.routes = routes;
    }

    fn routes_of(&self, message: &mut Message) -> Vec<Routing> {
        let mut decision = self.in_force.rules.decide(message, self.now);
        self.processor.duplicates.apply(message, &mut decision.routes);
        decision.routes
    }

    fn count(&self, routes: &[Routing], default_route: bool) {
        if default_route {
            self.processor.metrics.default_route_hits.inc();
        }
        for rule in routes.iter().flat_map(|routing| &routing.matched) {
            self.in_force.count(rule);
        }
    }
}

/// Who had the version before an edit gets a copy when the edit goes to somebody else.
fn tell_of_move(before: Vec<Routing>, routes: &mut Vec<Routing>) {
    let Some(queue) = routes.first().map(|main| main.queue.clone()) else {
        return;
    };
    for mut had in before.into_iter().filter(|had| !had.copy) {
        if routes.iter().all(|routing| routing.queue != had.queue) {
            had.explanation = vec![format!("{}{queue}.", Why::MOVED)];
            had.copy = true;
            routes.push(had);
        }
    }
}
