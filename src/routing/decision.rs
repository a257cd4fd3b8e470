//! From the verdict to what travels with the message, and the short Russian sentences in it.

use jiff::Timestamp;
use priem_sdk::message::{Deadline, DeadlineStage, DeadlineUnit, Message, Recipient, Routing, TerritoryFoundBy};

use super::RuleSet;
use super::condition::Sight;
use super::fields::RULES_CLASSIFIER;
use super::model::{ClassifyRule, Copy, Route};
use super::moment::Seen;
use super::read_rules::add_new;
use super::read_tests::{set_flag, topic_of};
use super::verdict::Verdict;

/// Priority of a message that neither rules nor routes give one.
pub(super) const DEFAULT_PRIORITY: u8 = 4;
/// Reasons given per rule in the short explanation.
const REASONS: usize = 3;

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

/// Makes the decision of a verdict.
pub(super) fn make(rules: &RuleSet, verdict: &Verdict<'_>, sight: &Sight<'_>) -> Decision {
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
        calendar_missing: sight.facts.moment().is_some_and(Seen::lacks_calendar),
        rules_version: rules.version().to_owned(),
        matched: matched
            .chain(verdict.path.iter().flat_map(|route| ids_of(route)))
            .chain(verdict.clocks.iter().map(|clock| clock.rule.head.id.clone()))
            .collect(),
        explanation: sentences(rules, verdict, sight),
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
                .push(format!("Копия для сведения: {}.", recipient_ru(&copy.recipient)));
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
fn territory_of(rules: &RuleSet, verdict: &Verdict<'_>) -> Option<String> {
    let territories = rules.compiled.vocabulary.territories();
    let Some(set) = verdict.territory else {
        return Some(territories?.id_of(verdict.found.as_ref()?.territory).to_owned());
    };
    let id = territories.and_then(|all| Some(all.id_of(all.meant(set.value)?)));
    Some(id.unwrap_or(set.value).to_owned())
}

/// What a verdict changes in the message itself.
#[derive(Debug)]
pub(super) struct Changes {
    topic: Vec<String>,
    flags: Vec<String>,
    hint: Option<String>,
    deadlines: Vec<Deadline>,
}

impl Changes {
    /// Collects them, so that the verdict and its borrow of the message can go.
    pub(super) fn of(verdict: &Verdict<'_>, decision: &Decision) -> Self {
        Self {
            topic: verdict.topic.map(|set| set.value.to_vec()).unwrap_or_default(),
            flags: verdict.flags.iter().map(|&flag| flag.to_owned()).collect(),
            hint: verdict.hint.map(|set| set.value.to_owned()),
            deadlines: decision.deadlines.clone(),
        }
    }

    /// Writes them. A topic, hint or deadline of the source stays; those of earlier rules are replaced.
    pub(super) fn apply(self, message: &mut Message) {
        let data = &mut message.data;
        if data
            .topic
            .as_ref()
            .is_some_and(|topic| topic.classifier == RULES_CLASSIFIER)
        {
            data.topic = None;
        }
        if data.topic.is_none() && !self.topic.is_empty() {
            data.topic = Some(topic_of(RULES_CLASSIFIER, &self.topic));
        }
        for flag in &self.flags {
            set_flag(data, flag);
        }
        if data.legal.hint.is_none() {
            data.legal.hint = self.hint;
        }
        data.deadlines.retain(|deadline| deadline.rule.is_none());
        data.deadlines.extend(self.deadlines);
    }
}

fn sentences(rules: &RuleSet, verdict: &Verdict<'_>, sight: &Sight<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(territories), Some(found)) = (rules.compiled.vocabulary.territories(), &verdict.found) {
        lines.push(territories.sentence(found));
    }
    let sentences = verdict.rules.iter();
    lines.extend(sentences.map(|rule| rule_sentence(rules, rule, verdict, sight)));
    if verdict.rules.is_empty() {
        lines.push("Ни одно правило классификации не подошло.".into());
    }
    lines.push(route_sentence(verdict, sight));
    if sight.facts.moment().is_some_and(Seen::lacks_calendar) {
        lines.push(
            "Внимание: производственного календаря на этот год нет, условие «рабочее время» не учло праздники.".into(),
        );
    }
    lines.extend(verdict.clocks.iter().map(|clock| {
        let mut sentence = format!(
            "Срок «{}»: {} по правилу «{}» ({}).",
            stage_ru(clock.deadline.stage),
            due_ru(rules, clock.deadline.due_at),
            clock.rule.head.name,
            clock.rule.head.id
        );
        if let Some(earlier) = clock.deadline.internal_due_at {
            sentence += &format!(" Внутренний срок: {}.", due_ru(rules, earlier));
        }
        if clock.deadline.calendar_missing {
            sentence += " Внимание: производственного календаря на этот год нет, праздники не учтены.";
        }
        sentence
    }));
    lines
}

fn rule_sentence(rules: &RuleSet, rule: &ClassifyRule, verdict: &Verdict<'_>, sight: &Sight<'_>) -> String {
    let mut reasons = Vec::new();
    if let Some(when) = &rule.head.when {
        when.reasons(sight, REASONS, &mut reasons);
    }
    let because = if reasons.is_empty() {
        "условие выполнено".to_owned()
    } else {
        reasons.join("; ")
    };
    let effects = effects_ru(rules, rule, verdict).join(", ");
    format!(
        "Правило «{}» ({}): {because} → {effects}.",
        rule.head.name, rule.head.id
    )
}

/// What a rule contributed, and where it came too late.
pub(super) fn effects_ru(rules: &RuleSet, rule: &ClassifyRule, verdict: &Verdict<'_>) -> Vec<String> {
    if let Some(stop) = verdict.stopped_before(&rules.compiled, rule) {
        let (name, id) = (&stop.head.name, &stop.head.id);
        return vec![format!(
            "не применено: правило «{name}» ({id}) остановило классификацию (stop)"
        )];
    }
    let set = &rule.set;
    let mut lines = Vec::new();
    let mut note = |what: String, winner: Option<&ClassifyRule>| match winner {
        Some(winner) if winner.head.id != rule.head.id => {
            lines.push(format!(
                "{what} не применена: раньше сработало правило «{}» ({})",
                winner.head.name, winner.head.id
            ));
        }
        _ => lines.push(what),
    };
    if let Some(sector) = &set.sector {
        note(
            format!("отрасль «{}»", rules.sector_name(sector)),
            verdict.sector.map(|set| set.rule),
        );
    }
    if !set.topic.is_empty() {
        note(
            format!("тема «{}»", set.topic.join(" / ")),
            verdict.topic.map(|set| set.rule),
        );
    }
    if let Some(territory) = &set.territory {
        note(
            format!("территория «{territory}»"),
            verdict.territory.map(|set| set.rule),
        );
    }
    if let Some(priority) = set.priority {
        note(format!("срочность {priority}"), verdict.priority.map(|set| set.rule));
    }
    if let Some(review) = set.review {
        let what = if review {
            "проверка человеком нужна"
        } else {
            "проверка человеком не нужна"
        };
        note(what.to_owned(), verdict.review.map(|set| set.rule));
    }
    if let Some(hint) = &set.hint {
        note(format!("подсказка «{hint}»"), verdict.hint.map(|set| set.rule));
    }
    if let Some(handling) = &set.handling {
        if let Some(recipient) = &handling.recipient {
            note(
                format!("получатель «{}»", recipient_ru(recipient)),
                verdict.recipient.map(|set| set.rule),
            );
        }
        if let Some(queue) = &handling.queue {
            note(format!("очередь «{queue}»"), verdict.queue.map(|set| set.rule));
        }
        for copy in &handling.also {
            note(
                format!("копия: {} ({})", recipient_ru(&copy.recipient), copy.queue),
                None,
            );
        }
        if let Some(policy) = &handling.deadline_policy {
            note(
                format!("порядок сроков «{policy}»"),
                verdict.deadline_policy.map(|set| set.rule),
            );
        }
        if let Some(policy) = &handling.personal_data {
            note(
                format!("порядок личных данных «{policy}»"),
                verdict.personal_data.map(|set| set.rule),
            );
        }
    }
    if set.stop {
        note("следующие правила не рассматривались (stop)".to_owned(), None);
    }
    if !set.tags.is_empty() {
        note(format!("метки: {}", set.tags.join(", ")), None);
    }
    if !set.flags.is_empty() {
        note(format!("отметки: {}", set.flags.join(", ")), None);
    }
    lines
}

fn route_sentence(verdict: &Verdict<'_>, sight: &Sight<'_>) -> String {
    let route = verdict.route();
    let to = recipient_ru(recipient_of(verdict));
    if let Some(rule) = verdict
        .recipient
        .map(|set| set.rule)
        .or(verdict.queue.map(|set| set.rule))
    {
        let (name, id) = (&rule.head.name, &rule.head.id);
        return format!(
            "Адресата назвало правило «{name}» ({id}): {to}; маршрут {} уступил.",
            path_ru(&verdict.path)
        );
    }
    if verdict.is_default() {
        return format!(
            "Ни один маршрут не подошёл; маршрут по умолчанию «{}» ({}): {to}.",
            route.head.name, route.head.id
        );
    }
    let mut reasons = Vec::new();
    for step in &verdict.path {
        if let Some(when) = &step.head.when {
            when.reasons(sight, REASONS, &mut reasons);
        }
    }
    let because = if reasons.is_empty() {
        "условие выполнено".to_owned()
    } else {
        reasons.join("; ")
    };
    format!("Маршрут {}: {because} → {to}.", path_ru(&verdict.path))
}

/// The recipient: of `classify`, else of the route.
fn recipient_of<'r>(verdict: &Verdict<'r>) -> &'r Recipient {
    verdict
        .recipient
        .map_or(&verdict.route().target.recipient, |set| set.value)
}

/// The chain of routes below the root: «Дороги → Снег» (roads-snow).
pub(super) fn path_ru(path: &[&Route]) -> String {
    let skipped = usize::from(path.len() > 1);
    let names: Vec<&str> = path
        .iter()
        .skip(skipped)
        .map(|route| route.head.name.as_str())
        .collect();
    let id = path.last().map_or("", |route| route.head.id.as_str());
    format!("«{}» ({id})", names.join(" → "))
}

/// «Министерство транспорта, координатор».
pub(super) fn recipient_ru(recipient: &Recipient) -> String {
    match &recipient.role {
        Some(role) => format!("{}, {role}", recipient.organisation),
        None => recipient.organisation.clone(),
    }
}

/// The stage in Russian.
pub(crate) fn stage_ru(stage: DeadlineStage) -> &'static str {
    match stage {
        DeadlineStage::Register => "регистрация",
        DeadlineStage::Forward => "переадресация",
        DeadlineStage::FirstReaction => "первая реакция",
        DeadlineStage::Answer => "ответ",
        DeadlineStage::Final => "окончательный ответ",
        DeadlineStage::RefuteWindow => "оспаривание ответа",
    }
}

/// The unit in Russian.
pub(super) fn unit_ru(unit: DeadlineUnit) -> &'static str {
    match unit {
        DeadlineUnit::CalendarDays => "календарные дни",
        DeadlineUnit::WorkingDays => "рабочие дни",
        DeadlineUnit::CalendarHours => "календарные часы",
        DeadlineUnit::WorkingHours => "рабочие часы",
    }
}

/// «до 16.01.2026 10:00».
pub(super) fn due_ru(rules: &RuleSet, at: Timestamp) -> String {
    let local = rules.compiled.zone.zone.to_datetime(at);
    format!("до {}", local.strftime("%d.%m.%Y %H:%M"))
}
