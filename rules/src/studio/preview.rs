//! Old rules against new over messages of the past: what would go elsewhere.
//!
//! Both sets decide the same message without its former decision, so that only the rules differ. Texts are shown only as
//! masked samples.

use std::collections::BTreeMap;

use jiff::Timestamp;
use priem_message::{Message, Routing};
use serde::Serialize;

use super::mask;
use crate::{Decision, RuleSet};

/// What a change of rules would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preview {
    /// Version of the rules in force.
    pub old_version: String,
    /// Version of the new rules.
    pub new_version: String,
    /// Messages that were decided by both.
    pub messages: usize,
    /// Those that go elsewhere.
    pub moved: usize,
    /// Those that go to the same place with another priority, other tags, copies, deadlines or need of review.
    pub changed: usize,
    /// Messages that only the default route catches, by the old rules and by the new.
    pub default_old: usize,
    /// See `default_old`.
    pub default_new: usize,
    /// From where to where, the most frequent first.
    pub moves: Vec<Move>,
    /// What else changes, in Russian, and for how many messages.
    pub changes: BTreeMap<String, usize>,
    /// Stored items that could not be read as messages.
    pub unreadable: usize,
}

/// Messages that go from one place to another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Move {
    /// By the old rules.
    pub from: Destination,
    /// By the new rules.
    pub to: Destination,
    /// How many.
    pub count: usize,
    /// Some of them.
    pub samples: Vec<Sample>,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Destination {
    /// Russian name of the sector.
    pub sector: Option<String>,
    /// Recipient and role.
    pub recipient: String,
    /// Routing key.
    pub queue: String,
}

/// One message that moves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// Masked beginning of the text.
    pub excerpt: String,
    /// Rules and routes of the old set that took part.
    pub old_rules: Vec<String>,
    /// The same of the new set.
    pub new_rules: Vec<String>,
}

/// Compares two sets of rules, message by message.
#[derive(Debug)]
pub struct Comparison<'r> {
    old: &'r RuleSet,
    new: &'r RuleSet,
    samples: usize,
    moves: BTreeMap<(Destination, Destination), (usize, Vec<Sample>)>,
    found: Preview,
}

impl<'r> Comparison<'r> {
    /// Nothing compared yet; at most `samples` masked texts are kept per move.
    pub fn new(old: &'r RuleSet, new: &'r RuleSet, samples: usize) -> Self {
        Self {
            old,
            new,
            samples,
            moves: BTreeMap::new(),
            found: Preview {
                old_version: old.version().to_owned(),
                new_version: new.version().to_owned(),
                messages: 0,
                moved: 0,
                changed: 0,
                default_old: 0,
                default_new: 0,
                moves: Vec::new(),
                changes: BTreeMap::new(),
                unreadable: 0,
            },
        }
    }

    /// Counts something stored that is no message.
    pub fn unreadable(&mut self, count: usize) {
        self.found.unreadable += count;
    }

    /// Decides one message by both sets.
    pub fn take(&mut self, message: &Message) {
        let now = message.data.times.received;
        let old = decide(self.old, message, now);
        let new = decide(self.new, message, now);
        let found = &mut self.found;
        found.messages += 1;
        found.default_old += usize::from(old.default_route);
        found.default_new += usize::from(new.default_route);
        let (from, to) = (destination(self.old, old.main()), destination(self.new, new.main()));
        let differences = differences(&old, &new);
        for what in &differences {
            *found.changes.entry((*what).to_owned()).or_default() += 1;
        }
        if from == to {
            found.changed += usize::from(!differences.is_empty());
            return;
        }
        found.moved += 1;
        let (count, samples) = self.moves.entry((from, to)).or_default();
        *count += 1;
        if samples.len() < self.samples {
            samples.push(Sample {
                excerpt: mask::excerpt(&message.data.body.text),
                old_rules: old.main().matched.clone(),
                new_rules: new.main().matched.clone(),
            });
        }
    }

    /// The result.
    pub fn finish(mut self) -> Preview {
        let mut moves: Vec<Move> = self
            .moves
            .into_iter()
            .map(|((from, to), (count, samples))| Move {
                from,
                to,
                count,
                samples,
            })
            .collect();
        moves.sort_by(|a, b| {
            b.count
                .cmp(&a.count)
                .then_with(|| (&a.from, &a.to).cmp(&(&b.from, &b.to)))
        });
        self.found.moves = moves;
        self.found
    }
}

/// Decides a copy, without what rules wrote into the message before.
fn decide(rules: &RuleSet, message: &Message, now: Timestamp) -> Decision {
    let mut copy = message.clone();
    copy.data.routing = None;
    rules.decide(&mut copy, now)
}

fn destination(rules: &RuleSet, routing: &Routing) -> Destination {
    Destination {
        sector: routing.sector.as_deref().map(|id| rules.sector_name(id).to_owned()),
        recipient: routing.recipient.ru(),
        queue: routing.queue.clone(),
    }
}

fn differences(old: &Decision, new: &Decision) -> Vec<&'static str> {
    let (was, is) = (old.main(), new.main());
    let sorted = |tags: &[String]| {
        let mut tags = tags.to_vec();
        tags.sort_unstable();
        tags
    };
    let copies = |decision: &Decision| -> Vec<String> {
        decision.routes.iter().skip(1).map(|copy| copy.queue.clone()).collect()
    };
    let due =
        |decision: &Decision| -> Vec<Timestamp> { decision.deadlines.iter().map(|deadline| deadline.due_at).collect() };
    let all = [
        (was.priority != is.priority, "срочность"),
        (was.review_required != is.review_required, "проверка человеком"),
        (sorted(&was.tags) != sorted(&is.tags), "метки"),
        (was.territory != is.territory, "территория"),
        (copies(old) != copies(new), "копии"),
        (due(old) != due(new), "сроки"),
    ];
    all.into_iter()
        .filter(|(differs, _)| *differs)
        .map(|(_, name)| name)
        .collect()
}

impl Destination {
    /// «Дороги → …» in one line.
    pub fn line(&self) -> String {
        format!(
            "{} → {} [{}]",
            self.sector.as_deref().unwrap_or("без отрасли"),
            self.recipient,
            self.queue
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(word: &str) -> RuleSet {
        let text = format!(
            "version: 1
sectors: {{ roads: Дороги }}
classify:
  - {{ id: pit, name: Я, when: {{ text: {word} }}, set: {{ sector: roads, tags: [t] }} }}
route:
  id: root
  name: К
  to: {{ organisation: МЦУ }}
  queue: q
  routes: [{{ id: roads, name: Д, when: {{ sector: roads }}, queue: q.roads }}]
"
        );
        RuleSet::parse(&[("a.yaml".into(), text)]).expect("valid rules")
    }

    #[test]
    fn moves_are_counted_and_their_texts_masked() {
        let (old, new) = (rules("яма"), rules("[яма, снег]"));
        let mut comparison = Comparison::new(&old, &new, 1);
        for text in ["Яма у дома 5", "Снег у дома 77, звоните 8912", "Снег", "Тишина"]
        {
            comparison.take(&super::super::history::message(text));
        }
        let found = comparison.finish();
        assert_eq!(
            (found.messages, found.moved, found.default_old, found.default_new),
            (4, 2, 3, 1)
        );
        assert_eq!((found.moves.len(), found.moves[0].count), (1, 2));
        assert_eq!(found.moves[0].to.sector.as_deref(), Some("Дороги"));
        assert_eq!(found.moves[0].samples.len(), 1);
        assert!(!found.moves[0].samples[0].excerpt.contains('7'));
        assert_eq!(found.changes["метки"], 2);
    }

    #[test]
    fn equal_rules_move_nothing() {
        let rules = rules("яма");
        let mut comparison = Comparison::new(&rules, &rules, 3);
        comparison.take(&super::super::history::message("Яма"));
        let found = comparison.finish();
        assert_eq!((found.moved, found.changed), (0, 0));
    }
}
