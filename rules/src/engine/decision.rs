//! From the verdict to what travels with the message, and the short Russian sentences in it.

use jiff::Timestamp;
use priem_message::{Deadline, Message, Routing, TerritoryFoundBy, Topic};

use crate::engine::compiled::Compiled;
use crate::engine::condition::Context;
use crate::engine::fields::RULES_CLASSIFIER;
use crate::engine::model::add_new;
use crate::engine::model::{Copy, Route};
use crate::engine::moment::Seen;
use crate::engine::sentences::{recipient_of, sentences};
use crate::engine::verdict::Verdict;

/// Priority of a message that neither rules nor routes give one.
pub(crate) const DEFAULT_PRIORITY: u8 = 4;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The main routing first, then the copies (`copy = true`). Never empty.
    pub routes: Vec<Routing>,
    /// Whether only the default route caught it.
    pub default_route: bool,
    /// Deadlines that rules added to the message.
    pub deadlines: Vec<Deadline>,
}

impl Decision {
    /// The main routing.
    ///
    /// # Panics
    /// Never: every decision has one.
    pub fn main(&self) -> &Routing {
        self.routes.first().expect("a decision has a main routing")
    }
}

/// Decides a message, and writes into it what rules contribute. Deciding again gives the same decision.
pub(crate) fn decide(rules: &Compiled, message: &mut Message, now: Timestamp) -> Decision {
    let (decision, changes) = {
        let mut facts = rules.vocabulary.facts_at(message, now);
        let verdict = Verdict::reach(rules, message, &mut facts, now);
        let context = Context {
            message,
            facts: &facts,
            decided: &verdict.decided,
        };
        let decision = make(rules, &verdict, &context);
        let changes = Changes::of(&verdict, &decision);
        (decision, changes)
    };
    changes.apply(message);
    decision
}

/// Makes the decision of a verdict.
pub(crate) fn make(rules: &Compiled, verdict: &Verdict<'_>, context: &Context<'_>) -> Decision {
    let route = verdict.route();
    let target = &route.target;
    let mut tags: Vec<String> = verdict.tags.iter().map(|&tag| tag.to_owned()).collect();
    add_new(&mut tags, target.tags.iter().cloned());
    let matched = verdict.rules.iter().map(|rule| rule.head.id.clone());
    let main = Routing {
        sector: verdict.sector.map(|set| set.value.to_owned()),
        territory: territory_of(rules, verdict),
        territory_found_by: match (&verdict.territory, &verdict.found) {
            (Some(_), _) => Some(TerritoryFoundBy::Rule),
            (None, found) => found.as_ref().map(|found| found.by),
        },
        place_precision: verdict.precision,
        recipient: recipient_of(verdict).clone(),
        queue: verdict.queue.map_or(target.queue.as_str(), |set| set.value).to_owned(),
        deadline_policy: verdict.policy().map(str::to_owned),
        personal_data: verdict
            .personal_data
            .map(|set| set.value)
            .or(target.personal_data.as_deref())
            .map(str::to_owned),
        priority: verdict.priority(),
        tags,
        review_required: verdict.review.map(|set| set.value).or(target.review).unwrap_or(false),
        copy: false,
        calendar_missing: context.facts.moment().is_some_and(Seen::lacks_calendar),
        rules_version: rules.version.clone(),
        matched: matched
            .chain(verdict.path.iter().flat_map(|route| ids_of(route)))
            .chain(verdict.clocks.iter().map(|clock| clock.rule.head.id.clone()))
            .collect(),
        explanation: sentences(rules, verdict, context),
    };
    let mut also: Vec<&Copy> = verdict.also.clone();
    add_new(&mut also, &target.also);
    let copies: Vec<Routing> = also
        .into_iter()
        .filter(|copy| copy.queue != main.queue || copy.recipient != main.recipient)
        .map(|copy| {
            let mut routing = Routing {
                recipient: copy.recipient.clone(),
                queue: copy.queue.clone(),
                copy: true,
                ..main.clone()
            };
            routing
                .explanation
                .push(format!("Копия для сведения: {}.", copy.recipient.ru()));
            routing
        })
        .collect();
    Decision {
        routes: std::iter::once(main).chain(copies).collect(),
        default_route: verdict.is_default(),
        deadlines: verdict.clocks.iter().map(|clock| clock.deadline.clone()).collect(),
    }
}

/// The id of a route; of a row the table before it, so that settings may name the table and leave the rows open.
fn ids_of(route: &Route) -> impl Iterator<Item = String> {
    let table = route.table.iter().map(|table| table.id.clone());
    table.chain(std::iter::once(route.head.id.clone()))
}

/// The territory: of a rule, else as found. An id when the files describe territories.
fn territory_of(rules: &Compiled, verdict: &Verdict<'_>) -> Option<String> {
    let territories = rules.vocabulary.territories();
    let Some(set) = verdict.territory else {
        return Some(territories?.id_of(verdict.found.as_ref()?.territory).to_owned());
    };
    let id = territories.and_then(|all| Some(all.id_of(all.meant(set.value)?)));
    Some(id.unwrap_or(set.value).to_owned())
}

/// What a verdict changes in the message itself.
#[derive(Debug)]
pub(crate) struct Changes {
    topic: Vec<String>,
    flags: Vec<String>,
    hint: Option<String>,
    deadlines: Vec<Deadline>,
}

impl Changes {
    /// Collects them, so that the verdict and its borrow of the message can go.
    pub(crate) fn of(verdict: &Verdict<'_>, decision: &Decision) -> Self {
        Self {
            topic: verdict.topic.map(|set| set.value.to_vec()).unwrap_or_default(),
            flags: verdict.flags.iter().map(|&flag| flag.to_owned()).collect(),
            hint: verdict.hint.map(|set| set.value.to_owned()),
            deadlines: decision.deadlines.clone(),
        }
    }

    /// Writes them. A topic, hint or deadline of the source stays; those of earlier rules are replaced.
    pub(crate) fn apply(self, message: &mut Message) {
        let data = &mut message.data;
        if data
            .topic
            .as_ref()
            .is_some_and(|topic| topic.classifier == RULES_CLASSIFIER)
        {
            data.topic = None;
        }
        if data.topic.is_none() && !self.topic.is_empty() {
            data.topic = Some(Topic::of_levels(RULES_CLASSIFIER, &self.topic));
        }
        for flag in &self.flags {
            data.flags.set(flag);
        }
        if data.legal.hint.is_none() {
            data.legal.hint = self.hint;
        }
        data.deadlines.retain(|deadline| deadline.rule.is_none());
        data.deadlines.extend(self.deadlines);
    }
}
