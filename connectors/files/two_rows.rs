//! Headers of two rows: «Организация» over «в которую поступило» and «в которой находится».

use priem_tables::RawRow;

/// Both rows as one, when the second can be the lower half of a header: it says nothing that records say, and something
/// stands in it. `knows` tells which of the possible titles means something.
pub fn join(upper: &RawRow, lower: &RawRow, knows: impl Fn(&str) -> bool) -> Option<RawRow> {
    let is_header = |row: &RawRow| row.broken.is_none() && !row.is_blank();
    if !is_header(upper) || !is_header(lower) || lower.number != upper.number + 1 || has_values(lower) {
        return None;
    }
    let text = |row: &RawRow, index: usize| {
        let cell = row.cells.get(index).map_or("", String::as_str);
        cell.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let mut above = String::new();
    let mut cells = Vec::new();
    for index in 0..upper.cells.len().max(lower.cells.len()) {
        let (own, below) = (text(upper, index), text(lower, index));
        // A merged title stands in the first of its columns.
        if !own.is_empty() {
            above.clone_from(&own);
        }
        let both = format!("{above} {below}");
        cells.push(match (own.is_empty(), below.is_empty()) {
            (_, true) => own,
            _ if above.is_empty() || knows(&both) => both.trim_start().to_owned(),
            _ if knows(&below) => below,
            (false, false) if knows(&own) => own,
            _ => both,
        });
    }
    Some(RawRow::good(lower.number, cells))
}

/// Whether a cell holds what headers do not: a date or a number.
fn has_values(row: &RawRow) -> bool {
    let is_value = |cell: &String| {
        let cell = cell.trim();
        cell.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
            && (cell.bytes().all(|byte| byte.is_ascii_digit()) || priem_tables::dates::read(cell).is_some())
    };
    row.cells.iter().any(is_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u64, cells: &[&str]) -> RawRow {
        RawRow::good(number, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    fn join_knowing(upper: &[&str], lower: &[&str], known: &[&str]) -> Option<Vec<String>> {
        join(&row(3, upper), &row(4, lower), |title| known.contains(&title)).map(|row| row.cells)
    }

    #[test]
    fn a_title_stands_over_its_columns() {
        let joined = join_knowing(
            &["Номер", "Дата", "", "Кому", "", "Статус"],
            &["", "поступления", "ответа", "Район", "Отдел", ""],
            &["Дата поступления", "Дата ответа", "Район"],
        );
        assert_eq!(
            joined.expect("a header"),
            [
                "Номер",
                "Дата поступления",
                "Дата ответа",
                "Район",
                "Кому Отдел",
                "Статус"
            ]
        );
    }

    #[test]
    fn a_record_is_no_half_of_a_header() {
        for lower in [&["", "05.01.2026"][..], &["770001", "x"], &["", ""], &[]] {
            assert_eq!(join_knowing(&["Номер", "Дата"], lower, &["Дата"]), None, "{lower:?}");
        }
        let apart = join(&row(3, &["Номер"]), &row(5, &["инцидента"]), |_| true);
        assert_eq!(apart, None, "a blank row stands between");
    }
}
