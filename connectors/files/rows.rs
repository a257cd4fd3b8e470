//! Rows that stand in a table and are none of its records: the line that numbers the columns, totals and signatures below,
//! another table. What is one beyond doubt is passed over and counted; what may be a citizen's message is held.

use jiff::{civil::DateTime, tz::TimeZone};
use priem_tables::{RawRow, dates::Order};

use super::{
    fold::plain_header,
    keys,
    layout::Layout,
    mapping::{Cells, Role},
    problem::RowProblem,
    when,
};

/// Columns that a line of numbers has at least.
const NUMBERED: usize = 3;
/// Letters of columns before the numbers begin.
const LETTERS: &str = "абвгд";
/// What may stand before the number of a column, as headers are compared.
const MARKS: &[&str] = &["графа", "гр", "колонка", "кол", "столбец", "ст", "№"];
/// Longest number of a column, bytes: `13=11+12`.
const LONGEST_MARK: usize = 8;
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

/// How a signature below a table begins, as headers are compared.
const SIGNED: &[&str] = &[
    "исп.",
    "исполнил",
    "исполнитель",
    "подготовил",
    "составил",
    "тел.",
    "телефон",
    "м.п",
];

/// How a row that says when the file was made begins, as headers are compared.
const MADE: &[&str] = &[
    "сформирован",
    "отчет сформирован",
    "документ сформирован",
    "дата формирования",
    "дата выгрузки",
    "выгружен",
    "выгрузка от",
    "по состоянию на",
];
/// Words that a moment may have: «5 января 2026 г. в 10:30 (МСК)».
const MOMENT_WORDS: usize = 7;

/// When the file was made, when the row says so.
pub fn made(row: &RawRow) -> Option<DateTime> {
    let filled: Vec<&str> = row
        .cells
        .iter()
        .map(String::as_str)
        .filter(|cell| !cell.is_empty())
        .collect();
    let first = plain_header(filled.first()?);
    if !MADE.iter().any(|start| first.starts_with(start)) {
        return None;
    }
    let text = filled.join(" ");
    let moment = &text[text.find(|c: char| c.is_ascii_digit())?..];
    let words: Vec<&str> = moment.split_whitespace().take(MOMENT_WORDS).collect();
    let mut beginnings = (1..=words.len()).rev().map(|count| words[..count].join(" "));
    beginnings.find_map(|beginning| when::local(&beginning, &TimeZone::UTC, Order::Unsaid))
}

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

/// Whether the row below a header numbers the columns in any of the ways people do: `гр.1`, `№1`, `-1-`, `3=1+2`, `3.1`, `x`,
/// `IV`. Its numbers rise from one or none by steps of two at most; nothing else stands in it.
pub fn marks_columns(row: &RawRow) -> bool {
    let cells = row.cells.iter().map(|cell| cell.trim()).filter(|cell| !cell.is_empty());
    let mut last = 0_usize;
    let mut marks = 0_usize;
    for cell in cells {
        let plain = plain_header(cell);
        let mark = MARKS.iter().find_map(|mark| plain.strip_prefix(mark)).unwrap_or(&plain);
        let mark = mark.trim_matches(|c: char| !c.is_alphanumeric());
        let digits = mark.find(|c: char| !c.is_ascii_digit()).unwrap_or(mark.len());
        let is_mark = match mark[..digits].parse::<usize>() {
            Ok(number) => {
                let rises = (last..=last + 2).contains(&number);
                last = number;
                rises && mark.len() <= LONGEST_MARK && mark[digits..].chars().all(|c| !c.is_alphabetic())
            }
            // `plain` has Cyrillic letters only: Latin I and V have no look-alike there, X, C and M do.
            Err(_) => mark.chars().count() == 1 || !mark.is_empty() && mark.chars().all(|c| "ivхlсм".contains(c)),
        };
        if !is_mark || when::local(cell, &TimeZone::UTC, Order::Unsaid).is_some() {
            return false;
        }
        marks += 1;
    }
    row.broken.is_none() && marks > NUMBERED
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

/// Why a row with a number is none of the records: only the number is filled, its number has words though those of the table
/// have none, or it has hardly a cell and something else than dates where dates stand.
pub fn is_no_message(layout: &Layout, cells: &Cells<'_>, key: &str, zone: &TimeZone) -> Option<RowProblem> {
    if !layout.wordy && keys::has_words(key) {
        return Some(RowProblem::NoMessage);
    }
    if layout.known_fields() > 1 && cells.is_only(Role::Key) {
        return Some(RowProblem::OnlyNumber);
    }
    is_of_another_table(cells, zone).then_some(RowProblem::NoMessage)
}

/// Whether a row of a table without numbers is a note below it: only the text is filled, and it begins as a note or a
/// signature, or is a date or a number. Anything else may be a citizen's words.
pub fn is_lone_note(layout: &Layout, cells: &Cells<'_>, zone: &TimeZone) -> bool {
    let fields = layout.mapping.fields.iter();
    let subject = fields.clone().position(|spec| spec.role == Role::Subject);
    let Some(text) = subject.and_then(|field| cells.said_at(field)) else {
        return false;
    };
    let is_alone = layout.known_fields() > 1 && !layout.only_texts && cells.is_only(Role::Subject);
    let plain = plain_header(text);
    let begins = || NOTES.iter().chain(SIGNED).any(|start| plain.starts_with(start));
    let has_word = || {
        text.split(|c: char| !c.is_alphabetic())
            .any(|word| word.chars().count() >= keys::WORD)
    };
    is_alone
        && text.chars().count() <= keys::LONGEST_KEY
        && (begins() || !has_word() || when::parse(text, zone, cells.order()).is_some())
}

fn is_of_another_table(cells: &Cells<'_>, zone: &TimeZone) -> bool {
    let fields = || cells.mapping().fields.iter().enumerate();
    let is_told = fields().any(|(index, spec)| spec.role == Role::Subject && cells.said_at(index).is_some());
    if is_told || cells.filled() > FEW {
        return false;
    }
    let dates = fields().filter(|(_, spec)| spec.kind.is_date());
    let said: Vec<bool> = dates
        .filter_map(|(index, _)| cells.said_at(index))
        .map(|value| when::parse(value, zone, cells.order()).is_some())
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
    fn what_the_file_says_of_its_making_is_heard() {
        for (cells, moment) in [
            (&["Сформировано 05.01.2026"][..], Some("2026-01-05T00:00:00")),
            (
                &["Отчёт сформирован: 05.01.2026 10:30 Иванов И.И."],
                Some("2026-01-05T10:30:00"),
            ),
            (
                &["", "Дата выгрузки", "2026-01-05T10:30:00"],
                Some("2026-01-05T10:30:00"),
            ),
            (&["По состоянию на 5 января 2026 г."], Some("2026-01-05T00:00:00")),
            (&["За период 01.01.2026 – 31.01.2026"], None),
            (&["Сформировано"], None),
            (&["Выгружено строк: 12"], None),
            (&["770001", "Сформировано 05.01.2026"], None),
            (&[], None),
        ] {
            let expected = moment.map(|moment| moment.parse().expect("a moment"));
            assert_eq!(made(&row(cells)), expected, "{cells:?}");
        }
    }

    #[test]
    fn the_row_below_a_header_may_number_the_columns_in_many_ways() {
        for cells in [
            &["1", "2", "3=1+2", "4"][..],
            &["1", "2", "4", "5"],
            &["гр.1", "гр. 2", "графа 3", "4"],
            &["1", "2", "3", "3.1", "3.2", "4"],
            &["№1", "№ 2", "№3", "№4"],
            &["1", "1", "2", "3"],
            &["-1-", "-2-", "-3-", "-4-"],
            &["1", "x", "х", "2"],
            &["0", "1", "2", "3"],
            &["I", "II", "III", "IV", "V"],
            &["A", "B", "C", "D"],
            &["А", "Б", "В", "1", "2"],
        ] {
            assert!(marks_columns(&row(cells)), "{cells:?}");
        }
        for cells in [
            &["1", "2", "3"][..],
            &["1", "5", "9", "12"],
            &["1", "2", "05.01.2026", "4"],
            &["1", "2", "3.1.26", "4"],
            &["1", "2", "Ямы", "4"],
            &["550001", "2", "3", "4"],
            &["1", "1", "340", "51"],
            &["1", "1", "1а", "2"],
            &["", ""],
        ] {
            assert!(!marks_columns(&row(cells)), "{cells:?}");
        }
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
