//! Rows that stand in a table and are none of its records: the line that numbers the columns, totals and signatures below,
//! another table. What is one beyond doubt is passed over and counted; what may be a citizen's message is held.

use jiff::tz::TimeZone;
use priem_tables::RawRow;

use super::{
    fold::plain_header,
    keys,
    layout::Layout,
    mapping::{Cells, FieldKind, Role},
    when,
};

/// Columns that a line of numbers has at least.
const NUMBERED: usize = 3;
/// Letters of columns before the numbers begin.
const LETTERS: &str = "абвгд";
/// A row with more known cells than this is a record, however odd.
const FEW: usize = 3;

/// How a total or a note of the program below a table begins, as headers are compared. A beginning that is not listed is
/// held like any row without a number.
const NOTES: &[&str] = &[
    "итог",
    "всего",
    "в том числе",
    "количество ",
    "сформирован",
    "отчет сформирован",
    "документ сформирован",
    "дата формирования",
    "дата выгрузки",
    "дата отчета",
    "выгружен",
    "выгрузка от",
    "за период",
    "период",
    "страница ",
    "стр. ",
    "конец отчета",
];

/// Whether a row only numbers the columns (1, 2, 3 … or А, Б, 1, 2 …) and holds nothing.
pub fn numbers_columns(row: &RawRow) -> bool {
    let cells = row.cells.iter().map(|cell| cell.trim()).filter(|cell| !cell.is_empty());
    let mut next = 1_usize;
    let mut letters = 0_usize;
    for cell in cells {
        let mark = cell.trim_matches(['(', ')', '.', ' ']);
        let mut characters = mark.chars();
        match (mark.parse::<usize>(), characters.next(), characters.next()) {
            (Ok(number), ..) if number == next => next += 1,
            (Err(_), Some(letter), None)
                if next == 1 && LETTERS.chars().nth(letters) == letter.to_lowercase().next() =>
            {
                letters += 1;
            }
            _ => return false,
        }
    }
    next > 1 && next - 1 + letters >= NUMBERED
}

/// Whether a row is a total or a note of the program: it begins as one, says nothing else but numbers, and has neither a
/// number nor a text of a message.
pub fn is_note(layout: &Layout, row: &RawRow) -> bool {
    if row.broken.is_some() {
        return false;
    }
    let mut filled = row.cells.iter().enumerate().filter(|(_, cell)| !cell.trim().is_empty());
    let Some((first, note)) = filled.next() else {
        return false;
    };
    if note.trim_start().starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let role = |index: usize| {
        let field = layout.columns.get(index).and_then(|column| column.field);
        field.map(|field| layout.mapping.fields[field].role)
    };
    let plain = plain_header(note);
    let begins = NOTES.iter().any(|start| plain.starts_with(start));
    begins
        && role(first) != Some(Role::Subject)
        && note.chars().count() <= keys::LONGEST_KEY
        && filled.all(|(index, cell)| is_count(cell) && !matches!(role(index), Some(Role::Key | Role::Subject)))
}

fn is_count(cell: &str) -> bool {
    let number = |c: char| c.is_ascii_digit() || c.is_whitespace() || matches!(c, '.' | ',' | '%' | '-' | '+');
    cell.chars().all(number)
}

/// Whether a row with a number is none of the records: its number has words though those of the table have none, or it has
/// hardly a cell and something else than dates where dates stand.
pub fn is_foreign(layout: &Layout, cells: &Cells<'_>, key: &str, zone: &TimeZone) -> bool {
    if !layout.wordy && keys::has_words(key) {
        return true;
    }
    let fields = || layout.mapping.fields.iter().enumerate();
    let is_told = fields().any(|(index, spec)| spec.role == Role::Subject && cells.said_at(index).is_some());
    if is_told || cells.filled() > FEW {
        return false;
    }
    let dates = fields().filter(|(_, spec)| spec.kind == FieldKind::Date);
    let said: Vec<bool> = dates
        .filter_map(|(index, _)| cells.said_at(index))
        .map(|value| when::parse(value, zone).is_some())
        .collect();
    !said.is_empty() && !said.contains(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> RawRow {
        RawRow::good(5, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn a_line_of_numbers_is_told_from_a_record() {
        for cells in [
            &["1", "2", "3"][..],
            &["А", "Б", "1", "2", "3"],
            &["(1)", "(2)", "", "(3)"],
            &["1.", "2.", "3.", "4."],
        ] {
            assert!(numbers_columns(&row(cells)), "{cells:?}");
        }
        for cells in [
            &[][..],
            &["1", "2"],
            &["1", "2", "4"],
            &["1", "Ямы", "3"],
            &["770001", "2", "3"],
            &["А", "Б", "В"],
        ] {
            assert!(!numbers_columns(&row(cells)), "{cells:?}");
        }
    }
}
