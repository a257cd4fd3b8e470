//! What the columns of a file without a header may hold, by their content: offered in a report, never applied.

use std::collections::HashSet;

use priem_tables::{RawRow, column_letters, dates::Order};

use super::{
    mapping::{FieldKind, FieldSpec, Mapping, Role},
    when,
};

/// A guess at `columns:` from what the columns hold. Only offered in the report, never applied: no headerless layout is
/// known well enough.
pub fn guess(first: &[RawRow], mapping: &Mapping) -> Option<String> {
    const ENOUGH_ROWS: usize = 3;
    let rows: Vec<&RawRow> = first.iter().filter(|row| !row.is_blank()).collect();
    if rows.len() < ENOUGH_ROWS {
        return None;
    }
    let width = rows.iter().map(|row| row.cells.len()).max()?;
    let column = |index: usize| -> Vec<&str> {
        rows.iter()
            .filter_map(|row| row.cells.get(index))
            .map(|cell| cell.trim())
            .filter(|cell| !cell.is_empty())
            .collect()
    };
    let mut found: Vec<(usize, &str)> = Vec::new();
    let free = |found: &[(usize, &str)], index: usize| !found.iter().any(|(known, _)| *known == index);
    for (field, words) in mapping.vocabulary {
        let holds = |index: &usize| {
            let values = column(*index);
            let hits = values.iter().filter(|value| words.contains(value)).count();
            values.len() >= ENOUGH_ROWS && hits * 10 >= values.len() * 8
        };
        if let Some(index) = (0..width).find(holds) {
            found.push((index, field));
        }
    }
    let is_key = |index: &usize| {
        let values = column(*index);
        let different: HashSet<&&str> = values.iter().collect();
        values.len() == rows.len()
            && different.len() == values.len()
            && values
                .iter()
                .all(|value| (4..=20).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit()))
    };
    if let (Some(key), Some(index)) = (mapping.key(), (0..width).find(is_key)) {
        found.push((index, mapping.fields[key].name));
    }
    let utc = jiff::tz::TimeZone::UTC;
    let is_date = |index: &usize| {
        let values = column(*index);
        values.len() >= ENOUGH_ROWS
            && values
                .iter()
                .all(|value| value.contains(['.', '-', '/']) && when::parse(value, &utc, Order::Unsaid).is_some())
    };
    let first_date = mapping.fields.iter().find(|spec| spec.kind == FieldKind::Date);
    if let (Some(date), Some(index)) = (first_date, (0..width).filter(|i| free(&found, *i)).find(is_date)) {
        found.push((index, date.name));
    }
    let length = |index: usize| column(index).iter().map(|value| value.chars().count()).sum::<usize>();
    let longest = (0..width).filter(|i| free(&found, *i)).max_by_key(|i| length(*i));
    let subject = mapping.fields.iter().find(|spec| spec.role == Role::Subject);
    if let (Some(subject), Some(index)) = (subject, longest)
        && length(index) > 40 * rows.len()
    {
        found.push((index, subject.name));
    }
    found.sort_unstable();
    let has_subject = found.iter().any(|(_, name)| {
        mapping
            .fields
            .iter()
            .any(|spec: &FieldSpec| spec.name == *name && spec.identifies())
    });
    if !has_subject {
        return None;
    }
    let list: Vec<String> = found
        .iter()
        .map(|(index, name)| format!("{}: {name}", column_letters(*index)))
        .collect();
    Some(format!("columns: {{ {} }}", list.join(", ")))
}
