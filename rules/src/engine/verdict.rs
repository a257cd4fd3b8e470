//! The three steps over one message: what matched and who set what. Decision and explanation are both made from this,
//! so they can't disagree.

use jiff::Timestamp;
use priem_message::{Deadline, DeadlineBasis, DeadlineStage, Message, PlacePrecision, Recipient};

use crate::clock::deadline;
use crate::engine::compiled::Compiled;
use crate::engine::decision::DEFAULT_PRIORITY;
use crate::engine::facts::Facts;
use crate::engine::fields::Field;
use crate::engine::model::add_new;
use crate::engine::model::{ClassifyRule, Copy, DeadlineRule, Effects, Route};
use crate::territory::Found;

/// A value and the rule that set it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetBy<'r, T> {
    pub(crate) value: T,
    pub(crate) rule: &'r ClassifyRule,
}

/// Everything the rules say about one message.
#[derive(Debug)]
pub(crate) struct Verdict<'r> {
    /// Entries of `classify` that hold, in the order of the files, up to the first that says `stop`.
    pub(crate) rules: Vec<&'r ClassifyRule>,
    pub(crate) sector: Option<SetBy<'r, &'r str>>,
    pub(crate) topic: Option<SetBy<'r, &'r [String]>>,
    pub(crate) territory: Option<SetBy<'r, &'r str>>,
    /// The territory of the message before the rules.
    pub(crate) found: Option<Found>,
    /// How exact the words of the message are, when they say more than its fields.
    pub(crate) precision: Option<PlacePrecision>,
    pub(crate) priority: Option<SetBy<'r, u8>>,
    pub(crate) review: Option<SetBy<'r, bool>>,
    pub(crate) hint: Option<SetBy<'r, &'r str>>,
    pub(crate) recipient: Option<SetBy<'r, &'r Recipient>>,
    pub(crate) queue: Option<SetBy<'r, &'r str>>,
    pub(crate) deadline_policy: Option<SetBy<'r, &'r str>>,
    pub(crate) personal_data: Option<SetBy<'r, &'r str>>,
    pub(crate) also: Vec<&'r Copy>,
    pub(crate) tags: Vec<&'r str>,
    pub(crate) flags: Vec<&'r str>,
    /// From the root to the chosen route; never empty.
    pub(crate) path: Vec<&'r Route>,
    /// Clocks of the rules, one per stage.
    pub(crate) clocks: Vec<Clock<'r>>,
    /// Values of the fields that `classify` decides, as explanations show them.
    pub(crate) decided: Vec<(Field, String)>,
}

/// A clock and the rule behind it.
#[derive(Debug)]
pub(crate) struct Clock<'r> {
    pub(crate) rule: &'r DeadlineRule,
    pub(crate) deadline: Deadline,
}

impl<'r> Verdict<'r> {
    /// Runs the three steps. `facts` are those of the message and get what `classify` decides.
    pub(crate) fn reach(compiled: &'r Compiled, message: &Message, facts: &mut Facts<'_>, now: Timestamp) -> Self {
        let candidates = compiled.classify_index.candidates(facts);
        let rules = candidates
            .into_iter()
            .map(|position| &compiled.classify[position as usize]);
        let mut rules: Vec<&ClassifyRule> = rules.filter(|rule| holds(rule.head.when.as_ref(), facts)).collect();
        if let Some(last) = rules.iter().position(|rule| rule.set.stop) {
            rules.truncate(last + 1);
        }

        let mut verdict = Self {
            sector: first(&rules, |set| set.sector.as_deref()),
            topic: first(&rules, |set| (!set.topic.is_empty()).then_some(set.topic.as_slice())),
            territory: first(&rules, |set| set.territory.as_deref()),
            found: facts.place().found.clone(),
            precision: facts.place().precision,
            priority: first(&rules, |set| set.priority),
            review: first(&rules, |set| set.review),
            hint: first(&rules, |set| set.hint.as_deref()),
            recipient: first(&rules, |set| set.handling.as_ref()?.recipient.as_ref()),
            queue: first(&rules, |set| set.handling.as_ref()?.queue.as_deref()),
            deadline_policy: first(&rules, |set| set.handling.as_ref()?.deadline_policy.as_deref()),
            personal_data: first(&rules, |set| set.handling.as_ref()?.personal_data.as_deref()),
            also: Vec::new(),
            tags: Vec::new(),
            flags: Vec::new(),
            path: Vec::new(),
            clocks: Vec::new(),
            decided: Vec::new(),
            rules,
        };
        for rule in &verdict.rules {
            add_new(&mut verdict.tags, rule.set.tags.iter().map(String::as_str));
            add_new(&mut verdict.flags, rule.set.flags.iter().map(String::as_str));
            add_new(
                &mut verdict.also,
                rule.set.handling.iter().flat_map(|handling| &handling.also),
            );
        }
        verdict.publish_decided(compiled, facts);
        verdict.path = walk(&compiled.route, facts);
        verdict.publish_target(compiled, facts);
        verdict.run_clocks(compiled, message, facts, now);
        verdict
    }

    /// Lets the later steps ask about what `classify` decided.
    fn publish_decided(&mut self, compiled: &Compiled, facts: &mut Facts<'_>) {
        let sector = self.sector.map(|set| (Field::Sector, set.value));
        self.publish_territory(compiled, facts);
        let policy = self.deadline_policy.map(|set| (Field::DeadlinePolicy, set.value));
        let tags = self.tags.iter().map(|&tag| (Field::Tags, tag));
        for (field, value) in sector.into_iter().chain(policy).chain(tags) {
            if let Some(fact) = compiled.vocabulary.value(field, value) {
                facts.push_value(fact);
            }
            let shown = match compiled
                .sectors
                .iter()
                .find(|(id, _)| field == Field::Sector && id == value)
            {
                Some((id, name)) => format!("{name} ({id})"),
                None => value.to_owned(),
            };
            self.decided.push((field, shown));
        }
        if let Some(set) = self.priority {
            let priority = set.value.to_string();
            if let Some(fact) = compiled.vocabulary.value(Field::Priority, &priority) {
                facts.push_value(fact);
            }
            self.decided.push((Field::Priority, priority));
        }
        for flag in &self.flags {
            if let Some(fact) = compiled.vocabulary.value(Field::Flags, flag) {
                facts.push_value(fact);
            }
            self.decided.push((Field::Flags, (*flag).to_owned()));
        }
        facts.seal();
    }

    /// What a rule says of the territory takes the place of what was found.
    fn publish_territory(&mut self, compiled: &Compiled, facts: &mut Facts<'_>) {
        let vocabulary = &compiled.vocabulary;
        let shown = |value: &str| match vocabulary.territories() {
            Some(all) => all.meant(value).map_or_else(|| value.to_owned(), |id| all.shown(id)),
            None => value.to_owned(),
        };
        if let Some(set) = self.territory {
            let old = match (&self.found, vocabulary.territories()) {
                (Some(found), Some(all)) => all.facts_of(found.territory),
                _ => &[],
            };
            facts.replace_values(old, &vocabulary.territory_facts(set.value));
            self.decided.push((Field::Territory, shown(set.value)));
        } else if let Some(found) = &facts.place().shown {
            self.decided.push((Field::Territory, found.clone()));
        }
    }

    /// Lets `deadlines` ask about the priority and the policy of the route, when `classify` named none.
    fn publish_target(&mut self, compiled: &Compiled, facts: &mut Facts<'_>) {
        if self.priority.is_none() {
            let priority = self.priority().to_string();
            if let Some(fact) = compiled.vocabulary.value(Field::Priority, &priority) {
                facts.push_value(fact);
                facts.seal();
            }
            self.decided.push((Field::Priority, priority));
        }
        let Some(policy) = self.policy().filter(|_| self.deadline_policy.is_none()) else {
            return;
        };
        if let Some(fact) = compiled.vocabulary.value(Field::DeadlinePolicy, policy) {
            facts.push_value(fact);
            facts.seal();
        }
        self.decided.push((Field::DeadlinePolicy, policy.to_owned()));
    }

    /// The priority: of `classify`, else of the route, else the usual one.
    pub(crate) fn priority(&self) -> u8 {
        let set = self.priority.map(|set| set.value);
        set.or(self.route().target.priority).unwrap_or(DEFAULT_PRIORITY)
    }

    /// The deadline policy: of `classify`, else of the route.
    pub(crate) fn policy(&self) -> Option<&'r str> {
        let set = self.deadline_policy.map(|set| set.value);
        set.or_else(|| self.route().target.deadline_policy.as_deref())
    }

    /// The last entry that was looked at, when it said `stop` and so kept `rule` from being looked at.
    pub(crate) fn stopped_before(&self, compiled: &Compiled, rule: &ClassifyRule) -> Option<&'r ClassifyRule> {
        let stop = self.rules.last().filter(|last| last.set.stop)?;
        let place = |id: &str| compiled.classify.iter().position(|rule| rule.head.id == id);
        (place(&rule.head.id) > place(&stop.head.id)).then_some(stop)
    }

    fn run_clocks(&mut self, compiled: &'r Compiled, message: &Message, facts: &Facts<'_>, now: Timestamp) {
        for position in compiled.deadline_index.candidates(facts) {
            let rule = &compiled.deadlines[position as usize];
            let taken = is_given_by_source(message, rule.stage)
                || self.clocks.iter().any(|clock| clock.rule.stage == rule.stage);
            if !taken && holds(rule.head.when.as_ref(), facts) {
                let zone = &compiled.zone;
                let due = deadline::run(&rule.term, &zone.zone, &compiled.calendar, &message.data.times, now);
                let deadline = Deadline {
                    stage: rule.stage,
                    due_at: due.at,
                    zone: zone.name.clone(),
                    basis: rule.basis,
                    rule: Some(rule.head.id.clone()),
                    unit: due.unit,
                    internal_due_at: due.internal_at,
                    calendar_missing: due.calendar_missing,
                };
                self.clocks.push(Clock { rule, deadline });
            }
        }
    }

    /// The chosen route.
    pub(crate) fn route(&self) -> &'r Route {
        self.path.last().expect("the path starts at the root")
    }

    /// Whether only the default route caught the message, and no rule named a recipient or queue.
    pub(crate) fn is_default(&self) -> bool {
        self.path.len() == 1 && self.recipient.is_none() && self.queue.is_none()
    }
}

/// A deadline of the source is never replaced.
pub(crate) fn is_given_by_source(message: &Message, stage: DeadlineStage) -> bool {
    let mut deadlines = message.data.deadlines.iter();
    deadlines.any(|deadline| deadline.stage == stage && deadline.basis == DeadlineBasis::Source)
}

fn holds(when: Option<&crate::engine::condition::Condition>, facts: &Facts<'_>) -> bool {
    when.is_none_or(|condition| condition.holds(facts))
}

fn first<'r, T>(rules: &[&'r ClassifyRule], of: impl Fn(&'r Effects) -> Option<T>) -> Option<SetBy<'r, T>> {
    rules
        .iter()
        .find_map(|&rule| of(&rule.set).map(|value| SetBy { value, rule }))
}

/// Down the tree, the first sibling that holds at every level.
fn walk<'r>(root: &'r Route, facts: &Facts<'_>) -> Vec<&'r Route> {
    let mut path = vec![root];
    let mut node = root;
    while !node.children.is_empty() {
        let candidates = node.index.candidates(facts);
        let mut fitting = candidates.into_iter().map(|position| &node.children[position as usize]);
        let Some(child) = fitting.find(|child| holds(child.head.when.as_ref(), facts)) else {
            break;
        };
        path.push(child);
        node = child;
    }
    path
}
