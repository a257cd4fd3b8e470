//! What all rows of a file agree on about their width.
//!
//! Many programs end each row with a delimiter, or leave out the empty cells at its end. A single such row is no proof: a
//! delimiter or a line end inside a text without quotation marks looks the same, and would be read with its columns
//! shifted or its text cut. So the first rows must agree: on one width, and on how a row begins.

use std::collections::HashSet;

use super::Cells;

/// Rows that are looked at.
pub(super) const MOST_ROWS: usize = 200;
/// Different first cells that are remembered.
const MOST_WORDS: usize = 1000;

/// What rows are held to.
#[derive(Debug)]
pub(super) struct Shape {
    /// Cells of the header: what a row is given out with.
    header: usize,
    /// Cells of a whole row; those beyond the header must be empty.
    width: usize,
    /// How a row begins, when a row may lack cells at its end.
    starts: Option<Starts>,
}

/// Whether a row has the cells it must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It has.
    Whole,
    /// It lacks some at its end, and begins as a row. Whether it is a row, the beginning of the next one says.
    Short,
    /// It has not.
    No,
}

/// How the rows of a file begin.
#[derive(Debug)]
enum Starts {
    /// With a number, a date or a code of about so many bytes.
    Code {
        shortest: usize,
        longest: usize,
        letters: bool,
    },
    /// With one of these words.
    Words(HashSet<Vec<u8>>),
}

impl Shape {
    /// Exactly so many cells.
    pub(super) fn exactly(header: usize) -> Self {
        Self {
            header,
            width: header,
            starts: None,
        }
    }

    /// What the first rows agree on. `named` is the number of cells of the header up to the last that is not empty.
    pub(super) fn of(rows: &[Vec<Vec<u8>>], header: usize, named: usize) -> Self {
        let mut shape = Self::exactly(header);
        let many = |width: usize| rows.iter().filter(|row| row.len() == width).count();
        let Some(most) = rows
            .iter()
            .map(Vec::len)
            .filter(|width| *width >= named)
            .max_by_key(|width| many(*width))
        else {
            shape.starts = Starts::of(rows, header);
            return shape;
        };
        let is_spare_empty = |row: &Vec<Vec<u8>>| row.iter().skip(header).all(|cell| is_blank(cell));
        let has_between = (header..most).any(|width| many(width) > 0);
        if most > header {
            // Each row that is not too short has the same spare delimiters at its end.
            let mut whole = rows.iter().filter(|row| row.len() == most);
            if many(most) > 1 && !has_between && whole.all(is_spare_empty) {
                shape.width = most;
            }
        } else if most < header && most == named && rows.iter().all(|row| row.len() <= named) {
            // The spare delimiters are the header's.
            shape.width = most;
        } else {
            shape.starts = Starts::of(rows, header);
        }
        shape
    }

    /// Cells a row is given out with.
    pub(super) fn header(&self) -> usize {
        self.header
    }

    /// Whether the row has the cells it must have.
    pub(super) fn fit(&self, cells: &Cells) -> Fit {
        let is_spare_empty = || cells.iter().skip(self.header).all(is_blank);
        if cells.len() == self.width {
            return if is_spare_empty() { Fit::Whole } else { Fit::No };
        }
        let begins = || cells.iter().next().is_some_and(|first| self.is_start(first));
        if cells.len() < self.width && begins() {
            Fit::Short
        } else {
            Fit::No
        }
    }

    /// Whether a row that lacks cells may begin so.
    pub(super) fn is_start(&self, first: &[u8]) -> bool {
        self.starts.as_ref().is_some_and(|starts| starts.fit(first))
    }
}

impl Starts {
    /// What the first cells have in common, when it tells the beginning of a row from the rest of a text.
    fn of(rows: &[Vec<Vec<u8>>], header: usize) -> Option<Self> {
        let is_whole = |row: &&Vec<Vec<u8>>| row.len() == header;
        let has_whole = rows.iter().any(|row| is_whole(&row));
        let firsts = || {
            let rows = rows.iter().filter(|row| !has_whole || is_whole(row));
            rows.filter_map(|row| row.first())
        };
        let codes = || firsts().filter(|first| is_code(first));
        // Without one whole row to go by: most of the others.
        if codes().count() * 3 >= firsts().count() * if has_whole { 3 } else { 2 } {
            return Some(Self::Code {
                shortest: codes().map(Vec::len).min()?,
                longest: codes().map(Vec::len).max()?,
                letters: codes().any(|first| has_letters(first)),
            });
        }
        let words = firsts().filter(|first| has_whole && !is_blank(first)).take(MOST_WORDS);
        let words: HashSet<Vec<u8>> = words.cloned().collect();
        (!words.is_empty()).then_some(Self::Words(words))
    }

    fn fit(&self, first: &[u8]) -> bool {
        match self {
            Self::Code {
                shortest,
                longest,
                letters,
            } => {
                let length = first.len();
                is_code(first) && length + 1 >= *shortest && length <= longest + 1 && (*letters || !has_letters(first))
            }
            Self::Words(words) => words.contains(first),
        }
    }
}

/// A number, a date, a code: no word of a text.
fn is_code(cell: &[u8]) -> bool {
    const LONGEST: usize = 40;
    let is_short = !cell.is_empty() && cell.len() <= LONGEST;
    let is_time = |byte: &u8| byte.is_ascii_digit() || b" .:/-T".contains(byte);
    let has_space = cell.contains(&b' ');
    is_short
        && cell[0].is_ascii_alphanumeric() | !cell[0].is_ascii()
        && cell.iter().any(u8::is_ascii_digit)
        && (!has_space || cell.iter().all(is_time))
}

fn has_letters(cell: &[u8]) -> bool {
    cell.iter().any(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii())
}

fn is_blank(cell: &[u8]) -> bool {
    cell.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Vec<Vec<u8>>> {
        let cells = |line: &str| line.split(';').map(|cell| cell.as_bytes().to_vec()).collect();
        text.lines().map(cells).collect()
    }

    fn fits(sample: &str, header: usize, named: usize, row: &str) -> Fit {
        Shape::of(&rows(sample), header, named).fit(&row.split(';').map(str::as_bytes).collect())
    }

    #[test]
    fn spare_delimiters_are_none_where_all_rows_have_them() {
        assert_eq!(fits("1;а;б;\n2;в;;", 3, 3, "3;г;д;"), Fit::Whole);
        assert_eq!(
            fits("1;а;б;\n2;в;;", 3, 3, "3;г;д;е"),
            Fit::No,
            "a text with a delimiter in it"
        );
        assert_eq!(fits("1;а;б;\n2;в;;", 3, 3, "3;г;д;е;"), Fit::No);
        assert_eq!(fits("1;а;б;\n2;в;;\nИтого: 2", 3, 3, "3;г;д;"), Fit::Whole);
        // One of two, or the only one: it may be a delimiter in a text.
        assert_eq!(fits("1;а;б\n2;в;г;", 3, 3, "2;в;г;"), Fit::No);
        assert_eq!(fits("2;в;г;", 3, 3, "2;в;г;"), Fit::No);
        // The header's own.
        assert_eq!(fits("1;а;б", 4, 3, "1;а;б"), Fit::Whole);
        assert_eq!(fits("1;а;б", 4, 3, "1;а;б;в"), Fit::No);
    }

    #[test]
    fn cells_at_the_end_may_be_missing_where_rows_begin_alike() {
        let sample = "770001;а;б;в\n770002;а\n770003;а;б";
        assert_eq!(fits(sample, 4, 4, "770002;а"), Fit::Short);
        for rest in ["и дальше;б;в", "12;б", "во дворе", ";"] {
            assert_eq!(fits(sample, 4, 4, rest), Fit::No, "{rest}");
        }
        let words = "Дороги;а;б\nСвет;а;б\nСвет;а";
        assert_eq!(fits(words, 3, 3, "Свет;а"), Fit::Short);
        assert_eq!(fits(words, 3, 3, "и дальше;а"), Fit::No);
    }
}
