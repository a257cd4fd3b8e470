//! Which row wins: the more precise one. Two rows that ask for the same on the same day are an error.
//!
//! A territory weighs more the deeper it lies in others («Ленинский район» before «Пермь»). Territory weighs more than
//! topic, topic more than sector: a row with territory and topic stands before one with
//! territory and sector, that before one with the territory alone, and so on down to the row for all. Among topics the
//! longer path is more precise. What is left stands as in the file.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::cells::Row;
use super::sheet::{Sheet, cell};
use crate::engine::fields::Field;
use crate::engine::places::Territories;

/// The rows, the most precise first. Rows that repeat another are reported.
pub(super) fn by_precision(sheet: &mut Sheet<'_>, mut rows: Vec<Row>, territories: Option<&Territories>) -> Vec<Row> {
    report_repeated(sheet, &rows);
    rows.sort_by_key(|row| Reverse(precision(row, territories)));
    rows
}

/// How precise a row is: how deep its territory lies in others (0 without one), whether it names a topic and a sector,
/// the levels of its topic.
fn precision(row: &Row, territories: Option<&Territories>) -> (usize, u8, usize) {
    let depth = |value: &String| {
        let known = territories.and_then(|all| Some(all.gazetteer().with_ancestors(all.meant(value)?).count()));
        known.unwrap_or(1)
    };
    let named = |values: &[String], weight: u8| if values.is_empty() { 0 } else { weight };
    let levels = row.topic.iter().map(|topic| topic.split(" / ").count()).min();
    (
        row.territory.iter().map(depth).min().unwrap_or(0),
        named(&row.topic, 2) + named(&row.sector, 1),
        levels.unwrap_or(0),
    )
}

fn report_repeated(sheet: &mut Sheet<'_>, rows: &[Row]) {
    let mut known: HashMap<[String; 3], Vec<usize>> = HashMap::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let mut first: Option<usize> = None;
        for key in keys(row) {
            let others = known.entry(key).or_default();
            let other = others.iter().copied().find(|&other| rows[other].dates.meet(row.dates));
            first = [first, other].into_iter().flatten().min();
            others.push(at);
        }
        if let Some(first) = first {
            let first = &rows[first];
            let problem = format!(
                "строка спрашивает о том же, что строка {} (ячейка {}): {}; обе действуют в один и тот же день",
                first.number,
                cell(first.number, first.place),
                first.shown
            );
            sheet.cell_error(
                row.number,
                row.place,
                "",
                problem,
                "оставьте одну из строк или разведите их даты действия",
            );
        }
    }
}

/// Every combination of values that fits a row.
fn keys(row: &Row) -> Vec<[String; 3]> {
    let spelt = |field: Field, values: &[String]| -> Vec<String> {
        if values.is_empty() {
            return vec![String::new()];
        }
        values.iter().map(|value| field.normalise(value)).collect()
    };
    let mut keys = Vec::new();
    for territory in spelt(Field::Territory, &row.territory) {
        for sector in spelt(Field::Sector, &row.sector) {
            for topic in spelt(Field::Topic, &row.topic) {
                keys.push([territory.clone(), sector.clone(), topic]);
            }
        }
    }
    keys
}
