//! Reads the entries of `deadlines`.

use priem_message::{DeadlineBasis, DeadlineStage};

use crate::clock::calendar::Roll;
use crate::clock::deadline::{Period, Term};
use crate::engine::model::DeadlineRule;
use crate::language::condition::{Step, Terms};
use crate::language::keys;
use crate::language::reader::Reader;
use crate::language::rules::{Ids, find, read_head};
use priem_yaml::{Entry, Node};

/// Longest clock, hours: about three years.
const LONGEST_CLOCK: i64 = 26_400;

/// An entry of `deadlines`.
pub(crate) fn deadline(
    reader: &mut Reader<'_>,
    terms: &mut Terms<'_>,
    ids: &mut Ids,
    node: &Node,
) -> Option<DeadlineRule> {
    let entries = reader.known(node, "запись deadlines", keys::DEADLINE);
    let head = read_head(reader, terms, ids, node, &entries, Step::Later);
    let stage = find(&entries, "stage");
    if stage.is_none() && !entries.is_empty() {
        reader.error(
            node.line,
            "у срока нет стадии stage",
            format!("одна из: {}", keys::STAGES.join(", ")),
        );
    }
    let stage = stage.and_then(|entry| {
        let written = reader.text(&entry.node, "stage")?;
        reader.word(&written, entry.line, "stage", keys::STAGES);
        stage_of(&written)
    });
    let basis = match find(&entries, "basis") {
        None => Some(DeadlineBasis::Rule),
        Some(entry) => reader.text(&entry.node, "basis").and_then(|written| {
            reader.word(&written, entry.line, "basis", keys::BASES);
            basis_of(&written)
        }),
    };
    let term = read_period(reader, node, &entries, "срок");
    let roll = read_roll(reader, &entries, term);
    let margin = read_margin(reader, &entries);
    Some(DeadlineRule {
        head: head?,
        stage: stage?,
        term: Term {
            length: term?,
            roll,
            margin,
        },
        basis: basis?,
    })
}

/// The one unit that is given.
fn read_period(reader: &mut Reader<'_>, node: &Node, entries: &[&Entry], what: &str) -> Option<Period> {
    let units = keys::UNITS.iter().map(|(unit, _)| *unit);
    let mut given = units.clone().filter_map(|unit| find(entries, unit));
    let choice = || units.clone().collect::<Vec<_>>().join(", ");
    let Some(entry) = given.next() else {
        if !entries.is_empty() {
            reader.error(
                node.line,
                format!("{what}: нет длительности"),
                format!("добавьте одно из: {}", choice()),
            );
        }
        return None;
    };
    if let Some(second) = given.next() {
        reader.error(
            second.line,
            format!("{what}: длительность задана дважды"),
            "оставьте одну",
        );
        return None;
    }
    let days = entry.key.ends_with("days");
    let longest = if days { LONGEST_CLOCK / 24 } else { LONGEST_CLOCK };
    let length = reader.integer(&entry.node, &entry.key, 1, longest)?;
    Some(match entry.key.as_str() {
        "calendar_hours" => Period::CalendarHours(length),
        "calendar_days" => Period::CalendarDays(length),
        "working_hours" => Period::WorkingHours(length),
        _ => Period::WorkingDays(length),
    })
}

fn read_roll(reader: &mut Reader<'_>, entries: &[&Entry], term: Option<Period>) -> Option<Roll> {
    let entry = find(entries, "roll")?;
    let written = reader.text(&entry.node, "roll")?;
    reader.word(&written, entry.line, "roll", &["next", "previous"]);
    if term.is_some_and(|term| !matches!(term, Period::CalendarDays(_))) {
        reader.error(
            entry.line,
            "roll переносит только последний календарный день",
            "уберите roll: рабочие дни и часы и так кончаются в рабочее время",
        );
    }
    match written.as_str() {
        "next" => Some(Roll::Next),
        "previous" => Some(Roll::Previous),
        _ => None,
    }
}

fn read_margin(reader: &mut Reader<'_>, entries: &[&Entry]) -> Option<Period> {
    let entry = find(entries, "margin")?;
    let units = reader.known(&entry.node, "margin", keys::UNITS);
    if units.is_empty() {
        reader.error(
            entry.line,
            "margin: запас не задан",
            "например «margin: { working_hours: 4 }»",
        );
    }
    read_period(reader, &entry.node, &units, "margin")
}

/// The stage by its word on the wire.
pub(crate) fn stage_of(word: &str) -> Option<DeadlineStage> {
    Some(match word {
        "register" => DeadlineStage::Register,
        "forward" => DeadlineStage::Forward,
        "first_reaction" => DeadlineStage::FirstReaction,
        "answer" => DeadlineStage::Answer,
        "final" => DeadlineStage::Final,
        "refute_window" => DeadlineStage::RefuteWindow,
        _ => return None,
    })
}

fn basis_of(word: &str) -> Option<DeadlineBasis> {
    Some(match word {
        "rule" => DeadlineBasis::Rule,
        "law" => DeadlineBasis::Law,
        "default" => DeadlineBasis::Default,
        _ => return None,
    })
}
