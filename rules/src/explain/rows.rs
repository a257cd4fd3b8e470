//! «Почему эта строка?» and «почему ни одна?»: what a table says in an explanation, in a few lines however long it is.

use super::{RuleTrace, trace};
use crate::engine::condition::Context;
use crate::engine::fields::Field;
use crate::engine::model::{Head, Route};

/// Rows named that almost fit.
const NEAREST: usize = 3;
/// Less precise rows named.
const NAMED: usize = 8;

/// What a table among the children of `node` did with a message. `chosen` is the child that was taken, if any.
pub(super) fn of_table(
    node: &Route,
    table: &Head,
    candidates: &[u32],
    chosen: Option<&Route>,
    context: &Context<'_>,
) -> RuleTrace {
    let is_row = |route: &Route| route.table.as_ref().is_some_and(|of| of.id == table.id);
    let total = node.children.iter().filter(|child| is_row(child)).count();
    let rows: Vec<&Route> = candidates
        .iter()
        .map(|&at| &node.children[at as usize])
        .filter(|child| is_row(child))
        .collect();
    let taken = chosen.filter(|child| is_row(child));
    let fits = |row: &Route| row.head.when.as_ref().is_none_or(|when| when.holds(context.facts));
    let fitting: Vec<&Route> = rows.iter().copied().filter(|row| fits(row)).collect();

    let mut seen = RuleTrace {
        holds: taken.is_some(),
        check: None,
        ..trace(table, context)
    };
    seen.effects = vec![format!("строк в таблице: {total}")];
    match (taken, fitting.first(), chosen) {
        (Some(row), ..) => {
            seen.effects.push(format!("подошла {}", named(row)));
            let others: Vec<String> = fitting
                .iter()
                .filter(|other| other.head.id != row.head.id)
                .take(NAMED)
                .map(|other| other.head.origin.line.to_string())
                .collect();
            if !others.is_empty() {
                let others = others.join(", ");
                seen.effects
                    .push(format!("подходят и строки не точнее её, они уступили: {others}"));
            }
        }
        (None, Some(row), Some(other)) => seen.effects.push(format!(
            "подошла бы {}, но выше подошёл маршрут «{}» ({})",
            named(row),
            other.head.name,
            other.head.id
        )),
        _ => {
            seen.effects
                .push(format!("ни одна строка не подошла; у сообщения {}", asked(context)));
            seen.effects.extend(nearest(&rows, context));
        }
    }
    seen
}

/// What the message has of what tables ask for.
fn asked(context: &Context<'_>) -> String {
    let fields = [Field::Territory, Field::Sector, Field::Topic].map(|field| {
        let values = context.values(field);
        let values = if values.is_empty() {
            "не указано".to_owned()
        } else {
            values.join(" / ")
        };
        format!("{}: {values}", field.label())
    });
    fields.join(", ")
}

/// The rows most of which holds, each with what it lacks.
fn nearest(rows: &[&Route], context: &Context<'_>) -> Vec<String> {
    let mut near: Vec<(usize, String)> = Vec::new();
    for row in rows {
        let Some(check) = row.head.when.as_ref().map(|when| when.check(context)) else {
            continue;
        };
        let held = check.parts.iter().filter(|part| part.holds).count();
        let lacking: Vec<&str> = check
            .parts
            .iter()
            .filter(|part| !part.holds)
            .map(|part| part.text.as_str())
            .collect();
        if held > 0 {
            near.push((held, format!("ближе всех {} — {}", named(row), lacking.join("; "))));
        }
    }
    near.sort_by_key(|(held, _)| std::cmp::Reverse(*held));
    near.into_iter().take(NEAREST).map(|(_, text)| text).collect()
}

/// «строка 12 («Дзержинский», …)»: the row and what is written in it.
fn named(row: &Route) -> String {
    format!("«{}»", row.head.name)
}
