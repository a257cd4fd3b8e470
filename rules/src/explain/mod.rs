//! «Почему сюда?»: every step, and what each rule that was looked at saw and wanted.

mod rows;

use std::fmt::Write;
use std::path::PathBuf;

use jiff::Timestamp;
use priem_message::{Deadline, Message, PlacePrecision, Routing, TerritoryFoundBy};
use serde::Serialize;

use crate::engine::compiled::Compiled;
use crate::engine::condition::{Check, Context};
use crate::engine::decision::{self, Decision};
use crate::engine::model::{Head, Route};
use crate::engine::sentences;
use crate::engine::verdict::{Verdict, is_given_by_source};
use crate::territory;

/// Why a message went where it went.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// Version of the rules.
    pub rules_version: String,
    /// What the territories of the rules found; absent when the files describe none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub territory: Option<TerritoryTrace>,
    /// Entries of `classify` that the message could fulfil; the others lack every word and mark they need.
    pub classify: Vec<RuleTrace>,
    /// How many entries of `classify` were left out as impossible.
    pub classify_impossible: usize,
    /// The way down the tree.
    pub route: Vec<RouteStep>,
    /// Entries of `deadlines` that were looked at.
    pub deadlines: Vec<RuleTrace>,
    /// What came out: the main routing, then copies.
    pub routes: Vec<Routing>,
    /// Whether only the default route caught it.
    pub default_route: bool,
    /// Deadlines that rules added.
    pub deadlines_set: Vec<Deadline>,
    /// Lines of the summary, in Russian.
    pub summary: Vec<String>,
}

/// The territory of a message before the rules, and how it was found.
#[derive(Debug, Clone, Serialize)]
pub struct TerritoryTrace {
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// By what it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_by: Option<TerritoryFoundBy>,
    /// The code, name or words it was found by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saw: Option<String>,
    /// How exact the place is: by the words when they say more than the fields, else by the fields.
    pub precision: PlacePrecision,
    /// All of it in Russian.
    pub text: String,
}

/// One rule or route that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct RuleTrace {
    /// Its id.
    pub id: String,
    /// Its Russian name.
    pub name: String,
    /// The file it stands in.
    pub file: PathBuf,
    /// Its line there.
    pub line: u32,
    /// Whether its condition holds.
    pub holds: bool,
    /// What the condition saw; absent for a rule without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// What it contributed, or why not, in Russian.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<String>,
}

/// One level of the route tree.
#[derive(Debug, Clone, Serialize)]
pub struct RouteStep {
    /// The route whose children were looked at.
    pub under: String,
    /// Children in order, up to the chosen one.
    pub tried: Vec<RuleTrace>,
    /// Id of the chosen child; absent at the end of the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<String>,
}

/// Explains a message. Does not change it.
pub(crate) fn explain(rules: &Compiled, message: &Message, now: Timestamp) -> Explanation {
    let compiled = rules;
    let mut facts = compiled.vocabulary.facts_at(message, now);
    let candidates = compiled.classify_index.candidates(&facts);
    let before = Context {
        message,
        facts: &facts,
        decided: &[],
    };
    let mut classify: Vec<(usize, RuleTrace)> = candidates
        .iter()
        .map(|&at| (at as usize, trace(&compiled.classify[at as usize].head, &before)))
        .collect();

    let verdict = Verdict::reach(compiled, message, &mut facts, now);
    let context = Context {
        message,
        facts: &facts,
        decided: &verdict.decided,
    };
    for (at, trace) in &mut classify {
        if trace.holds {
            trace.effects = sentences::effects_ru(rules, &compiled.classify[*at], &verdict);
        }
    }
    let decision = decision::make(rules, &verdict, &context);
    let deadlines = compiled
        .deadline_index
        .candidates(&facts)
        .into_iter()
        .map(|at| trace_deadline(rules, at as usize, &verdict, &context))
        .collect();
    Explanation {
        territory: trace_territory(rules, message, &verdict),
        rules_version: rules.version.clone(),
        classify_impossible: compiled.classify.len() - classify.len(),
        classify: classify.into_iter().map(|(_, trace)| trace).collect(),
        route: trace_routes(&verdict, &context),
        deadlines,
        summary: summary(rules, message, &decision),
        routes: decision.routes,
        default_route: decision.default_route,
        deadlines_set: decision.deadlines,
    }
}

fn trace_territory(rules: &Compiled, message: &Message, verdict: &Verdict<'_>) -> Option<TerritoryTrace> {
    let territories = rules.vocabulary.territories()?;
    let found = verdict.found.as_ref();
    let precision = verdict.precision.unwrap_or(message.data.place.precision);
    let place = match found {
        Some(found) => format!(
            "{} — {}",
            territories.shown_with_ancestors(found.territory),
            territory::found_ru(found.by, Some(&found.saw))
        ),
        None => "не определена: ни кода, ни названия, ни улицы из описанных".to_owned(),
    };
    let source = if verdict.precision.is_some() {
        "по словам"
    } else {
        "по данным источника"
    };
    Some(TerritoryTrace {
        id: found.map(|found| territories.id_of(found.territory).to_owned()),
        found_by: found.map(|found| found.by),
        saw: found.map(|found| found.saw.clone()),
        precision,
        text: format!("{place}; точность места: {} ({source})", precision.ru()),
    })
}

/// What one rule of any step sees in a message, whether it was looked at or not. `None` for an unknown id.
pub(crate) fn why(rules: &Compiled, message: &Message, now: Timestamp, id: &str) -> Option<RuleTrace> {
    let compiled = rules;
    let mut facts = compiled.vocabulary.facts_at(message, now);
    if let Some(rule) = compiled.classify.iter().find(|rule| rule.head.id == id) {
        let mut seen = trace(
            &rule.head,
            &Context {
                message,
                facts: &facts,
                decided: &[],
            },
        );
        if seen.holds {
            let verdict = Verdict::reach(compiled, message, &mut facts, now);
            seen.effects = sentences::effects_ru(rules, rule, &verdict);
        }
        return Some(seen);
    }
    let verdict = Verdict::reach(compiled, message, &mut facts, now);
    let context = Context {
        message,
        facts: &facts,
        decided: &verdict.decided,
    };
    if let Some(at) = compiled.deadlines.iter().position(|rule| rule.head.id == id) {
        return Some(trace_deadline(rules, at, &verdict, &context));
    }
    let mut line = Vec::new();
    if find_route(&compiled.route, id, &mut line) {
        return Some(trace_route(&line, &verdict, &context));
    }
    trace_table(&compiled.route, id, &verdict, &context)
}

/// What a whole table did with a message. `None` when there is no such table below `node`.
fn trace_table(node: &Route, id: &str, verdict: &Verdict<'_>, context: &Context<'_>) -> Option<RuleTrace> {
    let tables = node.children.iter().filter_map(|child| child.table.as_deref());
    let Some(table) = tables.into_iter().find(|table| table.id == id) else {
        let mut children = node.children.iter();
        return children.find_map(|child| trace_table(child, id, verdict, context));
    };
    let mut path = verdict.path.iter();
    let Some(depth) = path.position(|passed| passed.head.id == node.head.id) else {
        let mut seen = trace(table, context);
        seen.holds = false;
        let parent = &node.head.name;
        seen.effects = vec![format!(
            "до таблицы дело не дошло: маршрут «{parent}», внутри которого она стоит, не выбран"
        )];
        return Some(seen);
    };
    let candidates = node.index.candidates(context.facts);
    let chosen = verdict.path.get(depth + 1).copied();
    Some(rows::of_table(node, table, &candidates, chosen, context))
}

/// Fills `line` with the way from `node` to the route `id`.
fn find_route<'r>(node: &'r Route, id: &str, line: &mut Vec<&'r Route>) -> bool {
    line.push(node);
    if node.head.id == id || node.children.iter().any(|child| find_route(child, id, line)) {
        return true;
    }
    line.pop();
    false
}

/// Why the way did or did not lead through the last route of `line`.
fn trace_route(line: &[&Route], verdict: &Verdict<'_>, context: &Context<'_>) -> RuleTrace {
    let wanted = line[line.len() - 1];
    let mut seen = trace(&wanted.head, context);
    let shared = line
        .iter()
        .zip(&verdict.path)
        .take_while(|(a, b)| a.head.id == b.head.id)
        .count();
    seen.effects.push(if shared == line.len() {
        "путь сообщения прошёл через этот маршрут".to_owned()
    } else {
        let fork = line[shared];
        let parent = verdict.path[shared - 1];
        match verdict.path.get(shared) {
            Some(chosen) => format!(
                "в «{}» первым подошёл маршрут «{}» ({}), до «{}» дело не дошло или его условие не выполнено",
                parent.head.name, chosen.head.name, chosen.head.id, fork.head.name
            ),
            None => format!(
                "в «{}» не выполнено условие маршрута «{}» ({})",
                parent.head.name, fork.head.name, fork.head.id
            ),
        }
    });
    seen
}

/// What one entry sees in a message.
pub(crate) fn trace(head: &Head, context: &Context<'_>) -> RuleTrace {
    let check = head.when.as_ref().map(|condition| condition.check(context));
    RuleTrace {
        id: head.id.clone(),
        name: head.name.clone(),
        file: head.origin.file.as_ref().clone(),
        line: head.origin.line,
        holds: check.as_ref().is_none_or(|check| check.holds),
        check,
        effects: Vec::new(),
    }
}

fn trace_deadline(rules: &Compiled, at: usize, verdict: &Verdict<'_>, context: &Context<'_>) -> RuleTrace {
    let rule = &rules.deadlines[at];
    let mut seen = trace(&rule.head, context);
    let stage = rule.stage.ru();
    let winner = verdict.clocks.iter().find(|clock| clock.rule.stage == rule.stage);
    if !seen.holds {
        return seen;
    }
    seen.effects.push(match winner {
        Some(clock) if clock.rule.head.id == rule.head.id => format!(
            "срок «{stage}»: {} ({})",
            sentences::due_ru(rules, clock.deadline.due_at),
            clock.deadline.unit.ru()
        ),
        Some(clock) => format!(
            "не применён: срок «{stage}» уже задало правило «{}» ({})",
            clock.rule.head.name, clock.rule.head.id
        ),
        None if is_given_by_source(context.message, rule.stage) => format!("не применён: срок «{stage}» дал источник"),
        None => format!("не применён: срок «{stage}» не нужен"),
    });
    seen
}

fn trace_routes(verdict: &Verdict<'_>, context: &Context<'_>) -> Vec<RouteStep> {
    let mut steps = Vec::new();
    for (depth, node) in verdict.path.iter().enumerate() {
        if node.children.is_empty() {
            break;
        }
        let chosen = verdict.path.get(depth + 1).copied();
        let candidates = node.index.candidates(context.facts);
        let mut tried = Vec::new();
        let mut table: Option<&str> = None;
        for (at, child) in (0u32..).zip(&node.children) {
            // A table speaks for its rows, however many they are, and then the chosen one for itself.
            if let Some(of) = child.table.as_deref().filter(|of| table != Some(&of.id)) {
                table = Some(&of.id);
                tried.push(rows::of_table(node, of, &candidates, chosen, context));
            }
            let is_chosen = chosen.is_some_and(|chosen| chosen.head.id == child.head.id);
            if is_chosen || child.table.is_none() && candidates.binary_search(&at).is_ok() {
                tried.push(trace(&child.head, context));
            }
            if is_chosen {
                break;
            }
        }
        steps.push(RouteStep {
            under: node.head.name.clone(),
            tried,
            chosen: chosen.map(|child| child.head.id.clone()),
        });
    }
    steps
}

fn summary(rules: &Compiled, message: &Message, decision: &Decision) -> Vec<String> {
    let main = decision.main();
    let sector = main
        .sector
        .as_deref()
        .map_or("не определена", |id| rules.sector_name(id));
    let mut lines = vec![
        format!("Отрасль: {sector}"),
        format!("Получатель: {}", main.recipient.ru()),
        format!("Очередь: {}; срочность {}", main.queue, main.priority),
    ];
    if let Some(territory) = &main.territory {
        let how = main.territory_found_by.map(TerritoryFoundBy::ru);
        let how = how.map(|how| format!(", {how}")).unwrap_or_default();
        let territories = rules.vocabulary.territories();
        let shown = territories.and_then(|all| Some(all.shown(all.meant(territory)?)));
        lines.push(format!("Территория: {}{how}", shown.as_ref().unwrap_or(territory)));
    }
    if !main.tags.is_empty() {
        lines.push(format!("Метки: {}", main.tags.join(", ")));
    }
    if let Some(policy) = &main.deadline_policy {
        lines.push(format!("Порядок сроков: {policy}"));
    }
    if let Some(policy) = &main.personal_data {
        lines.push(format!("Порядок личных данных: {policy}"));
    }
    if main.review_required {
        lines.push("Сначала должен посмотреть человек".into());
    }
    for copy in decision.routes.iter().skip(1) {
        lines.push(format!("Копия: {} ({})", copy.recipient.ru(), copy.queue));
    }
    let source = message
        .data
        .deadlines
        .iter()
        .filter(|deadline| is_given_by_source(message, deadline.stage));
    for (deadline, by) in source
        .map(|deadline| (deadline, "дал источник"))
        .chain(decision.deadlines.iter().map(|d| (d, "по правилам")))
    {
        let stage = deadline.stage.ru();
        lines.push(format!(
            "Срок «{stage}»: {} ({by})",
            sentences::due_ru(rules, deadline.due_at)
        ));
    }
    lines
}

impl Explanation {
    /// The explanation as Russian text.
    pub fn render_ru(&self) -> String {
        let mut out = String::new();
        if let Some(territory) = &self.territory {
            let _ = writeln!(out, "Территория\n  {}\n", territory.text);
        }
        let _ = writeln!(out, "Шаг 1. Классификация");
        if self.classify.is_empty() {
            let _ = writeln!(
                out,
                "  Ни одно правило не подошло: в сообщении нет нужных слов и признаков."
            );
        }
        self.classify
            .iter()
            .for_each(|rule| rule.write(&mut out, "Правило", "сработало", "не сработало"));
        if self.classify_impossible > 0 {
            let _ = writeln!(
                out,
                "  Остальные правила ({}): в сообщении нет ни одного их слова или признака.",
                self.classify_impossible
            );
        }
        let _ = writeln!(out, "\nШаг 2. Маршрут");
        for step in &self.route {
            let _ = writeln!(out, "  Внутри «{}»:", step.under);
            step.tried
                .iter()
                .for_each(|route| route.write(&mut out, "Маршрут", "подошёл", "не подошёл"));
            if step.chosen.is_none() {
                let _ = writeln!(out, "  Вложенные маршруты не подошли: остаётся «{}».", step.under);
            }
        }
        let _ = writeln!(out, "\nШаг 3. Сроки");
        self.deadlines
            .iter()
            .for_each(|rule| rule.write(&mut out, "Срок", "подошёл", "не подошёл"));
        let _ = writeln!(out, "\nИтог (правила {})", self.rules_version);
        for line in &self.summary {
            let _ = writeln!(out, "  {line}");
        }
        out
    }
}

impl RuleTrace {
    /// The trace as Russian text.
    pub fn render_ru(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, "Запись", "выполнена", "не выполнена");
        out
    }

    fn write(&self, out: &mut String, what: &str, yes: &str, no: &str) {
        let mark = if self.holds { '✓' } else { '✗' };
        let verb = if self.holds { yes } else { no };
        let place = format!("{}:{}", self.file.display(), self.line);
        let _ = writeln!(out, "  {mark} {what} «{}» ({}) {verb} — {place}", self.name, self.id);
        if let Some(check) = &self.check {
            check.write(out, 6);
        }
        for effect in &self.effects {
            let _ = writeln!(out, "      → {effect}");
        }
    }
}

impl Check {
    fn write(&self, out: &mut String, indent: usize) {
        let mark = if self.holds { '+' } else { '-' };
        let _ = writeln!(out, "{:indent$}{mark} {}", "", self.text);
        self.parts.iter().for_each(|part| part.write(out, indent + 2));
    }
}
