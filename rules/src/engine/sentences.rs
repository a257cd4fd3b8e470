//! The short Russian sentences of a decision: which rule held, what it contributed, where the message goes and until when.

use jiff::Timestamp;
use priem_message::Recipient;

use crate::engine::compiled::Compiled;
use crate::engine::condition::Context;
use crate::engine::model::{ClassifyRule, Route};
use crate::engine::moment::Seen;
use crate::engine::verdict::Verdict;

/// Reasons given per rule in the short explanation.
const REASONS: usize = 3;

/// Every sentence, in the order of the steps.
pub(crate) fn sentences(rules: &Compiled, verdict: &Verdict<'_>, context: &Context<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(territories), Some(found)) = (rules.vocabulary.territories(), &verdict.found) {
        lines.push(territories.sentence(found));
    }
    let sentences = verdict.rules.iter();
    lines.extend(sentences.map(|rule| rule_sentence(rules, rule, verdict, context)));
    if verdict.rules.is_empty() {
        lines.push("Ни одно правило классификации не подошло.".into());
    }
    lines.push(route_sentence(verdict, context));
    if context.facts.moment().is_some_and(Seen::lacks_calendar) {
        lines.push(
            "Внимание: производственного календаря на этот год нет, условие «рабочее время» не учло праздники.".into(),
        );
    }
    lines.extend(verdict.clocks.iter().map(|clock| {
        let mut sentence = format!(
            "Срок «{}»: {} по правилу «{}» ({}).",
            clock.deadline.stage.ru(),
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

fn rule_sentence(rules: &Compiled, rule: &ClassifyRule, verdict: &Verdict<'_>, context: &Context<'_>) -> String {
    let mut reasons = Vec::new();
    if let Some(when) = &rule.head.when {
        when.reasons(context, REASONS, &mut reasons);
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
pub(crate) fn effects_ru(rules: &Compiled, rule: &ClassifyRule, verdict: &Verdict<'_>) -> Vec<String> {
    if let Some(stop) = verdict.stopped_before(rules, rule) {
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
                format!("получатель «{}»", recipient.ru()),
                verdict.recipient.map(|set| set.rule),
            );
        }
        if let Some(queue) = &handling.queue {
            note(format!("очередь «{queue}»"), verdict.queue.map(|set| set.rule));
        }
        for copy in &handling.also {
            note(format!("копия: {} ({})", copy.recipient.ru(), copy.queue), None);
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

fn route_sentence(verdict: &Verdict<'_>, context: &Context<'_>) -> String {
    let route = verdict.route();
    let to = recipient_of(verdict).ru();
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
            when.reasons(context, REASONS, &mut reasons);
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
pub(crate) fn recipient_of<'r>(verdict: &Verdict<'r>) -> &'r Recipient {
    verdict
        .recipient
        .map_or(&verdict.route().target.recipient, |set| set.value)
}

/// The chain of routes below the root: «Дороги → Снег» (roads-snow).
pub(crate) fn path_ru(path: &[&Route]) -> String {
    let skipped = usize::from(path.len() > 1);
    let names: Vec<&str> = path
        .iter()
        .skip(skipped)
        .map(|route| route.head.name.as_str())
        .collect();
    let id = path.last().map_or("", |route| route.head.id.as_str());
    format!("«{}» ({id})", names.join(" → "))
}

/// «до 16.01.2026 10:00».
pub(crate) fn due_ru(rules: &Compiled, at: Timestamp) -> String {
    let local = rules.zone.zone.to_datetime(at);
    format!("до {}", local.strftime("%d.%m.%Y %H:%M"))
}
