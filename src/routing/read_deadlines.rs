//! Reads the entries of `deadlines`.

use priem_sdk::message::{DeadlineBasis, DeadlineStage};

use super::keys::{self, Key};
use super::model::{DeadlineRule, Period};
use super::read_condition::{Step, Terms};
use super::read_rules::{Ids, find, read_head};
use super::reader::Reader;
use super::yaml::{Entry, Node};

/// Longest clock, hours: about three years.
const LONGEST_CLOCK: i64 = 26_400;

/// An entry of `deadlines`.
pub(super) fn deadline(
    reader: &mut Reader<'_>,
    terms: &mut Terms<'_>,
    ids: &mut Ids,
    node: &Node,
) -> Option<DeadlineRule> {
    let mut known: Vec<Key> = keys::DEADLINE.to_vec();
    known.extend(keys::WORKING_UNITS.iter().map(|key| (*key, "")));
    let entries = reader.known(node, "запись deadlines", &known);
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
    let term = read_period(reader, node, &entries);
    Some(DeadlineRule {
        head: head?,
        stage: stage?,
        term: term?,
        basis: basis?,
    })
}

fn read_period(reader: &mut Reader<'_>, node: &Node, entries: &[&Entry]) -> Option<Period> {
    for unit in keys::WORKING_UNITS {
        if let Some(entry) = find(entries, unit) {
            reader.error(
                entry.line,
                format!("«{unit}»: сроки в рабочем времени пока не поддерживаются"),
                "нужен производственный календарь, его ещё нет; задайте calendar_hours или calendar_days",
            );
            return None;
        }
    }
    match (find(entries, "calendar_hours"), find(entries, "calendar_days")) {
        (Some(hours), None) => reader
            .integer(&hours.node, "calendar_hours", 1, LONGEST_CLOCK)
            .map(Period::CalendarHours),
        (None, Some(days)) => reader
            .integer(&days.node, "calendar_days", 1, LONGEST_CLOCK / 24)
            .map(Period::CalendarDays),
        (None, None) if entries.is_empty() => None,
        (None, None) => {
            reader.error(
                node.line,
                "у срока нет длительности",
                "добавьте calendar_hours или calendar_days",
            );
            None
        }
        (Some(_), Some(days)) => {
            reader.error(
                days.line,
                "длительность задана дважды",
                "оставьте calendar_hours или calendar_days",
            );
            None
        }
    }
}

/// The stage by its word on the wire.
pub(super) fn stage_of(word: &str) -> Option<DeadlineStage> {
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
